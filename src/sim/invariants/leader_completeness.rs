//! Leader Completeness: what was committed in earlier terms is in the log of every later leader.
//!
//! Ongaro, *Consensus: Bridging Theory and Practice* (2014), figure 3.2 and §3.6.3. An entry is
//! known by its index and term, which is enough as long as logs match.

use rashomon_stores::raft::log::{Entry, Log, Term};
use rashomon_stores::replica::NodeId;

use crate::sim::witness::Breach;

/// The terms of all committed entries, from index 1 on.
#[derive(Debug, Default)]
pub(super) struct LeaderCompleteness(Vec<Term>);

impl LeaderCompleteness {
    /// Somebody knows an entry to be committed.
    pub(super) fn committed(&mut self, entry: &Entry) {
        if entry.index == self.0.len() as u64 + 1 {
            self.0.push(entry.term);
        }
    }

    /// A node became leader with this log.
    pub(super) fn elected(&self, node: NodeId, term: Term, log: &Log) -> Result<(), Breach> {
        let missing = (1..).zip(&self.0).find(|&(index, &committed)| {
            committed < term && log.get(index).map(|entry| entry.term) != Some(committed)
        });
        match missing {
            Some((index, committed)) => {
                let what = format!(
                    "{node} leads term {term} without entry {index} of term {committed}, which is \
                     committed"
                );
                Err(Breach::new("leader completeness", what))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::support::{entry, node};
    use super::*;

    #[test]
    fn a_leader_without_what_is_committed_is_seen() {
        let mut complete = LeaderCompleteness::default();
        assert_eq!(complete.elected(NodeId(1), 1, &Log::default()), Ok(()));
        complete.committed(&entry(1, 1));
        complete.committed(&entry(1, 1));
        assert!(complete.elected(NodeId(2), 2, &Log::default()).is_err());
        // What is committed in its own term is the leader's own doing.
        assert_eq!(complete.elected(NodeId(2), 1, &Log::default()), Ok(()));
        assert_eq!(complete.elected(NodeId(2), 2, node(&[1]).log()), Ok(()));
        assert!(complete.elected(NodeId(2), 3, node(&[2]).log()).is_err());
    }
}
