//! Scenarios: a simulated run as data that people can read, edit, cut down and check in.
//!
//! A seed is only a short name for a scenario: [`Scenario::generate`] draws one from it, and from
//! then on the scenario decides everything. What it still leaves to chance, such as how long each
//! message takes, is drawn from its own seed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::RngExt;
use rashomon_nemesis::{Mixture, Moment, Package, Packages, Schedule, UnknownNode};
use rashomon_stores::catalogue::Store;
use rashomon_stores::raft::ReadMode;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::churn;
use super::climate::{Climate, Kind};
use super::luck::Luck;
use super::mishap::Mishap;
use super::{Recorded, Settings, strikes, world};
use crate::campaign::plan::{self, Plan, WorkloadName};
use crate::contract::Contract;
use crate::workload::Outcome;
use crate::workload::script::{CLIENTS_MAX, Planned, Script};

/// A simulated run before it is run. Its text form is TOML; see `docs/sim.md`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The name of the store.
    pub store: String,
    /// The planted bug, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bug: Option<String>,
    /// How reads are answered.
    #[serde(default, skip_serializing_if = "plan::is_default")]
    pub reads: ReadMode,
    /// What the store is held to, if not to its own contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<Contract>,
    /// What it is known to come to: `valid`, or what a violation shows, such as `stale-read`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
    /// What the operations are a part of: it says by which model they are judged.
    pub workload: WorkloadName,
    /// Number of nodes.
    pub nodes: u16,
    /// Decides what is left to chance: latencies, losses, election timers.
    pub seed: u64,
    /// When the clients end their work and everything is healed.
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    pub time_limit: Duration,
    /// How long a client waits for one operation.
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    pub operation_timeout: Duration,
    /// What the schedule was drawn from, if from a mixture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixture: Option<Mixture>,
    /// Which fault strikes when.
    #[serde(default)]
    pub schedule: Schedule,
    /// Which client asks for what, and when.
    pub operations: Script,
    /// Whether every operation of a client begins at another node than the one before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub roam: bool,
    /// Whether faults of links strike clients too: a client reaches those nodes only that its home
    /// node exchanges messages with.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub client_links: bool,
    /// From when on what is left to chance is drawn from other seeds, if it is.
    #[serde(default, skip_serializing_if = "Luck::is_even")]
    pub luck: Luck,
    /// How unkind the world is all along.
    #[serde(default)]
    pub climate: Climate,
}

/// Why a scenario cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// Its file cannot be read.
    #[error("cannot read the scenario {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// Its file is no scenario.
    #[error("{} is no scenario", .0.display())]
    Form(PathBuf, #[source] Box<toml::de::Error>),
    /// It makes no sense.
    #[error("{} cannot be run: {}", .0.display(), .1)]
    Sense(PathBuf, Nonsense),
}

/// What makes no sense about a scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Nonsense {
    /// There are no nodes, or too many.
    #[error("`nodes` must be from 1 to {NODES_MAX}, those included that the schedule adds")]
    Nodes,
    /// It takes no time, or too much.
    #[error("`time_limit` must be more than nothing and at most an hour")]
    TimeLimit,
    /// An operation takes no time, or too much.
    #[error("`operation_timeout` must be from a millisecond to a minute")]
    Timeout,
    /// Clocks are too fast or too slow.
    #[error("`drift_ppm` must be at most {max}", max = Climate::DRIFT_PPM_MAX)]
    Drift,
    /// A fault names a node that there is none of.
    #[error(transparent)]
    Node(#[from] UnknownNode),
    /// Something happens after the end.
    #[error("`{0}` is after the time limit")]
    Late(String),
}

/// More nodes than these cannot be simulated.
pub(super) const NODES_MAX: u16 = 63;
/// The longest simulated run.
const LONGEST: Duration = Duration::from_secs(3_600);
/// How long a client waits for one operation: as in a live run, or in other seeds about as long as
/// an election takes. Clients that soon give up and ask for something else keep those leaders at
/// work that nobody follows.
const OPERATION_TIMEOUTS: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(1),
    Duration::from_millis(300),
    Duration::from_millis(100),
];

/// The streams of the seed that scenarios are drawn from; the world has others.
const TROUBLE: u64 = 100;
const OPERATIONS: u64 = 101;
const PATIENCE: u64 = 103;
const ROAMING: u64 = 104;

impl Scenario {
    /// The scenario of a seed.
    pub fn generate(seed: u64, settings: &Settings) -> Self {
        let mut rng = world::stream(seed, TROUBLE);
        let kinds = settings.nemesis.draw(&mut rng);
        let leases = settings.reads == ReadMode::Lease;
        let mut climate = Climate::draw(&kinds, leases, &mut rng);
        let cannot_lose = |store: Store| !store.outlives_disks(settings.nodes);
        if settings.store.parse().is_ok_and(cannot_lose) {
            climate.every.set(Mishap::BitRot, None);
        }
        let (time_limit, nodes) = (settings.time_limit, settings.nodes);
        let patience = world::stream(seed, PATIENCE).random_range(0..OPERATION_TIMEOUTS.len());
        let leads = settings.store.parse().is_ok_and(Store::has_leader);
        let mut schedule =
            strikes::schedule(&kinds.packages(), time_limit, (nodes, leads), &mut rng);
        if kinds.0.contains(&Kind::Membership) {
            let cuts = kinds.0.contains(&Kind::Partition);
            schedule = churn::with_churn(&schedule, time_limit, (nodes, leads), cuts, &mut rng);
        }
        let mixture = settings.swarm.then(|| mixture(seed, settings));
        if let Some(mixture) = &mixture {
            schedule = mixture.schedule(seed, time_limit, nodes);
            if mixture.weights.contains_key(&Package::Membership) {
                // Members that go would leave a minority of them sound.
                climate.every.set(Mishap::BitRot, None);
            }
        }
        if let Some(given) = &settings.schedule {
            let in_time = given.steps().iter().filter(|step| step.at <= time_limit);
            // What it leaves open is decided by its own seed, if it has one.
            let open = if given.seed() == 0 { seed } else { given.seed() };
            schedule = Schedule::new(open, in_time.cloned().collect());
        }
        Scenario {
            store: settings.store.clone(),
            bug: settings.bug.clone(),
            reads: settings.reads,
            expect: None,
            workload: settings.workload,
            nodes,
            seed,
            time_limit,
            operation_timeout: OPERATION_TIMEOUTS[patience],
            mixture,
            schedule,
            operations: operations(seed, settings),
            client_links: false,
            // Who leads is found by the word of others; where nobody does, what a client sees at one
            // node must hold at the next.
            roam: !leads && world::stream(seed, ROAMING).random_bool(0.5),
            contract: None,
            luck: Luck::default(),
            climate,
        }
    }

    /// Reads a scenario from its file.
    ///
    /// # Errors
    /// When it cannot be read or makes no sense.
    pub fn read(path: &Path) -> Result<Self, ScenarioError> {
        let at = || path.to_owned();
        let text = fs::read_to_string(path).map_err(|error| ScenarioError::Read(at(), error))?;
        let scenario: Scenario =
            toml::from_str(&text).map_err(|error| ScenarioError::Form(at(), Box::new(error)))?;
        scenario.check().map_err(|wrong| ScenarioError::Sense(at(), wrong))?;
        Ok(scenario)
    }

    /// Whether it makes sense.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self) -> Result<(), Nonsense> {
        if self.nodes < 1 || self.schedule.last_added(self.nodes) > NODES_MAX {
            return Err(Nonsense::Nodes);
        }
        if self.time_limit.is_zero() || self.time_limit > LONGEST {
            return Err(Nonsense::TimeLimit);
        }
        let timeout = self.operation_timeout;
        if !(Duration::from_millis(1)..=Duration::from_secs(60)).contains(&timeout) {
            return Err(Nonsense::Timeout);
        }
        if self.climate.drift_ppm > Climate::DRIFT_PPM_MAX {
            return Err(Nonsense::Drift);
        }
        self.schedule.check(self.nodes)?;
        let step = self.schedule.steps().iter().find(|step| step.at > self.time_limit);
        let planned = self.operations.operations().iter().find(|op| op.at > self.time_limit);
        match (step.map(ToString::to_string), planned.map(ToString::to_string)) {
            (Some(late), _) | (_, Some(late)) => Err(Nonsense::Late(late)),
            (None, None) => Ok(()),
        }
    }

    /// The text of its file.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("a scenario is a table of tables and values")
    }

    /// The same run in so many words: only the operations that were begun, and faults on the nodes
    /// that they struck.
    pub fn resolved(&self, recorded: &Recorded) -> Self {
        let operations = self.operations.operations();
        let begun = recorded.begun.iter().map(|place| operations[*place].clone()).collect();
        Scenario {
            operations: Script::new(begun),
            schedule: Schedule::new(0, recorded.struck.clone()),
            ..self.clone()
        }
    }

    /// What the store is held to.
    pub fn contract(&self) -> Contract {
        plan::contract(self.contract.as_ref(), &self.store, self.nodes)
    }

    /// The plan that a live run of this would have; it is what the judge goes by.
    pub fn plan(&self) -> Plan {
        let packages = self.schedule.steps().iter().filter_map(|step| Package::of(&step.fault));
        let time_limit_s = self.time_limit.as_secs_f64();
        Plan {
            version: env!("CARGO_PKG_VERSION").into(),
            seed: self.seed,
            store: self.store.clone(),
            bug: self.bug.clone(),
            reads: self.reads,
            election: None,
            nodes: self.nodes,
            concurrency: self.operations.clients(),
            rate: self.operations.operations().len() as f64 / time_limit_s,
            time_limit_s,
            operation_timeout_ms: self.operation_timeout.as_millis() as u64,
            trace_nodes: false,
            workload: self.workload,
            operations: None,
            client_links: self.client_links,
            roam: self.roam,
            contract: self.contract.clone(),
            nemesis: Packages(packages.collect()),
            mixture: self.mixture.clone(),
            schedule: self.schedule.clone(),
        }
    }
}

/// The mixture of a live run of a seed.
fn mixture(seed: u64, settings: &Settings) -> Mixture {
    let store = settings.store.parse().unwrap_or_default();
    Mixture::draw(&plan::mixed_packages(store, settings.reads == ReadMode::Lease), seed)
}

/// The operations of a seed: the workload's, at the rate asked for, by all clients in turn.
///
/// Nobody knows yet how they will end, so the workload is told that all go well: a compare-and-set
/// expects what was asked to be written last, and fails where that was not. Gaps vary between
/// nothing and twice their mean, so that clients meet in ever new ways. In some seeds operations
/// come in bursts with silence between, at the same rate over all: within a burst a read follows a
/// write at once, and in the silence clients are free and disks have nothing but elections to write.
/// In some, every other client only reads: where nobody can write, it is not kept from looking. And in
/// some, most operations are reads: logs stand still then, and who missed a leader can still be elected.
fn operations(seed: u64, settings: &Settings) -> Script {
    let mut rng = world::stream(seed, OPERATIONS);
    let mut workload = settings.workload.build();
    let clients = settings.concurrency.clamp(1, CLIENTS_MAX);
    let gap_us = (1e6 / settings.rate) as u64;
    let (burst, haste) = [(1, 1), (1, 1), (10, 10), (40, 10)][rng.random_range(0..4)];
    let readers = rng.random_bool(0.5);
    let quiet = rng.random_range(0..3) == 0;
    let (mut at, mut operations) = (Duration::ZERO, Vec::new());
    for (number, client) in (0..clients).cycle().enumerate() {
        let gap = rng.random_range(0..=2 * gap_us / haste);
        let silence = if number % burst == 0 { gap * (haste - 1) * burst as u64 } else { 0 };
        at += Duration::from_micros(gap + silence);
        if at >= settings.time_limit {
            break;
        }
        let mut request = workload.next(&mut rng);
        if readers && client % 2 == 1 || quiet && rng.random_range(0..10) > 0 {
            request.action = request.action.reader();
        }
        workload.observe(&request, &Outcome::Ok(request.action.argument()));
        operations.push(Planned { at, client, request });
    }
    Script::new(operations)
}

fn write_time<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    Moment(*time).serialize(serializer)
}

fn read_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Moment::deserialize(deserializer).map(|moment| moment.0)
}
