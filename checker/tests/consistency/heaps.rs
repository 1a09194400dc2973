//! Lists, sets and counters against what they are: everything that was put in stays in.

use std::collections::BTreeSet;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rashomon_checker::consistency::{Finding, Options, Promise, judge};
use rashomon_checker::history::{EventType, Value};

use crate::scribe::{NODES, Op, history};
use crate::{CASES, Tally};

/// How things are put in.
const WAYS: [&str; 3] = ["append", "add", "increment"];

/// A small history, and when its clients were done.
fn small(rng: &mut ChaCha8Rng, put: &'static str) -> (Vec<Op>, u64) {
    let mut ops: Vec<Op> = Vec::new();
    let mut free = [0; 3];
    for number in 0..rng.random_range(2..7i64) {
        let client = rng.random_range(0..free.len());
        let call = free[client] + rng.random_range(1..30) * 100 + number as u64 * 2;
        let ret = call + rng.random_range(1..60) * 100 + 1;
        free[client] = ret - ret % 100 + 100;
        let f = if rng.random_bool(0.5) { put } else { "read" };
        let kind = match rng.random_range(0..10) {
            0 if f != "read" => EventType::Fail,
            1 if f != "read" => EventType::Info,
            _ => EventType::Ok,
        };
        // Whose fate is unknown does nothing more.
        if kind == EventType::Info {
            free[client] = 1_000_000;
        }
        let input = if f == "read" { Value::Nil } else { Value::Int(number + 1) };
        let (process, output) = (client as u64, input.clone());
        let node = NODES[rng.random_range(0..2)];
        let (key, error) = ("x", None);
        ops.push(Op { process, node, f, key, input, output, kind, error, call, ret });
    }
    ops.retain(|op| op.call < 1_000_000);
    let end = 2_000_000;
    for (number, node) in NODES[..rng.random_range(1..3)].iter().enumerate() {
        let (process, call) = (1_000 + number as u64, end + 10 + number as u64 * 10);
        let (input, output, kind) = (Value::Nil, Value::Nil, EventType::Ok);
        let (f, key, error, ret) = ("read", "x", None, call + 5);
        ops.push(Op { process, node, f, key, input, output, kind, error, call, ret });
    }
    ops.sort_by_key(|op| op.call);
    let puts: Vec<Op> = ops.iter().filter(|op| op.f == put).cloned().collect();
    // Mostly right, so that each fault also comes alone.
    let wild = rng.random_bool(0.5);
    for read in ops.iter_mut().filter(|op| op.f == "read") {
        let begun = |op: &&Op| op.call < read.ret && op.kind != EventType::Fail;
        let chance = if wild { 0.3 } else { 0.05 };
        let mut seen: Vec<Value> = puts.iter().filter(begun).map(|op| op.input.clone()).collect();
        seen.retain(|_| !rng.random_bool(chance));
        if rng.random_bool(chance / 4.0) {
            seen.extend(puts.get(rng.random_range(0..6)).map(|op| op.input.clone()));
            seen.dedup();
        }
        if rng.random_bool(chance / 2.0) {
            seen.reverse();
        }
        read.output = match put {
            "increment" => Value::Int(seen.iter().filter_map(Value::as_int).sum()),
            _ => Value::list(seen),
        };
    }
    (ops, end)
}

/// What the definitions need.
struct Facts {
    puts: Vec<Op>,
    reads: Vec<Op>,
    end: u64,
}

impl Facts {
    fn of(ops: &[Op], end: u64) -> Self {
        let part = |is_read: bool| {
            let kept = |op: &&Op| (op.f == "read") == is_read && op.kind != EventType::Fail;
            ops.iter().filter(kept).cloned().collect()
        };
        Facts { puts: part(false), reads: part(true), end }
    }

    fn finals(&self) -> Vec<&Op> {
        self.reads.iter().filter(|read| read.call > self.end).collect()
    }

    fn converged(&self) -> bool {
        let answers = self.finals().into_iter().map(|read| match self.puts.first() {
            Some(op) if op.f == "add" => Value::list(elements(&read.output)),
            _ => read.output.clone(),
        });
        answers.collect::<BTreeSet<Value>>().len() == 1
    }

    /// What was surely put in, and what may have been, by some time.
    fn bounds(&self, by: u64) -> (i64, i64) {
        let sum = |of: &dyn Fn(&&Op) -> bool| -> i64 {
            self.puts.iter().filter(of).filter_map(|op| op.input.as_int()).sum()
        };
        let is_sure = |op: &&Op| op.kind == EventType::Ok && op.ret < by;
        (sum(&is_sure), sum(&|op| op.call < by))
    }

    fn nothing_lost(&self) -> bool {
        let finals = self.finals();
        let seen: Vec<Value> = finals.iter().flat_map(|read| elements(&read.output)).collect();
        let in_the_end = self.puts.iter().filter(|op| op.kind == EventType::Ok);
        let (least, most) = self.bounds(u64::MAX);
        let in_bounds =
            |read: &&Op| read.output.as_int().is_some_and(|it| (least..=most).contains(&it));
        match self.counts() {
            true => finals.iter().any(in_bounds),
            false => in_the_end.into_iter().all(|op| seen.contains(&op.input)),
        }
    }

    fn counts(&self) -> bool {
        self.reads.iter().any(|read| read.output.as_int().is_some())
    }

    fn nothing_from_nowhere(&self) -> bool {
        self.reads.iter().all(|read| match read.output.as_int() {
            Some(sum) => (0..=self.bounds(read.ret).1).contains(&sum),
            None => elements(&read.output).iter().all(|element| {
                self.puts.iter().any(|op| op.input == *element && op.call < read.ret)
            }),
        })
    }

    fn stays(&self, known: impl Fn(&Op) -> Vec<Value>) -> bool {
        self.reads.iter().all(|read| {
            let seen = elements(&read.output);
            known(read).iter().all(|element| seen.contains(element))
        })
    }

    fn read_your_writes(&self) -> bool {
        self.stays(|read| {
            let own = self.puts.iter().filter(|op| {
                op.process == read.process && op.ret < read.call && op.kind == EventType::Ok
            });
            own.map(|op| op.input.clone()).collect()
        })
    }

    /// What nobody may have put in need not stay.
    fn monotonic_reads(&self) -> bool {
        self.stays(|read| {
            let earlier =
                self.reads.iter().filter(|it| it.process == read.process && it.ret < read.call);
            let seen = earlier.flat_map(|it| elements(&it.output));
            seen.filter(|element| self.puts.iter().any(|op| op.input == *element)).collect()
        })
    }
}

fn elements(list: &Value) -> Vec<Value> {
    let mut elements = list.as_list().map(<[Value]>::to_vec).unwrap_or_default();
    elements.sort();
    elements
}

#[test]
fn what_is_put_in_stays_in() {
    let mut tally = Tally::default();
    for seed in 0..CASES {
        let mut rng = ChaCha8Rng::seed_from_u64(3 * CASES + seed);
        let put = WAYS[seed as usize % WAYS.len()];
        let (ops, end) = small(&mut rng, put);
        let facts = Facts::of(&ops, end);
        // What it is that is read shows in what is done.
        if !ops.iter().any(|op| op.f == put) {
            continue;
        }
        let rows = judge(&history(&ops, Some(end)), Promise::beside(), &Options::default());
        for row in &rows {
            let is_sum = put == "increment";
            let holds = match row.promise {
                Promise::Convergence => facts.converged(),
                Promise::NoLostWrites => facts.nothing_lost(),
                Promise::NoValuesFromNowhere => facts.nothing_from_nowhere(),
                Promise::ReadYourWrites => is_sum || facts.read_your_writes(),
                Promise::MonotonicReads => is_sum || facts.monotonic_reads(),
                // There is nothing to be seen of these.
                _ => {
                    let is_violated = matches!(row.finding, Finding::Violated(_));
                    assert!(!is_violated, "seed {seed}: {row:?}");
                    continue;
                }
            };
            tally.compare(row.promise, &row.finding, holds, false, &format!("seed {seed}, {put}"));
        }
    }
    tally.has_both(&[
        Promise::Convergence,
        Promise::NoLostWrites,
        Promise::NoValuesFromNowhere,
        Promise::ReadYourWrites,
        Promise::MonotonicReads,
    ]);
}
