//! Controls: changes that look like bugs and break no promise.

use super::{Bug, Entry, LWW, SESSIONS, SIBLINGS};
use crate::catalogue::{Area, Hunt, Mutant, Shows};

pub(super) const TABLE: &[Entry] = &[
    (
        Bug::SaidTwice,
        SIBLINGS,
        Mutant {
            name: "said-twice",
            area: Area::Replication,
            broken: "every message is sent twice",
            wild: "at-least-once delivery",
            shows: Shows::Nothing("states may be taken in any number of times"),
            fault: "any of them",
            hunt: Hunt {
                workload: "register",
                nemesis: "partition,kill,network",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::SeldomExchange,
        LWW,
        Mutant {
            name: "seldom-exchange",
            area: Area::Repair,
            broken: "nodes compare all they have ten times as seldom",
            wild: "an overcautious setting",
            shows: Shows::Nothing("nodes converge later, but they do"),
            fault: "any of them",
            hunt: Hunt {
                workload: "register",
                nemesis: "partition,kill",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::RepairsAll,
        SESSIONS,
        Mutant {
            name: "repairs-all",
            area: Area::Reads,
            broken: "every read tells every node what it found",
            wild: "read repair with chance one",
            shows: Shows::Nothing("it tells them nothing that is not so"),
            fault: "any of them",
            hunt: Hunt {
                workload: "register",
                nemesis: "partition,kill",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
];
