//! The lazy engine: registers with any values, written once or often, with compare-and-set and
//! with operations of unknown outcome.
//!
//! Like the general engine it linearizes *just in time* (Lowe, "Testing for linearizability",
//! Concurrency & Computation 2017): depth first along the events, and only where an operation
//! returns that has no place yet must something happen. What a register adds is that most writes
//! are never seen, and that those need no decision at all:
//!
//! - *Absorption.* A write that nobody must see can stand right before any other write that takes
//!   effect while it is pending, or anywhere the register holds its value already. So a pending
//!   write only notes that there was such a moment, and may return without ever having chosen one
//!   ([`search`]).
//! - *Need.* A write takes effect early only for somebody who needs its value at that very moment:
//!   a read that waits for it, or a compare-and-set that expects it. Values that nobody needs any
//!   more are known beforehand ([`plan`]).
//! - *Dominance.* A configuration is a value, the pending operations that may return, and those
//!   that are used up. Whoever may return more and has used less can do whatever another can, so
//!   per event only an antichain is kept ([`antichain`]).
//! - *Counting.* Operations that never return and do the same differ in nothing but when they may
//!   begin; a configuration counts how many it used ([`spent`]).
//!
//! The search itself only chooses which writes and compare-and-sets take effect, and before which
//! return; everything else follows, and is filled in when a story was found ([`story`]).

mod action;
mod antichain;
mod moves;
mod needs;
mod plan;
mod search;
mod settle;
mod spent;
mod story;
#[cfg(test)]
mod tests;
mod window;

use crate::history::ValueId;
use crate::linearizability::{Budget, Outcome};
use crate::model::{Call, RegisterOperation};

use plan::Plan;
use settle::{Exhausted, Patience, settle};

/// Decides whether one legal order explains these operations (by invocation) on a register that
/// starts with this value; `None` if one of them is not an operation on a register.
pub(crate) fn decide<O>(
    start: ValueId,
    calls: &[Call<O>],
    as_register: impl Fn(&O) -> Option<RegisterOperation>,
    budget: &Budget,
) -> Option<Outcome<ValueId>> {
    let mut meter = budget.meter();
    let plan = match Plan::new(start, calls, as_register, &mut meter) {
        Ok(plan) => plan?,
        Err(resource) => return Some(Outcome::Exhausted { resource, reached: None }),
    };
    Some(settle(&plan, Patience::default(), budget).unwrap_or_else(
        |Exhausted { resource, reached }| Outcome::Exhausted {
            resource,
            reached: plan.returning(reached),
        },
    ))
}

/// Bits of a word of a bit set.
const WORD: usize = u64::BITS as usize;

/// The word of a bit, and its place there.
fn bit(slot: u32) -> (usize, u64) {
    (slot as usize / WORD, 1 << (slot as usize % WORD))
}

/// The bits set in one word of a bit set, by their number in the whole set.
fn ones(mut word: u64, index: usize) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let slot = (index * WORD) as u32 + word.trailing_zeros();
        let found = (word != 0).then_some(slot);
        word &= word.wrapping_sub(1);
        found
    })
}
