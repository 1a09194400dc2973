//! How the nodes of a simulated run are tuned: drawn from the seed, so that what a live node does
//! seldom happens all the time in some runs and never in others.

use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rashomon_stores::paxos;
use rashomon_stores::raft::mutants::Bug;
use rashomon_stores::raft::{Options, ReadMode};
use rashomon_stores::{eventual, single};

/// The settings of Raft's nodes. They know how fast or slow their clocks may run, at most `drift_ppm`
/// millionths; `churn` says that members come and go.
pub(super) fn raft(
    bug: Option<Bug>,
    reads: ReadMode,
    churn: bool,
    drift_ppm: u32,
    rng: &mut ChaCha8Rng,
) -> Options {
    // A short span between the least and the most time lets several nodes stand at a time.
    let election_min = Duration::from_millis([60, 150, 300, 600][rng.random_range(0..4)]);
    let election_span = Duration::from_millis([20, 100, 300, 300][rng.random_range(0..4)]);
    // In some runs followers only just bear it: any delay begins an election. Where clocks go very
    // differently they could not bear it at all.
    let seldom = rng.random_range(0..3) == 0 && drift_ppm <= 50_000;
    let heartbeat = election_min * if seldom { 4 } else { 1 } / 5;
    Options {
        heartbeat,
        election_min,
        election_max: election_min + election_span,
        append_bytes_max: [0, 300, 256 << 10, 256 << 10][rng.random_range(0..4)],
        append_window: [1, 8, 64, 1024, 1024][rng.random_range(0..5)],
        snapshot_every: [3, 10, 50, 250, 10_000][rng.random_range(0..5)],
        snapshot_chunk_bytes: [50, 500, 5_000][rng.random_range(0..3)],
        // Who is removed and does not know it would disturb the others without these (§4.2.3).
        pre_vote: rng.random_bool(0.5) || churn,
        check_quorum: rng.random_bool(0.5) || churn,
        bare_probes: rng.random_bool(0.5),
        clock_drift_ppm: drift_ppm,
        reads,
        bug,
        ..Options::default()
    }
}

/// The settings of a single node.
pub(super) fn single(rng: &mut ChaCha8Rng) -> single::Options {
    single::Options { snapshot_every: [1, 3, 50, 10_000][rng.random_range(0..4)] }
}

/// The settings of CASPaxos's nodes. Where nodes are lost for good quorums are majorities.
pub(super) fn paxos(
    bug: Option<paxos::mutants::Bug>,
    nodes: usize,
    majorities: bool,
    rng: &mut ChaCha8Rng,
) -> paxos::Options {
    let milliseconds = |choices: [u64; 4], rng: &mut ChaCha8Rng| {
        Duration::from_millis(choices[rng.random_range(0..4)])
    };
    let uneven = rng.random_bool(0.3) && !majorities;
    paxos::Options {
        accept_quorum: uneven.then(|| rng.random_range(1..=nodes)),
        prepare_quorum: None,
        one_round: rng.random_bool(0.75),
        resend: milliseconds([20, 100, 100, 400], rng),
        backoff_min: milliseconds([1, 5, 20, 50], rng),
        backoff_max: milliseconds([100, 300, 300, 800], rng),
        courtesy: milliseconds([0, 5, 30, 100], rng),
        patience: milliseconds([300, 1_000, 2_000, 4_000], rng),
        batch_max: [1, 4, 256, 256][rng.random_range(0..4)],
        // Soon, so that it is done before the key is used again.
        collect_after: milliseconds([1, 10, 50, 300], rng),
        change_limit: milliseconds([1_000, 2_000, 2_000, 4_000], rng),
        bug,
        ..paxos::Options::default()
    }
}

/// The settings of the nodes of an eventual store whose clients wait so long. A short grace and a slow
/// exchange bring out what a live store does after hours.
pub(super) fn eventual(
    settings: eventual::Settings,
    bug: Option<eventual::mutants::Bug>,
    timeout: Duration,
    rng: &mut ChaCha8Rng,
) -> eventual::Options {
    let ms = |choices: [u64; 3], rng: &mut ChaCha8Rng| {
        Duration::from_millis(choices[rng.random_range(0..3)])
    };
    eventual::Options {
        settings,
        exchange_every: ms([50, 200, 1_000], rng),
        look_every: ms([20, 50, 100], rng),
        resend_after: ms([50, 200, 500], rng),
        patience: timeout * 4 / 5,
        grace: ms([1_500, 4_000, 30_000], rng),
        leaves: [1, 16, 256][rng.random_range(0..3)],
        keys_max: [4, 32, 512][rng.random_range(0..3)],
        bug,
        ..eventual::Options::default()
    }
}
