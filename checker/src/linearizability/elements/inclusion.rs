//! A set that only grows: what reads return must include one another, and that orders everything.
//!
//! Sort the reads by size; each must include the one before. Between two of them come the additions
//! of what the later one has and the earlier one has not, one for each element. Further additions
//! of an element change nothing, and only must not come before the first. What no read returned is
//! added after all of them. What remains is to see whether that order agrees with real time: it
//! does if the latest invocation up to each operation lies before its completion.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::within;
use crate::history::{NEVER, ValueId};
use crate::linearizability::{Budget, Outcome, Problem};
use crate::model::{GrowOnlySet, GrowOnlySetOperation};

use GrowOnlySetOperation::{Add, Read};

/// Decides a grow-only set, whatever it returned.
pub(crate) fn decide(
    problem: &Problem<'_, GrowOnlySet>,
    budget: &Budget,
) -> Option<Outcome<Arc<[ValueId]>>> {
    // For each call its place in an order, with what that is sorted by, and an element.
    let bytes = problem.calls.len() * 16 * size_of::<u32>();
    within(budget, bytes, |meter| {
        if let Some(order) = order(problem, NEVER) {
            return Ok(Some(Ok(order)));
        }
        let mut returns: Vec<(u32, u32)> =
            problem.calls.iter().zip(0..).map(|(call, index)| (call.ret, index)).collect();
        returns.retain(|&(ret, _)| ret != NEVER);
        returns.sort_unstable();
        // Up to the completions before `first` there is an order, up to that of `last` there is
        // none.
        let (mut first, mut last) = (0, returns.len() - 1);
        while first < last {
            meter.tick()?;
            let middle = first.midpoint(last);
            match order(problem, returns[middle].0 + 1) {
                Some(_) => first = middle + 1,
                None => last = middle,
            }
        }
        Ok(Some(Err(returns[last].1)))
    })
}

/// What is known of an element.
struct Element {
    /// The first addition that was invoked.
    first: u32,
    /// Whether any addition was completed.
    is_certain: bool,
}

/// An order of what was invoked before the rank `end`; what completes later need not happen.
fn order(problem: &Problem<'_, GrowOnlySet>, end: u32) -> Option<Vec<u32>> {
    let calls = &problem.calls[..problem.calls.partition_point(|call| call.call < end)];
    let ret = |index: u32| match calls[index as usize].ret {
        ret if ret < end => ret,
        _ => NEVER,
    };
    let (mut steps, mut levels) = chain(problem, calls.len(), |index| ret(index) != NEVER)?;
    let beyond = steps.last().map_or(0, |&(level, ..)| level) + 1;
    let mut elements: FxHashMap<ValueId, Element> = FxHashMap::default();
    let mut further: Vec<(u32, ValueId)> = Vec::new();
    for (call, index) in calls.iter().zip(0..) {
        let Add(value) = call.operation else { continue };
        let is_certain = ret(index) != NEVER;
        let mut is_first = false;
        let element = elements.entry(value).or_insert_with(|| {
            is_first = problem.start.binary_search(&value).is_err();
            Element { first: index, is_certain }
        });
        element.is_certain |= is_certain;
        if !is_first && is_certain {
            further.push((index, value));
        }
    }
    for (value, element) in &elements {
        let level = levels.remove(value);
        if (level.is_some() || element.is_certain) && problem.start.binary_search(value).is_err() {
            steps.push((level.unwrap_or(beyond), false, element.first));
        }
    }
    if !levels.is_empty() {
        return None;
    }
    steps.sort_unstable();
    let mut now = 0;
    let mut points = Vec::with_capacity(calls.len());
    let mut point_of = vec![0; calls.len()];
    for (_, _, index) in steps {
        now = now.max(calls[index as usize].call);
        point_of[index as usize] = now;
        points.push((now, index));
    }
    points.extend(further.into_iter().map(|(index, value)| {
        let first = point_of[elements[&value].first as usize];
        (first.max(calls[index as usize].call), index)
    }));
    // Stable: what takes effect at the same instant stays in the order of the steps.
    points.sort_by_key(|&(point, _)| point);
    let in_time = points.iter().all(|&(point, index)| point < ret(index));
    in_time.then(|| points.into_iter().map(|(_, index)| index).collect())
}

/// A level of the chain, whether it is a read (reads come after the additions of their level), and
/// the operation: the key to sort by.
type Step = (u32, bool, u32);

/// The completed reads by inclusion, and at which level each element is there for the first time;
/// `None` if they do not include one another.
fn chain(
    problem: &Problem<'_, GrowOnlySet>,
    calls: usize,
    is_certain: impl Fn(u32) -> bool,
) -> Option<(Vec<Step>, FxHashMap<ValueId, u32>)> {
    let mut reads: Vec<(&Arc<[ValueId]>, u32)> = Vec::new();
    for (call, index) in problem.calls[..calls].iter().zip(0..) {
        if let Read(elements) = &call.operation
            && is_certain(index)
        {
            reads.push((elements, index));
        }
    }
    reads.sort_by_key(|(elements, _)| elements.len());
    let mut levels = FxHashMap::default();
    let (mut level, mut all) = (0, problem.start);
    let mut steps = Vec::with_capacity(calls);
    for (elements, index) in reads {
        if elements != all {
            level += 1;
            let mut is_new = |element| {
                levels.insert(element, level);
            };
            if !grows(all, elements, &mut is_new) {
                return None;
            }
            all = elements;
        }
        steps.push((level, true, index));
    }
    Some((steps, levels))
}

/// Tells what the later set has beyond the earlier one; `false` if it does not include that, or
/// has an element twice. Both are sorted.
fn grows(earlier: &[ValueId], later: &[ValueId], tell: &mut impl FnMut(ValueId)) -> bool {
    let mut earlier = earlier.iter().peekable();
    let mut last = None;
    for element in later {
        if last.replace(element) == Some(element) {
            return false;
        }
        match earlier.peek() {
            Some(&common) if common == element => {
                earlier.next();
            }
            _ => tell(*element),
        }
    }
    earlier.next().is_none()
}
