//! Workers: each is one client that performs operations one after another.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rashomon_checker::history::{EventType, Process, Value};
use tokio::sync::watch;

use super::recorder::{Entry, Recorder};
use super::run::Tally;
use crate::client::Client;
use crate::workload::{Outcome, Request, Workload};

/// What all workers share.
pub(super) struct Shop {
    pub(super) recorder: Arc<Recorder>,
    pub(super) tally: Arc<Tally>,
    /// The workload with its randomness and the time of its next operation: one lock, so that the
    /// sequence of operations depends on the seed alone.
    pub(super) desk: Mutex<Desk>,
}

/// Hands out operations at the plan's rate.
pub(super) struct Desk {
    pub(super) workload: Box<dyn Workload>,
    pub(super) rng: ChaCha8Rng,
    /// Mean time between two operations.
    pub(super) interval: Duration,
    /// When the next operation is due.
    pub(super) due: Instant,
}

impl Desk {
    /// The next operation's time. Gaps vary between nothing and twice their mean, so that clients
    /// meet in ever new ways; a backlog is not made up for, because a burst after a stall would
    /// hide what the stall cost.
    fn slot(&mut self, now: Instant) -> Instant {
        let due = self.due.max(now);
        self.due = due + self.interval.mul_f64(self.rng.random_range(0.0..2.0));
        due
    }
}

/// One client and the process it is now.
pub(super) struct Worker<C> {
    pub(super) client: C,
    pub(super) process: u64,
    /// How far apart the processes of one worker are numbered.
    pub(super) stride: u64,
    pub(super) shop: Arc<Shop>,
}

impl<C: Client> Worker<C> {
    /// Performs operations until told to stop, or until `end`.
    pub(super) async fn work(mut self, end: Instant, mut stop: watch::Receiver<bool>) {
        loop {
            let due = self.shop.desk().slot(Instant::now());
            if due >= end {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep_until(due.into()) => {}
                _ = stop.wait_for(|stopped| *stopped) => return,
            }
            let request = {
                let desk = &mut *self.shop.desk();
                desk.workload.next(&mut desk.rng)
            };
            self.perform(&request).await;
        }
    }

    /// Performs one operation and records both its ends.
    pub(super) async fn perform(&mut self, request: &Request) -> Outcome {
        let home = self.client.home();
        self.record(EventType::Invoke, request, request.action.argument(), home, None);
        let answer = self.client.perform(request).await;
        let argument = || request.action.argument();
        let (kind, value, error, counter) = match &answer.outcome {
            Outcome::Ok(value) => (EventType::Ok, value.clone(), None, &self.shop.tally.ok),
            Outcome::Fail(why) => (EventType::Fail, argument(), Some(why), &self.shop.tally.fail),
            Outcome::Info(why) => (EventType::Info, argument(), Some(why), &self.shop.tally.info),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.record(kind, request, value, answer.node, error.map(Value::text));
        self.shop.desk().workload.observe(request, &answer.outcome);
        if matches!(answer.outcome, Outcome::Info(_)) {
            self.process += self.stride;
            self.client.renew(self.process);
        }
        answer.outcome
    }

    fn record(
        &self,
        kind: EventType,
        request: &Request,
        value: Value,
        node: usize,
        error: Option<Value>,
    ) {
        self.shop.recorder.record(Entry {
            process: Process::Client(self.process),
            kind,
            f: request.action.f(),
            key: Some(Value::text(&request.key)),
            value,
            node: Some(Arc::from(format!("n{}", node + 1))),
            error,
        });
    }
}

impl Shop {
    pub(super) fn desk(&self) -> std::sync::MutexGuard<'_, Desk> {
        self.desk.lock().expect("a worker that panicked has ended the run")
    }
}
