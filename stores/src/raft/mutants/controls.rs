//! Controls: changes that look like bugs and break no promise. A tester that reports one is wrong.

use super::Bug;
use crate::catalogue::{Area, Hunt, Mutant, Shows};

pub(super) const TABLE: &[(Bug, Mutant)] = &[
    (
        Bug::EagerVoter,
        Mutant {
            name: "eager-voter",
            area: Area::Membership,
            broken: "a server is a voter as soon as it is added, before it has the log",
            wild: "Raft without §4.2.1",
            shows: Shows::Nothing("it slows commits down, but what it lacks it cannot confirm"),
            fault: "members that come and go",
            hunt: Hunt {
                workload: "append",
                nemesis: "membership,partition,kill",
                nodes: 5,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::EagerTransfer,
        Mutant {
            name: "eager-transfer",
            area: Area::Membership,
            broken: "a follower is told to stand for election before it has all of the log",
            wild: "Raft without the second step of §3.10",
            shows: Shows::Nothing("it asks for votes, and gets them if its log is good enough"),
            fault: "leadership handed over",
            hunt: Hunt {
                workload: "append",
                nemesis: "membership,partition,network",
                nodes: 5,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::SlowHeartbeats,
        Mutant {
            name: "slow-heartbeats",
            area: Area::Elections,
            broken: "heartbeats come as seldom as followers can just bear",
            wild: "a common setting on busy machines",
            shows: Shows::Nothing("more elections, but who leads is decided by votes"),
            fault: "any of them",
            hunt: Hunt::ANYWHERE,
        },
    ),
    (
        Bug::TermsInTens,
        Mutant {
            name: "terms-in-tens",
            area: Area::Elections,
            broken: "a candidate raises its term by ten",
            wild: "terms with gaps, as after lost elections",
            shows: Shows::Nothing("terms need only increase (Ongaro §3.3)"),
            fault: "any of them",
            hunt: Hunt::ANYWHERE,
        },
    ),
    (
        Bug::Disruptable,
        Mutant {
            name: "disruptable",
            area: Area::Elections,
            broken: "candidates are listened to also while a leader is heard",
            wild: "Raft without §4.2.3 and pre-vote",
            shows: Shows::Nothing("more elections, but each is sound; reads ask a quorum"),
            fault: "any of them",
            hunt: Hunt {
                workload: "register",
                nemesis: "partition,network,clock",
                nodes: 5,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::ProposedTwice,
        Mutant {
            name: "proposed-twice",
            area: Area::Replication,
            broken: "every command is put into the log twice",
            wild: "at-least-once delivery",
            shows: Shows::Nothing("the second is recognised by its session and changes nothing"),
            fault: "any of them",
            hunt: Hunt { workload: "append", nemesis: "all", nodes: 5, reads: "read-index" },
        },
    ),
    (
        Bug::AnsweredTwice,
        Mutant {
            name: "answered-twice",
            area: Area::Replication,
            broken: "every append is answered twice",
            wild: "at-least-once delivery",
            shows: Shows::Nothing("answers say what is so, not what is new"),
            fault: "any of them",
            hunt: Hunt::ANYWHERE,
        },
    ),
    (
        Bug::OneByOne,
        Mutant {
            name: "one-by-one",
            area: Area::Replication,
            broken: "an append carries one entry at most",
            wild: "no batching",
            shows: Shows::Nothing("slower, that is all"),
            fault: "any of them",
            hunt: Hunt::ANYWHERE,
        },
    ),
    (
        Bug::SlowBackup,
        Mutant {
            name: "slow-backup",
            area: Area::Replication,
            broken: "a follower that lacks an entry says nothing of where its log parts from the leader's",
            wild: "Raft without the optimisation at the end of §3.5",
            shows: Shows::Nothing("more round trips, the same place"),
            fault: "any of them",
            hunt: Hunt {
                workload: "register",
                nemesis: "partition,kill",
                nodes: 5,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::LeaderWaitsForDisk,
        Mutant {
            name: "leader-waits-for-disk",
            area: Area::Durability,
            broken: "a leader sends entries only once its own disk has them",
            wild: "Raft without §10.2.1",
            shows: Shows::Nothing("slower, that is all"),
            fault: "slow disks",
            hunt: Hunt {
                workload: "register",
                nemesis: "kill,disk",
                nodes: 5,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::ReadsAskTwice,
        Mutant {
            name: "reads-ask-twice",
            area: Area::Reads,
            broken: "a read waits for a round more than it must",
            wild: "overcautious reads",
            shows: Shows::Nothing("a later quorum proves at least as much"),
            fault: "any of them",
            hunt: Hunt {
                workload: "register",
                nemesis: "partition,pause",
                nodes: 5,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::EagerSnapshots,
        Mutant {
            name: "eager-snapshots",
            area: Area::Snapshots,
            broken: "every entry is compacted away as soon as it is applied",
            wild: "a threshold set much too low",
            shows: Shows::Nothing(
                "the snapshot stands for the entries; whoever lacks one gets all of it",
            ),
            fault: "any of them",
            hunt: Hunt { workload: "append", nemesis: "all", nodes: 5, reads: "read-index" },
        },
    ),
    (
        Bug::ShortLease,
        Mutant {
            name: "short-lease",
            area: Area::Leases,
            broken: "leases are a quarter as long as they may be, while clocks run at different rates",
            wild: "an overcautious setting",
            shows: Shows::Nothing("a lease that ends early is only asked for more often"),
            fault: "clocks and pauses",
            hunt: Hunt {
                workload: "register",
                nemesis: "partition,clock,pause",
                nodes: 5,
                reads: "lease",
            },
        },
    ),
];
