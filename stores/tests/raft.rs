//! The Raft core in a simulated world: what the protocol promises, under hundreds of seeds, and
//! that a tester which watches only clients can tell a broken core from a sound one.

mod sim;

use std::ops::Range;
use std::time::Duration;

use rashomon_stores::raft::mutants::Bug;
use rashomon_stores::raft::{Options, ReadMode};
use sim::world::Weather;
use sim::{Coverage, Plan, Run};

/// Runs a plan under seeds; see [`run_all`].
fn run_seeds(plan: &Plan, seeds: Range<u64>) -> Coverage {
    run_all(seeds.map(|seed| (plan.clone(), seed)))
}

/// Runs plans, all of which must find nothing wrong, and says what they covered together.
fn run_all(plans: impl Iterator<Item = (Plan, u64)>) -> Coverage {
    let mut total = Coverage::default();
    for (plan, seed) in plans {
        match Run::new(plan, seed).complete() {
            Ok(coverage) => total += coverage,
            Err(why) => panic!("seed {seed}: {why}"),
        }
    }
    println!("{total:?}");
    total
}

#[test]
fn fair_weather() {
    let total = run_seeds(&Plan::calm(), 0..10);
    assert!(total.elections >= 10 && total.reads > 100 && total.appends > 100, "{total:?}");
    assert_eq!(total.unknown, 0, "nothing is in doubt when nothing fails: {total:?}");
}

#[test]
fn loss_duplication_and_reordering() {
    let total = run_seeds(&Plan { weather: Weather::FOUL, ..Plan::calm() }, 0..40);
    assert!(total.reads > 400 && total.appends > 400, "{total:?}");
}

#[test]
fn crashes_that_lose_what_was_not_synced() {
    let weather = Weather { sync_max: Duration::from_millis(40), ..Weather::FAIR };
    let total = run_seeds(&Plan { weather, crashes: true, ..Plan::calm() }, 0..40);
    assert!(total.crashes > 100 && total.lost_batches > 20, "{total:?}");
}

#[test]
fn partitions() {
    let total = run_seeds(&Plan { partitions: true, ..Plan::calm() }, 0..60);
    assert!(total.cuts > 100 && total.elections > 120, "{total:?}");
}

/// `RAFT_SEEDS=20000 cargo test --release -p rashomon-stores --test raft any_mixture` looks further.
#[test]
fn any_mixture_of_faults() {
    let seeds = std::env::var("RAFT_SEEDS").map_or(200, |seeds| seeds.parse().expect("a number"));
    let total = run_all((0..seeds).map(|seed| (Plan::swarm(seed), seed)));
    assert!(total.crashes > 1000 && total.cuts > 500 && total.unknown > 500, "{total:?}");
    assert!(total.installed > 200, "{total:?}");
}

#[test]
fn snapshots_after_every_few_entries_in_chunks_of_a_few_bytes() {
    let options = Options { snapshot_every: 3, snapshot_chunk_bytes: 40, ..Options::default() };
    let plan = Plan { weather: Weather::FOUL, partitions: true, crashes: true, ..Plan::calm() };
    let total = run_seeds(&Plan { options, ..plan }, 0..40);
    assert!(total.installed > 200 && total.reads > 200 && total.appends > 200, "{total:?}");
}

#[test]
fn clusters_of_every_small_size() {
    let plan = Plan { weather: Weather::FOUL, crashes: true, partitions: true, ..Plan::calm() };
    for nodes in [1, 2, 3, 4, 7] {
        let total = run_seeds(&Plan { nodes, ..plan.clone() }, 0..10);
        assert!(total.reads > 10 && total.appends > 10, "{nodes} nodes: {total:?}");
    }
}

#[test]
fn members_come_and_go_and_leadership_is_handed_over() {
    let plan = Plan { churn: true, ..Plan::calm() };
    let total = run_seeds(&plan, 0..10);
    assert!(total.orders_done > 60, "{total:?}");
    let plan = Plan { weather: Weather::FOUL, crashes: true, partitions: true, ..plan };
    let options = Options { reads: ReadMode::Lease, snapshot_every: 20, ..Options::default() };
    let total = run_seeds(&Plan { options, ..plan }, 0..30);
    assert!(total.orders_done > 60 && total.installed > 30, "{total:?}");
}

/// Clocks agree on how fast time goes here; where they do not, see the simulator of the campaigns.
#[test]
fn leases_answer_reads_and_local_reads_are_stale() {
    let plan = |reads| {
        let options = Options { reads, ..Options::default() };
        Plan { partitions: true, crashes: true, options, ..Plan::calm() }
    };
    let total = run_seeds(&plan(ReadMode::Lease), 0..20);
    assert!(total.reads > 400 && total.elections > 40, "{total:?}");
    let local = plan(ReadMode::Local);
    let stale = (0..5).filter(|seed| Run::new(local.clone(), *seed).complete().is_err());
    assert!(stale.count() >= 4);
}

#[test]
fn a_seed_decides_a_run() {
    for seed in 0..5 {
        let run = || {
            let mut run = Run::new(Plan::swarm(seed), seed);
            run.until(Duration::from_secs(8)).expect("nothing wrong");
            format!("{:?}", run.clients.history)
        };
        assert_eq!(run(), run(), "seed {seed}");
    }
}

/// The planted bug must be visible to clients in most runs in which leaders are cut off and do not
/// notice it; the same seeds are clean without it.
#[test]
fn the_stale_read_mutant_reads_stale_values() {
    let mut options = Options { check_quorum: false, ..Options::default() };
    let seeds = 0..20;
    run_seeds(&Plan { partitions: true, options: options.clone(), ..Plan::calm() }, seeds.clone());
    options.bug = Some(Bug::StaleRead);
    let plan = Plan { partitions: true, options, ..Plan::calm() };
    let errors: Vec<String> =
        seeds.filter_map(|seed| Run::new(plan.clone(), seed).complete().err()).collect();
    println!("{errors:#?}");
    assert!(errors.len() >= 10, "only {} of 20 runs saw it: {errors:#?}", errors.len());
    let stale = errors.iter().filter(|error| error.contains("comes too late after"));
    assert_eq!(stale.count(), errors.len(), "something else is wrong, too: {errors:#?}");
}
