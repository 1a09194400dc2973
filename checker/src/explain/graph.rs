//! Operations and what orders them, as a graph: real time, who read from whom, and who must come
//! before whom lest its answer be gone.
//!
//! Edges of the kinds that are certain hold in every order in which both operations happened; a cycle
//! of them, of operations that did, proves that there is no order, and can be looked at. The kinds are those of Adya, Liskov and
//! O'Neil ("Generalized isolation level definitions", ICDE 2000), with real time beside them. Not
//! every violation shows as a cycle: which of several equal values was read may be all that an
//! order turns on.

use std::fmt::Write;
use std::mem;

use petgraph::Direction;
use petgraph::algo::tarjan_scc;
use petgraph::dot::{Config, Dot, RankDir};
use petgraph::graph::{DiGraph, EdgeReference, NodeIndex};
use petgraph::visit::{EdgeFiltered, EdgeRef};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::sentence::deed;
use super::{Explanation, OperationRecord, Role};
use crate::history::{History, OpId, Outcome};
use crate::model::{Call, Model, ModelError, Part, Specification, Visitor};

/// Why one operation stands before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// It was over before the other began. Only what follows from no other two is drawn.
    RealTime,
    /// The other saw what it made, and nothing else can have made that.
    ReadsFrom,
    /// The other may have seen what it made. This alone is not certain.
    MayReadFrom,
    /// The other overwrote what it saw, for good.
    AntiDependency,
}

impl Relation {
    /// Whether every order has to heed it.
    pub fn is_certain(self) -> bool {
        self != Relation::MayReadFrom
    }
}

/// An operation with its part in the proof, if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The operation.
    pub operation: OperationRecord,
    /// What it contributes.
    pub role: Option<Role>,
}

/// Some operations of a history, and what orders them.
#[derive(Clone, Debug)]
pub struct ConflictGraph {
    /// The operations, by invocation, and their relations.
    pub graph: DiGraph<Node, Relation>,
}

impl ConflictGraph {
    /// The operations that an explanation of this history mentions. What certainly did not happen
    /// has no relations.
    ///
    /// # Errors
    ///
    /// [`ModelError`] if the model cannot read the history.
    pub fn of(
        history: &History,
        model: &Model,
        explanation: &Explanation,
    ) -> Result<Self, ModelError> {
        let mentioned: Vec<OpId> = explanation.operations.iter().map(|record| record.id).collect();
        let start = explanation.start.as_ref().map_or(&[][..], |start| &start.operations);
        let mut graph = Self::of_operations(history, model, &mentioned, start)?;
        for node in graph.graph.node_weights_mut() {
            let of_it = |id: OpId| id == node.operation.id;
            let evidence = explanation.proof.iter().find(|evidence| of_it(evidence.operation));
            let unplaced = of_it(explanation.operation).then_some(Role::Unplaced);
            node.role = evidence.map(|evidence| evidence.role).or(unplaced);
        }
        Ok(graph)
    }

    /// Some operations of a history alone, after those of `start` took effect one after the other.
    ///
    /// # Errors
    ///
    /// [`ModelError`] if the model cannot read the history.
    pub fn of_operations(
        history: &History,
        model: &Model,
        operations: &[OpId],
        start: &[OpId],
    ) -> Result<Self, ModelError> {
        let mut graph = DiGraph::new();
        let mut nodes = FxHashMap::default();
        let mut by_call = operations.to_vec();
        by_call.sort_by_key(|&id| history.operation(id).call());
        by_call.dedup();
        for &id in &by_call {
            let operation = OperationRecord::new(history.operation(id));
            nodes.insert(id, graph.add_node(Node { operation, role: None }));
        }
        let precedence = precedence(history, &by_call);
        for edge in precedence.edge_references() {
            let [from, to] = [edge.source(), edge.target()].map(|node| nodes[&precedence[node]]);
            graph.add_edge(from, to, Relation::RealTime);
        }
        for (from, to, relation) in model.decode(history, Conflicts { nodes: &nodes, start })? {
            graph.add_edge(from, to, relation);
        }
        Ok(ConflictGraph { graph })
    }

    /// Operations that happened and that the certain relations order in circles, each circle by
    /// invocation; if there is one, then no order explains the operations.
    pub fn cycles(&self) -> Vec<Vec<OpId>> {
        let happened = self.happened();
        let heeded = |edge: EdgeReference<'_, Relation>| {
            edge.weight().is_certain()
                && [edge.source(), edge.target()].iter().all(|node| happened[node.index()])
        };
        let mut cycles: Vec<Vec<NodeIndex>> =
            tarjan_scc(&EdgeFiltered::from_fn(&self.graph, heeded));
        cycles.retain(|nodes| nodes.len() > 1);
        cycles.iter_mut().for_each(|nodes| nodes.sort_unstable());
        cycles.sort_unstable();
        let id = |node: NodeIndex| self.graph[node].operation.id;
        cycles.into_iter().map(|nodes| nodes.into_iter().map(id).collect()).collect()
    }

    /// By node, whether the operation happened in every order: because it was answered, or because
    /// something that happened saw what it made.
    fn happened(&self) -> Vec<bool> {
        let mut happened = vec![false; self.graph.node_count()];
        let answered = |node: &NodeIndex| self.graph[*node].operation.outcome == Outcome::Ok;
        let mut next: Vec<NodeIndex> = self.graph.node_indices().filter(answered).collect();
        while let Some(node) = next.pop() {
            if !mem::replace(&mut happened[node.index()], true) {
                let seen = self.graph.edges_directed(node, Direction::Incoming);
                let seen = seen.filter(|edge| *edge.weight() == Relation::ReadsFrom);
                next.extend(seen.map(|edge| edge.source()));
            }
        }
        happened
    }

    /// The graph in Graphviz's language, cycles set off.
    pub fn to_dot(&self) -> String {
        let cycles = self.cycles();
        let on_cycle = |nodes: [NodeIndex; 2]| {
            let ids = nodes.map(|node| self.graph[node].operation.id);
            cycles.iter().any(|cycle| ids.iter().all(|id| cycle.contains(id)))
        };
        let edge = |_: &DiGraph<Node, Relation>, edge: EdgeReference<'_, Relation>| {
            edge_attributes(*edge.weight(), on_cycle([edge.source(), edge.target()]))
        };
        let node = |_: &DiGraph<Node, Relation>, (_, node): (NodeIndex, &Node)| node.attributes();
        let config = [Config::NodeNoLabel, Config::EdgeNoLabel, Config::RankDir(RankDir::LR)];
        format!("{:?}", Dot::with_attr_getters(&self.graph, &config, &edge, &node))
    }
}

/// Real time among some operations, transitively reduced: an edge from each to those that began
/// after it was over, but for what other edges imply. Failed operations are left alone.
pub fn precedence(history: &History, operations: &[OpId]) -> DiGraph<OpId, ()> {
    let mut graph = DiGraph::new();
    let mut points: Vec<(u32, u32, NodeIndex)> = Vec::new();
    for &id in operations {
        let (operation, node) = (history.operation(id), graph.add_node(id));
        if operation.outcome() != Outcome::Fail {
            points.push((operation.call(), operation.ret(), node));
        }
    }
    let mut returns: Vec<(u32, u32, NodeIndex)> =
        points.iter().map(|&(call, ret, node)| (ret, call, node)).collect();
    returns.sort_unstable();
    // The latest invocation among those that were over, so many of them.
    let latest: Vec<u32> = returns
        .iter()
        .scan(0, |latest, &(_, call, _)| {
            *latest = call.max(*latest);
            Some(*latest)
        })
        .collect();
    for (call, _, node) in points {
        let over = returns.partition_point(|&(ret, ..)| ret < call);
        let Some(latest) = over.checked_sub(1).map(|last| latest[last]) else { continue };
        // Who was over before the latest began is before it, and that is before this one.
        let direct = returns[..over].partition_point(|&(ret, ..)| ret < latest);
        for &(_, _, before) in &returns[direct..over] {
            graph.add_edge(before, node, ());
        }
    }
    graph
}

/// Finds the relations that the model makes.
struct Conflicts<'a> {
    nodes: &'a FxHashMap<OpId, NodeIndex>,
    start: &'a [OpId],
}

type Edge = (NodeIndex, NodeIndex, Relation);

impl Visitor for Conflicts<'_> {
    type Output = Vec<Edge>;

    fn visit<S: Specification>(self, parts: Vec<Part<S>>) -> Vec<Edge> {
        parts.iter().flat_map(|part| self.of_part(part)).collect()
    }
}

impl Conflicts<'_> {
    fn of_part<S: Specification>(&self, part: &Part<S>) -> Vec<Edge> {
        let calls: Vec<_> =
            part.calls.iter().filter(|call| self.nodes.contains_key(&call.id)).collect();
        let begun = part.calls.iter().filter(|call| self.start.contains(&call.id));
        let begun: FxHashMap<OpId, &Call<S::Operation>> =
            begun.map(|call| (call.id, call)).collect();
        let mut state = part.specification.init();
        for call in self.start.iter().filter_map(|id| begun.get(id)) {
            state = part.specification.step(&state, &call.operation).unwrap_or(state);
        }
        let node = |call: &Call<_>| self.nodes[&call.id];
        let mut edges = Vec::new();
        for reader in &calls {
            let sources = sources(&part.specification, &calls, reader);
            let is_certain =
                sources.len() == 1 && part.specification.step(&state, &reader.operation).is_none();
            let relation = if is_certain { Relation::ReadsFrom } else { Relation::MayReadFrom };
            edges.extend(sources.iter().map(|source| (node(source), node(reader), relation)));
            let gone = |other: &&&Call<_>| {
                sources.iter().all(|source| source.ret < other.call)
                    && other.id != reader.id
                    && ends(&part.specification, &state, &other.operation, &reader.operation)
            };
            let gone = calls.iter().filter(gone);
            edges.extend(gone.map(|other| (node(reader), node(other), Relation::AntiDependency)));
        }
        edges
    }
}

/// The operations of which some may have made what a reader saw. Without any of the others, the
/// reader stays legal wherever it was.
fn sources<'a, S: Specification>(
    specification: &S,
    calls: &[&'a Call<S::Operation>],
    reader: &Call<S::Operation>,
) -> Vec<&'a Call<S::Operation>> {
    let others = calls.iter().filter(|call| call.id != reader.id);
    let observed = others.filter(|call| specification.observes(&reader.operation, &call.operation));
    observed.copied().collect()
}

/// Whether an operation makes the object such that a reader is impossible until something makes
/// again what it saw. With its sources all over by then, nothing does.
fn ends<S: Specification>(
    specification: &S,
    state: &S::State,
    writer: &S::Operation,
    reader: &S::Operation,
) -> bool {
    let overwritten = || specification.step(state, writer);
    specification.overwrites(writer)
        && !specification.observes(reader, writer)
        && overwritten().is_some_and(|state| specification.step(&state, reader).is_none())
}

impl Node {
    /// What Graphviz is told of it.
    fn attributes(&self) -> String {
        let record = &self.operation;
        let place = record.ret.unwrap_or(record.call);
        let mut label = format!("process {} {}\n{place}", record.process, deed(record));
        if let Some(role) = self.role {
            let _ = write!(label, "\n{}", role.as_str());
        }
        let style = match record.outcome {
            Outcome::Ok => "solid",
            Outcome::Info => "dashed",
            Outcome::Fail => "dotted",
        };
        let color = if self.role == Some(Role::Unplaced) { "red" } else { "black" };
        format!("label=\"{}\", shape=box, style={style}, color={color}", escaped(&label))
    }
}

fn edge_attributes(relation: Relation, on_cycle: bool) -> String {
    let (label, style, color) = match relation {
        Relation::RealTime => ("", "solid", "gray40"),
        Relation::ReadsFrom => ("seen by", "solid", "blue"),
        Relation::MayReadFrom => ("maybe seen by", "dotted", "blue"),
        Relation::AntiDependency => ("gone after", "dashed", "red"),
    };
    let width = if on_cycle && relation.is_certain() { 2 } else { 1 };
    format!("label=\"{label}\", style={style}, color={color}, penwidth={width}")
}

/// A text between Graphviz's quotes.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
