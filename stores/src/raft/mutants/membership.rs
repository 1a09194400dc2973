//! Bugs in who belongs to the cluster, and in how leadership is handed over.

use super::Bug;
use crate::catalogue::{Area, Hunt, Mutant, Shows};

pub(super) const TABLE: &[(Bug, Mutant)] = &[
    (
        Bug::EarlyReconfiguration,
        Mutant {
            name: "early-reconfiguration",
            area: Area::Membership,
            broken: "a leader begins a change before an entry of its own term is committed",
            wild: "Ongaro, bug in single-server membership changes (raft-dev, 2015)",
            shows: Shows::Anomaly("two majorities that do not meet: acknowledged writes are lost"),
            fault: "removals that meet changes of leader, in a cluster of even size",
            hunt: Hunt {
                workload: "append",
                nemesis: "membership,partition",
                nodes: 6,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::TwoChangesAtOnce,
        Mutant {
            name: "two-changes-at-once",
            area: Area::Membership,
            broken: "a leader begins a change while an earlier one is not committed",
            wild: "Ongaro §4.1: one change at a time; figure 4.3",
            shows: Shows::Anomaly("two majorities that do not meet: acknowledged writes are lost"),
            fault: "several removals ordered from a leader in a minority",
            hunt: Hunt {
                workload: "append",
                nemesis: "membership,partition",
                nodes: 5,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::RemovedLeaderLeads,
        Mutant {
            name: "removed-leader-leads",
            area: Area::Membership,
            broken: "a leader that is removed leads on, and counts itself",
            wild: "Ongaro §4.2.2: it steps down, and does not count itself before",
            shows: Shows::Anomaly("commit without a majority: acknowledged writes are lost"),
            fault: "remove the leader, then isolate it with another node",
            hunt: Hunt {
                workload: "append",
                nemesis: "membership,partition",
                nodes: 4,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::LearnerCounts,
        Mutant {
            name: "learner-counts",
            area: Area::Membership,
            broken: "a learner elects and commits like a voter, but is not counted as one",
            wild: "Ongaro §4.2.1: not yet counted towards majorities",
            shows: Shows::Anomaly("majorities that are none: acknowledged writes are lost"),
            fault: "add servers while the network is cut",
            hunt: Hunt {
                workload: "append",
                nemesis: "membership,partition",
                nodes: 5,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::ConfigNotInSnapshot,
        Mutant {
            name: "config-not-in-snapshot",
            area: Area::Membership,
            broken: "a snapshot says that the members are the first ones",
            wild: "Ongaro §4.1 and §5.1: the latest configuration is a part of the snapshot",
            shows: Shows::Anomaly("majorities that do not meet: acknowledged writes are lost"),
            fault: "members that come and go, then crashes",
            hunt: Hunt {
                workload: "append",
                nemesis: "membership,partition,kill",
                nodes: 5,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::TransferUnchecked,
        Mutant {
            name: "transfer-unchecked",
            area: Area::Membership,
            broken: "whom the leader wants to lead gets votes without comparing logs",
            wild: "openraft, reject stale transfer-leader target (2026); Ongaro §3.10",
            shows: Shows::Anomaly(
                "a leader without committed entries: acknowledged writes are lost",
            ),
            fault: "hand leadership over while messages are held back",
            hunt: Hunt {
                workload: "append",
                nemesis: "membership,partition",
                nodes: 5,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::TransferKeepsLease,
        Mutant {
            name: "transfer-keeps-lease",
            area: Area::Membership,
            broken: "a leader answers reads by its lease though it has told another to take over",
            wild: "Ongaro §6.4.1 counts on §4.2.3, which handing over (§3.10) suspends",
            shows: Shows::Anomaly(
                "stale read: a deposed leader returns a value that was overwritten since",
            ),
            fault: "hand leadership over while messages are lost or late",
            hunt: Hunt {
                workload: "register",
                nemesis: "membership,partition",
                nodes: 5,
                reads: "lease",
            },
        },
    ),
];
