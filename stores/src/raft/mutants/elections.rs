//! Bugs in who leads.

use super::Bug;
use crate::catalogue::{Area, Hunt, Mutant, Shows};

pub(super) const TABLE: &[(Bug, Mutant)] = &[
    (
        Bug::SecondVote,
        Mutant {
            name: "second-vote",
            area: Area::Elections,
            broken: "a node votes again in a term in which it has voted",
            wild: "Ongaro §3.4, figure 3.1: votedFor; MIT 6.824, lab 2A",
            shows: Shows::Anomaly("two leaders in a term: acknowledged writes are lost"),
            fault: "two candidates at a time: crashed leaders, late messages",
            hunt: Hunt {
                workload: "append",
                nemesis: "kill,network,partition",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::VoteUnchecked,
        Mutant {
            name: "vote-unchecked",
            area: Area::Elections,
            broken: "a vote is given without comparing logs",
            wild: "Ongaro §3.6.1, the election restriction; MIT 6.824, lab 2C",
            shows: Shows::Anomaly(
                "a leader without committed entries: acknowledged writes are lost",
            ),
            fault: "a minority that missed writes, then isolate the leader",
            hunt: Hunt { workload: "append", nemesis: "all", nodes: 5, reads: "read-index" },
        },
    ),
    (
        Bug::LengthFirst,
        Mutant {
            name: "length-first",
            area: Area::Elections,
            broken: "logs are compared by length before the term of their last entries",
            wild: "Ongaro §3.6.1; MIT 6.824 lab 2B, TestBackup",
            shows: Shows::Anomaly("a long stale log wins: acknowledged writes are lost"),
            fault: "isolate a leader with writes pending, heal, and crash the next one",
            hunt: Hunt {
                workload: "append",
                nemesis: "partition,kill",
                nodes: 3,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::HalfIsEnough,
        Mutant {
            name: "half-is-enough",
            area: Area::Elections,
            broken: "half of an even number of nodes passes for a majority",
            wild: "Ongaro §3.4 asks for a majority; n/2 is right only where n is odd",
            shows: Shows::Anomaly("split brain: two halves accept writes"),
            fault: "cut four nodes into two and two",
            hunt: Hunt { workload: "append", nemesis: "partition", nodes: 4, reads: "read-index" },
        },
    ),
    (
        Bug::VoteCountedTwice,
        Mutant {
            name: "vote-counted-twice",
            area: Area::Elections,
            broken: "a vote that arrives twice counts twice",
            wild: "Ongaro §3.4: a majority of nodes, not of messages; MIT 6.824, students' guide",
            shows: Shows::Anomaly("two leaders in a term: acknowledged writes are lost"),
            fault: "messages that arrive twice, while several stand for election",
            hunt: Hunt {
                workload: "append",
                nemesis: "network,partition,kill",
                nodes: 5,
                reads: "read-index",
            },
        },
    ),
    (
        Bug::OldVoteCounted,
        Mutant {
            name: "old-vote-counted",
            area: Area::Elections,
            broken: "votes of an earlier term count in this one",
            wild: "MIT 6.824, students' guide: term confusion",
            shows: Shows::Anomaly("two leaders in a term: acknowledged writes are lost"),
            fault: "votes held back until the candidate stands again",
            hunt: Hunt { workload: "append", nemesis: "network", nodes: 3, reads: "read-index" },
        },
    ),
    (
        Bug::TermAdopted,
        Mutant {
            name: "term-adopted",
            area: Area::Elections,
            broken: "a leader that hears of a later term goes on leading in that term",
            wild: "hashicorp/raft#695: a heartbeat raised the term under a leader",
            shows: Shows::Anomaly(
                "two leaders in a term: equal terms, different entries, lost writes",
            ),
            fault: "isolate the leader and heal",
            hunt: Hunt { workload: "append", nemesis: "partition", nodes: 5, reads: "read-index" },
        },
    ),
    (
        Bug::OldLeaderHeard,
        Mutant {
            name: "old-leader-heard",
            area: Area::Elections,
            broken: "a follower takes entries of a leader whose term is over",
            wild: "Ongaro §3.3 and figure 3.1: reply false if term < currentTerm",
            shows: Shows::Anomaly(
                "committed entries are overwritten: acknowledged writes are lost",
            ),
            fault: "hold the old leader's messages back, or let it stand still",
            hunt: Hunt {
                workload: "append",
                nemesis: "partition,pause,network",
                nodes: 5,
                reads: "read-index",
            },
        },
    ),
];
