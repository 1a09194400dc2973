//! `rashomon compare` as its users meet it.

use std::fs;

use serde_json::Value;

use crate::browser;
use crate::report::start_browser;
use crate::support::{Bench, Finished};

const SHORT: [&str; 8] = ["--sim", "--seed", "7", "--time-limit", "8s", "--nodes", "3", "--json"];

fn compare(bench: &Bench, stores: &[&str], more: &[&str]) -> Finished {
    bench.rashomon(&[&["compare"], stores, &SHORT, more].concat())
}

fn data(run: &Finished) -> Value {
    serde_json::from_str(&run.stdout)
        .unwrap_or_else(|error| panic!("{error}\n{}", run.everything()))
}

/// What is said of a store of a comparison.
fn of<'a>(data: &'a Value, store: &str) -> &'a Value {
    let standings = data["standings"].as_array().expect("a list of stores");
    standings.iter().find(|it| it["name"] == store).unwrap_or_else(|| panic!("{store}: {data}"))
}

/// A promise of a store.
fn rung<'a>(data: &'a Value, store: &str, name: &str) -> &'a Value {
    let ladder = of(data, store)["ladder"].as_array().expect("a list of promises");
    ladder.iter().find(|rung| rung["name"] == name).unwrap_or_else(|| panic!("{name}: {ladder:?}"))
}

fn broken(data: &Value, store: &str, name: &str) -> u64 {
    rung(data, store, name)["violated"].as_u64().expect("a count")
}

fn held(data: &Value, store: &str, name: &str) -> u64 {
    rung(data, store, name)["held"].as_u64().expect("a count")
}

#[test]
fn strong_and_eventual_stores_differ_in_what_they_keep_and_cost() {
    let bench = Bench::new();
    let run = compare(&bench, &["raft", "paxos", "eventual", "single"], &["--runs", "4"]);
    assert_eq!(run.code(), Some(0), "each keeps what it promises\n{}", run.everything());
    let data = data(&run);
    for strong in ["raft", "paxos", "single"] {
        assert_eq!(held(&data, strong, "linearizable"), 4, "{strong}");
        assert_eq!(of(&data, strong)["age"]["stale"], 0, "{strong}");
    }
    assert!(broken(&data, "eventual", "linearizable") >= 3);
    let example = &rung(&data, "eventual", "linearizable")["example"];
    let shown = example["operations"].as_array().expect("operations").len();
    assert!((1..=10).contains(&shown), "a small example: {example}");
    for kept in ["convergence", "no-lost-writes", "no-values-from-nowhere"] {
        assert_eq!(held(&data, "eventual", kept), 4, "{kept}");
    }
    assert!(of(&data, "eventual")["age"]["stale"].as_u64() > Some(0));
    let answered = |store: &str, side: &str| {
        of(&data, store)["cost"][side]["availability"].as_f64().expect("a share")
    };
    for strong in ["raft", "paxos"] {
        assert!(answered(strong, "minority") < 0.3, "{strong} must not serve a minority");
        assert_eq!(of(&data, strong)["reading"]["partition"], "consistency", "{strong}");
    }
    assert!(answered("eventual", "minority") > 0.9);
    assert_eq!(of(&data, "eventual")["reading"]["partition"], "availability");
    // Everything is the same again, but for where it is kept.
    let again = compare(&bench, &["raft", "paxos", "eventual", "single"], &["--runs", "4"]);
    let same = |run: &Finished| {
        let stamp = |text: &str| {
            let mut data: Value = serde_json::from_str(text).expect("it was read before");
            for standing in data["standings"].as_array_mut().into_iter().flatten() {
                for run in standing["runs"].as_array_mut().into_iter().flatten() {
                    run.as_object_mut().map(|run| run.remove("directory"));
                }
            }
            data.to_string()
        };
        stamp(&run.stdout)
    };
    assert_eq!(same(&run), same(&again));
}

#[test]
fn sessions_hold_for_clients_that_go_from_node_to_node() {
    let stores = ["eventual", "eventual:sessions", "eventual:r=2,w=2"];
    let run = compare(&Bench::new(), &stores, &["--runs", "4", "--roam"]);
    assert_eq!(run.code(), Some(0), "{}", run.everything());
    let data = data(&run);
    for guarantee in ["read-your-writes", "monotonic-reads"] {
        assert!(broken(&data, "eventual", guarantee) >= 1, "{guarantee}");
        assert_eq!(held(&data, "eventual:sessions", guarantee), 4, "{guarantee}");
    }
    assert!(broken(&data, "eventual:r=2,w=2", "linearizable") >= 1, "quorums stop short of it");
}

#[test]
fn a_store_may_be_held_to_more_or_to_less_than_it_promises() {
    let bench = Bench::new();
    let run = compare(&bench, &["eventual"], &["--expect", "eventual=linearizable"]);
    assert_eq!(run.code(), Some(1), "{}", run.everything());
    assert!(run.stderr.contains("VIOLATION  eventual: key "), "{}", run.everything());
    assert!(run.stderr.contains("broken *"), "{}", run.everything());
    let run = compare(&bench, &["raft:reads=local"], &["--runs", "2"]);
    assert_eq!(run.code(), Some(0), "it does not promise fresh reads\n{}", run.everything());
    let data = data(&run);
    assert!(of(&data, "raft:reads=local")["age"]["stale"].as_u64() > Some(0), "{data}");
    let run =
        compare(&bench, &["raft:reads=local"], &["--expect", "raft:reads=local=linearizable"]);
    assert_eq!(run.code(), Some(1), "{}", run.everything());
}

#[test]
fn mistakes_are_explained_before_anything_is_run() {
    let bench = Bench::new();
    for (arguments, words) in [
        (&["compare"][..], "STORE"),
        (&["compare", "rafts"], "there is no store called"),
        (&["compare", "paxos:reads=local"], "reads in one way only"),
        (&["compare", "raft", "raft"], "named twice"),
        (&["compare", "raft", "--expect", "paxos=none"], "paxos is not compared"),
        (&["compare", "raft", "--expect", "raft=speed"], "`speed`"),
        (&["compare", "raft", "--expect", "raft"], "raft=linearizable"),
        (&["compare", "eventual", "--workload", "append"], "use set"),
        (&["compare", "eventual:r=9"], "9"),
        (&["compare", "raft", "--schedule", "at 99s heal"], "after the time limit"),
        (&["compare", "raft", "--schedule", "at 1s kill n9"], "n9"),
        (&["compare", "raft", "--live", "--sim"], "cannot be used with"),
    ] {
        let run = bench.rashomon(arguments);
        assert_eq!(run.code(), Some(2), "{arguments:?}\n{}", run.everything());
        assert!(run.stderr.contains(words), "{arguments:?}\n{}", run.everything());
    }
    assert!(!bench.path().join("runs").exists(), "nothing was begun");
}

#[test]
fn real_processes_are_compared_too() {
    let bench = Bench::new();
    let run = bench.rashomon(&[
        "compare",
        "raft",
        "eventual",
        "--time-limit",
        "6s",
        "--nodes",
        "3",
        "--seed",
        "7",
        "--rate",
        "60",
        "--schedule",
        "at 2s cut leader | rest; at 5s heal",
    ]);
    assert_eq!(run.code(), Some(0), "{}", run.everything());
    let latest = bench.latest();
    let text = fs::read_to_string(latest.join("comparison.json")).expect("it is kept");
    let data: Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!(data["manner"], "live");
    for store in ["raft", "eventual"] {
        for file in ["history.jsonl", "plan.toml", "report.html"] {
            assert!(latest.join(store).join(file).is_file(), "{store}: {file}");
        }
        // By their plan, which is the same for both, requests were due; by sides, there were two.
        let cost = &of(&data, store)["cost"];
        assert!(cost["minority"]["due"].as_u64() > Some(20), "{store}: {cost}");
    }
    let operations = |store: &str| {
        let plan = fs::read_to_string(latest.join(store).join("plan.toml")).expect("it is kept");
        plan.split("operations").nth(1).map(str::to_owned)
    };
    assert!(operations("raft").is_some());
    assert_eq!(operations("raft"), operations("eventual"));
    let check = bench.rashomon(&["check", "runs/latest/raft/history.jsonl"]);
    assert_eq!(check.code(), Some(0), "{}", check.everything());
}

#[test]
fn the_page_needs_nothing_and_leads_from_the_table_to_the_example() {
    let Some(mut browser) = start_browser() else { return };
    let bench = Bench::new();
    let run = compare(&bench, &["raft", "eventual", "eventual:siblings", "single"], &[]);
    assert_eq!(run.code(), Some(0), "{}", run.everything());
    for dark in [false, true] {
        browser.set_dark(dark);
        browser.show(&bench.latest().join("comparison.html"));
        let heading = browser.evaluate("document.querySelector('h1').textContent");
        assert!(heading.as_str().unwrap().contains("keeps what it promises"), "{heading}");
        for selector in [".stores td.held", ".stores td.broken a"] {
            assert!(browser::is_in_sight(&mut browser, selector), "{selector} is out of sight");
        }
        let legible = "(() => { const of = (e, p) => getComputedStyle(e).getPropertyValue(p); \
             const cell = document.querySelector('.stores td.held'); \
             return of(cell, 'color') !== of(document.body, 'background-color'); })()";
        assert_eq!(browser.evaluate(legible), true);
        browser.evaluate("document.querySelector('.stores td.broken a').click()");
        browser.wait_for("location.hash.startsWith('#example-')");
        let shown = "document.querySelector(location.hash + ' svg.picture') !== null";
        assert_eq!(browser.evaluate(shown), true);
        assert_eq!(browser.evaluate("document.scripts.length"), 0);
        assert_eq!(browser.complaints(), [] as [&str; 0]);
    }
    // The run of each store has a page of its own.
    let link = "document.querySelector('a[href$=\"eventual:siblings/report.html\"]').href";
    let link = browser.evaluate(link);
    let path = link.as_str().and_then(|link| link.strip_prefix("file://")).expect("a file");
    assert!(std::path::Path::new(path).is_file(), "{path}");
}
