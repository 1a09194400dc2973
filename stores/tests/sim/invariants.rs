//! What must hold of Raft in every state it can reach (Ongaro's dissertation, figure 3.2), checked
//! from outside while a run goes on.

use std::collections::BTreeMap;

use rashomon_stores::kv::Store;
use rashomon_stores::raft::log::{Entry, Index, Log, Payload, Term};
use rashomon_stores::raft::{Note, Raft};
use rashomon_stores::replica::NodeId;

use super::world::World;

/// What has been seen so far.
#[derive(Default)]
pub(crate) struct Invariants {
    leaders: BTreeMap<Term, NodeId>,
    /// Every committed entry, with the term of the leader who committed it.
    committed: Vec<(Term, Entry)>,
    /// How far each node's commit index has been looked at, in its current life.
    seen: BTreeMap<NodeId, Index>,
    /// How many snapshots followers have taken over.
    pub(crate) installed: usize,
}

impl Invariants {
    /// How many elections were won.
    pub(crate) fn elections(&self) -> usize {
        self.leaders.len()
    }

    /// How many entries were committed.
    pub(crate) fn committed(&self) -> usize {
        self.committed.len()
    }

    /// Looks at a node after a step.
    pub(crate) fn after_step(&mut self, id: NodeId, world: &mut World<Raft>) -> Result<(), String> {
        let notes = std::mem::take(&mut world.notes);
        let Some(core) = world.core(id) else { return Ok(()) };
        for (noted, note) in notes {
            match note {
                Note::BecameLeader { term, last_index } => {
                    self.election_safety(noted, term)?;
                    self.leader_completeness(noted, term, last_index, core.log())?;
                }
                Note::SnapshotInstalled { .. } => self.installed += 1,
                Note::Nonsense { from, why } => return Err(format!("{noted} from {from}: {why}")),
                _ => {}
            }
        }
        self.state_machine_safety(id, core)
    }

    /// A node that starts again learns anew what is committed.
    pub(crate) fn after_crash(&mut self, id: NodeId) {
        self.seen.remove(&id);
    }

    /// Election Safety: at most one leader can be elected in a given term.
    fn election_safety(&mut self, id: NodeId, term: Term) -> Result<(), String> {
        match self.leaders.insert(term, id) {
            Some(other) if other != id => Err(format!("{id} and {other} both lead term {term}")),
            _ => Ok(()),
        }
    }

    /// Leader Completeness: what was committed in earlier terms is in the log of every later leader.
    /// The term of the leader who committed it counts, not the entry's: a node that was held up may
    /// learn late that it was elected in a term that is over.
    fn leader_completeness(
        &self,
        id: NodeId,
        term: Term,
        last_index: Index,
        log: &Log,
    ) -> Result<(), String> {
        let base = log.base().index;
        let missing = self.committed.iter().find(|(by, entry)| {
            let has = entry.index <= base || log.get(entry.index) == Some(entry);
            *by < term && (entry.index > last_index || !has)
        });
        match missing {
            Some((_, entry)) => {
                Err(format!("{id} leads term {term} without the committed {entry:?}"))
            }
            None => Ok(()),
        }
    }

    /// State Machine Safety: no two nodes ever apply different entries at an index. And commit
    /// indices only grow.
    fn state_machine_safety(&mut self, id: NodeId, core: &Raft) -> Result<(), String> {
        let seen = self.seen.entry(id).or_default();
        if core.commit_index() < *seen {
            return Err(format!("{id} takes back its commit of entry {seen}"));
        }
        let base = core.log().base();
        if *seen < base.index {
            self.restored(id, core)?;
        }
        let seen = self.seen.entry(id).or_default();
        while *seen < core.commit_index() {
            *seen += 1;
            let Some(entry) = core.log().get(*seen) else {
                return Err(format!("{id} commits entry {seen}, which it does not have"));
            };
            match self.committed.get(*seen as usize - 1) {
                Some((_, committed)) if committed != entry => {
                    return Err(format!("{id} commits {entry:?}, others {committed:?}"));
                }
                Some(_) => {}
                None => self.committed.push((core.hard_state().term, entry.clone())),
            }
        }
        Ok(())
    }

    /// A snapshot, found on the disk or sent by a leader, is the state after what it covers; what
    /// the node has applied since is looked at entry by entry.
    fn restored(&mut self, id: NodeId, core: &Raft) -> Result<(), String> {
        let base = core.log().base();
        let covered = self.committed.get(..base.index as usize);
        let Some(covered) = covered
            .filter(|entries| entries.last().is_some_and(|(_, entry)| entry.term == base.term))
        else {
            return Err(format!("{id} has a snapshot up to {base:?}, which was never committed"));
        };
        let mut state = Store::default();
        for (_, entry) in covered {
            if let Payload::Command(command) = &entry.payload {
                state.apply(command);
            }
        }
        if core.snapshot().is_none_or(|snapshot| snapshot.state != state) {
            return Err(format!("{id} has a snapshot up to {base:?} of another state"));
        }
        self.seen.insert(id, base.index);
        Ok(())
    }

    /// Log Matching: if two logs have an entry of the same term at an index, they are the same up
    /// to there. Also, terms never decrease along a log.
    pub(crate) fn log_matching(world: &World<Raft>) -> Result<(), String> {
        let cores: Vec<(NodeId, &Raft)> = world.cores().collect();
        for (position, (a, left)) in cores.iter().enumerate() {
            let left = left.log();
            let from = left.base().index;
            let terms: Vec<_> =
                (from..=left.last_index()).map(|index| left.term_at(index)).collect();
            if !terms.is_sorted() {
                return Err(format!("the terms of {a}'s log decrease"));
            }
            for (b, right) in &cores[position + 1..] {
                let right = right.log();
                let known = from.max(right.base().index);
                let shorter = left.last_index().min(right.last_index());
                let agree = |index: &Index| left.term_at(*index) == right.term_at(*index);
                let Some(common) = (known + 1..=shorter).rev().find(agree) else { continue };
                if let Some(index) = (known + 1..=common).find(|at| left.get(*at) != right.get(*at))
                {
                    return Err(format!("{a} and {b} agree at {common} but differ at {index}"));
                }
            }
        }
        Ok(())
    }
}
