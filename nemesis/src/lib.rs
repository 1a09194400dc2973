//! Faults as data, when they strike, and the hands that carry them out.
//!
//! The data first: a [`Schedule`] says when which [`Fault`] strikes, in words that name roles
//! rather than nodes. At strike time the fault is resolved against the [`Cluster`] as it then is,
//! and the [`Resolved`] record says what was done: an [`Action`] on concrete links and nodes. The
//! same data drives real processes and a simulator.

mod action;
mod fault;
mod generate;
mod grudge;
mod nodes;
mod schedule;
mod text;

pub use action::{Action, Resolved};
pub use fault::{Fault, Partition, Split, UnknownNode};
pub use generate::{Package, Packages};
pub use grudge::{Block, Grudge, Ways};
pub use nodes::{Cluster, Node, NodeSet, Pick};
pub use schedule::{Schedule, Step};
pub use text::ParseError;
