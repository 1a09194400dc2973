//! Configurations: each has one number and one successor, and nothing that was chosen is left behind:
//! as many as promise in one meet all who have accepted the last chosen state of any key, in whatever
//! configuration that was chosen.
//!
//! Rystsov, *CASPaxos* (2018), §2.3. It is what the change of members in between is for, and seen here
//! whether or not a quorum that misses a state is ever asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rashomon_stores::kv::Key;
use rashomon_stores::paxos::membership::{Configuration, Members};
use rashomon_stores::paxos::message::{Ballot, Epoch};
use rashomon_stores::replica::NodeId;

use crate::sim::witness::Breach;

/// The configurations that nodes have had.
#[derive(Debug, Default)]
pub(super) struct Configurations(BTreeMap<Epoch, Arc<Configuration>>);

impl Configurations {
    /// A node has a configuration; `chosen` are the last chosen ballots of all keys that are not gone.
    pub(super) fn adopted<'a>(
        &mut self,
        node: NodeId,
        configuration: &Arc<Configuration>,
        chosen: impl Iterator<Item = (&'a Key, Ballot)>,
    ) -> Result<(), Breach> {
        let epoch = configuration.epoch;
        if let Some(known) = self.0.get(&epoch) {
            if known == configuration {
                return Ok(());
            }
            let what = format!("{node} adopts {configuration:?}, but {epoch} is {known:?}");
            return Err(Breach::new("one configuration", what));
        }
        self.0.insert(epoch, configuration.clone());
        for (key, ballot) in chosen {
            let Some(before) = self.0.get(&ballot.epoch) else { continue };
            if !meet(&configuration.members, before) {
                let what = format!(
                    "in configuration {epoch} a quorum may miss the state of {key}, which was chosen at {ballot}"
                );
                return Err(Breach::new("nothing left behind", what));
            }
        }
        Ok(())
    }
}

/// Whether every quorum of these that promises meets every one that accepts in a configuration.
fn meet(promising: &Members, accepting: &Configuration) -> bool {
    let nodes: Vec<NodeId> = promising.nodes.keys().copied().collect();
    let subsets = 0_u32..1 << nodes.len();
    let all = accepting.acceptors();
    subsets.filter(|subset| subset.count_ones() as usize == promising.prepare).all(|subset| {
        let is_in = |node: &NodeId| {
            nodes.iter().position(|it| it == node).is_some_and(|place| subset & 1 << place != 0)
        };
        let rest: BTreeSet<NodeId> = all.iter().copied().filter(|node| !is_in(node)).collect();
        !accepting.accepted(&rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(nodes: &[u16]) -> Members {
        let majority = nodes.len() / 2 + 1;
        let nodes = nodes.iter().map(|node| (NodeId(*node), 0)).collect();
        Members { nodes, prepare: majority, accept: majority }
    }

    fn configuration(epoch: Epoch, nodes: &[u16], next: Option<&[u16]>) -> Arc<Configuration> {
        let (members, next) = (members(nodes), next.map(members));
        Arc::new(Configuration { epoch, members, next, addresses: BTreeMap::new() })
    }

    #[test]
    fn a_state_that_a_quorum_may_miss_is_seen() {
        let (three, key): (&[u16], Key) = (&[1, 2, 3], "x".into());
        let at = |epoch| Ballot { epoch, counter: 1, node: NodeId(1) };
        let adopt = |known: &mut Configurations, it: &Arc<Configuration>, chosen: Epoch| {
            known.adopted(NodeId(1), it, [(&key, at(chosen))].into_iter()).is_ok()
        };
        let mut known = Configurations::default();
        assert!(adopt(&mut known, &configuration(0, three, None), 0));
        assert!(adopt(&mut known, &configuration(1, three, Some(&[1, 2, 3, 4])), 0));
        assert!(
            adopt(&mut known, &configuration(2, &[1, 2, 3, 4], None), 0),
            "majorities meet yet"
        );
        let five = configuration(3, &[1, 2, 3, 4, 5], None);
        assert!(!adopt(&mut known, &five, 0), "but not these");
        known.0.remove(&3);
        assert!(adopt(&mut known, &five, 1), "it was accepted by three of four");
    }

    #[test]
    fn two_configurations_of_one_number_are_seen() {
        let mut known = Configurations::default();
        let first = configuration(1, &[1, 2, 3], None);
        let none = || std::iter::empty::<(&Key, Ballot)>();
        assert_eq!(known.adopted(NodeId(1), &first, none()), Ok(()));
        assert_eq!(known.adopted(NodeId(2), &first, none()), Ok(()));
        assert!(known.adopted(NodeId(3), &configuration(1, &[1, 2], None), none()).is_err());
    }
}
