//! The log in memory, and how its records lie on disk.
//!
//! Ongaro, *Consensus: Bridging Theory and Practice* (2014), §3.5. Indices start at 1; index 0 with
//! term 0 stands before the first entry, so that every entry has a predecessor to match. When a
//! snapshot has taken the place of the first entries (§5.1), the last of those stands there.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::membership::Membership;
use super::snapshot::Snapshot;
use crate::kv;
use crate::replica::{NodeId, RecoverError, Slot, Write};

/// A term: Raft's logical clock (§3.3).
pub type Term = u64;

/// A position in the log, from 1.
pub type Index = u64;

/// What an entry carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// Nothing: a leader opens its term with one, to learn what is committed (§6.4).
    Noop,
    /// A command for the state machine.
    Command(Arc<kv::Command>),
    /// Who belongs to the cluster from here on (§4.1).
    Members(Arc<Membership>),
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it stands.
    pub index: Index,
    /// The term of the leader that made it.
    pub term: Term,
    /// What it carries.
    pub payload: Payload,
}

impl Entry {
    /// Its size in bytes, roughly, for limits on messages.
    pub fn size(&self) -> usize {
        const OVERHEAD: usize = 64;
        OVERHEAD
            + match &self.payload {
                Payload::Noop => 0,
                Payload::Members(members) => members.size(),
                Payload::Command(command) => command.op.size(),
            }
    }
}

/// The place of an entry: its index and term, which together name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its index.
    pub index: Index,
    /// Its term.
    pub term: Term,
}

/// The entries this node has: without a gap, from behind its snapshot on.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// The last entry that the snapshot covers; 0 of term 0 if there is none.
    base: Place,
    entries: Vec<Entry>,
}

impl Log {
    /// A log without entries, behind a snapshot that covers all up to a place.
    pub(super) fn behind(base: Place) -> Self {
        Log { base, entries: Vec::new() }
    }

    /// The last entry that the snapshot covers; 0 of term 0 if there is none. It is committed.
    pub fn base(&self) -> Place {
        self.base
    }

    /// The entries from behind the snapshot on.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The index of the last entry, or of the last that the snapshot covers; 0 if there is neither.
    pub fn last_index(&self) -> Index {
        self.base.index + self.entries.len() as Index
    }

    /// The term of the entry at the last index; 0 if there is none.
    pub fn last_term(&self) -> Term {
        self.entries.last().map_or(self.base.term, |entry| entry.term)
    }

    /// The term at an index; `None` beyond the end, and before the last entry that the snapshot
    /// covers.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        self.get(index).map(|entry| entry.term)
    }

    /// The entry at an index; `None` where the snapshot covers it.
    pub fn get(&self, index: Index) -> Option<&Entry> {
        self.entries.get(self.position(index)?)
    }

    /// Where an entry behind the snapshot stands, or would.
    fn position(&self, index: Index) -> Option<usize> {
        Some(index.checked_sub(self.base.index + 1)? as usize)
    }

    /// At most `count_max` entries from an index on, together not larger than `bytes_max` unless the
    /// first alone is.
    pub fn batch_from(&self, from: Index, count_max: u64, bytes_max: usize) -> Vec<Entry> {
        let start = self.position(from).unwrap_or_default();
        let mut bytes = 0;
        self.entries
            .iter()
            .skip(start)
            .take(count_max as usize)
            .take_while(|entry| {
                let fits = bytes == 0 || bytes + entry.size() <= bytes_max;
                bytes += entry.size();
                fits
            })
            .cloned()
            .collect()
    }

    /// Adds an entry at the end; its index must be the next one.
    pub(super) fn push(&mut self, entry: Entry) {
        debug_assert_eq!(entry.index, self.last_index() + 1);
        self.entries.push(entry);
    }

    /// Removes the entry at an index and all after it; what the snapshot covers stays.
    pub(super) fn truncate(&mut self, from: Index) {
        self.entries.truncate(self.position(from).unwrap_or_default());
    }

    /// Forgets all entries up to a place, which a snapshot now covers. If the log does not have the
    /// entry there, what follows it in this log is not what follows it in the leader's, and goes as
    /// well (§5.3).
    pub(super) fn compact(&mut self, base: Place) {
        if self.term_at(base.index) == Some(base.term) {
            self.entries.drain(..(base.index - self.base.index) as usize);
        } else {
            self.entries.clear();
        }
        self.base = base;
    }

    /// The first index behind the snapshot with an entry of this term or a later one; beyond the end
    /// if there is none. Terms never decrease along a log, so this is a binary search.
    pub fn first_of_term(&self, term: Term) -> Index {
        let before = self.entries.partition_point(|entry| entry.term < term);
        self.base.index + before as Index + 1
    }

    /// The last index with an entry of this term, if it is known that there is one.
    pub fn last_of_term(&self, term: Term) -> Option<Index> {
        let end = self.entries.partition_point(|entry| entry.term <= term);
        let index = self.base.index + end as Index;
        (index > 0 && self.term_at(index) == Some(term)).then_some(index)
    }
}

/// The part of the state that must survive besides the log (§3.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HardState {
    /// The latest term this node has seen.
    pub term: Term,
    /// Whom it voted for in that term.
    pub vote: Option<NodeId>,
}

/// A record on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// Term and vote, together so that they cannot come apart.
    Hard(HardState),
    /// What takes the place of the first entries.
    Snapshot(Arc<Snapshot>),
    /// A log entry.
    Entry(Entry),
}

/// The slot of term and vote.
pub const HARD: Slot = Slot::Numbered(0, 0);
/// The slot of what takes the place of the first entries.
pub const SNAPSHOT: Slot = Slot::Numbered(1, 0);
const LOG_AREA: u8 = 2;

/// The slot of the entry at an index.
pub fn entry_slot(index: Index) -> Slot {
    Slot::Numbered(LOG_AREA, index)
}

/// The write that stores term and vote.
pub(super) fn write_hard(hard: HardState) -> Write<Record> {
    Write::Put(HARD, Record::Hard(hard))
}

/// The write that stores an entry.
pub(super) fn write_entry(entry: &Entry) -> Write<Record> {
    Write::Put(entry_slot(entry.index), Record::Entry(entry.clone()))
}

/// The write that removes the entry at an index and all after it.
pub(super) fn write_truncation(from: Index) -> Write<Record> {
    Write::Erase(entry_slot(from), entry_slot(Index::MAX))
}

/// The writes that put a snapshot in the place of the entries it covers, and of all entries if what
/// follows them is not to be kept. In one batch: a disk has the snapshot or what it stands for.
pub(super) fn write_snapshot(snapshot: &Arc<Snapshot>, keep_rest: bool) -> Vec<Write<Record>> {
    let last = if keep_rest { snapshot.last.index } else { Index::MAX };
    vec![
        Write::Put(SNAPSHOT, Record::Snapshot(snapshot.clone())),
        Write::Erase(entry_slot(0), entry_slot(last)),
    ]
}

/// The write that leaves nothing but term and vote.
pub(super) fn write_nothing() -> Vec<Write<Record>> {
    vec![Write::Erase(SNAPSHOT, SNAPSHOT), write_truncation(0)]
}

/// What a disk holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Recovered {
    pub(super) hard: HardState,
    pub(super) snapshot: Option<Arc<Snapshot>>,
    pub(super) log: Log,
}

/// Reads back what was written, in the order of slots.
pub(super) fn read_disk(disk: Vec<(Slot, Record)>) -> Result<Recovered, RecoverError> {
    let mut found = Recovered::default();
    for (slot, record) in disk {
        match (slot, record) {
            (HARD, Record::Hard(stored)) => found.hard = stored,
            (SNAPSHOT, Record::Snapshot(snapshot)) => {
                found.log = Log::behind(snapshot.last);
                found.snapshot = Some(snapshot);
            }
            (Slot::Numbered(LOG_AREA, at), Record::Entry(entry)) => {
                check_entry(at, &entry, &found.log, found.hard)?;
                found.log.push(entry);
            }
            (slot, record) => {
                return Err(RecoverError(format!("{record:?} does not belong into {slot:?}")));
            }
        }
    }
    if found.log.base.term > found.hard.term {
        let (of, current) = (found.log.base.term, found.hard.term);
        return Err(RecoverError(format!("a snapshot of term {of}, in term {current}")));
    }
    Ok(found)
}

fn check_entry(at: Index, entry: &Entry, log: &Log, hard: HardState) -> Result<(), RecoverError> {
    let next = log.last_index() + 1;
    if at != next || entry.index != next {
        let found = entry.index;
        return Err(RecoverError(format!("entry {next} is missing; slot {at} has entry {found}")));
    }
    if entry.term < log.last_term() || entry.term > hard.term {
        let (term, before, current) = (entry.term, log.last_term(), hard.term);
        return Err(RecoverError(format!(
            "entry {next} has term {term}, after term {before} and in term {current}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(terms: &[Term]) -> Log {
        let mut log = Log::default();
        for (position, term) in terms.iter().enumerate() {
            let index = position as Index + 1;
            log.push(Entry { index, term: *term, payload: Payload::Noop });
        }
        log
    }

    fn disk(terms: &[Term], hard: HardState) -> Vec<(Slot, Record)> {
        let mut disk = vec![(HARD, Record::Hard(hard))];
        for entry in &log(terms).entries {
            disk.push((entry_slot(entry.index), Record::Entry(entry.clone())));
        }
        disk
    }

    #[test]
    fn runs_of_a_term_are_found_from_both_ends() {
        let log = log(&[1, 1, 4, 4, 4, 6]);
        assert_eq!(log.first_of_term(1), 1);
        assert_eq!(log.first_of_term(4), 3);
        assert_eq!(log.first_of_term(6), 6);
        assert_eq!(log.first_of_term(7), 7);
        assert_eq!(log.last_of_term(1), Some(2));
        assert_eq!(log.last_of_term(4), Some(5));
        assert_eq!(log.last_of_term(5), None);
        assert_eq!(log.last_of_term(7), None);
        assert_eq!(Log::default().last_of_term(0), None);
    }

    #[test]
    fn a_batch_is_limited_by_number_and_size() {
        let log = log(&[1; 10]);
        let one = log.get(1).expect("entry 1").size();
        assert_eq!(log.batch_from(1, 100, 0).len(), 1);
        assert_eq!(log.batch_from(3, 100, 4 * one).len(), 4);
        assert_eq!(log.batch_from(3, 3, 4 * one).len(), 3);
        assert_eq!(log.batch_from(3, 0, 4 * one).len(), 0);
        assert_eq!(log.batch_from(9, 100, 100 * one).len(), 2);
        assert_eq!(log.batch_from(11, 100, 100 * one).len(), 0);
    }

    #[test]
    fn a_disk_is_read_back_or_refused() {
        let hard = HardState { term: 3, vote: Some(NodeId(2)) };
        let found = read_disk(disk(&[1, 1, 3], hard)).expect("a sound disk");
        assert_eq!((found.hard, found.log.last_index(), found.log.last_term()), (hard, 3, 3));
        let found = read_disk(Vec::new()).expect("an empty disk");
        assert_eq!((found.hard, found.log.last_index()), (HardState::default(), 0));

        let mut gap = disk(&[1, 1, 3], hard);
        gap.remove(2);
        assert!(read_disk(gap).is_err(), "entry 2 is missing");
        assert!(read_disk(disk(&[1, 3, 1], hard)).is_err(), "terms decrease");
        assert!(read_disk(disk(&[4], hard)).is_err(), "an entry from the future");
        let misplaced = vec![(Slot::Named(0, "x".into()), Record::Hard(hard))];
        assert!(read_disk(misplaced).is_err(), "a record in the wrong place");
    }

    #[test]
    fn a_log_behind_a_snapshot_is_read_back_or_refused() {
        let hard = HardState { term: 3, vote: None };
        let last = Place { index: 2, term: 1 };
        let snapshot =
            Arc::new(Snapshot { last, members: Arc::default(), state: kv::Store::default() });
        let mut compacted = disk(&[1, 1, 3], hard);
        compacted.drain(1..3);
        compacted.insert(1, (SNAPSHOT, Record::Snapshot(snapshot.clone())));
        let found = read_disk(compacted.clone()).expect("a sound disk");
        assert_eq!((found.log.base(), found.log.last_index()), (last, 3));
        assert_eq!(found.snapshot, Some(snapshot.clone()));
        compacted.pop();
        let found = read_disk(compacted.clone()).expect("a sound disk");
        assert_eq!((found.log.last_index(), found.log.last_term()), (2, 1));
        assert!(read_disk(compacted.split_off(1)).is_err(), "a snapshot from the future");
        let mut double = disk(&[1, 1, 3], hard);
        double.insert(1, (SNAPSHOT, Record::Snapshot(snapshot)));
        assert!(read_disk(double).is_err(), "entries that the snapshot covers are gone");
    }

    /// Whatever is asked of a log, one whose first entries are compacted says the same of the rest.
    #[test]
    fn compacting_changes_nothing_behind_the_snapshot() {
        let whole = log(&[1, 1, 4, 4, 4, 6, 6]);
        for covered in 0..=7 {
            let mut rest = whole.clone();
            let base = Place { index: covered, term: whole.term_at(covered).expect("it is there") };
            rest.compact(base);
            assert_eq!((rest.base(), rest.last_index(), rest.last_term()), (base, 7, 6));
            for index in 0..=8 {
                let known = |value| if index > covered { value } else { None };
                assert_eq!(rest.get(index), known(whole.get(index)));
                let term = if index < covered { None } else { whole.term_at(index) };
                assert_eq!(rest.term_at(index), term);
            }
            for term in 0..=7 {
                let first = whole.first_of_term(term).max(covered + 1);
                assert_eq!(rest.first_of_term(term), first);
                let last = whole.last_of_term(term).filter(|last| *last >= covered);
                assert_eq!(rest.last_of_term(term), last);
            }
            for from in covered + 1..=8 {
                let batch = |log: &Log| log.batch_from(from, 3, usize::MAX);
                assert_eq!(batch(&rest), batch(&whole));
                let (mut shorter, mut cut) = (rest.clone(), whole.clone());
                shorter.truncate(from);
                cut.truncate(from);
                assert_eq!(shorter.last_index(), cut.last_index());
                assert_eq!(shorter.last_term(), cut.last_term());
            }
        }
    }

    #[test]
    fn what_follows_another_entry_than_the_snapshots_last_goes() {
        let place = |index, term| Place { index, term };
        for (base, last) in [(place(3, 2), 5), (place(3, 1), 3), (place(6, 2), 6)] {
            let mut log = log(&[1, 1, 2, 2, 2]);
            log.compact(base);
            assert_eq!(log.last_index(), last, "{base:?}");
        }
    }
}
