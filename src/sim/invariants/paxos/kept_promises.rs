//! Kept promises: the ballots that an acceptor has promised never go back, and what it has promised
//! or accepted is on its disk when anybody hears of it, and found again after every crash.
//!
//! Lamport, *The Part-Time Parliament* (1998), §2.3: notes are kept in indelible ink in the back of
//! the ledger; Rystsov, *CASPaxos* (2018), §2.2: an acceptor "persists the ballot number as a
//! promise" and "the received tuple" before it confirms.

use std::collections::BTreeMap;

use rashomon_stores::kv::Key;
use rashomon_stores::paxos::Paxos;
use rashomon_stores::paxos::acceptor::{Acceptor, Record, promise_slot, state_slot};
use rashomon_stores::paxos::message::{Ballot, Body, Message};
use rashomon_stores::replica::NodeId;

use crate::sim::witness::{Breach, Records};

const NAME: &str = "kept promises";

/// What a node has promised of a key.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    promised: Ballot,
    accepted: Ballot,
}

/// What every node has promised.
#[derive(Debug, Default)]
pub(super) struct KeptPromises {
    nodes: BTreeMap<NodeId, BTreeMap<Key, Known>>,
    /// The last tombstone of each key that acceptors began to erase, and their promises with it.
    collected: BTreeMap<Key, Ballot>,
}

/// Whether a message promises what must survive.
pub(super) fn is_promise(message: &Message) -> bool {
    matches!(message.body, Body::Promise { .. } | Body::Accepted { .. })
}

impl KeptPromises {
    /// Acceptors begin to erase a tombstone.
    pub(super) fn collecting(&mut self, key: &Key, tombstone: Ballot) {
        let known = self.collected.entry(key.clone()).or_default();
        *known = (*known).max(tombstone);
    }

    /// A message with a promise has left a node, whose disk holds these records for sure.
    pub(super) fn made(
        &mut self,
        node: NodeId,
        message: &Message,
        disk: &Records<Paxos>,
    ) -> Result<(), Breach> {
        let key = &message.key;
        let gone = self.collected.get(key).copied().unwrap_or_default();
        let known = self.nodes.entry(node).or_default().entry(key.clone()).or_default();
        // A promise tells what was accepted before it, which may have been told to nobody yet.
        let (ballot, accepted) = match message.body {
            Body::Promise { ballot, accepted, .. } => (ballot, accepted),
            Body::Accepted { ballot } => (ballot, ballot),
            _ => return Ok(()),
        };
        let breach = |what: String| Err(Breach::new(NAME, format!("{node} of {key}: {what}")));
        // The same is told again to whoever asks again, whatever was promised since.
        let is_repeated = ballot == accepted && accepted == known.accepted;
        if ballot < known.promised && !is_repeated {
            return breach(format!("{ballot} comes after a promise of {}", known.promised));
        }
        known.promised = known.promised.max(ballot);
        known.accepted = known.accepted.max(accepted);
        match disk.get(&promise_slot(key)) {
            _ if ballot <= gone => {}
            Some(Record::Promised(stored)) if *stored >= ballot => {}
            found => return breach(format!("{ballot} is promised, but the disk has {found:?}")),
        }
        match disk.get(&state_slot(key)) {
            _ if accepted <= gone => Ok(()),
            Some(Record::Accepted(stored, _)) if *stored >= accepted => Ok(()),
            _ => breach(format!("{accepted} is told to be accepted, but is not on the disk")),
        }
    }

    /// A node has recovered; says of how many keys it had promised something.
    pub(super) fn recovered(&self, node: NodeId, acceptor: &Acceptor) -> Result<u64, Breach> {
        let mut kept = 0;
        for (key, known) in self.nodes.get(&node).into_iter().flatten() {
            let gone = self.collected.get(key).copied().unwrap_or_default();
            let cell = acceptor.cell(key).cloned().unwrap_or_default();
            let lost = |before: Ballot, now: Ballot| now < before && before > gone;
            if lost(known.promised, cell.promised) || lost(known.accepted, cell.accepted) {
                let what = format!(
                    "{node} had promised {} and accepted {} of {key}, and comes back with {} and {}",
                    known.promised, known.accepted, cell.promised, cell.accepted
                );
                return Err(Breach::new(NAME, what));
            }
            kept += 1;
        }
        Ok(kept)
    }
}
