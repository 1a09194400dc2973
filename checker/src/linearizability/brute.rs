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
    (calls.len() <= LIMIT).then(|| explains(specification, start, calls))
}

/// Whether the remaining operations can all follow in this state.
fn explains<S: Specification>(
    specification: &S,
    state: &S::State,
    remaining: &[Call<S::Operation>],
) -> bool {
    // What may never have happened may be left out.
    if remaining.iter().all(|call| call.ret == NEVER) {
        return true;
    }
    (0..remaining.len()).any(|index| {
        let mut rest = remaining.to_vec();
        let next = rest.remove(index);
        let in_real_time = rest.iter().all(|other| next.call < other.ret);
        in_real_time
            && specification
                .step(state, &next.operation)
                .is_some_and(|state| explains(specification, &state, &rest))
    })
}
