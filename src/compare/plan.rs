//! The plan of a comparison: what every contestant gets.

use std::time::Duration;

use rashomon_nemesis::{Packages, Schedule, Step};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::contestant::Contestant;
use crate::campaign::plan::{Plan, WorkloadName};
use crate::contract::Contract;
use crate::sim::climate::Climate;
use crate::sim::{Scenario, Settings};

/// Live or simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Manner {
    /// Processes, sockets and disks of this machine.
    Live,
    /// Virtual time: the same bytes every time.
    Sim,
}

impl Manner {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Manner::Live => "live",
            Manner::Sim => "simulated",
        }
    }
}

/// What is the same for all.
#[derive(Clone, Debug, Serialize)]
pub struct Common {
    /// What clients do.
    pub workload: WorkloadName,
    /// The kinds of fault.
    pub nemesis: Packages,
    /// The faults of every run, if they are not drawn from its seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// Whether every operation of a client begins at another node than the one before.
    pub roam: bool,
    /// Number of nodes, of stores that have several.
    pub nodes: u16,
    /// Number of clients.
    pub concurrency: u16,
    /// Operations per second, all clients together.
    pub rate: f64,
    /// How long clients work, in seconds.
    pub time_limit_s: f64,
    /// How long a client waits for one operation, in milliseconds.
    pub operation_timeout_ms: u64,
    /// The seed of the first run; each further run has the next.
    pub seed: u64,
    /// How many runs each contestant has.
    pub runs: u64,
}

impl Common {
    /// The seeds of the runs.
    pub fn seeds(&self) -> impl Iterator<Item = u64> + use<> {
        let first = self.seed;
        (0..self.runs).map(move |number| first.wrapping_add(number))
    }

    /// The run of a seed before anybody is chosen for it. Links between clients and nodes break with
    /// those between nodes: else no client would be on the side of a minority. Clients that go from
    /// node to node are on no side.
    pub fn scenario(&self, seed: u64) -> Scenario {
        let time_limit = Duration::from_secs_f64(self.time_limit_s);
        let drawn = || Schedule::generate(&self.nemesis, seed, time_limit, self.nodes);
        let settings = Settings {
            store: String::new(),
            bug: None,
            reads: Default::default(),
            workload: self.workload,
            nemesis: Default::default(),
            schedule: Some(self.schedule.clone().unwrap_or_else(drawn)),
            swarm: false,
            nodes: self.nodes,
            concurrency: self.concurrency,
            rate: self.rate,
            time_limit,
        };
        Scenario {
            operation_timeout: Duration::from_millis(self.operation_timeout_ms),
            client_links: !self.roam,
            roam: self.roam,
            climate: Climate::FAIR,
            ..Scenario::generate(seed, &settings)
        }
    }

    /// The same for a contestant.
    pub fn scenario_of(
        &self,
        contestant: Contestant,
        expect: Option<&Contract>,
        seed: u64,
    ) -> Scenario {
        let scenario = self.scenario(seed);
        let nodes = contestant.nodes(self.nodes);
        // What names nodes that a store of one node does not have cannot strike it.
        let can_strike = |step: &Step| Schedule::new(0, vec![step.clone()]).check(nodes).is_ok();
        let steps = scenario.schedule.steps().iter().filter(|step| can_strike(step)).cloned();
        Scenario {
            store: contestant.store.to_string(),
            reads: contestant.reads,
            contract: expect.cloned().or_else(|| contestant.contract()),
            nodes,
            schedule: Schedule::new(scenario.schedule.seed(), steps.collect()),
            ..scenario
        }
    }

    /// The same for a live run.
    pub fn plan_of(&self, contestant: Contestant, expect: Option<&Contract>, seed: u64) -> Plan {
        let scenario = self.scenario_of(contestant, expect, seed);
        let plan = scenario.plan();
        Plan {
            rate: self.rate,
            concurrency: self.concurrency,
            mixture: None,
            nemesis: self.nemesis.clone(),
            operations: Some(scenario.operations),
            ..plan
        }
    }

    /// A short name of all operations and faults: who has the same one compared the same.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for seed in self.seeds() {
            let Scenario { operations, schedule, .. } = self.scenario(seed);
            hash.update(format!("{schedule}\n{operations}\n"));
        }
        hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn common() -> Common {
        Common {
            workload: WorkloadName::Register,
            nemesis: "partition,kill".parse().expect("both are known"),
            schedule: None,
            roam: false,
            nodes: 5,
            concurrency: 10,
            rate: 100.0,
            time_limit_s: 20.0,
            operation_timeout_ms: 1_000,
            seed: 7,
            runs: 2,
        }
    }

    #[test]
    fn every_contestant_gets_the_same() {
        let common = common();
        let of = |name: &str| common.scenario_of(name.parse().expect(name), None, 7);
        let (raft, eventual, single) = (of("raft"), of("eventual:r=2"), of("single"));
        assert_eq!(raft.operations, eventual.operations);
        assert_eq!(raft.operations, single.operations);
        assert_eq!(raft.schedule, eventual.schedule);
        assert!(!raft.schedule.steps().is_empty() && raft.client_links);
        assert_eq!((raft.nodes, single.nodes), (5, 1));
        assert_eq!(single.check(), Ok(()));
        let live = common.plan_of("eventual:r=2".parse().expect("a store"), None, 7);
        assert_eq!(live.operations, Some(raft.operations));
        assert_eq!(live.schedule, raft.schedule);
    }

    #[test]
    fn what_names_a_node_that_is_not_there_is_left_out() {
        let steps = "seed 1; at 1s kill n4; at 2s kill random 1; at 3s restart";
        let schedule = Some(steps.parse().expect("a schedule"));
        let common = Common { schedule, ..common() };
        let of = |name: &str| common.scenario_of(name.parse().expect(name), None, 7).schedule;
        assert_eq!((of("raft").steps().len(), of("single").steps().len()), (3, 2));
    }

    #[test]
    fn the_digest_names_operations_and_faults() {
        let digest = common().digest();
        assert_eq!(digest.len(), 12);
        assert_eq!(digest, common().digest());
        for other in [
            Common { seed: 8, ..common() },
            Common { runs: 3, ..common() },
            Common { nemesis: "kill".parse().expect("it is known"), ..common() },
            Common { rate: 99.0, ..common() },
        ] {
            assert_ne!(digest, other.digest());
        }
    }
}
