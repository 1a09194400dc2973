//! What a host sees of a run from above its core: traces of single nodes from which any two events
//! can be ordered, and consistent snapshots of all nodes and what is on its way between them.
//!
//! | module | what it is |
//! |---|---|
//! | [`mod@self`] | the observer of a node, and the envelope of a message |
//! | [`trace`] | what a node did, with vector clocks |
//! | [`snapshot`] | a node's part of a snapshot (Chandy and Lamport) |
//! | [`cut`] | all parts, put together |
//! | [`mutants`] | bugs to plant in snapshots |
//!
//! The host tells its node's [`Observer`] what happens, and sends the [`Envelope`] that it is handed
//! beside each message. Neither core nor protocol knows of any of it, and like them an observer does
//! no I/O: a live node and a simulated one are observed by the same code.

pub mod cut;
pub mod mutants;
pub mod snapshot;
#[cfg(test)]
mod tests;
pub mod trace;

use std::fmt::{Debug, Display};

use serde::{Deserialize, Serialize};

use crate::clock::vector::Vector;
use crate::replica::{NodeId, Replica, RequestId, Ticket, Time};
use snapshot::{Manner, Marker, Part, Recorder, View};
use trace::{Kind, Tracer};

/// What travels beside a message. Together with the link it names the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// How often its sender had started when it was sent.
    pub incarnation: u64,
    /// How many messages that incarnation had sent on this link, this one included.
    pub number: u64,
    /// The latest snapshot that its sender had recorded its part of, or 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub snapshot: u64,
    /// The sender's clock when it was sent, if the sender is traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<Vector>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The text of an event of which there is no more to say.
const NOTHING: std::fmt::Arguments<'_> = format_args!("");

/// Watches one node, all its incarnations.
#[derive(Debug)]
pub struct Observer<R: Replica> {
    incarnation: u64,
    tracer: Option<Tracer>,
    recorder: Recorder<R, R::Message>,
}

impl<R: Replica> Observer<R> {
    /// Watches a node that has not started yet; traces it, if there is a tracer.
    pub fn new(node: NodeId, tracer: Option<Tracer>, manner: Manner) -> Self {
        Observer { incarnation: 0, tracer, recorder: Recorder::new(node, manner) }
    }

    /// What was traced since this was called last, one event a line: to be written before anything
    /// that happened leaves the node.
    pub fn take_trace(&mut self) -> Vec<u8> {
        self.tracer.as_mut().map(Tracer::take).unwrap_or_default()
    }

    /// The markers that are to be sent now.
    pub fn take_markers(&mut self) -> Vec<(NodeId, Marker)> {
        self.recorder.take_markers()
    }

    /// When [`Observer::tick`] has something to do, if ever.
    pub fn deadline(&self) -> Option<Time> {
        self.recorder.deadline()
    }

    /// The latest snapshot that the node has its part in, or 0.
    pub fn snapshot(&self) -> u64 {
        self.recorder.snapshot()
    }

    /// The node's part of that snapshot.
    pub fn part(&self) -> Option<&Part<R, R::Message>> {
        self.recorder.part()
    }

    /// Learns of a node that there are links to and from.
    pub fn meet(&mut self, peer: NodeId) {
        self.recorder.meet(peer);
    }

    /// An incarnation starts.
    pub fn started(&mut self, now: Time, incarnation: u64) {
        self.incarnation = incarnation;
        self.recorder.started(incarnation);
        self.log(now, Kind::Start, &NOTHING);
    }

    /// The node goes down, and whoever observes it does not.
    pub fn crashed(&mut self, now: Time) {
        self.recorder.started(self.incarnation);
        self.log(now, Kind::Crash, &NOTHING);
    }

    /// A message leaves.
    pub fn sent(&mut self, now: Time, to: NodeId, message: &R::Message) -> Envelope {
        let envelope = self.recorder.sent(to);
        self.log(now, Kind::Send { to, number: envelope.number }, message);
        let clock = self.tracer.as_ref().map(|tracer| tracer.clock().clone());
        Envelope { clock, ..envelope }
    }

    /// A message arrives, before the core hears of it; without an envelope if its sender has put it
    /// into none. `view` shows the node as it is.
    pub fn received(
        &mut self,
        now: Time,
        from: NodeId,
        envelope: Option<&Envelope>,
        message: &R::Message,
        view: impl FnOnce() -> View<R, R::Message>,
    ) {
        self.hear_of(now, envelope.map_or(0, |envelope| envelope.snapshot), view);
        self.recorder.received(now, from, envelope, message);
        let Some(tracer) = &mut self.tracer else { return };
        let (sent_in, number) = envelope.map_or((0, 0), |envelope| {
            envelope.clock.iter().for_each(|clock| tracer.learn(clock));
            (envelope.incarnation, envelope.number)
        });
        tracer.log(now, self.incarnation, Kind::Receive { from, sent_in, number }, message);
    }

    /// Begins a snapshot: records the node's part of it, unless it has that or one of a later snapshot.
    pub fn begin(&mut self, now: Time, snapshot: u64, view: impl FnOnce() -> View<R, R::Message>) {
        self.hear_of(now, snapshot, view);
    }

    /// A marker arrives.
    pub fn marked(
        &mut self,
        now: Time,
        from: NodeId,
        marker: Marker,
        view: impl FnOnce() -> View<R, R::Message>,
    ) {
        self.hear_of(now, marker.snapshot, view);
        self.recorder.marked(now, from, marker);
    }

    /// It is time for what there was a deadline for.
    pub fn tick(&mut self, now: Time, view: impl FnOnce() -> View<R, R::Message>) {
        if self.recorder.records_late(now) {
            self.recorder.record_late(view());
        }
        self.recorder.tick(now);
    }

    /// The core says something to whoever watches.
    pub fn noted(&mut self, now: Time, note: &impl Display) {
        self.log(now, Kind::Note, &format_args!("{note}"));
    }

    /// A client's request arrives.
    pub fn asked(&mut self, now: Time, id: RequestId, request: &impl Debug) {
        self.log(now, Kind::Request { id }, request);
    }

    /// The answer to a client leaves.
    pub fn answered(&mut self, now: Time, to: RequestId, reply: &impl Debug) {
        self.log(now, Kind::Reply { to }, reply);
    }

    /// Everything written up to a ticket is durable.
    pub fn persisted(&mut self, now: Time, ticket: Ticket) {
        self.log(now, Kind::Persisted { ticket }, &NOTHING);
    }

    /// Records the node's part of a snapshot, if that is later than those it knows.
    fn hear_of(&mut self, now: Time, snapshot: u64, view: impl FnOnce() -> View<R, R::Message>) {
        if self.recorder.is_news(snapshot) {
            self.log(now, Kind::Snapshot { number: snapshot }, &NOTHING);
            let clock = self.tracer.as_ref().map(|tracer| tracer.clock().clone());
            self.recorder.record(now, snapshot, view(), clock);
        }
    }

    fn log(&mut self, now: Time, kind: Kind, text: &impl Debug) {
        if let Some(tracer) = &mut self.tracer {
            tracer.log(now, self.incarnation, kind, text);
        }
    }
}
