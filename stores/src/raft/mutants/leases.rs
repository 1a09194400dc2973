//! Bugs in leases: reads by the clock.

use super::Bug;
use crate::catalogue::{Area, Hunt, Mutant, Shows};

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
