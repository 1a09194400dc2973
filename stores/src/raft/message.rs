//! What Raft nodes say to each other. The remote procedure calls of the paper are pairs of one-way
//! messages here, so that a network can lose, delay or repeat each half by itself.

use serde::{Deserialize, Serialize};

use super::log::{Entry, Index, Place, Term};

/// A message; every one carries its sender's term.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The sender's term when it sent this.
    pub term: Term,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// Somebody asks whether a node would vote for it, if it stood for election in the next term
    /// (§9.6).
    RequestPreVote {
        /// The index of its last entry.
        last_index: Index,
        /// The term of its last entry.
        last_term: Term,
    },
    /// The answer to [`Body::RequestPreVote`].
    PreVote {
        /// Whether the vote would be granted.
        granted: bool,
    },
    /// A candidate asks for a vote (§3.4, RequestVote).
    RequestVote {
        /// The index of its last entry.
        last_index: Index,
        /// The term of its last entry.
        last_term: Term,
        /// Whether the leader itself wants this election (§3.10).
        transfer: bool,
    },
    /// The answer to [`Body::RequestVote`].
    Vote {
        /// Whether the vote was granted.
        granted: bool,
    },
    /// A leader sends entries, or a heartbeat if there are none (§3.5, AppendEntries).
    Append {
        /// The index before the first entry sent.
        prev_index: Index,
        /// The term of the leader's entry there.
        prev_term: Term,
        /// The entries, in order and without a gap.
        entries: Vec<Entry>,
        /// What the leader knows to be committed.
        commit: Index,
        /// The leader's latest round of asking who still follows it.
        round: u64,
    },
    /// The answer to [`Body::Append`].
    Appended {
        /// The round of the message that is answered.
        round: u64,
        /// How it went.
        outcome: Outcome,
    },
    /// A leader sends a part of its snapshot (§5.3, InstallSnapshot).
    InstallSnapshot {
        /// The part.
        chunk: Chunk,
        /// As in [`Body::Append`].
        round: u64,
    },
    /// The answer to [`Body::InstallSnapshot`] while parts are missing; the answer to the last is
    /// [`Body::Appended`].
    ChunkReceived {
        /// The last entry that the snapshot covers.
        last: Place,
        /// Where the chunk that is answered begins.
        at: usize,
        /// Where the next one should begin: what comes before it is here.
        wanted: usize,
        /// The round of the message that is answered.
        round: u64,
    },
    /// A leader wants its follower to stand for election at once (§3.10).
    TimeoutNow,
    /// The answer to a request or an append of a term that is over: the term of this message says
    /// which one is current, and that is all it says.
    Stale,
}

impl Body {
    /// Whether its sender wants to lead, and nobody else wants it to.
    pub(super) fn asks_for_a_vote(&self) -> bool {
        matches!(self, Body::RequestPreVote { .. } | Body::RequestVote { transfer: false, .. })
    }

    /// Whether it is the first half of a remote procedure call: its receiver answers, and if the
    /// sender's term is over, tells it so.
    pub fn wants_an_answer(&self) -> bool {
        match self {
            Body::RequestPreVote { .. }
            | Body::RequestVote { .. }
            | Body::Append { .. }
            | Body::InstallSnapshot { .. } => true,
            Body::PreVote { .. }
            | Body::Vote { .. }
            | Body::Appended { .. }
            | Body::ChunkReceived { .. }
            | Body::TimeoutNow
            | Body::Stale => false,
        }
    }
}

/// A part of a snapshot's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The last entry that the snapshot covers.
    pub last: Place,
    /// Where the part begins, in bytes.
    pub offset: usize,
    /// The part.
    pub text: String,
    /// Whether it is the last.
    pub done: bool,
}

/// What became of the entries of an [`Body::Append`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The sender of this has the leader's log up to this index on its disk.
    Match {
        /// That index.
        index: Index,
    },
    /// Its log does not have the leader's entry before the ones sent.
    Conflict {
        /// The index at which that entry should have been.
        prev_index: Index,
        /// The term of the entry it has there, if any.
        term: Option<Term>,
        /// The first index from which the leader might have to send: where the run of entries of
        /// that term starts, or the end of a log that is too short.
        index: Index,
    },
}

/// Whether an append is one that a correct leader of this term could have sent, as far as can be
/// seen from itself.
pub(super) fn check_append(
    term: Term,
    prev_index: Index,
    prev_term: Term,
    entries: &[Entry],
) -> Result<(), &'static str> {
    let (mut index, mut before) = (prev_index, prev_term);
    for entry in entries {
        index += 1;
        if entry.index != index {
            return Err("its entries are not in sequence");
        }
        if entry.term < before {
            return Err("the terms of its entries decrease");
        }
        before = entry.term;
    }
    if before > term { Err("it has entries of a later term than its own") } else { Ok(()) }
}
