//! Log Matching: if two logs have an entry of the same term at an index, they are the same up to
//! there.
//!
//! Ongaro, *Consensus: Bridging Theory and Practice* (2014), figure 3.2 and §3.5.

use rashomon_stores::raft::log::{Index, Log};
use rashomon_stores::replica::NodeId;

use crate::sim::witness::Breach;

/// Compares two logs from behind the first `known` entries on.
pub(super) fn check(
    (a, left): (NodeId, &Log),
    (b, right): (NodeId, &Log),
    known: Index,
) -> Result<(), Breach> {
    // What a snapshot covers is compared by the state that it brings.
    let known = known.max(left.base().index).max(right.base().index);
    let shorter = left.last_index().min(right.last_index());
    let same_term = |index: &Index| left.term_at(*index) == right.term_at(*index);
    let Some(common) = (known + 1..=shorter).rev().find(same_term) else { return Ok(()) };
    match (known + 1..=common).find(|index| left.get(*index) != right.get(*index)) {
        Some(index) => {
            let what = format!("{a} and {b} agree at entry {common} but differ at {index}");
            Err(Breach::new("log matching", what))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::support::node;
    use super::*;

    fn compare(left: &[u64], right: &[u64], known: Index) -> Result<(), Breach> {
        let (left, right) = (node(left), node(right));
        check((NodeId(1), left.log()), (NodeId(2), right.log()), known)
    }

    #[test]
    fn logs_may_part_but_not_meet_again() {
        assert_eq!(compare(&[1, 1, 2], &[1, 1, 3, 3], 0), Ok(()));
        assert_eq!(compare(&[], &[1], 0), Ok(()));
        assert!(compare(&[1, 1, 3], &[1, 2, 3], 0).is_err());
        assert_eq!(compare(&[1, 1, 3], &[1, 2, 3], 2), Ok(()), "what is known is not compared");
    }
}
