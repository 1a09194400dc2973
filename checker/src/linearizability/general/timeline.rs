//! The line of events, and the window of operations pending at one place of it.

use crate::history::NEVER;
use crate::model::{Call, Specification};

const WORD: usize = u64::BITS as usize;

/// What happens at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// An operation begins.
    Call(u32),
    /// An operation ends.
    Return(u32),
}

/// The invocations and completions of the operations in question, by rank, and the slot of the
/// window that each operation occupies while it is pending. Crashed operations keep theirs.
#[derive(Debug)]
pub(super) struct Timeline {
    events: Vec<Event>,
    slots: Vec<u32>,
    words: usize,
}

impl Timeline {
    pub(super) fn new<O>(calls: &[Call<O>], skip: &[bool]) -> Self {
        let mut points = Vec::with_capacity(2 * calls.len());
        for (index, call) in calls.iter().enumerate().filter(|&(index, _)| !skip[index]) {
            points.push((call.call, Event::Call(index as u32)));
            if call.ret != NEVER {
                points.push((call.ret, Event::Return(index as u32)));
            }
        }
        points.sort_unstable_by_key(|&(rank, _)| rank);
        let events: Vec<Event> = points.into_iter().map(|(_, event)| event).collect();
        let (mut free, mut used) = (Vec::new(), 0);
        let mut slots = vec![0; calls.len()];
        for &event in &events {
            match event {
                Event::Call(op) => {
                    slots[op as usize] = free.pop().unwrap_or_else(|| {
                        used += 1;
                        used - 1
                    });
                }
                Event::Return(op) => free.push(slots[op as usize]),
            }
        }
        Timeline { events, slots, words: (used as usize).div_ceil(WORD).max(1) }
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    /// The place of the first event at or after a rank.
    pub(super) fn place<O>(&self, rank: u32, calls: &[Call<O>]) -> usize {
        self.events.partition_point(|event| match *event {
            Event::Call(op) => calls[op as usize].call < rank,
            Event::Return(op) => calls[op as usize].ret < rank,
        })
    }

    /// How many words a bit set over the slots has.
    pub(super) fn words(&self) -> usize {
        self.words
    }

    pub(super) fn slot(&self, op: u32) -> usize {
        self.slots[op as usize] as usize
    }

    pub(super) fn event(&self, at: usize) -> Event {
        self.events[at]
    }
}

/// Which operations are pending at a place. It moves along the line both ways, so that a search
/// that goes back to where it was needs no copy.
#[derive(Debug)]
pub(super) struct Window {
    at: usize,
    owner: Vec<u32>,
    /// Slots in use.
    pub(super) pending: Vec<u64>,
    /// Slots of reads.
    pub(super) reads: Vec<u64>,
    /// Slots of operations that never return.
    pub(super) crashed: Vec<u64>,
}

impl Window {
    pub(super) fn new(timeline: &Timeline) -> Self {
        let words = timeline.words();
        let (pending, reads, crashed) = (vec![0; words], vec![0; words], vec![0; words]);
        Window { at: 0, owner: vec![0; words * WORD], pending, reads, crashed }
    }

    /// The place: everything before it has happened.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The operation that occupies a slot in use.
    pub(super) fn owner(&self, slot: usize) -> u32 {
        self.owner[slot]
    }

    /// Passes the next event.
    pub(super) fn forward<S: Specification>(&mut self, line: &Timeline, ops: &Facts<'_, S>) {
        match line.event(self.at) {
            Event::Call(op) => self.enter(line.slot(op), op, ops),
            Event::Return(op) => self.leave(line.slot(op)),
        }
        self.at += 1;
    }

    /// Goes back to an earlier place.
    pub(super) fn rewind<S: Specification>(
        &mut self,
        at: usize,
        line: &Timeline,
        ops: &Facts<'_, S>,
    ) {
        while self.at > at {
            self.at -= 1;
            match line.event(self.at) {
                Event::Call(op) => self.leave(line.slot(op)),
                Event::Return(op) => self.enter(line.slot(op), op, ops),
            }
        }
    }

    fn enter<S: Specification>(&mut self, slot: usize, op: u32, ops: &Facts<'_, S>) {
        self.owner[slot] = op;
        set(&mut self.pending, slot, true);
        set(&mut self.reads, slot, ops.is_read(op));
        set(&mut self.crashed, slot, ops.is_crashed(op));
    }

    fn leave(&mut self, slot: usize) {
        set(&mut self.pending, slot, false);
        set(&mut self.reads, slot, false);
        set(&mut self.crashed, slot, false);
    }
}

/// What the window wants to know of an operation.
#[derive(Debug)]
pub(super) struct Facts<'a, S: Specification> {
    pub(super) specification: &'a S,
    pub(super) calls: &'a [Call<S::Operation>],
}

impl<S: Specification> Facts<'_, S> {
    fn is_read(&self, op: u32) -> bool {
        self.specification.is_read(&self.calls[op as usize].operation)
    }

    pub(super) fn is_crashed(&self, op: u32) -> bool {
        self.calls[op as usize].ret == NEVER
    }
}

/// Whether a bit is set.
pub(super) fn has(bits: &[u64], bit: usize) -> bool {
    bits[bit / WORD] >> (bit % WORD) & 1 == 1
}

/// Sets a bit, or clears it.
pub(super) fn set(bits: &mut [u64], bit: usize, on: bool) {
    let word = &mut bits[bit / WORD];
    *word = *word & !(1 << (bit % WORD)) | u64::from(on) << (bit % WORD);
}

/// The bits set in one word, with the number of its first bit.
pub(super) fn ones(mut word: u64, index: usize) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        (word != 0).then(|| {
            let bit = word.trailing_zeros() as usize;
            word &= word - 1;
            index * WORD + bit
        })
    })
}
