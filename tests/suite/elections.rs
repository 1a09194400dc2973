//! Bugs in elections and leases that take several strikes in the right order, caught in real processes: with
//! long election time-outs the order is right also on a busy machine.

use crate::support::Bench;

/// Runs a cluster, in which a bug may be planted; says whether a violation was found. Nothing else may come of it.
fn is_caught(bench: &Bench, bug: Option<&str>, common: &[&str], steps: &str) -> bool {
    let bug = bug.map(|bug| ["--bug", bug]);
    let bug = bug.iter().flatten().copied();
    let arguments = ["test", "--schedule", steps].into_iter().chain(common.iter().copied());
    let run = bench.rashomon(&arguments.chain(bug).collect::<Vec<_>>());
    assert!(matches!(run.code(), Some(0 | 1)), "{}", run.everything());
    run.code() == Some(1)
}

/// Two candidates in one term ask the only voter that both reach. It is killed when it has voted for one of
/// them, and before it has an entry of that one, which would keep it from voting for the other; that one asks
/// again when it is back.
#[test]
fn a_voter_that_forgets_its_vote_is_caught_when_it_is_killed() {
    const TRIES: usize = 12;
    let bench = Bench::new();
    let steps = "at 2s kill n3 for 200ms; at 2s cut n1 | n2 for 3.6s; at 2s slow n1, n2 -> n3 by 400ms; \
                 at 2.1s leap n1, n2 by 3.1s; at 2.9s leap n1 by 3.1s; at 3.4s leap n2 by 3.1s; \
                 at 4.4s kill n3 for 50ms; at 4.4s cut leader -> n3";
    let common = "--nodes 3 --election 2s..3s --workload append --time-limit 8s";
    let common: Vec<&str> = common.split(' ').collect();
    // How long messages take is left to chance, and whose request arrives between the kill and the entry.
    let caught = (0..TRIES).any(|_| is_caught(&bench, Some("vote-forgotten"), &common, steps));
    assert!(caught, "it was missed {TRIES} times running");
    assert!(!is_caught(&bench, None, &common, steps), "a sound store is blamed");
}

/// The leader's clock is slow, all others' are fast, each by as much as a lease has to bear. Where it does not
/// bear that, a leader that is cut off still reads by its lease when another is elected and writes.
#[test]
fn a_lease_without_a_margin_for_clocks_is_caught_when_they_drift() {
    const TRIES: usize = 8;
    let bench = Bench::new();
    let steps = "at 0.5s drift everyone at 105%; at 0.5s drift n1 at 95%; at 1s transfer to n1; \
                 at 2.5s cut n1 | rest";
    let common = "--nodes 3 --election 6s..6.3s --reads lease --workload register --concurrency 150 \
                  --client-links --time-limit 9.6s";
    let common: Vec<&str> = common.split_whitespace().collect();
    // Somebody has to read at the old leader in the half second between the new one's first write and the end
    // of the lease, or less on a busy machine: answers are late, and so leases end early.
    let caught =
        (0..TRIES).any(|_| is_caught(&bench, Some("lease-without-margin"), &common, steps));
    assert!(caught, "it was missed {TRIES} times running");
    assert!(!is_caught(&bench, None, &common, steps), "a sound store is blamed");
}
