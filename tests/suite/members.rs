//! Members that come and go in clusters of real processes, by orders to whoever leads or serves.

use std::fs;
use std::time::Duration;

use crate::support::{Bench, Finished};
use serde_json::Value as Json;

/// How soon nothing of a run may be left.
const NOTHING_LEFT: Duration = Duration::from_secs(5);

fn faults(bench: &Bench) -> Vec<Json> {
    let text = fs::read(bench.latest().join("results.json")).expect("results are kept");
    let results: Json = serde_json::from_slice(&text).expect("they are JSON");
    results["coverage"]["faults"].as_array().expect("faults").clone()
}

fn run(bench: &Bench, store: &str, more: &[&str], steps: &str) -> Finished {
    let common = ["test", "--store", store, "--seed", "3", "--rate", "60", "--schedule", steps];
    bench.rashomon(&[&common[..], more].concat())
}

/// What faults came to, as the history of the latest run tells it, in order.
fn done(bench: &Bench) -> Vec<String> {
    let text = fs::read_to_string(bench.latest().join("history.jsonl")).expect("a history");
    let events = text.lines().map(|line| serde_json::from_str::<Json>(line).expect("JSON"));
    let faults = events.filter(|event| event["process"] == "nemesis");
    faults.filter_map(|event| event["value"]["done"].as_str().map(str::to_owned)).collect()
}

/// A node that is added is one like all others: it is told to clients and peers, its links are cut like
/// theirs, and it is killed and comes back. One that is retired ends.
#[test]
fn members_come_and_go_and_are_struck_like_all_others() {
    let bench = Bench::new();
    let steps = "at 0.8s add; at 0.8s retire n1; at 0.9s add; at 0.9s remove n2; \
                 at 5s cut n4 | rest; at 6s heal; at 6.1s kill n4; at 6.5s restart; \
                 at 7s transfer to n3";
    let run = run(&bench, "raft", &["--nodes", "3", "--time-limit", "9s"], steps);
    assert_eq!(run.code(), Some(0), "{}", run.everything());
    let faults = faults(&bench);
    let of = |kind: &str| faults.iter().filter(|it| it["kind"] == kind).collect::<Vec<_>>();
    for kind in ["add", "retire", "cut", "kill", "remove"] {
        assert!(!of(kind).is_empty(), "no {kind}: {faults:?}");
        assert!(of(kind).iter().all(|it| it["bit"] == true), "{kind}: {faults:?}");
    }
    let observed = |kind: &str| of(kind)[0]["observed"].as_str().map(str::to_owned);
    assert_eq!(observed("retire").as_deref(), Some("1 of 1 orders carried out"));
    assert_eq!(of("add").len(), 2);
    for node in ["n4", "n5"] {
        let log = fs::read_to_string(bench.latest().join(format!("nodes/{node}/log")));
        assert!(log.expect("it has run").contains(&format!("{node} starts")));
    }
    assert_eq!(bench.processes_after(NOTHING_LEFT), [""; 0]);
}

/// A cluster may come to have none of its first members. Its clients go along, and what led to those that
/// are gone is taken away.
#[test]
fn clients_outlast_all_first_members() {
    let bench = Bench::new();
    let turns =
        (1..=3).map(|node| format!("at {}s add; at {}s retire n{node}", 2 * node, 2 * node + 1));
    let steps = turns.collect::<Vec<_>>().join("; ");
    let run = run(&bench, "raft", &["--nodes", "3", "--time-limit", "12s"], &steps);
    assert_eq!(run.code(), Some(0), "{}", run.everything());
    let text = fs::read_to_string(bench.latest().join("history.jsonl")).expect("a history");
    let events = text.lines().map(|line| serde_json::from_str::<Json>(line).expect("JSON"));
    let events: Vec<Json> = events.collect();
    let retired = events.iter().rposition(|event| event["value"]["done"] == "retire n3");
    let later = &events[retired.expect("the last of them goes")..];
    // All that is done a second later is done by those that came.
    let from = later[0]["time"].as_u64().expect("a time") + 2_000_000_000;
    let is_done = |event: &&Json| event["type"] == "ok" && event["time"].as_u64() > Some(from);
    let done: Vec<&Json> = later.iter().filter(is_done).collect();
    let new = ["n4", "n5", "n6"].map(Json::from);
    let by_new = done.iter().filter(|event| new.contains(&event["node"])).count();
    assert!(by_new > 20 && by_new == done.len(), "{by_new} of {}", done.len());
    assert_eq!(bench.processes_after(NOTHING_LEFT), [""; 0]);
}

#[test]
fn members_of_a_store_without_a_leader_come_and_go() {
    let bench = Bench::new();
    let steps = "at 0.8s add; at 3s retire n1; at 4.5s kill random 1; at 5s restart";
    let easy = ["--nodes", "3", "--concurrency", "3", "--time-limit", "6s"];
    let run = run(&bench, "paxos", &easy, steps);
    assert_eq!(run.code(), Some(0), "{}", run.everything());
    let faults = faults(&bench);
    for kind in ["add", "retire", "kill"] {
        assert!(faults.iter().any(|fault| fault["kind"] == kind), "{kind}: {faults:?}");
    }
    // Changes propose all keys again, and are gone back on when that takes too long, as it may on a busy
    // machine. In the end, at the latest, everybody is a member who is meant to be one.
    let log = fs::read_to_string(bench.latest().join("nodes/n4/log")).expect("it has run");
    let is_member = |line: &str| line.contains("adopts configuration") && line.ends_with("n3 n4");
    assert!(log.lines().any(is_member), "{log}");
    assert_eq!(bench.processes_after(NOTHING_LEFT), [""; 0]);
}

/// Two changes of single members at once, ordered of a leader in a minority, make that minority a majority of
/// its own (Ongaro's dissertation, figure 4.3).
#[test]
fn a_store_that_makes_two_changes_at_once_is_caught() {
    let bench = Bench::new();
    let steps = "at 0.8s transfer to n1; at 1.5s cut n1, n2 | n3, n4, n5; at 1.52s remove n4, n5; \
                 at 3.5s heal";
    let bug = ["--bug", "two-changes-at-once", "--workload", "append", "--time-limit", "6s"];
    // The orders have to arrive before the leader notices that it has lost its majority, and clients to
    // write meanwhile: on a busy machine they may not, once or twice.
    let caught = (0..4).any(|_| {
        let run = run(&bench, "raft", &bug, steps);
        assert!(matches!(run.code(), Some(0 | 1)), "{}", run.everything());
        run.code() == Some(1)
    });
    assert!(caught, "it was missed four times running");
    let sound = run(&bench, "raft", &bug[2..], steps);
    assert_eq!(sound.code(), Some(0), "{}", sound.everything());
}

#[test]
fn a_schedule_with_changes_of_members_comes_to_the_same_live_and_simulated() {
    let bench = Bench::new();
    let steps = "seed 3; at 0.6s add; at 1.2s kill random 2; at 1.5s restart; at 1.8s retire random 1; \
                 at 2.4s pause random 1; at 2.7s resume; at 2.8s remove random 1; at 3.3s add";
    let long = ["--nodes", "5", "--time-limit", "4s"];
    let live = run(&bench, "raft", &long, steps);
    assert_eq!(live.code(), Some(0), "{}", live.everything());
    let live = done(&bench);
    let sim = ["sim", "--nemesis", "none", "--out", "runs", "--seed", "3", "--schedule", steps];
    let sim = bench.rashomon(&[&sim[..], &long].concat());
    assert_eq!(sim.code(), Some(0), "{}", sim.everything());
    assert_eq!(live, done(&bench));
    assert_eq!(live.len(), 6, "{live:?}");
}

#[test]
fn members_that_never_change_are_not_asked_to() {
    let bench = Bench::new();
    for arguments in [
        &["test", "--store", "eventual", "--nemesis", "kill,membership"][..],
        &["test", "--store", "single", "--schedule", "at 1s add"],
        &["compare", "raft", "paxos", "--nemesis", "membership"],
    ] {
        let run = bench.rashomon(arguments);
        assert_eq!(run.code(), Some(2), "{arguments:?}\n{}", run.everything());
        assert!(run.stderr.contains("members of"), "{}", run.everything());
    }
    assert!(!bench.path().join("runs").exists());
}
