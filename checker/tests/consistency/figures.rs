//! Histories written by hand, one for each way in which a promise breaks, and for what looks like it
//! and is none. A line is an operation, as `process node f value`, one after the other; `|` in front
//! of a line makes it overlap the one before, `end` marks the final reads.

use std::collections::BTreeMap;
use std::time::Duration;

use rashomon_checker::consistency::{Clocks, Finding, MISMATCH, Options, Promise, judge};
use rashomon_checker::history::{EventType, Value};

use crate::BESIDE;
use crate::scribe::{NODES, Op, history};

fn value(text: &str) -> Value {
    match text {
        "nil" => Value::Nil,
        "true" => Value::Bool(true),
        list if list.starts_with('[') => {
            let items = list.trim_matches(['[', ']']).split(',').filter(|it| !it.is_empty());
            Value::list(items.map(value))
        }
        int => Value::Int(int.parse().expect("a number")),
    }
}

pub(crate) fn parse(text: &str) -> (Vec<Op>, Option<u64>) {
    let names = ["read", "write", "cas", "delete", "append", "add", "increment"];
    let (mut ops, mut end, mut time) = (Vec::<Op>::new(), None, 0);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        time += 100;
        if line == "end" {
            end = Some(time);
            continue;
        }
        let words: Vec<&str> = line.trim_start_matches("| ").split(' ').collect();
        let [process, node, f, argument, ref fate @ ..] = words[..] else { panic!("{line}") };
        let f = names.into_iter().find(|name| *name == f).expect("a known function");
        let node = NODES.into_iter().find(|name| *name == node).expect("a known node");
        let kind = match fate {
            ["info"] => EventType::Info,
            ["fail"] | ["found", _] => EventType::Fail,
            _ => EventType::Ok,
        };
        let error = match fate {
            ["found", found] => Some(format!("{MISMATCH}{found}")),
            _ => None,
        };
        let (input, output) = match f {
            "read" => (Value::Nil, value(argument)),
            _ => (value(argument), value(argument)),
        };
        // An overlapping operation begins before the one before has ended.
        let call =
            if line.starts_with('|') { ops.last().map_or(time, |op| op.call + 1) } else { time };
        let process = process.parse().expect("a process");
        ops.push(Op {
            process,
            node,
            f,
            key: "x",
            input,
            output,
            kind,
            error,
            call,
            ret: time + 50,
        });
    }
    (ops, end)
}

/// Name, history, and what is broken.
const FIGURES: &[(&str, &str, &[Promise])] = &[
    ("all is well", "1 n1 write 1\n 2 n2 read 1\n end\n 8 n1 read 1\n 9 n2 read 1", &[]),
    (
        "nodes that differ",
        "1 n1 write 1\n | 2 n2 write 2\n end\n 8 n1 read 1\n 9 n2 read 2",
        &[Promise::Convergence],
    ),
    (
        "an older value wins",
        "1 n1 write 1\n 2 n2 write 2\n end\n 8 n1 read 1\n 9 n2 read 1",
        &[Promise::NoLostWrites],
    ),
    (
        "one of two at the same time wins",
        "1 n1 write 1\n | 2 n2 write 2\n end\n 8 n1 read 1\n 9 n2 read 1",
        &[],
    ),
    (
        "what nobody knows of wins",
        "1 n1 write 1 info\n 2 n2 write 2\n end\n 8 n1 read 1\n 9 n2 read 1",
        &[],
    ),
    (
        "everything is gone",
        "1 n1 write 1\n end\n 8 n1 read nil\n 9 n2 read nil",
        &[Promise::NoLostWrites],
    ),
    (
        "deleted for good",
        "1 n1 write 1\n 2 n2 delete nil\n end\n 8 n1 read nil\n 9 n2 read nil",
        &[],
    ),
    (
        "a doomstone",
        "1 n1 write 1\n 2 n2 delete nil\n end\n 8 n1 read 1\n 9 n2 read 1",
        &[Promise::NoResurrection],
    ),
    (
        "the session loses what it wrote before",
        "1 n1 write 1\n 1 n1 write 2\n end\n 8 n1 read 1\n 9 n2 read 1",
        &[Promise::NoLostWrites, Promise::MonotonicWrites],
    ),
    (
        "a write that did not follow what was read",
        "1 n1 write 1\n 2 n2 read 1\n 2 n3 write 2\n end\n 8 n1 read 1\n 9 n2 read 1",
        &[Promise::NoLostWrites, Promise::WritesFollowReads],
    ),
    ("thin air", "1 n1 read 7", &[Promise::NoValuesFromNowhere]),
    ("an aborted read", "1 n1 write 7 fail\n 2 n1 read 7", &[Promise::NoValuesFromNowhere]),
    ("the future", "1 n1 read 7\n 2 n1 write 7", &[Promise::NoValuesFromNowhere]),
    ("a stale read of another process", "1 n1 write 1\n 2 n2 read nil", &[]),
    ("one's own write is not there", "1 n1 write 1\n 1 n2 read nil", &[Promise::ReadYourWrites]),
    (
        "one's own write is hidden by an older one",
        "2 n2 write 1\n 1 n1 write 2\n 1 n2 read 1",
        &[Promise::ReadYourWrites],
    ),
    (
        "one's own write is hidden by a concurrent one",
        "2 n2 write 1\n | 1 n1 write 2\n 1 n2 read 1",
        &[],
    ),
    (
        "a value disappears again",
        "1 n1 write 1\n 2 n1 read 1\n 2 n2 read nil",
        &[Promise::MonotonicReads],
    ),
    (
        "two values take turns",
        "1 n1 write 1\n | 2 n2 write 2\n 3 n1 read 1\n 3 n2 read 2\n 3 n1 read 1",
        &[Promise::MonotonicReads],
    ),
    (
        "two processes see two orders",
        "1 n1 write 1\n | 2 n2 write 2\n 3 n1 read 1\n 3 n2 read 2\n 4 n2 read 2\n 4 n1 read 1",
        &[Promise::MonotonicReads],
    ),
    (
        "each one's write is older than the other's",
        "1 n1 write 1\n | 2 n2 write 2\n 1 n2 read 2\n 2 n1 read 1",
        &[Promise::ReadYourWrites],
    ),
    (
        "what a compare-and-set replaced is back",
        "1 n1 write 1\n 2 n1 cas [1,2]\n end\n 8 n1 read 1\n 9 n2 read 1",
        &[Promise::NoLostWrites],
    ),
    (
        "both values are kept",
        "1 n1 write 1\n | 2 n2 write 2\n end\n 8 n1 read [1,2]\n 9 n2 read [2,1]",
        &[],
    ),
    (
        "one of two values is lost",
        "1 n1 write 1\n | 2 n2 write 2\n end\n 8 n1 read [1]\n 9 n2 read [1]",
        &[Promise::NoLostWrites],
    ),
    (
        "who had seen a value replaces it",
        "1 n1 write 1\n 2 n1 read [1]\n 2 n2 write 2\n end\n 8 n1 read [2]\n 9 n2 read [2]",
        &[],
    ),
    (
        "who had not seen a value replaces it",
        "1 n1 write 1\n 2 n2 write 2\n end\n 8 n1 read [2]\n 9 n2 read [2]",
        &[Promise::NoLostWrites],
    ),
    (
        "what was replaced stays",
        "1 n1 write 1\n 2 n1 read [1]\n 2 n2 write 2\n end\n 8 n1 read [1,2]\n 9 n2 read [1,2]",
        &[Promise::NoFalseConcurrency],
    ),
    (
        "what was replaced by way of another stays",
        "1 n1 write 1\n 2 n1 read [1]\n 2 n2 write 2\n 3 n2 read [2]\n 3 n2 write 3\n 4 n1 read [1,3]",
        &[Promise::NoFalseConcurrency],
    ),
    (
        "a compare-and-set replaces what its client had not seen, and only that",
        "1 n1 write 1\n | 2 n2 write 2\n 3 n1 read [2]\n 3 n1 cas [1,3]\n end\n 8 n1 read [2,3]\n 9 n2 read [2,3]",
        &[],
    ),
    (
        "who had seen a value by a compare-and-set that failed replaces it",
        "1 n1 write 1\n 2 n1 cas [7,8] found 1\n 2 n2 write 2\n end\n 8 n1 read [2]\n 9 n2 read [2]",
        &[],
    ),
    (
        "who had seen another value by a compare-and-set that failed",
        "1 n1 write 1\n | 3 n2 write 3\n 2 n1 cas [7,8] found 3\n 2 n2 write 2\n end\n 8 n1 read [2]\n 9 n2 read [2]",
        &[Promise::NoLostWrites],
    ),
    (
        "who may have seen anything by a compare-and-set that failed",
        "1 n1 write 1\n 2 n1 cas [7,8] fail\n 2 n2 write 2\n end\n 8 n1 read [2]\n 9 n2 read [2]",
        &[],
    ),
    (
        "a deleted value beside nothing",
        "1 n1 write 1\n 2 n1 read [1]\n 2 n1 delete nil\n end\n 8 n1 read [1]\n 9 n2 read [1]",
        &[Promise::NoResurrection],
    ),
    (
        "a delete that had not seen the value",
        "1 n1 write 1\n 2 n2 delete nil\n end\n 8 n1 read [1]\n 9 n2 read [1]",
        &[],
    ),
    (
        "one's own value is not among them",
        "1 n1 write 1\n | 2 n2 write 2\n 1 n2 read [2]",
        &[Promise::ReadYourWrites],
    ),
    (
        "a value is not among them any more",
        "1 n1 write 1\n | 2 n2 write 2\n 3 n1 read [1,2]\n 3 n1 read [2]",
        &[Promise::MonotonicReads],
    ),
    (
        "an element is lost",
        "1 n1 append 1\n 2 n2 append 2\n end\n 8 n1 read [2]\n 9 n2 read [2]",
        &[Promise::NoLostWrites],
    ),
    (
        "lists in two orders",
        "1 n1 append 1\n | 2 n2 append 2\n end\n 8 n1 read [1,2]\n 9 n2 read [2,1]",
        &[Promise::Convergence],
    ),
    (
        "sets have no order",
        "1 n1 add 1\n | 2 n2 add 2\n end\n 8 n1 read [1,2]\n 9 n2 read [2,1]",
        &[],
    ),
    (
        "an element goes away",
        "1 n1 add 1\n 1 n1 read [1]\n 1 n2 read []",
        &[Promise::ReadYourWrites, Promise::MonotonicReads],
    ),
    (
        "a sum without all of it",
        "1 n1 increment 1\n 2 n2 increment 2\n end\n 8 n1 read 1\n 9 n2 read 1",
        &[Promise::NoLostWrites],
    ),
    (
        "a lost addition without a value",
        "1 n1 increment nil\n end\n 8 n1 read 0\n 9 n2 read 0",
        &[Promise::NoLostWrites],
    ),
    ("a sum beyond all of it", "1 n1 increment 1\n 2 n2 read 3", &[Promise::NoValuesFromNowhere]),
    (
        "a sum with what nobody knows of",
        "1 n1 increment 1\n 2 n2 increment 2 info\n end\n 8 n1 read 3\n 9 n2 read 3",
        &[],
    ),
];

#[test]
fn every_figure_breaks_what_it_says_and_nothing_else() {
    for (name, text, broken) in FIGURES {
        let (ops, end) = parse(text);
        let rows = judge(&history(&ops, end), &BESIDE, &Options::default());
        let found: Vec<Promise> = rows
            .iter()
            .filter(|row| matches!(row.finding, Finding::Violated(_)))
            .map(|row| row.promise)
            .collect();
        assert_eq!(found, *broken, "{name}: {rows:#?}");
        let names_final = [Promise::Convergence, Promise::NoLostWrites, Promise::NoResurrection];
        for row in rows.iter().filter(|row| names_final.contains(&row.promise)) {
            let is_unknown = matches!(row.finding, Finding::Unknown { .. });
            assert_eq!(is_unknown, end.is_none(), "{name}: {row:?}");
        }
    }
}

fn sentence(text: &str, promise: Promise, options: &Options) -> String {
    let (ops, end) = parse(text);
    match judge(&history(&ops, end), &[promise], options).remove(0).finding {
        Finding::Violated(violation) => violation.sentence,
        other => panic!("{other:?}"),
    }
}

#[test]
fn sentences_name_the_operations_and_their_lines() {
    let figures: BTreeMap<&str, &str> =
        FIGURES.iter().map(|(name, text, _)| (*name, *text)).collect();
    let of = |name, promise| sentence(figures[name], promise, &Options::default());
    assert_eq!(
        of("nodes that differ", Promise::Convergence),
        "key x: in the end n1 answers 1 (line 7), but n2 answers 2 (line 9)"
    );
    assert_eq!(
        of("an older value wins", Promise::NoLostWrites),
        "key x: process 2 wrote 2 (line 4), but in the end n1, n2 show 1, which is older"
    );
    assert_eq!(
        of("one's own write is hidden by an older one", Promise::ReadYourWrites),
        "key x: process 1 wrote 2 (line 4) and then read 1 (line 6), but 1 was written before 2 was \
         begun"
    );
    assert_eq!(
        of("two values take turns", Promise::MonotonicReads),
        "key x: process 3 read 1 (line 6) and then read 2 (line 8), but process 3 read 2 (line 8) and \
         then read 1 (line 10)"
    );
    assert_eq!(
        of("what was replaced stays", Promise::NoFalseConcurrency),
        "key x: process 8 read [1 2] (line 9) side by side, but whoever brought 2 had replaced 1: \
         process 2 wrote 2 (line 6) having read 1"
    );
}

#[test]
fn clocks_that_may_be_apart_excuse_what_perfect_ones_do_not() {
    let text = "1 n1 write 1\n 2 n2 write 2\n end\n 8 n1 read 1\n 9 n2 read 1";
    let (ops, end) = parse(text);
    let lost = |clocks| {
        let options = Options { clocks, ..Options::default() };
        let rows = judge(&history(&ops, end), &[Promise::NoLostWrites], &options);
        matches!(rows[0].finding, Finding::Violated(_))
    };
    let within = |apart| Clocks::Within(Duration::from_nanos(apart));
    // One write ends 50 ns before the other begins.
    assert!(lost(Clocks::PERFECT) && lost(within(49)));
    assert!(!lost(within(50)) && !lost(Clocks::Unknown));
}

#[test]
fn of_a_session_that_is_told_which_did_it() {
    let text = "1 n1 write 1\n 1 n1 write 2\n | 2 n2 write 3\n 1 n2 read 3\n 2 n1 read 1";
    let options = Options { clocks: Clocks::Unknown, ..Options::default() };
    let told = sentence(text, Promise::ReadYourWrites, &options);
    assert!(told.contains("process 1 wrote 1 (line 2) and then read 3"), "{told}");
    assert!(told.contains("process 2 wrote 3 (line 6) and then read 1"), "{told}");
}

#[test]
fn a_hybrid_clock_orders_what_one_node_did() {
    let lost = |text| {
        let (ops, end) = parse(text);
        let options = Options { clocks: Clocks::Hybrid, ..Options::default() };
        let rows = judge(&history(&ops, end), &[Promise::NoLostWrites], &options);
        matches!(rows[0].finding, Finding::Violated(_))
    };
    assert!(lost("1 n1 write 1\n 2 n1 write 2\n end\n 8 n1 read 1"));
    assert!(!lost("1 n1 write 1\n 2 n2 write 2\n end\n 8 n1 read 1"), "another node's clock");
    assert!(lost("1 n1 write 1\n 3 n2 read 1\n 2 n2 write 2\n end\n 8 n1 read 1"), "it knew");
    assert!(!lost("1 n1 write 1\n | 2 n1 write 2\n end\n 8 n1 read 1"), "at the same time");
}

#[test]
fn repeated_values_are_unknown_where_they_matter() {
    let (ops, end) = parse("1 n1 write 1\n 2 n2 write 1\n 1 n1 read 1");
    let rows = judge(&history(&ops, end), &[Promise::ReadYourWrites], &Options::default());
    let Finding::Unknown { why } = &rows[0].finding else { panic!("{rows:?}") };
    assert!(why.contains("written more than once") && why.contains("line 6"), "{why}");
}

#[test]
fn other_data_types_are_said_to_be_unknown() {
    let op = |f, call| Op {
        process: 1,
        node: "n1",
        f,
        key: "x",
        input: Value::Nil,
        output: Value::Nil,
        kind: EventType::Ok,
        error: None,
        call,
        ret: call + 1,
    };
    let history = history(&[op("acquire", 1), op("release", 3)], None);
    let rows = judge(&history, &[Promise::MonotonicReads], &Options::default());
    assert!(matches!(&rows[0].finding, Finding::Unknown { why } if why.contains("`acquire`")));
}
