//! The memo of the search: configurations that need not be looked at again.
//!
//! A configuration is a place in the line of events, a state, and which of the operations pending
//! there have taken effect. Lowe (Concurrency & Computation 2017) remembers the set of all
//! operations that ever took effect; here everything before the place is implied, so an entry has
//! the size of the window, not of the history.
//!
//! Beyond equality there is dominance. Of two configurations that agree on the place, the state,
//! and the completed mutators that took effect, one is at least as good if it has used no crashed
//! operation that the other has not (it may still use it, and need not) and has answered every
//! read that the other has (an answered read constrains nothing more): whatever the worse one can
//! do, the better one can do with the same steps. Entries that agree are chained, and a newcomer
//! is turned away if one of them is at least as good.

use super::places::Groups;
use crate::linearizability::budget::{Meter, Resource};

const EMPTY: u32 = u32::MAX;
const FIRST_SLOTS: usize = 64;

/// A configuration in two bit sets over the slots of the window.
#[derive(Debug)]
pub(super) struct Configuration<'a> {
    /// The place in the line of events.
    pub(super) at: u32,
    /// The state, by number.
    pub(super) state: u32,
    /// Completed mutators that took effect; must be equal.
    pub(super) exact: &'a [u64],
    /// Reads answered and crashed operations unused; more is better.
    pub(super) good: &'a [u64],
}

/// What became of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inserted {
    /// It is remembered as the entry with this number.
    New(u32),
    /// One at least as good is known; these are to blame for its failing.
    Known(Groups),
}

/// Open addressing over entries of a fixed number of words in one flat array.
#[derive(Debug)]
pub(super) struct Memo {
    words: usize,
    entries: Vec<u64>,
    slots: Vec<u32>,
    /// How many slots are taken: entries less those that hang on a chain.
    taken: usize,
}

impl Memo {
    /// A memo for bit sets of so many words.
    pub(super) fn new(words: usize) -> Self {
        Memo { words, entries: Vec::new(), slots: vec![EMPTY; FIRST_SLOTS], taken: 0 }
    }

    /// An entry is place and state, the groups to blame and the next of its chain, and the two bit
    /// sets.
    fn stride(&self) -> usize {
        2 + 2 * self.words
    }

    /// Remembers the configuration, unless one at least as good is known already.
    pub(super) fn insert(
        &mut self,
        configuration: &Configuration<'_>,
        meter: &mut Meter<'_>,
    ) -> Result<Inserted, Resource> {
        let head = u64::from(configuration.at) << 32 | u64::from(configuration.state);
        let slot = self.find(head, configuration.exact);
        let first = self.slots[slot];
        let mut next = first;
        while next != EMPTY {
            let base = next as usize * self.stride();
            let good = base + 2 + self.words;
            let known = &mut self.entries[good..good + self.words];
            if includes(known, configuration.good) {
                return Ok(Inserted::Known((self.entries[base + 1] >> 32) as Groups));
            }
            if includes(configuration.good, known) {
                known.copy_from_slice(configuration.good);
                return Ok(Inserted::New(next));
            }
            next = self.entries[base + 1] as u32;
        }
        let entry = self.push(head, first, configuration, meter)?;
        self.slots[slot] = entry;
        self.taken += usize::from(first == EMPTY);
        if 2 * self.taken > self.slots.len() {
            self.grow(meter)?;
        }
        Ok(Inserted::New(entry))
    }

    /// Notes who is to blame for an entry's failing, beside those noted before.
    pub(super) fn blame(&mut self, entry: u32, blame: Groups) {
        let base = entry as usize * self.stride();
        self.entries[base + 1] |= u64::from(blame) << 32;
    }

    /// The states of all entries at a place, in the order in which they were first met.
    pub(super) fn states_at(&self, at: u32) -> Vec<u32> {
        let entries = self.entries.chunks_exact(self.stride());
        let here = entries.filter(|entry| (entry[0] >> 32) as u32 == at);
        let mut states: Vec<u32> = Vec::new();
        for state in here.map(|entry| entry[0] as u32) {
            if !states.contains(&state) {
                states.push(state);
            }
        }
        states
    }

    fn push(
        &mut self,
        head: u64,
        chain: u32,
        configuration: &Configuration<'_>,
        meter: &mut Meter<'_>,
    ) -> Result<u32, Resource> {
        let stride = self.stride();
        if self.entries.len() + stride > self.entries.capacity() {
            let more = self.entries.capacity().max(FIRST_SLOTS * stride);
            meter.draw(more * size_of::<u64>())?;
            self.entries.reserve_exact(more);
        }
        let number = (self.entries.len() / stride) as u32;
        self.entries.push(head);
        self.entries.push(u64::from(chain));
        self.entries.extend_from_slice(configuration.exact);
        self.entries.extend_from_slice(configuration.good);
        Ok(number)
    }

    /// The slot of the chain for this key, or the free slot where it would begin.
    fn find(&self, head: u64, exact: &[u64]) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash(head, exact) as usize & mask;
        loop {
            let entry = self.slots[slot];
            if entry == EMPTY {
                return slot;
            }
            let base = entry as usize * self.stride();
            if self.entries[base] == head && self.entries[base + 2..base + 2 + self.words] == *exact
            {
                return slot;
            }
            slot = (slot + 1) & mask;
        }
    }

    fn grow(&mut self, meter: &mut Meter<'_>) -> Result<(), Resource> {
        meter.draw(self.slots.len() * size_of::<u32>())?;
        let larger = vec![EMPTY; 2 * self.slots.len()];
        for entry in std::mem::replace(&mut self.slots, larger) {
            if entry != EMPTY {
                let base = entry as usize * self.stride();
                let exact = base + 2;
                let slot = self.find(self.entries[base], &self.entries[exact..exact + self.words]);
                self.slots[slot] = entry;
            }
        }
        Ok(())
    }
}

/// Whether the first set has every bit of the second.
fn includes(more: &[u64], fewer: &[u64]) -> bool {
    more.iter().zip(fewer).all(|(more, fewer)| fewer & !more == 0)
}

/// Multiply and fold, after wyhash; the high half carries the mixing into the low bits.
fn hash(head: u64, exact: &[u64]) -> u64 {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let mix = |hash: u64, word: u64| {
        let product = u128::from(hash ^ word) * u128::from(FACTOR);
        (product >> 64) as u64 ^ product as u64
    };
    exact.iter().fold(mix(FACTOR, head), |hash, &word| mix(hash, word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linearizability::budget::Budget;
    use std::time::Duration;

    #[test]
    fn equal_and_worse_configurations_are_turned_away() {
        let budget = Budget::new(Duration::from_secs(3600), 1 << 20);
        let mut meter = budget.meter();
        let mut memo = Memo::new(1);
        let mut insert = |at, state, exact: u64, good: u64| {
            let (exact, good) = (&[exact], &[good]);
            let configuration = Configuration { at, state, exact, good };
            let inserted = memo.insert(&configuration, &mut meter).expect("in budget");
            matches!(inserted, Inserted::New(_))
        };
        assert!(insert(1, 0, 0b01, 0b100));
        assert!(!insert(1, 0, 0b01, 0b100), "the same");
        assert!(!insert(1, 0, 0b01, 0b000), "worse");
        assert!(insert(1, 0, 0b01, 0b1000), "neither better nor worse");
        assert!(insert(1, 0, 0b01, 0b1100), "better");
        assert!(!insert(1, 0, 0b01, 0b1000), "worse than the better");
        assert!(insert(1, 0, 0b11, 0), "another set of mutators");
        assert!(insert(1, 1, 0b01, 0), "another state");
        assert!(insert(2, 0, 0b01, 0), "another place");
    }

    #[test]
    fn growing_loses_nothing() {
        let budget = Budget::new(Duration::from_secs(3600), 1 << 24);
        let mut meter = budget.meter();
        let mut memo = Memo::new(2);
        let mut insert = |number: u32| {
            let exact = &[u64::from(number % 7), u64::from(number / 7)];
            let configuration =
                Configuration { at: number % 5, state: number % 3, exact, good: &[0, 0] };
            let inserted = memo.insert(&configuration, &mut meter).expect("in budget");
            matches!(inserted, Inserted::New(_))
        };
        assert!((0..20_000).all(&mut insert));
        assert!(!(0..20_000).any(&mut insert));
        assert_eq!(memo.states_at(4), [1, 0, 2]);
    }
}
