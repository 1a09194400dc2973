//! What came out of a run, for programs, terminals and browsers.
//!
//! [`Results`] is the data; everything else renders it.

pub mod comparison;
mod diagram;
pub(crate) mod figures;
pub mod html;
mod results;
mod terminal;

pub use results::{
    Coverage, Finding, FunctionSummary, Latency, OperationLine, Results, VerdictWord,
};
pub use terminal::{evidence, print, proof, shown};
