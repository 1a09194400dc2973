//! The promises against their definitions, against stores that keep them or do not, and on histories
//! written by hand.

mod atomicity;
mod brute;
mod figures;
mod heaps;
mod rungs;
mod scribe;
mod staleness;
mod stores;

use std::collections::BTreeMap;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rashomon_checker::consistency::{Clocks, Finding, Options, Promise, judge};
use rashomon_checker::history::{EventType, Value};

use brute::Facts;
use scribe::{NODES, Op, history};

/// Random histories of each kind.
const CASES: u64 = 40_000;

/// A small history of one key, each process doing one thing after the other, with final reads; and
/// when the clients were done.
fn small(rng: &mut ChaCha8Rng, siblings: bool) -> (Vec<Op>, u64) {
    let mut ops: Vec<Op> = Vec::new();
    let mut time = 0;
    let mut free = vec![0; rng.random_range(1..4)];
    let mut process: Vec<u64> = (0..free.len() as u64).collect();
    let mut values: Vec<Value> = Vec::new();
    let deletes = rng.random_bool(0.3);
    for number in 0..rng.random_range(2..7) {
        let client = rng.random_range(0..free.len());
        time = time.max(free[client]) + rng.random_range(1..30) * 10;
        let fresh = Value::Int(number + 1);
        let some = |rng: &mut ChaCha8Rng, values: &[Value]| match values.len() {
            0 => Value::Nil,
            many => values[rng.random_range(0..many)].clone(),
        };
        let (f, input) = match rng.random_range(0..10) {
            0 if deletes => ("delete", Value::Nil),
            1 => ("cas", Value::list([some(rng, &values), fresh.clone()])),
            0..5 => ("write", fresh.clone()),
            _ => ("read", Value::Nil),
        };
        if f == "write" || f == "cas" {
            values.push(fresh);
        }
        let kind = match rng.random_range(0..10) {
            0 if f != "read" => EventType::Info,
            1 => EventType::Fail,
            _ => EventType::Ok,
        };
        let ret = time + rng.random_range(1..60) * 10;
        let of = process[client];
        if kind == EventType::Info {
            process[client] += 100;
        }
        free[client] = ret;
        let call = time + number as u64 % 10;
        let output = if f == "read" { Value::Nil } else { input.clone() };
        let node = NODES[rng.random_range(0..2)];
        ops.push(Op {
            process: of,
            node,
            f,
            key: "x",
            input,
            output,
            kind,
            error: None,
            call,
            ret: ret + 5,
        });
    }
    let end = free.iter().max().unwrap_or(&0).max(&time) + 1_000;
    for (number, node) in NODES[..rng.random_range(0..3)].iter().enumerate() {
        let (process, call) = (1_000 + number as u64, end + 10 + number as u64 * 10);
        let (input, output, kind) = (Value::Nil, Value::Nil, EventType::Ok);
        let (f, key) = ("read", "x");
        ops.push(Op {
            process,
            node,
            f,
            key,
            input,
            output,
            kind,
            error: None,
            call,
            ret: call + 5,
        });
    }
    unique_times(&mut ops);
    for read in ops.iter_mut().filter(|op| op.f == "read" && op.kind == EventType::Ok) {
        let mut some = || match rng.random_range(0..12) {
            0 => Value::Nil,
            1 => Value::Int(99),
            _ if values.is_empty() => Value::Nil,
            _ => values[rng.random_range(0..values.len())].clone(),
        };
        read.output = match siblings {
            false => some(),
            true => {
                let mut items: Vec<Value> =
                    (0..3).map(|_| some()).filter(|it| !it.is_nil()).collect();
                items.sort();
                items.dedup();
                // Two or fewer, so that something can be missing.
                items.truncate(2);
                Value::list(items)
            }
        };
    }
    (ops, end * 100)
}

/// Makes all times different, keeping their order.
fn unique_times(ops: &mut [Op]) {
    for (number, op) in ops.iter_mut().enumerate() {
        op.call = op.call * 100 + number as u64 * 2;
        op.ret = op.ret * 100 + number as u64 * 2 + 1;
    }
}

#[derive(Default)]
struct Tally(BTreeMap<&'static str, [u64; 2]>);

impl Tally {
    /// Compares a finding with the definition. What may be missed is what only ambiguous sources
    /// would show.
    fn compare(
        &mut self,
        promise: Promise,
        finding: &Finding,
        holds: bool,
        may_miss: bool,
        context: &str,
    ) {
        let name = promise.as_str();
        match finding {
            Finding::Violated(violation) => {
                assert!(!holds, "{context}: {name} is kept, yet: {}", violation.sentence);
                assert!(!violation.proof.is_empty(), "{context}: {name} without proof");
                self.0.entry(name).or_default()[1] += 1;
            }
            Finding::Held { .. } => {
                assert!(holds || may_miss, "{context}: {name} is broken and nobody saw it");
                self.0.entry(name).or_default()[0] += 1;
            }
            Finding::Unknown { .. } => {}
        }
    }

    fn has_both(&self, promises: &[Promise]) {
        for promise in promises {
            let counts = self.0.get(promise.as_str()).copied().unwrap_or_default();
            let least = CASES / 200;
            assert!(
                counts.iter().all(|count| *count > least),
                "{promise} is one-sided: {counts:?}"
            );
        }
    }
}

#[test]
fn registers_are_judged_as_defined() {
    let mut tally = Tally::default();
    for seed in 0..CASES {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (ops, end) = small(&mut rng, false);
        let apart = Clocks::Within(Duration::from_nanos(20_000));
        let clocks = [Clocks::PERFECT, apart, Clocks::Hybrid, Clocks::Unknown][seed as usize % 4];
        let options = Options { clocks, ..Options::default() };
        let facts = Facts::of(&ops, end, clocks);
        if !facts.is_sane() {
            continue;
        }
        let rows = judge(&history(&ops, Some(end)), Promise::beside(), &options);
        let context = format!("seed {seed}, {clocks:?}");
        for row in &rows {
            let (holds, may_miss) = match row.promise {
                Promise::Convergence => (facts.converged(), false),
                Promise::NoLostWrites => (facts.nothing_lost(false), false),
                Promise::NoResurrection => (facts.nothing_lost(true), false),
                Promise::NoValuesFromNowhere => (facts.nothing_from_nowhere(), false),
                Promise::ReadYourWrites => (facts.read_your_writes(), facts.has_deletes()),
                Promise::MonotonicReads => (facts.monotonic_reads(), facts.has_deletes()),
                Promise::MonotonicWrites => (facts.writes_in_order(false), facts.has_deletes()),
                Promise::WritesFollowReads => (facts.writes_in_order(true), facts.has_deletes()),
                Promise::NoFalseConcurrency => (true, false),
                _ => continue,
            };
            tally.compare(row.promise, &row.finding, holds, may_miss, &context);
        }
    }
    tally.has_both(&Promise::beside()[..Promise::beside().len() - 1]);
}

#[test]
fn values_side_by_side_are_judged_as_defined() {
    let mut tally = Tally::default();
    for seed in 0..CASES {
        let mut rng = ChaCha8Rng::seed_from_u64(CASES + seed);
        let (ops, end) = small(&mut rng, true);
        if !ops.iter().any(|op| op.output.as_list().is_some()) {
            continue;
        }
        let facts = Facts::of(&ops, end, Clocks::Unknown);
        let rows = judge(&history(&ops, Some(end)), Promise::beside(), &Options::default());
        let context = format!("seed {seed}");
        for row in &rows {
            let holds = match row.promise {
                Promise::Convergence => facts.converged(),
                Promise::NoLostWrites => facts.no_value_lost(),
                Promise::NoResurrection => facts.nothing_back(),
                Promise::NoValuesFromNowhere => facts.nothing_from_nowhere(),
                Promise::ReadYourWrites => facts.own_values_in_sight(),
                Promise::MonotonicReads => facts.seen_values_in_sight(),
                Promise::NoFalseConcurrency => facts.no_false_concurrency(),
                _ => continue,
            };
            tally.compare(row.promise, &row.finding, holds, false, &context);
        }
    }
    let judged = Promise::beside().iter().copied().filter(|promise| {
        !matches!(promise, Promise::MonotonicWrites | Promise::WritesFollowReads)
    });
    tally.has_both(&judged.collect::<Vec<_>>());
}

/// Every rung on random histories; `cargo run --release --example rungs` does more of them.
#[test]
fn rungs_are_judged_as_defined() {
    let tally = rungs::compare_all(0..100_000, 8);
    for (rung, counts) in &tally {
        assert!(counts[..2].iter().all(|count| *count > 8_000), "{rung}: {counts:?}");
    }
}

/// A hundred thousand operations of twenty processes on one key, all as it should be.
#[test]
fn long_histories_do_not_matter() {
    let mut ops = Vec::new();
    let mut value = Value::Nil;
    for number in 0..100_000u64 {
        let (call, ret) = (number * 10, number * 10 + 5);
        let f = if number % 2 == 0 { "write" } else { "read" };
        if number % 2 == 0 {
            value = Value::Int(number as i64);
        }
        let input = if f == "write" { value.clone() } else { Value::Nil };
        let (process, node, output) = (number / 2 % 20, NODES[number as usize % 3], value.clone());
        ops.push(Op {
            process,
            node,
            f,
            key: "x",
            input,
            output,
            kind: EventType::Ok,
            error: None,
            call,
            ret,
        });
    }
    let rows = judge(&history(&ops, None), &Promise::ALL, &Options::default());
    for row in rows {
        let is_final = matches!(
            row.promise,
            Promise::Convergence | Promise::NoLostWrites | Promise::NoResurrection
        );
        match row.finding {
            Finding::Held { .. } => assert!(!is_final, "{}", row.promise),
            Finding::Unknown { .. } => assert!(is_final, "{}", row.promise),
            Finding::Violated(violation) => panic!("{}: {}", row.promise, violation.sentence),
        }
    }
}

#[test]
fn names_are_read_back() {
    for promise in Promise::ALL {
        assert_eq!(promise.as_str().parse(), Ok(promise));
    }
    let error = "convergance".parse::<Promise>().unwrap_err().to_string();
    assert!(error.contains("convergence, no-lost-writes"), "{error}");
}
