//! Who leads: time-outs, votes, and the beginning of a term (§3.4).
//!
//! Before a node stands for election it asks whether it could win (§9.6): a node that comes back
//! from a partition, or that was removed from the cluster, finds out without raising anybody's term.

use rand::RngExt;

use super::log::{HardState, Index, Payload, Term};
use super::message::Body;
use super::mutants::Bug;
use super::{Candidate, Leader, Note, Raft, State, Timer, log};
use crate::replica::{Effects, NodeId, Time};

impl Raft {
    /// Waits for a time drawn anew from the configured range: that two nodes rarely draw the same
    /// is what makes split votes rare (§3.4).
    pub(super) fn reset_election_timer(&mut self, now: Time, out: &mut Effects<Self>) {
        let wait = self.rng.random_range(self.options.election_min..=self.options.election_max);
        out.set_timer(Timer::Election, now + wait);
    }

    /// Whether this node heard a leader within the least election time-out. Then a candidate is most
    /// likely wrong about the leader being gone, and is not listened to, so that a node which comes
    /// back from a partition does not unseat a working leader by itself (§4.2.3). It is also what a
    /// leader's lease counts on (§6.4.1), so it holds whatever has become of the term since. A
    /// leader hears itself, as long as it makes sure of its majority.
    pub(super) fn hears_a_leader(&self, now: Time) -> bool {
        if self.bug(Bug::Disruptable) || self.bug(Bug::LeaseUnprotected) {
            return false;
        }
        match self.state {
            State::Leader(_) => self.options.check_quorum,
            _ => self.heard.is_some_and(|at| now.saturating_sub(at) < self.options.election_min),
        }
    }

    pub(super) fn on_election_timer(&mut self, now: Time, out: &mut Effects<Self>) {
        match self.state {
            State::Leader(_) => {}
            // It may become a voter yet.
            _ if !self.may_stand() => self.reset_election_timer(now, out),
            _ if self.options.pre_vote => self.start_pre_election(now, out),
            _ => self.start_election(now, false, out),
        }
    }

    pub(super) fn on_heartbeat_timer(&mut self, now: Time, out: &mut Effects<Self>) {
        match self.state {
            State::Leader(_) => self.heartbeat(now, out),
            State::Candidate(_) => self.ask_for_votes(now, out),
            State::PreCandidate(_) | State::Follower => {}
        }
    }

    /// Asks who would vote for this node if it stood for election (§9.6). Nothing is promised or
    /// stored by that, on either side.
    fn start_pre_election(&mut self, now: Time, out: &mut Effects<Self>) {
        self.state = State::PreCandidate([].into());
        self.leader = None;
        out.note(Note::PreElectionStarted { term: self.hard.term + 1 });
        self.reset_election_timer(now, out);
        let (last_index, last_term) = (self.log.last_index(), self.log.last_term());
        for to in &self.others {
            self.send(*to, Body::RequestPreVote { last_index, last_term }, out);
        }
        self.on_pre_vote(now, self.id, true, out);
    }

    /// Says whether it would vote for a candidate in the next term, in which it has not voted.
    pub(super) fn on_request_pre_vote(
        &mut self,
        candidate: NodeId,
        last: (Term, Index),
        out: &mut Effects<Self>,
    ) {
        let granted = self.is_up_to_date(last);
        self.send(candidate, Body::PreVote { granted }, out);
    }

    pub(super) fn on_pre_vote(
        &mut self,
        now: Time,
        from: NodeId,
        granted: bool,
        out: &mut Effects<Self>,
    ) {
        let (quorum, counts) = (self.quorum(), self.counted().any(|voter| voter == from));
        let State::PreCandidate(votes) = &mut self.state else { return };
        if granted && counts {
            votes.insert(from);
        }
        if votes.len() >= quorum {
            self.start_election(now, false, out);
        }
    }

    /// Stands for election in the next term; `transfer` says that the leader wants it (§3.10).
    pub(super) fn start_election(&mut self, now: Time, transfer: bool, out: &mut Effects<Self>) {
        let term = self.hard.term + if self.bug(Bug::TermsInTens) { 10 } else { 1 };
        self.hard = HardState { term, vote: Some(self.id) };
        let ballot = out.persist(vec![log::write_hard(self.hard)]);
        let unanswered = self.others.clone();
        let candidate = Candidate { votes: [].into(), ballot, unanswered, transfer };
        self.state = State::Candidate(candidate);
        self.leader = None;
        self.counters.elections_started += 1;
        out.note(Note::ElectionStarted { term });
        self.reset_election_timer(now, out);
        self.ask_for_votes(now, out);
    }

    /// Asks those for their votes who have not answered, and again after a heartbeat interval as long
    /// as this node stands for election in this term: a request or its answer may be lost, or a
    /// voter crash, and asking twice does no harm (§3.4 and §3.7 at its end).
    fn ask_for_votes(&mut self, now: Time, out: &mut Effects<Self>) {
        let State::Candidate(candidate) = &self.state else { return };
        let (last_index, last_term) = (self.log.last_index(), self.log.last_term());
        let transfer = candidate.transfer;
        for to in &candidate.unanswered {
            self.send(*to, Body::RequestVote { last_index, last_term, transfer }, out);
        }
        out.set_timer(Timer::Heartbeat, now + self.options.heartbeat);
    }

    /// Whether a log that ends like this is at least as up to date as this node's: the last terms
    /// decide, then the lengths (§3.6.1).
    fn is_up_to_date(&self, last: (Term, Index)) -> bool {
        let (last_term, last_index) = (self.log.last_term(), self.log.last_index());
        match self.options.bug {
            Some(Bug::VoteUnchecked) => true,
            Some(Bug::LengthFirst) => (last.1, last.0) >= (last_index, last_term),
            _ => last >= (last_term, last_index),
        }
    }

    /// Grants at most one vote per term (§3.4), and only to a candidate whose log is up to date.
    pub(super) fn on_request_vote(
        &mut self,
        now: Time,
        candidate: NodeId,
        last: (Term, Index),
        transfer: bool,
        out: &mut Effects<Self>,
    ) {
        let free = self.hard.vote.is_none_or(|vote| vote == candidate);
        let trusted = transfer && self.bug(Bug::TransferUnchecked);
        let granted = (free || self.bug(Bug::SecondVote)) && (trusted || self.is_up_to_date(last));
        if granted && self.hard.vote.is_none() {
            self.hard.vote = Some(candidate);
            out.persist(vec![log::write_hard(self.hard)]);
            out.note(Note::VoteGranted { term: self.hard.term, candidate });
        }
        if granted {
            self.reset_election_timer(now, out);
        }
        if self.bug(Bug::VoteBeforeFsync) {
            return self.send_at_once(candidate, Body::Vote { granted }, out);
        }
        self.send(candidate, Body::Vote { granted }, out);
    }

    pub(super) fn on_vote(
        &mut self,
        now: Time,
        from: NodeId,
        granted: bool,
        out: &mut Effects<Self>,
    ) {
        let (quorum, counts) = (self.quorum(), self.counted().any(|voter| voter == from));
        let again = self.bug(Bug::VoteCountedTwice);
        let State::Candidate(candidate) = &mut self.state else { return };
        candidate.unanswered.retain(|node| *node != from);
        if granted && counts {
            // Under this name nobody has voted yet.
            let stranger = NodeId(u16::MAX - candidate.votes.len() as u16);
            candidate.votes.insert(if again { stranger } else { from });
        }
        if candidate.votes.len() >= quorum {
            self.become_leader(now, out);
        }
    }

    /// Opens the term with an entry of its own: only when that one is committed does the leader
    /// know that everything before it is (§3.6.2, §6.4).
    fn become_leader(&mut self, now: Time, out: &mut Effects<Self>) {
        let (term, last_index) = (self.hard.term, self.log.last_index());
        self.state = State::Leader(Box::new(Leader::new(&self.others, last_index, now)));
        self.counters.elections_won += 1;
        self.learn_leader(self.id);
        out.note(Note::BecameLeader { term, last_index });
        self.append_own(Payload::Noop, out);
        self.heartbeat(now, out);
    }
}
