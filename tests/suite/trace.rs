//! Node traces over the real binary: of simulated nodes and of real processes that are killed.

use std::fs;

use crate::support::Bench;

#[test]
fn the_nodes_of_a_simulated_run_leave_traces_that_can_be_ordered() {
    let bench = Bench::new();
    let sim = |path: &str| {
        let run = bench.rashomon(&[
            "sim",
            "--seed",
            "3",
            "--nodes",
            "3",
            "--time-limit",
            "2s",
            "--trace-nodes",
            path,
        ]);
        assert_eq!(run.code(), Some(0), "{}", run.everything());
    };
    sim("first");
    sim("again");
    sim("all.jsonl");
    for node in ["n1", "n2", "n3"] {
        let read = |from: &str| fs::read(bench.path().join(format!("{from}/{node}.jsonl")));
        let (first, again) = (read("first").expect("a trace"), read("again").expect("a trace"));
        assert!(!first.is_empty() && first == again, "{node}: other bytes");
    }
    let summary = bench.rashomon(&["trace", "first", "--shiviz", "shiviz.log"]);
    assert_eq!(summary.code(), Some(0), "{}", summary.everything());
    assert!(summary.stdout.contains("are right"), "{}", summary.everything());
    assert_eq!(bench.rashomon(&["trace", "all.jsonl"]).stdout, summary.stdout);
    let shiviz = fs::read_to_string(bench.path().join("shiviz.log")).expect("it was written");
    assert!(shiviz.starts_with("(?<event>.*)\\n(?<host>\\S*) (?<clock>{.*})\n\n"));

    let merged = bench.rashomon(&["trace", "first", "--merge"]).stdout;
    assert!(merged.starts_with("n1:1 "), "{merged}");
    let order = |one: &str, other: &str| {
        let said = bench.rashomon(&["trace", "first", "--order", one, other]);
        assert_eq!(said.code(), Some(0), "{}", said.everything());
        said.stdout.lines().last().unwrap_or_default().to_owned()
    };
    assert_eq!(order("n1:1", "n1:2"), "the first happened before the second");
    assert_eq!(order("n1:2", "n1:1"), "the second happened before the first");
    assert!(order("n1:1", "n2:1").starts_with("they are concurrent"));
    let nothing = bench.rashomon(&["trace", "first", "--order", "n1:1", "n9:1"]);
    assert_eq!(nothing.code(), Some(2), "{}", nothing.everything());
}

#[test]
fn wrong_clocks_are_a_violation_and_no_trace_is_unreadable() {
    let bench = Bench::new();
    let line = |node: u16, clock: &str, rest: &str| {
        format!(r#"{{"node":{node},"incarnation":1,"at_ns":0,"clock":"{clock}",{rest}}}"#) + "\n"
    };
    let sent = line(1, "n1:1", r#""kind":"send","to":2,"number":1"#);
    let right = line(2, "n1:1,n2:1", r#""kind":"receive","from":1,"sent_in":1,"number":1"#);
    bench.write("right.jsonl", sent.clone() + &right + r#"{"node":2,"#);
    let run = bench.rashomon(&["trace", "right.jsonl"]);
    assert_eq!(run.code(), Some(0), "{}", run.everything());
    assert!(run.stderr.contains("cut off"), "{}", run.everything());
    bench.write("wrong.jsonl", sent + &right.replace("n1:1,", ""));
    let run = bench.rashomon(&["trace", "wrong.jsonl"]);
    assert_eq!(run.code(), Some(1), "{}", run.everything());
    assert!(run.stderr.contains("n2:1 is n2:1 and has to be n1:1,n2:1"), "{}", run.everything());
    bench.write("none.jsonl", "{}\n");
    let run = bench.rashomon(&["trace", "none.jsonl"]);
    assert_eq!(run.code(), Some(2), "{}", run.everything());
    assert!(run.stderr.contains("line 1"), "{}", run.everything());
    assert_eq!(bench.rashomon(&["trace", "."]).code(), Some(2));
    assert_eq!(bench.rashomon(&["trace", "missing"]).code(), Some(2));
}

/// Processes that are killed leave traces all the same, and go on with them when they come back.
#[test]
fn live_nodes_that_are_killed_leave_traces_that_fit_together() {
    let bench = Bench::new();
    let run = bench.rashomon(&[
        "test",
        "--nodes",
        "3",
        "--time-limit",
        "6s",
        "--rate",
        "50",
        "--seed",
        "1",
        "--nemesis",
        "kill",
        "--trace-nodes",
    ]);
    assert_eq!(run.code(), Some(0), "{}", run.everything());
    let traced = bench.rashomon(&["trace", "runs/latest"]);
    assert_eq!(traced.code(), Some(0), "{}", traced.everything());
    let starts = |line: &str| line.split_whitespace().nth(2)?.parse::<u32>().ok();
    let most = traced.stdout.lines().filter(|line| line.starts_with('n')).filter_map(starts).max();
    assert!(most > Some(1), "nobody was started again\n{}", traced.everything());
    assert!(bench.latest().join("trace/n3.jsonl").is_file());
}
