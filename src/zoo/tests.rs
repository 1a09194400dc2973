//! A short visit to the zoo: what is found within a few seeds, and a few seeds of every control.

use std::fs;
use std::path::Path;

use super::*;

const SHORT: Effort = Effort {
    jobs: 2,
    time_limit: Duration::from_secs(600),
    control_seeds: 2,
    run: Duration::from_secs(6),
};

fn entries() -> impl Iterator<Item = (Store, &'static Mutant)> {
    Store::ALL.iter().flat_map(|store| store.mutants().map(|mutant| (*store, mutant)))
}

fn entry(name: &str) -> &'static Mutant {
    let (_, entry) = entries().find(|(_, entry)| entry.name == name).expect("it is there");
    entry
}

#[test]
fn every_entry_says_where_it_can_be_hunted() {
    for store in Store::ALL {
        for mutant in store.mutants() {
            let settings = settings(*store, mutant, SHORT.run);
            assert!(settings.nodes >= 3 && !settings.nemesis.0.is_empty(), "{}", mutant.name);
        }
    }
}

/// What takes many seeds to be seen by clients, too many for a short visit. No seeds are written
/// down for the others: any change of the world would shift them, and a search takes as long as it
/// takes.
const RARE: &[&str] = &[
    "length-first",
    "vote-counted-twice",
    "old-answer-counted",
    "old-term-committed",
    "prev-term-unchecked",
    "leader-counts-unsynced",
    "vote-before-fsync",
    "vote-forgotten",
    "term-forgotten",
    "old-round-read",
    "snapshot-in-two-steps",
    "stale-snapshot",
    "lease-without-margin",
    "lease-unprotected",
    "lease-forgotten",
    "early-reconfiguration",
    "learner-counts",
    "config-not-in-snapshot",
    "transfer-unchecked",
    "promise-forgotten",
    "age-unchecked",
    "sessions-buried",
];

#[test]
fn mutants_are_caught_by_what_clients_saw_alone() {
    assert!(RARE.iter().all(|name| !entry(name).is_control()));
    let is_shown = |shows| matches!(shows, Shows::Anomaly(_) | Shows::Broken(_));
    let shown = entries().filter(|(_, mutant)| is_shown(mutant.shows));
    for (store, mutant) in shown.filter(|(_, mutant)| !RARE.contains(&mutant.name)) {
        let report = hunt(store, mutant, SHORT).expect("its seeds can be run");
        assert_eq!(report.fate, Fate::Caught, "{report:?}");
        assert!(report.operations.is_some_and(|count| count > 0), "{report:?}");
        assert!(report.replay.is_some_and(|replay| replay.contains(mutant.name)));
    }
}

#[test]
fn a_promise_that_clients_do_not_see_broken_is_caught_by_its_invariant() {
    let report = hunt(Store::Raft, entry("commit-goes-back"), SHORT).expect("it can be run");
    assert_eq!((report.fate, report.shown.as_deref()), (Fate::Caught, Some("commit monotonic")));
}

#[test]
fn what_the_invariants_see_is_told_also_when_clients_see_nothing_in_time() {
    let hasty = Effort { jobs: 1, time_limit: Duration::from_secs(2), ..SHORT };
    let report = hunt(Store::Raft, entry("vote-before-fsync"), hasty).expect("it can be run");
    assert_eq!(report.invariant, Some((1, "durable promises")), "{report:?}");
}

#[test]
fn controls_are_left_alone() {
    for (store, control) in entries().filter(|(_, entry)| entry.is_control()) {
        let report = hunt(store, control, SHORT).expect("its seeds can be run");
        assert_eq!((report.fate, report.seeds), (Fate::Clean, 2), "{report:?}");
    }
}

#[test]
fn the_catalogue_in_the_documents_is_the_one_in_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/zoo.md");
    let text = fs::read_to_string(path).expect("docs/zoo.md is there");
    let table = table::markdown(Store::ALL.iter().flat_map(|store| store.mutants()));
    assert!(text.contains(&table), "`rashomon list bugs --markdown` prints what belongs there");
}
