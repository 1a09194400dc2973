//! The desk: hands out operations at the plan's rate, to live and simulated clients alike.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::plan::Plan;
use crate::workload::{Request, Workload};

/// Hands out operations; times are since the run began.
pub(crate) struct Desk {
    /// Where operations come from.
    pub(crate) workload: Box<dyn Workload>,
    rng: ChaCha8Rng,
    /// Mean time between two operations.
    interval: Duration,
    /// When the next operation is due.
    due: Duration,
}

impl Desk {
    /// The desk of a plan.
    pub(crate) fn new(plan: &Plan) -> Self {
        Desk {
            workload: plan.workload.build(),
            rng: ChaCha8Rng::seed_from_u64(plan.seed),
            interval: Duration::from_secs_f64(1.0 / plan.rate),
            due: Duration::ZERO,
        }
    }

    /// The next operation's time. Gaps vary between nothing and twice their mean, so that clients
    /// meet in ever new ways; a backlog is not made up for, because a burst after a stall would
    /// hide what the stall cost.
    pub(crate) fn slot(&mut self, now: Duration) -> Duration {
        let due = self.due.max(now);
        self.due = due + self.interval.mul_f64(self.rng.random_range(0.0..2.0));
        due
    }

    /// The next operation.
    pub(crate) fn next(&mut self) -> Request {
        self.workload.next(&mut self.rng)
    }
}
