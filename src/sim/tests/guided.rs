//! Guided search: the same from one master seed on any number of threads, every run again by a
//! command, and nothing found where nothing is.

use std::sync::atomic::{AtomicBool, AtomicU64};

use rashomon_stores::raft::ReadMode;

use super::settings;
use crate::campaign::plan::WorkloadName;
use crate::report::VerdictWord;
use crate::sim::guided::{Bounds, Case, Explored, Origin, Search, explore};
use crate::sim::luck::Luck;
use crate::sim::situations::KINDS;
use crate::sim::verdict::{run_scenario, write_history};
use crate::sim::{Scenario, Settings, Stores, Telling};

fn searched(settings: &Settings, master: u64, runs: u64, jobs: usize) -> Explored {
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let bounds = Bounds { runs, jobs, ..Bounds::of(&(master..=master + runs - 1), &stop, &done) };
    explore(&Stores, settings, bounds, Vec::new(), true).expect("runs can be made")
}

/// Everything that was run, and what came of it.
fn told(settings: &Settings, master: u64, jobs: usize) -> Vec<u8> {
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let bounds = Bounds { jobs, ..Bounds::of(&(master..=master + 39), &stop, &done) };
    let mut bytes = Vec::new();
    let see = |step: crate::sim::guided::Step| {
        bytes.extend(step.case.command(settings).into_bytes());
        bytes.extend(step.new.to_le_bytes());
        write_history(&step.run.recorded.events, &mut bytes).expect("memory takes it");
        false
    };
    let mut search = Search::new(settings, master);
    search.search(&Stores, bounds, Vec::new(), see).expect("runs can be made");
    bytes
}

fn short(nemesis: &str, bug: Option<&str>) -> Settings {
    Settings {
        nodes: 3,
        time_limit: std::time::Duration::from_secs(4),
        ..settings(WorkloadName::Register, nemesis, bug)
    }
}

#[test]
fn a_master_seed_decides_everything_whatever_the_number_of_threads() {
    let settings = short("all", None);
    let one = told(&settings, 7, 1);
    assert!(one == told(&settings, 7, 2), "threads make a difference");
    assert!(one != told(&settings, 8, 1), "the master seed makes none");
}

#[test]
fn what_is_found_is_found_again_by_its_command_alone() {
    let settings = short("partition,kill", Some("vote-unchecked"));
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let bounds = Bounds { jobs: 2, ..Bounds::of(&(1..=2_000), &stop, &done) };
    let mut found: Option<(Case, String)> = None;
    let mut search = Search::new(&settings, bounds.master);
    let see = |step: crate::sim::guided::Step| {
        let results = &step.run.judged.results;
        // One that was bred: what is drawn from a seed is found again by that anyway.
        if step.origin == Origin::Bred && results.verdict == VerdictWord::Violation {
            found = Some((step.case, results.why.clone()));
        }
        found.is_some()
    };
    search.search(&Stores, bounds, Vec::new(), see).expect("runs can be made");
    let (case, why) = found.expect("a bred run shows it");
    let text = toml::to_string_pretty(&case).expect("it is a table");
    let read: Case = toml::from_str(&text).expect("its text is read back");
    assert_eq!(read, case);
    let again = run_scenario(&Stores, read.scenario(&settings), Telling::NOTHING);
    assert_eq!(again.expect("it can be run").judged.results.why, why);
    let command = case.command(&settings);
    assert!(command.contains("--schedule 'seed ") && command.contains("--seed "), "{command}");
}

#[test]
fn runs_are_drawn_crossed_and_bred() {
    let settings = short("all", None);
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let bounds = Bounds { jobs: 2, ..Bounds::of(&(1..=120), &stop, &done) };
    let mut cases: Vec<(Case, Origin)> = Vec::new();
    let mut search = Search::new(&settings, bounds.master);
    let see = |step: crate::sim::guided::Step| {
        cases.push((step.case, step.origin));
        false
    };
    search.search(&Stores, bounds, Vec::new(), see).expect("runs can be made");
    let of = |origin: Origin| -> Vec<&Case> {
        cases.iter().filter(|(_, it)| *it == origin).map(|(case, _)| case).collect()
    };
    let fresh = of(Origin::Fresh);
    assert!(fresh.len() > 15 && of(Origin::Bred).len() > 30);
    let crossed = of(Origin::Crossed);
    for case in &crossed {
        let own = fresh.iter().find(|it| it.seed == case.seed).expect("its family is known");
        let other = fresh.iter().find(|it| it.schedule == case.schedule);
        assert!(other.is_some(), "nobody has its schedule");
        assert_eq!(own.time_limit, case.time_limit);
        assert_eq!(case.luck.0[0].0, std::time::Duration::ZERO);
    }
    let foreign = |case: &&&Case| case.schedule != Case::fresh(case.seed, &settings).schedule;
    assert!(crossed.iter().filter(foreign).count() > 10, "hardly any is of two families");
}

#[test]
fn correct_stores_are_left_alone_and_situations_are_met() {
    for store in ["raft", "paxos", "eventual"] {
        let workload = WorkloadName::Register;
        let settings = Settings { store: store.into(), workload, ..short("all", None) };
        let Explored { exploration, corpus, bred } = searched(&settings, 3, 48, 2);
        assert!(exploration.violations.is_empty(), "{store}: {:?}", exploration.violations);
        assert!(bred > 5 && corpus.known() > 100 && corpus.entries().next().is_some(), "{store}");
    }
}

#[test]
fn runs_of_every_store_get_into_situations_of_every_kind() {
    for store in ["raft", "paxos", "eventual"] {
        let settings = Settings { store: store.into(), ..short("all", None) };
        let mut kinds = [0; KINDS];
        for seed in 1..=3 {
            let scenario = Scenario::generate(seed, &settings);
            let run = run_scenario(&Stores, scenario, Telling::SITUATIONS).expect("it can be run");
            run.recorded.situations.iter().for_each(|situation| kinds[situation.kind()] += 1);
        }
        assert!(kinds.iter().all(|count| *count > 2), "{store}: {kinds:?}");
    }
}

#[test]
fn a_change_of_luck_leaves_alone_what_was_before() {
    let settings = short("all", None);
    let plain = Scenario::generate(5, &settings);
    let luck: Luck = "2s 77".parse().expect("it is luck");
    let run = |scenario: Scenario| {
        let run = run_scenario(&Stores, scenario, Telling::SITUATIONS).expect("it can be run");
        run.recorded
    };
    let (one, other) = (run(plain.clone()), run(Scenario { luck, ..plain }));
    let before = |recorded: &crate::sim::Recorded| -> Vec<String> {
        let events = recorded.events.iter().filter(|event| event.time < Some(2_000_000_000));
        events.map(|event| format!("{event:?}")).collect()
    };
    assert_eq!(before(&one), before(&other));
    assert!(before(&one).len() > 50 && one.events != other.events);
}

#[test]
fn a_swarm_has_one_schedule_live_and_simulated_and_says_its_mixture() {
    let swarm = |reads| Settings { swarm: true, reads, ..short("all", None) };
    let mut packages = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let scenario = Scenario::generate(seed, &swarm(ReadMode::ReadIndex));
        let plan = scenario.plan();
        let mixture = plan.mixture.as_ref().expect("it is said");
        assert_eq!(plan.schedule, mixture.schedule(seed, scenario.time_limit, 3));
        packages.insert(mixture.packages().to_string());
        // What a live run is started again by, and read back from its plan.
        assert!(plan.command().contains("--nemesis swarm"), "{}", plan.command());
        let text = toml::to_string(&plan).expect("it is a table");
        assert_eq!(toml::from_str(&text), Ok(plan), "{text}");
        let read: Scenario = toml::from_str(&scenario.to_toml()).expect("its text is read back");
        assert_eq!(read, scenario);
        let leases = Scenario::generate(seed, &swarm(ReadMode::Lease));
        let names: Vec<&str> =
            leases.schedule.steps().iter().map(|step| step.fault.name()).collect();
        assert!(!names.contains(&"drift") && !names.contains(&"leap"), "{names:?}");
    }
    assert!(packages.len() > 15, "{packages:?}");
}
