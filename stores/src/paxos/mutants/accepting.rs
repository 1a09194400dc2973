//! Bugs in what an acceptor promises and keeps.

use super::Bug;
use crate::catalogue::{Area, Hunt, Mutant, Shows};

pub(super) const TABLE: &[(Bug, Mutant)] = &[
    (
        Bug::OldBallotAccepted,
        Mutant {
            name: "old-ballot-accepted",
            area: Area::Proposals,
            broken: "an acceptor accepts a ballot below the one it has promised",
            wild: "Lamport, The Part-Time Parliament (1998), B3; Rystsov, CASPaxos §2.2",
            shows: Shows::Anomaly(
                "two compare-and-sets succeed on one value: acknowledged writes are lost",
            ),
            fault: "proposals at a time, and late messages",
            hunt: Hunt {
                workload: "register",
                nemesis: "partition,network,pause",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::PromiseForgotten,
        Mutant {
            name: "promise-forgotten",
            area: Area::Durability,
            broken: "after a crash an acceptor has promised no more than it has accepted",
            wild: "Rystsov, CASPaxos §2.2: both are persisted; Chandra et al., Paxos Made Live (2007), §5.1",
            shows: Shows::Anomaly(
                "a proposal that had been overtaken is chosen after all: acknowledged writes are lost",
            ),
            fault: "crashes of acceptors between the phases of two proposals",
            hunt: Hunt {
                workload: "append",
                nemesis: "kill,network",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::AnswerBeforeFsync,
        Mutant {
            name: "answer-before-fsync",
            area: Area::Durability,
            broken: "an acceptor answers before what it promises is on its disk",
            wild: "Jepsen: etcd, Redpanda and others run without fsync; Lamport 1998, the ledger in indelible ink",
            shows: Shows::Anomaly("a chosen value that only one disk holds is lost"),
            fault: "power loss of several nodes at a time",
            hunt: Hunt { workload: "append", nemesis: "kill,disk", nodes: 3, reads: "read-index" },
        },
    ),
    (
        Bug::PromiseWithoutValue,
        Mutant {
            name: "promise-without-value",
            area: Area::Proposals,
            broken: "a promise does not tell what was accepted of other nodes",
            wild: "Lamport 1998, B3(B): LastVote carries the vote",
            shows: Shows::Anomaly("acknowledged writes are overwritten as if they had not been"),
            fault: "none: two nodes that write one key are enough",
            hunt: Hunt { workload: "append", nemesis: "network", nodes: 3, reads: "read-index" },
        },
    ),
];
