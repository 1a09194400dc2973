//! What befalls disks, over the real binary: power that goes, syncs that fail, files that are damaged.

use std::fs;

use crate::support::Bench;
use serde_json::Value as Json;

fn results(bench: &Bench) -> Json {
    let text = fs::read(bench.latest().join("results.json")).expect("results are kept");
    serde_json::from_slice(&text).expect("they are JSON")
}

/// The faults of a kind, as the results of the latest run tell them.
fn faults(bench: &Bench, kind: &str) -> Vec<Json> {
    let results = results(bench);
    let faults = results["coverage"]["faults"].as_array().expect("faults").iter();
    faults.filter(|fault| fault["kind"] == kind).cloned().collect()
}

fn logs(bench: &Bench, nodes: u8) -> String {
    let log = |node| {
        fs::read_to_string(bench.latest().join(format!("nodes/n{node}/log"))).expect("a log")
    };
    (1..=nodes).map(log).collect()
}

/// Runs a cluster of three with steps that strike it.
fn run(bench: &Bench, more: &[&str], steps: &str) -> crate::support::Finished {
    let common = ["test", "--nodes", "3", "--seed", "5", "--rate", "100", "--schedule", steps];
    bench.rashomon(&[&common[..], more].concat())
}

/// Many of the writes that are under way when the power goes have not been synced: they are lost, and the store,
/// which has promised nothing about them, comes back without a violation.
#[test]
fn what_is_not_synced_is_lost_with_the_power_and_what_is_acknowledged_is_not() {
    let bench = Bench::new();
    let steps = "at 0.6s stall everyone by 80ms; every 1.1s until 4.4s unplug everyone for 400ms; \
                 at 5s clear; at 5.1s balk everyone; at 5.8s clear";
    let run = run(&bench, &["--workload", "append", "--time-limit", "6s"], steps);
    assert_eq!(run.code(), Some(0), "{}", run.everything());
    let power = faults(&bench, "unplug");
    assert_eq!(power.len(), 4, "{power:?}");
    for fault in power {
        assert_eq!((&fault["bit"], &fault["observed"]), (&true.into(), &"n1, n2, n3 ended".into()));
        assert!(fault["to_ns"].is_u64(), "{fault}");
    }
    let logs = logs(&bench, 3);
    let told = |line: &&str| line.contains("unsynced writes");
    let lost: Vec<&str> = logs.lines().filter(told).collect();
    assert_eq!(lost.len(), 12, "{logs}");
    assert!(lost.iter().any(|line| !line.contains("lost 0 of")), "{lost:#?}");
    // Of those whose disks failed, too, it is known why they stopped, and they came back.
    let balked = &faults(&bench, "balk")[0];
    assert_eq!(balked["bit"], true);
    let observed = balked["observed"].as_str().expect("a text");
    assert!(observed.contains("restarted"), "{observed}");
    assert!(logs.contains("nput/output error"), "{logs}");
}

#[test]
fn a_store_that_acknowledges_before_it_syncs_is_caught_when_the_power_goes() {
    let bench = Bench::new();
    let steps = "at 0.5s stall everyone by 300ms; every 1.2s until 5s unplug everyone for 300ms";
    let bug = ["--bug", "ack-before-fsync", "--workload", "append", "--time-limit", "6s"];
    let run = run(&bench, &bug, steps);
    assert_eq!(run.code(), Some(1), "{}", run.everything());
    let results = results(&bench);
    assert_eq!(results["verdict"], "violation");
    let minimal = results["finding"]["minimal"].as_array().expect("a proof");
    assert!((2..=10).contains(&minimal.len()), "{results:#}");
}

/// A node whose data is damaged does not start: it is left out, and the run goes on without it.
#[test]
fn a_node_whose_data_is_damaged_is_left_out_and_the_others_are_judged() {
    let bench = Bench::new();
    let steps =
        "at 1s kill n2; at 1.3s truncate n2; at 1.4s restart; at 2s kill n2; at 2.2s flip n2";
    let run = run(&bench, &["--time-limit", "4s"], steps);
    assert_eq!(run.code(), Some(0), "{}", run.everything());
    for (kind, observed) in [("truncate", " bytes of node.redb left"), ("bit-rot", "left out")] {
        let fault = &faults(&bench, kind)[0];
        assert_eq!(fault["bit"], true, "{fault}");
        assert!(fault["observed"].as_str().is_some_and(|text| text.contains(observed)), "{fault}");
        assert!(fault["to_ns"].is_u64(), "{fault}");
    }
    assert!(run.stderr.contains("n2 is damaged and does not start"), "{}", run.everything());
    assert_eq!(bench.processes_after(std::time::Duration::from_secs(5)), [""; 0]);
}

/// Most nodes get back what they had before, and nobody tells them: writes that were acknowledged are
/// lost, which no store has to bear, and the tester says so, live and simulated.
#[test]
fn a_majority_that_forgets_is_seen_to_have_lost_writes() {
    let bench = Bench::new();
    let steps = "at 1s kill n1, n2; at 1.2s save n1, n2; at 1.3s restart; at 3s kill everyone; \
                 at 3.2s rollback n1, n2; at 3.3s restart n1, n2; at 4.6s restart";
    let long = ["--workload", "append", "--time-limit", "6s"];
    let run = run(&bench, &long, steps);
    assert_eq!(run.code(), Some(1), "{}", run.everything());
    assert_eq!(results(&bench)["verdict"], "violation");
    let saved = &faults(&bench, "save")[0];
    assert_eq!((&saved["bit"], &saved["done"]), (&false.into(), &"save n1, n2".into()));
    assert_eq!(faults(&bench, "rollback")[0]["bit"], true);

    let arguments = ["sim", "--nodes", "3", "--seeds", "1..3", "--nemesis", "none", "--keep-going"];
    let sim = bench.rashomon(&[&arguments[..], &long, &["--schedule", steps]].concat());
    assert_eq!(sim.code(), Some(1), "{}", sim.everything());
}
