//! Bugs in how members come and go.

use super::Bug;
use crate::catalogue::{Area, Hunt, Mutant, Shows};

pub(super) const TABLE: &[(Bug, Mutant)] = &[
    (
        Bug::NoRescan,
        Mutant {
            name: "no-rescan",
            area: Area::Membership,
            broken: "new members take over before every key was proposed to them",
            wild: "Rystsov, CASPaxos §2.3: the identity change of every key; the README of gryadka, growing a cluster",
            shows: Shows::Invariant(
                "what the members before have chosen need not be found by a quorum of those to come",
            ),
            fault: "members that come and go",
            hunt: Hunt {
                workload: "register",
                nemesis: "membership,partition,network",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::OneStepChange,
        Mutant {
            name: "one-step-change",
            area: Area::Membership,
            broken: "new members take the place of the old in one step",
            wild: "Rystsov, CASPaxos §2.3: the accept quorum grows before the prepare quorum; Ongaro (2014), §4.3",
            shows: Shows::Invariant(
                "what the members before have chosen need not be found by a quorum of those to come",
            ),
            fault: "members that come and go",
            hunt: Hunt {
                workload: "register",
                nemesis: "membership,partition,network",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
];
