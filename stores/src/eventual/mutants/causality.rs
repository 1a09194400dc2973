//! Which write came before which, and what becomes of those that neither did.

use super::{Bug, Entry, LWW, SESSIONS, SIBLINGS};
use crate::catalogue::{Area, Hunt, Mutant, Shows};

pub(super) const TABLE: &[Entry] = &[
    (
        Bug::WallClock,
        SESSIONS,
        Mutant {
            name: "wall-clock",
            area: Area::Causality,
            broken: "a write is stamped with its node's own clock, whatever stamps the node has heard of",
            wild: "Cassandra's and Riak's last-write-wins by wall clock (Kingsbury, 2013)",
            shows: Shows::Broken("read-your-writes"),
            fault: "clocks that differ",
            hunt: Hunt { workload: "register", nemesis: "clock", nodes: 3, reads: "read-index" },
        },
    ),
    (
        Bug::TiesByArrival,
        LWW,
        Mutant {
            name: "ties-by-arrival",
            area: Area::Causality,
            broken: "stamps are whole seconds, and of two that are the same the first that arrived wins",
            wild: "Cassandra's timestamps before ties were broken by value",
            shows: Shows::Broken("convergence"),
            fault: "any of them",
            hunt: Hunt { workload: "register", nemesis: "network", nodes: 3, reads: "read-index" },
        },
    ),
    (
        Bug::SiblingDropped,
        SIBLINGS,
        Mutant {
            name: "sibling-dropped",
            area: Area::Causality,
            broken: "of two concurrent values one is kept when states become one",
            wild: "Riak with allow_mult off (Kingsbury, 2013)",
            shows: Shows::Broken("no-lost-writes"),
            fault: "writes on both sides of a cut",
            hunt: Hunt {
                workload: "register",
                nemesis: "partition",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::NodeReplaces,
        SIBLINGS,
        Mutant {
            name: "node-replaces",
            area: Area::Causality,
            broken: "a write takes the place of all its node has, also of what its client has not seen",
            wild: "version vectors by server without dots (Preguiça et al. 2010)",
            shows: Shows::Broken("no-lost-writes"),
            fault: "any of them",
            hunt: Hunt { workload: "register", nemesis: "network", nodes: 3, reads: "read-index" },
        },
    ),
    (
        Bug::NothingReplaced,
        SIBLINGS,
        Mutant {
            name: "nothing-replaced",
            area: Area::Causality,
            broken: "a write takes the place of nothing, whatever its client has seen",
            wild: "sibling explosion (Riak, before dotted version vectors)",
            shows: Shows::Broken("no-false-concurrency"),
            fault: "any of them",
            hunt: Hunt { workload: "register", nemesis: "network", nodes: 3, reads: "read-index" },
        },
    ),
    (
        Bug::CountForgotten,
        SIBLINGS,
        Mutant {
            name: "count-forgotten",
            area: Area::Durability,
            broken: "after a restart a node numbers its changes from 1 again",
            wild: "riak_kv#679: an actor's counter restarts",
            shows: Shows::Broken("no-lost-writes"),
            fault: "crash a node",
            hunt: Hunt { workload: "register", nemesis: "kill", nodes: 3, reads: "read-index" },
        },
    ),
    (
        Bug::LargerSetWins,
        LWW,
        Mutant {
            name: "larger-set-wins",
            area: Area::Causality,
            broken: "of two states of a set the larger one is kept",
            wild: "a set in a register (Kingsbury, 2013)",
            shows: Shows::Broken("no-lost-writes"),
            fault: "additions on both sides of a cut",
            hunt: Hunt { workload: "set", nemesis: "partition", nodes: 3, reads: "read-index" },
        },
    ),
    (
        Bug::LargerSumWins,
        LWW,
        Mutant {
            name: "larger-sum-wins",
            area: Area::Causality,
            broken: "of two states of a counter the larger one is kept",
            wild: "a counter without a part for each node (Shapiro et al. 2011)",
            shows: Shows::Broken("no-lost-writes"),
            fault: "additions on both sides of a cut",
            hunt: Hunt { workload: "counter", nemesis: "partition", nodes: 3, reads: "read-index" },
        },
    ),
];
