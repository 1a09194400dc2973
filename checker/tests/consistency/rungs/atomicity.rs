//! k and Δ against their definitions.

use std::ops::Range;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rashomon_checker::consistency::atomicity::atomicity;
use rashomon_checker::consistency::{Bounds, Options};
use rashomon_checker::history::EventType;
use rayon::prelude::*;

use super::{definitions, feeder};
use crate::scribe::history;

/// Compares the histories of some seeds, of at most seven reads and writes, and counts those of which
/// k is known, is above 1, does not exist, and is within bounds only.
///
/// # Panics
///
/// If what is said of one disagrees with the definitions.
pub(crate) fn compare_all(seeds: Range<u64>) -> [u64; 4] {
    let counts = seeds.into_par_iter().map(compare);
    counts.reduce(|| [0; 4], |a, b| std::array::from_fn(|at| a[at] + b[at]))
}

/// What one history adds: whether k is known, above 1, and nothing is enough.
fn compare(seed: u64) -> [u64; 4] {
    let mut ops = feeder::feed(&mut ChaCha8Rng::seed_from_u64(seed), 7);
    ops.retain(|op| matches!(op.f, "read" | "write") && op.kind == EventType::Ok);
    let mut written: Vec<_> =
        ops.iter().filter(|op| op.f == "write").map(|op| (op.key, op.input.clone())).collect();
    let count = written.len();
    written.sort();
    written.dedup();
    if written.len() < count {
        return [0; 4];
    }
    let found = atomicity(&history(&ops, None), &Options::default());
    let (k, delta) = (definitions::least_k(&ops), definitions::least_delta(&ops));
    assert_eq!(found.delta_ns, delta, "seed {seed}: {ops:#?}");
    let Bounds { at_least, at_most } = found.k;
    let is_within = k.is_none_or(|k| at_least <= k) && at_most.is_none_or(|most| k <= Some(most));
    assert!(
        is_within && (k.is_some() || at_most.is_none()),
        "seed {seed}: {k:?} {found:?} {ops:#?}"
    );
    assert!(at_most.is_some() || k.is_none(), "seed {seed}: {k:?} {found:?}");
    let is_known = at_most == Some(at_least);
    [is_known, k.is_some_and(|k| k > 1), k.is_none(), !is_known && k.is_some()].map(u64::from)
}
