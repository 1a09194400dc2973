//! Controls: changes that look like bugs and break no promise. A tester that reports one is wrong.

use super::Bug;
use crate::catalogue::{Area, Hunt, Mutant, Shows};

pub(super) const TABLE: &[(Bug, Mutant)] = &[
    (
        Bug::BallotsInTens,
        Mutant {
            name: "ballots-in-tens",
            area: Area::Proposals,
            broken: "ballots leave out nine numbers of ten",
            wild: "Lamport 1998: any unbounded set of numbers will do",
            shows: Shows::Nothing("only their order counts"),
            fault: "any",
            hunt: Hunt { workload: "register", nemesis: "all", nodes: 5, reads: "read-index" },
        },
    ),
    (
        Bug::EverythingTwice,
        Mutant {
            name: "everything-twice",
            area: Area::Replication,
            broken: "an acceptor sends every answer twice",
            wild: "Lamport 1998, §1.3: messengers may deliver a message more than once",
            shows: Shows::Nothing("answers are counted by their senders"),
            fault: "lost and repeated messages",
            hunt: Hunt {
                workload: "append",
                nemesis: "network,partition",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::TwoRoundsAlways,
        Mutant {
            name: "two-rounds-always",
            area: Area::Proposals,
            broken: "every proposal asks for promises first",
            wild: "CASPaxos without §2.2.1",
            shows: Shows::Nothing("it is only slower"),
            fault: "any",
            hunt: Hunt { workload: "register", nemesis: "all", nodes: 5, reads: "read-index" },
        },
    ),
    (
        Bug::OneAtATime,
        Mutant {
            name: "one-at-a-time",
            area: Area::Proposals,
            broken: "every proposal carries out one request only",
            wild: "CASPaxos as the paper has it",
            shows: Shows::Nothing("requests wait in line for longer"),
            fault: "any",
            hunt: Hunt { workload: "append", nemesis: "all", nodes: 3, reads: "read-index" },
        },
    ),
];
