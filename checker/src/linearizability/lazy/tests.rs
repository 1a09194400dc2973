//! The engine against the definition, also with too little patience, so that searches are interrupted
//! and parts of small histories are looked at by themselves.

use std::time::Duration;

use rand::{Rng, RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use rustc_hash::FxHashSet;

use super::plan::Plan;
use super::settle::{Patience, settle};
use crate::history::{NEVER, OpId, ValueId};
use crate::linearizability::{Budget, Outcome};
use crate::model::{Call, RegisterOperation};

use RegisterOperation::{Cas, CasMismatch, Read, ReadUnknown, Write};

type Calls = Vec<Call<RegisterOperation>>;

/// Random histories.
const CASES: u64 = 100_000;

const START: ValueId = ValueId(0);

/// The register, from its definition.
fn step(state: ValueId, operation: RegisterOperation) -> Option<ValueId> {
    match operation {
        Read(value) => (state == value).then_some(value),
        ReadUnknown => Some(state),
        Write(value) => Some(value),
        Cas(expected, new) => (state == expected).then_some(new),
        CasMismatch(expected) => (state != expected).then_some(state),
    }
}

/// Whether one legal order explains the operations: each subset that took effect is looked at
/// once per value.
fn linearizable(calls: &[Call<RegisterOperation>]) -> bool {
    let completed = (0..calls.len()).filter(|&index| calls[index].ret != NEVER);
    let goal: u32 = completed.map(|index| 1 << index).sum();
    let (mut known, mut open) = (FxHashSet::default(), vec![(0u32, START)]);
    while let Some((done, state)) = open.pop() {
        if done & goal == goal {
            return true;
        }
        let rest = || (0..calls.len()).filter(move |index| done >> index & 1 == 0);
        let deadline = rest().map(|index| calls[index].ret).min().unwrap_or(NEVER);
        for index in rest().filter(|&index| calls[index].call < deadline) {
            if let Some(next) = step(state, calls[index].operation)
                && known.insert((done | 1 << index, next))
            {
                open.push((done | 1 << index, next));
            }
        }
    }
    false
}

/// The first return at which no order is left.
fn first_bad(calls: &Calls) -> Option<u32> {
    let mut returns: Vec<u32> = (0..calls.len() as u32).collect();
    returns.retain(|&index| calls[index as usize].ret != NEVER);
    returns.sort_unstable_by_key(|&index| calls[index as usize].ret);
    returns.into_iter().find(|&index| {
        let rank = calls[index as usize].ret;
        let begun = calls.iter().filter(|call| call.call < rank);
        let cut =
            begun.map(|call| Call { ret: if call.ret > rank { NEVER } else { call.ret }, ..*call });
        !linearizable(&cut.collect::<Calls>())
    })
}

/// Whether the order is one of the operations that the definition accepts.
fn replay(calls: &Calls, order: &[u32]) -> Result<(), String> {
    let (mut state, mut latest, mut seen) = (START, 0, vec![false; calls.len()]);
    for &index in order {
        let call = &calls[index as usize];
        if std::mem::replace(&mut seen[index as usize], true) {
            return Err(format!("{index} stands twice"));
        }
        if call.ret < latest {
            return Err(format!("{index} stands too late"));
        }
        latest = latest.max(call.call);
        state = step(state, call.operation).ok_or(format!("{index} is illegal at {state:?}"))?;
    }
    let missing = (0..calls.len()).find(|&index| !seen[index] && calls[index].ret != NEVER);
    missing.map_or(Ok(()), |index| Err(format!("{index} is missing")))
}

/// How a history is drawn.
#[derive(Clone, Copy, Debug)]
struct Shape {
    operations: usize,
    values: u32,
    /// Of ten operations: reads, writes, failed compare-and-sets; the others are compare-and-sets.
    reads: u32,
    writes: u32,
    mismatches: u32,
    /// Of a hundred operations, how many never return.
    crashed: u32,
    /// How far apart the ends of an operation are, in events.
    reach: usize,
}

fn operation(shape: Shape, rng: &mut impl Rng) -> RegisterOperation {
    let (kind, value) = (rng.random_range(0..10), ValueId(rng.random_range(0..shape.values)));
    let (writes, mismatches) =
        (shape.reads + shape.writes, shape.reads + shape.writes + shape.mismatches);
    match kind {
        0 if rng.random_bool(0.1) => ReadUnknown,
        kind if kind < shape.reads => Read(value),
        kind if kind < writes => Write(value),
        kind if kind < mismatches => CasMismatch(value),
        _ => Cas(value, ValueId(rng.random_range(0..shape.values))),
    }
}

/// Operations with random ends, some with the results that a register would have given.
fn draw(shape: Shape, rng: &mut ChaCha8Rng) -> Calls {
    let mut ends: Vec<usize> = (0..2 * shape.operations).collect();
    for window in ends.chunks_mut(shape.reach) {
        window.shuffle(rng);
    }
    let mut calls: Calls = ends
        .chunks(2)
        .map(|pair| Call {
            id: OpId(0),
            operation: operation(shape, rng),
            call: 1 + pair[0].min(pair[1]) as u32,
            ret: 1 + pair[0].max(pair[1]) as u32,
        })
        .collect();
    calls.sort_unstable_by_key(|call| call.call);
    let truthful = rng.random_bool(0.7);
    if truthful {
        simulate(&mut calls, rng);
    }
    for call in &mut calls {
        if rng.random_range(0..100) < shape.crashed {
            call.ret = NEVER;
        }
    }
    if truthful && rng.random_bool(0.6) {
        let index = rng.random_range(0..calls.len());
        calls[index].operation = operation(shape, rng);
    }
    for (index, call) in calls.iter_mut().enumerate() {
        call.id = OpId(index as u32);
    }
    calls
}

/// Gives reads and compare-and-sets the results of one register.
fn simulate(calls: &mut Calls, rng: &mut ChaCha8Rng) {
    let mut points: Vec<(u32, usize)> = (0..calls.len())
        .map(|index| (rng.random_range(calls[index].call * 4..calls[index].ret * 4), index))
        .collect();
    points.sort_unstable();
    let mut state = START;
    for (_, index) in points {
        let operation = &mut calls[index].operation;
        *operation = match *operation {
            Read(_) => Read(state),
            Cas(expected, new) if expected != state => match rng.random_bool(0.5) {
                true => CasMismatch(expected),
                false => Cas(state, new),
            },
            CasMismatch(expected) if expected == state => Read(state),
            other => other,
        };
        state = step(state, *operation).expect("possible");
    }
}

/// One line per operation.
fn shown(calls: &Calls) -> String {
    let line = |call: &Call<RegisterOperation>| {
        let ret = if call.ret == NEVER { "…".to_owned() } else { call.ret.to_string() };
        format!("\n  [{}, {ret}] {:?}", call.call, call.operation)
    };
    calls.iter().map(line).collect()
}

fn judge(calls: &Calls, patience: Patience, context: &str) -> bool {
    let budget = Budget::new(Duration::from_secs(3600), 1 << 30);
    let plan = Plan::new(START, calls, |&operation| Some(operation), &mut budget.meter());
    let plan = plan.expect("in budget").expect("a register");
    match settle(&plan, patience, &budget).expect("in budget") {
        Outcome::Linearizable(order) => {
            replay(calls, &order).unwrap_or_else(|wrong| {
                panic!("{context}: {wrong}: {order:?} of {}", shown(calls))
            });
            true
        }
        Outcome::Violation { stuck, .. } => {
            assert_eq!(Some(stuck), first_bad(calls), "{context}: {}", shown(calls));
            false
        }
        Outcome::Exhausted { resource, .. } => panic!("{context}: {resource}"),
    }
}

fn shape(rng: &mut ChaCha8Rng) -> Shape {
    let reads = rng.random_range(1..6);
    let writes = rng.random_range(0..=(10 - reads));
    let mismatches = if rng.random_bool(0.5) { 0 } else { rng.random_range(0..3) };
    Shape {
        operations: rng.random_range(1..=12),
        values: rng.random_range(1..6),
        reads,
        writes,
        mismatches,
        crashed: [0, 10, 40][rng.random_range(0..3)],
        reach: rng.random_range(4..=24),
    }
}

#[test]
fn the_search_agrees_with_the_definition() {
    let mut valid = 0;
    for seed in 0..CASES {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let shape = shape(&mut rng);
        let calls = draw(shape, &mut rng);
        let patience = match rng.random_bool(0.5) {
            true => Patience::default(),
            false => Patience { steps: 0, reach: rng.random_range(1..4) },
        };
        let context = format!("seed {seed} of {shape:?} with {patience:?}");
        valid += u64::from(judge(&calls, patience, &context));
    }
    assert!(valid > CASES / 10 && valid < CASES - CASES / 10, "one-sided: {valid} of {CASES}");
}
