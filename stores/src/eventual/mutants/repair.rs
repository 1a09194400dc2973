//! Deletions, handoff and anti-entropy: what reaches everybody in the end.

use super::{Bug, Entry, LWW, SESSIONS};
use crate::catalogue::{Area, Hunt, Mutant, Shows};

pub(super) const TABLE: &[Entry] = &[
    (
        Bug::NoTombstones,
        SESSIONS,
        Mutant {
            name: "no-tombstones",
            area: Area::Deletion,
            broken: "a key that is deleted is removed, and nothing says so",
            wild: "Dynamo-style stores without tombstones",
            shows: Shows::Broken("no-resurrection"),
            fault: "a node that misses the deletion",
            hunt: Hunt { workload: "delete", nemesis: "partition", nodes: 3, reads: "read-index" },
        },
    ),
    (
        Bug::HastyGrave,
        SESSIONS,
        Mutant {
            name: "hasty-grave",
            area: Area::Deletion,
            broken: "a node forgets tombstones after a while, whether or not all have seen them",
            wild: "Cassandra's gc_grace_seconds, Riak's delete_mode (riak_kv#1094)",
            shows: Shows::Broken("no-resurrection"),
            fault: "a cut that is longer than the while",
            hunt: Hunt { workload: "delete", nemesis: "partition", nodes: 3, reads: "read-index" },
        },
    ),
    (
        Bug::LeafSkipped,
        super::Settings { handoff: false, ..LWW },
        Mutant {
            name: "leaf-skipped",
            area: Area::Repair,
            broken: "some leaves of the trees are never compared",
            wild: "off-by-one ranges in anti-entropy",
            shows: Shows::Broken("convergence"),
            fault: "lost messages",
            hunt: Hunt {
                workload: "register",
                nemesis: "partition",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::HintRestamped,
        SESSIONS,
        Mutant {
            name: "hint-restamped",
            area: Area::Repair,
            broken: "what was kept for a peer is handed off as if it were written then",
            wild: "hinted handoff with new timestamps",
            shows: Shows::Broken("no-lost-writes"),
            fault: "a cut that heals",
            hunt: Hunt {
                workload: "register",
                nemesis: "partition",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
];
