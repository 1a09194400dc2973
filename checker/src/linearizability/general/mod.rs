//! The general engine: right for every model, from nothing but `init` and `step`.
//!
//! A depth-first search that linearizes *just in time* (Lowe, "Testing for linearizability",
//! Concurrency & Computation 2017): it walks along the events, and only where an operation returns
//! that has not taken effect yet must something happen now: that operation, after any sequence of
//! other pending ones. A configuration that was met before, or one at least as good, is not
//! looked at again ([`memo`]). Where the search fails everywhere, the furthest return it reached is
//! the first at which no story is left.
//!
//! Five reductions, each of which leaves out only what something else covers:
//!
//! - *Read first.* A read that agrees with the state takes effect at once: moving it earlier
//!   changes no state and can only free its client.
//! - *Earliest deadline first* among equal operations: two equal operations may swap places, so
//!   the one that must return sooner goes first, and crashed ones go last in the order of their
//!   invocation.
//! - *No crashed operation in vain.* If a crashed operation was just linearized and the state after
//!   the next one is the same without it, it may as well not have happened.
//! - *No sooner than needed.* If what was just linearized commutes with the returning operation, it
//!   can be linearized after that return as well.
//! - *Nothing unrelated*, where the model says which parts of the state its operations touch: neither
//!   before a return, nor on the way back from a dead end ([`places`]).

mod memo;
mod places;
mod search;
mod steps;
mod timeline;

pub(crate) use search::{Standing, decide, standings};
