//! What must come before what, as a graph, and the shortest proof that it cannot be.
//!
//! The certain part is session order and reads-from. What a rung demands beyond that is *forced* by
//! reads: whoever saw one write although it knew of another has the other one before it. Each forced
//! edge remembers its read and its stage; a path of edges of earlier stages leads from the older
//! write to that read and is the reason why it is forced, so that a proof can be told in full.

use std::collections::VecDeque;

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, EdgeIndex, NodeIndex};
use petgraph::visit::EdgeRef;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;

use super::trace::Trace;

/// Why one operation comes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The other read what it wrote.
    ReadFrom,
    /// The same process did the one and then the other.
    SessionOrder,
    /// The other replaced what it wrote, or what it saw.
    OverwrittenBy,
    /// It was over before the other began.
    RealTime,
}

/// One node before another, because of a read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forced {
    pub(super) from: u32,
    pub(super) to: u32,
    /// The read that forces it.
    pub(super) by: u32,
    /// A path between these is why it does.
    pub(super) because: [u32; 2],
    /// It follows from edges of earlier stages; the first is 1.
    pub(super) stage: u32,
}

impl Forced {
    /// A read knew of one write and saw the other.
    pub(super) fn knew(from: u32, to: u32, by: u32, stage: u32) -> Self {
        Forced { from, to, by, because: [from, by], stage }
    }
}

/// An edge.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tie {
    pub(super) reason: Reason,
    /// The read that forces it.
    pub(super) by: Option<u32>,
    because: [u32; 2],
    stage: u32,
}

impl Tie {
    /// What is certain whatever is demanded.
    fn certain(reason: Reason) -> Self {
        Tie { reason, by: None, because: [0; 2], stage: 0 }
    }

    /// A read that missed what had replaced what it saw.
    pub(super) fn missed() -> Self {
        Tie::certain(Reason::OverwrittenBy)
    }
}

/// A step of a path or cycle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) tie: Tie,
}

/// The nodes of a trace with what orders them.
#[derive(Clone, Debug)]
pub(super) struct Order {
    graph: DiGraph<(), Tie>,
}

/// How many nodes are looked at to find a shorter cycle than the first.
const LOOKS: usize = 2_000_000;

impl Order {
    /// Session order and reads-from, as far as the filters let them through, and what is forced.
    pub(super) fn of(
        trace: &Trace,
        is_in: impl Fn(u32) -> bool,
        is_seen: impl Fn(u32) -> bool,
        forced: &[Forced],
    ) -> Self {
        let mut order = Order::without_sessions(trace, |read| is_in(read) && is_seen(read), forced);
        for node in (0..trace.len() as u32).filter(|node| is_in(*node)) {
            if let Some(before) = trace.before(node) {
                order.follow(before, node);
            }
        }
        order
    }

    /// Reads-from as far as the filter lets it through, and what is forced.
    pub(super) fn without_sessions(
        trace: &Trace,
        is_seen: impl Fn(u32) -> bool,
        forced: &[Forced],
    ) -> Self {
        let mut graph = DiGraph::with_capacity(trace.len(), 2 * trace.len() + forced.len());
        (0..trace.len()).for_each(|_| {
            graph.add_node(());
        });
        let mut order = Order { graph };
        for node in (0..trace.len() as u32).filter(|node| is_seen(*node)) {
            if let Some(source) = trace.source(node) {
                order.tie(source, node, Tie::certain(Reason::ReadFrom));
            }
        }
        order.force(forced);
        order
    }

    /// One node follows the other in its session.
    pub(super) fn follow(&mut self, before: u32, node: u32) {
        self.tie(before, node, Tie::certain(Reason::SessionOrder));
    }

    /// Adds what is forced.
    pub(super) fn force(&mut self, forced: &[Forced]) {
        for &Forced { from, to, by, because, stage } in forced {
            let reason = Reason::OverwrittenBy;
            self.tie(from, to, Tie { reason, by: Some(by), because, stage });
        }
    }

    fn tie(&mut self, from: u32, to: u32, tie: Tie) {
        self.graph.add_edge(NodeIndex::from(from), NodeIndex::from(to), tie);
    }

    /// The nodes in an order that agrees with all edges; `None` if there is a cycle.
    pub(super) fn sorted(&self) -> Option<Vec<u32>> {
        let order = petgraph::algo::toposort(&self.graph, None).ok()?;
        Some(order.into_iter().map(|node| node.index() as u32).collect())
    }

    /// The shortest cycle, if there is one.
    pub(super) fn cycle(&self) -> Option<Vec<Step>> {
        let mut component = vec![0; self.graph.node_count()];
        let mut size = Vec::new();
        // Neither this nor sorting recurses: sessions are as long as histories.
        for nodes in kosaraju_scc(&self.graph) {
            nodes.iter().for_each(|node| component[node.index()] = size.len());
            size.push(nodes.len());
        }
        let is_inside =
            |from: NodeIndex, to: NodeIndex| component[from.index()] == component[to.index()];
        // Sessions alone have no cycle. Forced edges are few, if a cycle needs one.
        let mut closing: Vec<EdgeIndex> = Vec::new();
        for edge in self.graph.edge_references() {
            let may_close = edge.weight().reason != Reason::SessionOrder;
            if may_close && is_inside(edge.source(), edge.target()) {
                closing.push(edge.id());
            }
        }
        closing.sort_by_key(|edge| std::cmp::Reverse(self.graph[*edge].stage));
        let (mut best, mut looks): (Option<Vec<Step>>, usize) = (None, 0);
        for edge in closing {
            let (from, to) = self.graph.edge_endpoints(edge)?;
            looks += size[component[from.index()]];
            let path =
                self.search(to, from, |_, node| component[node.index()] == component[to.index()]);
            let step = self.step(edge);
            let cycle = path.map(|path| joined(std::iter::once(step).chain(path)));
            if let Some(cycle) = cycle
                && best.as_ref().is_none_or(|best| cycle.len() < best.len())
            {
                best = Some(cycle);
            }
            if looks > LOOKS {
                break;
            }
        }
        best
    }

    /// The shortest path of edges of stages before this one.
    pub(super) fn path(&self, from: u32, to: u32, stage: u32) -> Option<Vec<Step>> {
        let (from, to) = (NodeIndex::from(from), NodeIndex::from(to));
        let path = self.search(from, to, |tie, _| tie.stage < stage)?;
        Some(joined(path.into_iter()))
    }

    /// Of the steps and all that they follow from: every node that takes part in it.
    pub(super) fn proof(&self, steps: &[Step]) -> Vec<u32> {
        let mut nodes = Vec::new();
        let mut told: FxHashSet<(u32, u32)> = FxHashSet::default();
        let mut next: Vec<Step> = steps.to_vec();
        while let Some(step) = next.pop() {
            nodes.extend([step.from, step.to]);
            let Some(by) = step.tie.by else { continue };
            nodes.push(by);
            if told.insert((step.from, step.to)) {
                let [from, to] = step.tie.because;
                next.extend(self.path(from, to, step.tie.stage).unwrap_or_default());
            }
        }
        nodes
    }

    fn step(&self, edge: EdgeIndex) -> Step {
        let (from, to) = self.graph.edge_endpoints(edge).expect("it is in the graph");
        Step { from: from.index() as u32, to: to.index() as u32, tie: self.graph[edge] }
    }

    /// A path with the fewest edges; those of a session one after the other count as none.
    fn search(
        &self,
        from: NodeIndex,
        to: NodeIndex,
        may_use: impl Fn(&Tie, NodeIndex) -> bool,
    ) -> Option<Vec<Step>> {
        let mut came: FxHashMap<NodeIndex, (u32, Option<EdgeIndex>)> = FxHashMap::default();
        came.insert(from, (0, None));
        let mut next = VecDeque::from([(0, from)]);
        while let Some((distance, node)) = next.pop_front() {
            if node == to {
                break;
            }
            if came[&node].0 < distance {
                continue;
            }
            for edge in self.graph.edges(node).filter(|edge| may_use(edge.weight(), edge.target()))
            {
                let is_free = edge.weight().reason == Reason::SessionOrder;
                let reached = distance + u32::from(!is_free);
                let known = came.get(&edge.target()).is_none_or(|(known, _)| reached < *known);
                if known {
                    came.insert(edge.target(), (reached, Some(edge.id())));
                    match is_free {
                        true => next.push_front((reached, edge.target())),
                        false => next.push_back((reached, edge.target())),
                    }
                }
            }
        }
        let mut path = Vec::new();
        let mut edge = came.get(&to)?.1;
        while let Some(last) = edge {
            let step = self.step(last);
            path.push(step);
            edge = came[&NodeIndex::from(step.from)].1;
        }
        path.reverse();
        Some(path)
    }
}

/// What one session did step by step is one step.
fn joined(steps: impl Iterator<Item = Step>) -> Vec<Step> {
    let mut joined: Vec<Step> = Vec::new();
    for step in steps {
        match joined.last_mut() {
            Some(last) if [last.tie.reason, step.tie.reason] == [Reason::SessionOrder; 2] => {
                last.to = step.to;
            }
            _ => joined.push(step),
        }
    }
    joined
}
