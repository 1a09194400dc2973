//! Works every clock out again, from what each node did in which order and from who sent what to whom,
//! and compares.
//!
//! *Happened before* (Lamport 1978, §2) is the graph whose edges lead from each event of a node to its
//! next, and from the sending of a message to each of its receipts. Its nodes are visited in an order
//! that respects it, and each clock must be what Fidge's and Mattern's rules make of those before it.

use std::collections::BTreeMap;

use petgraph::algo::toposort;
use petgraph::graph::{DiGraph, NodeIndex};
use rashomon_stores::clock::vector::Vector;
use rashomon_stores::observe::trace::{Event, Kind};
use rashomon_stores::replica::NodeId;

use super::{Name, TraceError, Traces};

/// A message by who sent it in which incarnation, to whom, and its number there.
type Message = (NodeId, u64, NodeId, u64);

/// What was verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Events whose clocks are right.
    pub events: usize,
    /// Messages that were sent.
    pub sent: usize,
    /// Receipts of which the sending is there, too.
    pub received: usize,
    /// Receipts of messages of nodes of which there is no trace; what they brought is believed.
    pub believed: usize,
}

/// What is wrong with the clocks.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    /// The traces do not make sense.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// A message was received that nobody sent.
    #[error("{0} receives a message that is not in the trace of its sender")]
    NeverSent(Name),
    /// Some event happened before itself.
    #[error("{0} happened before itself")]
    Cycle(Name),
    /// A clock does not say what happened before.
    #[error("the clock of {name} is {found} and has to be {expected}")]
    Clock {
        /// The event.
        name: Name,
        /// Its clock.
        found: Vector,
        /// The clock that it has to have.
        expected: Vector,
    },
}

/// The graph of what happened directly before what.
pub(super) type Graph<'a> = DiGraph<&'a Event, ()>;

/// Verifies the clock of every event.
///
/// # Errors
/// What is wrong, first.
pub fn verify(traces: &Traces) -> Result<Verified, Wrong> {
    let (graph, mut verified) = graph(traces)?;
    let sorted = toposort(&graph, None);
    let sorted = sorted.map_err(|cycle| Wrong::Cycle(Name::of(graph[cycle.node_id()])))?;
    for place in sorted {
        let event = graph[place];
        let expected = expected(&graph, place);
        if event.clock != expected {
            let (name, found) = (Name::of(event), event.clock.clone());
            return Err(Wrong::Clock { name, found, expected });
        }
        verified.events += 1;
    }
    Ok(verified)
}

/// What the clock of an event has to be, if those before it are right.
fn expected(graph: &Graph, place: NodeIndex) -> Vector {
    let event = graph[place];
    let mut clock = Vector::new();
    let mut before = 0;
    for direct in graph.neighbors_directed(place, petgraph::Incoming) {
        clock.merge(&graph[direct].clock);
        before += usize::from(graph[direct].node != event.node);
    }
    if before == 0 && matches!(event.kind, Kind::Receive { .. }) {
        // Nobody knows what its sender knew; but nobody else knows of this event.
        let brought = event.clock.iter().filter(|(node, _)| *node != event.node);
        brought.for_each(|(node, count)| clock.learn(node, count));
    }
    clock.tick(event.node);
    clock
}

/// Puts up the graph.
pub(super) fn graph(traces: &Traces) -> Result<(Graph<'_>, Verified), Wrong> {
    let (mut graph, mut verified) = (Graph::new(), Verified::default());
    let mut sendings: BTreeMap<Message, NodeIndex> = BTreeMap::new();
    for (node, events) in traces.nodes() {
        let mut last = None;
        for (number, event) in (1..).zip(events) {
            if event.number() != number {
                let expected = Name { node: *node, number: number - 1 };
                return Err(TraceError::OutOfOrder { found: Name::of(event), expected }.into());
            }
            let place = graph.add_node(event);
            last.replace(place).map(|last| graph.add_edge(last, place, ()));
            if let Kind::Send { to, number } = event.kind {
                sendings.insert((*node, event.incarnation, to, number), place);
                verified.sent += 1;
            }
        }
    }
    for place in graph.node_indices() {
        let event = graph[place];
        let Kind::Receive { from, sent_in, number } = event.kind else { continue };
        match sendings.get(&(from, sent_in, event.node, number)) {
            Some(sending) => {
                graph.add_edge(*sending, place, ());
                verified.received += 1;
            }
            None if number > 0 && traces.nodes().contains_key(&from) => {
                return Err(Wrong::NeverSent(Name::of(event)));
            }
            None => verified.believed += 1,
        }
    }
    Ok((graph, verified))
}
