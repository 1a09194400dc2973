//! Commit indices only grow within an incarnation: what is committed stays so.
//!
//! Ongaro, *Consensus: Bridging Theory and Practice* (2014), figure 3.1: `commitIndex`, "increases
//! monotonically".

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use rashomon_stores::raft::log::Index;
use rashomon_stores::replica::NodeId;

use crate::sim::witness::Breach;

/// How far each node's commit index has come in its current incarnation.
#[derive(Debug, Default)]
pub(super) struct CommitMonotonic(BTreeMap<NodeId, Index>);

impl CommitMonotonic {
    /// The indices that a node has committed since it was looked at last.
    pub(super) fn advanced(
        &mut self,
        node: NodeId,
        commit: Index,
    ) -> Result<RangeInclusive<Index>, Breach> {
        let known = self.0.entry(node).or_default();
        let before = std::mem::replace(known, commit);
        if commit < before {
            let what = format!("{node} takes its commit back from entry {before} to {commit}");
            return Err(Breach::new("commit monotonic", what));
        }
        Ok(before + 1..=commit)
    }

    /// A node that starts again learns anew what is committed.
    pub(super) fn forget(&mut self, node: NodeId) {
        self.0.remove(&node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn going_back_is_seen_but_not_after_a_crash() {
        let mut commits = CommitMonotonic::default();
        let node = NodeId(1);
        assert_eq!(commits.advanced(node, 3), Ok(1..=3));
        assert!(commits.advanced(node, 3).expect("it stays").is_empty());
        assert_eq!(commits.advanced(node, 5), Ok(4..=5));
        assert!(commits.advanced(node, 4).is_err());
        commits.forget(node);
        assert_eq!(commits.advanced(node, 2), Ok(1..=2));
    }
}
