//! A disk that forgets what was not synced; see the storage contract of
//! [`rashomon_stores::replica`].
//!
//! A batch is atomic by that contract, because live nodes keep theirs in a transactional store: a
//! batch that a crash tore is one that is gone. So what a crash leaves is a prefix of the batches,
//! however long, from what is synced on; the same goes for an fsync that failed.

use std::collections::{BTreeMap, VecDeque};

use rand::RngExt;
use rand::seq::IteratorRandom;
use rand_chacha::ChaCha8Rng;
use rashomon_stores::replica::{Slot, Ticket, Write};

/// One node's disk.
#[derive(Debug)]
pub(super) struct Disk<Record> {
    synced: BTreeMap<Slot, Record>,
    /// A copy of what it held once, if one was made.
    saved: Option<BTreeMap<Slot, Record>>,
    /// Batches that are written but not synced, oldest first.
    written: VecDeque<(Ticket, Vec<Write<Record>>)>,
    /// Whether an fsync is under way.
    syncing: bool,
}

impl<Record: Clone> Disk<Record> {
    /// An empty disk.
    pub(super) fn new() -> Self {
        Disk { synced: BTreeMap::new(), saved: None, written: VecDeque::new(), syncing: false }
    }

    /// Writes a batch.
    pub(super) fn write(&mut self, ticket: Ticket, batch: Vec<Write<Record>>) {
        self.written.push_back((ticket, batch));
    }

    /// Begins to sync all that is written, unless there is nothing or an fsync is under way; says
    /// up to which ticket.
    pub(super) fn begin_sync(&mut self) -> Option<Ticket> {
        if self.syncing {
            return None;
        }
        let last = self.written.back()?.0;
        self.syncing = true;
        Some(last)
    }

    /// The fsync is done: everything up to the ticket will survive.
    pub(super) fn end_sync(&mut self, last: Ticket) {
        while self.written.front().is_some_and(|(ticket, _)| *ticket <= last) {
            self.keep_one();
        }
        self.syncing = false;
    }

    /// Everything that is written is durable at once.
    pub(super) fn flush(&mut self) {
        while !self.written.is_empty() {
            self.keep_one();
        }
        self.syncing = false;
    }

    /// Loses power. Of the batches not synced any number from the first on may have reached the
    /// disk all the same; says how many did not.
    pub(super) fn crash(&mut self, rng: &mut ChaCha8Rng) -> usize {
        let kept = rng.random_range(0..=self.written.len());
        for _ in 0..kept {
            self.keep_one();
        }
        let lost = self.written.len();
        self.written.clear();
        self.syncing = false;
        lost
    }

    /// Makes a copy of what survives a crash.
    pub(super) fn save(&mut self) {
        self.saved = Some(self.synced.clone());
    }

    /// Puts the copy back in place of all that is newer; says whether there is one.
    pub(super) fn roll_back(&mut self) -> bool {
        self.saved.as_ref().map(|saved| self.synced = saved.clone()).is_some()
    }

    /// What a new incarnation finds, in the order of slots.
    pub(super) fn read(&self) -> Vec<(Slot, Record)> {
        self.synced.iter().map(|(slot, record)| (slot.clone(), record.clone())).collect()
    }

    /// The slot of one of the records that survive a crash, drawn evenly; none if there is none.
    pub(super) fn some_slot(&self, rng: &mut ChaCha8Rng) -> Option<&Slot> {
        self.synced.keys().choose(rng)
    }

    /// What survives a crash for sure.
    pub(super) fn synced(&self) -> &BTreeMap<Slot, Record> {
        &self.synced
    }

    fn keep_one(&mut self) {
        let Some((_, batch)) = self.written.pop_front() else { return };
        for write in batch {
            match write {
                Write::Put(slot, record) => {
                    self.synced.insert(slot, record);
                }
                Write::Erase(from, to) => {
                    let gone: Vec<Slot> =
                        self.synced.range(from..=to).map(|(slot, _)| slot.clone()).collect();
                    for slot in gone {
                        self.synced.remove(&slot);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng;

    use super::*;

    fn put(at: u64) -> Vec<Write<u64>> {
        vec![Write::Put(Slot::Numbered(0, at), at)]
    }

    fn records(disk: &Disk<u64>) -> Vec<u64> {
        disk.read().into_iter().map(|(_, record)| record).collect()
    }

    #[test]
    fn a_crash_keeps_what_is_synced_and_any_prefix_of_the_rest() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut seen = BTreeSet::new();
        for _ in 0..100 {
            let mut disk = Disk::new();
            disk.write(Ticket(1), put(1));
            assert_eq!(disk.begin_sync(), Some(Ticket(1)));
            disk.write(Ticket(2), put(2));
            assert_eq!(disk.begin_sync(), None, "one at a time");
            disk.end_sync(Ticket(1));
            disk.write(Ticket(3), put(3));
            let lost = disk.crash(&mut rng);
            let kept = records(&disk);
            assert_eq!(kept.len() + lost, 3);
            seen.insert(kept);
            assert_eq!(disk.begin_sync(), None, "nothing is left to sync");
        }
        assert_eq!(seen, [vec![1], vec![1, 2], vec![1, 2, 3]].into());
    }

    #[test]
    fn erasing_takes_both_ends_and_what_is_between() {
        let mut disk = Disk::new();
        disk.write(Ticket(1), (1..=5).flat_map(put).collect());
        let erase = Write::Erase(Slot::Numbered(0, 2), Slot::Numbered(0, 4));
        disk.write(Ticket(2), vec![erase]);
        disk.end_sync(Ticket(2));
        assert_eq!(records(&disk), [1, 5]);
    }
}
