//! `rashomon zoo` and `rashomon list` as their users meet them.

use crate::support::Bench;

#[test]
fn a_visit_catches_mutants_and_leaves_controls_alone() {
    let bench = Bench::new();
    let some = ["zoo", "--bug", "follower-read,answered-twice", "--control-seeds", "2"];
    let visit = |more: &[&str]| bench.rashomon(&[&some[..], more].concat());
    let run = visit(&["--jobs", "2"]);
    assert_eq!(run.code(), Some(0), "{}", run.everything());
    for words in ["stale-read", "caught", "clean", "1 of 1 mutants caught", "1 of 1 controls"] {
        assert!(run.stdout.contains(words), "{words} is missing\n{}", run.everything());
    }
    assert!(run.stderr.contains("follower-read: Caught"), "{}", run.stderr);
    let json = visit(&["--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("one JSON object");
    assert_eq!((&json["schema"], &json["good"]), (&1.into(), &true.into()));
    assert_eq!(json["reports"][0]["fate"], "caught");
    let stranger = bench.rashomon(&["zoo", "--bug", "unicorn"]);
    assert_eq!(stranger.code(), Some(2), "{}", stranger.everything());
    assert!(stranger.stderr.contains("rashomon list bugs"), "{}", stranger.stderr);
}

#[test]
fn a_mutant_that_is_not_found_in_time_has_escaped() {
    let bench = Bench::new();
    let run = bench.rashomon(&["zoo", "--bug", "follower-read", "--time-limit", "0s"]);
    assert_eq!(run.code(), Some(1), "{}", run.everything());
    assert!(run.stdout.contains("ESCAPED"), "{}", run.everything());
}

#[test]
fn what_there_is_can_be_listed() {
    let bench = Bench::new();
    for (what, word) in [
        ("bugs", "vote-forgotten (mutant, durability)"),
        ("stores", "raft"),
        ("stores", "paxos"),
        ("stores", "single"),
        ("models", "cas-register"),
        ("workloads", "append"),
        ("faults", "partition"),
        ("reads", "lease"),
    ] {
        let run = bench.rashomon(&["list", what]);
        assert_eq!(run.code(), Some(0), "{}", run.everything());
        assert!(run.stdout.lines().any(|line| line == word), "{}", run.everything());
        let json = bench.rashomon(&["list", what, "--json"]);
        let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("a JSON array");
        assert!(json.as_array().is_some_and(|all| !all.is_empty()));
    }
}
