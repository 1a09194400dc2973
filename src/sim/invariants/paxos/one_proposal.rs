//! One proposal: at a ballot, at most one state of a key is ever proposed.
//!
//! Lamport, *The Part-Time Parliament* (1998), condition B1: each ballot has a unique number.

use std::collections::BTreeMap;

use rashomon_stores::kv::Key;
use rashomon_stores::paxos::message::Ballot;
use rashomon_stores::replica::NodeId;

use crate::sim::witness::Breach;

/// Who has proposed at which ballot.
#[derive(Debug, Default)]
pub(super) struct OneProposal(BTreeMap<(Key, Ballot), NodeId>);

impl OneProposal {
    /// A node proposes a state.
    pub(super) fn proposed(
        &mut self,
        node: NodeId,
        key: &Key,
        ballot: Ballot,
    ) -> Result<(), Breach> {
        match self.0.insert((key.clone(), ballot), node) {
            None => Ok(()),
            Some(before) => Err(Breach::new(
                "one proposal",
                format!("{before} and then {node} propose a state of {key} at {ballot}"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_proposals_at_a_ballot_are_seen() {
        let mut proposals = OneProposal::default();
        let ballot = |counter, node| Ballot { epoch: 0, counter, node: NodeId(node) };
        assert_eq!(proposals.proposed(NodeId(1), &"x".into(), ballot(1, 1)), Ok(()));
        assert_eq!(proposals.proposed(NodeId(2), &"x".into(), ballot(1, 2)), Ok(()));
        assert_eq!(proposals.proposed(NodeId(1), &"y".into(), ballot(1, 1)), Ok(()));
        assert!(proposals.proposed(NodeId(1), &"x".into(), ballot(1, 1)).is_err());
    }
}
