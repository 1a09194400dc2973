//! Chosen stays chosen: whatever is proposed at a higher ballot than a chosen state descends from it.
//!
//! Lamport, *The Part-Time Parliament* (1998), condition B3 and theorem 1; for states that change,
//! Rystsov, *CASPaxos* (2018), appendix A: each proposal begins with the state of a ballot at least
//! as high as any that was chosen before. A key without a state stands for the tombstone that was
//! collected.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use rashomon_stores::kv::Key;
use rashomon_stores::paxos::message::Ballot;

use crate::sim::witness::Breach;

/// What is known of every key.
#[derive(Debug, Default)]
pub(super) struct ChosenStays(BTreeMap<Key, History>);

/// The proposals for a key.
#[derive(Debug, Default)]
struct History {
    /// The ballot of the state that each proposal began with.
    parents: BTreeMap<Ballot, Ballot>,
    /// Those that their proposers took for chosen.
    chosen: BTreeSet<Ballot>,
    /// The last tombstone that acceptors began to erase.
    collected: Ballot,
}

impl ChosenStays {
    /// A node proposes a state that comes after another.
    pub(super) fn proposed(
        &mut self,
        key: &Key,
        ballot: Ballot,
        parent: Ballot,
    ) -> Result<(), Breach> {
        let known = self.0.entry(key.clone()).or_default();
        let parent = if parent == Ballot::NONE { known.collected } else { parent };
        known.parents.insert(ballot, parent);
        let before = known.chosen.range(..ballot).next_back();
        before.map_or(Ok(()), |chosen| descends(key, ballot, parent, *chosen))
    }

    /// A proposal is chosen.
    pub(super) fn chosen(&mut self, key: &Key, ballot: Ballot) -> Result<(), Breach> {
        let known = self.0.entry(key.clone()).or_default();
        known.chosen.insert(ballot);
        let mut later = known.parents.range((Bound::Excluded(ballot), Bound::Unbounded));
        later.try_for_each(|(later, parent)| descends(key, *later, *parent, ballot))
    }

    /// The highest ballot at which a state of each key was chosen, but of those that are gone.
    pub(super) fn last(&self) -> impl Iterator<Item = (&Key, Ballot)> {
        let last =
            |known: &History| known.chosen.last().copied().filter(|it| *it > known.collected);
        self.0.iter().filter_map(move |(key, known)| Some((key, last(known)?)))
    }

    /// Acceptors begin to erase a tombstone.
    pub(super) fn collecting(&mut self, key: &Key, tombstone: Ballot) {
        let known = self.0.entry(key.clone()).or_default();
        known.collected = known.collected.max(tombstone);
    }
}

fn descends(key: &Key, ballot: Ballot, parent: Ballot, chosen: Ballot) -> Result<(), Breach> {
    if parent >= chosen {
        return Ok(());
    }
    let what = format!(
        "{key} is proposed at {ballot} after {parent}, though its state at {chosen} was chosen"
    );
    Err(Breach::new("chosen stays", what))
}

#[cfg(test)]
mod tests {
    use rashomon_stores::replica::NodeId;

    use super::*;

    fn ballot(counter: u64) -> Ballot {
        Ballot { epoch: 0, counter, node: NodeId(1) }
    }

    #[test]
    fn a_proposal_that_leaves_out_what_was_chosen_is_seen_before_and_after() {
        let key: Key = "x".into();
        let mut history = ChosenStays::default();
        assert_eq!(history.proposed(&key, ballot(2), Ballot::NONE), Ok(()));
        assert_eq!(history.proposed(&key, ballot(5), Ballot::NONE), Ok(()));
        assert!(history.chosen(&key, ballot(2)).is_err(), "the later one does not know of it");
        let mut history = ChosenStays::default();
        assert_eq!(history.proposed(&key, ballot(2), Ballot::NONE), Ok(()));
        assert_eq!(history.chosen(&key, ballot(2)), Ok(()));
        assert_eq!(history.proposed(&key, ballot(1), Ballot::NONE), Ok(()), "it comes too late");
        assert_eq!(history.proposed(&key, ballot(3), ballot(2)), Ok(()));
        assert!(history.proposed(&key, ballot(4), Ballot::NONE).is_err());
    }

    #[test]
    fn a_key_that_was_collected_begins_anew() {
        let key: Key = "x".into();
        let mut history = ChosenStays::default();
        assert_eq!(history.proposed(&key, ballot(2), Ballot::NONE), Ok(()));
        assert_eq!(history.chosen(&key, ballot(2)), Ok(()));
        history.collecting(&key, ballot(2));
        assert_eq!(history.proposed(&key, ballot(3), Ballot::NONE), Ok(()));
        assert_eq!(history.chosen(&key, ballot(3)), Ok(()));
        assert!(history.proposed(&key, ballot(4), Ballot::NONE).is_err());
    }
}
