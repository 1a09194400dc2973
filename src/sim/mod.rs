//! The simulator: the protocol cores, clients and faults of a live run in a world of virtual time,
//! where one seed decides everything that happens and replays it exactly.
//!
//! | module | what it is |
//! |---|---|
//! | [`climate`] | swarm testing: which trouble a seed has, and how much |
//! | `world` | the host of the cores: events, network, disks, clocks |
//! | `client`, `conductor`, `run` | clients and nemesis, and a run from beginning to end |
//! | [`witness`], [`invariants`] | what is checked of the cores while a run goes on |
//! | [`verdict`] | one seed, from plan to verdict |
//! | [`explore`] | many seeds, on all cores |
//! | [`labs`] | the lab tests of MIT's course, in this world |
//!
//! Nothing real leaks in: no clock, no thread within a run, no order that depends on addresses or
//! hashes, no floating-point function that differs between machines. A seed run twice leaves the
//! same bytes.

mod client;
pub mod climate;
mod clock;
mod conductor;
mod disk;
pub mod explore;
pub mod invariants;
pub mod labs;
mod network;
mod queue;
mod run;
mod story;
#[cfg(test)]
mod tests;
mod tuning;
pub mod verdict;
pub mod witness;
mod world;

use std::time::Duration;

use rashomon_stores::catalogue::{Store, UnknownName};
use rashomon_stores::replica::RecoverError;

use crate::campaign::plan::{Plan, WorkloadName};
use climate::{Climate, Kinds};

pub use network::Traffic;
pub use run::Recorded;
pub use world::Hardship;

/// What a user asks of the simulator, for any number of seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The store under test.
    pub store: Store,
    /// The planted bug, if any.
    pub bug: Option<String>,
    /// What the clients do.
    pub workload: WorkloadName,
    /// The kinds of trouble that a seed may have.
    pub nemesis: Kinds,
    /// Number of nodes.
    pub nodes: u16,
    /// Number of clients that work at the same time.
    pub concurrency: u16,
    /// Operations per second, all clients together.
    pub rate: f64,
    /// How long the clients work, in the world's time.
    pub time_limit: Duration,
}

/// The plan of a simulated run: that of a live one, and what only a simulated world has.
#[derive(Clone, Debug, PartialEq)]
pub struct SimPlan {
    /// What a live run would have.
    pub plan: Plan,
    /// How unkind the world is all along.
    pub climate: Climate,
    /// The kinds of trouble that this seed has.
    pub kinds: Kinds,
}

/// How long a client waits for one operation, as in a live run.
const OPERATION_TIMEOUT_MS: u64 = 1_000;

/// The stream of the seed that plans are drawn from; the world has others.
const PLAN: u64 = 100;

/// The stream of the seed that the nodes' settings are drawn from.
const TUNING: u64 = 101;

impl Settings {
    /// The plan of a seed.
    pub fn plan(&self, seed: u64) -> SimPlan {
        let mut rng = world::stream(seed, PLAN);
        let kinds = self.nemesis.draw(&mut rng);
        let climate = Climate::draw(&kinds, &mut rng);
        let packages = kinds.packages();
        let schedule = climate::schedule(&packages, self.time_limit, self.nodes, &mut rng);
        let plan = Plan {
            version: env!("CARGO_PKG_VERSION").into(),
            seed,
            store: self.store,
            bug: self.bug.clone(),
            nodes: self.nodes,
            concurrency: self.concurrency,
            rate: self.rate,
            time_limit_s: self.time_limit.as_secs_f64(),
            operation_timeout_ms: OPERATION_TIMEOUT_MS,
            workload: self.workload,
            nemesis: packages,
            schedule,
        };
        SimPlan { plan, climate, kinds }
    }

    /// The command that replays a seed, exactly.
    pub fn command(&self, seed: u64) -> String {
        let mut command = format!(
            "rashomon sim --store {} --workload {} --nemesis {} --nodes {} --concurrency {} \
             --rate {} --time-limit {}s --seed {seed}",
            self.store,
            self.workload,
            self.nemesis,
            self.nodes,
            self.concurrency,
            self.rate,
            self.time_limit.as_secs_f64(),
        );
        if let Some(bug) = &self.bug {
            command += &format!(" --bug {bug}");
        }
        command
    }
}

/// Why a run could not be simulated to its end.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The store has no such bug.
    #[error(transparent)]
    Bug(#[from] UnknownName),
    /// A core did not understand what it had itself written.
    #[error("a node could not start again")]
    Recover(#[from] RecoverError),
}

/// Simulates a run; tells its story if asked to.
///
/// # Errors
/// When the store has no such bug, or a core cannot make sense of its own disk.
pub fn simulate(plan: &SimPlan, told: bool) -> Result<Recorded, SimError> {
    match plan.plan.store {
        Store::Raft => {
            let bug = plan.plan.bug.as_deref().map(str::parse).transpose()?;
            let options = tuning::raft(bug, &mut world::stream(plan.plan.seed, TUNING));
            let witness = invariants::RaftWitness::default();
            Ok(run::Run::new(plan, options, witness, told).complete()?)
        }
    }
}
