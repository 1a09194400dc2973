//! What must hold of a store in every state it can reach, one file a property, each with its source:
//! here of Raft, in `paxos` of CASPaxos, in `eventual` of the eventual store.
//!
//! They are checked from outside while a run goes on, beside the verdict on what clients saw: a
//! broken invariant shows long before its consequences do, and may have none in this run.

mod commit_monotonic;
mod durable_promises;
mod election_safety;
mod eventual;
mod leader_completeness;
mod log_matching;
mod membership_safety;
mod paxos;
mod snapshot_safety;
mod state_machine_safety;

use rashomon_stores::raft::message::Message;
use rashomon_stores::raft::{Note, Raft};
use rashomon_stores::replica::{NodeId, Role};

pub use eventual::EventualWitness;
pub use paxos::PaxosWitness;

use super::witness::{Breach, Promise, Records, Witness};
use commit_monotonic::CommitMonotonic;
use durable_promises::DurablePromises;
use election_safety::ElectionSafety;
use leader_completeness::LeaderCompleteness;
use membership_safety::MembershipSafety;
use snapshot_safety::SnapshotSafety;
use state_machine_safety::StateMachineSafety;

/// The witness of Raft.
#[derive(Debug, Default)]
pub struct RaftWitness {
    election_safety: ElectionSafety,
    leader_completeness: LeaderCompleteness,
    state_machine_safety: StateMachineSafety,
    snapshot_safety: SnapshotSafety,
    commit_monotonic: CommitMonotonic,
    durable_promises: DurablePromises,
    membership_safety: MembershipSafety,
    sightings: Sightings,
}

/// What a run should reach sometimes.
#[derive(Debug, Default)]
struct Sightings {
    pre_elections: u64,
    elections_started: u64,
    elections_won: u64,
    leaders_deposed: u64,
    deposed_with_writes: u64,
    deposed_with_reads: u64,
    entries_truncated: u64,
    logs_compacted: u64,
    snapshots_sent: u64,
    snapshots_installed: u64,
    promises_kept: u64,
    votes_kept: u64,
    members_changed: u64,
    removed_would_stand: u64,
}

impl Witness<Raft> for RaftWitness {
    fn noted(&mut self, node: NodeId, note: &Note, core: &Raft) -> Result<(), Breach> {
        let seen = &mut self.sightings;
        match note {
            Note::PreElectionStarted { .. } => {
                seen.pre_elections += 1;
                let removed = !self.membership_safety.is_voter(node);
                seen.removed_would_stand += u64::from(removed);
            }
            Note::ElectionStarted { .. } => seen.elections_started += 1,
            Note::BecameLeader { term, .. } => {
                seen.elections_won += 1;
                self.election_safety.elected(node, *term)?;
                self.leader_completeness.elected(node, *term, core.log())?;
            }
            Note::SteppedDown { writes, reads, .. } => {
                seen.leaders_deposed += 1;
                seen.deposed_with_writes += u64::from(*writes > 0);
                seen.deposed_with_reads += u64::from(*reads > 0);
            }
            Note::Truncated { from, .. } => {
                seen.entries_truncated += 1;
                self.durable_promises.truncated(node, *from, core.log());
            }
            Note::Compacted { .. } => seen.logs_compacted += 1,
            Note::SnapshotSent { .. } => seen.snapshots_sent += 1,
            Note::SnapshotInstalled { .. } => {
                seen.snapshots_installed += 1;
                self.durable_promises.installed(node, core.log());
            }
            Note::Nonsense { from, why } => {
                return Err(Breach::new("sense", format!("{node} from {from}: {why}")));
            }
            Note::MembersChanged { .. } if core.role() == Role::Leader => {
                seen.members_changed += 1;
                self.membership_safety.adopted(node, core)?;
            }
            Note::VoteGranted { .. }
            | Note::Follows { .. }
            | Note::TimeoutNow { .. }
            | Note::MembersChanged { .. } => {}
        }
        Ok(())
    }

    fn stepped(&mut self, node: NodeId, core: &Raft) -> Result<(), Breach> {
        self.membership_safety.begun(core.members());
        let advanced = self.commit_monotonic.advanced(node, core.commit_index())?;
        let base = core.log().base();
        if let Some(snapshot) = core.snapshot().filter(|_| advanced.contains(&base.index)) {
            self.snapshot_safety.restored(node, snapshot, self.state_machine_safety.entries())?;
        }
        for index in advanced.filter(|index| *index > base.index) {
            let entry = core.log().get(index);
            self.state_machine_safety.committed(node, index, entry)?;
            if let Some(entry) = entry {
                self.leader_completeness.committed(entry, core.hard_state().term);
                self.membership_safety.committed(node, entry)?;
            }
        }
        Ok(())
    }

    fn is_promise(message: &Message) -> bool {
        durable_promises::is_promise(message)
    }

    fn promised(
        &mut self,
        promise: &Promise<Message>,
        core: &Raft,
        disk: &Records<Raft>,
    ) -> Result<(), Breach> {
        self.durable_promises.made(promise, core, disk)
    }

    fn recovered(&mut self, node: NodeId, core: &Raft) -> Result<(), Breach> {
        let (any, vote) = self.durable_promises.recovered(node, core)?;
        self.sightings.promises_kept += u64::from(any);
        self.sightings.votes_kept += u64::from(vote);
        Ok(())
    }

    fn crashed(&mut self, node: NodeId) {
        self.commit_monotonic.forget(node);
    }

    fn glanced(&mut self, cores: &[(NodeId, &Raft)], whole: bool) -> Result<(), Breach> {
        for (position, (a, left)) in cores.iter().enumerate() {
            for (b, right) in &cores[position + 1..] {
                // What both have committed is compared when it is committed.
                let common = left.commit_index().min(right.commit_index());
                let known = if whole { 0 } else { common };
                log_matching::check((*a, left.log()), (*b, right.log()), known)?;
            }
        }
        Ok(())
    }

    fn sightings(&self) -> Vec<(&'static str, u64)> {
        let seen = &self.sightings;
        let mut all = vec![
            ("elections thought of", seen.pre_elections),
            ("elections started", seen.elections_started),
            ("elections won", seen.elections_won),
            ("leaders deposed", seen.leaders_deposed),
            ("leaders deposed with writes pending", seen.deposed_with_writes),
            ("leaders deposed with reads pending", seen.deposed_with_reads),
            ("logs truncated", seen.entries_truncated),
            ("logs compacted", seen.logs_compacted),
            ("snapshots sent", seen.snapshots_sent),
            ("snapshots installed", seen.snapshots_installed),
            ("promises kept over a crash", seen.promises_kept),
            ("votes kept over a crash in their term", seen.votes_kept),
        ];
        // Only where members come and go.
        if seen.members_changed > 0 {
            all.push(("learners made voters", self.membership_safety.promoted));
            all.push(("removed servers that would stand for election", seen.removed_would_stand));
        }
        all
    }
}

#[cfg(test)]
mod support {
    use std::time::Duration;

    use rashomon_stores::raft::log::{Entry, HardState, Index, Payload, Record, Term, entry_slot};
    use rashomon_stores::raft::{Options, Raft};
    use rashomon_stores::replica::{Effects, NodeId, Replica, Setup, Slot};

    /// An entry without a command.
    pub(super) fn entry(index: Index, term: Term) -> Entry {
        Entry { index, term, payload: Payload::Noop }
    }

    /// A node whose log has entries of these terms.
    pub(super) fn node(terms: &[Term]) -> Raft {
        let term = terms.last().copied().unwrap_or_default();
        let hard = Record::Hard(HardState { term, vote: None });
        let entries = (1..)
            .zip(terms)
            .map(|(index, term)| (entry_slot(index), Record::Entry(entry(index, *term))));
        let disk = [(Slot::Numbered(0, 0), hard)].into_iter().chain(entries).collect();
        let setup = Setup { id: NodeId(1), members: vec![NodeId(1)], seed: 1 };
        let mut out = Effects::default();
        Raft::recover(setup, Options::default(), disk, Duration::ZERO, &mut out)
            .expect("a sound disk")
    }
}
