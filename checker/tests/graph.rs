//! The graph of what orders operations: every certain edge holds in every order that explains them,
//! so that a cycle is a proof; and the drawing of it is well-formed.

#[path = "support/structures.rs"]
mod structures;
mod support;
#[path = "support/unique.rs"]
mod unique;

use std::collections::BTreeSet;

use petgraph::algo::has_path_connecting;
use petgraph::graph::NodeIndex;
use petgraph::visit::EdgeRef;
use rashomon_checker::explain::{ConflictGraph, Relation, Role, precedence};
use rashomon_checker::history::{NEVER, OpId, Outcome, read_bytes};
use rashomon_checker::linearizability::{Bound, Examined, Options, Verdict, check, examine};
use rashomon_checker::model::{Call, Model, Part, Specification, Visitor};
use rashomon_checker::{Cause, Explanation, History};

use structures::{STRUCTURES, structure};
use support::{WORKLOADS, history};
use unique::{Unique, unique};

/// Most operations of a history all of whose orders are tried.
const OPERATIONS: usize = 5;

/// For each object of a history, every order that explains it.
struct Orders;

impl Visitor for Orders {
    type Output = Vec<Vec<Vec<OpId>>>;

    fn visit<S: Specification>(self, parts: Vec<Part<S>>) -> Self::Output {
        let orders = |part: &Part<S>| {
            let (start, mut orders) = (part.specification.init(), Vec::new());
            extend(&part.specification, &start, &part.calls, &mut Vec::new(), &mut orders);
            orders
        };
        parts.iter().map(orders).collect()
    }
}

fn extend<S: Specification>(
    specification: &S,
    state: &S::State,
    rest: &[Call<S::Operation>],
    order: &mut Vec<OpId>,
    orders: &mut Vec<Vec<OpId>>,
) {
    if rest.iter().all(|call| call.ret == NEVER) {
        orders.push(order.clone());
    }
    for (index, next) in rest.iter().enumerate() {
        let mut others = rest.to_vec();
        others.remove(index);
        if others.iter().any(|other| other.ret < next.call) {
            continue;
        }
        if let Some(state) = specification.step(state, &next.operation) {
            order.push(next.id);
            extend(specification, &state, &others, order, orders);
            order.pop();
        }
    }
}

/// Certain edges, and cycles, that were held to all orders.
#[derive(Debug, Default)]
struct Counts {
    edges: usize,
    cycles: usize,
    violations: usize,
}

fn hold(history: &History, model: &Model, context: &str, counts: &mut Counts) {
    let all: Vec<OpId> = history.operations().map(|operation| operation.id()).collect();
    let graph = ConflictGraph::of_operations(history, model, &all, &[]).expect(context);
    let orders = model.decode(history, Orders).expect(context);
    let is_violation = orders.iter().any(Vec::is_empty);
    counts.violations += usize::from(is_violation);
    if !graph.cycles().is_empty() {
        counts.cycles += 1;
        assert!(is_violation, "{context}: {graph:?}");
    }
    for edge in graph.graph.edge_references() {
        let id = |node: NodeIndex| graph.graph[node].operation.id;
        let (from, to) = (id(edge.source()), id(edge.target()));
        for order in orders.iter().flatten().filter(|_| edge.weight().is_certain()) {
            let place = |id| order.iter().position(|&other| other == id);
            let holds = match (place(from), place(to), edge.weight()) {
                (Some(from), Some(to), _) => from < to,
                // What was seen must have been made.
                (None, Some(_), Relation::ReadsFrom) => false,
                _ => true,
            };
            assert!(holds, "{context}: {from:?} {:?} {to:?} in {order:?}", edge.weight());
            counts.edges += 1;
        }
    }
}

#[test]
fn certain_edges_hold_in_every_order() {
    let mut counts = Counts::default();
    for seed in 0..2_000 {
        for workload in WORKLOADS {
            let (history, mut rng) = history(workload, seed, OPERATIONS);
            let model: Model = workload.model(&mut rng).parse().expect("a model");
            hold(&history, &model, &format!("seed {seed} of {workload:?}"), &mut counts);
        }
        use Unique::{CasRegister, KvList, KvText, KvWhole, Register};
        for object in [Register, CasRegister, KvWhole, KvText, KvList] {
            let (history, mut rng) = unique(object, seed, OPERATIONS);
            let model: Model = object.model(&mut rng).parse().expect("a model");
            hold(&history, &model, &format!("seed {seed} of {object:?}"), &mut counts);
        }
        for of in STRUCTURES {
            let (history, name) = structure(of, seed, OPERATIONS);
            let model: Model = name.parse().expect("a model");
            hold(&history, &model, &format!("seed {seed} as {name}"), &mut counts);
        }
    }
    println!("{counts:?}");
    assert!(counts.edges > 10_000 && counts.cycles > 1_000, "{counts:?}");
}

#[test]
fn real_time_is_drawn_without_what_follows_and_nothing_is_lost() {
    for seed in 0..500 {
        let (history, _) = history(WORKLOADS[seed as usize % WORKLOADS.len()], seed, 9);
        let all: Vec<OpId> = history.operations().map(|operation| operation.id()).collect();
        let graph = precedence(&history, &all);
        let happened = |id| history.operation(id).outcome() != Outcome::Fail;
        let before = |one: OpId, other: OpId| {
            happened(one)
                && happened(other)
                && history.operation(one).ret() < history.operation(other).call()
        };
        for from in graph.node_indices() {
            for to in graph.node_indices() {
                let is_before = before(graph[from], graph[to]);
                let is_path = from != to && has_path_connecting(&graph, from, to, None);
                assert_eq!(is_path, is_before, "seed {seed}");
                let between = |&id: &OpId| before(graph[from], id) && before(id, graph[to]);
                let is_direct = is_before && !all.iter().any(between);
                assert_eq!(graph.contains_edge(from, to), is_direct, "seed {seed}");
            }
        }
    }
}

fn read(text: &str) -> History {
    let recording = read_bytes(text.as_bytes(), "h.edn", None).expect(text);
    History::from_events(&recording.events).expect(text)
}

fn explain(history: &History, model: &Model) -> Explanation {
    match check(history, model, &Options::default()).expect("decodes") {
        Verdict::Invalid(explanation) => *explanation,
        other => panic!("{other:?}"),
    }
}

const STALE: &str = r#"
    {:process 0 :type :invoke :f :write :value "one \"two\""}
    {:process 0 :type :ok :f :write :value "one \"two\""}
    {:process 1 :type :invoke :f :write :value 2}
    {:process 1 :type :ok :f :write :value 2}
    {:process 2 :type :invoke :f :read :value nil}
    {:process 2 :type :ok :f :read :value "one \"two\""}
"#;

#[test]
fn a_stale_read_is_a_cycle() {
    let (history, model) = (read(STALE), "register".parse().expect("a model"));
    let explanation = explain(&history, &model);
    assert_eq!(explanation.cause, Cause::StaleRead);
    let graph = ConflictGraph::of(&history, &model, &explanation).expect("decodes");
    let edges: BTreeSet<(u32, u32, String)> = graph
        .graph
        .edge_references()
        .map(|edge| {
            let id = |node: NodeIndex| graph.graph[node].operation.id.0;
            (id(edge.source()), id(edge.target()), format!("{:?}", edge.weight()))
        })
        .collect();
    let expected =
        [(0, 1, "RealTime"), (0, 2, "ReadsFrom"), (1, 2, "RealTime"), (2, 1, "AntiDependency")];
    let expected = expected.map(|(from, to, why)| (from, to, why.to_owned()));
    assert_eq!(edges, BTreeSet::from(expected));
    assert_eq!(graph.cycles(), [[OpId(1), OpId(2)]]);
    let roles: Vec<_> = graph.graph.node_weights().map(|node| node.role).collect();
    assert_eq!(roles, [Some(Role::Made), Some(Role::Newer), Some(Role::Unplaced)]);
}

/// A statement of Graphviz's language, as far as we write it: what it is of, and its attributes.
fn statement(line: &str) -> (Vec<usize>, Vec<(String, String)>) {
    let (nodes, attributes) = line.trim().split_once(" [ ").expect(line);
    let nodes = nodes.split(" -> ").map(|node| node.parse().expect(line)).collect();
    let mut rest = attributes.trim_end().strip_suffix(']').expect(line).trim_end();
    let mut pairs = Vec::new();
    while let Some((name, after)) = rest.split_once('=') {
        let end = match after.strip_prefix('"') {
            Some(quoted) => {
                let mut escaped = false;
                let end = quoted.char_indices().find(|&(_, c)| {
                    let is_end = c == '"' && !escaped;
                    escaped = c == '\\' && !escaped;
                    is_end
                });
                end.expect(line).0 + 2
            }
            None => after.find(',').unwrap_or(after.len()),
        };
        pairs.push((name.to_owned(), after[..end].to_owned()));
        rest = after[end..].trim_start_matches([',', ' ']);
    }
    assert_eq!(rest, "", "{line}");
    (nodes, pairs)
}

#[test]
fn the_drawing_is_well_formed() {
    let (history, model) = (read(STALE), "register".parse().expect("a model"));
    let graph = ConflictGraph::of(&history, &model, &explain(&history, &model)).expect("decodes");
    let dot = graph.to_dot();
    let lines: Vec<&str> = dot.lines().filter(|line| !line.trim().is_empty()).collect();
    let [first, rank, statements @ .., last] = &lines[..] else { panic!("{dot}") };
    assert_eq!((*first, rank.trim(), *last), ("digraph {", "rankdir=\"LR\"", "}"));
    let statements: Vec<_> = statements.iter().map(|line| statement(line)).collect();
    let (nodes, edges): (Vec<_>, Vec<_>) =
        statements.iter().partition(|(nodes, _)| nodes.len() == 1);
    assert_eq!((nodes.len(), edges.len()), (3, 4), "{dot}");
    let label = |(_, pairs): &(Vec<usize>, Vec<(String, String)>)| pairs[0].1.clone();
    assert_eq!(label(nodes[0]), r#""process 0 wrote \"one \\\"two\\\"\"\nline 3\nmade""#);
    assert!(nodes[2].1.contains(&("color".to_owned(), "red".to_owned())), "{dot}");
    let wide = edges.iter().filter(|(_, pairs)| pairs.contains(&("penwidth".into(), "2".into())));
    assert_eq!(wide.count(), 2, "{dot}");
}

#[test]
fn verdicts_are_data_and_come_back() {
    let model: Model = "register".parse().expect("a model");
    let hasty = Options { time: std::time::Duration::ZERO, ..Options::default() };
    let good = STALE.lines().take(5).collect::<Vec<_>>().join("\n");
    for (text, options, word, field) in [
        (&*good, Options::default(), "valid", "order"),
        (STALE, Options::default(), "violation", "minimal"),
        (STALE, hasty, "unknown", "resource"),
    ] {
        let examined = examine(&read(text), &model, &options).expect("decodes");
        let json = serde_json::to_value(&examined).expect("to JSON");
        assert_eq!(json["verdict"]["verdict"], word, "{json}");
        assert!(!json["verdict"][field].is_null(), "{json}");
        assert_eq!(serde_json::from_value::<Examined>(json).expect("from JSON"), examined);
        if let Verdict::Unknown(bound) = &examined.verdict {
            let json = serde_json::to_string(bound).expect("to JSON");
            assert_eq!(&serde_json::from_str::<Bound>(&json).expect("from JSON"), bound);
        }
    }
}
