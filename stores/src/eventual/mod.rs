//! Eventual: a leaderless store in which every node takes every request, as a core without I/O.
//!
//! The design is that of Dynamo (DeCandia et al., "Dynamo: Amazon's Highly Available Key-value
//! Store", SOSP 2007), cited as § throughout, with every node a replica of every key: what is
//! written is told to all, and acknowledged as soon as as many disks have it as the settings ask
//! for. What is lost on the way is brought by three means, from the quickest to the surest: nodes
//! send again what was not confirmed (hinted handoff, §4.6), reads repair what they find behind
//! (§5), and pairs of nodes compare digests of all they have (anti-entropy, §4.7). What the store
//! promises stands in `docs/eventual.md`.
//!
//! | module | role |
//! |---|---|
//! | [`mod@self`] | the state of a node, its steps, its clock |
//! | [`settings`] | what kind of eventual store it is |
//! | [`object`] | the state of a key, and how two states become one |
//! | `coordinate` | requests: quorums, sessions, read repair (§4.5, §5) |
//! | `operate` | what a command makes of a state |
//! | `handoff` | what peers have not confirmed (§4.6) |
//! | `exchange` | anti-entropy (§4.7) |
//! | `tree` | digests of all there is |
//! | `graves` | forgetting deleted keys for good |
//! | [`message`] | what nodes say to each other |
//! | [`mutants`] | planted bugs |
//!
//! **Durability.** A state that is told, to a client or a peer, is on the disk first: everything
//! waits for what was persisted before it.
//!
//! **Time.** Every message carries its sender's hybrid logical clock, and a node's clock is put
//! forward when it hears of a later time. So the stamps of a write are greater than those of all that
//! its node has heard of, and nodes that hear of each other agree on how old a message is; one that
//! is older than the grace is not taken, because a deleted key may have been forgotten since (see
//! `graves`).

mod coordinate;
mod exchange;
mod graves;
mod handoff;
pub mod message;
pub mod mutants;
mod note;
pub mod object;
mod operate;
pub mod settings;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;
use std::mem;
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use crate::clock::dotted::Dot;
use crate::clock::hybrid::{Clock, Stamp};
use crate::kv::Key;
use crate::replica::{
    Effects, Input, NodeId, Outline, RecoverError, Replica, Setup, Slot, Status, Ticket, Time,
    Write, level,
};
use coordinate::Pending;
use graves::Grave;
use handoff::Hints;
use message::{Body, Message};
use mutants::Bug;
pub use note::Note;
use object::{Object, Rule};
pub use settings::{Conflicts, Settings};
use tree::Tree;

/// The settings of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What kind of store it is.
    pub settings: Settings,
    /// How often a node compares all it has with another, about.
    pub exchange_every: Duration,
    /// How often it looks what it waits for: whom to ask again, what to give up, what to collect.
    pub look_every: Duration,
    /// How long after it was sent something that was not confirmed is sent again.
    pub resend_after: Duration,
    /// How long a request waits for other nodes before it is given up.
    pub patience: Duration,
    /// How long a deleted key is remembered after every node has confirmed that it is deleted; and
    /// the age from which messages are not taken.
    pub grace: Duration,
    /// How many leaves the tree of digests has; the same on every node.
    pub leaves: usize,
    /// How many keys one message of anti-entropy lists, if one leaf has not more.
    pub keys_max: usize,
    /// How many requests may wait for other nodes at once.
    pub requests_max: usize,
    /// How many keys are kept in mind for each peer that has not confirmed them.
    pub hints_max: usize,
    /// A planted bug, if the core is to be wrong.
    pub bug: Option<Bug>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            settings: Settings::DEFAULT,
            exchange_every: Duration::from_millis(200),
            look_every: Duration::from_millis(50),
            resend_after: Duration::from_millis(200),
            patience: Duration::from_millis(1_500),
            grace: Duration::from_secs(30),
            leaves: 256,
            keys_max: 512,
            requests_max: 4096,
            hints_max: 10_000,
            bug: None,
        }
    }
}

/// The timers of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// Time to compare all there is with another node.
    Exchange,
    /// Time to look what is waited for.
    Look,
}

/// What a node writes to its disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// What it must not forget beside its keys.
    Node {
        /// The number of its last change; a dot is never given twice.
        count: u64,
        /// A time that all its clocks have passed.
        at: Stamp,
    },
    /// The state of a key.
    Object(Object),
}

const NODE: Slot = Slot::Numbered(0, 0);
const OBJECTS: u8 = 1;

/// Where the state of a key lies.
pub fn slot(key: &Key) -> Slot {
    Slot::Named(OBJECTS, key.clone())
}

/// A key's state, with its digest.
#[derive(Clone, Debug)]
struct Held {
    object: Object,
    digest: u64,
    /// The batch that it was written in.
    ticket: Ticket,
}

/// A node of an eventual store.
#[derive(Clone, Debug)]
pub struct Eventual {
    id: NodeId,
    others: Vec<NodeId>,
    options: Options,
    rng: ChaCha8Rng,
    /// The time of the step under way, on the node's own clock.
    now: Time,
    /// By how much that clock is behind the latest time heard of.
    behind: Duration,
    clock: Clock,
    /// The number of its last change.
    count: u64,
    objects: BTreeMap<Key, Held>,
    tree: Tree,
    /// Requests that wait for other nodes, by numbers of their own.
    pending: BTreeMap<u64, Pending>,
    next_pending: u64,
    hints: Hints,
    graves: BTreeMap<Key, Grave>,
    writes: u64,
    reads: u64,
}

impl Replica for Eventual {
    type Message = Message;
    type Record = Record;
    type Timer = Timer;
    type Note = Note;
    type Options = Options;

    fn recover(
        setup: Setup,
        options: Options,
        disk: Vec<(Slot, Record)>,
        now: Time,
        out: &mut Effects<Self>,
    ) -> Result<Self, RecoverError> {
        let mut rng = ChaCha8Rng::seed_from_u64(setup.seed);
        let mut node = Eventual {
            id: setup.id,
            others: setup.members.into_iter().filter(|member| *member != setup.id).collect(),
            tree: Tree::new(options.leaves),
            // Answers to reads of an earlier incarnation must not be taken for others.
            next_pending: rng.random(),
            rng,
            options,
            now,
            behind: Duration::ZERO,
            clock: Clock::default(),
            count: 0,
            objects: BTreeMap::new(),
            pending: BTreeMap::new(),
            hints: Hints::default(),
            graves: BTreeMap::new(),
            writes: 0,
            reads: 0,
        };
        node.recall(disk)?;
        out.set_timer(Timer::Look, now + node.options.look_every);
        node.set_exchange_timer(out);
        Ok(node)
    }

    fn step(&mut self, now: Time, input: Input<Self>, out: &mut Effects<Self>) {
        self.now = now;
        match input {
            Input::Message { from, message } => self.on_message(from, message, out),
            Input::Request { id, request } => self.on_request(id, request, out),
            Input::Timer(Timer::Exchange) => self.begin_exchange(out),
            Input::Timer(Timer::Look) => {
                self.look_at_pending(out);
                self.hand_off(out);
                self.dig(out);
                out.set_timer(Timer::Look, now + self.options.look_every);
            }
            Input::Stored(_) => {}
        }
    }

    fn outline(&self) -> Outline {
        let known = self.objects.len() as u64;
        Outline {
            state: [
                u8::from(self.behind > Duration::ZERO),
                level(self.graves.len() as u64).min(3),
                level(known),
                level(self.pending.len() as u64).min(4),
                0,
                0,
                0,
                0,
                0,
            ],
            ranks: [known, self.graves.len() as u64, self.tree.root() >> 62, self.tree.root(), 0],
        }
    }

    fn kind(message: &Message) -> impl Hash {
        mem::discriminant(&message.body)
    }

    fn status(&self) -> Status {
        let mut voters = self.others.clone();
        voters.push(self.id);
        voters.sort_unstable();
        Status {
            voters,
            digest: self.tree.root(),
            writes_proposed: self.writes,
            reads_served: self.reads,
            ..Status::of_peer(self.id)
        }
    }
}

/// What watchers may see.
impl Eventual {
    /// The keys of which it knows, deleted ones included, each with its state.
    pub fn objects(&self) -> impl Iterator<Item = (&Key, &Object)> {
        self.objects.iter().map(|(key, held)| (key, &held.object))
    }
}

impl Eventual {
    /// Takes over what its disk holds.
    fn recall(&mut self, disk: Vec<(Slot, Record)>) -> Result<(), RecoverError> {
        let mut latest = Stamp::default();
        for (slot, record) in disk {
            match (slot, record) {
                (NODE, Record::Node { count, at }) => {
                    self.count = count;
                    latest = latest.max(at);
                }
                (Slot::Named(OBJECTS, key), Record::Object(object)) => {
                    latest = latest.max(object.context().latest);
                    self.hold(&key, object, Ticket::NONE);
                }
                (slot, _) => return Err(RecoverError(format!("no record belongs in {slot:?}"))),
            }
        }
        if self.bug(Bug::CountForgotten) {
            self.count = 0;
        }
        self.clock = Clock::after(latest);
        self.behind = latest.time().saturating_sub(self.now);
        Ok(())
    }

    fn on_message(&mut self, from: NodeId, message: Message, out: &mut Effects<Self>) {
        let Message { at, body } = message;
        self.behind += at.time().saturating_sub(self.time());
        if at.time() + self.options.grace <= self.time() {
            return out.note(Note::TooOld { from });
        }
        self.clock.receive(self.time(), at);
        self.hints.heard(from, self.now);
        match body {
            Body::Store { key, object } => {
                self.take(&key, &object, out);
                self.confirm(from, key, out);
            }
            Body::Stored { key, seen } => {
                if self.held(&key).is_none_or(|own| seen.covers(&own.seen)) {
                    self.hints.confirmed(from, &key);
                }
                self.on_stored(from, &key, &seen, out);
            }
            Body::Fetch { key, read } => {
                let object = self.object(&key);
                self.send(from, Body::Fetched { key, read, object }, out);
            }
            Body::Fetched { key, read, object } => self.on_fetched(from, &key, read, &object, out),
            Body::Leaves(leaves) => self.on_leaves(from, &leaves, out),
            Body::Keys { leaves, keys } => self.on_keys(from, &leaves, keys, out),
            Body::Exchange { key, object } => self.on_exchange(from, key, &object, out),
            Body::Dead { key, digest } => {
                if self.digest(&key) == digest {
                    self.send(from, Body::IsDead { key, digest }, out);
                }
            }
            Body::IsDead { key, digest } => self.on_is_dead(from, &key, digest),
            Body::Collect { key, digest } => {
                if self.digest(&key) == digest {
                    self.forget(&key, out);
                }
            }
        }
    }

    /// Says what is on this node's disk, once it is.
    fn confirm(&mut self, to: NodeId, key: Key, out: &mut Effects<Self>) {
        let seen = self.held(&key).map(|object| object.seen.clone()).unwrap_or_default();
        self.send(to, Body::Stored { key, seen }, out);
    }

    /// Takes in another node's state of a key, and says whether that changed this node's.
    fn take(&mut self, key: &Key, theirs: &Object, out: &mut Effects<Self>) -> bool {
        let mut object = self.object(key);
        object.merge(theirs, self.rule());
        let changed = self.held(key) != Some(&object) && object != Object::default();
        if changed {
            self.keep(key, object, Vec::new(), out);
        }
        changed
    }

    /// Makes a change of this node's own to the state of a key.
    fn change(
        &mut self,
        key: &Key,
        make: impl FnOnce(&mut Object, Dot, Stamp, Rule),
        out: &mut Effects<Self>,
    ) -> Changed {
        self.count += 1;
        let dot = Dot { node: self.id, count: self.count };
        let at = self.stamp();
        let mut object = self.object(key);
        make(&mut object, dot, at, self.rule());
        object.seen.learn(dot);
        let node = Record::Node { count: self.count, at };
        self.keep(key, object.clone(), vec![Write::Put(NODE, node)], out);
        Changed { object, dot, at }
    }

    /// Replaces the state of a key, in memory and on the disk.
    fn keep(
        &mut self,
        key: &Key,
        object: Object,
        mut writes: Vec<Write<Record>>,
        out: &mut Effects<Self>,
    ) {
        let count = object.versions.len();
        if count > 1 && count > self.held(key).map_or(0, |held| held.versions.len()) {
            out.note(Note::Siblings { key: key.clone(), count });
        }
        let slot = slot(key);
        if self.bug(Bug::NoTombstones) && object.is_dead() {
            self.drop_object(key);
            writes.push(Write::Erase(slot.clone(), slot));
            out.persist(writes);
            return;
        }
        writes.push(Write::Put(slot, Record::Object(object.clone())));
        let ticket = out.persist(writes);
        self.hold(key, object, ticket);
    }

    /// Forgets a key for good.
    fn forget(&mut self, key: &Key, out: &mut Effects<Self>) {
        self.drop_object(key);
        let slot = slot(key);
        // With the time, so that what is too old now is so after a restart, too.
        let at = self.clock.tick(self.time());
        let node = Record::Node { count: self.count, at };
        out.persist(vec![Write::Put(NODE, node), Write::Erase(slot.clone(), slot)]);
        out.note(Note::Collected { key: key.clone() });
    }

    fn hold(&mut self, key: &Key, object: Object, ticket: Ticket) {
        let digest = object.digest(key);
        self.bury(key, &object, digest);
        self.tree.toggle(key, digest);
        if let Some(before) = self.objects.insert(key.clone(), Held { object, digest, ticket }) {
            self.tree.toggle(key, before.digest);
        }
    }

    fn drop_object(&mut self, key: &Key) {
        self.graves.remove(key);
        if let Some(before) = self.objects.remove(key) {
            self.tree.toggle(key, before.digest);
        }
    }

    fn held(&self, key: &Key) -> Option<&Object> {
        self.objects.get(key).map(|held| &held.object)
    }

    /// The state of a key; an empty one, if it knows of none.
    fn object(&self, key: &Key) -> Object {
        self.held(key).cloned().unwrap_or_default()
    }

    fn digest(&self, key: &Key) -> u64 {
        self.objects.get(key).map_or(0, |held| held.digest)
    }

    /// The batch after which what a key holds may be told.
    fn written_in(&self, key: &Key) -> Ticket {
        self.objects.get(key).map_or(Ticket::NONE, |held| held.ticket)
    }

    fn rule(&self) -> Rule {
        Rule { conflicts: self.options.settings.conflicts, bug: self.options.bug }
    }

    /// The time as far as this node knows: that of the fastest clock it has heard of.
    fn time(&self) -> Time {
        self.now + self.behind
    }

    /// The stamp of a change.
    fn stamp(&mut self) -> Stamp {
        let at = self.clock.tick(self.time());
        match self.options.bug {
            Some(Bug::WallClock) => Clock::default().tick(self.now),
            Some(Bug::TiesByArrival) => {
                Clock::default().tick(Duration::from_secs(self.time().as_secs()))
            }
            _ => at,
        }
    }

    /// Sends, once everything persisted is durable.
    fn send(&mut self, to: NodeId, body: Body, out: &mut Effects<Self>) {
        let message = Message { at: self.clock.tick(self.time()), body };
        if self.bug(Bug::SaidTwice) {
            out.send(to, message.clone());
        }
        out.send(to, message);
    }

    /// Sends to every other node.
    fn broadcast(&mut self, body: &Body, out: &mut Effects<Self>) {
        for to in self.others.clone() {
            self.send(to, body.clone(), out);
        }
    }

    fn set_exchange_timer(&mut self, out: &mut Effects<Self>) {
        let slow = if self.bug(Bug::SeldomExchange) { 10 } else { 1 };
        // Nodes that began together must not stay in step.
        let every = self.options.exchange_every * slow;
        let wait = self.rng.random_range(every / 2..=every * 3 / 2);
        out.set_timer(Timer::Exchange, self.now + wait);
    }
}

/// A change that a node has made.
#[derive(Debug)]
struct Changed {
    /// The state of its key afterwards.
    object: Object,
    /// Its name.
    dot: Dot,
    /// Its time.
    at: Stamp,
}

/// A set of nodes that answered.
type Nodes = BTreeSet<NodeId>;
