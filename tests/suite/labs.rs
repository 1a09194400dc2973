//! The lab tests of MIT's course, under their own names, a few seeds each.
//! `cargo run --release --example raft_labs -- --seeds 1..1000` looks further.

use rashomon::sim::labs::{TESTS, Test};

/// Every name here is a test of the library, and the other way round.
macro_rules! labs {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            passes(stringify!($name));
        })*

        #[test]
        fn every_lab_test_is_run() {
            let names: Vec<&str> = TESTS.iter().map(|test| test.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

labs! {
    test_initial_election_2a
    test_reelection_2a
    test_many_election_2a
    test_basic_agree_2b
    test_rpc_bytes_2b
    test_follower_failure_2b
    test_leader_failure_2b
    test_fail_agree_2b
    test_fail_no_agree_2b
    test_concurrent_starts_2b
    test_rejoin_2b
    test_backup_2b
    test_count_2b
    test_persist1_2c
    test_persist2_2c
    test_persist3_2c
    test_figure_8_2c
    test_unreliable_agree_2c
    test_figure_8_unreliable_2c
    test_reliable_churn_2c
    test_unreliable_churn_2c
    test_snapshot_basic_2d
    test_snapshot_install_2d
    test_snapshot_install_unreliable_2d
    test_snapshot_install_crash_2d
    test_snapshot_install_unreliable_crash_2d
    test_snapshot_all_crash_2d
    test_snapshot_init_2d
    test_basic_3a
    test_concurrent_3a
    test_unreliable_3a
    test_unreliable_one_key_3a
    test_one_partition_3a
    test_many_partitions_one_client_3a
    test_many_partitions_many_clients_3a
    test_persist_one_client_3a
    test_persist_concurrent_3a
    test_persist_concurrent_unreliable_3a
    test_persist_partition_3a
    test_persist_partition_unreliable_3a
    test_persist_partition_unreliable_linearizable_3a
    test_speed_3a
    test_snapshot_rpc_3b
    test_snapshot_size_3b
    test_speed_3b
    test_snapshot_recover_3b
    test_snapshot_recover_many_clients_3b
    test_snapshot_unreliable_3b
    test_snapshot_unreliable_recover_3b
    test_snapshot_unreliable_recover_concurrent_partition_3b
    test_snapshot_unreliable_recover_concurrent_partition_linearizable_3b
}

fn passes(name: &str) {
    let test = Test::named(name).expect("a test of this name");
    // The tests of the store have fifty times as much to do as the others.
    let seeds = if name.contains("_3") { 1 } else { 3 };
    for seed in 1..=seeds {
        match test.run(seed, None) {
            Ok(outcome) => println!("seed {seed}: {outcome:?}"),
            Err(failure) => panic!("{name} under seed {seed}: {failure}"),
        }
    }
}

/// Tests that cannot fail show nothing.
#[test]
fn a_broken_raft_fails_a_lab_test() {
    let bug = Some("stale-read".parse().expect("a bug of this name"));
    let test = Test::named("test_persist_partition_unreliable_linearizable_3a").expect("a test");
    let failed = (1..=5).filter_map(|seed| test.run(seed, bug).err()).next();
    let why = failed.expect("stale reads are noticed").why;
    assert!(why.contains("stale"), "{why}");
}

#[test]
fn a_seed_decides_a_lab_test() {
    for name in
        ["test_count_2b", "test_unreliable_churn_2c", "test_persist_partition_unreliable_3a"]
    {
        let test = Test::named(name).expect("a test of this name");
        assert_eq!(test.run(7, None), test.run(7, None), "{name}");
    }
}
