//! Counter: clients add to counters, and take away, and read the sums.
//!
//! No read tells which operations it saw, only what they come to: a workload for what counts twice or
//! not at all.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::keys::{self, Keys};
use super::{Action, Outcome, Request, Workload};

/// The `counter` workload.
#[derive(Debug)]
pub struct Counter {
    keys: Keys,
}

impl Counter {
    /// Starts with counters `x0`, `x1`, …
    pub fn new() -> Self {
        // Sums do not tell operations apart, so the judge has to search: short histories.
        Counter { keys: Keys::new(4, 40) }
    }
}

impl Default for Counter {
    fn default() -> Self {
        Self::new()
    }
}

impl Workload for Counter {
    fn model(&self) -> &'static str {
        "counter"
    }

    fn next(&mut self, rng: &mut ChaCha8Rng) -> Request {
        let key = keys::name(self.keys.pick(rng));
        let action = match rng.random_range(0..10) {
            0..5 => Action::Count,
            5..8 => Action::Increment(rng.random_range(1..=5)),
            _ => Action::Increment(-rng.random_range(1..=5)),
        };
        Request { key, action }
    }

    fn observe(&mut self, _request: &Request, _outcome: &Outcome) {}

    fn final_reads(&self) -> Vec<Request> {
        self.keys.reads(&Action::Count)
    }
}
