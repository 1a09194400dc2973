//! The simulator: the protocol cores, clients and faults of a live run in a world of virtual time,
//! where one seed decides everything that happens and replays it exactly.
//!
//! | module | what it is |
//! |---|---|
//! | [`scenario`] | a run as data: what a seed stands for, and what people can read and edit |
//! | [`climate`] | swarm testing: which trouble a seed has, and how much |
//! | [`mishap`] | what befalls single nodes, and how often |
//! | [`system`] | what can be simulated: the project's stores, or any core |
//! | `world` | the host of the cores: events, network, disks, clocks |
//! | `client`, `conductor`, `operator`, `run` | clients, nemesis, who changes the members, and a run from beginning to end |
//! | `cuts` | snapshots of the whole, and when they are taken |
//! | `churn` | when members come and go |
//! | [`witness`], [`invariants`] | what is checked of the cores while a run goes on |
//! | [`verdict`] | one run, from scenario to verdict |
//! | [`shrink`] | from a run with a violation to the smallest that shows the same |
//! | [`explore`] | many seeds, on all cores |
//! | [`luck`] | runs that are others from some time on |
//! | [`situations`], [`guided`] | which situations runs get into, and schedules bred to reach new ones |
//! | [`labs`] | the lab tests of MIT's course, in this world |
//!
//! Nothing real leaks in: no clock, no thread within a run, no order that depends on addresses or
//! hashes, no floating-point function that differs between machines. A seed run twice leaves the
//! same bytes.

mod churn;
mod client;
pub mod climate;
mod clock;
mod conductor;
mod cuts;
mod disk;
pub mod explore;
mod guard;
pub mod guided;
pub mod invariants;
pub mod labs;
pub mod luck;
pub mod mishap;
mod network;
mod operator;
mod queue;
mod run;
pub mod scenario;
pub mod shrink;
pub mod situations;
mod story;
mod strikes;
pub mod system;
#[cfg(test)]
mod tests;
mod tuning;
pub mod verdict;
pub mod witness;
mod world;

use std::time::Duration;

use rashomon_nemesis::Schedule;
use rashomon_stores::raft::ReadMode;

use crate::campaign::plan::{self, WorkloadName};
use climate::Kinds;

pub use cuts::Snapshots;
pub use network::Traffic;
pub use run::{Recorded, Telling};
pub use scenario::Scenario;
pub use system::{Stores, Subject, System};
pub use world::Hardship;

/// What a user asks of the simulator, for any number of seeds: [`Scenario::generate`] makes a
/// scenario of it and a seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The name of the store under test.
    pub store: String,
    /// The planted bug, if any.
    pub bug: Option<String>,
    /// How reads are answered.
    pub reads: ReadMode,
    /// What the clients do.
    pub workload: WorkloadName,
    /// The kinds of trouble that a seed may have.
    pub nemesis: Kinds,
    /// Which fault strikes when, if not every seed is to draw that; what is after the time limit
    /// does not strike.
    pub schedule: Option<Schedule>,
    /// Whether every seed's schedule is that of a live run of a [`Mixture`](rashomon_nemesis::Mixture)
    /// of its own.
    pub swarm: bool,
    /// Number of nodes.
    pub nodes: u16,
    /// Number of clients that work at the same time.
    pub concurrency: u16,
    /// Operations per second, all clients together.
    pub rate: f64,
    /// How long the clients work, in the world's time.
    pub time_limit: Duration,
}

impl Settings {
    /// The command that replays a seed, exactly.
    pub fn command(&self, seed: u64) -> String {
        let mut command = format!(
            "rashomon sim --store {} --workload {} --nemesis {} --nodes {} --concurrency {} \
             --rate {} --time-limit {}s --seed {seed}",
            self.store,
            self.workload,
            if self.swarm { "swarm".to_owned() } else { self.nemesis.to_string() },
            self.nodes,
            self.concurrency,
            self.rate,
            self.time_limit.as_secs_f64(),
        );
        command += &plan::reads_argument(self.reads);
        if let Some(schedule) = &self.schedule {
            let steps: Vec<String> = schedule.steps().iter().map(ToString::to_string).collect();
            let seed = match schedule.seed() {
                0 => String::new(),
                seed => format!("seed {seed}; "),
            };
            command += &format!(" --schedule '{seed}{}'", steps.join("; "));
        }
        if let Some(bug) = &self.bug {
            command += &format!(" --bug {bug}");
        }
        command
    }
}
