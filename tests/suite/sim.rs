//! `rashomon sim` as its users meet it.

use std::fs;
use std::thread;
use std::time::Duration;

use crate::support::Bench;

const SHORT: [&str; 5] = ["sim", "--time-limit", "8s", "--rate", "60"];

fn sim(bench: &Bench, more: &[&str]) -> crate::support::Finished {
    bench.rashomon(&[&SHORT, more].concat())
}

#[test]
fn many_seeds_of_a_sound_store_are_valid() {
    let run = sim(&Bench::new(), &["--seeds", "1..10", "--workload", "append"]);
    assert_eq!(run.code(), Some(0), "{}", run.everything());
    assert!(run.stdout.contains("10: 10 valid"), "{}", run.everything());
    assert!(run.stdout.contains("VALID"), "{}", run.everything());
}

#[test]
fn a_violation_is_drawn_replayed_and_kept() {
    let bench = Bench::new();
    let bug = ["--bug", "stale-read", "--nemesis", "partition"];
    let many = sim(&bench, &[&bug[..], &["--seeds", "1..40"]].concat());
    assert_eq!(many.code(), Some(1), "{}", many.everything());
    assert!(many.stdout.contains("cannot be placed"), "{}", many.everything());
    let other_jobs = sim(&bench, &[&bug[..], &["--seeds", "1..40", "--jobs", "3"]].concat());
    assert_eq!(many.stdout, other_jobs.stdout);

    let line = many.stdout.lines().find_map(|line| line.strip_prefix("replay     rashomon "));
    let mut replay: Vec<&str> = line.expect("a command to replay it").split(' ').collect();
    replay.extend(["--out", "runs"]);
    let histories = [(); 2].map(|()| {
        let again = bench.rashomon(&replay);
        assert_eq!(again.code(), Some(1), "{}", again.everything());
        assert!(again.stdout.contains("cannot be placed"), "{}", again.everything());
        fs::read(bench.latest().join("history.jsonl")).expect("the history is kept")
    });
    assert_eq!(histories[0], histories[1]);
    for name in ["plan.toml", "results.json", "report.html"] {
        assert!(bench.latest().join(name).is_file(), "{name}");
    }
    let check = bench.rashomon(&["check", "runs/latest/history.jsonl"]);
    assert_eq!(check.code(), Some(1), "what is kept is what was judged\n{}", check.everything());
}

#[test]
fn a_schedule_is_the_same_in_every_seed_and_stands_in_the_command() {
    let bench = Bench::new();
    let cuts = ["--bug", "stale-read", "--schedule", "at 2s cut leader | rest; at 6s heal"];
    let run = sim(&bench, &[&cuts[..], &["--seeds", "1..20"]].concat());
    assert_eq!(run.code(), Some(1), "{}", run.everything());
    let asked = "--schedule 'at 2s cut leader | rest; at 6s heal'";
    assert!(run.stdout.contains(asked), "{}", run.everything());
    for (steps, wrong) in [
        ("at 2s explode", "column 7"),
        ("at 9s heal", "after the time limit"),
        ("at 2s kill n9", "n9"),
        ("at 2s when it rains kill n1", "`leader changes`"),
    ] {
        let run = sim(&bench, &["--seed", "1", "--schedule", steps]);
        assert_eq!(run.code(), Some(2), "{}", run.everything());
        assert!(run.stderr.contains(wrong), "{}", run.everything());
    }
}

#[test]
fn a_story_is_the_same_every_time() {
    let bench = Bench::new();
    let [once, again] = [(); 2].map(|()| sim(&bench, &["--seed", "3", "--trace"]));
    assert_eq!(once.code(), Some(0), "{}", once.stderr);
    assert_eq!(once.stdout, again.stdout);
    for words in ["n1 starts", "stands for election", "leads term", "Append", ": ok ", "VALID"] {
        assert!(once.stdout.contains(words), "{words} is missing");
    }
}

#[test]
fn a_scenario_is_kept_and_run_again() {
    let bench = Bench::new();
    let seed = sim(&bench, &["--seed", "3", "--bug", "stale-read", "--out", "runs"]);
    let history = || fs::read(bench.latest().join("history.jsonl")).expect("it is kept");
    let (code, first) = (seed.code(), history());
    let file = bench.latest().join("scenario.toml").display().to_string();
    let again = bench.rashomon(&["sim", "--scenario", &file, "--out", "runs"]);
    assert_eq!((again.code(), history()), (code, first), "{}", again.everything());
    let text = fs::read_to_string(&file).expect("it is text");
    for (right, wrong, word) in [
        ("nodes = 5", "nodes = 500", "`nodes` must be from 1 to 63"),
        ("client 0", "client zero", "operation 1"),
        ("store = ", "shop = ", "unknown field `shop`"),
    ] {
        assert!(text.contains(right), "{text}");
        let broken =
            bench.write("broken.toml", text.replacen(right, wrong, 1)).display().to_string();
        let run = bench.rashomon(&["sim", "--scenario", &broken]);
        assert_eq!(run.code(), Some(2), "{}", run.everything());
        assert!(run.stderr.contains(word), "{}", run.everything());
    }
}

#[test]
fn a_violation_is_shrunk_to_a_file_that_replays_it() {
    let bench = Bench::new();
    let short = ["--time-limit", "8s", "--rate", "60", "--bug", "stale-read"];
    let run = bench.rashomon(&[&["shrink"][..], &short, &["--out", "least.toml"]].concat());
    assert_eq!(run.code(), Some(1), "{}", run.everything());
    for words in ["operations", "nothing more can go", "cannot be placed", "VIOLATION"] {
        assert!(run.stdout.contains(words), "{}", run.everything());
    }
    let line = run.stdout.lines().find_map(|line| line.strip_prefix("replay      rashomon "));
    let replay: Vec<&str> = line.expect("a command to replay it").split(' ').collect();
    let again = bench.rashomon(&[&replay[..], &["--trace"]].concat());
    assert_eq!(again.code(), Some(1), "{}", again.everything());
    assert!(again.stdout.contains("n1 starts"), "{}", again.everything());
    let json =
        bench.rashomon(&["shrink", "--scenario", "least.toml", "--json", "--out", "same.toml"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("one JSON object");
    assert_eq!(json["from"]["operations"], json["to"]["operations"], "{json}");
    let sound = bench.rashomon(&[&["shrink"][..], &short[..4], &["--seed", "1"]].concat());
    assert_eq!(sound.code(), Some(0), "{}", sound.everything());
}

#[test]
fn an_interrupt_ends_with_what_was_found_so_far() {
    let run = Bench::new().start(&["sim", "--seeds", "1..1000000"]);
    while !catches_interrupts(run.id()) {
        thread::sleep(Duration::from_millis(20));
    }
    run.signal("INT");
    let run = run.finish();
    assert_eq!(run.code(), Some(130), "{}", run.everything());
    assert!(
        run.stdout.contains("seeds ") && run.stderr.contains("stopping"),
        "{}",
        run.everything()
    );
}

/// Whether a process has a handler for SIGINT by now; where that cannot be seen, time must do.
fn catches_interrupts(process: u32) -> bool {
    const INTERRUPT: u64 = 1 << (2 - 1);
    let Ok(status) = fs::read_to_string(format!("/proc/{process}/status")) else {
        thread::sleep(Duration::from_secs(2));
        return true;
    };
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    mask.is_some_and(|mask| {
        u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & INTERRUPT != 0)
    })
}

#[test]
fn results_are_json_and_mistakes_are_explained() {
    let bench = Bench::new();
    let run = sim(&bench, &["--seeds", "1..4", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&run.stdout).expect("one JSON object");
    assert_eq!((&json["schema"], &json["verdict"]), (&1.into(), &"valid".into()));
    assert_eq!(json["coverage"]["seeds"], 4);
    for (mistake, word) in [
        (["--nemesis", "floods"], "floods"),
        (["--bug", "no-such-bug"], "stale-read"),
        (["--seeds", "9..1"], "1..1000"),
        (["--time-limit", "0s"], "an hour"),
    ] {
        let run = bench.rashomon(&[&["sim"][..], &mistake].concat());
        assert_eq!(run.code(), Some(2), "{}", run.everything());
        assert!(run.stderr.contains(word), "{}", run.everything());
    }
}

/// What a store promises is what its seeds are judged by, and a bug that breaks it is caught and
/// named by the promise.
#[test]
fn a_broken_promise_is_a_violation_and_what_is_not_promised_is_none() {
    let bench = Bench::new();
    let store = ["--store", "eventual", "--nemesis", "all"];
    let run = sim(&bench, &[&store[..], &["--seeds", "1..12"]].concat());
    assert_eq!(run.code(), Some(0), "{}", run.everything());
    assert!(run.stdout.contains("12: 12 valid"), "{}", run.everything());
    assert!(run.stdout.contains("not kept   linearizable in "), "{}", run.everything());
    let one = sim(&bench, &[&store[..], &["--seed", "1"]].concat());
    assert!(one.stdout.contains("not linearizable, as expected"), "{}", one.everything());
    assert!(one.stdout.contains("convergence            held"), "{}", one.everything());

    let bug = [&store[..], &["--bug", "ties-by-arrival"]].concat();
    let many = sim(&bench, &[&bug[..], &["--seeds", "1..40"]].concat());
    assert_eq!(many.code(), Some(1), "{}", many.everything());
    for part in ["convergence is broken", "in the end n", "replay     rashomon sim"] {
        assert!(many.stdout.contains(part), "{part}\n{}", many.everything());
    }
}
