//! Letting another node lead (§3.10): without a time-out, and without a gap in the log.
//!
//! The leader takes no more writes, brings the other up to date, and tells it to stand for election
//! at once (TimeoutNow). That election says of itself that the leader wants it, so voters do not
//! refuse it because they hear a leader (§4.2.3); for the same reason a leader that has asked for
//! it has no lease for the rest of its term. What is not done within an election time-out is given
//! up, and the leader leads on.

use super::message::Body;
use super::mutants::Bug;
use super::{Note, Raft, State};
use crate::kv::Output;
use crate::replica::{Effects, NodeId, Refusal, RequestId, Time};

/// A leadership that is to be handed over.
#[derive(Clone, Debug)]
pub(super) struct Handover {
    /// Who waits for it.
    request: RequestId,
    /// Who is to lead.
    to: NodeId,
    /// When it is given up.
    until: Time,
    /// Whether the other has been told to stand for election.
    pub(super) told: bool,
}

impl Raft {
    /// Begins to hand over leadership, if this node leads and the other may.
    pub(super) fn transfer(&mut self, request: RequestId, to: NodeId, out: &mut Effects<Self>) {
        let may_lead = to != self.id && self.members().is_voter(to);
        let until = self.now + self.options.election_max;
        let State::Leader(leader) = &mut self.state else {
            return out.reply_at_once(request, Err(Refusal::NotLeader { leader: self.leader }));
        };
        if leader.handover.is_some() || leader.change.is_some() {
            return out.reply_at_once(request, Err(Refusal::Busy));
        }
        if !may_lead {
            let why = format!("{to} is not another voter");
            return out.reply_at_once(request, Err(Refusal::Inapplicable { why }));
        }
        leader.handover = Some(Handover { request, to, until, told: false });
        self.hand_over(out);
    }

    /// Goes on with handing over, if that is under way: tells the other to stand for election once
    /// it has all of the log, and gives up when the time is over.
    pub(super) fn hand_over(&mut self, out: &mut Effects<Self>) {
        let State::Leader(leader) = &mut self.state else { return };
        let Some(handover) = &mut leader.handover else { return };
        let (request, to) = (handover.request, handover.to);
        if self.now >= handover.until {
            leader.handover = None;
            let why = format!("{to} did not take over in time");
            return out.reply_at_once(request, Err(Refusal::Unfinished { why }));
        }
        let matched = leader.followers.get(&to).map(|progress| progress.matched);
        let has_all = matched == Some(self.log.last_index());
        if !handover.told && (has_all || self.options.bug == Some(Bug::EagerTransfer)) {
            handover.told = true;
            if self.options.bug != Some(Bug::TransferKeepsLease) {
                leader.contact.give_up_lease();
            }
            out.note(Note::TimeoutNow { to });
            self.send_at_once(to, Body::TimeoutNow, out);
        }
    }

    /// The leader wants this node to lead.
    pub(super) fn on_timeout_now(&mut self, from: NodeId, out: &mut Effects<Self>) {
        if self.leader == Some(from) && self.members().is_voter(self.id) {
            self.start_election(self.now, true, out);
        }
    }
}

impl Handover {
    /// Answers who waits for it when this node has stopped leading.
    pub(super) fn answer(&self, out: &mut Effects<Raft>) {
        let lost = Refusal::LostLeadership { leader: None };
        out.reply_at_once(self.request, if self.told { Ok(Output::Done) } else { Err(lost) });
    }
}
