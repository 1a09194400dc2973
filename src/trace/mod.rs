//! The traces of several nodes, put together: which of two events came first, and whether the clocks
//! that say so are right.
//!
//! | module | what it does |
//! |---|---|
//! | [`mod@self`] | reads traces and merges them |
//! | [`verify`] | works every clock out again from who sent what to whom |
//! | [`shiviz`] | writes them down for a program that draws them |
//!
//! What a node writes is described in [`rashomon_stores::observe::trace`].

pub mod shiviz;
pub mod verify;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rashomon_stores::observe::trace::{Event, NoEvent, read};
use rashomon_stores::replica::NodeId;

/// The directory of a run that holds the traces of its nodes.
pub const DIRECTORY: &str = "trace";

/// Why traces cannot be read, or do not make sense together.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// A file or directory cannot be read.
    #[error("cannot read {}", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    /// A directory without traces.
    #[error("there is no trace (*.jsonl) in {}; was the run made with --trace-nodes?", .0.display())]
    Empty(PathBuf),
    /// A file that is no trace.
    #[error("{} is no node trace", .0.display())]
    NoTrace(PathBuf, #[source] NoEvent),
    /// The events of a node do not follow one another.
    #[error(
        "{found} follows {expected} in the trace of its node: events are missing, or there twice"
    )]
    OutOfOrder {
        /// The event that is there.
        found: Name,
        /// The one after which it stands, as a number from 0.
        expected: Name,
    },
}

/// The name of an event: `n1:57` is the 57th of node 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// The node.
    pub node: NodeId,
    /// The number among its events, from 1.
    pub number: u64,
}

impl Name {
    /// The name of an event.
    pub fn of(event: &Event) -> Self {
        Name { node: event.node, number: event.number() }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.node, self.number)
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.strip_prefix('n').and_then(|rest| rest.split_once(':'));
        let numbers = parts.map(|(node, number)| (node.parse(), number.parse()));
        match numbers {
            Some((Ok(node), Ok(number))) => Ok(Name { node: NodeId(node), number }),
            _ => Err(format!("an event is named like n1:57, not {text:?}")),
        }
    }
}

/// How two events stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// They are the same.
    Same,
    /// The first could have influenced the second.
    Before,
    /// The second could have influenced the first.
    After,
    /// Neither could have influenced the other.
    Concurrent,
}

/// How two events stand to each other, by their clocks.
pub fn order(one: &Event, other: &Event) -> Order {
    match (one.happened_before(other), other.happened_before(one)) {
        (true, _) => Order::Before,
        (_, true) => Order::After,
        _ if Name::of(one) == Name::of(other) => Order::Same,
        _ => Order::Concurrent,
    }
}

/// The events of several nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traces {
    nodes: BTreeMap<NodeId, Vec<Event>>,
    /// Files whose last line was cut off, by a crash of their node or because it still runs.
    pub cut_off: Vec<PathBuf>,
}

impl Traces {
    /// Reads traces from files, and from all `*.jsonl` of directories; of the directory of a run
    /// that is its `trace/`.
    ///
    /// # Errors
    /// When something cannot be read or is no trace.
    pub fn read(paths: &[PathBuf]) -> Result<Self, TraceError> {
        let mut traces = Traces::default();
        for path in paths {
            let path = if path.is_dir() { directory(path) } else { path.clone() };
            let files = if path.is_dir() { listed(&path)? } else { vec![path] };
            for file in files {
                let bytes =
                    fs::read(&file).map_err(|why| TraceError::Unreadable(file.clone(), why))?;
                let whole =
                    traces.add(&bytes).map_err(|why| TraceError::NoTrace(file.clone(), why))?;
                if whole < bytes.len() {
                    traces.cut_off.push(file);
                }
            }
        }
        Ok(traces)
    }

    /// Adds a trace as it was written, and says how many of its bytes were whole lines.
    ///
    /// # Errors
    /// When it is no trace.
    pub fn add(&mut self, bytes: &[u8]) -> Result<usize, NoEvent> {
        let found = read(bytes)?;
        for event in found.events {
            self.nodes.entry(event.node).or_default().push(event);
        }
        Ok(found.whole)
    }

    /// The events of each node, in the order of its trace.
    pub fn nodes(&self) -> &BTreeMap<NodeId, Vec<Event>> {
        &self.nodes
    }

    /// The event of a name, if it is there.
    pub fn get(&self, name: Name) -> Option<&Event> {
        let place = usize::try_from(name.number.checked_sub(1)?).ok()?;
        // Where none is missing, it stands in its place.
        let events = self.nodes.get(&name.node)?;
        let there = events.get(place).filter(|event| event.number() == name.number);
        there.or_else(|| events.iter().find(|event| event.number() == name.number))
    }

    /// All events in an order that never contradicts what happened before what: by how much they
    /// know, and then by node.
    pub fn merged(&self) -> Vec<&Event> {
        let mut events: Vec<&Event> = self.nodes.values().flatten().collect();
        // What happened before something else knows less than it.
        events.sort_by_key(|event| (known(event), event.node));
        events
    }
}

fn known(event: &Event) -> u64 {
    event.clock.iter().map(|(_, count)| count).sum()
}

/// Where the traces are in a directory.
fn directory(path: &Path) -> PathBuf {
    let below = path.join(DIRECTORY);
    if below.is_dir() { below } else { path.to_owned() }
}

/// The traces in a directory, in the order of their names.
fn listed(directory: &Path) -> Result<Vec<PathBuf>, TraceError> {
    let unreadable = |why| TraceError::Unreadable(directory.to_owned(), why);
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() { Err(TraceError::Empty(directory.to_owned())) } else { Ok(files) }
}

#[cfg(test)]
mod tests;
