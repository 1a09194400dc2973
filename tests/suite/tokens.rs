//! The tokens of the example are all there on every snapshot; and snapshots that are taken wrongly are
//! found out.

use rashomon_stores::observe::mutants::Bug;

#[path = "../../examples/tokens/audit.rs"]
mod audit;
#[path = "../../examples/tokens/core.rs"]
mod core;

fn seen(audit: &audit::Audit, what: &str) -> u64 {
    let found = audit.seen.iter().find(|(known, _)| *known == what);
    found.map_or(0, |(_, times)| *times)
}

#[test]
fn no_token_is_lost_or_made_on_any_snapshot() {
    let (wrong, sum) = audit::audit_all(1..=240, None, false).expect("they run");
    assert_eq!(wrong, []);
    assert!(seen(&sum, "audited") > 1_000, "{sum:?}");
    for what in [
        "audited with tokens on their way",
        "snapshots void by a crash",
        "snapshots given up",
        "crashes that lost unsynced data",
        "pauses",
    ] {
        assert!(seen(&sum, what) > 0, "no {what}: {sum:?}");
    }
}

#[test]
fn every_wrong_way_of_taking_snapshots_is_found_out() {
    for bug in Bug::ALL {
        let (wrong, _) = audit::audit_all(1..=240, Some(bug), true).expect("they run");
        assert_eq!(wrong.len(), 1, "{bug} is not found out");
        assert!(wrong[0].1.starts_with("conservation: "), "{bug}: {wrong:?}");
    }
}

#[test]
fn a_seed_has_the_same_snapshots_again() {
    for seed in [3, 4] {
        let runs = [0, 1].map(|_| audit::audit(seed, None).expect("it runs"));
        assert_eq!(runs[0].seen, runs[1].seen);
        assert!(runs[0].breach.is_none() && audit::is_fair(seed) == (seed == 4));
    }
    let wrong = [0, 1].map(|_| audit::audit(4, Some(Bug::ChannelForgotten)).expect("it runs"));
    assert!(wrong[0].breach.is_some() && wrong[0].breach == wrong[1].breach);
}
