//! CASPaxos: a replicated register for every key, without a leader and without a log.
//!
//! The source is Denis Rystsov, *CASPaxos: Replicated State Machines without logs* (2018, arXiv
//! 1802.07000), cited as § throughout; it makes of the single decree of Lamport's Paxos (*The
//! Part-Time Parliament*, 1998) a register that changes. Any node takes any request and proposes the
//! change itself.
//!
//! | module | role |
//! |---|---|
//! | [`mod@self`] | a node, its steps, its ballots |
//! | `proposer` | getting requests for a key carried out: rounds, cache, conflicts (§2.2) |
//! | `line` | what a node does about one key as a proposer, as data |
//! | [`acceptor`] | what a node has promised and accepted, in memory and on disk (§2.2) |
//! | `collect` | collecting the tombstones of deleted keys (§3.1) |
//! | [`membership`] | who belongs to the cluster, and what follows on what (§2.3) |
//! | `change` | a change of members, step by step |
//! | [`message`] | ballots, and what nodes say to each other |
//! | [`mutants`] | planted bugs |
//!
//! Every node is proposer and acceptor of every key. What it says to itself takes no way through the
//! network, but what its acceptor promises to its proposer counts only when it is on the disk, as a
//! promise to anybody else.
//!
//! **Quorums** need not be majorities: it is enough that each that promises meets each that accepts
//! (Howard, Malkhi and Spiegelman, "Flexible Paxos", 2016).
//!
//! **Ballots** of a node must never be used twice, also over a crash: two states at one ballot could
//! both be chosen. Counters are reserved on the disk in blocks, and a node begins behind the last
//! block that it has reserved.

pub mod acceptor;
mod change;
mod collect;
mod line;
pub mod membership;
pub mod message;
pub mod mutants;
mod note;
mod proposer;
pub mod settings;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::Hash;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::kv::Key;
use crate::replica::{
    Effects, Input, NodeId, Outline, RecoverError, Refusal, Replica, Reply, Request, Setup, Slot,
    Status, Ticket, Time, Write, level,
};
pub use acceptor::Record;
use acceptor::{Acceptor, CONFIGURATION, RESERVED};
use change::Change;
use collect::Graves;
use line::{Line, Want};
use membership::{Configuration, Members};
use message::{Age, Ballot, Body, Message};
use mutants::Bug;
pub use note::Note;
pub use settings::Settings;

/// The settings of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many acceptors promise; if not given, as few as meet every quorum that accepts, or a
    /// majority.
    pub prepare_quorum: Option<usize>,
    /// How many acceptors accept; if not given, as few as meet every quorum that promises, or a
    /// majority.
    pub accept_quorum: Option<usize>,
    /// Whether an accept brings the prepare for the next ballot with it (§2.2.1).
    pub one_round: bool,
    /// When acceptors that have not answered are asked again.
    pub resend: Duration,
    /// How long a node rests at most when its proposal was overtaken for the first time.
    pub backoff_min: Duration,
    /// How long it rests at most, ever.
    pub backoff_max: Duration,
    /// How long a node leaves another alone that has asked for promises, while it has not asked for
    /// acceptance yet.
    pub courtesy: Duration,
    /// How long a request waits for a quorum.
    pub patience: Duration,
    /// How long a change of members may take.
    pub change_limit: Duration,
    /// How many requests for a key are carried out by one proposal.
    pub batch_max: usize,
    /// How many requests may wait for their outcome at once.
    pub requests_max: usize,
    /// How long a tombstone is left alone before it is collected, and then a quarter of that more at
    /// most.
    pub collect_after: Duration,
    /// A planted bug, if the core is to be wrong.
    pub bug: Option<Bug>,
}

impl Default for Options {
    /// Rests from 10 ms on, which is about what a proposal takes on a busy machine with real disks.
    fn default() -> Self {
        Options {
            prepare_quorum: None,
            accept_quorum: None,
            one_round: true,
            resend: Duration::from_millis(100),
            backoff_min: Duration::from_millis(10),
            backoff_max: Duration::from_millis(400),
            courtesy: Duration::from_millis(30),
            patience: Duration::from_secs(2),
            change_limit: Duration::from_secs(2),
            batch_max: 256,
            requests_max: 4096,
            collect_after: Duration::from_secs(2),
            bug: None,
        }
    }
}

/// How many acceptors promise and how many accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorums {
    /// How many promise.
    pub prepare: usize,
    /// How many accept.
    pub accept: usize,
}

/// Quorums that do not meet, or that there are not enough nodes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "with {nodes} nodes, quorums of 1 to {nodes} that are together more than {nodes} are needed, not \
     {prepare} to prepare and {accept} to accept"
)]
pub struct QuorumError {
    prepare: usize,
    accept: usize,
    nodes: usize,
}

impl Quorums {
    /// The quorums of so many nodes, where one or both may be given.
    ///
    /// # Errors
    /// When they need not meet, or cannot be reached.
    pub fn of(
        nodes: usize,
        prepare: Option<usize>,
        accept: Option<usize>,
    ) -> Result<Self, QuorumError> {
        let majority = nodes / 2 + 1;
        let rest = |other: Option<usize>| {
            other.map_or(majority, |other| (nodes + 1).saturating_sub(other))
        };
        let (prepare, accept) = (prepare.unwrap_or(rest(accept)), accept.unwrap_or(rest(prepare)));
        let possible = 1..=nodes;
        if possible.contains(&prepare) && possible.contains(&accept) && prepare + accept > nodes {
            return Ok(Quorums { prepare, accept });
        }
        Err(QuorumError { prepare, accept, nodes })
    }
}

/// The only timer of a node: it has a line to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wake;

/// How many counters are reserved at a time.
const BLOCK: u64 = 1000;

/// A node of a CASPaxos cluster.
#[derive(Clone, Debug)]
pub struct Paxos {
    id: NodeId,
    configuration: Arc<Configuration>,
    /// The change of members that this node makes.
    change: Option<Change>,
    /// How many steps of such changes it has begun.
    steps: u64,
    options: Options,
    rng: ChaCha8Rng,
    acceptor: Acceptor,
    graves: Graves,
    /// The greatest counter that was used, or heard of.
    counter: u64,
    /// No ballot of this node has had this counter, or a greater one.
    reserved: u64,
    /// The batch with that.
    reservation: Ticket,
    age: Age,
    lines: BTreeMap<Key, Line>,
    /// When which line is to be looked at.
    agenda: BTreeSet<(Time, Key)>,
    /// The time that the timer is set to.
    armed: Option<Time>,
    /// What this node says to itself at once.
    own: VecDeque<Message>,
    /// What it says to itself when a batch is durable.
    own_later: VecDeque<(Ticket, Message)>,
    durable: Ticket,
    /// Answers to what a change of members has asked of this node.
    own_replies: VecDeque<(u64, Key, Reply)>,
    /// Keys that something has happened to in this step.
    touched: BTreeSet<Key>,
    /// How many clients' requests have no answer yet.
    waiting: usize,
    now: Time,
    reads: u64,
    writes: u64,
}

impl Replica for Paxos {
    type Message = Message;
    type Record = Record;
    type Timer = Wake;
    type Note = Note;
    type Options = Options;

    fn recover(
        setup: Setup,
        options: Options,
        disk: Vec<(Slot, Record)>,
        now: Time,
        out: &mut Effects<Self>,
    ) -> Result<Self, RecoverError> {
        let first = setup.members.iter().map(|node| (*node, 0)).collect();
        let first = Members::of(first, &options).map_err(|why| RecoverError(why.to_string()))?;
        let options = options.with_controls();
        let mut paxos = Paxos {
            id: setup.id,
            configuration: Arc::new(Configuration::first(first)),
            change: None,
            steps: 0,
            rng: ChaCha8Rng::seed_from_u64(setup.seed),
            acceptor: Acceptor::new(options.bug),
            options,
            graves: Graves::default(),
            counter: 0,
            reserved: 0,
            reservation: Ticket::NONE,
            age: 0,
            lines: BTreeMap::new(),
            agenda: BTreeSet::new(),
            armed: None,
            own: VecDeque::new(),
            own_later: VecDeque::new(),
            durable: Ticket::NONE,
            own_replies: VecDeque::new(),
            touched: BTreeSet::new(),
            waiting: 0,
            now,
            reads: 0,
            writes: 0,
        };
        for (slot, record) in disk {
            match (slot, record) {
                (RESERVED, Record::Reserved(counter)) => {
                    (paxos.counter, paxos.reserved) = (counter, counter);
                }
                (CONFIGURATION, Record::Configuration(found)) => paxos.configuration = found,
                (slot, record) => paxos.recall(slot, record)?,
            }
        }
        // Tombstones that were not collected before the crash.
        paxos.touched = paxos.acceptor.cells().map(|(key, _)| key.clone()).collect();
        paxos.settle(out);
        Ok(paxos)
    }

    fn step(&mut self, now: Time, input: Input<Self>, out: &mut Effects<Self>) {
        self.now = now;
        match input {
            Input::Message { from, message } => match message.body.nonsense() {
                Some(why) => out.note(Note::Nonsense { from, why }),
                None => self.hear(from, message, out),
            },
            Input::Request { id, request: Request::Read(key) } => {
                self.take(id, &key, Want::Read, out);
            }
            Input::Request { id, request: Request::Write(command) } => {
                let key = command.op.key().clone();
                self.take(id, &key, Want::Write(command), out);
            }
            Input::Request { id, request: Request::Admin(order) } => {
                self.administer(id, order, out);
            }
            Input::Request { id, request: Request::Causal { .. } } => {
                out.reply_at_once(id, Err(Refusal::no_contexts()));
            }
            Input::Timer(Wake) => self.wake(out),
            Input::Stored(ticket) => self.durable = ticket,
        }
        self.settle(out);
    }

    fn changes_members() -> bool {
        true
    }

    fn address(&self, node: NodeId) -> Option<&str> {
        self.configuration.addresses.get(&node).map(|address| &**address)
    }

    fn is_routine(note: &Note) -> bool {
        matches!(
            note,
            Note::Prepared { .. }
                | Note::Proposed { .. }
                | Note::Chosen { .. }
                | Note::Overtaken { .. }
        )
    }

    fn outline(&self) -> Outline {
        let change = self.change.is_some();
        let (lines, agenda) = (self.lines.len() as u64, self.agenda.len() as u64);
        Outline {
            state: [
                change.into(),
                level(self.waiting as u64).min(3),
                level(lines),
                level(agenda).min(3),
                level(self.own_later.len() as u64).min(2),
                self.age.min(3) as u8,
                0,
                0,
                0,
            ],
            ranks: [self.configuration.epoch, self.counter, self.age, lines, 0],
        }
    }

    fn kind(message: &Message) -> impl Hash {
        mem::discriminant(&message.body)
    }

    fn status(&self) -> Status {
        Status {
            voters: self.configuration.members.nodes.keys().copied().collect(),
            learners: self.configuration.joining().collect(),
            writes_proposed: self.writes,
            reads_served: self.reads,
            ..Status::of_peer(self.id)
        }
    }
}

/// What watchers may see: invariants are checked from outside.
impl Paxos {
    /// What it has promised and accepted.
    pub fn acceptor(&self) -> &Acceptor {
        &self.acceptor
    }
}

impl Paxos {
    /// A ballot above another, and above all that this node has had or heard of.
    fn next_ballot(&mut self, above: Ballot, out: &mut Effects<Self>) -> Ballot {
        let step = if self.bug(Bug::BallotsInTens) { 10 } else { 1 };
        self.counter = self.counter.max(above.counter) + step;
        if let Some(write) = self.reserve() {
            self.reservation = out.persist(vec![write]);
        }
        let node = if self.bug(Bug::BallotsCollide) { NodeId(0) } else { self.id };
        Ballot { epoch: self.configuration.epoch, counter: self.counter, node }
    }

    /// Reserves another block of counters, if the last one is used up.
    fn reserve(&mut self) -> Option<Write<Record>> {
        if self.counter < self.reserved {
            return None;
        }
        self.reserved = self.counter + BLOCK;
        Some(Write::Put(RESERVED, Record::Reserved(self.reserved)))
    }

    fn hear(&mut self, from: NodeId, message: Message, out: &mut Effects<Self>) {
        if !self.is_of_this_epoch(from, &message, out) {
            return;
        }
        // Only members ask for anything.
        if message.body.asks() && !self.configuration.is_member(from) {
            return;
        }
        if let Body::Behind { .. } = message.body {
            return self.on_behind(from, &message, out);
        }
        let Message { key, body } = message;
        match body {
            Body::Prepare { ballot, age } | Body::Accept { ballot, age, .. }
                if !self.acceptor.listens_to(from, age) =>
            {
                out.note(Note::TooYoung { key: key.clone(), from });
                self.answer(from, &key, Body::TooYoung { ballot }, out);
            }
            Body::Prepare { ballot, .. } => {
                let before = self.acceptor.promised(&key);
                let (answer, writes) = self.acceptor.prepare(&key, ballot);
                // Not for whoever only asks again.
                if from != self.id && ballot > before {
                    self.yield_to_rival(&key);
                }
                self.persist(writes, out);
                self.answer(from, &key, answer, out);
            }
            Body::Accept { ballot, state, next, .. } => {
                let (answer, writes) = self.acceptor.accept(&key, ballot, state, next);
                if from != self.id && matches!(answer, Body::Accepted { .. }) {
                    self.follow_rival(&key);
                }
                self.persist(writes, out);
                self.answer(from, &key, answer, out);
            }
            Body::Promise { ballot, accepted, state } => {
                self.on_promise(from, &key, ballot, (accepted, state), out);
            }
            Body::Accepted { ballot } => self.on_accepted(from, &key, ballot, out),
            Body::Conflict { ballot, promised } => {
                self.on_conflict(from, &key, ballot, promised, out);
            }
            Body::TooYoung { ballot } => self.on_too_young(from, &key, ballot, out),
            Body::Retire { tombstone } => self.on_retire(from, &key, tombstone, out),
            Body::Retired { tombstone, age } => self.on_retired(from, &key, (tombstone, age), out),
            Body::Erase { tombstone, ages } => {
                let (answer, writes) = self.acceptor.erase(&key, tombstone, &ages);
                self.persist(writes, out);
                self.answer(from, &key, answer, out);
            }
            Body::Erased { tombstone } => self.on_erased(from, &key, tombstone, out),
            Body::InUse { tombstone } => self.on_in_use(&key, tombstone, out),
            Body::Adopt { configuration } => self.adopt(configuration, false, out),
            Body::Behind { .. } => {}
            Body::List { after, .. } => self.on_list(from, after, out),
            Body::Listed { after, keys, more, .. } => {
                self.on_listed(from, &after, (keys, more), out);
            }
            Body::Inherit { graves, .. } => self.on_inherit(from, graves, out),
            Body::Inherited { .. } => self.on_inherited(from, out),
        }
        self.touched.insert(key);
    }

    fn persist(&self, writes: Vec<Write<Record>>, out: &mut Effects<Self>) {
        if !writes.is_empty() {
            out.persist(writes);
        }
    }

    /// Asks a node for something. That promises nothing but that the ballot is this node's own,
    /// which is on the disk as a rule.
    fn post(&mut self, to: NodeId, key: &Key, body: Body, out: &mut Effects<Self>) {
        let message = Message { key: key.clone(), body };
        if to == self.id {
            self.own.push_back(message);
        } else if self.reservation <= self.durable || self.bug(Bug::BallotUnreserved) {
            out.send_at_once(to, message);
        } else {
            out.send(to, message);
        }
    }

    /// Answers a node, when all that this promises is on the disk.
    fn answer(&mut self, to: NodeId, key: &Key, body: Body, out: &mut Effects<Self>) {
        let promises =
            !matches!(body, Body::Conflict { .. } | Body::TooYoung { .. } | Body::InUse { .. });
        let message = Message { key: key.clone(), body };
        if to == self.id {
            self.own_later.push_back((out.last_ticket(), message));
        } else if promises && !self.bug(Bug::AnswerBeforeFsync) {
            if self.bug(Bug::EverythingTwice) {
                out.send(to, message.clone());
            }
            out.send(to, message);
        } else {
            out.send_at_once(to, message);
        }
    }

    /// Looks at the lines whose time has come.
    fn wake(&mut self, out: &mut Effects<Self>) {
        self.armed = None;
        while let Some((at, _)) = self.agenda.first()
            && *at <= self.now
            && let Some((_, key)) = self.agenda.pop_first()
        {
            if &*key == change::ALARM {
                self.look_at_change(out);
                continue;
            }
            if let Some(line) = self.lines.get_mut(&key) {
                line.alarm = None;
            }
            self.on_alarm(&key, out);
            self.touched.insert(key);
        }
    }

    /// Draws all consequences of what has happened in this step.
    fn settle(&mut self, out: &mut Effects<Self>) {
        loop {
            if let Some(message) = self.own_message() {
                self.hear(self.id, message, out);
            } else if let Some((step, key, reply)) = self.own_replies.pop_front() {
                self.on_own_reply(step, &key, reply, out);
            } else if let Some(key) = self.touched.pop_first() {
                self.plan_collection(&key);
                self.serve(&key, out);
                self.set_alarm(&key);
            } else {
                break;
            }
        }
        let next = self.agenda.first().map(|(at, _)| *at);
        if let Some(at) = next.filter(|_| next != self.armed) {
            out.set_timer(Wake, at);
            self.armed = next;
        }
    }

    /// What this node has said to itself and may hear now.
    fn own_message(&mut self) -> Option<Message> {
        if self.own_later.front().is_some_and(|(after, _)| *after <= self.durable) {
            return self.own_later.pop_front().map(|(_, message)| message);
        }
        self.own.pop_front()
    }

    /// Puts a line into the agenda anew, or forgets it if there is nothing to remember.
    fn set_alarm(&mut self, key: &Key) {
        let Some(line) = self.lines.get_mut(key) else { return };
        let next = line.next_alarm();
        if let Some(before) = line.alarm.filter(|_| line.alarm != next) {
            self.agenda.remove(&(before, key.clone()));
        }
        if let Some(at) = next.filter(|_| line.alarm != next) {
            self.agenda.insert((at, key.clone()));
        }
        line.alarm = next;
        if line.is_empty() {
            self.lines.remove(key);
        }
    }
}
