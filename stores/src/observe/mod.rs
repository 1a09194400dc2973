//! What a host sees of a run from above its core: traces of single nodes from which any two events
//! can be ordered.
//!
//! The host tells its node's [`Observer`] what happens, and sends the [`Envelope`] that it is handed
//! beside each message. Neither core nor protocol knows of any of it, and like them an observer does
//! no I/O: a live node and a simulated one are observed by the same code.

pub mod trace;

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};

use serde::{Deserialize, Serialize};

use crate::clock::vector::Vector;
use crate::replica::{NodeId, RequestId, Ticket, Time};
use trace::{Kind, Tracer};

/// What travels beside a message. Together with the link it names the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// How often its sender had started when it was sent.
    pub incarnation: u64,
    /// How many messages that incarnation had sent on this link, this one included.
    pub number: u64,
    /// The sender's clock when it was sent, if the sender is traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<Vector>,
}

/// The text of an event of which there is no more to say.
const NOTHING: std::fmt::Arguments<'_> = format_args!("");

/// Watches one node, all its incarnations.
#[derive(Debug)]
pub struct Observer {
    incarnation: u64,
    /// How many messages this incarnation has sent to each other node.
    sent: BTreeMap<NodeId, u64>,
    tracer: Option<Tracer>,
}

impl Observer {
    /// Watches a node that has not started yet.
    pub fn new(tracer: Option<Tracer>) -> Self {
        Observer { incarnation: 0, sent: BTreeMap::new(), tracer }
    }

    /// What was traced since this was called last, one event a line: to be written before anything
    /// that happened leaves the node.
    pub fn take_trace(&mut self) -> Vec<u8> {
        self.tracer.as_mut().map(Tracer::take).unwrap_or_default()
    }

    /// An incarnation starts.
    pub fn started(&mut self, now: Time, incarnation: u64) {
        self.incarnation = incarnation;
        self.sent.clear();
        self.log(now, Kind::Start, &NOTHING);
    }

    /// The node goes down, and whoever observes it does not.
    pub fn crashed(&mut self, now: Time) {
        self.log(now, Kind::Crash, &NOTHING);
    }

    /// A message leaves.
    pub fn sent(&mut self, now: Time, to: NodeId, message: &impl Debug) -> Envelope {
        let number = self.sent.entry(to).or_insert(0);
        *number += 1;
        let number = *number;
        self.log(now, Kind::Send { to, number }, message);
        let clock = self.tracer.as_ref().map(|tracer| tracer.clock().clone());
        Envelope { incarnation: self.incarnation, number, clock }
    }

    /// A message arrives, before the core hears of it; without an envelope if its sender has put it
    /// into none.
    pub fn received(
        &mut self,
        now: Time,
        from: NodeId,
        envelope: Option<&Envelope>,
        message: &impl Debug,
    ) {
        let Some(tracer) = &mut self.tracer else { return };
        let (sent_in, number) = envelope.map_or((0, 0), |envelope| {
            envelope.clock.iter().for_each(|clock| tracer.learn(clock));
            (envelope.incarnation, envelope.number)
        });
        tracer.log(now, self.incarnation, Kind::Receive { from, sent_in, number }, message);
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

    fn log(&mut self, now: Time, kind: Kind, text: &impl Debug) {
        if let Some(tracer) = &mut self.tracer {
            tracer.log(now, self.incarnation, kind, text);
        }
    }
}
