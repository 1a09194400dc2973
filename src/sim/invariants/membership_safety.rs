//! Membership safety: of two configurations that follow each other, every majority of one meets every
//! majority of the other.
//!
//! Ongaro, *Consensus: Bridging Theory and Practice* (2014), §4.1, figure 4.3: it is so when they
//! differ by one voter at most, which is what is looked for among committed entries. A leader must
//! also begin no change while another is not committed (the same section, and the correction of
//! 2015): what it adopts is the only configuration that it does not know to be committed.

use std::collections::BTreeSet;

use rashomon_stores::raft::Raft;
use rashomon_stores::raft::log::{Entry, Index, Payload};
use rashomon_stores::raft::membership::Membership;
use rashomon_stores::replica::NodeId;

use crate::sim::witness::Breach;

const NAME: &str = "membership safety";

/// The latest committed configuration.
#[derive(Debug, Default)]
pub(super) struct MembershipSafety {
    /// None before anything was seen.
    latest: Option<Membership>,
    /// The last entry that was looked at.
    index: Index,
    /// Learners that became voters.
    pub(super) promoted: u64,
}

impl MembershipSafety {
    /// The cluster begins with these members, unless it has begun.
    pub(super) fn begun(&mut self, members: &Membership) {
        if self.latest.is_none() {
            self.latest = Some(members.clone());
        }
    }

    /// Whether a node is a voter as far as it is certain.
    pub(super) fn is_voter(&self, node: NodeId) -> bool {
        self.latest.as_ref().is_none_or(|members| members.is_voter(node))
    }

    /// A node knows an entry to be committed; the first that does counts.
    pub(super) fn committed(&mut self, node: NodeId, entry: &Entry) -> Result<(), Breach> {
        if entry.index <= self.index {
            return Ok(());
        }
        self.index = entry.index;
        let Payload::Members(members) = &entry.payload else { return Ok(()) };
        let Some(before) = self.latest.replace((**members).clone()) else { return Ok(()) };
        let changed: BTreeSet<NodeId> =
            before.voters.symmetric_difference(&members.voters).copied().collect();
        self.promoted += before.learners.intersection(&members.voters).count() as u64;
        if changed.len() <= 1 {
            return Ok(());
        }
        let what = format!(
            "{node} commits entry {}, in which {} voters change at once: from {:?} to {:?}",
            entry.index,
            changed.len(),
            before.voters,
            members.voters
        );
        Err(Breach::new(NAME, what))
    }

    /// A leader has a new configuration.
    pub(super) fn adopted(&self, leader: NodeId, core: &Raft) -> Result<(), Breach> {
        let uncommitted = core.log().entries().iter().filter(|entry| {
            entry.index > core.commit_index() && matches!(entry.payload, Payload::Members(_))
        });
        let changes: Vec<Index> = uncommitted.map(|entry| entry.index).collect();
        if changes.len() <= 1 {
            return Ok(());
        }
        let what = format!("{leader} changes the members again, in entries {changes:?}");
        Err(Breach::new(NAME, what))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn members(voters: &[u16], learners: &[u16]) -> Membership {
        let ids = |ids: &[u16]| ids.iter().copied().map(NodeId).collect();
        Membership { voters: ids(voters), learners: ids(learners), ..Membership::default() }
    }

    fn change(index: Index, voters: &[u16], learners: &[u16]) -> Entry {
        Entry { index, term: 1, payload: Payload::Members(Arc::new(members(voters, learners))) }
    }

    #[test]
    fn one_voter_comes_or_goes_at_a_time() {
        let mut safety = MembershipSafety::default();
        safety.begun(&members(&[1, 2, 3], &[]));
        for entry in [
            change(2, &[1, 2, 3], &[4]),
            change(3, &[1, 2, 3, 4], &[]),
            change(3, &[9], &[]),
            change(5, &[2, 3, 4], &[]),
        ] {
            assert_eq!(safety.committed(NodeId(1), &entry), Ok(()), "{entry:?}");
        }
        assert_eq!(safety.promoted, 1);
        assert!(!safety.is_voter(NodeId(1)) && safety.is_voter(NodeId(4)));
        assert!(safety.committed(NodeId(2), &change(6, &[2, 3, 5], &[])).is_err(), "4 for 5");
    }
}
