//! Single: one node, one map, one command at a time: the baseline that every other number is
//! compared with.
//!
//! There is nobody to agree with, so all that is left of the work is the disk. Every command is
//! written to a log before its client hears of it (write-ahead logging: Mohan et al., "ARIES", TODS
//! 1992, without the undo, because a command is executed whole), and now and then the state takes
//! the place of the log before it, so that a start reads no more than one state and a bounded
//! number of commands.
//!
//! A command is executed before it is on the disk, so that the next ones need not wait for it. What
//! it did may be lost in a crash until then; therefore no answer leaves the node, of a read either,
//! before everything is durable that was executed before it.

use serde::{Deserialize, Serialize};

use crate::kv::{Command, Output, Store};
use crate::replica::{
    Admin, Effects, Input, NodeId, RecoverError, Refusal, Replica, Request, Setup, Slot, Status,
    Time, Write,
};

/// The settings of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// After how many commands the state takes the place of the log.
    pub snapshot_every: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options { snapshot_every: 10_000 }
    }
}

/// What the node writes to its disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// The state after the command of a number.
    Snapshot {
        /// The number.
        last: u64,
        /// The state.
        state: Store,
    },
    /// A command.
    Command(Command),
}

const SNAPSHOT: Slot = Slot::Numbered(0, 0);

/// Where the command of a number lies.
fn slot(number: u64) -> Slot {
    Slot::Numbered(1, number)
}

/// The node.
#[derive(Clone, Debug)]
pub struct Single {
    id: NodeId,
    options: Options,
    store: Store,
    /// The number of the last command.
    last: u64,
    /// The last command that the snapshot covers.
    covered: u64,
    writes: u64,
    reads: u64,
}

/// What never happens here: the node has no peers to hear from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {}

/// What never happens here: nothing is done by the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {}

/// What the node tells whoever watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The state took the place of the log.
    Compacted {
        /// The last command that it covers.
        last: u64,
    },
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Note::Compacted { last } = self;
        write!(f, "puts its state in the place of the commands up to {last}")
    }
}

impl Replica for Single {
    type Message = Message;
    type Record = Record;
    type Timer = Timer;
    type Note = Note;
    type Options = Options;

    fn recover(
        setup: Setup,
        options: Options,
        disk: Vec<(Slot, Record)>,
        _now: Time,
        _out: &mut Effects<Self>,
    ) -> Result<Self, RecoverError> {
        if setup.members != [setup.id] {
            return Err(RecoverError("a node of this store is alone".into()));
        }
        let (store, last, covered) = read_disk(disk)?;
        Ok(Single { id: setup.id, options, store, last, covered, writes: 0, reads: 0 })
    }

    fn step(&mut self, _now: Time, input: Input<Self>, out: &mut Effects<Self>) {
        match input {
            Input::Request { id, request: Request::Read(key) } => {
                self.reads += 1;
                out.reply(id, Ok(Output::Value(self.store.get(&key))));
            }
            Input::Request { id, request: Request::Write(command) } => {
                let output = self.execute(command, out);
                out.reply(id, Ok(output));
            }
            Input::Request { id, request: Request::Admin(order) } => {
                out.reply_at_once(id, Err(refusal(&order)));
            }
            Input::Request { id, request: Request::Causal { .. } } => {
                out.reply_at_once(id, Err(Refusal::no_contexts()));
            }
            Input::Message { message, .. } => match message {},
            Input::Timer(timer) => match timer {},
            Input::Stored(_) => {}
        }
    }

    fn status(&self) -> Status {
        Status {
            voters: vec![self.id],
            snapshot_index: self.covered,
            last_index: self.last,
            commit_index: self.last,
            applied_index: self.last,
            writes_proposed: self.writes,
            reads_served: self.reads,
            ..Status::of_peer(self.id)
        }
    }
}

impl Single {
    /// Executes a command and begins to write it down.
    fn execute(&mut self, command: Command, out: &mut Effects<Self>) -> Output {
        let output = self.store.apply(&command);
        self.last += 1;
        self.writes += 1;
        out.persist(vec![Write::Put(slot(self.last), Record::Command(command))]);
        if self.last - self.covered >= self.options.snapshot_every {
            self.compact(out);
        }
        output
    }

    fn compact(&mut self, out: &mut Effects<Self>) {
        let snapshot = Record::Snapshot { last: self.last, state: self.store.clone() };
        let erase = Write::Erase(slot(self.covered + 1), slot(self.last));
        out.persist(vec![Write::Put(SNAPSHOT, snapshot), erase]);
        self.covered = self.last;
        out.note(Note::Compacted { last: self.last });
    }
}

fn refusal(order: &Admin) -> Refusal {
    let why = match order {
        Admin::Transfer { .. } => "nobody leads in this store",
        Admin::AddServer { .. } | Admin::RemoveServer { .. } => "this store has one node, for good",
    };
    Refusal::Inapplicable { why: why.into() }
}

/// The state, the number of its last command and of the last one that the snapshot covers.
fn read_disk(disk: Vec<(Slot, Record)>) -> Result<(Store, u64, u64), RecoverError> {
    let (mut store, mut last, mut covered) = (Store::default(), 0, 0);
    for (place, record) in disk {
        match record {
            Record::Snapshot { last: number, state } if place == SNAPSHOT => {
                (store, last, covered) = (state, number, number);
            }
            Record::Command(command) if place == slot(last + 1) => {
                store.apply(&command);
                last += 1;
            }
            _ => return Err(RecoverError(format!("{place:?} does not follow command {last}"))),
        }
    }
    Ok((store, last, covered))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::kv::{Op, Session, Value};
    use crate::replica::{Effect, RequestId, Ticket};

    fn setup() -> Setup {
        Setup { id: NodeId(1), members: vec![NodeId(1)], seed: 1 }
    }

    fn start(disk: &BTreeMap<Slot, Record>, every: u64) -> (Single, Effects<Single>) {
        let mut out = Effects::default();
        let records = disk.iter().map(|(slot, record)| (slot.clone(), record.clone())).collect();
        let options = Options { snapshot_every: every };
        let core = Single::recover(setup(), options, records, Time::ZERO, &mut out);
        (core.expect("a sound disk"), out)
    }

    fn write(disk: &mut BTreeMap<Slot, Record>, batch: Vec<Write<Record>>) {
        for change in batch {
            match change {
                Write::Put(slot, record) => drop(disk.insert(slot, record)),
                Write::Erase(from, to) => disk.retain(|slot, _| *slot < from || *slot > to),
            }
        }
    }

    fn command() -> impl Strategy<Value = Command> {
        let key = (0..3u8).prop_map(|key| key.to_string().into());
        let op = (key, 0..4u8, 0..3i64).prop_map(|(key, kind, number)| {
            let value = Value::Int(number);
            match kind {
                0 => Op::Put { key, value },
                1 => Op::Cas { key, expected: Value::Int(1), new: value },
                2 => Op::Append { key, value },
                _ => Op::Delete { key },
            }
        });
        let session = proptest::option::of((0..2u8, 1..5u64).prop_map(|(client, sequence)| {
            Session { client: client.to_string().into(), sequence }
        }));
        (session, op).prop_map(|(session, op)| Command { session, op })
    }

    proptest! {
        /// Whatever the commands, whenever the node crashes and however much of what was not synced
        /// survives: what was answered is there, in the order in which it was answered.
        #[test]
        fn what_was_answered_survives(
            commands in proptest::collection::vec(command(), 1..60),
            every in 1..9u64,
            crash_after in 0..60usize,
            kept in 0..60usize,
        ) {
            let (mut core, mut out) = start(&BTreeMap::new(), every);
            let mut oracle = vec![Store::default()];
            let (mut batches, mut answered) = (Vec::new(), Vec::new());
            for (number, command) in commands.iter().take(crash_after).enumerate() {
                let mut next = oracle[number].clone();
                let expected = next.apply(command);
                oracle.push(next);
                let request = Request::Write(command.clone());
                let id = RequestId(number as u64);
                core.step(Time::ZERO, Input::Request { id, request }, &mut out);
                for effect in out.drain() {
                    match effect {
                        Effect::Persist { writes, .. } => batches.push((number + 1, writes)),
                        Effect::Reply { after, reply, .. } => {
                            prop_assert_eq!(&reply, &Ok(expected.clone()));
                            answered.push((after, number + 1));
                        }
                        _ => {}
                    }
                }
            }
            let kept = kept.min(batches.len());
            let mut disk = BTreeMap::new();
            for (_, batch) in batches.iter().take(kept) {
                write(&mut disk, batch.clone());
            }
            let (again, _) = start(&disk, every);
            let executed = batches[..kept].last().map_or(0, |(number, _)| *number);
            prop_assert_eq!(&again.store, &oracle[executed]);
            // Only what was durable then can have been answered.
            for (after, number) in answered {
                prop_assert!(after > Ticket(kept as u64) || number <= executed);
            }
            let log = disk.keys().filter(|place| **place != SNAPSHOT).count() as u64;
            prop_assert!(log <= every, "{} commands are left to be read", log);
        }
    }

    /// A value that somebody has read must not vanish in a crash, though reading changes nothing.
    #[test]
    fn a_read_waits_for_the_writes_before_it() {
        let (mut core, mut out) = start(&BTreeMap::new(), 10);
        let op = Op::Put { key: "x".into(), value: Value::Int(5) };
        let requests = [Request::Write(Command { session: None, op }), Request::Read("x".into())];
        for (number, request) in (1..).zip(requests) {
            core.step(Time::ZERO, Input::Request { id: RequestId(number), request }, &mut out);
        }
        let read = out.drain().find_map(|effect| match effect {
            Effect::Reply { after, to: RequestId(2), reply } => Some((after, reply)),
            _ => None,
        });
        assert_eq!(read, Some((Ticket(1), Ok(Output::Value(Value::Int(5))))));
    }

    #[test]
    fn a_disk_with_a_gap_and_a_node_with_company_are_refused() {
        let command = Command { session: None, op: Op::Delete { key: "x".into() } };
        let disk = [2].map(|number| (slot(number), Record::Command(command.clone())));
        assert!(read_disk(disk.into()).is_err());
        let setup = Setup { members: vec![NodeId(1), NodeId(2)], ..setup() };
        let mut out = Effects::default();
        let core = Single::recover(setup, Options::default(), Vec::new(), Time::ZERO, &mut out);
        assert!(core.is_err());
    }
}
