//! Workers: each is one client that performs operations one after another.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rashomon_checker::history::{EventType, Process, Value};
use tokio::sync::watch;

use super::desk::Desk;
use super::recorder::{Entry, Recorder};
use super::run::Tally;
use crate::client::Client;
use crate::workload::script::Planned;
use crate::workload::{Outcome, Request};

/// What all workers share.
pub(super) struct Shop {
    pub(super) recorder: Arc<Recorder>,
    pub(super) tally: Arc<Tally>,
    /// The workload with its randomness and the time of its next operation: one lock, so that the
    /// sequence of operations depends on the seed alone.
    pub(super) desk: Mutex<Desk>,
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
        let began = self.shop.recorder.began();
        loop {
            let due = began + self.shop.desk().slot(began.elapsed());
            if due >= end {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep_until(due.into()) => {}
                _ = stop.wait_for(|stopped| *stopped) => return,
            }
            let request = self.shop.desk().next();
            self.perform(&request).await;
        }
    }

    /// Performs the operations of a script that are its own. One that is due while it is busy with
    /// another is left out, as in a simulated run.
    pub(super) async fn follow(mut self, script: Vec<Planned>, mut stop: watch::Receiver<bool>) {
        let began = self.shop.recorder.began();
        for Planned { at, request, .. } in script {
            let due = began + at;
            if due < Instant::now() {
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep_until(due.into()) => {}
                _ = stop.wait_for(|stopped| *stopped) => return,
            }
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
