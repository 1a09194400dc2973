//! Bugs in what a proposer proposes, and what it takes for chosen.

use super::Bug;
use crate::catalogue::{Area, Hunt, Mutant, Shows};

pub(super) const TABLE: &[(Bug, Mutant)] = &[
    (
        Bug::FirstValueChosen,
        Mutant {
            name: "first-value-chosen",
            area: Area::Proposals,
            broken: "a proposer goes on from the first state that it is told, not from that of the highest ballot",
            wild: "Lamport 1998, B3(B); the MIT 6.824 Paxos lab",
            shows: Shows::Anomaly("acknowledged writes are lost, and old values come back"),
            fault: "a node that missed writes, such as one behind a cut",
            hunt: Hunt {
                workload: "append",
                nemesis: "partition,network",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::BallotsCollide,
        Mutant {
            name: "ballots-collide",
            area: Area::Proposals,
            broken: "ballots do not tell which node they are of",
            wild: "Rystsov, CASPaxos §2.2 and the README of gryadka: a ballot holds the unique id of its proposer",
            shows: Shows::Anomaly("two states at one ballot: acknowledged writes are lost"),
            fault: "two nodes that propose at a time",
            hunt: Hunt {
                workload: "register",
                nemesis: "network,pause",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::BallotUnreserved,
        Mutant {
            name: "ballot-unreserved",
            area: Area::Durability,
            broken: "a proposal leaves before the disk says that its ballot is used",
            wild: "this project, found by a seed: a ballot used again after a crash; Chandra et al., Paxos Made Live (2007), §5.1",
            shows: Shows::Invariant(
                "a ballot may be used twice, which has to meet a crash and two quorums to be seen",
            ),
            fault: "power loss",
            hunt: Hunt { workload: "delete", nemesis: "kill,disk", nodes: 3, reads: "read-index" },
        },
    ),
    (
        Bug::ReadNotProposed,
        Mutant {
            name: "read-not-proposed",
            area: Area::Reads,
            broken: "a read is answered with the highest state that was promised, which need not be chosen",
            wild: "the first, retracted claim against CASPaxos (2017); CASSANDRA-12126",
            shows: Shows::Anomaly("a value is read, and then an older one"),
            fault: "a proposer that dies or is cut off between acceptors",
            hunt: Hunt {
                workload: "register",
                nemesis: "partition,kill,network",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::CacheKept,
        Mutant {
            name: "cache-kept",
            area: Area::Proposals,
            broken: "a proposer that was overtaken goes on from what it had cached, at a higher ballot",
            wild: "Rystsov, CASPaxos §2.2.1: a conflict invalidates the cache",
            shows: Shows::Anomaly(
                "a compare-and-set succeeds on an old value: acknowledged writes are lost",
            ),
            fault: "none: two nodes that write one key are enough",
            hunt: Hunt { workload: "register", nemesis: "network", nodes: 3, reads: "read-index" },
        },
    ),
    (
        Bug::OldAckCounted,
        Mutant {
            name: "old-ack-counted",
            area: Area::Proposals,
            broken: "an acceptance of an earlier proposal counts for the one under way",
            wild: "Lamport 1998, B2: a quorum of one ballot; the MIT 6.824 Paxos lab",
            shows: Shows::Anomaly(
                "what a minority has accepted passes for chosen: acknowledged writes are lost",
            ),
            fault: "late messages and cuts",
            hunt: Hunt {
                workload: "append",
                nemesis: "network,partition",
                nodes: 5,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::OneAckIsEnough,
        Mutant {
            name: "one-ack-is-enough",
            area: Area::Replication,
            broken: "a proposal counts as chosen when one node has accepted it",
            wild: "Redis, asynchronous replication (Jepsen 2013)",
            shows: Shows::Anomaly("acknowledged writes are lost"),
            fault: "a node that is cut off or crashes",
            hunt: Hunt {
                workload: "append",
                nemesis: "partition,kill",
                nodes: 5,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::QuorumsApart,
        Mutant {
            name: "quorums-apart",
            area: Area::Proposals,
            broken: "quorums that promise and quorums that accept need not meet",
            wild: "Howard et al., Flexible Paxos (2016), §3: all that matters is that they do",
            shows: Shows::Anomaly("acknowledged writes are lost, reads are stale"),
            fault: "cuts",
            hunt: Hunt {
                workload: "register",
                nemesis: "partition,network",
                nodes: 5,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::CertainRefusal,
        Mutant {
            name: "certain-refusal",
            area: Area::Sessions,
            broken: "a write whose proposal was overtaken is called refused",
            wild: "scylladb issue 25602: an uncertain lightweight transaction that is reported as failed",
            shows: Shows::Anomaly("a write that failed is read"),
            fault: "proposals at a time",
            hunt: Hunt {
                workload: "register",
                nemesis: "network,pause",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::AppliedAgain,
        Mutant {
            name: "applied-again",
            area: Area::Sessions,
            broken: "a command that is proposed again is executed again, though it may have been chosen",
            wild: "scylladb issue 25602; Cassandra lightweight transactions that are retried after a time-out",
            shows: Shows::Anomaly("an element is in a list twice"),
            fault: "proposals at a time, and nodes that take over",
            hunt: Hunt {
                workload: "append",
                nemesis: "network,pause",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
];
