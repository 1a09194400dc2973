//! The eventual store in a small world of lost, doubled and overtaken messages, cuts and crashes:
//! what it promises holds, and every planted bug breaks a promise.

#[path = "eventual/mod.rs"]
mod runs;
#[path = "sim/world.rs"]
mod world;

use rashomon_stores::catalogue::Shows;
use rashomon_stores::eventual::{Settings, mutants};

use runs::{Broken, Plan, Work, run};

fn settings(text: &str) -> Settings {
    text.parse().expect("they are known")
}

/// Runs so many seeds, which have to keep every promise and to have had their trouble.
fn holds(text: &str, works: &[Work], seeds: u64) {
    let mut seen = runs::Sightings::default();
    for seed in 1..=seeds {
        for work in works {
            let plan = Plan::swarm(settings(text), *work, seed);
            match run(&plan, seed) {
                Ok(more) => seen.add(&more),
                Err(broken) => panic!("eventual:{text}, {work:?}, seed {seed}: {broken}"),
            }
        }
    }
    for (what, count) in seen.all() {
        assert!(count > 0, "eventual:{text}: never {what}: {seen:?}");
    }
}

#[test]
fn last_writer_wins_converges_and_nothing_comes_back() {
    holds("handoff=off", &[Work::Registers, Work::Sets, Work::Counters], 15);
    holds("lww", &[Work::Registers, Work::Sets, Work::Counters], 15);
}

#[test]
fn siblings_lose_nothing_that_nobody_overwrote() {
    holds("siblings", &[Work::Registers], 30);
    holds("siblings,sessions", &[Work::Registers], 30);
}

#[test]
fn sessions_see_what_they_have_seen() {
    holds("sessions", &[Work::Registers, Work::Sets, Work::Counters], 20);
}

#[test]
fn quorums_that_overlap_read_what_was_written() {
    holds("r=2,w=2", &[Work::Registers, Work::Sets], 20);
    holds("siblings,r=2,w=2", &[Work::Registers], 20);
}

/// The runs in which a mutant is looked for.
fn hunt(name: &str, seeds: u64) -> Vec<Broken> {
    let entry = mutants::table().find(|entry| entry.name == name).expect("it is in the table");
    let works: &[Work] = match entry.hunt.workload {
        "set" => &[Work::Sets],
        "counter" => &[Work::Counters],
        _ => &[Work::Registers],
    };
    let mut found = Vec::new();
    for seed in 1..=seeds {
        for work in works {
            let mut plan = Plan::swarm(mutants::hunted_in(name), *work, seed);
            plan.options.bug = Some(name.parse().expect("it is in the table"));
            found.extend(run(&plan, seed).err());
        }
        if !found.is_empty() && !entry.is_control() {
            break;
        }
    }
    found
}

#[test]
fn every_mutant_breaks_a_promise_and_no_control_does() {
    for entry in mutants::table() {
        let found = hunt(entry.name, if entry.is_control() { 15 } else { 150 });
        match entry.shows {
            Shows::Nothing(_) => assert!(found.is_empty(), "{}: {found:?}", entry.name),
            _ => assert!(!found.is_empty(), "{} escapes", entry.name),
        }
        println!("{}: {}", entry.name, found.first().map(ToString::to_string).unwrap_or_default());
    }
}
