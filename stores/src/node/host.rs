//! The live host of a core: carries out its effects with real time, disk and network.
//!
//! One task owns the core and feeds it one input at a time, as [`crate::replica`] demands. What
//! comes from elsewhere (clients, peers, the storage thread) arrives through channels. Inputs that
//! have arrived are taken before timers that are due: a node that was held up should hear its
//! leader's heartbeat, if it is there, before it concludes that there was none.

use std::collections::BTreeMap;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::ailments::Clock;
use super::storage::{Reports, Storage, StorageError};
use super::trace_file::{TraceError, TraceFile};
use super::transport::{Letter, Links};
use crate::observe::Observer;
use crate::replica::{
    Effect, Effects, Gate, Input, NodeId, Replica, Reply, Request, RequestId, Status, Ticket, Time,
};

/// How many inputs may wait for the core before their senders do.
pub(super) const INBOX_MAX: usize = 1024;

/// How many inputs are taken before timers get their turn.
const TURN: usize = 64;

/// What the server asks of the host.
#[derive(Debug)]
pub(super) enum Call<R: Replica> {
    /// Messages of a peer, in order.
    Messages(NodeId, Vec<Letter<R::Message>>),
    /// A client's request.
    Request(Request, oneshot::Sender<Reply>),
    /// How the node sees itself.
    Status(oneshot::Sender<Status>),
}

/// Why a host stopped by itself.
#[derive(Debug, thiserror::Error)]
pub(super) enum HostError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("the storage thread is gone")]
    StorageGone,
    #[error(transparent)]
    Trace(#[from] TraceError),
}

#[derive(Debug)]
pub(super) struct Host<R: Replica> {
    id: NodeId,
    core: R,
    effects: Effects<R>,
    gate: Gate<R>,
    timers: BTreeMap<R::Timer, Time>,
    clock: Clock,
    storage: Storage<R::Record>,
    links: Links<R::Message>,
    replies: BTreeMap<RequestId, oneshot::Sender<Reply>>,
    requests: u64,
    trace: Option<TraceFile>,
}

impl<R: Replica> Host<R> {
    /// Takes over a core that has just recovered, with the effects of that.
    pub(super) fn new(
        id: NodeId,
        (core, effects): (R, Effects<R>),
        clock: Clock,
        storage: Storage<R::Record>,
        links: Links<R::Message>,
        trace: Option<TraceFile>,
    ) -> Self {
        Host {
            id,
            core,
            effects,
            gate: Gate::default(),
            timers: BTreeMap::new(),
            clock,
            storage,
            links,
            replies: BTreeMap::new(),
            requests: 0,
            trace,
        }
    }

    /// Runs until the disk fails or everybody who could call is gone.
    pub(super) async fn run(
        mut self,
        mut calls: mpsc::Receiver<Call<R>>,
        mut reports: Reports,
    ) -> Result<(), HostError> {
        self.carry_out()?;
        let mut turn = Vec::with_capacity(TURN);
        loop {
            let deadline = self.timers.values().min().map(|at| self.clock.instant(*at));
            tokio::select! {
                biased;
                report = reports.recv() => {
                    let mut ticket = report.ok_or(HostError::StorageGone)??;
                    while let Ok(report) = reports.try_recv() {
                        ticket = report?;
                    }
                    self.stored(ticket)?;
                }
                count = calls.recv_many(&mut turn, TURN) => {
                    if count == 0 {
                        return Ok(());
                    }
                    for call in turn.drain(..) {
                        self.take(call)?;
                    }
                }
                // What was to happen at some time may happen at another.
                () = self.clock.turned() => {}
                () = sleep_until(deadline) => {}
            }
            self.fire_timers()?;
        }
    }

    fn now(&self) -> Time {
        self.clock.now()
    }

    fn take(&mut self, call: Call<R>) -> Result<(), HostError> {
        match call {
            Call::Messages(from, letters) => {
                for Letter { envelope, message } in letters {
                    self.trace(|observer, now| {
                        observer.received(now, from, envelope.as_ref(), &message);
                    })?;
                    self.step(Input::Message { from, message })?;
                }
            }
            Call::Request(request, reply) => {
                self.requests += 1;
                let id = RequestId(self.requests);
                self.replies.insert(id, reply);
                self.trace(|observer, now| observer.asked(now, id, &request))?;
                self.step(Input::Request { id, request })?;
            }
            // The asker may have lost patience; then nobody listens.
            Call::Status(reply) => drop(reply.send(self.core.status())),
        }
        Ok(())
    }

    fn stored(&mut self, ticket: Ticket) -> Result<(), HostError> {
        self.trace(|observer, now| observer.persisted(now, ticket))?;
        for effect in self.gate.stored(ticket) {
            self.carry_out_one(effect)?;
        }
        self.step(Input::Stored(ticket))
    }

    fn fire_timers(&mut self) -> Result<(), HostError> {
        let now = self.now();
        let due: Vec<R::Timer> =
            self.timers.iter().filter(|(_, at)| **at <= now).map(|(timer, _)| *timer).collect();
        for timer in due {
            // An earlier one of this round may have moved it.
            if self.timers.get(&timer).is_some_and(|at| *at <= now) {
                self.timers.remove(&timer);
                self.step(Input::Timer(timer))?;
            }
        }
        Ok(())
    }

    fn step(&mut self, input: Input<R>) -> Result<(), HostError> {
        self.core.step(self.now(), input, &mut self.effects);
        self.carry_out()
    }

    fn carry_out(&mut self) -> Result<(), HostError> {
        let effects: Vec<Effect<R>> = self.effects.drain().collect();
        for effect in effects {
            if let Some(effect) = self.gate.admit(effect) {
                self.carry_out_one(effect)?;
            }
        }
        Ok(())
    }

    fn carry_out_one(&mut self, effect: Effect<R>) -> Result<(), HostError> {
        match effect {
            Effect::Persist { ticket, writes } => self.storage.write(ticket, writes),
            Effect::Send { to, message, .. } => {
                self.link(to);
                let envelope = self.trace(|observer, now| observer.sent(now, to, &message))?;
                self.links.send(to, Letter { envelope, message });
            }
            Effect::Reply { to, reply, .. } => {
                self.trace(|observer, now| observer.answered(now, to, &reply))?;
                if let Some(waiting) = self.replies.remove(&to) {
                    // The client may have lost patience; then nobody listens.
                    drop(waiting.send(reply));
                }
            }
            Effect::SetTimer { timer, at } => {
                self.timers.insert(timer, at);
            }
            Effect::Note(note) => {
                self.trace(|observer, now| observer.noted(now, &note))?;
                if R::is_routine(&note) {
                    tracing::debug!("{} {note}", self.id);
                } else {
                    tracing::info!("{} {note}", self.id);
                }
            }
        }
        Ok(())
    }

    /// Makes sure that there is a link to a node, which the cluster may have been told of only now.
    fn link(&mut self, to: NodeId) {
        if !self.links.has(to)
            && let Some(address) = self.core.address(to)
            && let Err(error) = self.links.connect(to, address)
        {
            tracing::error!("{}: no link to {to}: {error}", self.id);
        }
    }

    /// Tells whoever watches, if anybody does; what that writes is in the file when this returns.
    fn trace<T>(
        &mut self,
        tell: impl FnOnce(&mut Observer, Time) -> T,
    ) -> Result<Option<T>, TraceError> {
        let now = self.now();
        self.trace.as_mut().map(|trace| trace.tell(|observer| tell(observer, now))).transpose()
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
