//! Which mutators may take effect at a return, and which configurations lead nowhere.
//!
//! Before the returning operation, or in its place if it is a read, may take effect:
//!
//! - every compare-and-set that the value lets, if it completes: there may be no other chance;
//! - a write of another value that somebody pending needs at once: the returning operation, a read
//!   or failed compare-and-set that is not satisfied, a compare-and-set still to apply. Crashed
//!   compare-and-sets pass such a need on, and take effect only for one;
//! - a write of the value that the register holds, if that lets another write be absorbed before
//!   a compare-and-set changes the value, for a compare-and-set absorbs nothing;
//!
//! and of operations that do the same only the first to return. Everything else can as well take
//! effect later.
//!
//! Writes are fewer still. A pending read and a pending write of its value that nobody else can
//! ever find fit in before any other write at no cost: such an *interlude* comes first, and no
//! other write does before it. Who could find what a write leaves is known beforehand: who begins
//! after a mutator that began after the write returned, finds something else.
//!
//! Whatever restricts the moves because of a shortcoming of the configuration, that something is
//! not free, or used, or spent, is noted as being to blame if all moves fail. What restricts them
//! for another reason, or adds to them, is not.

use super::action::Action;
use super::search::Search;
use super::window::Pending;
use super::{bit, ones};

/// A mutator that could take effect now; the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    /// Whether it is not the returning operation itself.
    is_other: bool,
    /// Whether the returning operation cannot follow at once.
    is_detour: bool,
    ret: u32,
    op: u32,
    /// Whether it may return without taking effect, though it is no write.
    is_optional: bool,
}

impl Search<'_> {
    /// Whether it is a question what the operation that returns next has done.
    pub(super) fn is_open(&mut self, op: u32) -> bool {
        if !self.is_free(op) {
            return true;
        }
        let is_question = match self.plan.actions[op as usize] {
            Action::Write(value) => self.may_be_found(op, value),
            Action::Cas(..) => true,
            Action::Nothing | Action::Read(_) | Action::Mismatch(_) => false,
        };
        if is_question && self.is_used(op) {
            let (word, bit) = bit(self.plan.places[op as usize]);
            self.blame_used(word, bit);
        }
        is_question && !self.is_used(op)
    }

    /// Puts the operations that could take effect now on the stack, the best last: the returning
    /// one, then those that let it follow at once, then by their returns.
    pub(super) fn list_candidates(&mut self, returning: u32) {
        let interlude = self.interlude();
        let mut listed: Vec<Candidate> = Vec::new();
        for word in 0..self.plan.widths.slots {
            let possible = self.window.writes(word) | self.window.of(self.value, word).cas;
            for slot in ones(possible, word) {
                let op = self.window.owner(slot);
                if !self.is_worth_taking(op, returning, interlude) {
                    continue;
                }
                if self.is_used(op) {
                    self.blame_used(word, bit(slot).1);
                } else {
                    self.list(op, returning, &mut listed);
                }
            }
        }
        for kind in 0..self.plan.kinds.len() as u32 {
            let first = self.plan.kinds[kind as usize].members[0];
            if self.window.begun(kind) > 0 && self.is_worth_taking(first, returning, interlude) {
                match self.next_of_kind(kind) {
                    Some(op) => self.list(op, returning, &mut listed),
                    None => self.blame_spent(kind),
                }
            }
        }
        listed.sort_unstable();
        self.candidates.extend(listed.iter().rev().map(|candidate| candidate.op));
    }

    /// Adds an operation to the candidates, unless one that does the same returns earlier.
    fn list(&mut self, op: u32, returning: u32, listed: &mut Vec<Candidate>) {
        let action = self.plan.actions[op as usize];
        // A compare-and-set that could do without spares no other one the trouble.
        let is_optional =
            matches!(action, Action::Cas(..)) && !self.plan.is_crashed(op) && self.is_free(op);
        let last = self.plan.actions[returning as usize];
        let candidate = Candidate {
            is_other: op != returning,
            is_detour: action.apply(self.value).is_none_or(|value| !last.is_possible_at(value)),
            ret: self.plan.returns[op as usize],
            op,
            is_optional,
        };
        let same = |other: &&mut Candidate| {
            other.is_optional == is_optional && self.plan.actions[other.op as usize] == action
        };
        let Some(other) = listed.iter_mut().find(same) else { return listed.push(candidate) };
        for op in [other.op, op] {
            if !self.plan.is_crashed(op) && !is_optional {
                let (word, bit) = bit(self.plan.places[op as usize]);
                self.blame_waiting(word, bit);
            }
        }
        *other = candidate.min(*other);
    }

    /// Whether an operation such as this could take effect here, and need not wait.
    fn is_worth_taking(&mut self, op: u32, returning: u32, interlude: Option<u32>) -> bool {
        let action = self.plan.actions[op as usize];
        let last = self.plan.actions[returning as usize];
        let Some(value) = action.apply(self.value) else { return false };
        let is_write = matches!(action, Action::Write(_));
        if is_write && interlude.is_some_and(|interlude| interlude != op) {
            return false;
        }
        match action {
            _ if op == returning => true,
            // The returning operation can take the place of any other that does the same.
            _ if action == last => false,
            Action::Write(_) if value == self.value => self.is_absorber_wanted(),
            Action::Cas(..) if !self.plan.is_crashed(op) => true,
            _ => self.is_needed_now(value, last),
        }
    }

    /// The slots of mutators that have not taken effect, in one word, and of everything else.
    fn unused(&self, word: usize) -> u64 {
        !self.here[self.plan.widths.slots + word]
    }

    /// The slots of operations that may not return yet, in one word, and those that nobody has.
    fn waiting(&self, word: usize) -> u64 {
        !self.here[word]
    }

    /// The next crashed operation of a kind that has begun and not taken effect.
    fn next_of_kind(&self, kind: u32) -> Option<u32> {
        let spent = &self.here[2 * self.plan.widths.slots..];
        let (begun, kind) = (self.window.begun(kind), &self.plan.kinds[kind as usize]);
        let spent = kind.counter.get(spent);
        (spent < begun).then(|| kind.members[spent as usize])
    }

    /// Whether a crashed operation of these kinds has begun and not taken effect; if not, that is
    /// noted.
    fn has_unspent(&mut self, kinds: &[u32]) -> bool {
        let has_unspent = kinds.iter().any(|&kind| self.next_of_kind(kind).is_some());
        for &kind in kinds {
            if !has_unspent && self.window.begun(kind) > 0 {
                self.blame_spent(kind);
            }
        }
        has_unspent
    }

    /// A write that may take effect before any other at no cost: somebody pending waits for its
    /// value, and nobody else could ever find it.
    fn interlude(&mut self) -> Option<u32> {
        let mut first: Option<(u32, u32)> = None;
        for word in 0..self.plan.widths.slots {
            for slot in ones(self.window.writes(word) & self.unused(word), word) {
                let op = self.window.owner(slot);
                let Some(value) = self.plan.actions[op as usize].produces() else { continue };
                let this = (self.plan.returns[op as usize], op);
                if value != self.value
                    && first.is_none_or(|first| this < first)
                    && self.first_waiting_read(value).is_some()
                    && !self.may_be_found_later(op, value)
                    && !self.has_cas_from(value)
                {
                    first = Some(this);
                }
            }
        }
        let (_, op) = first?;
        if let Some(value) = self.plan.actions[op as usize].produces()
            && let Some(read) = self.first_waiting_read(value)
        {
            let (word, bit) = bit(read);
            self.blame_waiting(word, bit);
        }
        Some(op)
    }

    /// The slot of a read of this value that waits for it.
    fn first_waiting_read(&self, value: u32) -> Option<u32> {
        let mut slots = (0..self.plan.widths.slots)
            .flat_map(|word| ones(self.window.of(value, word).reads & self.waiting(word), word));
        slots.next()
    }

    /// Whether somebody could find what a write leaves that takes effect here: one who is pending,
    /// or one who begins before it is certainly overwritten.
    fn may_be_found(&mut self, op: u32, value: u32) -> bool {
        let is_awaited = |word| {
            let finders = self.window.of(value, word).reads | self.window.mismatches(word);
            finders & self.waiting(word) != 0
        };
        self.may_be_found_later(op, value)
            || (0..self.plan.widths.slots).any(is_awaited)
            || self.has_cas_from(value)
    }

    /// Whether somebody who is still to begin could find what a write leaves.
    fn may_be_found_later(&self, op: u32, value: u32) -> bool {
        let first = self.window.ahead(value).observer.min(self.window.next_mismatch());
        first < self.plan.overwritten[op as usize]
    }

    /// Whether a write could be absorbed now that will have no chance when a compare-and-set
    /// changes the value.
    fn is_absorber_wanted(&mut self) -> bool {
        let waits = |word| self.window.writes(word) & self.waiting(word) != 0;
        (0..self.plan.widths.slots).any(waits) && self.has_cas_from(self.value)
    }

    /// Whether a compare-and-set that expects this value is still to apply; if not, that is noted.
    fn has_cas_from(&mut self, value: u32) -> bool {
        let is_unused = |word| self.window.of(value, word).cas & self.unused(word) != 0;
        if (0..self.plan.widths.slots).any(is_unused) {
            return true;
        }
        let plan = self.plan;
        let has_crashed = self.has_unspent(&plan.crashed_cas[value as usize]);
        if !has_crashed {
            self.blame_all_cas_from(value);
        }
        has_crashed
    }

    fn blame_all_cas_from(&mut self, value: u32) {
        for word in 0..self.plan.widths.slots {
            self.blame_used(word, self.window.of(value, word).cas);
        }
    }

    /// Whether somebody pending waits for this value, or for one that crashed compare-and-sets
    /// make of it; if not, what is missing is noted.
    fn is_needed_now(&mut self, value: u32, last: Action) -> bool {
        let plan = self.plan;
        let mut made = vec![value];
        let mut next = 0;
        while let Some(&value) = made.get(next) {
            if self.is_awaited(value, last) {
                return true;
            }
            next += 1;
            for &kind in &plan.crashed_cas[value as usize] {
                let value = plan.kinds[kind as usize].action.produces();
                if self.has_unspent(&[kind]) {
                    made.extend(value.filter(|value| !made.contains(value)));
                }
            }
        }
        false
    }

    /// Whether the returning operation waits for a value, or another pending one.
    fn is_awaited(&mut self, value: u32, last: Action) -> bool {
        if value == self.value {
            // To come back to it is of use only to be rid of a write on the way.
            return self.is_absorber_wanted();
        }
        let is_last = match last {
            Action::Read(wanted) | Action::Cas(wanted, _) => wanted == value,
            Action::Mismatch(other) => other != value,
            Action::Nothing | Action::Write(_) => false,
        };
        let is_awaited = is_last
            || (0..self.plan.widths.slots).any(|word| {
                let Pending { reads, cas, .. } = self.window.of(value, word);
                let finders = reads | self.window.mismatches(word);
                finders & self.waiting(word) | cas & self.unused(word) != 0
            });
        if !is_awaited {
            self.blame_all_cas_from(value);
        }
        is_awaited
    }

    /// Whether everybody who needs this value can still come by it. If not, that is noted.
    pub(super) fn can_do_without(&mut self, value: Option<u32>) -> bool {
        let starved = match value {
            Some(value) if value != self.value => self.starved(value),
            _ => None,
        };
        self.doomed = self.doomed.max(starved.unwrap_or(0));
        starved.is_none()
    }

    /// The return of an operation that needs a value and will never find it: the register does
    /// not hold it, nobody pending leaves it, and nobody begins in time who will.
    fn starved(&mut self, value: u32) -> Option<u32> {
        let plan = self.plan;
        let slots = 0..plan.widths.slots;
        let is_unused = |word| self.window.of(value, word).sources & self.unused(word) != 0;
        if slots.clone().any(is_unused) {
            return None;
        }
        let ahead = self.window.ahead(value);
        let limit = ahead.source.min(self.horizon);
        let mut starved = ahead.need;
        if starved >= limit {
            let waiting = slots.clone().flat_map(|word| {
                let Pending { reads, cas, .. } = self.window.of(value, word);
                ones((reads | cas) & self.waiting(word), word)
            });
            let returns =
                waiting.map(|slot| (plan.returns[self.window.owner(slot) as usize], slot));
            let (first, slot) = returns.min()?;
            if first >= limit || self.has_unspent(&plan.crashed_sources[value as usize]) {
                return None;
            }
            let (word, bit) = bit(slot);
            self.blame_waiting(word, bit);
            starved = first;
        } else if self.has_unspent(&plan.crashed_sources[value as usize]) {
            return None;
        }
        for word in slots {
            self.blame_used(word, self.window.of(value, word).sources);
        }
        Some(starved)
    }
}
