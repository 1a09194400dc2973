//! Who belongs to the cluster, and how that changes: one server at a time (§4.1).
//!
//! A configuration is an entry of the log and holds from the moment it is in a node's log, committed
//! or not; a truncated one gives way to the one before. Majorities of two configurations that differ
//! by one voter always have a node in common, so no second configuration for the time between is
//! needed, as in joint consensus (§4.3): one rule for majorities everywhere, and nothing to be told
//! apart while a change is under way. What the thesis did not see (Ongaro, "bug in single-server
//! membership changes", raft-dev, 2015) is that two leaders in turn may each begin a change from the
//! same configuration. So a leader begins none before an entry of its own term is committed; then
//! nobody can still commit a change that it does not have. And it begins one at a time.
//!
//! A server that is added gets the log first, in rounds, as a learner who counts for nothing
//! (§4.2.1); when a round took less than an election time-out, it becomes a voter. A leader that is
//! removed leads, without counting itself, until that is committed, and steps down (§4.2.2). A
//! server that was removed, and does not know it, disturbs nobody (§4.2.3), because of pre-votes and
//! because who hears a leader does not listen to it. Votes are given to whoever asks, member or
//! not: the candidate may know of a configuration that the voter does not have yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::log::{Index, Payload};
use super::mutants::Bug;
use super::replication::Progress;
use super::{Note, Raft, State};
use crate::kv::Output;
use crate::replica::{Admin, Effects, NodeId, Refusal, RequestId, Time};

/// Who belongs to the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Those of whom a majority elects and commits.
    pub voters: BTreeSet<NodeId>,
    /// Those who only get the log.
    pub learners: BTreeSet<NodeId>,
    /// Where servers that were added are reached, as far as that was said.
    pub addresses: BTreeMap<NodeId, Arc<str>>,
}

impl Membership {
    /// A cluster of these voters.
    pub fn of(voters: impl IntoIterator<Item = NodeId>) -> Self {
        Membership { voters: voters.into_iter().collect(), ..Membership::default() }
    }

    /// Whether a node is one of those who elect and commit.
    pub fn is_voter(&self, node: NodeId) -> bool {
        self.voters.contains(&node)
    }

    /// Its size in bytes, roughly.
    pub(super) fn size(&self) -> usize {
        const EACH: usize = 8;
        let addresses: usize = self.addresses.values().map(|address| address.len()).sum();
        EACH * self.all().count() + addresses
    }

    /// Voters and learners.
    fn all(&self) -> impl Iterator<Item = NodeId> {
        self.voters.union(&self.learners).copied()
    }

    fn with_learner(mut self, node: NodeId, address: Option<Arc<str>>) -> Self {
        self.learners.insert(node);
        self.addresses.extend(address.map(|address| (node, address)));
        self
    }

    fn with_voter(mut self, node: NodeId) -> Self {
        self.learners.remove(&node);
        self.voters.insert(node);
        self
    }

    fn without(mut self, node: NodeId) -> Self {
        self.learners.remove(&node);
        self.voters.remove(&node);
        self.addresses.remove(&node);
        self
    }
}

/// The configurations that a node knows: the one before its log, and those in it.
#[derive(Clone, Debug)]
pub(super) struct Configurations {
    base: Arc<Membership>,
    in_log: Vec<(Index, Arc<Membership>)>,
}

impl Configurations {
    pub(super) fn new(base: Arc<Membership>) -> Self {
        Configurations { base, in_log: Vec::new() }
    }

    /// The one that holds.
    fn latest(&self) -> &Arc<Membership> {
        self.in_log.last().map_or(&self.base, |(_, members)| members)
    }

    /// Where the one that holds is in the log; 0 if it is not.
    pub(super) fn latest_index(&self) -> Index {
        self.in_log.last().map_or(0, |(index, _)| *index)
    }

    /// The one that held when the log ended at an index.
    pub(super) fn at(&self, index: Index) -> &Arc<Membership> {
        let known = self.in_log.iter().rev().find(|(at, _)| *at <= index);
        known.map_or(&self.base, |(_, members)| members)
    }

    /// The one before the log.
    pub(super) fn before_log(&self) -> &Arc<Membership> {
        &self.base
    }

    fn push(&mut self, index: Index, members: Arc<Membership>) {
        self.in_log.push((index, members));
    }

    fn truncate(&mut self, from: Index) {
        self.in_log.retain(|(index, _)| *index < from);
    }

    fn compact(&mut self, base: Index, members: Arc<Membership>) {
        self.base = members;
        self.in_log.retain(|(index, _)| *index > base);
    }
}

/// A change that a leader has begun.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// Who waits for it.
    pub(super) request: RequestId,
    stage: Stage,
}

#[derive(Clone, Debug)]
enum Stage {
    /// The server gets the log (§4.2.1).
    CatchUp {
        node: NodeId,
        /// How many rounds this leaves.
        left: u32,
        /// When the round began.
        began: Time,
        /// Up to where it goes: the end of the log at its beginning.
        up_to: Index,
    },
    /// The entry at an index has to be committed.
    Commit(Index),
}

/// How often the end of the log may run away from a server that is added (§4.2.1).
const ROUNDS: u32 = 10;

impl Raft {
    /// The configuration that holds for this node: the latest in its log.
    pub fn members(&self) -> &Membership {
        self.configurations.latest()
    }

    /// Whether this node may stand for election: as a voter, or as one whose removal is not
    /// committed as far as it knows, because it may be needed to commit it (§4.2.2).
    pub(super) fn may_stand(&self) -> bool {
        self.members().is_voter(self.id) || self.configurations.at(self.commit).is_voter(self.id)
    }

    /// Whose vote and whose log count.
    pub(super) fn counted(&self) -> impl Iterator<Item = NodeId> {
        let members = self.members();
        let learners = members.learners.iter().filter(|_| self.bug(Bug::LearnerCounts));
        let removed = self.bug(Bug::RemovedLeaderLeads) && !members.is_voter(self.id);
        let leader = matches!(self.state, State::Leader(_)) && removed;
        members.voters.iter().chain(learners).copied().chain(leader.then_some(self.id))
    }

    /// The most that a majority of voters has reached.
    pub(super) fn reached<T: Ord + Copy + Default>(
        &self,
        own: T,
        of: impl Fn(&Progress) -> T,
    ) -> T {
        let State::Leader(leader) = &self.state else { return T::default() };
        let value = |voter: &NodeId| match leader.followers.get(voter) {
            Some(progress) => of(progress),
            None => own,
        };
        let mut reached: Vec<T> = self.counted().map(|voter| value(&voter)).collect();
        reached.sort_unstable_by(|a, b| b.cmp(a));
        reached.get(self.quorum() - 1).copied().unwrap_or_default()
    }

    /// Carries out an operator's order, if this node leads.
    pub(super) fn administer(&mut self, request: RequestId, order: Admin, out: &mut Effects<Self>) {
        match order {
            Admin::Transfer { to } => self.transfer(request, to, out),
            Admin::AddServer { node, address } => self.add_server(request, node, address, out),
            Admin::RemoveServer { node } => self.remove_server(request, node, out),
        }
    }

    /// Whether a change may begin; answers the request if not.
    fn may_change(&self, request: RequestId, out: &mut Effects<Self>) -> bool {
        let refusal = match &self.state {
            State::Leader(leader) => {
                let changing =
                    leader.change.is_some() || self.configurations.latest_index() > self.commit;
                let busy =
                    leader.handover.is_some() || changing && !self.bug(Bug::TwoChangesAtOnce);
                let early = !self.knows_what_is_committed();
                if !busy && (!early || self.bug(Bug::EarlyReconfiguration)) {
                    return true;
                }
                Refusal::Busy
            }
            _ => Refusal::NotLeader { leader: self.leader },
        };
        out.reply_at_once(request, Err(refusal));
        false
    }

    fn add_server(
        &mut self,
        request: RequestId,
        node: NodeId,
        address: Option<Arc<str>>,
        out: &mut Effects<Self>,
    ) {
        if !self.may_change(request, out) {
            return;
        }
        if self.members().is_voter(node) {
            return out.reply_at_once(request, Ok(Output::Done));
        }
        if !self.members().learners.contains(&node) {
            let members = self.members().clone().with_learner(node, address);
            self.propose_members(members, out);
        }
        let (began, up_to) = (self.now, self.log.last_index());
        self.begin_change(request, Stage::CatchUp { node, left: ROUNDS, began, up_to });
    }

    fn remove_server(&mut self, request: RequestId, node: NodeId, out: &mut Effects<Self>) {
        if !self.may_change(request, out) {
            return;
        }
        if !self.members().all().any(|member| member == node) {
            return out.reply_at_once(request, Ok(Output::Done));
        }
        let members = self.members().clone().without(node);
        if members.voters.is_empty() {
            let why = format!("{node} is the only voter");
            return out.reply_at_once(request, Err(Refusal::Inapplicable { why }));
        }
        let index = self.propose_members(members, out);
        self.begin_change(request, Stage::Commit(index));
        // It may have been the vote of the node removed that was missing.
        self.advance_commit(out);
    }

    fn begin_change(&mut self, request: RequestId, stage: Stage) {
        if let State::Leader(leader) = &mut self.state {
            leader.change = Some(Change { request, stage });
        }
    }

    fn propose_members(&mut self, members: Membership, out: &mut Effects<Self>) -> Index {
        let index = self.append_own(Payload::Members(Arc::new(members)), out);
        self.send_entries(out);
        index
    }

    /// Goes on with a server's catching up (§4.2.1): makes it a voter when a round was short, gives
    /// up when there were too many or one does not end.
    pub(super) fn catch_up(&mut self, out: &mut Effects<Self>) {
        let (now, last_index) = (self.now, self.log.last_index());
        let settled = self.configurations.latest_index() <= self.commit;
        let (short, long) = (self.options.election_min, ROUNDS * self.options.election_max);
        let State::Leader(leader) = &mut self.state else { return };
        let Some(Change { request, stage }) = &mut leader.change else { return };
        let Stage::CatchUp { node, left, began, up_to } = stage else { return };
        let (request, node, took) = (*request, *node, now.saturating_sub(*began));
        let here = leader.followers.get(&node).is_some_and(|p| p.matched >= *up_to);
        if here && took <= short || self.options.bug == Some(Bug::EagerVoter) {
            if settled {
                let members = self.members().clone().with_voter(node);
                let index = self.propose_members(members, out);
                self.begin_change(request, Stage::Commit(index));
            }
        } else if took > long || here && *left == 0 {
            leader.change = None;
            let why = format!("{node} does not catch up; it stays a learner");
            out.reply_at_once(request, Err(Refusal::Unfinished { why }));
        } else if here {
            (*left, *began, *up_to) = (*left - 1, now, last_index);
        }
    }

    /// Ends a change that is committed; a leader that is no member any more steps down (§4.2.2).
    pub(super) fn conclude_change(&mut self, out: &mut Effects<Self>) {
        let settled = self.configurations.latest_index() <= self.commit;
        let removed = settled && !self.members().is_voter(self.id);
        let State::Leader(leader) = &mut self.state else { return };
        if let Some(Change { request, stage: Stage::Commit(index) }) = leader.change
            && index <= self.commit
        {
            leader.change = None;
            out.reply_at_once(request, Ok(Output::Done));
        }
        if removed && !self.bug(Bug::RemovedLeaderLeads) {
            self.leader = None;
            self.become_follower(self.now, out);
        }
    }

    /// Takes over the configurations of the log that was found on the disk.
    pub(super) fn recall_members(&mut self, out: &mut Effects<Self>) {
        for entry in self.log.entries() {
            if let Payload::Members(members) = &entry.payload {
                self.configurations.push(entry.index, members.clone());
            }
        }
        self.meet(out);
    }

    /// Takes over the configuration of an entry that has come into the log.
    pub(super) fn adopt(&mut self, index: Index, payload: &Payload, out: &mut Effects<Self>) {
        if let Payload::Members(members) = payload {
            self.configurations.push(index, members.clone());
            self.meet(out);
        }
    }

    /// Goes back to the configuration before the entries that were truncated.
    pub(super) fn abandon(&mut self, from: Index, out: &mut Effects<Self>) {
        if self.configurations.latest_index() >= from {
            self.configurations.truncate(from);
            self.meet(out);
        }
    }

    /// Takes over what a snapshot says of the entries up to an index. If what follows them in the
    /// log goes, so do its configurations.
    pub(super) fn rebase_members(
        &mut self,
        base: Index,
        members: Arc<Membership>,
        keep_rest: bool,
        out: &mut Effects<Self>,
    ) {
        let before = self.members().clone();
        if !keep_rest {
            self.configurations.truncate(0);
        }
        self.configurations.compact(base, members);
        if *self.members() != before {
            self.meet(out);
        }
    }

    /// Makes the rest of the state agree with the latest configuration.
    fn meet(&mut self, out: &mut Effects<Self>) {
        let members = self.configurations.latest().clone();
        self.others = members.all().filter(|node| *node != self.id).collect();
        if let State::Leader(leader) = &mut self.state {
            let next = self.log.last_index();
            leader.followers.retain(|node, _| self.others.contains(node));
            for node in &self.others {
                leader.followers.entry(*node).or_insert_with(|| Progress::new(next));
            }
        }
        out.note(Note::MembersChanged { members });
    }
}
