//! Digests of all that a node has: a Merkle tree of two levels below its root.
//!
//! Dynamo, §4.7. Keys are spread over the leaves by their hash, so that two nodes that differ in a few
//! keys differ in a few leaves. A leaf is the exclusive or of its keys' digests, so that a change
//! costs the same however much there is.

use std::hash::{Hash, Hasher};

use super::object::Fnv;

/// The tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tree(Vec<u64>);

impl Tree {
    /// A tree of nothing, with so many leaves; at least one.
    pub(super) fn new(leaves: usize) -> Self {
        Tree(vec![0; leaves.max(1)])
    }

    /// The leaf of a key.
    pub(super) fn leaf(&self, key: &str) -> usize {
        let mut hasher = Fnv::default();
        key.hash(&mut hasher);
        (hasher.finish() % self.0.len() as u64) as usize
    }

    /// Brings in the state of a key with this digest, or takes it out.
    pub(super) fn toggle(&mut self, key: &str, digest: u64) {
        let leaf = self.leaf(key);
        self.0[leaf] ^= digest;
    }

    /// The digests of the leaves.
    pub(super) fn leaves(&self) -> &[u64] {
        &self.0
    }

    /// The digest of everything.
    pub(super) fn root(&self) -> u64 {
        let mut hasher = Fnv::default();
        self.0.hash(&mut hasher);
        hasher.finish()
    }
}
