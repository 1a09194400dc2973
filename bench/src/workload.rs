//! The histories that all checkers are given.

#[path = "../../checker/benches/workload/registers.rs"]
mod registers;
#[path = "../../checker/benches/workload/structures.rs"]
mod structures;

use std::fs::File;
use std::io;
use std::path::Path;

use rashomon_checker::History;
use rashomon_checker::history::{Event, EventType, Format, HistoryError, Value};

use crate::peers::{Check, Peer, Queue, Register, Stack};
use crate::simulation::{simulate, write};
use registers::Registers;
use structures::Structure;

/// What clients do, and to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    /// Reads, and writes of new values.
    Unique {
        clients: usize,
    },
    /// Reads, writes and failing or successful cas of five values.
    Repeated {
        clients: usize,
    },
    /// Putting in new values, and taking out.
    Queue,
    Stack,
}

use Workload::{Repeated, Unique};

impl Workload {
    /// All that are compared.
    pub(crate) const ALL: [Workload; 5] = [
        Unique { clients: 5 },
        Unique { clients: 20 },
        Repeated { clients: 30 },
        Workload::Queue,
        Workload::Stack,
    ];

    /// In a few words.
    pub(crate) fn title(self) -> String {
        match self {
            Unique { clients } => format!("One register, new values, {clients} clients"),
            Repeated { clients } => format!("One register, 5 values, 30 % cas, {clients} clients"),
            Workload::Queue => "A queue, new values, 16 clients".to_owned(),
            Workload::Stack => "A stack, new values, 16 clients".to_owned(),
        }
    }

    /// How many operations it goes up to.
    pub(crate) fn most(self) -> usize {
        match self {
            Unique { clients: 20 } => 10_000_000,
            Repeated { .. } => 100_000,
            _ => 1_000_000,
        }
    }

    /// The model to check it by.
    pub(crate) fn model(self) -> &'static str {
        match self {
            Unique { .. } => "register(0)",
            Repeated { .. } => "cas-register(0)",
            Workload::Queue => "queue",
            Workload::Stack => "stack",
        }
    }

    fn events(self, operations: usize) -> Box<dyn Iterator<Item = Event>> {
        match self {
            Unique { clients } => {
                Box::new(simulate(Registers::new(1, None, 0), operations, clients))
            }
            Repeated { clients } => {
                Box::new(simulate(Registers::new(1, Some(5), 30), operations, clients))
            }
            Workload::Queue => Box::new(simulate(Structure::new("queue"), operations, 16)),
            Workload::Stack => Box::new(simulate(Structure::new("stack"), operations, 16)),
        }
    }

    /// Writes a history of so many operations.
    pub(crate) fn write(self, operations: usize, path: &Path, format: Format) -> io::Result<()> {
        let out = io::BufWriter::new(File::create(path)?);
        write(out, self.events(operations), format)?.into_inner()?;
        Ok(())
    }

    /// A few operations, one of which found what nobody had put there.
    pub(crate) fn wrong(self) -> Result<History, HistoryError> {
        let mut events: Vec<Event> = self.events(8).collect();
        let finds = |event: &&mut Event| {
            event.kind == EventType::Ok && ["read", "dequeue", "pop"].contains(&&*event.f)
        };
        if let Some(event) = events.iter_mut().rev().find(finds) {
            event.value = Value::Int(-1);
        }
        History::from_events(&events)
    }

    /// How a peer checks a history of this workload.
    pub(crate) fn for_peer(self, peer: Peer, history: &History) -> Check {
        match self {
            Unique { .. } | Repeated { .. } => peer.prepare::<Register>(history),
            Workload::Queue => peer.prepare::<Queue>(history),
            Workload::Stack => peer.prepare::<Stack>(history),
        }
    }
}
