//! State Machine Safety: no two nodes ever apply different entries at an index.
//!
//! Ongaro, *Consensus: Bridging Theory and Practice* (2014), figure 3.2 and §3.6.3. Nodes apply an
//! entry in the step in which they learn that it is committed, so it is looked at then.

use rashomon_stores::raft::log::{Entry, Index};
use rashomon_stores::replica::NodeId;

use crate::sim::witness::Breach;

const NAME: &str = "state machine safety";

/// The committed entries, from index 1 on, as whoever committed them first has them.
#[derive(Debug, Default)]
pub(super) struct StateMachineSafety(Vec<Entry>);

impl StateMachineSafety {
    /// The committed entries, from index 1 on.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// A node knows the entry at an index to be committed, and should have it.
    pub(super) fn committed(
        &mut self,
        node: NodeId,
        index: Index,
        entry: Option<&Entry>,
    ) -> Result<(), Breach> {
        let Some(entry) = entry else {
            return Err(Breach::new(NAME, format!("{node} commits entry {index} and lacks it")));
        };
        match self.0.get(index as usize - 1) {
            Some(known) if known != entry => {
                let what = format!("{node} commits {entry:?} where another has {known:?}");
                Err(Breach::new(NAME, what))
            }
            Some(_) => Ok(()),
            None => {
                self.0.push(entry.clone());
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::support::entry;
    use super::*;

    #[test]
    fn different_entries_at_an_index_are_seen() {
        let mut applied = StateMachineSafety::default();
        assert_eq!(applied.committed(NodeId(1), 1, Some(&entry(1, 1))), Ok(()));
        assert_eq!(applied.committed(NodeId(2), 1, Some(&entry(1, 1))), Ok(()));
        assert!(applied.committed(NodeId(3), 1, Some(&entry(1, 2))).is_err());
        assert!(applied.committed(NodeId(3), 2, None).is_err());
    }
}
