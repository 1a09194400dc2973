//! Bugs in how members come and go.

use super::Bug;
use crate::catalogue::{Area, Hunt, Mutant, Shows};

const SHOWS: Shows = Shows::Invariant(
    "what the members before have chosen need not be found by a quorum of those to come",
);

const HUNT: Hunt = Hunt {
    workload: "register",
    nemesis: "membership,partition,network",
    nodes: 3,
    reads: "read-index",
};

pub(super) const TABLE: &[(Bug, Mutant)] = &[
    (
        Bug::NoRescan,
        Mutant {
            name: "no-rescan",
            area: Area::Membership,
            broken: "new members take over before every key was proposed to them",
            wild: "Rystsov, CASPaxos §2.3: the identity change of every key; the README of gryadka, growing a cluster",
            shows: SHOWS,
            fault: "members that come and go",
            hunt: HUNT,
        },
    ),
    (
        Bug::OneStepChange,
        Mutant {
            name: "one-step-change",
            area: Area::Membership,
            broken: "new members take the place of the old in one step",
            wild: "Rystsov, CASPaxos §2.3: the accept quorum grows before the prepare quorum; Ongaro (2014), §4.3",
            shows: SHOWS,
            fault: "members that come and go",
            hunt: HUNT,
        },
    ),
];
