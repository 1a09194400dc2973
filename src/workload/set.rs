//! Set: clients bring unique elements into sets that only grow, and read them all.
//!
//! An element that was acknowledged and is missing in a later read was lost, and which one it is says
//! when: Jepsen's set test (Kingsbury, "Jepsen: Riak", 2013, and since).

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::keys::{self, Keys};
use super::{Action, Outcome, Request, Workload};

/// The `set` workload.
#[derive(Debug)]
pub struct Set {
    keys: Keys,
    next_element: i64,
}

impl Set {
    /// Starts with sets `x0`, `x1`, … and elements `1`, `2`, …
    pub fn new() -> Self {
        Set { keys: Keys::new(3, 120), next_element: 1 }
    }
}

impl Default for Set {
    fn default() -> Self {
        Self::new()
    }
}

impl Workload for Set {
    fn model(&self) -> &'static str {
        "grow-only-set"
    }

    fn next(&mut self, rng: &mut ChaCha8Rng) -> Request {
        let key = keys::name(self.keys.pick(rng));
        let action = if rng.random_bool(0.5) {
            Action::Elements
        } else {
            self.next_element += 1;
            Action::Add(self.next_element - 1)
        };
        Request { key, action }
    }

    fn observe(&mut self, _request: &Request, _outcome: &Outcome) {}

    fn final_reads(&self) -> Vec<Request> {
        self.keys.reads(&Action::Elements)
    }
}
