//! The operations pending at one place of the line, by what they do.

use super::action::Action;
use super::plan::{Ahead, Event, Plan};
use super::{WORD, bit};

/// Slots of completed operations on one value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pending {
    /// Reads of it.
    pub(super) reads: u64,
    /// Compare-and-sets that found something else.
    pub(super) mismatches: u64,
    /// Writes of it.
    pub(super) writes: u64,
    /// Compare-and-sets that expect it.
    pub(super) cas: u64,
    /// Mutators that leave it.
    pub(super) sources: u64,
}

/// What is pending at a place. It moves along the line both ways, so that a search that goes back
/// needs no copy.
#[derive(Debug)]
pub(super) struct Window {
    at: usize,
    words: usize,
    owners: Vec<u32>,
    pending: Vec<u64>,
    by_value: Vec<Pending>,
    /// All writes, all mismatches.
    writes: Vec<u64>,
    mismatches: Vec<u64>,
    /// How many crashed operations of each kind have begun; 0 when they are needed no more.
    begun: Vec<u32>,
    /// What is to come of each value.
    ahead: Vec<Ahead>,
    next_mismatch: u32,
}

impl Window {
    pub(super) fn new(plan: &Plan) -> Self {
        let words = plan.widths.slots;
        Window {
            at: 0,
            words,
            owners: vec![0; words * WORD],
            pending: vec![0; words],
            by_value: vec![Pending::default(); plan.values.len() * words],
            writes: vec![0; words],
            mismatches: vec![0; words],
            begun: vec![0; plan.kinds.len()],
            ahead: plan.outlook.clone(),
            next_mismatch: plan.mismatch,
        }
    }

    /// How many bytes a window takes, for what grows with the number of values.
    pub(super) fn size(plan: &Plan) -> usize {
        let value = size_of::<Ahead>() + plan.widths.slots * size_of::<Pending>();
        plan.values.len() * value
    }

    /// The place: everything before it has happened.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The operation in a slot in use.
    pub(super) fn owner(&self, slot: u32) -> u32 {
        self.owners[slot as usize]
    }

    /// The slots in use, in one word.
    pub(super) fn pending(&self, word: usize) -> u64 {
        self.pending[word]
    }

    /// The pending operations on a value, in one word of the slots.
    pub(super) fn of(&self, value: u32, word: usize) -> Pending {
        self.by_value[value as usize * self.words + word]
    }

    /// The pending writes, in one word of the slots.
    pub(super) fn writes(&self, word: usize) -> u64 {
        self.writes[word]
    }

    /// The pending compare-and-sets that failed, in one word of the slots.
    pub(super) fn mismatches(&self, word: usize) -> u64 {
        self.mismatches[word]
    }

    /// The pending operations that a value leaves nothing to do, in one word of the slots.
    pub(super) fn content_with(&self, value: u32, word: usize) -> u64 {
        let here = self.of(value, word);
        here.reads | here.writes | self.mismatches[word] & !here.mismatches
    }

    /// How many crashed operations of a kind have begun and may still be needed.
    pub(super) fn begun(&self, kind: u32) -> u32 {
        self.begun[kind as usize]
    }

    /// What is to come of a value.
    pub(super) fn ahead(&self, value: u32) -> Ahead {
        self.ahead[value as usize]
    }

    /// When the next compare-and-set begins that fails.
    pub(super) fn next_mismatch(&self) -> u32 {
        self.next_mismatch
    }

    /// Passes the next event.
    pub(super) fn forward(&mut self, plan: &Plan) {
        match plan.events[self.at] {
            Event::Call(op) => {
                self.flip(op, plan);
                self.leave_behind(op, plan);
            }
            Event::Return(op) => self.flip(op, plan),
            Event::Crash(kind) => {
                let begun = &mut self.begun[kind as usize];
                let op = plan.kinds[kind as usize].members[*begun as usize];
                *begun += 1;
                self.leave_behind(op, plan);
            }
            Event::Retire(kind) => self.begun[kind as usize] = 0,
        }
        self.at += 1;
    }

    /// Goes back to an earlier place.
    pub(super) fn rewind(&mut self, at: usize, plan: &Plan) {
        while self.at > at {
            self.at -= 1;
            match plan.events[self.at] {
                Event::Call(op) => {
                    self.flip(op, plan);
                    self.look_forward_to(op, plan);
                }
                Event::Return(op) => self.flip(op, plan),
                Event::Crash(kind) => {
                    let begun = &mut self.begun[kind as usize];
                    *begun -= 1;
                    let op = plan.kinds[kind as usize].members[*begun as usize];
                    self.look_forward_to(op, plan);
                }
                Event::Retire(kind) => {
                    self.begun[kind as usize] = plan.kinds[kind as usize].members.len() as u32;
                }
            }
        }
    }

    /// An operation that was ahead has begun.
    fn leave_behind(&mut self, op: u32, plan: &Plan) {
        let (action, then) = (plan.actions[op as usize], plan.ahead[op as usize]);
        if let Some(value) = action.needs() {
            let ahead = &mut self.ahead[value as usize];
            (ahead.need, ahead.observer) = (then.need, then.observer);
        }
        if let Some(value) = action.produces() {
            self.ahead[value as usize].source = then.source;
        }
        if let Action::Mismatch(_) = action {
            self.next_mismatch = then.observer;
        }
    }

    /// It is ahead again.
    fn look_forward_to(&mut self, op: u32, plan: &Plan) {
        let (action, call) = (plan.actions[op as usize], plan.calls[op as usize]);
        if let Some(value) = action.needs() {
            let ahead = &mut self.ahead[value as usize];
            // A crashed operation returns at no rank, and so changes nothing here.
            ahead.need = ahead.need.min(plan.returns[op as usize]);
            ahead.observer = call;
        }
        if let Some(value) = action.produces() {
            self.ahead[value as usize].source = call;
        }
        if let Action::Mismatch(_) = action {
            self.next_mismatch = call;
        }
    }

    /// Lets an operation in or out.
    fn flip(&mut self, op: u32, plan: &Plan) {
        let (word, bit) = bit(plan.places[op as usize]);
        let words = self.words;
        let value = |value: u32| value as usize * words + word;
        match plan.actions[op as usize] {
            Action::Nothing => return,
            Action::Read(read) => self.by_value[value(read)].reads ^= bit,
            Action::Mismatch(other) => {
                self.by_value[value(other)].mismatches ^= bit;
                self.mismatches[word] ^= bit;
            }
            Action::Write(written) => {
                self.by_value[value(written)].writes ^= bit;
                self.by_value[value(written)].sources ^= bit;
                self.writes[word] ^= bit;
            }
            Action::Cas(expected, new) => {
                self.by_value[value(expected)].cas ^= bit;
                self.by_value[value(new)].sources ^= bit;
            }
        }
        self.pending[word] ^= bit;
        self.owners[plan.places[op as usize] as usize] = op;
    }
}
