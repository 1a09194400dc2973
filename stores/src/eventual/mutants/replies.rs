//! What clients are told, and when.

use super::{Bug, Entry, QUORUMS, SESSIONS, SIBLINGS};
use crate::catalogue::{Area, Hunt, Mutant, Shows};

pub(super) const TABLE: &[Entry] = &[
    (
        Bug::AckBeforeDisk,
        SIBLINGS,
        Mutant {
            name: "ack-before-disk",
            area: Area::Durability,
            broken: "a write is acknowledged before it is on the disk",
            wild: "Cassandra's periodic commit log",
            shows: Shows::Broken("no-lost-writes"),
            fault: "crash a node",
            hunt: Hunt { workload: "register", nemesis: "kill", nodes: 3, reads: "read-index" },
        },
    ),
    (
        Bug::SentIsStored,
        QUORUMS,
        Mutant {
            name: "sent-is-stored",
            area: Area::Replication,
            broken: "a write counts the nodes that it was sent to, not those that have it",
            wild: "sloppy quorums counted as quorums (Dynamo, 4.6)",
            shows: Shows::Broken("read-your-writes"),
            fault: "isolate a node",
            hunt: Hunt {
                workload: "set",
                nemesis: "partition,kill",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::OwnCopyRead,
        QUORUMS,
        Mutant {
            name: "own-copy-read",
            area: Area::Reads,
            broken: "a read waits for a quorum and returns its own copy",
            wild: "a quorum that is only counted",
            shows: Shows::Broken("read-your-writes"),
            fault: "delays",
            hunt: Hunt {
                workload: "set",
                nemesis: "partition,kill",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::TokenIgnored,
        SESSIONS,
        Mutant {
            name: "token-ignored",
            area: Area::Sessions,
            broken: "a node does not look at what its client has seen",
            wild: "session tokens that load balancers drop",
            shows: Shows::Broken("read-your-writes"),
            fault: "a client that asks another node",
            hunt: Hunt {
                workload: "register",
                nemesis: "partition,kill",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
];
