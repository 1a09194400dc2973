//! Which store is to be tested, on how many nodes: what stores differ in, seen from the command line.

use std::time::Duration;

use rashomon_nemesis::{Package, Packages, ParseError, Schedule};
use rashomon_stores::catalogue::Store;
use rashomon_stores::raft::ReadMode;

use super::duration;
use crate::campaign::plan::{Election, WorkloadName};

/// The most nodes that can be asked for.
const NODES_MAX: u16 = 15;

/// How many nodes a store runs on, if not told otherwise.
const NODES: u16 = 5;

/// Reads a number of nodes.
pub(super) fn count(text: &str) -> Result<u16, String> {
    let count = text.parse().ok().filter(|count| (1..=NODES_MAX).contains(count));
    count.ok_or_else(|| format!("a number from 1 to {NODES_MAX}"))
}

/// The number of nodes that is asked for, or the store's own.
pub(super) fn nodes(store: Store, asked: Option<u16>) -> Result<u16, String> {
    match (store.is_alone(), asked) {
        (true, None | Some(1)) => Ok(1),
        (true, Some(nodes)) => Err(format!("--nodes {nodes}: the store {store} has one node")),
        (false, asked) => {
            let nodes = asked.unwrap_or(NODES);
            let checked = store.check_nodes(usize::from(nodes));
            checked.map(|()| nodes).map_err(|error| format!("--nodes {nodes}: {error}"))
        }
    }
}

/// A range of election time-outs, as in `2s..2.2s`.
pub(super) fn election(text: &str) -> Result<Election, String> {
    let (min, max) = text.split_once("..").ok_or("two durations, as in 2s..2.2s")?;
    let bounds = Election::BOUNDS_MS;
    let ms = |text: &str| {
        let ms = u64::try_from(duration::parse(text)?.as_millis()).unwrap_or(u64::MAX);
        let (least, most) = (bounds.start(), bounds.end());
        let within = bounds.contains(&ms).then_some(ms);
        within.ok_or_else(|| format!("{text} is not from {least}ms to {most}ms"))
    };
    let election = Election { min_ms: ms(min)?, max_ms: ms(max)? };
    if election.min_ms > election.max_ms {
        return Err(format!("{max} is less than {min}: write the smaller one first"));
    }
    Ok(election)
}

/// Whether the store has this bug, if any, and this way of reading.
pub(super) fn check(store: Store, bug: Option<&str>, reads: ReadMode) -> Result<(), String> {
    store.check_bug(bug).map_err(|error| format!("--bug: {error}"))?;
    if reads != ReadMode::default() && !store.chooses_reads() {
        return Err(format!("--reads {reads}: the store {store} reads in one way only"));
    }
    Ok(())
}

/// Whether the store can do what the clients are to ask for.
pub(super) fn workload(store: Store, workload: WorkloadName) -> Result<(), String> {
    if workload == WorkloadName::Append && !store.appends() {
        let why = "appends to nothing: there is no order in which it could";
        return Err(format!("--workload {workload}: the store {store} {why}; use set"));
    }
    Ok(())
}

/// The faults of a live run that are asked for, or those that suit the store: cuts, or kills where
/// there is nothing to cut.
pub(super) fn packages(store: Store, asked: Option<Packages>) -> Result<Packages, String> {
    match asked {
        // Of all, those that it can have.
        Some(mut all) if all.0.len() == Package::ALL.len() => {
            all.0.retain(|package| suits(store, *package));
            Ok(all)
        }
        Some(packages) if store.is_alone() && packages.0.contains(&Package::Partition) => {
            Err(format!(
                "--nemesis partition: the store {store} has one node, so there is nothing to cut"
            ))
        }
        Some(packages) if !store.changes_members() && packages.0.contains(&Package::Membership) => {
            Err(format!("--nemesis membership: members of the store {store} never change"))
        }
        Some(packages) => Ok(packages),
        None if store.is_alone() => Ok(Packages([Package::Kill].into())),
        None => Ok(Packages([Package::Partition].into())),
    }
}

/// Whether a package can strike a cluster of this store.
pub(super) fn suits(store: Store, package: Package) -> bool {
    match package {
        Package::Partition | Package::Link => !store.is_alone(),
        Package::Membership => store.changes_members(),
        _ => true,
    }
}

/// The packages that cannot.
pub(super) fn unsuitable(store: Store) -> Packages {
    Packages(Package::ALL.into_iter().filter(|package| !suits(store, *package)).collect())
}

/// Reads a schedule: its steps, or the name of a file that has them.
pub(super) fn schedule(text: &str) -> Result<Schedule, String> {
    if ["at ", "every ", "seed "].iter().any(|word| text.trim_start().starts_with(word)) {
        return text.parse().map_err(|error: ParseError| error.to_string());
    }
    let steps = std::fs::read_to_string(text).map_err(|error| {
        format!("cannot read the file {text}: {error}; steps begin with `at`, as in `at 2s heal`")
    })?;
    steps.parse().map_err(|error: ParseError| format!("{text}: {error}"))
}

/// Checks that a schedule can strike so many nodes within a time.
pub(super) fn check_schedule(
    schedule: &Schedule,
    nodes: u16,
    time_limit: Duration,
) -> Result<(), String> {
    schedule.check(nodes).map_err(|error| format!("--schedule: {error}"))?;
    match schedule.steps().iter().find(|step| step.at > time_limit) {
        Some(late) => Err(format!("--schedule: `{late}` is after the time limit")),
        None => Ok(()),
    }
}

/// Checks that a schedule orders nothing that the store never does.
pub(super) fn check_orders(schedule: &Schedule, store: Store) -> Result<(), String> {
    let ordered = schedule.steps().iter().find(|step| step.fault.is_order());
    match ordered.filter(|_| !store.changes_members()) {
        Some(step) => {
            Err(format!("--schedule: `{step}`: members of the store {store} never change"))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_of_one_node_has_one_node_and_nothing_to_cut() {
        assert_eq!(nodes(Store::Raft, None), Ok(5));
        assert_eq!(nodes(Store::Raft, Some(3)), Ok(3));
        assert_eq!(nodes(Store::Single, None), Ok(1));
        assert_eq!(nodes(Store::Single, Some(1)), Ok(1));
        assert!(nodes(Store::Single, Some(3)).is_err());
        let words = |packages: Packages| packages.to_string();
        assert_eq!(packages(Store::Raft, None).map(words), Ok("partition".into()));
        assert_eq!(packages(Store::Single, None).map(words), Ok("kill".into()));
        assert_eq!(
            packages(Store::Single, Some(Packages::default())).map(words),
            Ok("none".into())
        );
        let all: Packages = "all".parse().expect("they are known");
        assert_eq!(packages(Store::Raft, Some(all.clone())), Ok(all.clone()));
        assert_eq!(
            packages(Store::Single, Some(all)).map(words),
            Ok("kill,pause,clock,disk,restart".into())
        );
        let members: Packages = "kill,membership".parse().expect("both are known");
        assert!(packages(Store::Single, Some(members)).is_err());
        let both: Packages = "partition,kill".parse().expect("both are known");
        assert!(packages(Store::Single, Some(both)).is_err());
    }

    #[test]
    fn election_timeouts_are_a_range_within_bounds() {
        let range = |min_ms, max_ms| Ok(Election { min_ms, max_ms });
        assert_eq!(election("2s..2.2s"), range(2000, 2200));
        assert_eq!(election("50ms..50ms"), range(50, 50));
        assert_eq!(election(&Election { min_ms: 70, max_ms: 9_999 }.to_string()), range(70, 9_999));
        for (text, reason) in [
            ("2s", "two durations"),
            ("2s..", "write 30s"),
            ("3s..2s", "the smaller one first"),
            ("49ms..2s", "not from 50ms"),
            ("2s..1h", "to 10000ms"),
        ] {
            let error = election(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
        assert_eq!(Election { min_ms: 100, max_ms: 100 }.timing().heartbeat_ms, 20);
        assert_eq!(Election { min_ms: 2000, max_ms: 2000 }.timing().heartbeat_ms, 50);
    }

    #[test]
    fn what_an_eventual_store_cannot_do_is_refused() {
        let store = |text: &str| text.parse::<Store>().expect("a store");
        assert!(nodes(store("eventual:r=4"), Some(3)).is_err());
        assert_eq!(nodes(store("eventual:r=4"), Some(4)), Ok(4));
        let error = workload(store("eventual"), WorkloadName::Append).unwrap_err();
        assert!(error.contains("use set"), "{error}");
        assert_eq!(workload(store("eventual"), WorkloadName::Set), Ok(()));
        assert_eq!(workload(Store::Raft, WorkloadName::Append), Ok(()));
    }

    #[test]
    fn bugs_and_ways_of_reading_are_a_store_s_own() {
        let stale = Some("stale-read");
        assert_eq!(check(Store::Raft, stale, ReadMode::Lease), Ok(()));
        assert!(check(Store::Single, stale, ReadMode::default()).is_err());
        assert!(check(Store::Single, None, ReadMode::Local).is_err());
        assert_eq!(check(Store::Single, None, ReadMode::default()), Ok(()));
    }
}
