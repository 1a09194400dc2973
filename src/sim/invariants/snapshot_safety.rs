//! Snapshot safety: a snapshot is the state after the entries that it covers, and they are committed.
//!
//! Ongaro, *Consensus: Bridging Theory and Practice* (2014), §5.1 and §5.3. State Machine Safety for
//! entries that a node never sees one by one, because a leader's snapshot or its own disk brought
//! what came of them; the configuration is part of it (§4.1). The committed entries are applied here once more to compare.

use std::sync::Arc;

use rashomon_stores::kv::Store;
use rashomon_stores::raft::log::{Entry, Payload};
use rashomon_stores::raft::membership::Membership;
use rashomon_stores::raft::snapshot::Snapshot;
use rashomon_stores::replica::NodeId;

use crate::sim::witness::Breach;

const NAME: &str = "snapshot safety";

/// The state after the first committed entries, as far as snapshots have been seen.
#[derive(Debug, Default)]
pub(super) struct SnapshotSafety {
    applied: usize,
    state: Store,
    /// The members after them; none if they are still the first ones.
    members: Option<Arc<Membership>>,
}

impl SnapshotSafety {
    /// A node goes on from a snapshot; these entries are committed.
    pub(super) fn restored(
        &mut self,
        node: NodeId,
        snapshot: &Snapshot,
        committed: &[Entry],
    ) -> Result<(), Breach> {
        let last = snapshot.last;
        let covered = committed.get(..last.index as usize);
        let known = covered.and_then(<[Entry]>::last).is_some_and(|entry| entry.term == last.term);
        let Some(covered) = covered.filter(|_| known) else {
            let what = format!("{node} has a snapshot up to {last:?}, which is not committed");
            return Err(Breach::new(NAME, what));
        };
        if covered.len() < self.applied {
            // An older one than the last that was seen.
            *self = SnapshotSafety::default();
        }
        for entry in &covered[self.applied..] {
            match &entry.payload {
                Payload::Command(command) => {
                    self.state.apply(command);
                }
                Payload::Members(members) => self.members = Some(members.clone()),
                Payload::Noop => {}
            }
        }
        self.applied = covered.len();
        let same_members = self.members.as_ref().is_none_or(|known| *known == snapshot.members);
        if snapshot.state == self.state && same_members {
            return Ok(());
        }
        let of = if same_members { "another state" } else { "other members" };
        Err(Breach::new(NAME, format!("{node} has a snapshot up to {last:?} of {of}")))
    }
}

#[cfg(test)]
mod tests {
    use rashomon_stores::kv::{Command, Op};
    use rashomon_stores::raft::log::Place;

    use super::*;

    fn append(index: u64) -> Entry {
        let op = Op::Append { key: "x".into(), value: (index as i64).into() };
        let command = Arc::new(Command { session: None, op });
        Entry { index, term: 1, payload: Payload::Command(command) }
    }

    fn snapshot(index: u64, term: u64, applied: &[Entry]) -> Snapshot {
        let mut state = Store::default();
        for entry in applied {
            if let Payload::Command(command) = &entry.payload {
                state.apply(command);
            }
        }
        Snapshot { last: Place { index, term }, members: Arc::default(), state }
    }

    #[test]
    fn a_snapshot_of_another_state_or_of_what_is_not_committed_is_seen() {
        let mut safety = SnapshotSafety::default();
        let entries: Vec<Entry> = (1..=4).map(append).collect();
        for count in [3, 2, 4] {
            let sound = snapshot(count as u64, 1, &entries[..count]);
            assert_eq!(safety.restored(NodeId(1), &sound, &entries), Ok(()));
        }
        let short = snapshot(3, 1, &entries[..2]);
        assert!(safety.restored(NodeId(1), &short, &entries).is_err());
        let early = snapshot(4, 1, &entries);
        assert!(safety.restored(NodeId(1), &early, &entries[..3]).is_err());
        let other = snapshot(4, 2, &entries);
        assert!(safety.restored(NodeId(1), &other, &entries).is_err());
    }
}
