//! The first completion at which no legal order is left.
//!
//! A history is linearizable only if each prefix of it is, so the first bad completion can be
//! found by bisection. It mostly takes two steps: the clusters that contradict each other are few
//! operations, their own first bad completion is found at once, and rarely is there an earlier one
//! elsewhere.

use super::{Contradiction, Flaw};
use crate::linearizability::Outcome;

/// Operations that zones can decide, also as they stood at an earlier instant.
pub(super) trait Prefixes: Sized {
    /// A state of the object.
    type State;

    /// An order of all operations.
    fn order(&self) -> Result<Vec<u32>, Flaw>;

    /// Whether there is an order of those begun by the horizon, where what completes after it
    /// is in doubt.
    fn judge(&self, horizon: u32) -> Result<(), Flaw>;

    /// The operations of the clusters of a contradiction, and no others, as they stood when it was
    /// certain.
    fn core(&self, contradiction: Contradiction) -> Result<Self, Flaw>;

    /// The operation that completes at this rank.
    fn completing_at(&self, rank: u32) -> Option<u32>;

    /// All states in which the object can be right after the horizon, where there is an order.
    fn states(&self, horizon: u32) -> Result<Vec<Self::State>, Flaw>;
}

/// What the engine says of the operations.
pub(super) fn outcome<T: Prefixes>(subject: Result<T, Flaw>) -> Option<Outcome<T::State>> {
    let outcome = subject.and_then(|subject| match subject.order() {
        Ok(order) => Ok(Outcome::Linearizable(order)),
        Err(Flaw::Contradiction(contradiction)) => violation(&subject, contradiction),
        Err(flaw) => Err(flaw),
    });
    match outcome {
        Ok(outcome) => Some(outcome),
        Err(Flaw::Exhausted(resource)) => Some(Outcome::Exhausted { resource, reached: None }),
        Err(Flaw::Unsuitable | Flaw::Contradiction(_)) => None,
    }
}

/// Where a contradiction first shows, and how things can stand before.
fn violation<T: Prefixes>(
    subject: &T,
    contradiction: Contradiction,
) -> Result<Outcome<T::State>, Flaw> {
    let bad = first_bad(subject, contradiction, &|contradiction| {
        let core = subject.core(contradiction)?;
        first_bad(&core, contradiction, &|contradiction| Ok(contradiction.by))
    })?;
    let stuck = subject.completing_at(bad).ok_or(Flaw::Unsuitable)?;
    Ok(Outcome::Violation { stuck, states: subject.states(bad - 1)? })
}

/// The first horizon by which there is a contradiction, if this is one. `tell` gives a horizon by
/// which another contradiction is certain, the earlier the better.
fn first_bad<T: Prefixes>(
    subject: &T,
    contradiction: Contradiction,
    tell: &dyn Fn(Contradiction) -> Result<u32, Flaw>,
) -> Result<u32, Flaw> {
    let mut bad = contradiction.by.min(tell(contradiction)?);
    // Nothing can have completed before anything began.
    let mut good = 0;
    let mut look_close = true;
    while bad - good > 1 {
        let horizon = if look_close { bad - 1 } else { good + (bad - good) / 2 };
        look_close = !look_close;
        match subject.judge(horizon) {
            Ok(()) => good = horizon,
            Err(Flaw::Contradiction(earlier)) => bad = horizon.min(tell(earlier)?),
            Err(flaw) => return Err(flaw),
        }
    }
    Ok(bad)
}
