//! The depth-first search itself.
//!
//! A configuration is the value of the register, two bit sets over the pending operations that
//! complete, and a count per kind of those that do not:
//!
//! - *free*: those that may return. A read or a failed compare-and-set, once the value agreed with
//!   it; a write or compare-and-set that took effect; and a write that could have stood at some
//!   moment since it began without anybody noticing: right before another write, or when the
//!   register held its value already.
//! - *used*: mutators that took effect and cannot do so again. A write that is free and not used may
//!   still take effect as itself.
//!
//! At the return of an operation that is not free, and at the return of a free write whose value
//! somebody could still find, the search branches: return as absorbed, take effect now, or let
//! another pending operation take effect first ([`moves`](super::moves)).

use super::action::Action;
use super::antichain::{Antichains, Entry, Inserted};
use super::plan::{Event, Plan, START};
use super::spent::nonzero;
use super::window::Window;
use super::{bit, ones};
use crate::linearizability::budget::{Budget, Meter, Resource};

/// A mutator that takes effect at a place of the line, before the event there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) at: u32,
    pub(super) op: u32,
}

/// How far a search is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// There is a way to the horizon.
    Way,
    /// There is none.
    Nothing,
    /// Nobody knows yet.
    Paused,
}

/// A configuration on the way from the root to where the search is.
#[derive(Debug)]
struct Frame {
    /// The place: a return.
    at: u32,
    value: u32,
    /// How many mutators have taken effect.
    taken: u32,
    /// Where its candidates begin on the shared stack.
    candidates: u32,
    stage: Stage,
    /// As it is known.
    entry: Entry,
    /// When the operation returns.
    ret: u32,
    /// Whether every move is tried from here. Otherwise an earlier frame tries those left out, but
    /// with no more than the shortcomings that this one has.
    is_complete: bool,
}

/// What a frame tries next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Let the returning write be absorbed.
    Absorb,
    /// Let mutators take effect; they are not listed yet.
    Take,
    /// They are listed on the stack of candidates.
    Listed,
}

/// What happens at the return of an operation.
#[derive(Clone, Copy, Debug)]
enum Move {
    /// It goes without having taken effect at a time of its own.
    Absorb,
    /// This mutator takes effect.
    Take(u32),
}

/// A search along the line, from one place on.
#[derive(Debug)]
pub(super) struct Search<'a> {
    pub(super) plan: &'a Plan,
    pub(super) window: Window,
    /// Only what happens before this rank counts.
    pub(super) horizon: u32,
    known: Antichains,
    meter: Meter<'a>,
    /// Where the search begins, with these values and this configuration.
    from: usize,
    roots: Vec<u32>,
    root: Vec<u64>,
    frames: Vec<Frame>,
    /// The configurations of the frames, one after the other.
    saved: Vec<u64>,
    /// Which shortcomings of the frames mattered since: operations that were not free, those that
    /// were used, counters that were at their end.
    blames: Vec<u64>,
    pub(super) candidates: Vec<u32>,
    /// The mutators that took effect, up to here.
    taken: Vec<Taken>,
    /// The value here, and the rest of the configuration: free, used, spent.
    pub(super) value: u32,
    pub(super) here: Vec<u64>,
    /// The place of the furthest return at which something had to be decided.
    reached: usize,
    /// The furthest return that was seen to be impossible before it was reached.
    pub(super) doomed: u32,
    steps: u64,
}

/// Where a search begins.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) window: Window,
    /// The values that the register may hold.
    pub(super) values: Vec<u32>,
    /// The rest of the configuration.
    pub(super) configuration: Vec<u64>,
}

impl Root {
    /// The beginning of the line.
    pub(super) fn beginning(plan: &Plan) -> Self {
        let configuration = vec![0; plan.widths.total()];
        Root { window: Window::new(plan), values: vec![START], configuration }
    }
}

impl<'a> Search<'a> {
    /// A search for a way past all returns before `horizon`.
    pub(super) fn new(
        plan: &'a Plan,
        horizon: u32,
        root: impl FnOnce(&Plan) -> Root,
        budget: &'a Budget,
    ) -> Result<Self, Resource> {
        let mut meter = budget.meter();
        meter.draw(Window::size(plan) + plan.events.len() * size_of::<[u32; 2]>())?;
        let Root { window, values, configuration } = root(plan);
        Ok(Search {
            plan,
            horizon,
            from: window.at(),
            window,
            known: Antichains::new(plan.events.len(), plan.widths, &plan.spare),
            meter,
            roots: values,
            here: configuration.clone(),
            root: configuration,
            frames: Vec::new(),
            saved: Vec::new(),
            blames: Vec::new(),
            candidates: Vec::new(),
            taken: Vec::new(),
            value: START,
            reached: 0,
            doomed: 0,
            steps: 0,
        })
    }

    /// The mutators that took effect on the way that was found.
    pub(super) fn way(&self) -> &[Taken] {
        &self.taken
    }

    /// The place of the furthest return that was reached, and its rank, or 0.
    pub(super) fn reached(&self) -> (usize, u32) {
        match self.plan.events.get(self.reached) {
            Some(&Event::Return(op)) => (self.reached, self.plan.returns[op as usize]),
            _ => (0, 0),
        }
    }

    /// The rank of a return that no way leads past, if there is no way to the horizon.
    pub(super) fn end(&self) -> u32 {
        self.doomed.max(self.reached().1)
    }

    /// Works on until there is an answer or so many steps are done.
    pub(super) fn run(&mut self, effort: u64) -> Result<Progress, Resource> {
        let enough = self.steps + self.known.compared + effort;
        loop {
            self.meter.tick()?;
            self.steps += 1;
            let arrived = match self.frames.last() {
                None => match self.roots.pop() {
                    None => return Ok(Progress::Nothing),
                    Some(value) => self.begin(value)?,
                },
                Some(&Frame { at, .. }) => match self.next_move() {
                    None => self.leave(),
                    Some(next) => self.go(next, at as usize)?,
                },
            };
            if arrived {
                return Ok(Progress::Way);
            }
            if self.steps + self.known.compared > enough {
                return Ok(Progress::Paused);
            }
        }
    }

    /// Starts from a root; `true` at the horizon.
    fn begin(&mut self, value: u32) -> Result<bool, Resource> {
        self.window.rewind(self.from, self.plan);
        self.value = value;
        self.here.copy_from_slice(&self.root);
        self.taken.clear();
        self.advance(true)
    }

    /// Gives up the last frame, and learns from it.
    fn leave(&mut self) -> bool {
        let Some(frame) = self.frames.pop() else { return false };
        let base = self.frames.len() * self.here.len();
        let blame = self.blames.split_off(base);
        if frame.is_complete {
            self.known.learn(frame.entry, &self.saved[base..], &blame);
        }
        self.saved.truncate(base);
        self.window.rewind(frame.at as usize, self.plan);
        self.blame(&blame);
        false
    }

    /// Blames shortcomings of what is pending here on the last frame.
    fn blame(&mut self, blame: &[u64]) {
        let slots = self.plan.widths.slots;
        for (word, &bits) in blame.iter().enumerate() {
            match word / slots {
                0 => self.blame_waiting(word, bits),
                1 => self.blame_used(word - slots, bits),
                _ => {
                    if let Some(base) = self.blames.len().checked_sub(self.here.len()) {
                        self.blames[base + word] |= bits;
                    }
                }
            }
        }
    }

    /// Notes that it mattered that these operations were not free.
    pub(super) fn blame_waiting(&mut self, word: usize, bits: u64) {
        let bits = self.known_to_last_frame(word, bits);
        if let Some(base) = self.blames.len().checked_sub(self.here.len()) {
            self.blames[base + word] |= bits;
        }
    }

    /// Notes that it mattered that these operations were used.
    pub(super) fn blame_used(&mut self, word: usize, bits: u64) {
        let bits = self.known_to_last_frame(word, bits);
        if let Some(base) = self.blames.len().checked_sub(self.here.len()) {
            self.blames[base + self.plan.widths.slots + word] |= bits;
        }
    }

    /// Notes that it mattered that there was no more crashed operation of a kind.
    pub(super) fn blame_spent(&mut self, kind: u32) {
        if let Some(base) = self.blames.len().checked_sub(self.here.len()) {
            let spent = base + 2 * self.plan.widths.slots;
            self.plan.kinds[kind as usize].counter.mark(&mut self.blames[spent..]);
        }
    }

    /// Those of these operations that were pending at the last frame already.
    fn known_to_last_frame(&self, word: usize, bits: u64) -> u64 {
        let Some(frame) = self.frames.last() else { return 0 };
        let known = |&slot: &u32| self.plan.calls[self.window.owner(slot) as usize] < frame.ret;
        let known = ones(bits & self.window.pending(word), word).filter(known);
        known.map(|slot| bit(slot).1).sum()
    }

    /// Makes a move from the last frame, at this place; `true` at the horizon.
    fn go(&mut self, next: Move, at: usize) -> Result<bool, Resource> {
        self.restore();
        let Event::Return(returning) = self.plan.events[at] else { return Ok(false) };
        match next {
            Move::Absorb => {
                self.pass(returning);
                let lost = self.plan.actions[returning as usize].produces();
                Ok(self.can_do_without(lost) && self.advance(true)?)
            }
            Move::Take(op) => {
                // Who could have been absorbed before this step need not be after it.
                let was_free = self.is_free(returning);
                let lost = Some(self.value);
                self.take(op);
                Ok(self.can_do_without(lost) && self.advance(!was_free || op == returning)?)
            }
        }
    }

    /// Passes all events that ask for no decision; `true` at the horizon, otherwise there is a new
    /// frame, or the configuration leads nowhere or is known. `may_absorb` is for the next event.
    fn advance(&mut self, mut may_absorb: bool) -> Result<bool, Resource> {
        while let Some(&event) = self.plan.events.get(self.window.at()) {
            match event {
                Event::Call(op) => {
                    self.window.forward(self.plan);
                    let action = self.plan.actions[op as usize];
                    if action.is_content_with(self.value) {
                        self.set_free(op);
                    } else if !self.can_do_without(action.needs()) {
                        return Ok(false);
                    }
                }
                Event::Return(op) => {
                    if self.plan.returns[op as usize] >= self.horizon {
                        return Ok(true);
                    }
                    if self.is_open(op) {
                        self.arrive(op, may_absorb)?;
                        return Ok(false);
                    }
                    self.pass(op);
                }
                Event::Crash(_) => self.window.forward(self.plan),
                Event::Retire(kind) => {
                    let spent = 2 * self.plan.widths.slots;
                    self.plan.kinds[kind as usize].counter.clear(&mut self.here[spent..]);
                    self.window.forward(self.plan);
                }
            }
            may_absorb = true;
        }
        Ok(true)
    }

    /// Lets the operation go that returns next.
    fn pass(&mut self, op: u32) {
        let (word, bit) = bit(self.plan.places[op as usize]);
        self.here[word] &= !bit;
        self.here[self.plan.widths.slots + word] &= !bit;
        self.window.forward(self.plan);
    }

    /// Whether an operation may return.
    pub(super) fn is_free(&self, op: u32) -> bool {
        let (word, bit) = bit(self.plan.places[op as usize]);
        self.here[word] & bit != 0
    }

    fn set_free(&mut self, op: u32) {
        if self.plan.actions[op as usize] != Action::Nothing {
            let (word, bit) = bit(self.plan.places[op as usize]);
            self.here[word] |= bit;
        }
    }

    /// Whether a mutator that completes has taken effect.
    pub(super) fn is_used(&self, op: u32) -> bool {
        let (word, bit) = bit(self.plan.places[op as usize]);
        self.here[self.plan.widths.slots + word] & bit != 0
    }

    /// Makes the configuration here, before the return of an operation, a frame unless one at
    /// least as good is known.
    fn arrive(&mut self, op: u32, may_absorb: bool) -> Result<(), Resource> {
        let at = self.window.at();
        self.reached = self.reached.max(at);
        let entry = match self.known.insert(at, self.value, &self.here, &mut self.meter)? {
            Inserted::New(entry) => entry,
            Inserted::Covered(entry) => {
                self.blame_covering(entry);
                return Ok(());
            }
        };
        if self.frames.len() == self.frames.capacity() {
            let frame = size_of::<Frame>() + 2 * size_of_val::<[u64]>(&self.here);
            self.meter.draw(self.frames.len().max(16) * frame)?;
        }
        let is_free = self.is_free(op);
        self.saved.extend_from_slice(&self.here);
        self.blames.resize(self.saved.len(), 0);
        self.frames.push(Frame {
            at: at as u32,
            value: self.value,
            taken: self.taken.len() as u32,
            candidates: self.candidates.len() as u32,
            stage: if may_absorb && is_free { Stage::Absorb } else { Stage::Take },
            is_complete: may_absorb || !is_free,
            entry,
            ret: self.plan.returns[op as usize],
        });
        if !is_free {
            let (word, bit) = bit(self.plan.places[op as usize]);
            self.blame_waiting(word, bit);
        }
        Ok(())
    }

    /// Notes that what is covered was covered: had it been better where this entry is not, it would
    /// have gone on.
    fn blame_covering(&mut self, entry: Entry) {
        let slots = self.plan.widths.slots;
        let mut blame = self.known.get(entry).to_vec();
        blame[..slots].iter_mut().for_each(|free| *free = !*free);
        let spent = blame[2 * slots..].iter_mut().zip(&self.plan.spare);
        spent.for_each(|(word, &spare)| *word = nonzero(*word, spare));
        self.blame(&blame);
    }

    /// What to try next from the last frame.
    fn next_move(&mut self) -> Option<Move> {
        let frame = self.frames.last_mut()?;
        match frame.stage {
            Stage::Absorb => {
                frame.stage = Stage::Take;
                return Some(Move::Absorb);
            }
            Stage::Take => {
                frame.stage = Stage::Listed;
                let Event::Return(returning) = self.plan.events[frame.at as usize] else {
                    return None;
                };
                self.restore();
                self.list_candidates(returning);
            }
            Stage::Listed => {}
        }
        let first = self.frames.last()?.candidates as usize;
        let next = if self.candidates.len() > first { self.candidates.pop() } else { None };
        next.map(Move::Take)
    }

    /// Goes back to the configuration of the last frame.
    fn restore(&mut self) {
        if let Some(frame) = self.frames.last() {
            self.window.rewind(frame.at as usize, self.plan);
            self.value = frame.value;
            self.taken.truncate(frame.taken as usize);
            let saved = self.saved.len() - self.here.len();
            self.here.copy_from_slice(&self.saved[saved..]);
        }
    }

    /// Lets a mutator take effect here.
    fn take(&mut self, op: u32) {
        let action = self.plan.actions[op as usize];
        let Some(value) = action.apply(self.value) else { return };
        let (slots, place) = (self.plan.widths.slots, self.plan.places[op as usize]);
        if self.plan.is_crashed(op) {
            self.plan.kinds[place as usize].counter.increment(&mut self.here[2 * slots..]);
        } else {
            let (word, bit) = bit(place);
            self.here[word] |= bit;
            self.here[slots + word] |= bit;
        }
        let absorbs = matches!(action, Action::Write(_));
        for word in 0..slots {
            let absorbed = if absorbs { self.window.writes(word) } else { 0 };
            self.here[word] |= absorbed | self.window.content_with(value, word);
        }
        self.value = value;
        self.taken.push(Taken { at: self.window.at() as u32, op });
    }
}
