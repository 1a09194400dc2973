//! A lock that knows its holder: who was granted it holds it surely until he begins to let go.
//!
//! From the completion of an `acquire` to the invocation of the `release` that follows, its process
//! holds the lock whatever the order; those spans must not overlap, and then the order in which
//! they begin is one that explains everything. A crashed `acquire` is the last that its process
//! does and need not have happened. This is the theory of zones (Gibbons & Korach, SIAM J. Comput.
//! 1997) where every value has one reader.

use rustc_hash::FxHashMap;

use super::line::line;
use super::within;
use crate::linearizability::{Budget, Outcome, Problem};
use crate::model::{OwnerLock, OwnerLockOperation};

use OwnerLockOperation::{Acquire, Release, Renew};

/// Decides a lock; `None` if some process does several things at a time.
pub(crate) fn decide(
    problem: &Problem<'_, OwnerLock>,
    budget: &Budget,
) -> Option<Outcome<Option<u64>>> {
    let calls = problem.calls;
    let mut last: FxHashMap<u64, u32> = FxHashMap::default();
    for call in calls {
        let before = last.insert(call.operation.owner(), call.ret);
        if before.is_some_and(|ret| call.call < ret) {
            return None;
        }
    }
    // Two events, and a place in the order.
    let bytes = calls.len() * (2 * size_of::<u32>() + size_of::<u32>());
    within(budget, bytes, |meter| {
        let mut order = Vec::with_capacity(calls.len());
        let mut done = vec![false; calls.len()];
        // Who holds the lock whatever the order.
        let mut holder = *problem.start;
        for event in line(calls) {
            meter.tick()?;
            let index = event.call();
            match (calls[index as usize].operation, event.is_return()) {
                (Acquire(_), false) => {}
                (Acquire(owner), true) if holder.is_none() => {
                    holder = Some(owner);
                    order.push(index);
                }
                (Renew(owner), false) if holder == Some(owner) => {
                    done[index as usize] = true;
                    order.push(index);
                }
                (Release(owner), false) if holder == Some(owner) => {
                    holder = None;
                    done[index as usize] = true;
                    order.push(index);
                }
                (Renew(_) | Release(_), false) => {}
                (Renew(_) | Release(_), true) if done[index as usize] => {}
                (_, true) => return Ok(Some(Err(index))),
            }
        }
        Ok(Some(Ok(order)))
    })
}
