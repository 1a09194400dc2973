//! What a Raft node tells whoever watches: for logs, traces and coverage.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::log::{Index, Place, Term};
use super::membership::Membership;
use crate::replica::NodeId;

/// What a node tells whoever watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// It asks whether it could win an election.
    PreElectionStarted {
        /// The term it would lead.
        term: Term,
    },
    /// It stands for election.
    ElectionStarted {
        /// The term it wants to lead.
        term: Term,
    },
    /// It gave its vote away.
    VoteGranted {
        /// The term.
        term: Term,
        /// To whom.
        candidate: NodeId,
    },
    /// It won an election.
    BecameLeader {
        /// The term it leads.
        term: Term,
        /// Its last entry before those of this term.
        last_index: Index,
    },
    /// It led and does no longer.
    SteppedDown {
        /// The term that ended its own, or its own if it lost its majority.
        term: Term,
        /// Writes whose outcome it does not know.
        writes: usize,
        /// Reads it did not answer.
        reads: usize,
    },
    /// It follows a leader it did not follow before.
    Follows {
        /// The term.
        term: Term,
        /// The leader.
        leader: NodeId,
    },
    /// It threw away entries that contradict the leader's.
    Truncated {
        /// The first of them.
        from: Index,
        /// The last of them.
        to: Index,
    },
    /// It put a snapshot in the place of its first entries.
    Compacted {
        /// The last of them.
        last: Place,
    },
    /// It begins to send its snapshot to a follower that needs what is gone from its log.
    SnapshotSent {
        /// The follower.
        to: NodeId,
        /// The last entry that the snapshot covers.
        last: Place,
    },
    /// It took over its leader's snapshot.
    SnapshotInstalled {
        /// The last entry that the snapshot covers.
        last: Place,
    },
    /// It tells a follower to stand for election.
    TimeoutNow {
        /// The follower.
        to: NodeId,
    },
    /// Another configuration holds for it.
    MembersChanged {
        /// The configuration.
        members: Arc<Membership>,
    },
    /// It refused a message that no correct leader sends: the protocol is broken somewhere.
    Nonsense {
        /// Who sent it.
        from: NodeId,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::PreElectionStarted { term } => {
                write!(f, "asks who would elect it in term {term}")
            }
            Note::ElectionStarted { term } => write!(f, "stands for election in term {term}"),
            Note::VoteGranted { term, candidate } => {
                write!(f, "votes for {candidate} in term {term}")
            }
            Note::BecameLeader { term, last_index } => {
                write!(f, "leads term {term} from entry {last_index} on")
            }
            Note::SteppedDown { term, writes, reads } => write!(
                f,
                "steps down in term {term}, leaving {writes} writes unknown and {reads} reads \
                 unanswered"
            ),
            Note::Follows { term, leader } => write!(f, "follows {leader} in term {term}"),
            Note::Truncated { from, to } => write!(f, "drops its entries {from} to {to}"),
            Note::Compacted { last } => {
                write!(f, "puts a snapshot in the place of entries up to {}", last.index)
            }
            Note::SnapshotSent { to, last } => {
                write!(f, "sends {to} its snapshot of entries up to {}", last.index)
            }
            Note::SnapshotInstalled { last } => {
                write!(f, "installs a snapshot of entries up to {}", last.index)
            }
            Note::TimeoutNow { to } => write!(f, "tells {to} to stand for election"),
            Note::MembersChanged { members } => {
                let list = |nodes: &BTreeSet<NodeId>| {
                    nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
                };
                let (voters, learners) = (list(&members.voters), list(&members.learners));
                write!(f, "knows the voters {voters}")?;
                if learners.is_empty() { Ok(()) } else { write!(f, " and the learners {learners}") }
            }
            Note::Nonsense { from, why } => write!(f, "refuses a message of {from}: {why}"),
        }
    }
}
