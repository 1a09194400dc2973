//! Bugs in reads.

use super::Bug;
use crate::catalogue::{Area, Hunt, Mutant, Shows};

pub(super) const TABLE: &[(Bug, Mutant)] = &[
    (
        Bug::StaleRead,
        Mutant {
            name: "stale-read",
            area: Area::Reads,
            broken: "a leader answers reads from its own state without asking a quorum whether it still leads",
            wild: "etcd 0.4 and Consul 0.4 (Jepsen, 2014); d-engine#381",
            shows: Shows::Anomaly(
                "stale read: a deposed leader returns a value that was overwritten since",
            ),
            fault: "isolate the leader while clients stay attached to it",
            hunt: Hunt {
                workload: "register",
                nemesis: "partition",
                nodes: 5,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::FollowerRead,
        Mutant {
            name: "follower-read",
            area: Area::Reads,
            broken: "every node answers reads from its own state",
            wild: "etcd 2.0 with quorum=false (Jepsen, 2014); ZooKeeper documents it",
            shows: Shows::Anomaly("stale read: a follower does not know the latest write yet"),
            fault: "none is needed; a cut makes it last",
            hunt: Hunt {
                workload: "register",
                nemesis: "partition",
                nodes: 5,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::DirtyRead,
        Mutant {
            name: "dirty-read",
            area: Area::Reads,
            broken: "a leader answers reads at once, from entries that are not committed yet",
            wild: "VoltDB 6.3 (Jepsen, 2016); MongoDB 2.6 (Jepsen, 2015)",
            shows: Shows::Anomaly("dirty read: a value is read that is gone afterwards"),
            fault: "isolate the leader with writes pending",
            hunt: Hunt {
                workload: "register",
                nemesis: "partition,kill",
                nodes: 5,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::ReadBeforeNoop,
        Mutant {
            name: "read-before-noop",
            area: Area::Reads,
            broken: "a new leader answers reads before an entry of its own term is committed",
            wild: "etcd#7331; tikv#6340; Ongaro §6.4, step 1",
            shows: Shows::Anomaly("stale read right after a failover"),
            fault: "crash or isolate the leader under load",
            hunt: Hunt {
                workload: "register",
                nemesis: "kill,partition,network",
                nodes: 5,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::OldRoundRead,
        Mutant {
            name: "old-round-read",
            area: Area::Reads,
            broken: "an answer that was under way before the read arrived counts as leave to read",
            wild: "Ongaro §6.4, step 3: a heartbeat that began after the read",
            shows: Shows::Anomaly("stale read: the leader may have been deposed since that answer"),
            fault: "hold messages back until a new leader works",
            hunt: Hunt {
                workload: "register",
                nemesis: "partition",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
];
