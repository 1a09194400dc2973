//! What an eventual node tells whoever watches: for logs, traces and coverage.

use std::fmt;

use crate::kv::Key;
use crate::replica::NodeId;

/// What a node tells whoever watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A key has several values that were written without knowing of each other.
    Siblings {
        /// The key.
        key: Key,
        /// How many.
        count: usize,
    },
    /// A message came so late that its state may have been collected since.
    TooOld {
        /// Who sent it.
        from: NodeId,
    },
    /// A request was given up for want of answers.
    GivenUp {
        /// Its key.
        key: Key,
    },
    /// A read found nodes that knew less than others, and told them.
    Repaired {
        /// The key.
        key: Key,
        /// How many nodes.
        nodes: usize,
    },
    /// A peer that had not confirmed it gets what it missed.
    HandedOff {
        /// The peer.
        to: NodeId,
        /// How many keys.
        keys: usize,
    },
    /// Anti-entropy found keys in which a peer differs.
    Differs {
        /// The peer.
        from: NodeId,
        /// How many keys.
        keys: usize,
    },
    /// A deleted key was forgotten for good.
    Collected {
        /// The key.
        key: Key,
    },
    /// A peer said what makes no sense.
    Nonsense {
        /// The peer.
        from: NodeId,
        /// Why it makes none.
        why: &'static str,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::Siblings { key, count } => write!(f, "keeps {count} concurrent values of {key}"),
            Note::TooOld { from } => write!(f, "takes no message from {from} that is so late"),
            Note::GivenUp { key } => write!(f, "gives up a request for {key}"),
            Note::Repaired { key, nodes } => write!(f, "repairs {key} at {nodes} nodes"),
            Note::HandedOff { to, keys } => write!(f, "hands {keys} keys off to {to}"),
            Note::Differs { from, keys } => write!(f, "differs from {from} in {keys} keys"),
            Note::Collected { key } => write!(f, "forgets the deleted key {key}"),
            Note::Nonsense { from, why } => write!(f, "hears nonsense from {from}: {why}"),
        }
    }
}
