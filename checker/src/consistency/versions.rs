//! The order in which the values of a register replaced each other, as far as it is certain.
//!
//! A convergent store arranges the writes of a key in one order (Burckhardt 2014, section 4.3:
//! *arbitration*), which clients never see. What is certain of it: the initial value comes first; a
//! compare-and-set comes after what it found; and whatever the clocks tell by which the store
//! arranges writes ([`Clocks`]). A promise demands more of that order, and is broken where no order
//! is left: at a cycle.
//!
//! "Ended before the other began" relates too many pairs to be written down, so there is a chain
//! with one link for each beginning: an end leads to the next link, a link to its beginning.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use petgraph::algo::{kosaraju_scc, toposort};
use petgraph::graph::{DiGraph, EdgeIndex, NodeIndex};
use petgraph::visit::EdgeRef;
use rustc_hash::FxHashMap;

use super::Clocks;
use super::causality::unique;
use super::objects::{Object, Objects, Span, Write};
use crate::history::{OpId, ValueId};

/// A point of time, and a node of the graph.
type Instant = (u64, NodeIndex);

/// Why one value comes before another.
#[derive(Clone, Debug)]
pub(super) enum Why {
    /// A step along a chain, which says nothing by itself.
    Chain,
    /// The first step along a session's chain, from what this operation wrote or read.
    Did(OpId),
    /// Nothing is older than what was there at first.
    First,
    /// One write ended before the other began.
    Clock,
    /// A compare-and-set replaced the value.
    Replaced,
    /// It was left in the end, when this read saw it.
    Left(OpId),
    /// A session demands it, which did these two things one after the other.
    Session(OpId, OpId),
}

/// A node of the graph: a place among the object's writes, the initial value, or a link of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Initial,
    Of(usize),
    Link,
}

/// What is known of the order of a register's values.
#[derive(Debug)]
pub(super) struct Versions<'a, 'h> {
    object: &'a Object<'h>,
    graph: DiGraph<Version, Why>,
    initial: NodeIndex,
    /// The nodes of the writes.
    nodes: Vec<NodeIndex>,
    demands: Vec<EdgeIndex>,
}

impl<'a, 'h> Versions<'a, 'h> {
    /// Knows what compare-and-sets tell, and the initial value.
    pub(super) fn of(object: &'a Object<'h>) -> Self {
        let mut graph = DiGraph::new();
        let initial = graph.add_node(Version::Initial);
        let nodes: Vec<NodeIndex> =
            (0..object.writes.len()).map(|write| graph.add_node(Version::Of(write))).collect();
        for (write, node) in object.writes.iter().zip(&nodes) {
            graph.add_edge(initial, *node, Why::First);
            // Nothing may have been found before any delete.
            let found = write.found.filter(|found| *found != ValueId::NIL);
            let found = found.and_then(|found| unique(object, found));
            // What nobody knows of may not have found anything; and nobody finds what comes later.
            if let Some(found) = found.filter(|_| write.span.is_acknowledged)
                && object.writes[found].span.call < write.span.ret
                && nodes[found] != *node
            {
                graph.add_edge(nodes[found], *node, Why::Replaced);
            }
        }
        Versions { object, graph, initial, nodes, demands: Vec::new() }
    }

    /// Learns what the clocks tell.
    pub(super) fn order_by_clock(&mut self, objects: &Objects<'_>, clocks: Clocks) {
        match clocks {
            Clocks::Unknown => {}
            Clocks::Within(apart) => {
                let clock = Clock { objects, apart };
                let (mut starts, mut ends) = (Vec::new(), Vec::new());
                for (write, node) in self.object.writes.iter().zip(&self.nodes) {
                    starts.extend(clock.start(write.span).map(|start| (start, *node)));
                    ends.extend(clock.end(write.span).map(|end| (end, *node)));
                }
                self.timeline(starts, ends);
            }
            Clocks::Hybrid => {
                for (starts, ends) in self.by_node().into_values() {
                    self.timeline(starts, ends);
                }
            }
        }
    }

    /// Of each node when it began to write what, and when it had written or read what.
    fn by_node(&self) -> BTreeMap<&'h str, (Vec<Instant>, Vec<Instant>)> {
        let mut nodes: BTreeMap<&str, (Vec<Instant>, Vec<Instant>)> = BTreeMap::new();
        for (write, node) in self.object.writes.iter().zip(&self.nodes) {
            if let Some(at) = write.node {
                let (starts, ends) = nodes.entry(at).or_default();
                starts.push((u64::from(write.span.call), *node));
                ends.push((u64::from(write.span.ret), *node));
            }
        }
        for read in &self.object.reads {
            let seen = unique(self.object, read.value()).filter(|_| !read.seen.is_empty());
            if let (Some(at), Some(seen)) = (read.node, seen)
                && self.object.writes[seen].span.call < read.span.ret
            {
                let ends = &mut nodes.entry(at).or_default().1;
                ends.push((u64::from(read.span.ret), self.nodes[seen]));
            }
        }
        nodes
    }

    /// What had ended is older than what began later.
    fn timeline(&mut self, mut starts: Vec<Instant>, ends: Vec<Instant>) {
        starts.sort_unstable();
        let links: Vec<NodeIndex> = starts.iter().map(|_| self.link()).collect();
        for (number, (_, node)) in starts.iter().enumerate() {
            self.graph.add_edge(links[number], *node, Why::Clock);
            if let Some(next) = links.get(number + 1) {
                self.graph.add_edge(links[number], *next, Why::Chain);
            }
        }
        for (end, node) in ends {
            let next = starts.partition_point(|(start, _)| *start <= end);
            if let Some(link) = links.get(next) {
                self.graph.add_edge(node, *link, Why::Chain);
            }
        }
    }

    /// The node of what was there at first.
    pub(super) fn initial(&self) -> NodeIndex {
        self.initial
    }

    /// The node of a write.
    pub(super) fn node(&self, write: usize) -> NodeIndex {
        self.nodes[write]
    }

    /// The write that a node stands for, if it does for one.
    pub(super) fn write(&self, node: NodeIndex) -> Option<usize> {
        match self.graph[node] {
            Version::Of(write) => Some(write),
            Version::Initial | Version::Link => None,
        }
    }

    /// A new link of a chain of one's own.
    pub(super) fn link(&mut self) -> NodeIndex {
        self.graph.add_node(Version::Link)
    }

    /// One is not newer than the other.
    pub(super) fn connect(&mut self, older: NodeIndex, newer: NodeIndex, why: Why) {
        self.graph.add_edge(older, newer, why);
    }

    /// A promise demands that one be no newer than the other.
    pub(super) fn demand(&mut self, older: NodeIndex, newer: NodeIndex, why: Why) {
        let edge = self.graph.add_edge(older, newer, why);
        self.demands.push(edge);
    }

    /// Whether no order is left.
    pub(super) fn is_cyclic(&self) -> bool {
        toposort(&self.graph, None).is_err()
    }

    /// Every write that certainly came after this one.
    pub(super) fn after(&self, write: usize) -> Vec<usize> {
        let mut seen = vec![false; self.graph.node_count()];
        let mut next = vec![self.nodes[write]];
        let mut after = Vec::new();
        while let Some(node) = next.pop() {
            for newer in self.graph.neighbors(node) {
                if !std::mem::replace(&mut seen[newer.index()], true) {
                    next.push(newer);
                    if let Version::Of(newer) = self.graph[newer] {
                        after.push(newer);
                    }
                }
            }
        }
        after
    }

    /// The shortest cycle through a demand, beginning with it; `None` if there is none.
    pub(super) fn cycle(&self) -> Option<Vec<Step>> {
        let mut component = vec![0; self.graph.node_count()];
        // Neither this nor sorting recurses: chains are as long as histories.
        for (number, nodes) in kosaraju_scc(&self.graph).into_iter().enumerate() {
            nodes.into_iter().for_each(|node| component[node.index()] = number);
        }
        let ends = |edge: EdgeIndex| self.graph.edge_endpoints(edge).expect("it is in the graph");
        let closed = self.demands.iter().copied().filter(|edge| {
            let (from, to) = ends(*edge);
            component[from.index()] == component[to.index()]
        });
        let cycles = closed.take(CYCLES).filter_map(|edge| {
            let (from, to) = ends(edge);
            let mut edges = vec![edge];
            edges.extend(self.path(to, from, &component)?);
            Some(self.steps(&edges))
        });
        cycles.min_by_key(Vec::len)
    }

    /// The fewest edges from one node to another within their component.
    fn path(&self, from: NodeIndex, to: NodeIndex, component: &[usize]) -> Option<Vec<EdgeIndex>> {
        let mut came: FxHashMap<NodeIndex, Option<EdgeIndex>> = FxHashMap::default();
        came.insert(from, None);
        let mut next = VecDeque::from([from]);
        while let Some(node) = next.pop_front() {
            if node == to {
                break;
            }
            for edge in self.graph.edges(node) {
                let target = edge.target();
                if component[target.index()] == component[from.index()]
                    && !came.contains_key(&target)
                {
                    came.insert(target, Some(edge.id()));
                    next.push_back(target);
                }
            }
        }
        let mut path = Vec::new();
        let mut node = to;
        while let Some(edge) = *came.get(&node)? {
            path.push(edge);
            node = self.graph.edge_endpoints(edge)?.0;
        }
        path.reverse();
        Some(path)
    }

    /// The edges of a cycle without the links of chains; it begins where the first edge does, or at
    /// the next write.
    fn steps(&self, edges: &[EdgeIndex]) -> Vec<Step> {
        let ends = |edge: EdgeIndex| self.graph.edge_endpoints(edge).expect("it is in the graph");
        let is_link = |node: NodeIndex| self.graph[node] == Version::Link;
        // A chain may lead into the demand that comes first: begin where that chain did.
        let shift = edges.iter().rposition(|edge| !is_link(ends(*edge).0)).unwrap_or(0);
        let shift = if is_link(ends(edges[0]).0) { shift } else { 0 };
        let mut steps = Vec::new();
        let mut begun: Option<(NodeIndex, Why)> = None;
        for edge in edges[shift..].iter().chain(&edges[..shift]) {
            let (from, to) = ends(*edge);
            let (start, why) = begun.take().unwrap_or((from, Why::Chain));
            let why = match (&why, &self.graph[*edge]) {
                (_, Why::Chain) => why,
                (Why::Did(first), Why::Session(_, second)) => Why::Session(*first, *second),
                (_, next) => next.clone(),
            };
            if is_link(to) {
                begun = Some((start, why));
            } else {
                steps.push(Step { older: self.graph[start], newer: self.graph[to], why });
            }
        }
        steps
    }
}

/// The most cycles that are compared to find a short one.
const CYCLES: usize = 256;

/// One step of a cycle.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) older: Version,
    pub(super) newer: Version,
    pub(super) why: Why,
}

/// When operations began and ended, on clocks that may be apart.
struct Clock<'a, 'h> {
    objects: &'a Objects<'h>,
    apart: Duration,
}

impl Clock<'_, '_> {
    /// Perfect clocks need no times, only an order: ranks have one even where times are missing.
    fn start(&self, span: Span) -> Option<u64> {
        match self.apart.is_zero() {
            true => Some(u64::from(span.call)),
            false => self.objects.history.operation(span.id).call_time(),
        }
    }

    /// The instant after which whatever begins is newer; `None` for what may still happen.
    fn end(&self, span: Span) -> Option<u64> {
        if !span.is_acknowledged {
            return None;
        }
        let apart = u64::try_from(self.apart.as_nanos()).unwrap_or(u64::MAX);
        match self.apart.is_zero() {
            true => Some(u64::from(span.ret)),
            false => {
                let end = self.objects.history.operation(span.id).return_time()?;
                Some(end.saturating_add(apart))
            }
        }
    }
}

impl Write<'_> {
    /// Whether one write is certainly older than the other, by the clocks alone.
    pub(super) fn is_older(
        &self,
        other: &Write<'_>,
        objects: &Objects<'_>,
        clocks: Clocks,
    ) -> bool {
        match clocks {
            Clocks::Unknown => false,
            Clocks::Hybrid => {
                let is_same = self.node.is_some() && self.node == other.node;
                is_same && self.span.ret < other.span.call
            }
            Clocks::Within(apart) => {
                let clock = Clock { objects, apart };
                let ends = (clock.end(self.span), clock.start(other.span));
                matches!(ends, (Some(end), Some(start)) if end < start)
            }
        }
    }
}
