//! Histories, sequential models, and the question whether one order explains what clients saw.

pub mod consistency;
pub mod explain;
pub mod history;
pub mod linearizability;
pub mod model;

pub use explain::{Cause, Explanation};
pub use history::History;
pub use linearizability::{Bound, Options, Verdict, Witness, certify, check};
pub use model::Model;

#[cfg(test)]
extern crate self as rashomon_checker;
#[cfg(test)]
#[path = "../tests/support/structures.rs"]
mod structures;
/// The generators of the integration tests, for tests of what is private.
#[cfg(test)]
#[path = "../tests/support/mod.rs"]
mod support;
#[cfg(test)]
#[path = "../tests/support/unique.rs"]
mod unique;
