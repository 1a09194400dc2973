//! A small sub-history that is still a violation, and a true one.
//!
//! Leaving out operations at random makes violations out of nothing: a read without its write
//! proves no fault of the store. Only *closed* removals keep the meaning, those after which a
//! linearizable history would still be one. Whoever is left must not have seen what is gone:
//!
//! - A read can go; nothing depends on it.
//! - A mutator can go together with everything that may have observed it. An operation cannot have
//!   observed a mutator if a completed overwriting one, which stays, lies between them in real time.
//! - Everything that is over before some instant can go, but for one operation at most, if every
//!   way in which things can stand then, as to the state and to what is pending, can also be
//!   reached from the initial state by that operation and those pending. Where that leaves much,
//!   the sub-history may also begin in another state than the initial one.
//!
//! Beyond that, an operation whose result somebody wrote keeps one who wrote it, so that what is
//! left still reads like a history. Among closed removals the search is delta debugging (Zeller &
//! Hildebrandt, IEEE TSE 2002), with the engine as the test.

use std::cell::OnceCell;

use crate::history::{NEVER, OpId};
use crate::linearizability::{Budget, Outcome, Problem, Standing, brute, decide, standings};
use crate::model::{Call, Specification};

/// How many of the latest instants are tried as beginnings.
const MAX_CUTS: usize = 64;
/// How many states are tried to begin with, beside the initial one.
const MAX_SETTERS: usize = 16;
/// How many pending operations may have taken effect at the beginning.
const MAX_EFFECTIVE: usize = 6;
/// How many operations are looked at one by one: who may have observed whom is remembered.
const MAX_CHUNKED: usize = 4096;
/// How many operations are looked at between two looks at the clock.
const LOOKS: usize = 64;
/// How many operations a person reads before wishing that the story had begun later.
const LEGIBLE: usize = 10;

/// A sub-history that is still a violation.
#[derive(Debug)]
pub(super) struct Smallest<O> {
    /// Its operations, by invocation; what was pending in the end never returns.
    pub(super) calls: Vec<Call<O>>,
    /// The latest rank at which it was cut: what was over by then is gone, but for one operation
    /// that brings about how things stood then.
    pub(super) cut_at: u32,
    /// Operations that lead from the initial state to that in which it begins, in order.
    pub(super) before: Vec<OpId>,
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
    let proof = calls.iter().filter(|call| seed.contains(&call.id));
    let proof_begins = proof.map(|call| call.call).min().unwrap_or(NEVER);
    // A late beginning rests on everything before it, so nothing may have been left out by then.
    let late = || {
        let from = |latest| {
            let mut shrinking = Shrinking::new(specification, calls, stuck, budget);
            shrinking.begin_late(latest).then(|| shrinking.finish())
        };
        let with_proof = from(proof_begins);
        match with_proof {
            Some(smallest) if smallest.calls.len() <= LEGIBLE => Some(smallest),
            _ => from(NEVER).or(with_proof),
        }
    };
    let whole = Shrinking::new(specification, calls, stuck, budget);
    if whole.bound_to_stay() > LEGIBLE
        && let Some(smallest) = late()
    {
        return smallest;
    }
    let smallest = whole.seeded(seed).finish();
    let is_long = smallest.calls.len() > LEGIBLE;
    let later = is_long.then(late).flatten();
    later.filter(|later| later.calls.len() < smallest.calls.len()).unwrap_or(smallest)
}

struct Shrinking<'a, S: Specification> {
    specification: &'a S,
    budget: &'a Budget,
    calls: &'a [Call<S::Operation>],
    stuck: usize,
    /// Which operations have been left out.
    gone: Vec<bool>,
    start: S::State,
    before: Vec<OpId>,
    cut_at: u32,
    sources: Vec<OnceCell<Box<[u32]>>>,
}

impl<'a, S: Specification> Shrinking<'a, S> {
    fn new(
        specification: &'a S,
        calls: &'a [Call<S::Operation>],
        stuck: OpId,
        budget: &'a Budget,
    ) -> Self {
        Shrinking {
            specification,
            budget,
            calls,
            stuck: calls.iter().position(|call| call.id == stuck).unwrap_or(calls.len()),
            gone: vec![false; calls.len()],
            start: specification.init(),
            before: Vec::new(),
            cut_at: 0,
            sources: vec![OnceCell::new(); calls.len()],
        }
    }

    /// Leaves out what the seed can do without, or else what is old.
    fn seeded(mut self, seed: &[OpId]) -> Self {
        let others: Vec<bool> = self.calls.iter().map(|call| !seed.contains(&call.id)).collect();
        if seed.is_empty() || !self.try_without(&others) {
            self.keep_latest();
        }
        self
    }

    /// Leaves out all that can go.
    fn finish(mut self) -> Smallest<S::Operation> {
        let is_minimal = self.drop_all();
        let calls = self.kept_calls(&self.gone);
        Smallest { calls, cut_at: self.cut_at, before: self.before, is_minimal }
    }

    /// How many operations the stuck one may have observed: none of these can go.
    fn bound_to_stay(&self) -> usize {
        let Some(stuck) = self.calls.get(self.stuck) else { return 0 };
        let separators = Separators::new(self.specification, self.calls.iter());
        let observed = |&index: &usize| !separators.separate(self.calls[index].ret, stuck.call);
        self.sources(self.stuck).filter(observed).count()
    }

    fn kept(&self) -> impl DoubleEndedIterator<Item = usize> {
        (0..self.calls.len()).filter(|&index| !self.gone[index])
    }

    fn kept_calls(&self, gone: &[bool]) -> Vec<Call<S::Operation>> {
        let kept = self.calls.iter().zip(gone).filter(|&(_, &gone)| !gone);
        kept.map(|(call, _)| call.clone()).collect()
    }

    /// Leaves out these operations, and what must go with them, if that is still a violation.
    fn try_without(&mut self, unwanted: &[bool]) -> bool {
        let Some(gone) = self.closure(unwanted) else { return false };
        gone != self.gone && self.accept(gone)
    }

    fn accept(&mut self, gone: Vec<bool>) -> bool {
        let calls = &self.kept_calls(&gone);
        // What is small is judged by the definition itself: that is the soonest done.
        let story = brute::linearizable_from(self.specification, &self.start, calls);
        let is_violation = story.map_or_else(|| self.is_refuted(calls), |exists| !exists);
        if is_violation {
            self.gone = gone;
        }
        is_violation
    }

    /// Whether the engine says that there is no story of these operations.
    fn is_refuted(&self, calls: &[Call<S::Operation>]) -> bool {
        let problem = Problem { specification: self.specification, start: &self.start, calls };
        matches!(decide(&problem, self.budget), Outcome::Violation { .. })
    }

    /// Everything that is gone if these operations go too; `None` if that includes the stuck one,
    /// or time is over.
    fn closure(&self, unwanted: &[bool]) -> Option<Vec<bool>> {
        let mut gone: Vec<bool> = self.gone.iter().zip(unwanted).map(|(&a, &b)| a || b).collect();
        loop {
            let mut changed = false;
            // What separates must stay, or the rest would tell another story.
            let staying = self.kept().filter(|&index| !gone[index]);
            let separators = Separators::new(self.specification, staying.map(|i| &self.calls[i]));
            let stuck = (self.stuck < gone.len()).then_some(self.stuck);
            // The stuck operation first: mostly it is what cannot go.
            for (count, observer) in stuck.into_iter().chain(self.kept()).enumerate() {
                if count.is_multiple_of(LOOKS) && self.budget.is_over() {
                    return None;
                }
                if !gone[observer] && self.must_go(observer, &gone, &separators) {
                    gone[observer] = true;
                    changed = true;
                }
                if gone[observer] && observer == self.stuck {
                    return None;
                }
            }
            if !changed {
                return Some(gone);
            }
        }
    }

    /// Whether an operation may have observed one that is going, or loses all whom it may have
    /// observed.
    fn must_go(&self, observer: usize, gone: &[bool], separators: &Separators) -> bool {
        let begun = self.calls[observer].call;
        let observed = |index: usize| !separators.separate(self.calls[index].ret, begun);
        self.sources(observer).any(|index| gone[index] && observed(index))
            || self.is_orphan(observer, gone)
    }

    /// Whether everything that an operation may have observed is going.
    fn is_orphan(&self, observer: usize, gone: &[bool]) -> bool {
        let mut sources = self.sources(observer).peekable();
        let operation = &self.calls[observer].operation;
        sources.peek().is_some()
            && sources.all(|index| gone[index])
            && self.specification.step(&self.start, operation).is_none()
    }

    /// What an operation may have observed, of all that is still there, if nothing was overwritten;
    /// and what it is inseparable from.
    fn sources(&self, observer: usize) -> impl Iterator<Item = usize> {
        let sources = self.sources[observer].get_or_init(|| {
            let operation = &self.calls[observer].operation;
            let begun = self.calls.partition_point(|call| call.call < self.calls[observer].ret);
            let observed = |&index: &usize| {
                let other = &self.calls[index].operation;
                index != observer
                    && (index < begun && self.specification.observes(operation, other)
                        || self.specification.inseparable(operation, other))
            };
            let sources = (0..self.calls.len()).filter(observed);
            sources.map(|index| index as u32).collect()
        });
        sources.iter().map(|&index| index as usize).filter(|&index| !self.gone[index])
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

    /// Drops whatever can go, until nothing can. `false` if that took too long.
    fn drop_all(&mut self) -> bool {
        if self.kept().count() > MAX_CHUNKED {
            return false;
        }
        loop {
            if !self.drop_chunks() {
                return false;
            }
            if !self.cut() {
                return true;
            }
        }
    }

    /// Drops chunks of operations, first halves, in the end one by one, until none can go. `false`
    /// if time ran out before.
    fn drop_chunks(&mut self) -> bool {
        let mut size = self.kept().count().div_ceil(2).max(1);
        loop {
            let mut dropped = false;
            let mut rest: Vec<usize> = self.kept().collect();
            while !rest.is_empty() {
                if self.budget.is_over() {
                    return false;
                }
                let later = rest.split_off(size.min(rest.len()));
                let mut unwanted = vec![false; self.calls.len()];
                rest.iter().for_each(|&index| unwanted[index] = true);
                dropped |= self.try_without(&unwanted);
                rest = later.into_iter().filter(|&index| !self.gone[index]).collect();
            }
            match (size, dropped) {
                (1, false) => return true,
                (1, true) => {}
                _ => size = size.div_ceil(2),
            }
        }
    }

    /// The latest invocations, not after `latest`, by rank.
    fn instants(&self, latest: u32) -> Vec<u32> {
        let calls = self.kept().rev().map(|index| self.calls[index].call);
        calls.filter(|&call| call <= latest).take(MAX_CUTS).collect()
    }

    /// Begins at the latest instant at which it is certain how things stand, and cheap to bring
    /// about. `true` if that dropped anything.
    fn cut(&mut self) -> bool {
        self.instants(NEVER).into_iter().any(|rank| {
            let gone = self.over_by(rank);
            let is_cut = gone.is_some_and(|gone| self.accept(gone));
            if is_cut {
                self.cut_at = self.cut_at.max(rank);
            }
            is_cut
        })
    }

    /// Begins at the latest instant, not after `latest`, at which it is certain how things stand,
    /// in the state that the object has then.
    fn begin_late(&mut self, latest: u32) -> bool {
        self.instants(latest).into_iter().any(|rank| {
            let calls = self.kept_calls(&self.gone);
            let Some(base) = self.base(rank, &calls) else { return false };
            let before = base.order.iter().map(|&index| calls[index as usize].id).collect();
            let start = std::mem::replace(&mut self.start, base.state);
            let gone = self.over(rank, None);
            let accepted = gone != self.gone && self.accept(gone);
            match accepted {
                true => self.before = before,
                false => self.start = start,
            }
            accepted
        })
    }

    /// What is gone if everything over before `rank` goes, except one operation.
    fn over(&self, rank: u32, except: Option<OpId>) -> Vec<bool> {
        let goes = |index: usize| {
            let call = &self.calls[index];
            self.gone[index] || call.ret < rank && Some(call.id) != except
        };
        (0..self.calls.len()).map(goes).collect()
    }

    /// What is gone if what is over before `rank` goes; `None` if it cannot.
    fn over_by(&self, rank: u32) -> Option<Vec<bool>> {
        let calls = self.kept_calls(&self.gone);
        let setter = self.setter(rank, &calls)?;
        let gone = self.over(rank, setter);
        let reads_well = (0..gone.len()).all(|index| gone[index] || !self.is_orphan(index, &gone));
        (reads_well && gone != self.gone).then_some(gone)
    }

    /// The ways to stand right before `rank`; none if that takes too long to find out.
    fn standings(&self, rank: u32, calls: &[Call<S::Operation>]) -> Vec<Standing<S::State>> {
        let problem = Problem { specification: self.specification, start: &self.start, calls };
        standings(&problem, rank, self.budget).unwrap_or_default()
    }

    /// The way to stand right before `rank` that leads to all others, if there is one.
    fn base(&self, rank: u32, calls: &[Call<S::Operation>]) -> Option<Standing<S::State>> {
        let standings = self.standings(rank, calls);
        let leads_to_all = |base: &&Standing<S::State>| {
            let leads = |there| self.leads_to(&base.state, there, calls);
            base.effective.is_empty() && standings.iter().all(leads)
        };
        standings.iter().find(leads_to_all).cloned()
    }

    /// The operation to keep of those that are over before `rank`, if any, so that every way to
    /// stand there can be reached from it; `None` if there is no such operation.
    #[expect(clippy::option_option, reason = "no way to begin differs from beginning with nothing")]
    fn setter(&self, rank: u32, calls: &[Call<S::Operation>]) -> Option<Option<OpId>> {
        let standings = self.standings(rank, calls);
        let leads_to_all = |from: &S::State| {
            !standings.is_empty() && standings.iter().all(|there| self.leads_to(from, there, calls))
        };
        if leads_to_all(&self.start) {
            return Some(None);
        }
        let mut tried = Vec::new();
        let sets = |call: &&Call<S::Operation>| {
            let Some(state) = self.specification.step(&self.start, &call.operation) else {
                return false;
            };
            if tried.contains(&state) || tried.len() == MAX_SETTERS {
                return false;
            }
            let fits = leads_to_all(&state);
            tried.push(state);
            fits
        };
        calls.iter().rev().filter(|call| call.ret < rank).find(sets).map(|call| Some(call.id))
    }

    /// Whether the operations that have taken effect by then, in some order, lead there.
    fn leads_to(
        &self,
        from: &S::State,
        there: &Standing<S::State>,
        calls: &[Call<S::Operation>],
    ) -> bool {
        if there.effective.is_empty() {
            return *from == there.state;
        }
        there.effective.len() <= MAX_EFFECTIVE
            && there.effective.iter().enumerate().any(|(position, &next)| {
                let mut rest = there.clone();
                rest.effective.remove(position);
                let step = self.specification.step(from, &calls[next as usize].operation);
                step.is_some_and(|state| self.leads_to(&state, &rest, calls))
            })
    }
}

/// Where completed overwriting operations lie.
struct Separators {
    /// Invocations of overwriting operations, ascending, each with the first completion among
    /// those invoked then or later.
    overwriters: Vec<(u32, u32)>,
}

impl Separators {
    fn new<'a, S: Specification>(
        specification: &S,
        calls: impl Iterator<Item = &'a Call<S::Operation>>,
    ) -> Self
    where
        S::Operation: 'a,
    {
        let overwrites = |call: &&Call<S::Operation>| specification.overwrites(&call.operation);
        let mut overwriters: Vec<(u32, u32)> =
            calls.filter(overwrites).map(|call| (call.call, call.ret)).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linearizability::brute;
    use crate::model::{Model, Part, Visitor};
    use crate::structures::{STRUCTURES, structure};
    use crate::support::{WORKLOADS, history};
    use std::time::Duration;

    /// Tries every removal on parts that are linearizable, and counts those that removed anything.
    struct RemovalsKeepMeaning;

    impl Visitor for RemovalsKeepMeaning {
        type Output = usize;

        fn visit<S: Specification>(self, parts: Vec<Part<S>>) -> usize {
            let budget = Budget::new(Duration::from_secs(3600), 1 << 30);
            parts.iter().map(|part| removals(part, &budget)).sum()
        }
    }

    fn removals<S: Specification>(part: &Part<S>, budget: &Budget) -> usize {
        let (specification, calls) = (&part.specification, part.calls.clone());
        if brute::linearizable(specification, &calls) != Some(true) {
            return 0;
        }
        let shrinking = Shrinking::new(specification, &calls, OpId(u32::MAX), budget);
        let size = calls.len();
        let chunks = (0..size).flat_map(|start| (start + 1..=size).map(move |end| start..end));
        let unwanted = chunks.map(|chunk| (0..size).map(|index| chunk.contains(&index)).collect());
        let closed = unwanted.filter_map(|unwanted: Vec<bool>| shrinking.closure(&unwanted));
        let cuts = calls.iter().filter_map(|call| shrinking.over_by(call.call));
        let mut count = 0;
        let init = specification.init();
        let from_init = closed.chain(cuts).map(|gone| (init.clone(), gone));
        let based = calls.iter().filter_map(|call| {
            let base = shrinking.base(call.call, &calls)?;
            Some((base.state, shrinking.over(call.call, None)))
        });
        for (start, gone) in from_init.chain(based) {
            let rest = shrinking.kept_calls(&gone);
            assert_eq!(
                brute::linearizable_from(specification, &start, &rest),
                Some(true),
                "{specification:?}: {calls:#?} without {gone:?} from {start:?}"
            );
            count += usize::from(!rest.is_empty());
        }
        count
    }

    #[test]
    fn no_removal_makes_a_violation_of_a_linearizable_history() {
        for workload in WORKLOADS {
            let mut removals = 0;
            for seed in 0..2_000 {
                let (history, mut rng) = history(workload, seed, brute::LIMIT);
                let model: Model = workload.model(&mut rng).parse().expect("a model");
                removals += model.decode(&history, RemovalsKeepMeaning).expect("decodes");
            }
            assert!(removals > 1_000, "{workload:?}: only {removals} removals were tried");
        }
        for of in STRUCTURES {
            let mut removals = 0;
            for seed in 0..2_000 {
                let (history, name) = structure(of, seed, brute::LIMIT);
                let model: Model = name.parse().expect("a model");
                removals += model.decode(&history, RemovalsKeepMeaning).expect("decodes");
            }
            assert!(removals > 1_000, "{of:?}: only {removals} removals were tried");
        }
    }
}
