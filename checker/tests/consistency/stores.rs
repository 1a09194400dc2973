//! Small eventually consistent stores, right and wrong ones: what a right one does is never a
//! violation of what it promises, and what a wrong one does is found.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rashomon_checker::consistency::{Clocks, Finding, Options, Promise, judge};
use rashomon_checker::history::{EventType, Value};

use crate::scribe::{NODES, Op, history};

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    /// A node forgets what it acknowledged.
    Forgets,
    /// One node hears nothing of the others in the end.
    Deaf,
    /// A delete leaves no trace.
    NoTombstones,
    /// Sessions are not looked after.
    NoSessions,
    /// A write replaces what its writer had not seen.
    Blind,
    /// A write replaces nothing.
    Hoards,
}

/// A replica: what it holds of the one key.
#[derive(Clone, Debug, Default)]
struct Replica {
    /// Last write wins: the stamp and the value.
    held: Option<((u64, usize), Value)>,
    /// Side by side: values by number, and all numbers ever heard of.
    values: BTreeMap<u64, Value>,
    heard: BTreeSet<u64>,
}

impl Replica {
    fn merge(&mut self, other: &Replica) {
        if other.held.as_ref().map(|held| held.0) > self.held.as_ref().map(|held| held.0) {
            self.held.clone_from(&other.held);
        }
        let (mine, theirs) = (&self.heard, &other.heard);
        let kept = |number: &u64, values: &BTreeMap<u64, Value>, heard: &BTreeSet<u64>| {
            values.contains_key(number) || !heard.contains(number)
        };
        let mut values = BTreeMap::new();
        for (number, value) in self.values.iter().chain(&other.values) {
            if kept(number, &self.values, mine) && kept(number, &other.values, theirs) {
                values.insert(*number, value.clone());
            }
        }
        self.values = values;
        self.heard.extend(&other.heard);
    }
}

/// A client: what it waits for, and what its session knows.
#[derive(Clone, Debug, Default)]
struct Client {
    process: u64,
    busy: Option<Op>,
    knows: Replica,
    context: BTreeSet<u64>,
}

struct World {
    rng: ChaCha8Rng,
    siblings: bool,
    flaw: Flaw,
    /// Whether stamps are greater than those that the node has seen.
    hybrid: bool,
    /// How far the clocks are ahead of the time.
    clocks: [u64; 3],
    replicas: [Replica; 3],
    clients: Vec<Client>,
    ops: Vec<Op>,
    time: u64,
    numbers: u64,
}

/// How far the clocks of a store may be apart that has no perfect ones.
const APART: u64 = 400;

impl World {
    fn new(seed: u64, siblings: bool, flaw: Flaw, apart: u64, hybrid: bool) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let clocks = [0; 3].map(|_: u64| rng.random_range(0..=apart));
        let clients = (0..4).map(|process| Client { process, ..Client::default() }).collect();
        World {
            rng,
            siblings,
            flaw,
            hybrid,
            clocks,
            replicas: Default::default(),
            clients,
            ops: Vec::new(),
            time: 0,
            numbers: 0,
        }
    }

    fn run(mut self) -> (Vec<Op>, u64) {
        for _ in 0..120 {
            self.tick();
            match self.rng.random_range(0..10) {
                0..3 => {
                    let (from, to) = (self.rng.random_range(0..3), self.rng.random_range(0..3));
                    let other = self.replicas[from].clone();
                    self.replicas[to].merge(&other);
                }
                _ => {
                    let client = self.rng.random_range(0..self.clients.len());
                    match self.clients[client].busy.take() {
                        None => self.begin(client),
                        Some(op) => self.end(client, op),
                    }
                }
            }
        }
        for client in 0..self.clients.len() {
            self.tick();
            if let Some(op) = self.clients[client].busy.take() {
                self.end(client, op);
            }
        }
        let first = usize::from(self.flaw == Flaw::Deaf);
        let exchanging = &mut self.replicas[first..];
        let all = exchanging.to_vec();
        for replica in exchanging {
            all.iter().for_each(|other| replica.merge(other));
        }
        self.tick();
        let end = self.time;
        for node in 0..3 {
            self.tick();
            let output = self.seen(node);
            let (call, process) = (self.time, 1_000 + node as u64);
            self.tick();
            let op = self.op("read", Value::Nil, process, node, call);
            self.ops.push(Op { output, ret: self.time, ..op });
        }
        (self.ops, end)
    }

    fn tick(&mut self) {
        self.time += self.rng.random_range(1..20);
    }

    fn op(&self, f: &'static str, input: Value, process: u64, node: usize, call: u64) -> Op {
        let (output, kind) = (input.clone(), EventType::Ok);
        Op {
            process,
            node: NODES[node],
            f,
            key: "x",
            input,
            output,
            kind,
            error: None,
            call,
            ret: call,
        }
    }

    /// A client begins; the node does its part at once, the answer comes later.
    fn begin(&mut self, client: usize) {
        let node = self.rng.random_range(0..3);
        let process = self.clients[client].process;
        self.numbers += 1;
        let fresh = Value::Int(self.numbers as i64);
        let mut op = match self.rng.random_range(0..10) {
            0 => self.op("delete", Value::Nil, process, node, self.time),
            1..4 => self.op("write", fresh, process, node, self.time),
            _ => self.op("read", Value::Nil, process, node, self.time),
        };
        self.tick();
        if self.flaw != Flaw::NoSessions {
            let knows = self.clients[client].knows.clone();
            self.replicas[node].merge(&knows);
        }
        match op.f {
            "read" => op.output = self.seen(node),
            _ => self.write(client, node, &op.input),
        }
        let replica = self.replicas[node].clone();
        if op.f == "read" {
            self.clients[client].context.clone_from(&replica.heard);
        }
        self.clients[client].knows.merge(&replica);
        if self.rng.random_bool(0.05) && op.f != "read" {
            // Nobody hears of it; whether it was done, neither.
            op.kind = EventType::Info;
            if self.rng.random_bool(0.5) {
                self.write(client, node, &op.input);
            }
        }
        self.clients[client].busy = Some(op);
    }

    fn write(&mut self, client: usize, node: usize, value: &Value) {
        if self.flaw == Flaw::Forgets && self.rng.random_bool(0.3) {
            return;
        }
        let replica = &mut self.replicas[node];
        let known = replica.held.as_ref().map_or(0, |held| held.0.0 + 1);
        let least = if self.hybrid { known } else { 0 };
        let stamp = (least.max(self.time + self.clocks[node]), node);
        if value.is_nil() && self.flaw == Flaw::NoTombstones {
            replica.held = None;
        } else if replica.held.as_ref().is_none_or(|held| held.0 < stamp) {
            replica.held = Some((stamp, value.clone()));
        }
        let context = match self.flaw {
            Flaw::Blind => replica.heard.clone(),
            Flaw::Hoards => BTreeSet::new(),
            _ => self.clients[client].context.clone(),
        };
        replica.values.retain(|number, _| !context.contains(number));
        replica.heard.extend(&context);
        self.numbers += 1;
        replica.heard.insert(self.numbers);
        if !value.is_nil() {
            replica.values.insert(self.numbers, value.clone());
        }
    }

    fn seen(&self, node: usize) -> Value {
        let replica = &self.replicas[node];
        match self.siblings {
            true => Value::list(replica.values.values().cloned()),
            false => replica.held.as_ref().map_or(Value::Nil, |held| held.1.clone()),
        }
    }

    fn end(&mut self, client: usize, op: Op) {
        if op.kind == EventType::Info {
            let state = &mut self.clients[client];
            *state = Client { process: state.process + 10, ..Client::default() };
        }
        self.ops.push(Op { ret: self.time, ..op });
    }
}

/// How many runs break each promise.
fn broken(siblings: bool, flaw: Flaw, apart: u64, clocks: Clocks) -> BTreeMap<Promise, u64> {
    let options = Options { clocks, ..Options::default() };
    let mut broken = BTreeMap::new();
    for seed in 0..400 {
        let (ops, end) = World::new(seed, siblings, flaw, apart, clocks == Clocks::Hybrid).run();
        for row in judge(&history(&ops, Some(end)), Promise::beside(), &options) {
            match row.finding {
                Finding::Violated(violation) => {
                    broken.entry(row.promise).or_insert((0, violation.sentence)).0 += 1;
                }
                Finding::Held { .. } => {}
                Finding::Unknown { why } => {
                    panic!("seed {seed}: {} is unknown: {why}", row.promise)
                }
            }
        }
    }
    broken.into_iter().map(|(promise, (count, _))| (promise, count)).collect()
}

#[test]
fn right_stores_keep_their_promises() {
    assert_eq!(broken(false, Flaw::None, 0, Clocks::PERFECT), BTreeMap::new(), "last write wins");
    assert_eq!(broken(true, Flaw::None, 0, Clocks::PERFECT), BTreeMap::new(), "side by side");
    // Whoever orders by clocks that are apart may not keep the order of a session's writes, but the
    // promises that it makes are to be judged with that in mind.
    let of = |clocks| broken(false, Flaw::None, APART, clocks);
    let on_writes = [Promise::MonotonicWrites, Promise::WritesFollowReads];
    let within = |apart| Clocks::Within(Duration::from_nanos(apart));
    for clocks in [within(APART), within(10 * APART), Clocks::Hybrid, Clocks::Unknown] {
        let broken = of(clocks);
        assert!(broken.keys().all(|promise| on_writes.contains(promise)), "{clocks:?}: {broken:?}");
    }
    assert!(
        of(Clocks::PERFECT).contains_key(&Promise::NoLostWrites),
        "perfect clocks would not do that"
    );
}

#[test]
fn wrong_stores_are_found_out() {
    let cases = [
        (false, Flaw::Forgets, Promise::NoLostWrites),
        (true, Flaw::Forgets, Promise::NoLostWrites),
        (false, Flaw::Deaf, Promise::Convergence),
        (true, Flaw::Deaf, Promise::Convergence),
        (false, Flaw::NoTombstones, Promise::NoResurrection),
        (false, Flaw::NoSessions, Promise::ReadYourWrites),
        (false, Flaw::NoSessions, Promise::MonotonicReads),
        (true, Flaw::NoSessions, Promise::ReadYourWrites),
        (true, Flaw::NoSessions, Promise::MonotonicReads),
        (true, Flaw::Blind, Promise::NoLostWrites),
        (true, Flaw::Hoards, Promise::NoFalseConcurrency),
        (true, Flaw::Hoards, Promise::NoResurrection),
    ];
    for (siblings, flaw, promise) in cases {
        let broken = broken(siblings, flaw, 0, Clocks::PERFECT);
        let count = broken.get(&promise).copied().unwrap_or(0);
        assert!(count >= 10, "{flaw:?}, side by side {siblings}: {promise} in {broken:?} of 400");
    }
}
