//! Bugs in how tombstones are collected.

use super::Bug;
use crate::catalogue::{Area, Hunt, Mutant, Shows};

pub(super) const TABLE: &[(Bug, Mutant)] = &[
    (
        Bug::CollectedEarly,
        Mutant {
            name: "collected-early",
            area: Area::Deletion,
            broken: "a tombstone is erased when a quorum holds it, and not all",
            wild: "Rystsov, CASPaxos §3.1, step 2a; resurrected rows of Cassandra, gc_grace_seconds",
            shows: Shows::Anomaly("a deleted value comes back"),
            fault: "a node that is cut off while a key is deleted",
            hunt: Hunt {
                workload: "delete",
                nemesis: "partition,kill",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::CacheOutlivesTombstone,
        Mutant {
            name: "cache-outlives-tombstone",
            area: Area::Deletion,
            broken: "a proposer keeps what it has cached of a key whose tombstone is erased",
            wild: "Rystsov, CASPaxos §3.1, step 2b",
            shows: Shows::Anomaly("a deleted value comes back"),
            fault: "a key that is deleted by way of another node than wrote it",
            hunt: Hunt {
                workload: "delete",
                nemesis: "network,pause",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::AgeUnchecked,
        Mutant {
            name: "age-unchecked",
            area: Area::Deletion,
            broken: "an acceptor listens to proposals from before a tombstone was erased",
            wild: "Rystsov, CASPaxos §3.1, step 2c",
            shows: Shows::Anomaly(
                "a deleted value comes back with a message that was long on its way",
            ),
            fault: "messages that are held for seconds",
            hunt: Hunt {
                workload: "delete",
                nemesis: "network,partition",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::SessionsBuried,
        Mutant {
            name: "sessions-buried",
            area: Area::Deletion,
            broken: "which commands were executed is forgotten with a tombstone",
            wild: "a gap in CASPaxos §3.1, which knows no sessions; RIFL (Lee et al., SOSP 2015), §3.4: when completion records may go",
            shows: Shows::Anomaly("a command that is sent again takes effect again"),
            fault: "clients that send again what was executed on a key since deleted",
            hunt: Hunt {
                workload: "delete",
                nemesis: "network,pause",
                nodes: 5,
                reads: "read-index",
            },
        },
    ),
];
