//! Durable promises: what a node has promised by a message that left it is on its disk, and holds
//! after every crash.
//!
//! Ongaro, *Consensus: Bridging Theory and Practice* (2014), figure 3.1: term, vote and log are
//! "updated on stable storage before responding to RPCs"; §3.8 says what goes wrong otherwise. A
//! vote promises that there will be no other in its term, and no part in an earlier one. An answer
//! that confirms entries promises that they stay, unless a later leader truncates them. Both are
//! looked for on the disk when the message leaves, and in the core when it has recovered: that what
//! was written is also read back is the other half of the promise.

use std::collections::BTreeMap;

use rashomon_stores::raft::Raft;
use rashomon_stores::raft::log::{
    HARD, HardState, Index, Log, Place, Record, SNAPSHOT, Term, entry_slot,
};
use rashomon_stores::raft::message::{Body, Message, Outcome};
use rashomon_stores::replica::NodeId;

use crate::sim::witness::{Breach, Promise, Records};

const NAME: &str = "durable promises";

/// What a node has promised.
#[derive(Clone, Copy, Debug, Default)]
struct Promised {
    /// Not to be in an earlier term again.
    term: Term,
    /// In the latest term in which it voted: for whom.
    vote: Option<(Term, NodeId)>,
    /// The last entry that it confirmed and no leader has truncated since.
    last: Place,
}

/// What every node has promised.
#[derive(Debug, Default)]
pub(super) struct DurablePromises(BTreeMap<NodeId, Promised>);

/// Whether a message promises what must survive.
pub(super) fn is_promise(message: &Message) -> bool {
    matches!(
        message.body,
        Body::RequestVote { .. }
            | Body::Vote { granted: true }
            | Body::Appended { outcome: Outcome::Match { .. }, .. }
    )
}

impl DurablePromises {
    /// A message with a promise has left a node, whose disk holds these records for sure.
    pub(super) fn made(
        &mut self,
        promise: &Promise<Message>,
        core: &Raft,
        disk: &Records<Raft>,
    ) -> Result<(), Breach> {
        let Promise { from, to, message } = promise;
        let known = self.0.entry(*from).or_default();
        match message.body {
            // Whoever stands for election votes for itself.
            Body::RequestVote { .. } => known.votes(*from, message.term, *from, disk),
            Body::Vote { .. } => known.votes(*from, message.term, *to, disk),
            Body::Appended { outcome: Outcome::Match { index }, .. } => {
                known.confirms(*from, message.term, index, core, disk)
            }
            _ => Ok(()),
        }
    }

    /// A node has removed all entries from an index on, as its leader told it to.
    pub(super) fn truncated(&mut self, node: NodeId, from: Index, log: &Log) {
        let known = self.0.entry(node).or_default();
        if known.last.index >= from {
            let index = from - 1;
            known.last = log.term_at(index).map_or(Place::default(), |term| Place { index, term });
        }
    }

    /// A node has put its leader's snapshot in the place of its first entries, or of all. Where what
    /// it had confirmed is gone with them, it has promised nothing any more: the snapshot may not be
    /// on its disk yet.
    pub(super) fn installed(&mut self, node: NodeId, log: &Log) {
        let known = self.0.entry(node).or_default();
        if !has(log, known.last) {
            known.last = Place::default();
        }
    }

    /// A node has recovered; says whether it had promised anything, and whether a vote in its term
    /// was among that.
    pub(super) fn recovered(&self, node: NodeId, core: &Raft) -> Result<(bool, bool), Breach> {
        let Some(known) = self.0.get(&node) else { return Ok((false, false)) };
        let HardState { term, vote } = core.hard_state();
        if term < known.term {
            let before = known.term;
            let what = format!("{node} comes back in term {term} and was in term {before} before");
            return Err(Breach::new(NAME, what));
        }
        let voted = known.vote.filter(|(voted, _)| *voted == term);
        if let Some((_, candidate)) = voted.filter(|(_, candidate)| vote != Some(*candidate)) {
            let what = format!("{node} comes back without its vote for {candidate} in term {term}");
            return Err(Breach::new(NAME, what));
        }
        if !has(core.log(), known.last) {
            let Place { index, term } = known.last;
            let what = format!(
                "{node} comes back without entry {index} of term {term}, which it had confirmed"
            );
            return Err(Breach::new(NAME, what));
        }
        Ok((true, voted.is_some()))
    }
}

/// Whether a log has the entry at this place, or a snapshot that covers it.
fn has(log: &Log, place: Place) -> bool {
    place.index <= log.base().index || log.term_at(place.index) == Some(place.term)
}

impl Promised {
    fn votes(
        &mut self,
        node: NodeId,
        term: Term,
        candidate: NodeId,
        disk: &Records<Raft>,
    ) -> Result<(), Breach> {
        let stored = hard_state(disk);
        if stored.term < term || (stored.term == term && stored.vote != Some(candidate)) {
            let what = format!(
                "the vote of {node} for {candidate} in term {term} leaves it before its disk has it"
            );
            return Err(Breach::new(NAME, what));
        }
        if let Some((_, other)) =
            self.vote.filter(|(voted, other)| (*voted == term) && *other != candidate)
        {
            let what = format!("{node} votes for {other} and for {candidate} in term {term}");
            return Err(Breach::new(NAME, what));
        }
        if self.vote.is_none_or(|(voted, _)| voted < term) {
            self.vote = Some((term, candidate));
        }
        self.term = self.term.max(term);
        Ok(())
    }

    fn confirms(
        &mut self,
        node: NodeId,
        term: Term,
        index: Index,
        core: &Raft,
        disk: &Records<Raft>,
    ) -> Result<(), Breach> {
        if index == 0 {
            // That both logs begin with nothing.
            return Ok(());
        }
        // Most answers say again what an earlier one has said. In a later term the log may be another
        // one already; within a term it only grows.
        let is_old = term <= self.term && index <= self.last.index;
        if is_old || core.hard_state().term != term {
            return Ok(());
        }
        let stored = stored_term(index, disk);
        let is_stored = match core.log().term_at(index) {
            Some(wanted) => stored == Some(wanted) || is_covered(index, disk),
            // The log has been compacted; the disk may not know yet.
            None => stored.is_some() || is_covered(index, disk),
        };
        if hard_state(disk).term < term || !is_stored {
            let what =
                format!("{node} confirms entry {index} in term {term} before its disk has it");
            return Err(Breach::new(NAME, what));
        }
        self.term = self.term.max(term);
        if index > self.last.index {
            // Of what a stored snapshot covers the term does not matter any more.
            self.last = Place { index, term: stored.unwrap_or_default() };
        }
        Ok(())
    }
}

fn hard_state(disk: &Records<Raft>) -> HardState {
    match disk.get(&HARD) {
        Some(Record::Hard(hard)) => *hard,
        _ => HardState::default(),
    }
}

/// The term of the entry that a disk has at an index.
fn stored_term(index: Index, disk: &Records<Raft>) -> Option<Term> {
    match disk.get(&entry_slot(index)) {
        Some(Record::Entry(entry)) => Some(entry.term),
        _ => None,
    }
}

/// Whether a disk has a snapshot that covers an index.
fn is_covered(index: Index, disk: &Records<Raft>) -> bool {
    let snapshot = disk.get(&SNAPSHOT);
    matches!(snapshot, Some(Record::Snapshot(snapshot)) if snapshot.last.index >= index)
}

#[cfg(test)]
mod tests {
    use super::super::support::{entry, node};
    use super::*;

    const VOTER: NodeId = NodeId(1);

    fn promise(to: u16, term: Term, body: Body) -> Promise<Message> {
        Promise { from: VOTER, to: NodeId(to), message: Message { term, body } }
    }

    fn vote(to: u16, term: Term) -> Promise<Message> {
        promise(to, term, Body::Vote { granted: true })
    }

    fn confirm(term: Term, index: Index) -> Promise<Message> {
        promise(2, term, Body::Appended { round: 1, outcome: Outcome::Match { index } })
    }

    fn disk(term: Term, vote: Option<u16>, terms: &[Term]) -> Records<Raft> {
        let hard = Record::Hard(HardState { term, vote: vote.map(NodeId) });
        let entries = (1..).zip(terms);
        let entries = entries.map(|(at, term)| (entry_slot(at), Record::Entry(entry(at, *term))));
        [(HARD, hard)].into_iter().chain(entries).collect()
    }

    #[test]
    fn a_vote_is_on_the_disk_when_it_leaves_and_stays_what_it_is() {
        let core = node(&[]);
        let mut promises = DurablePromises::default();
        let early = promises.made(&vote(2, 3), &core, &disk(2, None, &[]));
        assert!(early.is_err(), "not stored yet");
        assert_eq!(promises.made(&vote(2, 3), &core, &disk(3, Some(2), &[])), Ok(()));
        assert_eq!(
            promises.made(&vote(2, 3), &core, &disk(4, None, &[])),
            Ok(()),
            "once more, late"
        );
        assert!(promises.made(&vote(3, 3), &core, &disk(3, Some(3), &[])).is_err(), "another");
        assert_eq!(promises.made(&vote(3, 4), &core, &disk(4, Some(3), &[])), Ok(()), "later");
    }

    #[test]
    fn confirmed_entries_are_on_the_disk_and_stay_unless_they_are_truncated() {
        let mut promises = DurablePromises::default();
        let core = node(&[1, 1, 2]);
        assert!(promises.made(&confirm(2, 3), &core, &disk(2, None, &[1, 1])).is_err());
        assert!(promises.made(&confirm(2, 3), &core, &disk(2, None, &[1, 1, 1])).is_err());
        assert_eq!(promises.made(&confirm(2, 3), &core, &disk(2, None, &[1, 1, 2])), Ok(()));
        assert_eq!(promises.recovered(VOTER, &core), Ok((true, false)));
        assert!(
            promises.recovered(VOTER, &node(&[1, 1])).is_err(),
            "its term and entry 3 are gone"
        );
        assert!(promises.recovered(VOTER, &node(&[1, 2, 3])).is_err(), "another entry 3");
        promises.truncated(VOTER, 3, node(&[1, 1]).log());
        assert_eq!(promises.recovered(VOTER, &node(&[1, 1, 3])), Ok((true, false)));
    }

    #[test]
    fn a_snapshot_that_replaces_the_log_is_no_promise_before_it_is_confirmed() {
        let mut promises = DurablePromises::default();
        let confirmed =
            promises.made(&confirm(1, 3), &node(&[1, 1, 1]), &disk(1, None, &[1, 1, 1]));
        assert_eq!(confirmed, Ok(()));
        promises.installed(VOTER, node(&[1, 1, 1, 2]).log());
        assert!(promises.recovered(VOTER, &node(&[1, 1])).is_err(), "the log was kept");
        promises.installed(VOTER, node(&[2, 2]).log());
        assert_eq!(promises.recovered(VOTER, &node(&[1, 1])), Ok((true, false)), "it was replaced");
    }

    #[test]
    fn a_term_and_a_vote_are_there_after_recovery() {
        let mut promises = DurablePromises::default();
        assert_eq!(promises.recovered(VOTER, &node(&[])), Ok((false, false)), "no promises yet");
        promises.made(&vote(2, 3), &node(&[]), &disk(3, Some(2), &[])).expect("it is stored");
        assert!(promises.recovered(VOTER, &node(&[2])).is_err(), "an earlier term");
        assert!(promises.recovered(VOTER, &node(&[3])).is_err(), "no vote in that term");
        assert_eq!(promises.recovered(VOTER, &node(&[4])), Ok((true, false)), "a later term");
    }
}
