//! The acceptor: what a node has promised and accepted of each key, in memory and on disk.
//!
//! Rystsov, *CASPaxos* (2018), §2.2: an acceptor knows the highest ballot it has promised and, with
//! its ballot, the last state it has accepted. Both are on the disk before anybody hears of them.
//! Promise and state lie in slots of their own, so that a promise does not write the state again.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::collect::Grave;
use super::membership::Configuration;
use super::message::{Age, Ballot, Body};
use super::mutants::Bug;
use crate::kv::{Key, Register};
use crate::replica::{NodeId, RecoverError, Slot, Write};

/// What a node writes to its disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// The node has not used any counter from this one on in a ballot of its own.
    Reserved(u64),
    /// The node's own age.
    Age(Age),
    /// The least age at which each proposer is listened to.
    Ages(BTreeMap<NodeId, Age>),
    /// The ballot promised for a key.
    Promised(Ballot),
    /// The state accepted for a key, and its ballot.
    Accepted(Ballot, Arc<Register>),
    /// The last command that a client is known to have done to a key that is gone.
    Grave(Grave),
    /// The latest configuration that the node knows of, but the first.
    Configuration(Arc<Configuration>),
}

/// Where the one record of the counters lies.
pub const RESERVED: Slot = Slot::Numbered(0, 0);
/// Where the one record of the node's age lies.
pub(super) const AGE: Slot = Slot::Numbered(1, 0);
const AGES: Slot = Slot::Numbered(2, 0);
/// Where the one record of the configuration lies.
pub const CONFIGURATION: Slot = Slot::Numbered(6, 0);

/// Where the promise for a key lies.
pub fn promise_slot(key: &Key) -> Slot {
    Slot::Named(3, key.clone())
}

/// Where the state of a key lies.
pub fn state_slot(key: &Key) -> Slot {
    Slot::Named(4, key.clone())
}

/// What is known of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// No lower ballot is accepted any more.
    pub promised: Ballot,
    /// The ballot that was accepted last.
    pub accepted: Ballot,
    /// What was accepted then.
    pub state: Arc<Register>,
}

impl Cell {
    /// Whether it holds a state without a value.
    pub(super) fn is_tombstone(&self) -> bool {
        self.accepted > Ballot::NONE && *self.state.value() == crate::kv::Value::Null
    }
}

/// A node's part in what all keys are.
#[derive(Clone, Debug, Default)]
pub struct Acceptor {
    cells: BTreeMap<Key, Cell>,
    /// The least age at which each proposer is listened to.
    ages: BTreeMap<NodeId, Age>,
    bug: Option<Bug>,
}

/// An answer, and what must be on the disk before it leaves.
pub(super) type Answer = (Body, Vec<Write<Record>>);

impl Acceptor {
    /// One that holds nothing yet.
    pub(super) fn new(bug: Option<Bug>) -> Self {
        Acceptor { bug, ..Acceptor::default() }
    }

    /// What is known of a key, if anything is.
    pub fn cell(&self, key: &Key) -> Option<&Cell> {
        self.cells.get(key)
    }

    /// Every key that something is known of, in order.
    pub fn cells(&self) -> impl Iterator<Item = (&Key, &Cell)> {
        self.cells.iter()
    }

    /// The highest ballot promised for a key.
    pub(super) fn promised(&self, key: &Key) -> Ballot {
        self.cells.get(key).map_or(Ballot::NONE, |cell| cell.promised)
    }

    /// The keys that come after one, at most so many, and whether there are more.
    pub(super) fn keys_after(&self, after: Option<&Key>, most: usize) -> (Vec<Key>, bool) {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = self.cells.range::<Key, _>((from, Bound::Unbounded)).map(|(key, _)| key);
        let keys = rest.by_ref().take(most).cloned().collect();
        (keys, rest.next().is_some())
    }

    /// Forgets everything: what it has promised and accepted does not count any more.
    pub(super) fn forget(&mut self) -> Vec<Write<Record>> {
        let slots = |key: &Key| [promise_slot(key), state_slot(key)];
        let erased = self.cells.keys().flat_map(slots);
        let writes = erased.map(|slot| Write::Erase(slot.clone(), slot)).collect();
        self.cells.clear();
        writes
    }

    /// Takes over a record from the disk.
    pub(super) fn recall(&mut self, slot: Slot, record: Record) -> Result<(), RecoverError> {
        let forgets = self.bug == Some(Bug::PromiseForgotten);
        match (slot, record) {
            (AGES, Record::Ages(ages)) => self.ages = ages,
            (Slot::Named(3, _), Record::Promised(_)) if forgets => {}
            (Slot::Named(3, key), Record::Promised(ballot)) => {
                self.cells.entry(key).or_default().promised = ballot;
            }
            (Slot::Named(4, key), Record::Accepted(ballot, state)) => {
                let cell = self.cells.entry(key.clone()).or_default();
                if forgets {
                    cell.promised = ballot;
                }
                if ballot > cell.promised {
                    let why = format!("{key:?} was accepted at {ballot}, beyond all promises");
                    return Err(RecoverError(why));
                }
                (cell.accepted, cell.state) = (ballot, state);
            }
            (slot, record) => {
                return Err(RecoverError(format!("{record:?} does not belong in {slot:?}")));
            }
        }
        Ok(())
    }

    /// Whether a proposer of this age is still listened to.
    pub(super) fn listens_to(&self, proposer: NodeId, age: Age) -> bool {
        self.ages.get(&proposer).is_none_or(|least| age >= *least)
            || self.bug == Some(Bug::AgeUnchecked)
    }

    /// Answers a prepare.
    pub(super) fn prepare(&mut self, key: &Key, ballot: Ballot) -> Answer {
        let cell = self.cells.entry(key.clone()).or_default();
        // What has accepted a ballot has nothing to tell to its prepare, which is a late copy.
        if ballot < cell.promised || ballot == cell.accepted {
            return (Body::Conflict { ballot, promised: cell.promised }, Vec::new());
        }
        cell.promised = ballot;
        let (accepted, state) = match self.bug {
            Some(Bug::PromiseWithoutValue) if cell.accepted.node != ballot.node => {
                Default::default()
            }
            _ => (cell.accepted, cell.state.clone()),
        };
        let write = Write::Put(promise_slot(key), Record::Promised(ballot));
        (Body::Promise { ballot, accepted, state }, vec![write])
    }

    /// Answers an accept. That it has accepted exactly this is true however often it is asked.
    pub(super) fn accept(
        &mut self,
        key: &Key,
        ballot: Ballot,
        state: Arc<Register>,
        next: Option<Ballot>,
    ) -> Answer {
        let cell = self.cells.entry(key.clone()).or_default();
        let unchecked = self.bug == Some(Bug::OldBallotAccepted);
        if ballot < cell.promised && ballot != cell.accepted && !unchecked {
            return (Body::Conflict { ballot, promised: cell.promised }, Vec::new());
        }
        if ballot == cell.accepted {
            return (Body::Accepted { ballot }, Vec::new());
        }
        let promised = next.unwrap_or(ballot).max(cell.promised);
        let record = Record::Accepted(ballot, state.clone());
        *cell = Cell { promised, accepted: ballot, state };
        let writes = vec![
            Write::Put(promise_slot(key), Record::Promised(promised)),
            Write::Put(state_slot(key), record),
        ];
        (Body::Accepted { ballot }, writes)
    }

    /// Erases a tombstone, unless the key has been used since: a promise that was made for a later
    /// proposal must be kept, too. From now on proposers are listened to from these ages on.
    pub(super) fn erase(
        &mut self,
        key: &Key,
        tombstone: Ballot,
        ages: &BTreeMap<NodeId, Age>,
    ) -> Answer {
        for (proposer, age) in ages {
            let least = self.ages.entry(*proposer).or_default();
            *least = (*least).max(*age);
        }
        let mut writes = vec![Write::Put(AGES, Record::Ages(self.ages.clone()))];
        let cell = self.cells.get(key);
        let untouched = |cell: &Cell| (cell.accepted, cell.promised) == (tombstone, tombstone);
        if !cell.is_none_or(untouched) {
            return (Body::InUse { tombstone }, writes);
        }
        if self.cells.remove(key).is_some() {
            for slot in [promise_slot(key), state_slot(key)] {
                writes.push(Write::Erase(slot.clone(), slot));
            }
        }
        (Body::Erased { tombstone }, writes)
    }
}
