//! Clients: perform one operation at a time and say ok, fail or info.
//!
//! The rule that everything rests on: *fail* only what certainly did not happen. Calling an unsure
//! write a failure hides bugs; calling an unsure read anything but a failure costs checking time
//! and tells nothing.

mod http;
pub(crate) mod pursuit;

use std::future::Future;

use crate::workload::{Outcome, Request};

pub use http::{Addresses, HttpClient};

/// How an operation ended and which node said so.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What the client knows.
    pub outcome: Outcome,
    /// The node that answered last, or was asked last; an index from 0.
    pub node: usize,
}

/// Performs operations against the system under test.
pub trait Client: Send {
    /// The node that the next operation is sent to first; an index from 0.
    fn home(&self) -> usize;

    /// Goes on as another process: the one before ended in an operation of unknown fate, and is
    /// never heard of again.
    fn renew(&mut self, process: u64);

    /// Performs one operation, within the client's own time-out.
    fn perform(&mut self, request: &Request) -> impl Future<Output = Answer> + Send;
}
