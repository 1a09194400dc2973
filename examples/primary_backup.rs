//! A store of one's own in the simulator: `cargo run --example primary_backup`.
//!
//! The store is the naive primary–backup: `n1` takes every write, answers as soon as it has it on
//! its own disk, and tells the others in the background; every node answers reads. It is written
//! against [`rashomon_stores::replica`] alone, simulated, caught and shrunk.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use rashomon::campaign::plan::WorkloadName;
use rashomon::sim::explore::{Manner, explore_of};
use rashomon::sim::shrink::{Shrunk, Size, shrink};
use rashomon::sim::witness::NoWitness;
use rashomon::sim::{Settings, Subject};
use rashomon_stores::kv::Store;
use rashomon_stores::replica::{
    Effects, Input, NodeId, RecoverError, Refusal, Replica, Request, Role, Setup, Slot, Status,
    Time, Write,
};
use serde::{Deserialize, Serialize};

/// Everything a node knows, and how many writes that took.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Copy {
    version: u64,
    store: Store,
}

/// One node.
#[derive(Clone, Debug)]
pub(crate) struct PrimaryBackup {
    setup: Setup,
    copy: Copy,
}

const PRIMARY: NodeId = NodeId(1);
const PLACE: Slot = Slot::Numbered(0, 0);
/// How often the primary tells the others, in case they missed something.
const REMINDER: Duration = Duration::from_millis(50);

impl PrimaryBackup {
    fn tell_the_others(&self, out: &mut Effects<Self>) {
        for other in self.setup.members.iter().filter(|id| **id != PRIMARY) {
            out.send(*other, self.copy.clone());
        }
    }

    fn keep(&self, out: &mut Effects<Self>) {
        out.persist(vec![Write::Put(PLACE, self.copy.clone())]);
    }
}

impl Replica for PrimaryBackup {
    type Message = Copy;
    type Record = Copy;
    type Timer = ();
    type Note = String;
    type Options = ();

    fn recover(
        setup: Setup,
        (): (),
        disk: Vec<(Slot, Copy)>,
        now: Time,
        out: &mut Effects<Self>,
    ) -> Result<Self, RecoverError> {
        if setup.id == PRIMARY {
            out.set_timer((), now + REMINDER);
        }
        let copy = disk.into_iter().next().map(|(_, copy)| copy).unwrap_or_default();
        Ok(PrimaryBackup { setup, copy })
    }

    fn step(&mut self, now: Time, input: Input<Self>, out: &mut Effects<Self>) {
        match input {
            Input::Message { message, .. } if message.version > self.copy.version => {
                self.copy = message;
                self.keep(out);
            }
            Input::Request { id, request: Request::Read(key) } => {
                out.reply(id, Ok(rashomon_stores::kv::Output::Value(self.copy.store.get(&key))));
            }
            Input::Request { id, request: Request::Write(_) } if self.setup.id != PRIMARY => {
                out.reply(id, Err(Refusal::NotLeader { leader: Some(PRIMARY) }));
            }
            Input::Request { id, request: Request::Write(command) } => {
                let output = self.copy.store.apply(&command);
                self.copy.version += 1;
                self.keep(out);
                out.reply(id, Ok(output));
                self.tell_the_others(out);
            }
            Input::Timer(()) => {
                self.tell_the_others(out);
                out.set_timer((), now + REMINDER);
            }
            Input::Request { id, request: Request::Admin(_) } => {
                out.reply(id, Err(Refusal::Inapplicable { why: "the members are fixed".into() }));
            }
            Input::Request { id, request: Request::Causal { .. } } => {
                out.reply(id, Err(Refusal::no_contexts()));
            }
            Input::Message { .. } | Input::Stored(_) => {}
        }
    }

    fn status(&self) -> Status {
        let Copy { version, .. } = self.copy;
        Status {
            id: self.setup.id,
            role: if self.setup.id == PRIMARY { Role::Leader } else { Role::Follower },
            term: 1,
            leader: Some(PRIMARY),
            last_index: version,
            commit_index: version,
            applied_index: version,
            elections_started: 0,
            elections_won: 0,
            leader_changes: 0,
            writes_proposed: version,
            reads_served: 0,
            digest: 0,
            voters: self.setup.members.clone(),
            learners: Vec::new(),
            snapshot_index: 0,
        }
    }
}

/// The store as something to be simulated.
#[derive(Debug)]
pub(crate) struct Naive;

impl Subject for Naive {
    type Core = PrimaryBackup;
    type Witness = NoWitness;

    fn options(&self) {}

    fn witness(&self) -> NoWitness {
        NoWitness
    }
}

/// Looks for a seed with a violation, and shrinks it.
pub(crate) fn hunt() -> Result<Shrunk, Box<dyn std::error::Error>> {
    let settings = Settings {
        store: "primary-backup".into(),
        bug: None,
        reads: Default::default(),
        workload: WorkloadName::Register,
        nemesis: "all".parse()?,
        schedule: None,
        swarm: false,
        nodes: 3,
        concurrency: 6,
        rate: 100.0,
        time_limit: Duration::from_secs(10),
    };
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let manner = Manner { jobs: 2, keep_going: false, stop: &stop, done: &done };
    let found = explore_of(&Naive, &settings, 1..=100, manner)?;
    let first = found.first.ok_or("no violation in a hundred seeds")?;
    println!("seed {}: {}\n", first.seed, first.judged.results.why);
    Ok(shrink(&Naive, first.scenario, 5_000)?.ok_or("the same seed again shows no violation")?)
}

/// Tells what was found.
pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let shrunk = hunt()?;
    let (from, to) = (shrunk.from, Size::of(&shrunk.run.scenario));
    println!("shrunk from {} operations and {} faults", from.operations, from.faults);
    println!("         to {} operations and {} faults:\n", to.operations, to.faults);
    println!("{}", shrunk.run.scenario.to_toml());
    println!("{}", shrunk.run.judged.results.why);
    Ok(())
}
