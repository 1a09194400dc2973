//! A line: what a node does about one key as a proposer, as data.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::collect::Collection;
use super::message::Ballot;
use crate::kv::{Command, Output, Register};
use crate::replica::{NodeId, RequestId, Time};

/// What a client wants of a key.
#[derive(Clone, Debug)]
pub(super) enum Want {
    Read,
    Write(Command),
}

/// Who wants it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asker {
    Client(RequestId),
    /// This node itself, for this step of a change of members.
    Change(u64),
}

impl Asker {
    /// Whether it is a client.
    pub(super) fn is_client(self) -> bool {
        matches!(self, Asker::Client(_))
    }
}

/// A request without an answer.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) asker: Asker,
    pub(super) want: Want,
    /// When it is given up.
    pub(super) until: Time,
    /// Whether it changes something and was proposed, so that it may be chosen.
    pub(super) proposed: bool,
}

/// What a node does about a key as a proposer.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pub(super) queue: VecDeque<Waiting>,
    pub(super) round: Option<Round>,
    pub(super) cache: Option<Cache>,
    /// How often in a row a proposal was given up.
    pub(super) times: u32,
    /// Until when nothing is proposed.
    pub(super) rests_until: Option<Time>,
    /// Until when another node is left alone that has asked for promises.
    pub(super) yields_until: Option<Time>,
    /// Whether it has waited for one in vain since anything was chosen.
    pub(super) yielded: bool,
    /// When those are asked again who have not answered.
    pub(super) resend: Option<Time>,
    pub(super) collection: Option<Collection>,
    /// When a collection is given up.
    pub(super) collects_until: Time,
    /// How often in a row one was.
    pub(super) failures: u32,
    /// The time in the agenda.
    pub(super) alarm: Option<Time>,
}

/// A quorum has promised this ballot and holds this state.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    pub(super) ballot: Ballot,
    pub(super) parent: Ballot,
    pub(super) state: Arc<Register>,
}

/// A proposal under way.
#[derive(Clone, Debug)]
pub(super) struct Round {
    pub(super) ballot: Ballot,
    /// Who has promised a higher ballot, and which.
    pub(super) conflicts: BTreeMap<NodeId, Ballot>,
    pub(super) phase: Phase,
}

/// How far it is.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// What was promised by whom, as the answers came.
    Prepare(Vec<(NodeId, Ballot, Arc<Register>)>),
    /// What they are asked to accept.
    Accept(Proposal),
}

/// A state that acceptors are asked to accept.
#[derive(Clone, Debug)]
pub(super) struct Proposal {
    /// The ballot of the state that it began with.
    pub(super) parent: Ballot,
    /// That state.
    pub(super) before: Arc<Register>,
    pub(super) state: Arc<Register>,
    /// The ballot that is prepared with it.
    pub(super) next: Option<Ballot>,
    /// Who has accepted it.
    pub(super) acks: BTreeSet<NodeId>,
    /// The requests that it carries out, and what comes of them.
    pub(super) batch: Vec<(Waiting, Output)>,
    /// Whether a quorum has.
    pub(super) chosen: bool,
}

impl Line {
    /// Whether nothing is to be done.
    pub(super) fn is_free(&self) -> bool {
        self.queue.is_empty() && self.round.is_none() && self.rests_until.is_none()
    }

    /// Whether nothing is worth remembering either.
    pub(super) fn is_empty(&self) -> bool {
        let waits = self.yields_until.is_some();
        self.is_free() && !waits && self.cache.is_none() && self.collection.is_none()
    }

    /// Whether the round under way, if any, has nobody left who waits for it.
    pub(super) fn is_done(&self) -> bool {
        let chosen = |round: &Round| matches!(&round.phase, Phase::Accept(it) if it.chosen);
        self.round.as_ref().is_none_or(chosen)
    }

    /// When the line is to be looked at again.
    pub(super) fn next_alarm(&self) -> Option<Time> {
        let due = match &self.collection {
            Some(Collection::Due(at)) => Some(*at),
            _ => None,
        };
        let asks =
            self.round.is_some() || self.collection.as_ref().is_some_and(Collection::is_under_way);
        let resend = self.resend.filter(|_| asks);
        [self.rests_until.max(self.yields_until), due, resend].into_iter().flatten().min()
    }
}
