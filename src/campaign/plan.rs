//! The plan of a run: every choice resolved, so that the run can be read about and repeated.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use clap::ValueEnum;
use rashomon_nemesis::{Mixture, Package, Packages, Schedule};
use rashomon_stores::catalogue::Store;
use rashomon_stores::node::Timing;
use rashomon_stores::raft::ReadMode;
use serde::{Deserialize, Serialize};

use crate::contract::Contract;
use crate::workload::script::Script;

/// What a run does, fully resolved; written to `plan.toml` in the run's directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The version of Rashomon that made the plan.
    pub version: String,
    /// Seed of the schedule, the operations and the nodes' election timers.
    pub seed: u64,
    /// The name of the store under test.
    pub store: String,
    /// The planted bug, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bug: Option<String>,
    /// How the store answers reads.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reads: ReadMode,
    /// How long live nodes wait for a leader, if not as long as they do by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub election: Option<Election>,
    /// What the store is held to, if not to its own contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<Contract>,
    /// Number of nodes.
    pub nodes: u16,
    /// Number of clients that work at the same time.
    pub concurrency: u16,
    /// Operations per second, all clients together.
    pub rate: f64,
    /// How long the clients work, in seconds.
    pub time_limit_s: f64,
    /// How long a client waits for one operation, in milliseconds.
    pub operation_timeout_ms: u64,
    /// Whether every operation of a client begins at another node than the one before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub roam: bool,
    /// What the clients do.
    pub workload: WorkloadName,
    /// Which client asks for what, and when; if not given, every free client asks for what the
    /// workload has next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations: Option<Script>,
    /// Whether faults of links strike clients too: a client reaches those nodes only that its home
    /// node exchanges messages with.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub client_links: bool,
    /// Whether the nodes leave traces.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trace_nodes: bool,
    /// The kinds of fault.
    pub nemesis: Packages,
    /// How much of each, if the schedule was drawn from a mixture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixture: Option<Mixture>,
    /// Which fault strikes when.
    pub schedule: Schedule,
}

/// The range that live nodes draw their election time-outs from, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Election {
    /// The least.
    pub min_ms: u64,
    /// The most.
    pub max_ms: u64,
}

impl Election {
    /// The bounds of both, in milliseconds: with less nobody leads for long on a busy machine, with more
    /// a run may end before anybody does.
    pub const BOUNDS_MS: RangeInclusive<u64> = 50..=10_000;

    /// The time-outs of a node. Leaders are heard as often as usual, or five times within the least
    /// time-out if that is more often.
    pub fn timing(self) -> Timing {
        let usual = Timing::default();
        Timing {
            heartbeat_ms: usual.heartbeat_ms.min(self.min_ms / 5),
            election_min_ms: self.min_ms,
            election_max_ms: self.max_ms,
            ..usual
        }
    }
}

impl fmt::Display for Election {
    /// As on the command line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms..{}ms", self.min_ms, self.max_ms)
    }
}

/// A contract that is asked for, or the store's own.
pub(crate) fn contract(asked: Option<&Contract>, store: &str, nodes: u16) -> Contract {
    match asked {
        Some(contract) => contract.asked_of(store, nodes),
        None => Contract::of(store, nodes),
    }
}

/// Whether reads are answered as usual, which need not be said.
pub(crate) fn is_default(reads: &ReadMode) -> bool {
    *reads == ReadMode::default()
}

/// The packages that mixtures are drawn of: a store of one node has no links, members of some never
/// change, and leases count on clocks.
pub(crate) fn mixed_packages(store: Store, leases: bool) -> Packages {
    let fits = |package: &Package| match package {
        Package::Partition | Package::Link => !store.is_alone(),
        Package::Membership => store.changes_members(),
        Package::Clock => !leases,
        _ => true,
    };
    Packages(Package::ALL.into_iter().filter(fits).collect())
}

/// ` --reads lease`, or nothing if reads are answered as usual.
pub(crate) fn reads_argument(reads: ReadMode) -> String {
    if is_default(&reads) { String::new() } else { format!(" --reads {reads}") }
}

impl Plan {
    /// What the store is held to.
    pub fn contract(&self) -> Contract {
        contract(self.contract.as_ref(), &self.store, self.nodes)
    }

    /// The faults as they are asked for: by their kinds, if that gives this schedule.
    fn faults(&self) -> String {
        let time_limit = Duration::from_secs_f64(self.time_limit_s);
        if let (Some(mixture), Ok(store)) = (&self.mixture, self.store.parse()) {
            let packages = mixed_packages(store, self.reads == ReadMode::Lease);
            let is_drawn = Mixture::draw(&packages, self.seed) == *mixture;
            if is_drawn && mixture.schedule(self.seed, time_limit, self.nodes) == self.schedule {
                return "--nemesis swarm".to_owned();
            }
        }
        let drawn = Schedule::generate(&self.nemesis, self.seed, time_limit, self.nodes);
        if drawn == self.schedule {
            return format!("--nemesis {}", self.nemesis);
        }
        let steps: Vec<String> = self.schedule.steps().iter().map(ToString::to_string).collect();
        format!("--schedule 'seed {}; {}'", self.schedule.seed(), steps.join("; "))
    }

    /// The command that repeats this run. A run of real processes is never the same twice; what is
    /// the same are its operations, its faults and their times.
    pub fn command(&self) -> String {
        let mut command = format!(
            "rashomon test --store {} --workload {} {} --nodes {} --concurrency {} \
             --rate {} --time-limit {}s --seed {}",
            self.store,
            self.workload,
            self.faults(),
            self.nodes,
            self.concurrency,
            self.rate,
            self.time_limit_s,
            self.seed,
        );
        command += &reads_argument(self.reads);
        if let Some(election) = self.election {
            command += &format!(" --election {election}");
        }
        if let Some(bug) = &self.bug {
            command += &format!(" --bug {bug}");
        }
        if self.trace_nodes {
            command += " --trace-nodes";
        }
        command
    }
}

/// What the clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum WorkloadName {
    /// Reads, writes and compare-and-sets of registers.
    Register,
    /// The same, and deletes.
    Delete,
    /// Appends to lists, and reads of them.
    Append,
    /// Additions to sets that only grow, and reads of them.
    Set,
    /// Additions to counters, and reads of them.
    Counter,
}

impl fmt::Display for WorkloadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().expect("no workload is hidden").get_name())
    }
}
