//! A counter to which everybody adds the same: so only how often matters.
//!
//! Walk along the events and raise the counter only where a completion demands it: that of an
//! addition that has not been used, or of a read of more than there is. Additions are used by
//! deadline; at each height on the way, the reads that wait for it are served. Additions of
//! different amounts are another matter: to tell whether some of them make up what was read is the
//! problem of subset sums.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;

use super::line::line;
use super::within;
use crate::history::NEVER;
use crate::linearizability::{Budget, Outcome, Problem};
use crate::model::{Call, Counter, CounterOperation};

use CounterOperation::{Add, Read};

/// Decides a counter; `None` if different amounts are added.
pub(crate) fn decide(problem: &Problem<'_, Counter>, budget: &Budget) -> Option<Outcome<i128>> {
    let calls = problem.calls;
    let amount = |call: &Call<CounterOperation>| match call.operation {
        Add(amount) if amount != 0 => Some(amount),
        Add(_) | Read(_) => None,
    };
    let mut amounts = calls.iter().filter_map(amount);
    let step = amounts.next().unwrap_or(1);
    if amounts.any(|amount| amount != step) {
        return None;
    }
    let height = |read: i128| {
        let above = read - problem.start;
        let height = usize::try_from(above / step).ok();
        height.filter(|&height| height <= calls.len() && above % step == 0)
    };
    // Two events, a place in the order, and at worst a place in the heap or among the readers.
    let bytes = calls.len() * (3 * size_of::<u32>() + size_of::<(u32, u32)>());
    within(budget, bytes, |meter| {
        let mut walk = Walk { done: vec![false; calls.len()], ..Walk::default() };
        for event in line(calls) {
            meter.tick()?;
            let index = event.call();
            let call = &calls[index as usize];
            match (call.operation, event.is_return()) {
                (_, true) if walk.done[index as usize] => {}
                (Add(0), false) => walk.place(index),
                (Add(_), false) => walk.pending.push(Reverse((call.ret, index))),
                (Read(_), false) if call.ret == NEVER => {}
                (Read(value), false) => match height(value) {
                    Some(height) if height == walk.height => walk.place(index),
                    Some(height) => walk.waiting.entry(height).or_default().push(index),
                    None => {}
                },
                (_, true) => {
                    // If it is below or impossible, nothing that is raised serves it.
                    while !walk.done[index as usize] {
                        if !walk.raise() {
                            return Ok(Some(Err(index)));
                        }
                    }
                }
            }
        }
        Ok(Some(Ok(walk.order)))
    })
}

/// Where the walk is.
#[derive(Default)]
struct Walk {
    /// How many additions have been used.
    height: usize,
    /// Additions that can be used, by completion.
    pending: BinaryHeap<Reverse<(u32, u32)>>,
    /// Reads that wait for a height.
    waiting: FxHashMap<usize, Vec<u32>>,
    done: Vec<bool>,
    order: Vec<u32>,
}

impl Walk {
    fn place(&mut self, index: u32) {
        self.done[index as usize] = true;
        self.order.push(index);
    }

    fn raise(&mut self) -> bool {
        let Some(Reverse((_, index))) = self.pending.pop() else { return false };
        self.height += 1;
        self.place(index);
        for reader in self.waiting.remove(&self.height).unwrap_or_default() {
            self.place(reader);
        }
        true
    }
}
