//! Registers that are deleted now and then: a deleted value must not come back, however long ago
//! its key was forgotten.
//!
//! A delete is a write of nil, and judged as one. A key is left alone more often than those of
//! [`Register`], so that a store has time to collect what is left of it before it is used again.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{Action, Outcome, Register, Request, Workload};

/// The `delete` workload.
#[derive(Debug)]
pub struct Delete {
    register: Register,
}

impl Delete {
    /// Starts with keys `x0`, `x1`, … and values `1`, `2`, …
    pub fn new() -> Self {
        Delete { register: Register::with_keys(8, 60) }
    }
}

impl Default for Delete {
    fn default() -> Self {
        Self::new()
    }
}

impl Workload for Delete {
    fn model(&self) -> &'static str {
        self.register.model()
    }

    fn next(&mut self, rng: &mut ChaCha8Rng) -> Request {
        let request = self.register.next(rng);
        if rng.random_range(0..100) < 25 {
            return Request { action: Action::Delete, ..request };
        }
        request
    }

    fn observe(&mut self, request: &Request, outcome: &Outcome) {
        self.register.observe(request, outcome);
    }

    fn final_reads(&self) -> Vec<Request> {
        self.register.final_reads()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn keys_are_written_read_and_deleted() {
        let mut workload = Delete::new();
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let (mut deletes, mut others) = (0, 0);
        for _ in 0..1_000 {
            let request = workload.next(&mut rng);
            match request.action {
                Action::Delete => deletes += 1,
                _ => others += 1,
            }
            workload.observe(&request, &Outcome::Ok(request.action.argument()));
        }
        assert!((200..300).contains(&deletes) && others > 700, "{deletes} deletes");
    }
}
