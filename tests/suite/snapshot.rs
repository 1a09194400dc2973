//! `rashomon snapshot` over the real binary, of a cluster that is being tested.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::support::{Bench, Finished};

/// How long the cluster may take to be there. Generous: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Takes snapshots of the latest run until one is complete.
fn snapshot(bench: &Bench, more: &[&str]) -> Finished {
    let began = Instant::now();
    loop {
        let mut arguments = vec!["snapshot", "runs/latest"];
        arguments.extend(more);
        let taken = bench.rashomon(&arguments);
        if taken.code() == Some(0) && !taken.stderr.contains("left out") {
            return taken;
        }
        assert!(began.elapsed() < PATIENCE, "{}", taken.everything());
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_running_cluster_is_seen_as_it_was_at_one_moment() {
    let bench = Bench::new();
    let run = bench.start(&[
        "test",
        "--store",
        "eventual",
        "--nodes",
        "3",
        "--nemesis",
        "none",
        "--time-limit",
        "100s",
        "--rate",
        "50",
    ]);
    let taken = snapshot(&bench, &["--json"]);
    let json: Json = serde_json::from_str(&taken.stdout).expect("stdout is JSON");
    assert_eq!((&json["schema"], &json["left_out"]), (&1.into(), &Json::Array(Vec::new())));
    let nodes = json["nodes"].as_array().expect("a list");
    assert_eq!(nodes.len(), 3, "{json:#}");
    for node in nodes {
        assert_eq!(node["snapshot"], json["snapshot"]);
        let channels = node["channels"].as_object().expect("links by sender");
        assert!(channels.values().all(|channel| channel["closed"] == true), "{json:#}");
    }
    let text = snapshot(&bench, &[]);
    assert!(text.stdout.contains("snapshot ") && text.stdout.contains("on its way: "));
    assert!(text.stdout.lines().filter(|line| line.starts_with('n')).count() >= 4);
    run.signal("INT");
    run.finish();
    let over = bench.rashomon(&["snapshot", "runs/latest"]);
    assert_eq!(over.code(), Some(4), "{}", over.everything());
    assert!(over.stderr.contains("no node answers"), "{}", over.everything());
    assert_eq!(bench.rashomon(&["snapshot", "runs"]).code(), Some(2));
}
