//! The live host of a core: carries out its effects with real time, disk and network.
//!
//! One task owns the core and feeds it one input at a time, as [`crate::replica`] demands. What
//! comes from elsewhere (clients, peers, the storage thread) arrives through channels. Inputs that
//! have arrived are taken before timers that are due: a node that was held up should hear its
//! leader's heartbeat, if it is there, before it concludes that there was none.

use std::collections::BTreeMap;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::ailments::{Clock, Met};
use super::snapshot::{self, PartBody};
use super::storage::{Reports, Storage, StorageError};
use super::trace_file::{TraceError, TraceFile};
use super::transport::{Letter, Links, Parcel};
use crate::observe::Observer;
use crate::observe::snapshot::View;
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
    Messages(NodeId, Vec<Parcel<R::Message>>),
    /// A client's request.
    Request(Request, oneshot::Sender<Reply>),
    /// How the node sees itself.
    Status(oneshot::Sender<Status>),
    /// The number of the latest snapshot it knows; after beginning the one of this number, if given.
    Snapshot(Option<u64>, oneshot::Sender<u64>),
    /// Its part of the latest snapshot, if it has one.
    Part(oneshot::Sender<Option<PartBody>>),
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
    /// Where nodes are reached of which only the node itself was told.
    met: Met,
    replies: BTreeMap<RequestId, oneshot::Sender<Reply>>,
    requests: u64,
    observer: Observer<R>,
    trace: Option<TraceFile>,
}

impl<R: Replica> Host<R> {
    /// Takes over a core that has just recovered, with the effects of that.
    pub(super) fn new(
        id: NodeId,
        (core, effects): (R, Effects<R>),
        clock: Clock,
        storage: Storage<R::Record>,
        (links, met): (Links<R::Message>, Met),
        (observer, trace): (Observer<R>, Option<TraceFile>),
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
            met,
            replies: BTreeMap::new(),
            requests: 0,
            observer,
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
            let due = self.timers.values().copied().chain(self.observer.deadline()).min();
            let deadline = due.map(|at| self.clock.instant(at));
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
            self.look(|observer, now, view| observer.tick(now, view))?;
        }
    }

    fn now(&self) -> Time {
        self.clock.now()
    }

    fn take(&mut self, call: Call<R>) -> Result<(), HostError> {
        match call {
            Call::Messages(from, parcels) => {
                for parcel in parcels {
                    self.unpack(from, parcel)?;
                }
            }
            Call::Request(request, reply) => {
                self.requests += 1;
                let id = RequestId(self.requests);
                self.replies.insert(id, reply);
                self.observe(|observer, now| observer.asked(now, id, &request))?;
                self.step(Input::Request { id, request })?;
            }
            // The asker may have lost patience; then nobody listens.
            Call::Status(reply) => drop(reply.send(self.core.status())),
            Call::Snapshot(begin, reply) => {
                if let Some(number) = begin {
                    self.look(|observer, now, view| observer.begin(now, number, view))?;
                }
                let _ = reply.send(self.observer.snapshot());
            }
            Call::Part(reply) => drop(reply.send(self.observer.part().map(snapshot::body))),
        }
        Ok(())
    }

    fn unpack(&mut self, from: NodeId, parcel: Parcel<R::Message>) -> Result<(), HostError> {
        match parcel {
            Parcel::Message(Letter { envelope, message }) => {
                self.look(|observer, now, view| {
                    observer.received(now, from, envelope.as_ref(), &message, view);
                })?;
                self.step(Input::Message { from, message })
            }
            Parcel::Marker(marker) => {
                self.look(|observer, now, view| observer.marked(now, from, marker, view))
            }
        }
    }

    fn stored(&mut self, ticket: Ticket) -> Result<(), HostError> {
        self.observe(|observer, now| observer.persisted(now, ticket))?;
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
                let envelope = self.observe(|observer, now| observer.sent(now, to, &message))?;
                let letter = Letter { envelope: Some(envelope), message };
                self.links.send(to, Parcel::Message(letter));
            }
            Effect::Reply { to, reply, .. } => {
                self.observe(|observer, now| observer.answered(now, to, &reply))?;
                if let Some(waiting) = self.replies.remove(&to) {
                    // The client may have lost patience; then nobody listens.
                    drop(waiting.send(reply));
                }
            }
            Effect::SetTimer { timer, at } => {
                self.timers.insert(timer, at);
            }
            Effect::Note(note) => {
                self.observe(|observer, now| observer.noted(now, &note))?;
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
            && let Some(address) =
                self.met.address(to).or_else(|| self.core.address(to).map(str::to_owned))
            && let Err(error) = self.links.connect(to, &address)
        {
            tracing::error!("{}: no link to {to}: {error}", self.id);
        }
    }

    /// Tells the observer something; what it traces of it is in the file when this returns.
    fn observe<T>(
        &mut self,
        tell: impl FnOnce(&mut Observer<R>, Time) -> T,
    ) -> Result<T, TraceError> {
        let now = self.now();
        let said = tell(&mut self.observer, now);
        self.trace.iter_mut().try_for_each(|trace| trace.write(&self.observer.take_trace()))?;
        Ok(said)
    }

    /// The same with a view of the node; what markers the observer wants sent are sent.
    fn look(
        &mut self,
        tell: impl FnOnce(&mut Observer<R>, Time, &dyn Fn() -> View<R, R::Message>),
    ) -> Result<(), HostError> {
        let now = self.now();
        let (core, gate) = (&self.core, &self.gate);
        let view = || {
            let held = gate.messages().map(|(to, message)| (to, message.clone()));
            View { state: core.clone(), held: held.collect() }
        };
        tell(&mut self.observer, now, &view);
        self.trace.iter_mut().try_for_each(|trace| trace.write(&self.observer.take_trace()))?;
        for (to, marker) in self.observer.take_markers() {
            self.links.send(to, Parcel::Marker(marker));
        }
        Ok(())
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
