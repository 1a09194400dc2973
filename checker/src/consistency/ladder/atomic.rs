//! Whether the registers of a trace are linearizable, also as if some operations had begun earlier.
//!
//! The values of a trace are unique, so zones decide it in linear time (Gibbons & Korach 1997). A
//! value is called by the write that brought it.

use super::trace::{Act, Source, Trace};
use crate::history::{NEVER, ValueId};
use crate::linearizability::{Budget, Outcome, Problem, decide_register};
use crate::model::{Call, CasRegister, RegisterOperation};

/// An operation on one key: when it begins and ends, and what it does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interval {
    pub(super) call: u64,
    pub(super) ret: u64,
    operation: RegisterOperation,
    pub(super) node: u32,
}

impl Interval {
    /// The same at another time.
    pub(super) fn at(self, call: u64, ret: u64) -> Self {
        Interval { call, ret, ..self }
    }

    /// Whether it does nothing but read.
    pub(super) fn is_read(&self) -> bool {
        matches!(self.operation, RegisterOperation::Read(_))
    }
}

/// An interval that never ends.
pub(super) const ENDLESS: u64 = u64::MAX;

/// The operations of each key, by rank.
pub(super) fn intervals(trace: &Trace) -> Vec<Vec<Interval>> {
    let mut keys: Vec<Vec<Interval>> = vec![Vec::new(); trace.objects()];
    for (number, node) in (0u32..).zip(&trace.nodes) {
        let value = |source| match source {
            Source::Initial => ValueId::FOREIGN,
            Source::Of(write) => ValueId(write),
        };
        let operation = match (node.act, trace.written_with(number)) {
            (Act::Read(source), Some(write)) => {
                RegisterOperation::Cas(value(source), ValueId(write))
            }
            (Act::Read(source), None) => RegisterOperation::Read(value(source)),
            (Act::Write, _) if trace.read_with(number).is_some() => continue,
            (Act::Write, _) => RegisterOperation::Write(ValueId(number)),
        };
        let ret = if node.ret == NEVER { ENDLESS } else { u64::from(node.ret) };
        let interval = Interval { call: u64::from(node.call), ret, operation, node: number };
        keys[node.object as usize].push(interval);
    }
    keys
}

/// Whether the operations of one key are linearizable; `None` if that is more than the budget
/// allows. What touches is concurrent.
pub(super) fn is_linearizable(intervals: &[Interval], budget: &Budget) -> Option<bool> {
    // At one instant beginnings come before ends.
    let mut points: Vec<(u64, bool, usize)> = Vec::with_capacity(2 * intervals.len());
    for (place, interval) in intervals.iter().enumerate() {
        points.push((interval.call, false, place));
        if interval.ret != ENDLESS {
            points.push((interval.ret, true, place));
        }
    }
    points.sort_unstable();
    let mut calls = Vec::with_capacity(intervals.len());
    let mut places = vec![0; intervals.len()];
    for (rank, (_, is_end, place)) in (0u32..).zip(points) {
        if !is_end {
            places[place] = calls.len();
            let Interval { operation, node, .. } = intervals[place];
            calls.push(Call { id: crate::history::OpId(node), operation, call: rank, ret: NEVER });
        } else {
            let call: &mut Call<RegisterOperation> = &mut calls[places[place]];
            call.ret = rank;
        }
    }
    let specification = CasRegister::plain();
    let problem =
        Problem { specification: &specification, start: &ValueId::FOREIGN, calls: &calls };
    match decide_register(&problem, budget)? {
        Outcome::Linearizable(_) => Some(true),
        Outcome::Violation { .. } => Some(false),
        Outcome::Exhausted { .. } => None,
    }
}
