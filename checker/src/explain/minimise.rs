//! A small sub-history that is still a violation, and a true one.
//!
//! Leaving out operations at random makes violations out of nothing: a read without its write
//! proves no fault of the store. Only *closed* removals keep the meaning, those after which a
//! linearizable history would still be one. Whoever is left must not have seen what is gone:
//!
//! - A read can go; nothing depends on it.
//! - A mutator can go together with everything that may have observed it. An operation cannot have
//!   observed a mutator if a completed overwriting one lies between them in real time.
//! - Everything before an instant at which nothing completed is pending can go if the object was
//!   certainly in its initial state then, or in the state that one operation kept makes.
//!
//! Beyond that, an operation whose result somebody wrote keeps one who wrote it, so that what is
//! left still reads like a history. Among closed removals the search is delta debugging (Zeller &
//! Hildebrandt, IEEE TSE 2002), with the engine as the test.

use crate::history::{NEVER, OpId};
use crate::linearizability::{Budget, Outcome, decide, states_at};
use crate::model::{Call, Specification};

/// How many of the latest quiet instants are tried as beginnings.
const MAX_CUTS: usize = 64;

/// A sub-history that is still a violation.
pub(super) struct Smallest<O> {
    pub(super) calls: Vec<Call<O>>,
    /// Whether no single closed removal is left.
    pub(super) is_minimal: bool,
}

/// Shrinks a violation that shows at the completion of `stuck`. The operations of `seed` are tried
/// alone first.
pub(super) fn minimise<S: Specification>(
    specification: &S,
    calls: &[Call<S::Operation>],
    stuck: OpId,
    seed: &[OpId],
    budget: &Budget,
) -> Smallest<S::Operation> {
    let mut shrinking = Shrinking { specification, stuck, budget, calls: calls.to_vec() };
    let others: Vec<bool> = calls.iter().map(|call| !seed.contains(&call.id)).collect();
    if seed.is_empty() || !shrinking.try_without(&others) {
        shrinking.keep_latest();
    }
    let mut is_minimal = shrinking.drop_chunks();
    while shrinking.cut() {
        is_minimal = shrinking.drop_chunks();
    }
    Smallest { calls: shrinking.calls, is_minimal }
}

struct Shrinking<'a, S: Specification> {
    specification: &'a S,
    stuck: OpId,
    budget: &'a Budget,
    calls: Vec<Call<S::Operation>>,
}

impl<S: Specification> Shrinking<'_, S> {
    /// Leaves out these operations, and what must go with them, if that is still a violation.
    fn try_without(&mut self, unwanted: &[bool]) -> bool {
        let Some(gone) = self.closure(unwanted) else { return false };
        let kept: Vec<_> = kept(&self.calls, &gone);
        let smaller = kept.len() < self.calls.len();
        smaller && self.accept(kept)
    }

    fn accept(&mut self, calls: Vec<Call<S::Operation>>) -> bool {
        let is_violation =
            matches!(decide(self.specification, &calls, self.budget), Outcome::Violation { .. });
        if is_violation {
            self.calls = calls;
        }
        is_violation
    }

    /// Everything that must go if these operations go; `None` if that includes the stuck one, or
    /// time is over.
    fn closure(&self, unwanted: &[bool]) -> Option<Vec<bool>> {
        let separators = Separators::new(self.specification, &self.calls);
        let mut gone = unwanted.to_vec();
        loop {
            let mut changed = false;
            for observer in 0..self.calls.len() {
                if self.budget.is_over() {
                    return None;
                }
                if !gone[observer] && self.must_go(observer, &gone, &separators) {
                    gone[observer] = true;
                    changed = true;
                }
                if gone[observer] && self.calls[observer].id == self.stuck {
                    return None;
                }
            }
            if !changed {
                return Some(gone);
            }
        }
    }

    /// Whether an operation may have observed one that is gone, or has lost all whom it may have
    /// observed.
    fn must_go(&self, observer: usize, gone: &[bool], separators: &Separators) -> bool {
        let begun = self.calls[observer].call;
        let observed = |index: usize| !separators.separate(self.calls[index].ret, begun);
        self.sources(observer).any(|index| gone[index] && observed(index))
            || self.is_orphan(observer, gone)
    }

    /// Whether everything that an operation may have observed is gone.
    fn is_orphan(&self, observer: usize, gone: &[bool]) -> bool {
        let mut sources = self.sources(observer).peekable();
        sources.peek().is_some()
            && sources.all(|index| gone[index])
            && !self.is_possible_at_first(&self.calls[observer].operation)
    }

    /// What an operation may have observed if nothing was overwritten.
    fn sources(&self, observer: usize) -> impl Iterator<Item = usize> {
        let observer = &self.calls[observer];
        let begun = self.calls.partition_point(|call| call.call < observer.ret);
        (0..begun).filter(|&index| {
            let mutator = &self.calls[index];
            mutator.id != observer.id
                && self.specification.observes(&observer.operation, &mutator.operation)
        })
    }

    fn is_possible_at_first(&self, operation: &S::Operation) -> bool {
        self.specification.step(&self.specification.init(), operation).is_some()
    }

    /// Tries to do with the latest operations only: mostly a violation is a local affair.
    fn keep_latest(&mut self) {
        let mut keep = 8;
        while keep < self.calls.len() {
            let early = self.calls.len() - keep;
            let unwanted: Vec<bool> = (0..self.calls.len()).map(|index| index < early).collect();
            if self.try_without(&unwanted) {
                return;
            }
            keep *= 2;
        }
    }

    /// Drops chunks of operations, first halves, in the end one by one, until none can go. `false`
    /// if time ran out before.
    fn drop_chunks(&mut self) -> bool {
        let mut size = self.calls.len().div_ceil(2).max(1);
        loop {
            let mut dropped = false;
            let mut start = 0;
            while start < self.calls.len() {
                if self.budget.is_over() {
                    return false;
                }
                let chunk = start..start + size;
                let unwanted: Vec<bool> =
                    (0..self.calls.len()).map(|index| chunk.contains(&index)).collect();
                if self.try_without(&unwanted) {
                    dropped = true;
                } else {
                    start += size;
                }
            }
            match (size, dropped) {
                (1, false) => return true,
                (1, true) => {}
                _ => size = size.div_ceil(2),
            }
        }
    }

    /// Begins at the latest quiet instant at which the state is certain and cheap to bring about.
    /// `true` if that dropped anything.
    fn cut(&mut self) -> bool {
        let mut quiet = self.quiet_instants();
        quiet.reverse();
        quiet.into_iter().take(MAX_CUTS).any(|rank| self.cut_at(rank))
    }

    /// The invocations at which nothing is pending but what never returns, by rank.
    fn quiet_instants(&self) -> Vec<u32> {
        let (mut busy_until, mut instants) = (0, Vec::new());
        for call in &self.calls {
            if call.call > busy_until {
                instants.push(call.call);
            }
            if call.ret != NEVER {
                busy_until = busy_until.max(call.ret);
            }
        }
        instants
    }

    fn cut_at(&mut self, rank: u32) -> bool {
        let Ok(states) = states_at(self.specification, &self.calls, rank, self.budget) else {
            return false;
        };
        let [state] = &states[..] else { return false };
        let init = self.specification.init();
        let before = |call: &Call<S::Operation>| call.ret < rank;
        let setter = match *state == init {
            true => None,
            false => {
                let sets = |call: &&Call<S::Operation>| {
                    let operation = &call.operation;
                    before(call)
                        && self.specification.step(&init, operation).as_ref() == Some(state)
                };
                match self.calls.iter().rev().find(sets) {
                    Some(setter) => Some(setter.id),
                    None => return false,
                }
            }
        };
        let goes = |call: &Call<S::Operation>| before(call) && Some(call.id) != setter;
        let gone: Vec<bool> = self.calls.iter().map(goes).collect();
        let reads_well = (0..gone.len()).all(|index| gone[index] || !self.is_orphan(index, &gone));
        gone.contains(&true) && reads_well && self.accept(kept(&self.calls, &gone))
    }
}

fn kept<O: Clone>(calls: &[Call<O>], gone: &[bool]) -> Vec<Call<O>> {
    calls.iter().zip(gone).filter(|&(_, &gone)| !gone).map(|(call, _)| call.clone()).collect()
}

/// Where completed overwriting operations lie.
struct Separators {
    /// Invocations of overwriting operations, ascending, each with the first completion among
    /// those invoked then or later.
    overwriters: Vec<(u32, u32)>,
}

impl Separators {
    fn new<S: Specification>(specification: &S, calls: &[Call<S::Operation>]) -> Self {
        let overwrites = |call: &&Call<S::Operation>| specification.overwrites(&call.operation);
        let mut overwriters: Vec<(u32, u32)> =
            calls.iter().filter(overwrites).map(|call| (call.call, call.ret)).collect();
        let mut first = NEVER;
        for (_, ret) in overwriters.iter_mut().rev() {
            first = first.min(*ret);
            *ret = first;
        }
        Separators { overwriters }
    }

    /// Whether one of them lies wholly between a completion and an invocation.
    fn separate(&self, completion: u32, invocation: u32) -> bool {
        let later = self.overwriters.partition_point(|&(call, _)| call <= completion);
        self.overwriters.get(later).is_some_and(|&(_, first)| first < invocation)
    }
}
