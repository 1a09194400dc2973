//! Kept promises: the ballots that an acceptor has promised never go back, and what it has promised
//! or accepted is on its disk when anybody hears of it, and found again after every crash. Likewise a
//! proposer's disk says that a ballot is used when anybody hears of it.
//!
//! Lamport, *The Part-Time Parliament* (1998), §2.3: notes are kept in indelible ink in the back of
//! the ledger; Rystsov, *CASPaxos* (2018), §2.2: an acceptor "persists the ballot number as a
//! promise" and "the received tuple" before it confirms.

use std::collections::BTreeMap;

use rashomon_stores::kv::Key;
use rashomon_stores::paxos::Paxos;
use rashomon_stores::paxos::acceptor::{CONFIGURATION, RESERVED, Record, promise_slot, state_slot};
use rashomon_stores::paxos::message::{Ballot, Body, Epoch, Message};
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
    /// In which configuration a node was last to forget all that it had promised.
    forgotten: BTreeMap<NodeId, Epoch>,
    /// The latest configuration in which each node has promised anything.
    epochs: BTreeMap<NodeId, Epoch>,
    /// The last tombstone of each key that acceptors began to erase, and their promises with it.
    collected: BTreeMap<Key, Ballot>,
}

/// Whether a message promises what must survive.
pub(super) fn is_promise(message: &Message) -> bool {
    matches!(
        message.body,
        Body::Prepare { .. } | Body::Accept { .. } | Body::Promise { .. } | Body::Accepted { .. }
    )
}

impl KeptPromises {
    /// Acceptors begin to erase a tombstone.
    pub(super) fn collecting(&mut self, key: &Key, tombstone: Ballot) {
        let known = self.collected.entry(key.clone()).or_default();
        *known = (*known).max(tombstone);
    }

    /// A node joins in a configuration, and forgets what it has promised in earlier ones.
    pub(super) fn forgotten(&mut self, node: NodeId, epoch: Epoch) {
        self.nodes.remove(&node);
        self.forgotten.insert(node, epoch);
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
        // A promise tells what was accepted before it, which may have been told to nobody yet.
        let (ballot, accepted) = match message.body {
            Body::Promise { ballot, accepted, .. } => (ballot, accepted),
            Body::Accepted { ballot } => (ballot, ballot),
            Body::Prepare { ballot, .. } => return is_used(node, ballot, disk),
            Body::Accept { ballot, next, .. } => {
                return is_used(node, next.unwrap_or(ballot), disk);
            }
            _ => return Ok(()),
        };
        if self.forgotten.get(&node).is_some_and(|epoch| ballot.epoch < *epoch) {
            return Ok(());
        }
        let adopted = match disk.get(&CONFIGURATION) {
            Some(Record::Configuration(configuration)) => configuration.epoch,
            _ => 0,
        };
        let epoch = self.epochs.entry(node).or_default();
        *epoch = (*epoch).max(ballot.epoch);
        let known = self.nodes.entry(node).or_default().entry(key.clone()).or_default();
        let breach = |what: String| Err(Breach::new(NAME, format!("{node} of {key}: {what}")));
        if adopted < ballot.epoch {
            return breach(format!(
                "{ballot} is promised, but the disk has configuration {adopted}"
            ));
        }
        // The same is told again to whoever asks again, whatever was promised since.
        let tells_again = matches!(message.body, Body::Accepted { .. });
        let is_repeated = tells_again && ballot == known.accepted;
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
    pub(super) fn recovered(&self, node: NodeId, core: &Paxos) -> Result<u64, Breach> {
        let mut kept = 0;
        let (acceptor, epoch) = (core.acceptor(), core.configuration().epoch);
        if let Some(known) = self.epochs.get(&node).filter(|known| epoch < **known) {
            let what = format!("{node} had promised in configuration {known}, not {epoch}");
            return Err(Breach::new(NAME, what));
        }
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

/// Whether a disk says that a ballot is used, so that it is never used again.
fn is_used(node: NodeId, ballot: Ballot, disk: &Records<Paxos>) -> Result<(), Breach> {
    match disk.get(&RESERVED) {
        Some(Record::Reserved(counter)) if *counter > ballot.counter => Ok(()),
        found => {
            let what = format!("{node} proposes at {ballot}, but its disk has {found:?}");
            Err(Breach::new(NAME, what))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use rashomon_stores::paxos::Options;
    use rashomon_stores::replica::{Effects, Replica, Setup};

    use super::*;

    const NODE: NodeId = NodeId(1);

    fn ballot(counter: u64) -> Ballot {
        Ballot { epoch: 0, counter, node: NodeId(2) }
    }

    fn promise(counter: u64, accepted: u64) -> Message {
        let accepted = if accepted == 0 { Ballot::NONE } else { ballot(accepted) };
        let body = Body::Promise { ballot: ballot(counter), accepted, state: Arc::default() };
        Message { key: "x".into(), body }
    }

    fn accepted(counter: u64) -> Message {
        Message { key: "x".into(), body: Body::Accepted { ballot: ballot(counter) } }
    }

    /// A disk with these on it; nothing stands for none.
    fn disk(promised: u64, accepted: u64) -> Records<Paxos> {
        let key: Key = "x".into();
        let mut disk = Records::<Paxos>::new();
        if promised > 0 {
            disk.insert(promise_slot(&key), Record::Promised(ballot(promised)));
        }
        if accepted > 0 {
            disk.insert(state_slot(&key), Record::Accepted(ballot(accepted), Arc::default()));
        }
        disk
    }

    fn core(disk: Records<Paxos>) -> Paxos {
        let setup = Setup { id: NODE, members: vec![NODE], seed: 1 };
        let mut out = Effects::default();
        let disk = disk.into_iter().collect();
        Paxos::recover(setup, Options::default(), disk, Duration::ZERO, &mut out)
            .expect("a sound disk")
    }

    #[test]
    fn what_is_not_on_the_disk_is_seen_when_it_is_promised() {
        let mut known = KeptPromises::default();
        assert!(known.made(NODE, &promise(3, 0), &disk(2, 0)).is_err());
        let mut known = KeptPromises::default();
        assert_eq!(known.made(NODE, &promise(3, 0), &disk(3, 0)), Ok(()));
        assert!(known.made(NODE, &accepted(3), &disk(3, 0)).is_err());
        let mut known = KeptPromises::default();
        assert!(known.made(NODE, &promise(3, 2), &disk(3, 0)).is_err());
    }

    #[test]
    fn a_ballot_that_could_be_used_again_is_seen() {
        let prepare = |counter| Message {
            key: "x".into(),
            body: Body::Prepare { ballot: ballot(counter), age: 0 },
        };
        let mut known = KeptPromises::default();
        let mut disk = disk(0, 0);
        assert!(known.made(NODE, &prepare(1), &disk).is_err());
        disk.insert(RESERVED, Record::Reserved(3));
        assert_eq!(known.made(NODE, &prepare(2), &disk), Ok(()));
        assert!(known.made(NODE, &prepare(3), &disk).is_err());
    }

    #[test]
    fn a_promise_that_goes_back_is_seen_but_not_a_repetition() {
        let mut known = KeptPromises::default();
        assert_eq!(known.made(NODE, &accepted(2), &disk(3, 2)), Ok(()));
        assert_eq!(known.made(NODE, &promise(3, 2), &disk(3, 2)), Ok(()));
        assert_eq!(known.made(NODE, &accepted(2), &disk(3, 2)), Ok(()), "said before");
        assert!(known.made(NODE, &promise(2, 2), &disk(3, 2)).is_err());
    }

    #[test]
    fn what_is_not_found_again_is_seen_but_not_what_was_collected() {
        let mut known = KeptPromises::default();
        assert_eq!(known.made(NODE, &accepted(3), &disk(3, 3)), Ok(()));
        assert_eq!(known.recovered(NODE, &core(disk(3, 3))), Ok(1));
        assert!(known.recovered(NODE, &core(disk(3, 2))).is_err());
        assert!(known.recovered(NODE, &core(disk(0, 0))).is_err());
        known.collecting(&"x".into(), ballot(3));
        assert_eq!(known.recovered(NODE, &core(disk(0, 0))), Ok(1));
    }
}
