//! How far from atomic registers are: in versions (k) and in time (Δ).
//!
//! A register is *k-atomic* if an order of its operations that agrees with real time lets every read
//! return one of the last k writes (Aiyer, Alvisi & Bazzi, DISC 2005); 1-atomic is linearizable. It
//! is *Δ-atomic* if it would be linearizable had every read begun Δ earlier (Golab, Li & Shah,
//! "Analyzing consistency properties for fun and profit", PODC 2011).
//!
//! That k is 1 is decided by zones. Beyond that k is known within bounds: no read can be less stale
//! than real time alone makes it, and the orders of the writes by their beginnings, and by when they
//! were first known to be done, show what k is enough. (Two-atomicity can be decided in quasilinear
//! time, Golab, Hurwitz & Li, ICDCS 2013; for k > 2 nobody knows.) Δ is found by bisection with the
//! zones, O(n log n) for each of some forty steps, and only for keys that need more than the others.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use serde::Serialize;

use super::super::Options;
use super::super::objects::Objects;
use super::super::staleness::Counted;
use super::atomic::{ENDLESS, Interval, intervals, is_linearizable};
use super::trace::{Act, Ambiguous, Node, Source, Trace};
use crate::history::{History, NEVER};
use crate::linearizability::Budget;

/// How far from atomic a history is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Atomicity {
    /// The smallest k for which all registers are k-atomic.
    pub k: Bounds<u32>,
    /// The smallest Δ for which all registers are Δ-atomic, in nanoseconds; `None` if there is none,
    /// or nobody can tell: because values repeat, something is no register, or times are missing.
    pub delta_ns: Option<u64>,
}

/// What is known of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bounds<T> {
    /// It is proven to be at least this.
    pub at_least: T,
    /// It is at most this; `None` if there may be no such number at all.
    pub at_most: Option<T>,
}

/// Measures how far from atomic the registers of a history are.
pub fn atomicity(history: &History, options: &Options) -> Atomicity {
    let objects = Objects::of(history, options);
    let trace = Trace::of(&objects, history.values().find(&options.initial), Ambiguous::LeftOut);
    let is_whole = trace.doubt.is_none() && trace.foreign.is_none() && trace.thin_air.is_none();
    let budget = Budget::new(Duration::from_secs(60), 1 << 30);
    let keys = intervals(&trace);
    let (mut k, mut delta) = (Bounds { at_least: 1, at_most: Some(1) }, Some(0));
    for (object, key) in keys.iter().enumerate() {
        if is_linearizable(key, &budget) == Some(true) {
            continue;
        }
        let of_key = Versions::of(&trace, object as u32).bounds();
        k.at_least = k.at_least.max(of_key.at_least);
        k.at_most = k.at_most.zip(of_key.at_most).map(|(k, of_key)| k.max(of_key));
        delta = delta.and_then(|delta| least_delta(history, &trace, key, delta, &budget));
    }
    k.at_most = k.at_most.filter(|_| is_whole);
    Atomicity { k, delta_ns: delta.filter(|_| is_whole) }
}

/// The least Δ from this one on.
fn least_delta(
    history: &History,
    trace: &Trace,
    key: &[Interval],
    from: u64,
    budget: &Budget,
) -> Option<u64> {
    let in_time = |interval: &Interval| {
        let operation = history.operation(trace.node(interval.node).id);
        let ret = if interval.ret == ENDLESS { ENDLESS } else { operation.return_time()? };
        Some(interval.at(operation.call_time()?, ret))
    };
    let key: Vec<Interval> = key.iter().map(in_time).collect::<Option<_>>()?;
    let is_enough = |delta: u64| {
        let earlier = |interval: &Interval| match interval.is_read() {
            true => interval.at(interval.call.saturating_sub(delta), interval.ret),
            false => *interval,
        };
        is_linearizable(&key.iter().map(earlier).collect::<Vec<_>>(), budget)
    };
    if is_enough(from)? {
        return Some(from);
    }
    // Not enough, and enough, if anything is.
    let (mut less, mut more) = (from, key.iter().map(|interval| interval.call).max()?);
    if more <= less || !is_enough(more)? {
        return None;
    }
    while more - less > 1 {
        let middle = less + (more - less) / 2;
        if is_enough(middle)? {
            more = middle;
        } else {
            less = middle;
        }
    }
    Some(more)
}

/// The writes and reads of one key, by the numbers of the trace.
struct Versions<'a> {
    trace: &'a Trace,
    writes: Vec<u32>,
    /// By invocation.
    reads: Vec<u32>,
    has_cas: bool,
}

impl<'a> Versions<'a> {
    fn of(trace: &'a Trace, object: u32) -> Self {
        let own = (0..trace.len() as u32).filter(|node| trace.node(*node).object == object);
        let (writes, mut reads): (Vec<u32>, Vec<u32>) = own.partition(|it| trace.is_write(*it));
        let has_cas = reads.iter().any(|read| trace.written_with(*read).is_some());
        reads.sort_unstable_by_key(|read| trace.node(*read).call);
        Versions { trace, writes, reads, has_cas }
    }

    fn node(&self, node: u32) -> &Node {
        self.trace.node(node)
    }

    /// Of a key that is not linearizable.
    fn bounds(&self) -> Bounds<u32> {
        // Whoever replaces what it found has to find the last write.
        if self.has_cas {
            return Bounds { at_least: self.needed().max(2), at_most: None };
        }
        let by_call = self.enough(&|write| self.node(write).call);
        let by_proof = self.enough(&|write| {
            let seen = self.trace.readers(write).iter().map(|read| self.node(*read).ret);
            seen.min().unwrap_or(NEVER).min(self.node(write).ret)
        });
        let at_most = [by_call, by_proof].into_iter().flatten().min();
        Bounds { at_least: self.needed().max(2), at_most }
    }

    /// What k is needed, since so many writes lie between what a read saw and the read.
    fn needed(&self) -> u32 {
        let mut ends: Vec<(u32, u32)> =
            self.writes.iter().map(|it| (self.node(*it).ret, self.node(*it).call)).collect();
        ends.sort_unstable();
        let mut calls: Vec<u32> = ends.iter().map(|(_, call)| *call).collect();
        calls.sort_unstable();
        let mut over = Counted::new(calls.len());
        let (mut needed, mut next) = (1, 0);
        for &read in &self.reads {
            let read = self.node(read);
            while ends.get(next).is_some_and(|(end, _)| *end < read.call) {
                let place = calls.binary_search(&ends[next].1).unwrap_or_else(|place| place);
                over.add(place);
                next += 1;
            }
            let newer = match read.act {
                Act::Read(Source::Of(write)) => {
                    let end = self.node(write).ret;
                    calls.partition_point(|call| *call < end)
                }
                _ => 0,
            };
            needed = needed.max(over.from(newer) + 1);
        }
        needed
    }

    /// What k is enough if the writes are in this order, which agrees with real time wherever there
    /// is any k; `None` if the reads do not fit in.
    fn enough(&self, order: &dyn Fn(u32) -> u32) -> Option<u32> {
        let mut sorted = self.writes.clone();
        sorted.sort_by_key(|write| (order(*write), self.node(*write).call));
        let mut places = vec![0; self.trace.len()];
        for (place, write) in (1u32..).zip(&sorted) {
            places[*write as usize] = place;
        }
        // When what had ended, and the furthest place until then; first of writes, then of reads, too.
        let mut ended: Vec<(u32, u32)> =
            sorted.iter().map(|it| (self.node(*it).ret, places[*it as usize])).collect();
        ended.sort_unstable();
        let first_later = FirstLater::of(self, &sorted, &places)?;
        let mut reads = BinaryHeap::new();
        let (mut next, mut least, mut enough) = (0, 0, 1);
        for &read in &self.reads {
            let node = self.node(read);
            while let Some((_, place)) = ended.get(next).filter(|(end, _)| *end < node.call) {
                least = least.max(*place);
                next += 1;
            }
            while let Some(&Reverse((end, place))) = reads.peek() {
                if end >= node.call {
                    break;
                }
                least = least.max(place);
                reads.pop();
            }
            let source = self.trace.source(read).map_or(0, |write| places[write as usize]);
            let place = least.max(source);
            if place >= first_later.after(node.ret) {
                return None;
            }
            reads.push(Reverse((node.ret, place)));
            enough = enough.max(place - source + 1);
        }
        Some(enough)
    }
}

/// The first place of the writes that began after some instant.
struct FirstLater {
    calls: Vec<u32>,
    places: Vec<u32>,
}

impl FirstLater {
    /// `None` if the order of the writes is not that of real time.
    fn of(versions: &Versions<'_>, sorted: &[u32], places: &[u32]) -> Option<Self> {
        let mut by_call: Vec<(u32, u32)> =
            sorted.iter().map(|it| (versions.node(*it).call, places[*it as usize])).collect();
        by_call.sort_unstable();
        let calls: Vec<u32> = by_call.iter().map(|(call, _)| *call).collect();
        let mut places: Vec<u32> = by_call.iter().map(|(_, place)| *place).collect();
        for place in (1..places.len()).rev() {
            places[place - 1] = places[place - 1].min(places[place]);
        }
        let first = FirstLater { calls, places };
        let mut of_writes = (1u32..).zip(sorted);
        let is_right = of_writes.all(|(place, it)| place < first.after(versions.node(*it).ret));
        is_right.then_some(first)
    }

    fn after(&self, instant: u32) -> u32 {
        let next = self.calls.partition_point(|call| *call <= instant);
        self.places.get(next).copied().unwrap_or(u32::MAX)
    }
}
