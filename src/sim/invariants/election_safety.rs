//! Election Safety: at most one leader can be elected in a given term.
//!
//! Ongaro, *Consensus: Bridging Theory and Practice* (2014), figure 3.2 and §3.4.

use std::collections::BTreeMap;

use rashomon_stores::raft::log::Term;
use rashomon_stores::replica::NodeId;

use crate::sim::witness::Breach;

/// Who was elected in which term.
#[derive(Debug, Default)]
pub(super) struct ElectionSafety(BTreeMap<Term, NodeId>);

impl ElectionSafety {
    /// A node became leader.
    pub(super) fn elected(&mut self, node: NodeId, term: Term) -> Result<(), Breach> {
        match self.0.insert(term, node) {
            Some(other) if other != node => {
                Err(Breach::new("election safety", format!("{other} and {node} lead term {term}")))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_leaders_of_a_term_are_seen() {
        let mut elections = ElectionSafety::default();
        assert_eq!(elections.elected(NodeId(1), 1), Ok(()));
        assert_eq!(elections.elected(NodeId(2), 2), Ok(()));
        assert_eq!(elections.elected(NodeId(2), 2), Ok(()));
        assert!(elections.elected(NodeId(3), 1).is_err());
    }
}
