//! What nodes say to each other.

use serde::{Deserialize, Serialize};

use super::object::Object;
use crate::clock::dotted::Dotted;
use crate::clock::hybrid::Stamp;
use crate::kv::Key;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// When it was sent, by the sender's hybrid logical clock.
    pub at: Stamp,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// Take this in, and say so when it is on the disk.
    Store {
        /// The key.
        key: Key,
        /// The sender's state of it.
        object: Object,
    },
    /// What is on the sender's disk by now.
    Stored {
        /// The key.
        key: Key,
        /// The changes that are behind the sender's state of it.
        seen: Dotted,
    },
    /// Tell the state of a key.
    Fetch {
        /// The key.
        key: Key,
        /// The reader's number.
        read: u64,
    },
    /// The state of a key.
    Fetched {
        /// The key.
        key: Key,
        /// The number of the [`Body::Fetch`] that it answers.
        read: u64,
        /// The sender's state.
        object: Object,
    },
    /// What all of the sender's state comes to: the digests of the tree's leaves.
    Leaves(Vec<u64>),
    /// The sender's keys in the leaves in which it differs from whom it says it to.
    Keys {
        /// The leaves.
        leaves: Vec<usize>,
        /// The keys, each with the digest of its state.
        keys: Vec<(Key, u64)>,
    },
    /// Take this in, and send yours if it is more.
    Exchange {
        /// The key.
        key: Key,
        /// The sender's state of it; an empty one, if it has none.
        object: Object,
    },
    /// Is your state of this key, of which only tombstones are left, the same as mine?
    Dead {
        /// The key.
        key: Key,
        /// The digest of the sender's state.
        digest: u64,
    },
    /// It is, on my disk.
    IsDead {
        /// The key.
        key: Key,
        /// The digest of both states.
        digest: u64,
    },
    /// All have had it for long enough: forget the key, if you still have this state.
    Collect {
        /// The key.
        key: Key,
        /// The digest of the state.
        digest: u64,
    },
}
