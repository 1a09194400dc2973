//! Bugs in leases: reads by the clock.

use super::Bug;
use crate::catalogue::{Area, Hunt, Mutant, Shows};

/// One follower misses the leader, and a while later all do, at the very moment at which another has
/// crashed; that one is back at once, and the first has nothing to wait for any more.
pub(super) const PROMISE_FORGOTTEN: &str = "\
    at 0.8s cut leader | random 1; at 0.85s cut leader | rest; at 0.85s kill random 1; \
    at 0.86s restart; at 1.8s heal; \
    at 2.5s cut leader | random 1; at 2.6s cut leader | rest; at 2.6s kill random 1; \
    at 2.61s restart; at 3.6s heal; \
    at 4.3s cut leader | random 1; at 4.5s cut leader | rest; at 4.5s kill random 1; \
    at 4.51s restart; at 5.4s heal; \
    at 6.1s cut leader | random 1; at 6.4s cut leader | rest; at 6.4s kill random 1; \
    at 6.41s restart; at 7.4s heal; \
    at 7.8s cut leader | random 1; at 8.2s cut leader | rest; at 8.2s kill random 1; \
    at 8.21s restart; at 9.2s heal";

pub(super) const TABLE: &[(Bug, Mutant)] = &[
    (
        Bug::LeaseWithoutMargin,
        Mutant {
            name: "lease-without-margin",
            area: Area::Leases,
            broken: "a lease lasts as long as followers refuse to vote, by the leader's own clock",
            wild: "Ongaro §6.4.1: divide by the clock drift bound; etcd#6005",
            shows: Shows::Anomaly(
                "stale read: a deposed leader returns a value that was overwritten since",
            ),
            fault: "clocks that run at different rates, and isolate the leader",
            hunt: Hunt {
                workload: "register",
                nemesis: "partition,clock",
                nodes: 3,
                reads: "lease",
            },
        },
    ),
    (
        Bug::LeaseTooLong,
        Mutant {
            name: "lease-too-long",
            area: Area::Leases,
            broken: "a lease outlasts the time after which another leader may be elected",
            wild: "etcd#6005; Ongaro §6.4.1",
            shows: Shows::Anomaly(
                "stale read: a deposed leader returns a value that was overwritten since",
            ),
            fault: "isolate the leader",
            hunt: Hunt {
                workload: "register",
                nemesis: "partition,pause",
                nodes: 5,
                reads: "lease",
            },
        },
    ),
    (
        Bug::LeaseFromAnswer,
        Mutant {
            name: "lease-from-answer",
            area: Area::Leases,
            broken: "a lease is counted from the arrival of answers, not from when they were asked for",
            wild: "Ongaro §6.4.1: from the start of the round of heartbeats",
            shows: Shows::Anomaly(
                "stale read: a deposed leader returns a value that was overwritten since",
            ),
            fault: "answers that are held back or late, then isolate the leader",
            hunt: Hunt {
                workload: "register",
                nemesis: "network,partition,pause",
                nodes: 3,
                reads: "lease",
            },
        },
    ),
    (
        Bug::LeaseByRole,
        Mutant {
            name: "lease-by-role",
            area: Area::Leases,
            broken: "a lease is never compared with the clock: who leads may read",
            wild: "sofa-jraft#25; tikv#964",
            shows: Shows::Anomaly(
                "stale read: a deposed leader returns a value that was overwritten since",
            ),
            fault: "isolate the leader, or let it stand still",
            hunt: Hunt {
                workload: "register",
                nemesis: "partition,pause",
                nodes: 5,
                reads: "lease",
            },
        },
    ),
    (
        Bug::LeaseUnprotected,
        Mutant {
            name: "lease-unprotected",
            area: Area::Leases,
            broken: "followers vote although the leader they heard may have a lease",
            wild: "Ongaro §6.4.1 counts on §4.2.3",
            shows: Shows::Anomaly(
                "stale read: a deposed leader returns a value that was overwritten since",
            ),
            fault: "cut some nodes off, so that they stand for election",
            hunt: Hunt { workload: "register", nemesis: "partition", nodes: 3, reads: "lease" },
        },
    ),
    (
        Bug::LeaseForgotten,
        Mutant {
            name: "lease-forgotten",
            area: Area::Leases,
            broken: "a restarted node votes at once, although it may have heard a leader just before",
            wild: "Ongaro §6.4.1: the promise must outlast a crash",
            shows: Shows::Anomaly(
                "stale read: a deposed leader returns a value that was overwritten since",
            ),
            fault: "crash followers, and isolate the leader",
            hunt: Hunt {
                workload: "register",
                nemesis: "partition,kill",
                nodes: 3,
                reads: "lease",
            },
        },
    ),
];
