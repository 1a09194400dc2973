//! Leader Completeness: what was committed in a term is in the log of the leader of every later one.
//!
//! Ongaro, *Consensus: Bridging Theory and Practice* (2014), figure 3.2 and §3.6.3. The term that
//! counts is that of the leader who committed, not that of the entry: a node that was held up may
//! learn late that it was elected in a term that is long over, and need not have what a later
//! leader has committed since, though the entry may be older than both. An entry is known by its
//! index and term, which is enough as long as logs match.

use rashomon_stores::raft::log::{Entry, Log, Term};
use rashomon_stores::replica::NodeId;

use crate::sim::witness::Breach;

/// An entry's term, and the term in which it was committed.
#[derive(Debug)]
struct Committed {
    entry: Term,
    by: Term,
}

/// All committed entries, from index 1 on.
#[derive(Debug, Default)]
pub(super) struct LeaderCompleteness(Vec<Committed>);

impl LeaderCompleteness {
    /// A node that is in this term knows an entry to be committed. The first is the leader who
    /// committed it.
    pub(super) fn committed(&mut self, entry: &Entry, by: Term) {
        if entry.index == self.0.len() as u64 + 1 {
            self.0.push(Committed { entry: entry.term, by });
        }
    }

    /// A node became leader with this log.
    pub(super) fn elected(&self, node: NodeId, term: Term, log: &Log) -> Result<(), Breach> {
        let missing = (1..).zip(&self.0).find(|(index, committed)| {
            // A snapshot covers what was committed.
            let covered = *index < log.base().index;
            committed.by < term && !covered && log.term_at(*index) != Some(committed.entry)
        });
        match missing {
            Some((index, Committed { entry, by })) => {
                let what = format!(
                    "{node} leads term {term} without entry {index} of term {entry}, which was \
                     committed in term {by}"
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
        complete.committed(&entry(1, 1), 1);
        complete.committed(&entry(1, 1), 2);
        assert!(complete.elected(NodeId(2), 2, &Log::default()).is_err());
        assert_eq!(complete.elected(NodeId(2), 2, node(&[1]).log()), Ok(()));
        assert!(complete.elected(NodeId(2), 3, node(&[2]).log()).is_err());
    }

    #[test]
    fn who_learns_late_of_an_election_need_not_have_what_was_committed_since() {
        let mut complete = LeaderCompleteness::default();
        complete.committed(&entry(1, 1), 4);
        assert_eq!(complete.elected(NodeId(2), 3, &Log::default()), Ok(()));
        assert_eq!(complete.elected(NodeId(2), 4, &Log::default()), Ok(()), "its own doing");
        assert!(complete.elected(NodeId(2), 5, &Log::default()).is_err());
    }
}
