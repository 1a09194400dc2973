//! Which of several values side by side may have seen which: the causal order of one key, as vector
//! clocks (Fidge 1988, Mattern 1989) over the processes that used the key.
//!
//! A store with siblings replaces what the writer had seen, and nothing else (Dynamo, section 4.4).
//! What that was is the client's context, which a history does not show; but whatever a context
//! covers came to the client by what it read and wrote of the key before, so it is covered by the
//! order computed here: session order and reads-from together, and what a failed compare-and-set
//! found. This order is the generous bound.
//! [`Contexts`] is the other one: what a write certainly had seen is what the latest read of its
//! process returned.

use rustc_hash::{FxHashMap, FxHashSet};

use super::objects::{Glimpse, Object, Read};
use crate::history::ValueId;

/// What happens to what sessions know.
enum Step<'a> {
    Write(usize),
    Read(&'a Read<'a>),
    Glimpse(Glimpse),
}

/// What each write may have seen: the generous bound.
#[derive(Debug)]
pub(super) struct Causality {
    /// Of each write: how many writes of each session are covered, itself included.
    clocks: Vec<Vec<u32>>,
    /// Of each write: its session, and its number within it, from 1.
    places: Vec<(usize, u32)>,
    /// What leaves nothing to be seen of what it replaced, by invocation: deletes, and
    /// compare-and-sets, which replace what they found, seen by their clients or not. When, and what
    /// all up to this one cover together.
    removals: Vec<(u32, Vec<u32>)>,
}

impl Causality {
    pub(super) fn of(object: &Object<'_>) -> Self {
        let mut sessions = FxHashMap::default();
        for process in processes(object) {
            let number = sessions.len();
            sessions.entry(process).or_insert(number);
        }
        // A write counts from its invocation, a read from its answer: so whatever one depends on
        // comes before it, unless a read saw the future, which is another promise's affair.
        let writes =
            (0..object.writes.len()).map(|at| (object.writes[at].span.call, Step::Write(at)));
        let reads = object.reads.iter().map(|read| (read.span.ret, Step::Read(read)));
        let glimpses = object.glimpses.iter().map(|it| (it.span.ret, Step::Glimpse(*it)));
        let mut steps: Vec<(u32, Step<'_>)> = writes.chain(reads).chain(glimpses).collect();
        steps.sort_unstable_by_key(|(rank, _)| *rank);
        let width = sessions.len();
        let mut current = vec![vec![0; width]; width];
        let mut clocks = vec![Vec::new(); object.writes.len()];
        let mut places = vec![(0, 0); object.writes.len()];
        let mut everything = vec![0; width];
        for (_, step) in steps {
            let (process, seen) = match &step {
                Step::Write(at) => {
                    let session = sessions[&object.writes[*at].span.process];
                    current[session][session] += 1;
                    places[*at] = (session, current[session][session]);
                    clocks[*at].clone_from(&current[session]);
                    everything[session] = current[session][session];
                    continue;
                }
                Step::Read(read) => (read.span.process, &*read.seen),
                Step::Glimpse(Glimpse { span, seen }) => {
                    (span.process, seen.as_ref().map_or(&[][..], std::slice::from_ref))
                }
            };
            let known = &mut current[sessions[&process]];
            if matches!(step, Step::Glimpse(Glimpse { seen: None, .. })) {
                join(known, &everything);
            }
            for writer in seen.iter().flat_map(|value| object.writers(*value)) {
                join(known, &clocks[*writer]);
            }
        }
        let mut removals = Vec::new();
        let mut covered = vec![0; width];
        for (at, write) in object.writes.iter().enumerate() {
            let own = write.is_delete().then_some(&at);
            let found = write.found.filter(|found| *found != ValueId::NIL);
            let found = found.map_or(&[][..], |found| object.writers(found));
            if own.is_some() || !found.is_empty() {
                let removed = own.into_iter().chain(found);
                removed.for_each(|removed| join(&mut covered, &clocks[*removed]));
                removals.push((write.span.call, covered.clone()));
            }
        }
        Causality { clocks, places, removals }
    }

    /// Whether one of these values, or something that removes and began before, is the write or may
    /// have replaced it.
    pub(super) fn covers(
        &self,
        object: &Object<'_>,
        seen: &[ValueId],
        before: u32,
        write: usize,
    ) -> bool {
        let (session, number) = self.places[write];
        let covers = |clock: &[u32]| clock.get(session).is_some_and(|seen| *seen >= number);
        let writers = seen.iter().flat_map(|value| object.writers(*value));
        let begun = self.removals.partition_point(|(call, _)| *call < before);
        writers.into_iter().any(|writer| covers(&self.clocks[*writer]))
            || begun.checked_sub(1).is_some_and(|last| covers(&self.removals[last].1))
    }
}

/// The process of every operation.
fn processes(object: &Object<'_>) -> impl Iterator<Item = u64> {
    let writes = object.writes.iter().map(|write| write.span.process);
    let reads = object.reads.iter().map(|read| read.span.process);
    writes.chain(reads).chain(object.glimpses.iter().map(|glimpse| glimpse.span.process))
}

fn join(into: &mut [u32], other: &[u32]) {
    for (mine, theirs) in into.iter_mut().zip(other) {
        *mine = (*mine).max(*theirs);
    }
}

/// What each write certainly had seen: the strict bound.
///
/// Clients hand back the context of their latest read of the key, so a write replaces at least what
/// that read returned, and what those values had replaced in turn. A compare-and-set replaces what it
/// found, and nothing else.
#[derive(Debug)]
pub(super) struct Contexts {
    /// Of each write: the writes that it certainly replaced by itself.
    direct: Vec<Vec<usize>>,
}

impl Contexts {
    pub(super) fn of(object: &Object<'_>) -> Self {
        let mut reads: FxHashMap<u64, Vec<usize>> = FxHashMap::default();
        for (at, read) in object.reads.iter().enumerate() {
            reads.entry(read.span.process).or_default().push(at);
        }
        let direct = object.writes.iter().map(|write| {
            if let Some(found) = write.found {
                let found = Some(found).filter(|found| *found != ValueId::NIL);
                return found.and_then(|found| unique(object, found)).into_iter().collect();
            }
            let own = reads.get(&write.span.process).map_or(&[][..], Vec::as_slice);
            let before = own.partition_point(|at| object.reads[*at].span.call < write.span.call);
            let Some(last) = before.checked_sub(1) else { return Vec::new() };
            let last = &object.reads[own[last]];
            let seen = last.seen.iter().filter_map(|value| unique(object, *value));
            seen.filter(|old| object.writes[*old].span.call < last.span.ret).collect()
        });
        Contexts { direct: direct.collect() }
    }

    /// Everything from some place on that a write certainly replaced, by itself or through what it
    /// replaced, with the write through which it did so. Whoever replaced something began later, so
    /// nothing before that place leads to anything behind it.
    pub(super) fn replaced(&self, write: usize, from: usize) -> Vec<(usize, usize)> {
        let mut seen = FxHashSet::default();
        let mut replaced: Vec<(usize, usize)> = Vec::new();
        let mut next = vec![write];
        while let Some(by) = next.pop() {
            for &old in &self.direct[by] {
                if old >= from && old != write && seen.insert(old) {
                    replaced.push((old, by));
                    next.push(old);
                }
            }
        }
        replaced
    }
}

/// The one write of a value, if there is just one.
pub(super) fn unique(object: &Object<'_>, value: ValueId) -> Option<usize> {
    match object.writers(value) {
        [write] => Some(*write),
        _ => None,
    }
}
