//! Collecting tombstones: how the last trace of a deleted key goes, and nothing comes back.
//!
//! Rystsov, *CASPaxos* (2018), §3.1. A key without a value is a state like any other, a
//! *tombstone*. It cannot simply be erased: an acceptor that has missed it would bring the old value
//! back, and so would a proposal that is on its way, or in somebody's cache. So whoever wrote a
//! tombstone last collects it, when nothing has happened to the key for a while:
//!
//! 1. It proposes the tombstone once more, and waits until **all** acceptors have accepted it. No
//!    older state is left.
//! 2. It asks **all** proposers to *retire* from the key: to drop what they have cached of it and
//!    what they are about to do to it, to propose with higher ballots from now on, and to grow an
//!    *age* older. What they had proposed before, and is still on its way, is of the earlier age.
//! 3. It asks all acceptors to listen to no proposal of those earlier ages, and to erase the
//!    tombstone. An acceptor that has promised or accepted anything since does not: then the key is
//!    in use. The collector's own acceptor is the last, so that a crash leaves somebody who begins
//!    again.
//!
//! The paper leaves open what becomes of the sessions in the tombstone. With them would go the
//! knowledge that a command was executed, and one that is sent again would bring a value back. So
//! in the second step every node takes them over into its *graves*: for each client the last
//! command that it is known to have done to a key that is gone. Every proposer looks there first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::acceptor::{AGE, Record};
use super::membership::REGISTER;
use super::message::{Age, Ballot, Body};
use super::mutants::Bug;
use super::proposer::drawn_up_to;
use super::{Note, Paxos};
use crate::kv::{Key, Lookup, Output, Register, SESSIONS_MAX, Session};
use crate::replica::{Effects, NodeId, RecoverError, Slot, Time, Write};

/// The last command that a client is known to have done to a key that is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grave {
    /// The number of the command.
    pub sequence: u64,
    /// What came of it.
    pub output: Output,
    /// Counts graves, so that the oldest makes room.
    pub dug: u64,
}

/// The sessions of keys that are gone, as many as a store remembers.
#[derive(Clone, Debug, Default)]
pub(super) struct Graves {
    clients: BTreeMap<Arc<str>, Grave>,
    by_age: BTreeMap<u64, Arc<str>>,
    dug: u64,
}

impl Graves {
    /// Takes over a record from the disk.
    pub(super) fn recall(&mut self, client: Arc<str>, grave: Grave) {
        self.dug = self.dug.max(grave.dug);
        self.by_age.insert(grave.dug, client.clone());
        self.clients.insert(client, grave);
    }

    /// What is known of a command.
    pub(super) fn look_up(&self, session: &Session) -> Lookup {
        let last = self.clients.get(&session.client).map(|grave| (grave.sequence, &grave.output));
        Lookup::after(last, session.sequence)
    }

    /// Takes over the sessions of a tombstone; says what to write.
    fn take_over(&mut self, register: &Register) -> Vec<Write<Record>> {
        let mut writes = Vec::new();
        for (Session { client, sequence }, output) in register.sessions().iter() {
            writes.extend(self.dig(client, sequence, output.clone()));
        }
        writes
    }

    /// Takes over what a client has done, unless a later command of it is known; says what to write.
    pub(super) fn dig(
        &mut self,
        client: Arc<str>,
        sequence: u64,
        output: Output,
    ) -> Vec<Write<Record>> {
        let known = self.clients.get(&client);
        if known.is_some_and(|grave| grave.sequence >= sequence) {
            return Vec::new();
        }
        if let Some(before) = known {
            self.by_age.remove(&before.dug);
        }
        let grave = Grave { sequence, output, dug: self.dug + 1 };
        let mut writes = vec![Write::Put(grave_slot(&client), Record::Grave(grave.clone()))];
        self.recall(client, grave);
        if self.clients.len() > SESSIONS_MAX
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.clients.remove(&oldest);
            writes.push(Write::Erase(grave_slot(&oldest), grave_slot(&oldest)));
        }
        writes
    }

    /// All of them, the oldest first.
    pub(super) fn all(&self) -> Vec<(Arc<str>, Grave)> {
        let grave = |client: &Arc<str>| Some((client.clone(), self.clients.get(client)?.clone()));
        self.by_age.values().filter_map(grave).collect()
    }
}

fn grave_slot(client: &Arc<str>) -> Slot {
    Slot::Named(5, client.clone())
}

/// How far a tombstone has been collected.
#[derive(Clone, Debug)]
pub(super) enum Collection {
    /// It is to be begun at this time.
    Due(Time),
    /// The tombstone is proposed to everybody.
    Spreading,
    /// Proposers are asked to retire; these have.
    Retiring { tombstone: Ballot, ages: BTreeMap<NodeId, Age> },
    /// Acceptors are asked to erase; these have.
    Erasing { tombstone: Ballot, ages: BTreeMap<NodeId, Age>, erased: BTreeSet<NodeId> },
}

impl Collection {
    /// Whether the others take part.
    pub(super) fn is_under_way(&self) -> bool {
        !matches!(self, Collection::Due(_))
    }
}

/// How often the wait before a collection doubles, when it fails again and again.
const DOUBLINGS_MAX: u32 = 5;

impl Paxos {
    /// Takes over what belongs to nobody else from the disk.
    pub(super) fn recall(&mut self, slot: Slot, record: Record) -> Result<(), RecoverError> {
        match (slot, record) {
            (Slot::Named(5, client), Record::Grave(grave)) => {
                self.graves.recall(client, grave);
                Ok(())
            }
            (AGE, Record::Age(age)) => {
                self.age = age;
                Ok(())
            }
            (slot, record) => self.acceptor.recall(slot, record),
        }
    }

    /// Plans to collect what this node has left as a tombstone; called when that may have changed.
    pub(super) fn plan_collection(&mut self, key: &Key) {
        let Some(cell) = self.acceptor.cell(key) else { return };
        if !cell.is_tombstone() || cell.accepted.node != self.id || **key == *REGISTER {
            return;
        }
        let line = self.lines.entry(key.clone()).or_default();
        if line.collection.is_none() {
            let delay = self.options.collect_after * (1 << line.failures.min(DOUBLINGS_MAX));
            let due = self.now + delay + drawn_up_to(delay / 4, &mut self.rng);
            line.collection = Some(Collection::Due(due));
        }
    }

    /// Begins to collect the tombstone of a key, if it is still this node's, nothing else is to be
    /// done to it, and everybody stays a member.
    pub(super) fn begin_collection(&mut self, key: &Key, out: &mut Effects<Self>) {
        let stable = self.configuration.next.is_none() && self.is_member();
        let suits = self
            .acceptor
            .cell(key)
            .is_some_and(|cell| cell.is_tombstone() && cell.accepted.node == self.id);
        let Some(line) = self.lines.get_mut(key) else { return };
        line.collection = None;
        if suits && stable && line.is_free() {
            line.collection = Some(Collection::Spreading);
            line.collects_until = self.now + self.options.patience;
            line.cache = None;
            self.prepare(key, out);
        }
    }

    /// The tombstone has been accepted by all: proposers are to retire.
    pub(super) fn spread(&mut self, key: &Key, tombstone: Ballot, out: &mut Effects<Self>) {
        let Some(line) = self.lines.get_mut(key) else { return };
        line.collection = Some(Collection::Retiring { tombstone, ages: BTreeMap::new() });
        self.ask_collected(key, out);
    }

    /// How many nodes have to take part in every step.
    pub(super) fn everybody(&self) -> usize {
        let members = &self.configuration.members;
        if self.bug(Bug::CollectedEarly) { members.accept } else { members.nodes.len() }
    }

    /// Asks those whose answer a collection waits for.
    pub(super) fn ask_collected(&mut self, key: &Key, out: &mut Effects<Self>) {
        let everybody = self.everybody();
        let Some(line) = self.lines.get_mut(key) else { return };
        let (body, done): (Body, BTreeSet<NodeId>) = match &line.collection {
            Some(Collection::Retiring { tombstone, ages }) => {
                (Body::Retire { tombstone: *tombstone }, ages.keys().copied().collect())
            }
            Some(Collection::Erasing { tombstone, ages, erased }) => {
                let body = Body::Erase { tombstone: *tombstone, ages: ages.clone() };
                (body, erased.clone())
            }
            _ => return,
        };
        line.resend = Some(self.now + self.options.resend);
        let members = self.configuration.members.nodes.keys();
        let others: Vec<NodeId> = members.copied().filter(|node| *node != self.id).collect();
        let is_last = done.len() + 1 >= everybody;
        for node in others.iter().filter(|node| !done.contains(node)) {
            self.post(*node, key, body.clone(), out);
        }
        // The own tombstone is erased after all others; see the module.
        if !done.contains(&self.id) && (is_last || matches!(body, Body::Retire { .. })) {
            self.post(self.id, key, body, out);
        }
    }

    /// As a proposer: forgets what is known of a key whose tombstone is to be collected.
    pub(super) fn on_retire(
        &mut self,
        from: NodeId,
        key: &Key,
        tombstone: Ballot,
        out: &mut Effects<Self>,
    ) {
        let early = self.bug(Bug::CollectedEarly);
        let cell = self.acceptor.cell(key).filter(|cell| early || cell.accepted == tombstone);
        let Some(cell) = cell.cloned() else {
            return self.answer(from, key, Body::InUse { tombstone }, out);
        };
        if !self.bug(Bug::CacheOutlivesTombstone)
            && let Some(line) = self.lines.get_mut(key)
        {
            line.cache = None;
            if line.round.is_some() {
                self.abandon(key, out);
            }
        }
        self.counter = self.counter.max(tombstone.counter);
        self.age += 1;
        let mut writes = vec![Write::Put(AGE, Record::Age(self.age))];
        let reservation = self.reserve();
        let reserves = reservation.is_some();
        writes.extend(reservation);
        if !self.bug(Bug::SessionsBuried) {
            writes.extend(self.graves.take_over(&cell.state));
        }
        let ticket = out.persist(writes);
        if reserves {
            self.reservation = ticket;
        }
        self.answer(from, key, Body::Retired { tombstone, age: self.age }, out);
    }

    /// A proposer has retired.
    pub(super) fn on_retired(
        &mut self,
        from: NodeId,
        key: &Key,
        answer: (Ballot, Age),
        out: &mut Effects<Self>,
    ) {
        let everybody = self.everybody();
        let Some(line) = self.lines.get_mut(key) else { return };
        let Some(Collection::Retiring { tombstone, ages }) = &mut line.collection else { return };
        if answer.0 != *tombstone {
            return;
        }
        ages.insert(from, answer.1);
        if ages.len() == everybody {
            let (tombstone, ages) = (*tombstone, std::mem::take(ages));
            let erased = BTreeSet::new();
            line.collection = Some(Collection::Erasing { tombstone, ages, erased });
            out.note(Note::Collecting { key: key.clone(), tombstone });
            self.ask_collected(key, out);
        }
    }

    /// An acceptor has erased the tombstone.
    pub(super) fn on_erased(
        &mut self,
        from: NodeId,
        key: &Key,
        what: Ballot,
        out: &mut Effects<Self>,
    ) {
        let everybody = self.everybody();
        let Some(line) = self.lines.get_mut(key) else { return };
        let Some(Collection::Erasing { tombstone, erased, .. }) = &mut line.collection else {
            return;
        };
        if what != *tombstone || !erased.insert(from) {
            return;
        }
        if erased.len() == everybody {
            line.collection = None;
            line.failures = 0;
            out.note(Note::Collected { key: key.clone(), tombstone: what });
        } else if erased.len() == everybody - 1 {
            self.ask_collected(key, out);
        }
    }

    /// Somebody has used the key since its tombstone was spread.
    pub(super) fn on_in_use(&mut self, key: &Key, what: Ballot, out: &mut Effects<Self>) {
        let Some(line) = self.lines.get(key) else { return };
        match &line.collection {
            Some(
                Collection::Retiring { tombstone, .. } | Collection::Erasing { tombstone, .. },
            ) if *tombstone == what => self.give_up_collection(key, out),
            _ => {}
        }
    }

    /// Leaves a tombstone where it is, and plans to try again if it is still one.
    pub(super) fn give_up_collection(&mut self, key: &Key, out: &mut Effects<Self>) {
        let Some(line) = self.lines.get_mut(key) else { return };
        if line.collection.take().is_some_and(|collection| collection.is_under_way()) {
            line.failures += 1;
            out.note(Note::NotCollected { key: key.clone() });
        }
        self.plan_collection(key);
    }
}
