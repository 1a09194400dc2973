//! Heartbeats of Raft in Rashomon's simulator.

use std::error::Error;
use std::time::Duration;

use rashomon::campaign::plan::WorkloadName;
use rashomon::sim::climate::Kinds;
use rashomon::sim::invariants::RaftWitness;
use rashomon::sim::{Scenario, Settings, Subject, System, Telling};
use rashomon_stores::raft::{Options, Raft, ReadMode};

use crate::{HEARTBEAT, NODES};

struct Heartbeats;

impl Subject for Heartbeats {
    type Core = Raft;
    type Witness = RaftWitness;

    fn options(&self) -> Options {
        Options { heartbeat: HEARTBEAT, ..Options::default() }
    }

    fn witness(&self) -> RaftWitness {
        RaftWitness::default()
    }
}

/// Simulates so much virtual time, and says how many messages were sent.
pub(crate) fn simulate(time: Duration) -> Result<u64, Box<dyn Error>> {
    let settings = Settings {
        store: "raft".into(),
        bug: None,
        reads: ReadMode::default(),
        workload: WorkloadName::Register,
        nemesis: Kinds::default(),
        schedule: None,
        swarm: false,
        nodes: NODES,
        concurrency: 1,
        // Next to nothing beside the heartbeats.
        rate: 0.1,
        time_limit: time,
    };
    let recorded = Heartbeats.simulate(&Scenario::generate(1, &settings), Telling::NOTHING)?;
    Ok(recorded.traffic.delivered)
}
