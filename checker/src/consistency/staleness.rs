//! Staleness: how far behind a read was, in versions and in time.
//!
//! A read is stale if a newer write than the one it saw had been acknowledged before the read began.
//! Newer for certain is a write that began after the one that was seen had ended, so both numbers
//! are lower bounds, whatever the store's own order of the writes: versions are those of
//! k-atomicity (Aiyer, Alvisi & Bazzi, "On the Availability of Non-strict Quorum Systems", DISC
//! 2005), time is the *t*-visibility of probabilistically bounded staleness (Bailis et al., VLDB
//! 2012), here measured where they predict.
//!
//! For each key the writes are put into a binary indexed tree (Fenwick 1994) by the reads' calls:
//! O(n log n) for n operations.

use serde::Serialize;

use super::Options;
use super::objects::{Kind, Object, Objects, Read, is_read};
use crate::history::{History, OpId, Outcome, ValueId};

/// How far behind reads were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Staleness {
    /// Reads that could be judged.
    pub reads: u64,
    /// Those that returned an overwritten value, in the order of their calls.
    pub stale: Vec<Stale>,
    /// Reads that could not be judged: their key is no register, or the value that they returned was
    /// written more than once, or never.
    pub unjudged: u64,
}

/// A read of an overwritten value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Stale {
    /// The read.
    pub op: OpId,
    /// At least so many newer writes had finished before the read began.
    pub versions: u32,
    /// Since when at least one of them had: nanoseconds before the read began; 0 where the history
    /// has no times.
    pub behind_ns: u64,
}

/// Measures how far behind the reads of registers were. A read of nothing is taken to have seen the
/// newest delete that it can have seen, if there is one.
pub fn staleness(history: &History, options: &Options) -> Staleness {
    let objects = Objects::of(history, options);
    let mut all = Staleness { reads: 0, stale: Vec::new(), unjudged: 0 };
    for object in objects.all.iter().filter(|object| object.kind == Kind::Register) {
        measure(history, object, &mut all);
    }
    all.stale.sort_by_key(|stale| history.operation(stale.op).call());
    let answered = history.operations().filter(|it| is_read(it.f()) && it.outcome() == Outcome::Ok);
    all.unjudged = answered.count() as u64 - all.reads;
    all
}

impl Staleness {
    /// The time within which this share of all judged reads was behind, by nearest rank, in
    /// nanoseconds; fresh ones are 0 behind, and no reads are, too.
    pub fn quantile_ns(&self, q: f64) -> u64 {
        self.quantile(q, |stale| stale.behind_ns)
    }

    /// The same in versions.
    pub fn quantile_versions(&self, q: f64) -> u32 {
        self.quantile(q, |stale| stale.versions)
    }

    fn quantile<T: Ord + Default + Copy>(&self, q: f64, of: impl Fn(&Stale) -> T) -> T {
        let rank = (q.clamp(0.0, 1.0) * self.reads as f64).ceil().max(1.0) as u64;
        let fresh = self.reads - self.stale.len() as u64;
        let mut behind: Vec<T> = self.stale.iter().map(of).collect();
        behind.sort_unstable();
        let place = rank.checked_sub(fresh + 1).and_then(|place| behind.get(place as usize));
        place.copied().unwrap_or_default()
    }
}

fn measure(history: &History, object: &Object<'_>, all: &mut Staleness) {
    let finished = Finished::of(object);
    let mut counted = Counted::new(finished.calls.len());
    let mut by_end: Vec<(u32, usize)> =
        finished.ends.iter().enumerate().map(|(place, end)| (*end, place)).collect();
    by_end.sort_unstable();
    let mut by_end = by_end.into_iter().peekable();
    // Reads come by invocation, so writes that had finished are only added.
    for read in &object.reads {
        while let Some((_, place)) = by_end.next_if(|(end, _)| *end < read.span.call) {
            counted.add(place);
        }
        let Some(since) = since(object, read) else { continue };
        all.reads += 1;
        let newer = finished.calls.partition_point(|call| *call < since);
        let versions = counted.from(newer);
        if versions == 0 {
            continue;
        }
        let first = finished.first_end[newer];
        let behind_ns = history
            .operation(read.span.id)
            .call_time()
            .zip(history.operation(object.writes[finished.writes[first]].span.id).return_time());
        let behind_ns = behind_ns.map_or(0, |(call, end)| call.saturating_sub(end));
        all.stale.push(Stale { op: read.span.id, versions, behind_ns });
    }
}

/// When what a read saw had been written for certain: 0 for what was there at first, `None` where
/// nobody knows what it saw.
fn since(object: &Object<'_>, read: &Read<'_>) -> Option<u32> {
    let writers = object.writers(read.value()).iter().map(|write| object.writes[*write].span);
    let ends = writers.filter(|span| span.call < read.span.ret).map(|span| span.ret);
    match (read.value(), object.writers(read.value())) {
        (ValueId::NIL, _) => Some(ends.max().unwrap_or(0)),
        (_, [_]) => ends.max(),
        _ => None,
    }
}

/// The acknowledged writes of an object, by invocation.
struct Finished {
    /// Their places among all writes.
    writes: Vec<usize>,
    calls: Vec<u32>,
    ends: Vec<u32>,
    /// Of each and all after it the one that ended first.
    first_end: Vec<usize>,
}

impl Finished {
    fn of(object: &Object<'_>) -> Self {
        let places = (0..object.writes.len()).filter(|at| object.writes[*at].span.is_acknowledged);
        let writes: Vec<usize> = places.collect();
        let span = |place: &usize| object.writes[*place].span;
        let calls = writes.iter().map(|place| span(place).call).collect();
        let ends: Vec<u32> = writes.iter().map(|place| span(place).ret).collect();
        let mut first_end: Vec<usize> = (0..writes.len()).collect();
        for place in (1..writes.len()).rev() {
            let later = first_end[place];
            if ends[later] < ends[place - 1] {
                first_end[place - 1] = later;
            }
        }
        Finished { writes, calls, ends, first_end }
    }
}

/// How many places from one on are taken: a binary indexed tree.
pub(super) struct Counted {
    sums: Vec<u32>,
    all: u32,
}

impl Counted {
    pub(super) fn new(places: usize) -> Self {
        Counted { sums: vec![0; places + 1], all: 0 }
    }

    pub(super) fn add(&mut self, place: usize) {
        self.all += 1;
        let mut at = place + 1;
        while at < self.sums.len() {
            self.sums[at] += 1;
            at += at & at.wrapping_neg();
        }
    }

    pub(super) fn from(&self, place: usize) -> u32 {
        let (mut before, mut at) = (0, place);
        while at > 0 {
            before += self.sums[at];
            at &= at - 1;
        }
        self.all - before
    }
}
