//! Node traces: what a node did and heard, each event with the vector clock that orders it among
//! those of all nodes.
//!
//! The rules are those of Fidge (1988) and Mattern (1989), see [`crate::clock::vector`]: every event
//! counts, a message carries the clock of its sending, and its receipt knows all that its sending
//! knew. So an event's own component is its number among its node's events, and with the node it is
//! the event's name, such as `n1:57`.
//!
//! **Restarts.** A node's component goes on counting through all its incarnations: what a node did
//! happened before it crashed, and that before it started again. The host of a live node reads the
//! last clock back from the trace, and writes each event before anything that it tells of leaves the
//! node; so a number is never given twice, even when the process is killed. Traces are not fsynced:
//! they do not outlive a loss of power, which [`Tracer::resume`] cannot know of.
//!
//! A trace is a file of JSON, an event a line. A crash may have cut the last line off.

use std::fmt::{self, Debug, Write};

use serde::{Deserialize, Serialize};

use crate::clock::vector::Vector;
use crate::replica::{NodeId, RequestId, Ticket, Time};

/// The longest text of an event, in bytes: what is longer ends in `...`.
pub const TEXT_MAX: usize = 120;

/// One event of a node; a line of its trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The node.
    pub node: NodeId,
    /// How often the node had started.
    pub incarnation: u64,
    /// Nanoseconds on the node's own clock: not to be compared with other nodes'.
    pub at_ns: u64,
    /// The node's vector clock, this event included.
    pub clock: Vector,
    /// What happened.
    #[serde(flatten)]
    pub kind: Kind,
    /// More about it, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// What can happen at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Kind {
    /// An incarnation begins.
    Start,
    /// It is over; nobody is there to say so of a live node that is killed.
    Crash,
    /// A message leaves.
    Send {
        /// For whom it is.
        to: NodeId,
        /// The how-manyth of this incarnation on that link.
        number: u64,
    },
    /// A message arrives, perhaps not for the first time.
    Receive {
        /// Who sent it.
        from: NodeId,
        /// In which incarnation; 0 if nobody knows.
        sent_in: u64,
        /// The number that it was sent under; 0 if nobody knows.
        number: u64,
    },
    /// The core said something to whoever watches.
    Note,
    /// A client's request arrives.
    Request {
        /// The host's name for it.
        id: RequestId,
    },
    /// The answer to it leaves.
    Reply {
        /// Which request is answered.
        to: RequestId,
    },
    /// The node records its part of a snapshot.
    Snapshot {
        /// The number of the snapshot.
        number: u64,
    },
    /// What was written is durable.
    Persisted {
        /// Up to which batch.
        ticket: Ticket,
    },
}

impl Event {
    /// The number of the event among those of its node, from 1.
    pub fn number(&self) -> u64 {
        self.clock.get(self.node)
    }

    /// Whether this event could have influenced another: it happened before it.
    pub fn happened_before(&self, other: &Event) -> bool {
        let own = self.number();
        other.clock.get(self.node) >= own && (self.node, own) != (other.node, other.number())
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Start => write!(f, "starts for the {}. time", self.incarnation)?,
            Kind::Crash => write!(f, "crashes")?,
            Kind::Send { to, number } => write!(f, "sends #{number} to {to}")?,
            Kind::Receive { from, number, .. } => write!(f, "receives #{number} of {from}")?,
            Kind::Note => write!(f, "notes")?,
            Kind::Request { id } => write!(f, "is asked #{}", id.0)?,
            Kind::Reply { to } => write!(f, "answers #{}", to.0)?,
            Kind::Snapshot { number } => write!(f, "records its part of snapshot {number}")?,
            Kind::Persisted { ticket } => write!(f, "has stored all up to batch {}", ticket.0)?,
        }
        if self.text.is_empty() { Ok(()) } else { write!(f, ": {}", self.text) }
    }
}

/// Writes the trace of one node.
#[derive(Debug)]
pub struct Tracer {
    node: NodeId,
    clock: Vector,
    lines: Vec<u8>,
}

impl Tracer {
    /// A tracer of a node of which there is no trace.
    pub fn new(node: NodeId) -> Self {
        Tracer { node, clock: Vector::new(), lines: Vec::new() }
    }

    /// A tracer that goes on where an earlier trace of the node ends.
    pub fn resume(node: NodeId, trace: &[Event]) -> Self {
        let clock = trace.last().map(|last| last.clock.clone()).unwrap_or_default();
        Tracer { node, clock, lines: Vec::new() }
    }

    /// The clock of the latest event.
    pub(super) fn clock(&self) -> &Vector {
        &self.clock
    }

    /// Learns what the sender of a message knew.
    pub(super) fn learn(&mut self, clock: &Vector) {
        self.clock.merge(clock);
    }

    /// Adds an event.
    pub(super) fn log(&mut self, now: Time, incarnation: u64, kind: Kind, text: &impl Debug) {
        self.clock.tick(self.node);
        let event = Event {
            node: self.node,
            incarnation,
            at_ns: u64::try_from(now.as_nanos()).unwrap_or(u64::MAX),
            clock: self.clock.clone(),
            kind,
            text: shortened(text),
        };
        serde_json::to_writer(&mut self.lines, &event).expect("an event has a JSON form");
        self.lines.push(b'\n');
    }

    /// The lines since the last time.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.lines)
    }
}

/// A text of which no more is made than is kept.
#[derive(Default)]
struct Short(String);

impl Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = TEXT_MAX - self.0.len();
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        let end = (0..=room).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        self.0.push_str(&text[..end]);
        Err(fmt::Error)
    }
}

/// The debug form of something, on one line and not too long.
fn shortened(what: &impl Debug) -> String {
    let mut short = Short::default();
    let whole = write!(short, "{what:?}").is_ok();
    let mut text = short.0.replace('\n', " ");
    if !whole {
        text.push_str("...");
    }
    text
}

/// A trace as it is read from a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// Its events.
    pub events: Vec<Event>,
    /// How many of its bytes they take: less than all, if the last line was cut off.
    pub whole: usize,
}

/// A line of a trace that is no event.
#[derive(Debug, thiserror::Error)]
#[error("line {line} is no event of a node trace: {why}")]
pub struct NoEvent {
    /// The number of the line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: serde_json::Error,
}

/// Reads a trace. A last line without an end is left out: its event was never told of.
///
/// # Errors
/// When any other line is no event.
pub fn read(bytes: &[u8]) -> Result<Read, NoEvent> {
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let lines = bytes[..whole].split(|byte| *byte == b'\n').enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty());
    let event = |(place, line): (usize, &[u8])| {
        serde_json::from_slice(line).map_err(|why| NoEvent { line: place + 1, why })
    };
    Ok(Read { events: lines.map(event).collect::<Result<_, _>>()?, whole })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters_and_wrong_lines_named() {
        assert_eq!(shortened(&format_args!("one\ntwo")), "one two");
        let long = shortened(&"ä".repeat(1000));
        assert!(long.ends_with("ä...") && long.len() <= TEXT_MAX + 3, "{long}");
        let error = read(b"\n{}\n").expect_err("no event");
        assert!(error.to_string().starts_with("line 2 is no event"), "{error}");
    }
}
