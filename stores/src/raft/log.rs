//! The log in memory, and how its records lie on disk.
//!
//! Ongaro, *Consensus: Bridging Theory and Practice* (2014), §3.5. Indices start at 1; index 0 with
//! term 0 stands before the first entry, so that every entry has a predecessor to match.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

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
                Payload::Command(command) => match &command.op {
                    kv::Op::Put { key, value } | kv::Op::Append { key, value } => {
                        key.len() + value.size()
                    }
                    kv::Op::Cas { key, expected, new } => key.len() + expected.size() + new.size(),
                    kv::Op::Delete { key } => key.len(),
                },
            }
    }
}

/// The entries this node has, from index 1 on without a gap.
#[derive(Clone, Debug, Default)]
pub struct Log {
    entries: Vec<Entry>,
}

impl Log {
    /// The index of the last entry; 0 if there is none.
    pub fn last_index(&self) -> Index {
        self.entries.len() as Index
    }

    /// The term of the last entry; 0 if there is none.
    pub fn last_term(&self) -> Term {
        self.entries.last().map_or(0, |entry| entry.term)
    }

    /// The term at an index; `None` beyond the end.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        if index == 0 { Some(0) } else { self.get(index).map(|entry| entry.term) }
    }

    /// The entry at an index.
    pub fn get(&self, index: Index) -> Option<&Entry> {
        self.entries.get(index.checked_sub(1)? as usize)
    }

    /// At most `count_max` entries from an index on, together not larger than `bytes_max` unless the
    /// first alone is.
    pub fn batch_from(&self, from: Index, count_max: u64, bytes_max: usize) -> Vec<Entry> {
        let start = (from.max(1) - 1) as usize;
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

    /// Removes the entry at an index and all after it.
    pub(super) fn truncate(&mut self, from: Index) {
        self.entries.truncate((from.max(1) - 1) as usize);
    }

    /// The first index with an entry of this term or a later one; beyond the end if there is none.
    /// Terms never decrease along a log, so this is a binary search.
    pub fn first_of_term(&self, term: Term) -> Index {
        self.entries.partition_point(|entry| entry.term < term) as Index + 1
    }

    /// The last index with an entry of this term, if there is one.
    pub fn last_of_term(&self, term: Term) -> Option<Index> {
        let end = self.entries.partition_point(|entry| entry.term <= term);
        (end > 0 && self.entries[end - 1].term == term).then_some(end as Index)
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
    /// A log entry.
    Entry(Entry),
}

const HARD: Slot = Slot::Numbered(0, 0);
const LOG_AREA: u8 = 1;

/// The write that stores term and vote.
pub(super) fn write_hard(hard: HardState) -> Write<Record> {
    Write::Put(HARD, Record::Hard(hard))
}

/// The write that stores an entry.
pub(super) fn write_entry(entry: &Entry) -> Write<Record> {
    Write::Put(Slot::Numbered(LOG_AREA, entry.index), Record::Entry(entry.clone()))
}

/// The write that removes the entry at an index and all after it.
pub(super) fn write_truncation(from: Index) -> Write<Record> {
    Write::Erase(Slot::Numbered(LOG_AREA, from), Slot::Numbered(LOG_AREA, Index::MAX))
}

/// Reads back what was written, in the order of slots.
pub(super) fn read_disk(disk: Vec<(Slot, Record)>) -> Result<(HardState, Log), RecoverError> {
    let mut hard = HardState::default();
    let mut log = Log::default();
    for (slot, record) in disk {
        match (slot, record) {
            (HARD, Record::Hard(stored)) => hard = stored,
            (Slot::Numbered(LOG_AREA, at), Record::Entry(entry)) => {
                check_entry(at, &entry, &log, hard)?;
                log.push(entry);
            }
            (slot, record) => {
                return Err(RecoverError(format!("{record:?} does not belong into {slot:?}")));
            }
        }
    }
    Ok((hard, log))
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
            disk.push((Slot::Numbered(LOG_AREA, entry.index), Record::Entry(entry.clone())));
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
        let (read, log) = read_disk(disk(&[1, 1, 3], hard)).expect("a sound disk");
        assert_eq!((read, log.last_index(), log.last_term()), (hard, 3, 3));
        let (read, log) = read_disk(Vec::new()).expect("an empty disk");
        assert_eq!((read, log.last_index()), (HardState::default(), 0));

        let mut gap = disk(&[1, 1, 3], hard);
        gap.remove(2);
        assert!(read_disk(gap).is_err(), "entry 2 is missing");
        assert!(read_disk(disk(&[1, 3, 1], hard)).is_err(), "terms decrease");
        assert!(read_disk(disk(&[4], hard)).is_err(), "an entry from the future");
        let misplaced = vec![(Slot::Named(0, "x".into()), Record::Hard(hard))];
        assert!(read_disk(misplaced).is_err(), "a record in the wrong place");
    }
}
