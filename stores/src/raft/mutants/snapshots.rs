//! Bugs in snapshots, and in going on from one.

use super::Bug;
use crate::catalogue::{Area, Hunt, Mutant, Shows};

pub(super) const TABLE: &[(Bug, Mutant)] = &[
    (
        Bug::SessionsNotInSnapshot,
        Mutant {
            name: "sessions-not-in-snapshot",
            area: Area::Snapshots,
            broken: "a snapshot does not say which commands were executed",
            wild: "Ongaro §6.3; MIT 6.824, lab 3B",
            shows: Shows::Anomaly("after a restart an append takes effect twice"),
            fault: "crash nodes while the leader works on writes",
            hunt: Hunt {
                workload: "append",
                nemesis: "partition,kill",
                nodes: 5,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::SnapshotInTwoSteps,
        Mutant {
            name: "snapshot-in-two-steps",
            area: Area::Snapshots,
            broken: "that there is a snapshot is stored before what is in it",
            wild: "redisraft#14",
            shows: Shows::Anomaly("a restarted node has an empty state: stale and lost values"),
            fault: "crash nodes while they compact; slow disks",
            hunt: Hunt { workload: "append", nemesis: "kill,disk", nodes: 3, reads: "read-index" },
        },
    ),
    (
        Bug::StaleSnapshot,
        Mutant {
            name: "stale-snapshot",
            area: Area::Snapshots,
            broken: "a snapshot is installed that is older than what a node has",
            wild: "Ongaro §5.3 and §7.1; etcd tests against it",
            shows: Shows::Anomaly("acknowledged entries are dropped: writes are lost"),
            fault: "chunks that arrive twice or late, then elections",
            hunt: Hunt {
                workload: "append",
                nemesis: "network,kill",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::SnapshotDropsLog,
        Mutant {
            name: "snapshot-drops-log",
            area: Area::Snapshots,
            broken: "a snapshot replaces the whole log, also what follows it there",
            wild: "Ongaro §5.1 and §5.3: what follows the snapshot's last entry is retained",
            shows: Shows::Anomaly("acknowledged entries are dropped: writes are lost"),
            fault: "crash the leader while entries are on their way",
            hunt: Hunt {
                workload: "append",
                nemesis: "network,partition,kill",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::SnapshotWithoutState,
        Mutant {
            name: "snapshot-without-state",
            area: Area::Snapshots,
            broken: "a follower takes over a snapshot's place in the log and keeps its own state",
            wild: "redisraft (Jepsen, 2020), among others",
            shows: Shows::Anomaly("writes are lost on that node, and seen missing when it leads"),
            fault: "keep a follower away for long",
            hunt: Hunt {
                workload: "append",
                nemesis: "partition,kill",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::EntrySkipped,
        Mutant {
            name: "entry-skipped",
            area: Area::Snapshots,
            broken: "a restarted node takes the entry after its snapshot for applied",
            wild: "etcd#13766: the applied index and the state were not stored together",
            shows: Shows::Anomaly("a write is missing on one node, and seen missing when it leads"),
            fault: "crash nodes",
            hunt: Hunt { workload: "append", nemesis: "kill", nodes: 3, reads: "read-index" },
        },
    ),
];
