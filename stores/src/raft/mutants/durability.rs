//! Bugs in what survives a crash.

use super::Bug;
use crate::catalogue::{Area, Hunt, Mutant, Shows};

pub(super) const TABLE: &[(Bug, Mutant)] = &[
    (
        Bug::AckBeforeFsync,
        Mutant {
            name: "ack-before-fsync",
            area: Area::Durability,
            broken: "a follower confirms entries that are not on its disk yet",
            wild: "etcd#14143; dragonboat#201",
            shows: Shows::Anomaly("acknowledged writes are lost"),
            fault: "slow disks, and crash a majority",
            hunt: Hunt { workload: "append", nemesis: "kill,disk", nodes: 3, reads: "read-index" },
        },
    ),
    (
        Bug::LeaderCountsUnsynced,
        Mutant {
            name: "leader-counts-unsynced",
            area: Area::Durability,
            broken: "a leader counts itself towards a commit before the entry is on its disk",
            wild: "Ongaro §10.2.1: the leader may write in parallel, but not count early",
            shows: Shows::Anomaly("acknowledged writes are lost"),
            fault: "slow disks, and crash the leader with another node",
            hunt: Hunt { workload: "append", nemesis: "kill,disk", nodes: 3, reads: "read-index" },
        },
    ),
    (
        Bug::VoteBeforeFsync,
        Mutant {
            name: "vote-before-fsync",
            area: Area::Durability,
            broken: "a vote is sent before it is on the disk",
            wild: "Ongaro, figure 3.1: updated on stable storage before responding; nodedb#161",
            shows: Shows::Anomaly("two leaders in a term: acknowledged writes are lost"),
            fault: "slow disks, and crashes during elections",
            hunt: Hunt {
                workload: "append",
                nemesis: "kill,network",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::VoteForgotten,
        Mutant {
            name: "vote-forgotten",
            area: Area::Durability,
            broken: "a restarted node does not know whom it voted for",
            wild: "nodedb#161; Ongaro §3.8",
            shows: Shows::Anomaly("two leaders in a term: acknowledged writes are lost"),
            fault: "crash and restart nodes during elections",
            hunt: Hunt {
                workload: "append",
                nemesis: "kill,network",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::TermForgotten,
        Mutant {
            name: "term-forgotten",
            area: Area::Durability,
            broken: "a restarted node takes its term from the end of its log, and has not voted in it",
            wild: "nodedb#161; Ongaro §3.8",
            shows: Shows::Anomaly("a term is used twice: acknowledged writes are lost"),
            fault: "crash everybody, and cut the network",
            hunt: Hunt {
                workload: "append",
                nemesis: "kill,partition,network",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::TailForgotten,
        Mutant {
            name: "tail-forgotten",
            area: Area::Durability,
            broken: "recovery takes the last entry for a torn write and drops it",
            wild: "Alagappan et al., Protocol-Aware Recovery (FAST 2018): truncating at a mismatch loses committed entries",
            shows: Shows::Anomaly("acknowledged writes are lost"),
            fault: "crash everybody",
            hunt: Hunt { workload: "append", nemesis: "kill", nodes: 5, reads: "read-index" },
        },
    ),
    (
        Bug::Amnesia,
        Mutant {
            name: "amnesia",
            area: Area::Durability,
            broken: "a restarted node begins with nothing, under its old name",
            wild: "RethinkDB 2.2.3 (Jepsen, 2016); Protocol-Aware Recovery (FAST 2018)",
            shows: Shows::Anomaly("acknowledged writes are lost"),
            fault: "crash a majority",
            hunt: Hunt { workload: "append", nemesis: "kill", nodes: 5, reads: "read-index" },
        },
    ),
];
