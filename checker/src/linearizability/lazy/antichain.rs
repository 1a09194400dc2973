//! The memory of the search: per event, configurations none of which is at least as good as
//! another.
//!
//! Of two configurations with the same value at the same event, one is at least as good if
//!
//! - every pending operation that may return in the other may return in it: reads that are
//!   satisfied, writes that have taken effect or could be absorbed, compare-and-sets that have taken
//!   effect,
//! - no pending write has taken effect in it that has not in the other, and
//! - it has used no more crashed operations of any kind.
//!
//! Then it can copy every move of the other. A compare-and-set may return if and only if it has
//! taken effect, so that the first two conditions make those equal, as they must be: an applied
//! one is neither better nor worse than one still to apply.
//!
//! When a configuration turns out to lead nowhere, the search knows which of its shortcomings
//! mattered on the way (conflict-directed learning, as in constraint solvers: Dechter, "Enhancement
//! schemes for constraint processing", Artificial Intelligence 1990). All others might as well not
//! be there, and so it is remembered without them and covers more.

use super::spent::is_within;
use crate::linearizability::budget::{Meter, Resource};

const NONE: u32 = u32::MAX;

/// A configuration without its value: bit sets over slots, and counters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Widths {
    /// Words of each bit set.
    pub(super) slots: usize,
    /// Words of the counters.
    pub(super) spent: usize,
}

impl Widths {
    /// Words of a whole configuration: those that may return, those used up, counters.
    pub(super) fn total(self) -> usize {
        2 * self.slots + self.spent
    }
}

/// A configuration that is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry(u32);

/// What became of a configuration.
#[derive(Clone, Copy, Debug)]
pub(super) enum Inserted {
    /// It is known from now on.
    New(Entry),
    /// This one is at least as good.
    Covered(Entry),
}

/// The configurations met so far, chained by event.
#[derive(Debug)]
pub(super) struct Antichains {
    /// How many pairs of configurations were compared.
    pub(super) compared: u64,
    widths: Widths,
    spare: Vec<u64>,
    /// The first entry of each event.
    first: Vec<u32>,
    /// Value and next entry, then the configuration.
    entries: Vec<u64>,
}

impl Antichains {
    pub(super) fn new(events: usize, widths: Widths, spare: &[u64]) -> Self {
        Antichains {
            compared: 0,
            widths,
            spare: spare.to_vec(),
            first: vec![NONE; events],
            entries: Vec::new(),
        }
    }

    /// Remembers a configuration, unless one at least as good is known at this event.
    pub(super) fn insert(
        &mut self,
        at: usize,
        value: u32,
        configuration: &[u64],
        meter: &mut Meter<'_>,
    ) -> Result<Inserted, Resource> {
        let stride = 1 + self.widths.total();
        let mut next = self.first[at];
        while next != NONE {
            meter.tick()?;
            self.compared += 1;
            let base = next as usize * stride;
            let head = self.entries[base];
            if head as u32 == value {
                let known = &self.entries[base + 1..base + stride];
                if self.is_as_good(known, configuration) {
                    return Ok(Inserted::Covered(Entry(next)));
                }
                if self.is_as_good(configuration, known) {
                    self.entries[base + 1..base + stride].copy_from_slice(configuration);
                    return Ok(Inserted::New(Entry(next)));
                }
            }
            next = (head >> 32) as u32;
        }
        if self.entries.len() + stride > self.entries.capacity() {
            let more = self.entries.capacity().max(64 * stride);
            meter.draw(more * size_of::<u64>())?;
            self.entries.reserve_exact(more);
        }
        let entry = (self.entries.len() / stride) as u32;
        self.entries.push(u64::from(self.first[at]) << 32 | u64::from(value));
        self.entries.extend_from_slice(configuration);
        self.first[at] = entry;
        Ok(Inserted::New(Entry(entry)))
    }

    /// A configuration that is known.
    pub(super) fn get(&self, entry: Entry) -> &[u64] {
        let stride = 1 + self.widths.total();
        let base = entry.0 as usize * stride;
        &self.entries[base + 1..base + stride]
    }

    /// Notes that a configuration leads nowhere, and neither would a better one that is equal to it
    /// in what is to `blame`.
    pub(super) fn learn(&mut self, entry: Entry, configuration: &[u64], blame: &[u64]) {
        // A better one may have taken its place.
        if self.get(entry) != configuration {
            return;
        }
        let slots = self.widths.slots;
        let stride = 1 + self.widths.total();
        let base = entry.0 as usize * stride;
        let known = &mut self.entries[base + 1..base + stride];
        for (word, (known, blame)) in known.iter_mut().zip(blame).enumerate() {
            *known = if word < slots { *known | !blame } else { *known & blame };
        }
    }

    fn is_as_good(&self, better: &[u64], worse: &[u64]) -> bool {
        let slots = self.widths.slots;
        let includes = |more: &[u64], fewer: &[u64]| {
            more.iter().zip(fewer).all(|(more, fewer)| fewer & !more == 0)
        };
        includes(&better[..slots], &worse[..slots])
            && includes(&worse[slots..2 * slots], &better[slots..2 * slots])
            && is_within(&better[2 * slots..], &worse[2 * slots..], &self.spare)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linearizability::budget::Budget;
    use std::time::Duration;

    #[test]
    fn what_is_not_better_is_turned_away() {
        let budget = Budget::new(Duration::from_secs(3600), 1 << 20);
        let mut meter = budget.meter();
        let widths = Widths { slots: 1, spent: 1 };
        // Two counters of two bits.
        let mut known = Antichains::new(2, widths, &[0b100_100]);
        let mut insert = |at, value, free: u64, used: u64, spent: u64| {
            let configuration = [free, used, spent];
            let inserted = known.insert(at, value, &configuration, &mut meter);
            matches!(inserted.expect("in budget"), Inserted::New(_))
        };
        assert!(insert(0, 0, 0b011, 0b001, 0b001_000));
        assert!(!insert(0, 0, 0b011, 0b001, 0b001_000), "the same");
        assert!(!insert(0, 0, 0b001, 0b001, 0b001_000), "may return less");
        assert!(!insert(0, 0, 0b011, 0b011, 0b001_000), "has used more");
        assert!(!insert(0, 0, 0b011, 0b001, 0b010_000), "has spent more");
        assert!(insert(0, 0, 0b111, 0b001, 0b010_000), "neither");
        assert!(insert(0, 0, 0b111, 0b000, 0b000_000), "better");
        assert!(!insert(0, 0, 0b111, 0b000, 0b000_001), "worse than the better");
        assert!(insert(0, 1, 0, 0, 0), "another value");
        assert!(insert(1, 0, 0, 0, 0), "another event");
    }
}
