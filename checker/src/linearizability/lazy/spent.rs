//! How many crashed operations of each kind a configuration has used: counters packed into words.
//!
//! Every counter has a spare bit above it, which is never set. With it, "no counter is greater" is
//! one subtraction per word for all counters in it (Lamport, "Multiple byte processing with
//! full-word instructions", CACM 1975). A counter lives from the first invocation of its kind to
//! the last return that could need it; then its place is free for another of the same width.

use std::collections::BTreeMap;

use super::WORD;

/// Where a counter is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counter {
    word: u32,
    shift: u8,
    width: u8,
}

impl Counter {
    fn mask(self) -> u64 {
        ((1 << self.width) - 1) << self.shift
    }

    /// Sets all its bits.
    pub(super) fn mark(self, words: &mut [u64]) {
        words[self.word as usize] |= self.mask();
    }

    /// The count.
    pub(super) fn get(self, words: &[u64]) -> u32 {
        ((words[self.word as usize] & self.mask()) >> self.shift) as u32
    }

    /// One more.
    pub(super) fn increment(self, words: &mut [u64]) {
        words[self.word as usize] += 1 << self.shift;
    }

    /// None.
    pub(super) fn clear(self, words: &mut [u64]) {
        words[self.word as usize] &= !self.mask();
    }
}

/// Gives counters their places.
#[derive(Debug, Default)]
pub(super) struct Layout {
    free: BTreeMap<u8, Vec<Counter>>,
    /// The spare bits of each word.
    spare: Vec<u64>,
    /// How many bits of the last word are taken.
    taken: usize,
}

impl Layout {
    /// A place for a counter up to `most`.
    pub(super) fn allocate(&mut self, most: u32) -> Counter {
        let width = (u32::BITS - most.leading_zeros()) as u8;
        if let Some(counter) = self.free.get_mut(&width).and_then(Vec::pop) {
            return counter;
        }
        if self.spare.is_empty() || self.taken + usize::from(width) + 1 > WORD {
            self.spare.push(0);
            self.taken = 0;
        }
        let word = self.spare.len() - 1;
        let counter = Counter { word: word as u32, shift: self.taken as u8, width };
        self.taken += usize::from(width) + 1;
        self.spare[word] |= 1 << (self.taken - 1);
        counter
    }

    /// The place is used no more; its counter is clear.
    pub(super) fn release(&mut self, counter: Counter) {
        self.free.entry(counter.width).or_default().push(counter);
    }

    /// The spare bits of each word.
    pub(super) fn into_spare_bits(self) -> Vec<u64> {
        self.spare
    }
}

/// Whether no counter of the first is greater than that of the second.
pub(super) fn is_within(fewer: &[u64], more: &[u64], spare: &[u64]) -> bool {
    let mut words = fewer.iter().zip(more).zip(spare);
    words.all(|((fewer, more), spare)| ((more | spare) - fewer) & spare == *spare)
}

/// All bits of those counters in a word that are not 0.
pub(super) fn nonzero(word: u64, spare: u64) -> u64 {
    // To take 1 from each costs those that are 0 their spare bit.
    let mut left = (word | spare).wrapping_sub(spare << 1 | 1) & spare;
    let mut bits = 0;
    while left != 0 {
        let top = left & left.wrapping_neg();
        let below = spare & (top - 1);
        let start = if below == 0 { 0 } else { u64::BITS - below.leading_zeros() };
        bits |= (top - 1) >> start << start;
        left ^= top;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_compare_one_by_one() {
        let mut layout = Layout::default();
        let most = [1, 3, 1_000, u32::MAX, 7, 1];
        let counters = most.map(|most| layout.allocate(most));
        let spare = layout.into_spare_bits();
        let words = |counts: [u32; 6]| {
            let mut words = vec![0; spare.len()];
            for (counter, count) in counters.iter().zip(counts) {
                (0..count).for_each(|_| counter.increment(&mut words));
            }
            counters.iter().zip(counts).for_each(|(counter, count)| {
                assert_eq!(counter.get(&words), count);
            });
            words
        };
        let all = [
            [0, 0, 0, 0, 0, 0],
            [1, 3, 1_000, 5, 7, 1],
            [1, 2, 999, 6, 7, 0],
            [0, 3, 0, 0, 0, 1],
            [1, 0, 1_000, 5, 0, 0],
        ];
        for fewer in all {
            for more in all {
                let mut marked = vec![0; spare.len()];
                for (counter, &count) in counters.iter().zip(&more) {
                    if count > 0 {
                        counter.mark(&mut marked);
                    }
                }
                let nonzero = |(&word, &spare): (&u64, &u64)| nonzero(word, spare);
                let found: Vec<u64> = words(more).iter().zip(&spare).map(nonzero).collect();
                assert_eq!(found, marked);
                let expected = fewer.iter().zip(&more).all(|(fewer, more)| fewer <= more);
                assert_eq!(is_within(&words(fewer), &words(more), &spare), expected);
            }
        }
    }

    #[test]
    fn a_place_is_used_again() {
        let mut layout = Layout::default();
        let first = layout.allocate(1);
        assert_ne!(layout.allocate(1), first);
        layout.release(first);
        assert_ne!(layout.allocate(2), first, "another width");
        assert_eq!(layout.allocate(1), first);
    }
}
