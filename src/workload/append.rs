//! Append: clients put unique elements at the end of lists and read them back.
//!
//! A list remembers every write that ever reached it, in order, so one read says more than many
//! reads of a register do (Kingsbury and Alvaro, "Elle", VLDB 2020).

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::keys::{self, Keys};
use super::{Action, Outcome, Request, Workload};

/// The `append` workload.
#[derive(Debug)]
pub struct Append {
    keys: Keys,
    next_element: i64,
}

impl Append {
    /// Starts with lists `x0`, `x1`, … and elements `1`, `2`, …
    pub fn new() -> Self {
        Append { keys: Keys::new(4, 120), next_element: 1 }
    }
}

impl Default for Append {
    fn default() -> Self {
        Self::new()
    }
}

impl Workload for Append {
    fn model(&self) -> &'static str {
        "kv"
    }

    fn next(&mut self, rng: &mut ChaCha8Rng) -> Request {
        let key = keys::name(self.keys.pick(rng));
        let action = if rng.random_bool(0.5) {
            Action::Get
        } else {
            self.next_element += 1;
            Action::Append(self.next_element - 1)
        };
        Request { key, action }
    }

    fn observe(&mut self, _request: &Request, _outcome: &Outcome) {}

    fn final_reads(&self) -> Vec<Request> {
        self.keys.reads(&Action::Get)
    }
}
