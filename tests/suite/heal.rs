//! What is left of a run whose harness was killed, and `rashomon heal`, which undoes it.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::Bench;

#[path = "../../examples/killed_harness/moments.rs"]
mod moments;

#[test]
fn nothing_is_left_of_runs_whose_harness_is_killed_at_any_moment() {
    let mut seen = (0, 0);
    for seed in 1..=5 {
        let bench = Bench::new();
        let rashomon = Path::new(env!("CARGO_BIN_EXE_rashomon"));
        let within = Duration::from_secs(5);
        let story = moments::kill_and_heal(rashomon, bench.path(), seed, within);
        let story = story.unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        println!("{story}");
        seen = (seen.0 + story.processes, seen.1 + story.sockets);
    }
    assert!(seen.0 > 5 && seen.1 > 5, "there was hardly anything to be left: {seen:?}");
}

/// Waits until the run's nodes are written down, and says where.
fn leases(bench: &Bench, nodes: usize) -> std::path::PathBuf {
    let began = Instant::now();
    loop {
        let path = bench.path().join("runs/latest/leases.jsonl");
        let text = fs::read_to_string(&path).unwrap_or_default();
        if text.matches("\"took\"").count() >= nodes {
            return fs::canonicalize(path).expect("it is there");
        }
        assert!(began.elapsed() < Duration::from_secs(90), "the run does not get going");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_run_that_goes_on_is_left_alone_and_one_that_ends_leaves_no_leases() {
    let bench = Bench::new();
    let run = bench.start(&["test", "--nodes", "3", "--time-limit", "60s", "--seed", "1"]);
    let file = leases(&bench, 3);
    let heal = bench.rashomon(&["heal", "runs/latest"]);
    assert_eq!(heal.code(), Some(2), "{}", heal.everything());
    assert!(heal.stderr.contains("still goes on, as process"), "{}", heal.everything());
    let all = bench.rashomon(&["heal"]);
    assert_eq!(all.code(), Some(0), "{}", all.everything());
    assert!(all.stdout.starts_with("nothing is left"), "{}", all.everything());
    assert_eq!(bench.processes().len(), 3, "they run on: {:?}", bench.processes());
    run.signal("INT");
    let ended = run.finish();
    assert_eq!(ended.code(), Some(130), "{}", ended.everything());
    assert!(!file.exists(), "nothing is held any more");
}

#[test]
fn the_next_run_heals_what_an_earlier_one_left() {
    let bench = Bench::new();
    let run = bench.start(&["test", "--nodes", "3", "--time-limit", "60s", "--seed", "1"]);
    let file = leases(&bench, 3);
    run.signal("KILL");
    run.finish();
    assert!(file.exists(), "nobody was there to give them back");
    let next = ["test", "--store", "single", "--time-limit", "1s", "--seed", "1"];
    let next = bench.rashomon(&next);
    assert!(matches!(next.code(), Some(0 | 3)), "{}", next.everything());
    assert!(!file.exists(), "{}", next.everything());
    assert_eq!(bench.processes(), [""; 0]);
}

#[test]
fn a_lease_file_that_makes_no_sense_is_refused_with_its_line() {
    let bench = Bench::new();
    fs::create_dir_all(bench.path().join("runs/broken")).expect("it can be made");
    let head = r#"{"leases":1,"boot":null,"harness":{"pid":1,"began":null}}"#;
    let file = bench.write("runs/broken/leases.jsonl", format!("{head}\nnonsense\n"));
    for arguments in [&["heal", "runs/broken"][..], &["heal"]] {
        let heal = bench.rashomon(arguments);
        assert_eq!(heal.code(), Some(2), "{}", heal.everything());
        assert!(heal.stderr.contains("runs/broken/leases.jsonl:2: "), "{}", heal.everything());
        assert!(heal.stdout.is_empty() && file.exists(), "{}", heal.everything());
    }
    let nobody = bench.rashomon(&["heal", "runs/none"]);
    assert_eq!(nobody.code(), Some(2), "{}", nobody.everything());
    // It is no reason not to begin another run.
    let next = bench.rashomon(&["test", "--store", "single", "--time-limit", "1s", "--seed", "1"]);
    assert!(matches!(next.code(), Some(0 | 3)), "{}", next.everything());
    assert!(next.stderr.contains("runs/broken/leases.jsonl:2: "), "{}", next.everything());
}
