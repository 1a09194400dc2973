//! Campaigns: clients work, a nemesis breaks, a recorder writes down, and then there is a verdict.
//!
//! [`run`] is the whole life of one run against a [`Target`](crate::target::Target); everything it
//! learns goes through the history file, which [`judge`] reads back.

pub mod chronicle;
pub(crate) mod conductor;
pub(crate) mod desk;
pub(crate) mod finals;
pub mod judge;
pub mod plan;
mod recorder;
mod run;
pub mod run_dir;
mod worker;

pub use recorder::{Entry, Recorder};
pub use run::{FINAL_READERS, Recovery, RunError, Tally, Watcher, run, run_live};
pub(crate) use run::{RECOVERY_LIMIT, RECOVERY_POLL};
