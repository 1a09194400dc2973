//! Anti-entropy: nodes compare all they have, two at a time, and make it the same.
//!
//! Dynamo, §4.7, after Demers et al., "Epidemic Algorithms for Replicated Database Maintenance",
//! PODC 1987 (push-pull with a random partner). Three rounds, each only about what still differs:
//! the leaves of the tree of digests; the keys in leaves that differ; the states of keys that differ.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;

use super::message::Body;
use super::mutants::Bug;
use super::object::Object;
use super::{Eventual, Note};
use crate::kv::Key;
use crate::replica::{Effects, NodeId};

impl Eventual {
    /// Tells a peer, drawn at random, what everything here comes to.
    pub(super) fn begin_exchange(&mut self, out: &mut Effects<Self>) {
        self.set_exchange_timer(out);
        if self.others.is_empty() {
            return;
        }
        let peer = self.others[self.rng.random_range(0..self.others.len())];
        self.send(peer, Body::Leaves(self.tree.leaves().to_vec()), out);
    }

    /// Lists the keys in the leaves that differ: as many leaves as fit into a message.
    pub(super) fn on_leaves(&mut self, from: NodeId, theirs: &[u64], out: &mut Effects<Self>) {
        let own = self.tree.leaves();
        let count = own.len();
        if theirs.len() != count {
            let why = "its tree of digests has another size";
            return out.note(Note::Nonsense { from, why });
        }
        // From anywhere in the tree on, so that none waits for ever behind one that always changes.
        let start = self.rng.random_range(0..count);
        let mut differing: Vec<usize> = (0..count)
            .map(|at| (start + at) % count)
            .filter(|at| own[*at] != theirs[*at])
            .collect();
        if self.bug(Bug::LeafSkipped) {
            differing.retain(|leaf| leaf % 4 != 0);
        }
        if differing.is_empty() {
            return;
        }
        let mut by_leaf: BTreeMap<usize, Vec<(Key, u64)>> = BTreeMap::new();
        for (key, held) in &self.objects {
            let leaf = self.tree.leaf(key);
            if own[leaf] != theirs[leaf] {
                by_leaf.entry(leaf).or_default().push((key.clone(), held.digest));
            }
        }
        let (mut leaves, mut keys) = (Vec::new(), Vec::new());
        for leaf in differing {
            let more = by_leaf.remove(&leaf).unwrap_or_default();
            if !leaves.is_empty() && keys.len() + more.len() > self.options.keys_max {
                break;
            }
            leaves.push(leaf);
            keys.extend(more);
        }
        self.send(from, Body::Keys { leaves, keys }, out);
    }

    /// Sends the states of the keys that differ, and of those that one of the two does not know.
    pub(super) fn on_keys(
        &mut self,
        from: NodeId,
        leaves: &[usize],
        theirs: Vec<(Key, u64)>,
        out: &mut Effects<Self>,
    ) {
        let leaves: BTreeSet<usize> = leaves.iter().copied().collect();
        let theirs: BTreeMap<Key, u64> = theirs.into_iter().collect();
        let own = self.objects.iter().filter(|(key, _)| leaves.contains(&self.tree.leaf(key)));
        let mut differing: BTreeSet<Key> = own
            .filter(|(key, held)| theirs.get(*key) != Some(&held.digest))
            .map(|(key, _)| key.clone())
            .collect();
        differing.extend(theirs.into_keys().filter(|key| !self.objects.contains_key(key)));
        if differing.is_empty() {
            return;
        }
        out.note(Note::Differs { from, keys: differing.len() });
        for key in differing.into_iter().take(self.options.keys_max) {
            let object = self.object(&key);
            self.send(from, Body::Exchange { key, object }, out);
        }
    }

    /// Takes a state in, and answers with this node's own where it is more.
    pub(super) fn on_exchange(
        &mut self,
        from: NodeId,
        key: Key,
        theirs: &Object,
        out: &mut Effects<Self>,
    ) {
        self.take(&key, theirs, out);
        let own = self.object(&key);
        if own == *theirs {
            self.confirm(from, key, out);
        } else {
            self.send(from, Body::Store { key, object: own }, out);
        }
    }
}
