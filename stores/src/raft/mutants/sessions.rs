//! Bugs in executing commands once, and in what their clients are told.

use super::Bug;
use crate::catalogue::{Area, Hunt, Mutant, Shows};

pub(super) const TABLE: &[(Bug, Mutant)] = &[
    (
        Bug::NoSessions,
        Mutant {
            name: "no-sessions",
            area: Area::Sessions,
            broken: "a command that is sent again is executed again",
            wild: "redisraft#52; Ongaro §6.3; MIT 6.824, lab 3A",
            shows: Shows::Anomaly("an append takes effect twice"),
            fault: "crash or isolate the leader while it works on writes",
            hunt: Hunt {
                workload: "append",
                nemesis: "partition,kill",
                nodes: 5,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::LeaderOnlySessions,
        Mutant {
            name: "leader-only-sessions",
            area: Area::Sessions,
            broken: "only the leader remembers which commands were executed",
            wild: "Ongaro §6.3: the table is part of the replicated state",
            shows: Shows::Anomaly("after a failover an append takes effect twice"),
            fault: "crash or isolate the leader while it works on writes",
            hunt: Hunt {
                workload: "append",
                nemesis: "partition,kill",
                nodes: 5,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::SessionWithoutSequence,
        Mutant {
            name: "session-without-sequence",
            area: Area::Sessions,
            broken: "a client's next command is taken for a repetition of its last",
            wild: "MIT 6.824, lab 3A: the table needs the sequence number",
            shows: Shows::Anomaly("an acknowledged write never takes effect"),
            fault: "none is needed",
            hunt: Hunt { workload: "append", nemesis: "all", nodes: 5, reads: "read-index" },
        },
    ),
    (
        Bug::CertainFailure,
        Mutant {
            name: "certain-failure",
            area: Area::Sessions,
            broken: "a leader that is deposed calls pending writes failed, though they are in its log",
            wild: "redisraft#23",
            shows: Shows::Anomaly("a write that failed is read"),
            fault: "isolate the leader for longer than clients wait",
            hunt: Hunt {
                workload: "register",
                nemesis: "partition,network",
                nodes: 5,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::CasAtLeader,
        Mutant {
            name: "cas-at-leader",
            area: Area::Sessions,
            broken: "a leader decides a compare-and-set by its own state, and replicates the result",
            wild: "check-then-act outside of the log; Ongaro §6.3 executes commands from the log alone",
            shows: Shows::Anomaly("lost update: two compare-and-sets of the same value succeed"),
            fault: "slow disks, so that several are under way",
            hunt: Hunt { workload: "register", nemesis: "disk", nodes: 5, reads: "read-index" },
        },
    ),
];
