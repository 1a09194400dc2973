//! The oracle: the definition of linearizability, tried out.
//!
//! Every order of every subset that contains all completed operations, respects real time, and is
//! legal. Exponential, and obviously right; everything faster is held to it.

use crate::history::NEVER;
use crate::model::{Call, Specification};

/// How many operations it takes on.
pub const LIMIT: usize = 7;

/// Whether one legal order explains these operations; `None` if there are more than [`LIMIT`].
pub fn linearizable<S: Specification>(
    specification: &S,
    calls: &[Call<S::Operation>],
) -> Option<bool> {
    linearizable_from(specification, &specification.init(), calls)
}

/// The same from another state than the initial one.
pub fn linearizable_from<S: Specification>(
    specification: &S,
    start: &S::State,
    calls: &[Call<S::Operation>],
) -> Option<bool> {
    let all = (1_u8 << calls.len().min(LIMIT)) - 1;
    (calls.len() <= LIMIT).then(|| explains(specification, start, calls, all))
}

/// Whether the remaining operations, by the bits of their indices, can all follow in this state.
fn explains<S: Specification>(
    specification: &S,
    state: &S::State,
    calls: &[Call<S::Operation>],
    remaining: u8,
) -> bool {
    let remains = |&index: &usize| remaining & 1 << index != 0;
    let rest = calls.iter().enumerate().filter(|(index, _)| remains(index));
    // What may never have happened may be left out.
    if rest.clone().all(|(_, call)| call.ret == NEVER) {
        return true;
    }
    let in_real_time = |next: &Call<S::Operation>, index: usize| {
        rest.clone().all(|(other, call)| other == index || next.call < call.ret)
    };
    rest.clone().any(|(index, next)| {
        in_real_time(next, index)
            && specification.step(state, &next.operation).is_some_and(|state| {
                explains(specification, &state, calls, remaining & !(1 << index))
            })
    })
}
