//! How the nodes of a simulated run are tuned: drawn from the seed, so that what a live node does
//! seldom happens all the time in some runs and never in others.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rashomon_stores::raft::mutants::Bug;
use rashomon_stores::raft::{Options, ReadMode};

/// The settings of Raft's nodes.
pub(super) fn raft(bug: Option<Bug>, reads: ReadMode, rng: &mut ChaCha8Rng) -> Options {
    Options {
        snapshot_every: [10, 50, 250, 10_000][rng.random_range(0..4)],
        snapshot_chunk_bytes: [50, 500, 5_000][rng.random_range(0..3)],
        pre_vote: rng.random_bool(0.75),
        check_quorum: rng.random_bool(0.75),
        reads,
        bug,
        ..Options::default()
    }
}
