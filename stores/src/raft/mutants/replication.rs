//! Bugs in appending, matching and committing.

use super::Bug;
use crate::catalogue::{Area, Hunt, Mutant, Shows};

pub(super) const TABLE: &[(Bug, Mutant)] = &[
    (
        Bug::OldAnswerCounted,
        Mutant {
            name: "old-answer-counted",
            area: Area::Replication,
            broken: "answers to an earlier leadership count as answers to this one",
            wild: "MIT 6.824, students' guide: term confusion",
            shows: Shows::Anomaly("commit without a majority: acknowledged writes are lost"),
            fault: "a leader that is deposed and elected again while answers are under way",
            hunt: Hunt {
                workload: "append",
                nemesis: "network,partition",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::OldTermCommitted,
        Mutant {
            name: "old-term-committed",
            area: Area::Replication,
            broken: "entries of earlier terms are committed by counting replicas",
            wild: "Ongaro §3.6.2, figure 3.7 (figure 8 of the paper); logcabin#44",
            shows: Shows::Anomaly("a committed entry is overwritten: acknowledged writes are lost"),
            fault: "crash one leader after another with slow disks",
            hunt: Hunt {
                workload: "append",
                nemesis: "partition,network",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::PrevTermUnchecked,
        Mutant {
            name: "prev-term-unchecked",
            area: Area::Replication,
            broken: "a follower does not compare the term of the entry before those sent",
            wild: "Ongaro §3.5, the consistency check",
            shows: Shows::Anomaly("logs diverge: different replicas have different values"),
            fault: "isolate a leader with writes pending, and heal",
            hunt: Hunt {
                workload: "append",
                nemesis: "partition,kill",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::TruncateAlways,
        Mutant {
            name: "truncate-always",
            area: Area::Replication,
            broken: "a follower cuts its log after the entries sent, conflict or not",
            wild: "akka-entity-replication#151; MIT 6.824, students' guide",
            shows: Shows::Anomaly(
                "acknowledged entries are cut by a late message: writes are lost",
            ),
            fault: "reordered messages, then crash the leader",
            hunt: Hunt {
                workload: "append",
                nemesis: "network,kill",
                nodes: 5,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::ConflictKept,
        Mutant {
            name: "conflict-kept",
            area: Area::Replication,
            broken: "a follower keeps entries that contradict the leader's",
            wild: "Ongaro §3.5: delete the existing entry and all that follow it",
            shows: Shows::Anomaly(
                "replicas apply different commands: values differ after a failover",
            ),
            fault: "isolate a leader with writes pending, and heal",
            hunt: Hunt {
                workload: "append",
                nemesis: "partition,kill",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::CommitBeyondSent,
        Mutant {
            name: "commit-beyond-sent",
            area: Area::Replication,
            broken: "a follower commits up to the leader's commit index, whatever it was sent",
            wild: "Ongaro, figure 3.1: min(leaderCommit, index of last new entry); MIT 6.824, students' guide",
            shows: Shows::Anomaly(
                "an uncommitted entry is applied: replicas differ after a failover",
            ),
            fault: "isolate a leader with writes pending, and heal",
            hunt: Hunt {
                workload: "append",
                nemesis: "partition,kill",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::OptimisticMatch,
        Mutant {
            name: "optimistic-match",
            area: Area::Replication,
            broken: "a leader takes what it sent for what has arrived, when any answer comes",
            wild: "MIT 6.824, students' guide: matchIndex is not nextIndex - 1",
            shows: Shows::Anomaly("commit without a majority: acknowledged writes are lost"),
            fault: "lose messages and crash the leader",
            hunt: Hunt {
                workload: "append",
                nemesis: "network,kill,partition",
                nodes: 5,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::OwnLengthMatched,
        Mutant {
            name: "own-length-matched",
            area: Area::Replication,
            broken: "a follower confirms its whole log, not what was compared with the leader's",
            wild: "MIT 6.824, students' guide: matchIndex",
            shows: Shows::Anomaly("commit without a majority: acknowledged writes are lost"),
            fault: "isolate a leader with writes pending, and heal",
            hunt: Hunt {
                workload: "append",
                nemesis: "partition,kill",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::AckBeforeCommit,
        Mutant {
            name: "ack-before-commit",
            area: Area::Replication,
            broken: "a leader acknowledges a write that only its own log has",
            wild: "asynchronous replication as in Redis Sentinel (Jepsen, 2013)",
            shows: Shows::Anomaly("acknowledged writes are lost"),
            fault: "isolate or crash the leader",
            hunt: Hunt { workload: "append", nemesis: "partition", nodes: 5, reads: "read-index" },
        },
    ),
    (
        Bug::CommitGoesBack,
        Mutant {
            name: "commit-goes-back",
            area: Area::Replication,
            broken: "the commit index is whatever the latest message says",
            wild: "Ongaro §3.5: the commit index increases monotonically",
            shows: Shows::Invariant(
                "a node forgets that entries are committed; it does not apply them twice, so no client notices",
            ),
            fault: "reordered messages",
            hunt: Hunt { workload: "register", nemesis: "network", nodes: 5, reads: "read-index" },
        },
    ),
];
