//! Who belongs to the cluster, and how that changes without anybody who leads.
//!
//! Rystsov, *CASPaxos* (2018), §2.3: to make a cluster larger or smaller by one, proposers first need
//! acceptances enough for the old and the new members; then every key is proposed once more, as it
//! is; and then promises and acceptances of the new members are enough. A state that was chosen by the
//! old members alone would not be found by the new ones.
//!
//! The paper has an operator who "connects to each proposer" in every step, and does not say what
//! becomes of one who cannot be reached, or of two operators. Here each step is a *configuration*
//! with a number, its epoch, and this is how nodes agree on what follows on what:
//!
//! - The configuration is a register like any other ([`REGISTER`]). It is changed by compare-and-set
//!   from one to the next, so each has one successor, whoever is at work and whoever has crashed. A
//!   configuration is used when it is chosen in the one before.
//! - Ballots begin with the epoch, so what is proposed in a later configuration overtakes everything
//!   in an earlier one. A node takes nothing of another epoch than its own: whoever is behind is told
//!   the configuration, and whoever is ahead is asked for it. What was adopted is on the disk first.
//! - Between two stable configurations there is one with the members before and those to come. In it
//!   as many of the former promise as before, and as many of both accept. Every key that one of a
//!   quorum for promises knows is proposed again. None can be missed: what was chosen before has been
//!   accepted by one of them, before it adopted this configuration and listed its keys; what is
//!   chosen since has been accepted by enough of the new members, too.
//!
//! So promises of a configuration meet all acceptances of the one before, and what was chosen earlier
//! has been chosen again meanwhile. That holds for quorums of any sizes that meet, which are part of
//! a configuration.
//!
//! Who joins begins with nothing, also if it was a member before: its copies of keys that were deleted
//! and collected meanwhile would bring them back. Therefore a configuration tells for each member when
//! it joined. And it is told, before it proposes anything, what was done to keys that are gone, see
//! `collect`; nothing is collected while members change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::acceptor::{CONFIGURATION, Record};
use super::line::Phase;
use super::message::{Body, Epoch, Message};
use super::{Note, Options, Paxos, QuorumError, Quorums, mutants};
use crate::kv::Value;
use crate::replica::{Effects, NodeId, Refusal, Write};

/// The key under which the configuration is registered; clients have none that begins like this.
pub const REGISTER: &str = "\0members";

/// Some nodes, and how many of them make a quorum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    /// The nodes, each with the epoch in which it was to join.
    pub nodes: BTreeMap<NodeId, Epoch>,
    /// How many promise.
    pub prepare: usize,
    /// How many accept.
    pub accept: usize,
}

impl Members {
    /// These nodes, with quorums as the settings have them.
    ///
    /// # Errors
    /// When there are none like that for so many nodes.
    pub(super) fn of(
        nodes: BTreeMap<NodeId, Epoch>,
        options: &Options,
    ) -> Result<Self, QuorumError> {
        let Quorums { prepare, accept } = mutants::quorums(nodes.len(), options)?;
        Ok(Members { nodes, prepare, accept })
    }

    fn count<'a>(&self, nodes: impl Iterator<Item = &'a NodeId>) -> usize {
        nodes.filter(|node| self.nodes.contains_key(node)).count()
    }
}

/// Who belongs to the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// Its number.
    pub epoch: Epoch,
    /// Who proposes and promises.
    pub members: Members,
    /// Who is to, while that changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Members>,
    /// Where nodes that were added are reached, as far as that was said.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub addresses: BTreeMap<NodeId, Arc<str>>,
}

impl Configuration {
    /// The one that a cluster begins with.
    pub(super) fn first(members: Members) -> Self {
        Configuration { epoch: 0, members, next: None, addresses: BTreeMap::new() }
    }

    /// Whether these are enough to promise.
    pub fn promised<'a>(&self, by: impl Iterator<Item = &'a NodeId>) -> bool {
        self.members.count(by) >= self.members.prepare
    }

    /// Whether these are enough to accept.
    pub fn accepted(&self, by: &BTreeSet<NodeId>) -> bool {
        let mut all = std::iter::once(&self.members).chain(&self.next);
        all.all(|members| members.count(by.iter()) >= members.accept)
    }

    /// All acceptors: those who are members or are to be.
    pub fn acceptors(&self) -> BTreeSet<NodeId> {
        let all = std::iter::once(&self.members).chain(&self.next);
        all.flat_map(|members| members.nodes.keys().copied()).collect()
    }

    /// Whether a node proposes.
    pub fn is_member(&self, node: NodeId) -> bool {
        self.members.nodes.contains_key(&node)
    }

    /// When a node was to join, if it is an acceptor.
    fn joined(&self, node: NodeId) -> Option<Epoch> {
        let mut all = self.next.iter().chain([&self.members]);
        all.find_map(|members| members.nodes.get(&node).copied())
    }

    /// Those who join.
    pub(super) fn joining(&self) -> impl Iterator<Item = NodeId> {
        let next = self.next.iter().flat_map(|next| next.nodes.keys().copied());
        next.filter(|node| !self.is_member(*node))
    }

    /// What the register holds when this is the configuration: nothing at first.
    pub(super) fn value(&self) -> Value {
        if self.epoch == 0 {
            return Value::Null;
        }
        let json = serde_json::to_string(self);
        json.map_or(Value::Null, |json| Value::text(&json))
    }

    /// The configuration that the register holds, if it holds any but the first.
    pub(super) fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Text(json) => serde_json::from_str(json).ok(),
            _ => None,
        }
    }
}

impl Paxos {
    /// The configuration that holds for this node.
    pub fn configuration(&self) -> &Arc<Configuration> {
        &self.configuration
    }

    /// Whether this node proposes.
    pub(super) fn is_member(&self) -> bool {
        self.configuration.is_member(self.id)
    }

    /// That this node is no member, and another that is.
    pub(super) fn not_member(&self) -> Refusal {
        Refusal::NotMember { member: self.configuration.members.nodes.keys().next().copied() }
    }

    /// Whether a message is of this node's configuration; if not, the one who is behind learns the
    /// other's.
    pub(super) fn is_of_this_epoch(
        &mut self,
        from: NodeId,
        message: &Message,
        out: &mut Effects<Self>,
    ) -> bool {
        let own = self.configuration.epoch;
        let Some(epoch) = message.body.epoch().filter(|epoch| *epoch != own) else { return true };
        if from == self.id || !message.body.asks() {
            return false;
        }
        let answer = match epoch < own {
            true => Body::Adopt { configuration: self.configuration.clone() },
            false => Body::Behind { epoch: own },
        };
        self.post(from, &message.key, answer, out);
        false
    }

    /// A node knows of no later configuration than one; says it again what it was asked then.
    pub(super) fn on_behind(&mut self, from: NodeId, message: &Message, out: &mut Effects<Self>) {
        let Body::Behind { epoch } = message.body else { return };
        if epoch < self.configuration.epoch {
            let adopt = Body::Adopt { configuration: self.configuration.clone() };
            self.post(from, &message.key, adopt, out);
            self.ask_these(&[from], &message.key, out);
        }
    }

    /// Takes over a later configuration, which was chosen: by this node's own change of members, or
    /// not.
    pub(super) fn adopt(
        &mut self,
        configuration: Arc<Configuration>,
        own: bool,
        out: &mut Effects<Self>,
    ) {
        if configuration.epoch <= self.configuration.epoch {
            return;
        }
        let joined = configuration.joined(self.id);
        let anew = joined.is_some() && joined != self.configuration.joined(self.id);
        let record = Record::Configuration(configuration.clone());
        let mut writes = vec![Write::Put(CONFIGURATION, record)];
        if anew {
            writes.extend(self.acceptor.forget());
        }
        out.persist(writes);
        out.note(Note::Configured { configuration: configuration.clone(), anew });
        self.configuration = configuration;
        self.begin_lines_anew(out);
        self.go_on_with_change(own, out);
    }

    /// Lets go of all that was proposed or prepared in an earlier configuration: it is overtaken.
    fn begin_lines_anew(&mut self, out: &mut Effects<Self>) {
        let keys: Vec<_> = self.lines.keys().cloned().collect();
        for key in keys {
            self.give_up_collection(&key, out);
            let Some(line) = self.lines.get_mut(&key) else { continue };
            line.cache = None;
            line.yields_until = None;
            // What a change of members had asked for it asks for again.
            line.queue.retain(|waiting| waiting.asker.is_client());
            if let Some(round) = line.round.take()
                && let Phase::Accept(proposal) = round.phase
            {
                for (waiting, _) in proposal.batch.into_iter().rev() {
                    if waiting.asker.is_client() {
                        self.put_back(&key, waiting, out);
                    }
                }
            }
            if !self.is_member() {
                self.refuse_all(&key, out);
            }
            self.touched.insert(key);
        }
    }

    /// Tells a configuration that was chosen to all whom it concerns, and adopts it.
    pub(super) fn announce(
        &mut self,
        configuration: Configuration,
        own: bool,
        out: &mut Effects<Self>,
    ) {
        let configuration = Arc::new(configuration);
        let mut others = self.configuration.acceptors();
        others.append(&mut configuration.acceptors());
        others.remove(&self.id);
        self.adopt(configuration.clone(), own, out);
        for node in others {
            let body = Body::Adopt { configuration: configuration.clone() };
            self.post(node, &REGISTER.into(), body, out);
        }
    }
}
