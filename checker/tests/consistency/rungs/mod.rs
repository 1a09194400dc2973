//! The rungs of the ladder against their definitions.

pub(crate) mod atomicity;
pub(crate) mod definitions;
pub(crate) mod feeder;

use std::collections::BTreeMap;
use std::ops::Range;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rashomon_checker::consistency::{Finding, Options, Promise, Violation, judge};
use rashomon_checker::history::{EventType, Value};
use rayon::prelude::*;

use crate::scribe::{NODES, Op, history};

/// The rungs, and which of the others each has in it.
pub(crate) const RUNGS: [(Promise, &[Promise]); 8] = [
    (Promise::Sequential, &[Promise::CausalMemory, Promise::CausalConvergence]),
    (Promise::CausalMemory, &[Promise::Causal, Promise::Pram]),
    (Promise::CausalConvergence, &[Promise::Causal, Promise::Coherence]),
    (Promise::Causal, &[]),
    (Promise::Pram, &[]),
    (Promise::Coherence, &[]),
    (Promise::Regular, &[Promise::Safe]),
    (Promise::Safe, &[]),
];

/// How often each rung was held, violated and unknown.
pub(crate) type Tally = BTreeMap<Promise, [u64; 3]>;

/// Compares the histories of some seeds, on all cores.
pub(crate) fn compare_all(seeds: Range<u64>, most: usize) -> Tally {
    let compared = seeds.into_par_iter().fold(Tally::new, |mut tally, seed| {
        compare(seed, most, &mut tally);
        tally
    });
    compared.reduce(Tally::new, |mut all, some| {
        for (rung, counts) in some {
            let sum = all.entry(rung).or_default();
            sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        all
    })
}

/// Compares what is said of one history with the definitions.
///
/// # Panics
///
/// If they disagree.
fn compare(seed: u64, most: usize, tally: &mut Tally) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let ops = feeder::feed(&mut rng, most);
    // A history that is linearizable is not looked at any closer. With something stale beside it that
    // no rung forbids but those of real time, it is not.
    let rungs = RUNGS.map(|(rung, _)| rung);
    let is_timed = |rung: &Promise| matches!(rung, Promise::Regular | Promise::Safe);
    let (timed, others): (Vec<_>, Vec<_>) = rungs.into_iter().partition(is_timed);
    let plain = history(&ops, None);
    let judged =
        if seed.is_multiple_of(2) { plain.clone() } else { history(&with_stale(&ops), None) };
    let options = Options::default();
    let rows = [judge(&judged, &others, &options), judge(&plain, &timed, &options)].concat();
    let findings: BTreeMap<Promise, Finding> =
        rows.into_iter().map(|row| (row.promise, row.finding)).collect();
    for (rung, finding) in &findings {
        let count = match finding {
            Finding::Held { .. } => 0,
            Finding::Violated(_) => 1,
            Finding::Unknown { .. } => 2,
        };
        tally.entry(*rung).or_default()[count] += 1;
        let holds = definitions::holds(&ops, *rung);
        match finding {
            Finding::Held { .. } => {
                assert!(holds, "seed {seed}: {rung} is broken: {}", told_short(&ops));
            }
            Finding::Violated(violation) => {
                assert!(!holds, "seed {seed}: {rung} is kept: {violation:#?} {}", told_short(&ops));
                check_violation(seed, *rung, &ops, violation);
            }
            // Only what is not certain who read from whom.
            Finding::Unknown { why } => assert!(is_doubtful(&ops), "seed {seed}: {rung}: {why}"),
        }
    }
    for (rung, weaker) in RUNGS {
        for weaker in weaker {
            let says = |promise: &Promise| matches!(findings[promise], Finding::Violated(_));
            let is_held = matches!(findings[&rung], Finding::Held { .. });
            assert!(!(is_held && says(weaker)), "seed {seed}: {rung} but not {weaker}");
        }
    }
}

/// The proof alone breaks the rung, and the cycle is one.
fn check_violation(seed: u64, rung: Promise, ops: &[Op], violation: &Violation) {
    let mut by_call: Vec<Op> = ops.to_vec();
    by_call.sort_by_key(|op| op.call);
    let is_ours = |id: &u32| (*id as usize) < by_call.len();
    let proof: Vec<Op> = violation
        .proof
        .iter()
        .filter(|id| is_ours(&id.0))
        .map(|id| by_call[id.0 as usize].clone())
        .collect();
    let rows = judge(&history(&proof, None), &[rung], &Options::default());
    let is_proof = matches!(rows[0].finding, Finding::Violated(_));
    assert!(is_proof, "seed {seed}: {rung}: {violation:#?} proves nothing: {}", told_short(ops));
    for (place, edge) in violation.cycle.iter().enumerate() {
        let next = violation.cycle[(place + 1) % violation.cycle.len()];
        assert_eq!(edge.to, next.from, "seed {seed}: {rung}: {violation:#?}");
    }
}

/// Whether some value was written twice, or nothing is read where there are deletes.
fn is_doubtful(ops: &[Op]) -> bool {
    let brought = |op: &Op| match op.input.as_list() {
        Some([_, new]) => new.clone(),
        _ => op.input.clone(),
    };
    let mut brought: Vec<(&str, Value)> = ops
        .iter()
        .filter(|op| op.f != "read" && op.kind != EventType::Fail)
        .map(|op| (op.key, brought(op)))
        .collect();
    let count = brought.len();
    brought.sort();
    brought.dedup();
    brought.len() < count || brought.iter().any(|(_, value)| value.is_nil())
}

/// The history with two processes more, of which one reads what the other had long overwritten.
/// They come last, so that the numbers of the others stay.
fn with_stale(ops: &[Op]) -> Vec<Op> {
    let after = ops.iter().map(|op| op.ret).max().unwrap_or(0) + 1_000;
    let stale = |process, f, input: Value, call| Op {
        process,
        node: NODES[0],
        f,
        key: "stale",
        output: Value::Nil,
        input,
        kind: EventType::Ok,
        error: None,
        call,
        ret: call + 1,
    };
    let write = stale(1_000, "write", Value::Int(1), after);
    let read = stale(1_001, "read", Value::Nil, after + 10);
    ops.iter().cloned().chain([write, read]).collect()
}

/// The operations as one reads them.
fn told_short(ops: &[Op]) -> String {
    let line = |op: &Op| {
        let Op { process, f, key, input, output, kind, call, ret, .. } = op;
        let value = if *f == "read" { output } else { input };
        format!("\n  {process} {f} {key} {value} {kind:?} {call}..{ret}")
    };
    ops.iter().map(line).collect()
}
