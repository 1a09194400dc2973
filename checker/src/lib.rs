//! Histories, sequential models, and the question whether one order explains what clients saw.

pub mod explain;
pub mod history;
pub mod linearizability;
pub mod model;

pub use explain::{Cause, Explanation};
pub use history::History;
pub use linearizability::{Bound, Options, Verdict, Witness, certify, check};
pub use model::Model;
