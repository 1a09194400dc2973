//! The lab tests of MIT's course on distributed systems (6.824, later 6.5840), against the Raft of
//! this project, in the simulated world.
//!
//! What the tests do and demand is the course's (Morris, Kaashoek and others; the Raft labs follow
//! Ongaro and Ousterhout's paper of 2014); each script here is written from a description of its
//! steps and bounds, under the name by which it is known. Time is virtual and one seed decides
//! everything, so a test that fails is run again, exactly, and a thousand seeds are a coffee
//! break.
//!
//! | module | what it is |
//! |---|---|
//! | `tasks` | scripts as futures over virtual time |
//! | `network` | the tests' network: what is lost and late, and what is counted |
//! | `lab`, `steps` | the bench: servers and connections; what scripts are made of |
//! | `applied` | the oracle of what servers have applied |
//! | `clerk`, `kv` | clients of the key-value store, and what its tests have in common |
//! | `a2`, `b2`, ... | the tests, one file a lab |
//! | `survey` | a test under many seeds |

mod a2;
mod a3;
mod applied;
mod b2;
mod b3;
mod c2;
mod clerk;
mod d2;
mod kv;
mod lab;
mod network;
mod steps;
mod survey;
mod tasks;

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use rashomon_stores::raft::Options;
use rashomon_stores::raft::mutants::Bug;

use kv::Trial;
use lab::Lab;

pub use survey::Survey;

const MILLISECOND: u64 = 1_000_000;

/// How often a leader makes itself heard.
const HEARTBEAT: Duration = Duration::from_millis(100);

type Script = for<'a> fn(&'a Lab) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + 'a>>;

/// A lab test.
#[derive(Clone, Copy, Debug)]
pub struct Test {
    /// The name by which it is known.
    pub name: &'static str,
    /// How many servers it has.
    pub servers: u16,
    /// Whether the network loses and delays messages from the beginning.
    unreliable: bool,
    /// After how many entries a snapshot takes their place.
    snapshot_every: u64,
    script: Script,
}

/// How a test went that found nothing wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How long it took in the world's time.
    pub virtual_time: Duration,
    /// Remote procedure calls that servers answered.
    pub calls: u64,
    /// The size of those calls and their answers.
    pub bytes: u64,
    /// Commands that were committed.
    pub commands: u64,
    /// What was counted, and kept within its bound.
    pub bounds: Vec<Bound>,
}

/// A count and the most it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// What was counted.
    pub what: &'static str,
    /// How many there were.
    pub count: u64,
    /// How many there may be.
    pub bound: u64,
}

/// What a test found wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When, in the world's time.
    pub at: Duration,
    /// What.
    pub why: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {:.3} s: {}", self.at.as_secs_f64(), self.why)
    }
}

impl std::error::Error for Failure {}

macro_rules! test {
    ($name:literal, $servers:literal, $script:expr) => {
        Test {
            name: $name,
            servers: $servers,
            unreliable: false,
            snapshot_every: u64::MAX,
            script: |lab| Box::pin($script(lab)),
        }
    };
}

/// Every test, in the order of the labs.
pub const TESTS: &[Test] = &[
    test!("test_initial_election_2a", 3, a2::initial_election),
    test!("test_reelection_2a", 3, a2::reelection),
    test!("test_many_election_2a", 7, a2::many_elections),
    test!("test_basic_agree_2b", 5, b2::basic_agree),
    test!("test_rpc_bytes_2b", 3, b2::rpc_bytes),
    test!("test_follower_failure_2b", 3, b2::follower_failure),
    test!("test_leader_failure_2b", 3, b2::leader_failure),
    test!("test_fail_agree_2b", 3, b2::fail_agree),
    test!("test_fail_no_agree_2b", 5, b2::fail_no_agree),
    test!("test_concurrent_starts_2b", 3, b2::concurrent_starts),
    test!("test_rejoin_2b", 3, b2::rejoin),
    test!("test_backup_2b", 5, b2::backup),
    test!("test_count_2b", 3, b2::count),
    test!("test_persist1_2c", 3, c2::persist1),
    test!("test_persist2_2c", 5, c2::persist2),
    test!("test_persist3_2c", 3, c2::persist3),
    test!("test_figure_8_2c", 5, c2::figure_8),
    test!("test_unreliable_agree_2c", 5, c2::unreliable_agree).unreliable(),
    test!("test_figure_8_unreliable_2c", 5, c2::figure_8_unreliable).unreliable(),
    test!("test_reliable_churn_2c", 5, c2::churn),
    test!("test_unreliable_churn_2c", 5, c2::churn).unreliable(),
    test!("test_snapshot_basic_2d", 3, d2::basic).compacting(d2::INTERVAL),
    test!("test_snapshot_install_2d", 3, d2::install).compacting(d2::INTERVAL),
    test!("test_snapshot_install_unreliable_2d", 3, d2::install)
        .unreliable()
        .compacting(d2::INTERVAL),
    test!("test_snapshot_install_crash_2d", 3, d2::install_crash).compacting(d2::INTERVAL),
    test!("test_snapshot_install_unreliable_crash_2d", 3, d2::install_crash)
        .unreliable()
        .compacting(d2::INTERVAL),
    test!("test_snapshot_all_crash_2d", 3, d2::all_crash).unreliable().compacting(d2::INTERVAL),
    test!("test_snapshot_init_2d", 3, d2::init).unreliable().compacting(d2::INTERVAL),
    test!("test_basic_3a", 5, |lab| kv::own_keys(lab, Trial::clients(1))),
    test!("test_concurrent_3a", 5, |lab| kv::own_keys(lab, Trial::clients(5))),
    test!("test_unreliable_3a", 5, |lab| kv::own_keys(lab, Trial::clients(5))).unreliable(),
    test!("test_unreliable_one_key_3a", 3, a3::one_key).unreliable(),
    test!("test_one_partition_3a", 5, a3::one_partition),
    test!("test_many_partitions_one_client_3a", 5, |lab| kv::own_keys(
        lab,
        Trial::clients(1).partitions()
    )),
    test!("test_many_partitions_many_clients_3a", 5, |lab| kv::own_keys(
        lab,
        Trial::clients(5).partitions()
    )),
    test!("test_persist_one_client_3a", 5, |lab| kv::own_keys(lab, Trial::clients(1).crashes())),
    test!("test_persist_concurrent_3a", 5, |lab| kv::own_keys(lab, Trial::clients(5).crashes())),
    test!("test_persist_concurrent_unreliable_3a", 5, |lab| kv::own_keys(
        lab,
        Trial::clients(5).crashes()
    ))
    .unreliable(),
    test!("test_persist_partition_3a", 5, |lab| kv::own_keys(
        lab,
        Trial::clients(5).crashes().partitions()
    )),
    test!("test_persist_partition_unreliable_3a", 5, |lab| kv::own_keys(
        lab,
        Trial::clients(5).crashes().partitions()
    ))
    .unreliable(),
    test!("test_persist_partition_unreliable_linearizable_3a", 7, |lab| kv::shared_keys(
        lab,
        Trial::clients(15).crashes().partitions()
    ))
    .unreliable(),
    test!("test_speed_3a", 3, a3::speed),
    test!("test_snapshot_rpc_3b", 3, b3::install).compacting(b3::INTERVAL),
    test!("test_snapshot_size_3b", 3, b3::size).compacting(b3::INTERVAL),
    test!("test_speed_3b", 3, a3::speed).compacting(b3::INTERVAL),
    test!("test_snapshot_recover_3b", 5, |lab| kv::own_keys(
        lab,
        Trial::clients(1).crashes().compacting(b3::SIZE_MAX)
    ))
    .compacting(b3::INTERVAL),
    test!("test_snapshot_recover_many_clients_3b", 5, |lab| kv::own_keys(
        lab,
        Trial::clients(20).crashes().compacting(b3::SIZE_MAX)
    ))
    .compacting(b3::INTERVAL),
    test!("test_snapshot_unreliable_3b", 5, |lab| kv::own_keys(
        lab,
        Trial::clients(5).compacting(b3::SIZE_MAX)
    ))
    .unreliable()
    .compacting(b3::INTERVAL),
    test!("test_snapshot_unreliable_recover_3b", 5, |lab| kv::own_keys(
        lab,
        Trial::clients(5).crashes().compacting(b3::SIZE_MAX)
    ))
    .unreliable()
    .compacting(b3::INTERVAL),
    test!("test_snapshot_unreliable_recover_concurrent_partition_3b", 5, |lab| kv::own_keys(
        lab,
        Trial::clients(5).crashes().partitions().compacting(b3::SIZE_MAX)
    ))
    .unreliable()
    .compacting(b3::INTERVAL),
    test!("test_snapshot_unreliable_recover_concurrent_partition_linearizable_3b", 7, |lab| {
        kv::shared_keys(lab, Trial::clients(15).crashes().partitions().compacting(b3::SIZE_MAX))
    })
    .unreliable()
    .compacting(b3::INTERVAL),
];

impl Test {
    const fn unreliable(self) -> Self {
        Test { unreliable: true, ..self }
    }

    const fn compacting(self, snapshot_every: u64) -> Self {
        Test { snapshot_every, ..self }
    }

    /// The test of a name.
    pub fn named(name: &str) -> Option<&'static Test> {
        TESTS.iter().find(|test| test.name == name)
    }

    /// Runs it under a seed, against a Raft that may have a bug planted.
    ///
    /// # Errors
    /// What it finds wrong.
    pub fn run(&self, seed: u64, bug: Option<Bug>) -> Result<Outcome, Failure> {
        // The tests allow about ten heartbeats a second.
        let snapshot_every = self.snapshot_every;
        let options = Options { heartbeat: HEARTBEAT, snapshot_every, bug, ..Options::default() };
        let lab = Lab::new(usize::from(self.servers), self.unreliable, options, seed)?;
        let script = (self.script)(&lab);
        lab.run(script)?;
        lab.finish()
    }
}
