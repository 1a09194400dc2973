//! Tests of merged traces, over simulated runs.

use std::collections::BTreeSet;
use std::time::Duration;

use petgraph::visit::Dfs;
use rashomon_stores::observe::trace::Kind;

use super::verify::{Wrong, graph, verify};
use super::{Name, Order, Traces, order, shiviz};
use crate::campaign::plan::WorkloadName;
use crate::sim::{Recorded, Scenario, Settings, Stores, System, Telling};

fn recorded(store: &str, seed: u64, told: Telling) -> Recorded {
    let settings = Settings {
        store: store.into(),
        bug: None,
        reads: Default::default(),
        workload: WorkloadName::Register,
        nemesis: "all".parse().expect("there are such kinds"),
        schedule: None,
        swarm: false,
        nodes: 3,
        concurrency: 3,
        rate: 20.0,
        time_limit: Duration::from_secs(1),
    };
    Stores.simulate(&Scenario::generate(seed, &settings), told).expect("it runs")
}

fn traces(recorded: &Recorded) -> Traces {
    let mut traces = Traces::default();
    for (_, trace) in &recorded.traces {
        assert_eq!(traces.add(trace).expect("a trace"), trace.len());
    }
    traces
}

/// Mattern's theorem over whole runs with faults: what can be reached in the graph of who sent what to
/// whom, and nothing else, comes later by the clocks.
#[test]
fn clocks_order_exactly_what_happened_before() {
    for (store, seed) in [("raft", 1), ("paxos", 2), ("eventual:siblings", 3)] {
        let traces = traces(&recorded(store, seed, Telling::NODE_TRACES));
        let (graph, counted) = graph(&traces).expect("it makes sense");
        assert!(counted.received > 100 && counted.believed == 0, "{store}: {counted:?}");
        // Every event is compared with all others, of every so many.
        for place in graph.node_indices().step_by(graph.node_count() / 300 + 1) {
            let mut later = BTreeSet::new();
            let mut search = Dfs::new(&graph, place);
            while let Some(next) = search.next(&graph) {
                later.insert(next);
            }
            for other in graph.node_indices() {
                let (one, two) = (graph[place], graph[other]);
                let reached = other != place && later.contains(&other);
                assert_eq!(one.happened_before(two), reached, "{store}: {one:?}, {two:?}");
                assert_eq!(order(one, two) == Order::Before, reached);
                assert_eq!(order(two, one) == Order::After, reached);
            }
        }
    }
}

#[test]
fn clocks_go_on_through_crashes_and_can_be_worked_out_again() {
    let mut kinds = BTreeSet::new();
    let mut restarts = 0;
    for seed in 1..=12 {
        let traces = traces(&recorded("raft", seed, Telling::NODE_TRACES));
        let verified = verify(&traces).expect("the clocks are right");
        let merged = traces.merged();
        assert_eq!(verified.events, merged.len(), "seed {seed}");
        for pair in merged.windows(2) {
            assert!(!pair[1].happened_before(pair[0]), "seed {seed}: {pair:?}");
        }
        kinds.extend(merged.iter().map(|event| {
            let kind = format!("{:?}", event.kind);
            kind.split(' ').next().expect("a word").to_owned()
        }));
        restarts += merged.iter().filter(|event| event.incarnation > 1).count();
        assert_eq!(traces.get(Name::of(merged[7])), Some(merged[7]));
    }
    assert!(restarts > 0);
    let all = ["Crash", "Note", "Persisted", "Receive", "Reply", "Request", "Send", "Start"];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), all);
}

#[test]
fn tracing_changes_nothing_and_is_the_same_again() {
    for store in ["raft", "eventual"] {
        let runs = [Telling::NODE_TRACES, Telling::NODE_TRACES, Telling::STORY];
        let [once, again, other] = runs.map(|told| recorded(store, 5, told));
        assert_eq!(once.traces, again.traces);
        assert!(once.events == other.events && once.traffic == other.traffic, "{store}");
        assert_eq!((once.traces.len(), other.traces.len()), (3, 0));
    }
}

/// The verification is not satisfied by anything: whatever is changed in one event is noticed.
#[test]
fn wrong_traces_are_noticed() {
    let traces = traces(&recorded("raft", 1, Telling::NODE_TRACES));
    let node = *traces.nodes().keys().next().expect("a node");
    let place = traces.nodes()[&node]
        .iter()
        .position(|event| matches!(event.kind, Kind::Receive { .. }))
        .expect("it receives something");
    let damaged = |damage: &dyn Fn(&mut Traces)| {
        let mut wrong = traces.clone();
        damage(&mut wrong);
        verify(&wrong).expect_err("it is wrong")
    };
    let missing = damaged(&|wrong| drop(wrong.nodes.get_mut(&node).expect("it").remove(place)));
    assert!(matches!(missing, Wrong::Trace(_)), "{missing}");
    let unsent = damaged(&|wrong| {
        let event = &mut wrong.nodes.get_mut(&node).expect("it")[place];
        if let Kind::Receive { number, .. } = &mut event.kind {
            *number += 1_000_000;
        }
    });
    assert!(matches!(unsent, Wrong::NeverSent(_)), "{unsent}");
    let knows_more = damaged(&|wrong| {
        let event = &mut wrong.nodes.get_mut(&node).expect("it")[place];
        let other = event.clock.iter().find(|(other, _)| *other != node).expect("its sender").0;
        event.clock.tick(other);
    });
    assert!(matches!(knows_more, Wrong::Clock { .. }), "{knows_more}");
    let only =
        Traces { nodes: [(node, traces.nodes()[&node].clone())].into(), ..Traces::default() };
    assert!(verify(&only).expect("it may be right").believed > 0);
}

#[test]
fn shiviz_gets_two_lines_an_event_and_every_host_counts_from_one() {
    let traces = traces(&recorded("raft", 1, Telling::NODE_TRACES));
    let text = shiviz::export(&traces);
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(r"(?<event>.*)\n(?<host>\S*) (?<clock>{.*})"));
    assert_eq!(lines.next(), Some(""));
    let lines: Vec<&str> = lines.collect();
    let mut counts = std::collections::BTreeMap::<&str, u64>::new();
    for pair in lines.chunks(2) {
        let (host, clock) = pair[1].split_once(' ').expect("a host and a clock");
        let clock: serde_json::Value = serde_json::from_str(clock).expect("JSON");
        let count = counts.entry(host).or_default();
        *count += 1;
        assert_eq!(clock[host], *count, "{pair:?}");
    }
    assert_eq!(lines.len(), 2 * traces.merged().len());
}
