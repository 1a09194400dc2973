//! Fencing tokens: only one order has them grow, and it must agree with real time.

use super::line::line;
use super::within;
use crate::history::NEVER;
use crate::linearizability::{Budget, Outcome, Problem};
use crate::model::{Acquired, FencingToken};

/// Decides a source of tokens, whatever it returned.
pub(crate) fn decide(
    problem: &Problem<'_, FencingToken>,
    budget: &Budget,
) -> Option<Outcome<Option<i64>>> {
    let calls = problem.calls;
    let token = |index: u32| {
        let Acquired(token) = calls[index as usize].operation;
        token
    };
    // Two events, a place in the order, and the greatest token before each operation.
    let bytes = calls.len() * (3 * size_of::<u32>() + size_of::<Option<i64>>());
    within(budget, bytes, |meter| {
        let mut order: Vec<u32> = (0..calls.len() as u32).collect();
        order.retain(|&index| calls[index as usize].ret != NEVER);
        order.sort_unstable_by_key(|&index| (token(index), calls[index as usize].ret));
        let mut again = vec![false; calls.len()];
        for pair in order.windows(2) {
            again[pair[1] as usize] = token(pair[0]) == token(pair[1]);
        }
        let mut greatest = *problem.start;
        let mut greatest_before = vec![None; calls.len()];
        for event in line(calls) {
            meter.tick()?;
            let index = event.call();
            if !event.is_return() {
                greatest_before[index as usize] = greatest;
            } else if again[index as usize] || greatest_before[index as usize] >= Some(token(index))
            {
                return Ok(Some(Err(index)));
            } else {
                greatest = greatest.max(Some(token(index)));
            }
        }
        Ok(Some(Ok(order)))
    })
}
