//! Appending, matching, committing and applying (§3.5, §3.6.2), with entries on their way to
//! followers before earlier ones are acknowledged, and in parallel with the leader's own disk
//! (§10.2).

use std::sync::Arc;

use super::contact::Contact;
use super::log::{Entry, Index, Payload, Term};
use super::message::{Body, Outcome};
use super::mutants::Bug;
use super::read::Reads;
use super::snapshot::Transfer;
use super::{Leader, Note, Raft, State, Timer, log};
use crate::kv;
use crate::replica::{Effects, NodeId, Refusal, RequestId, Time};

/// What a leader knows of a follower's log.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    /// The follower has the leader's log up to here, on its disk.
    pub(super) matched: Index,
    /// The next entry to send.
    next: Index,
    /// How many entries may be on their way, besides what the options allow. A follower that finds a
    /// gap has the leader go back, and most gaps are only messages that overtook each other; so the
    /// leader begins again with one and doubles with every step ahead. If it repeated all that may
    /// be on its way for each gap, the repetitions would overtake each other in turn, ever more.
    window: u64,
    /// Whether `next` is a guess or known to fit, or gone from the leader's log.
    pub(super) mode: Mode,
    /// The latest round in which the follower said that it follows.
    pub(super) round: u64,
}

/// How a leader brings a follower up to date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Looking for the place where the logs part: one append at a time.
    Probe {
        /// One is on its way; the next waits for the answer, or for the next heartbeat.
        sent: bool,
    },
    /// The logs meet: entries are sent without waiting for answers.
    Stream,
    /// The follower needs what is gone from the leader's log, and gets a snapshot.
    Snapshot(Transfer),
}

impl Progress {
    /// Of a follower of whom nothing is known: a guess is that its log ends at an index.
    pub(super) fn new(last_index: Index) -> Self {
        let mode = Mode::Probe { sent: false };
        Progress { matched: 0, next: last_index + 1, window: u64::MAX, mode, round: 0 }
    }
}

impl Leader {
    /// At the beginning of a term the leader guesses that all logs are like its own (§3.5).
    pub(super) fn new(others: &[NodeId], last_index: Index, now: Time) -> Self {
        Leader {
            followers: others.iter().map(|id| (*id, Progress::new(last_index))).collect(),
            writes: [].into(),
            reads: Reads::default(),
            contact: Contact::new(now),
            snapshot_text: None,
            handover: None,
            change: None,
        }
    }
}

impl Raft {
    /// Takes a client's command up, if this node leads.
    pub(super) fn propose(&mut self, id: RequestId, command: kv::Command, out: &mut Effects<Self>) {
        let State::Leader(leader) = &self.state else {
            return out.reply_at_once(id, Err(Refusal::NotLeader { leader: self.leader }));
        };
        // Who hands over leadership takes nothing up that the other would lack.
        if leader.writes.len() >= self.options.requests_max || leader.handover.is_some() {
            return out.reply_at_once(id, Err(Refusal::Busy));
        }
        let command = match self.options.bug {
            Some(Bug::CasAtLeader) => match self.decided_early(command) {
                Ok(command) => command,
                Err(output) => return out.reply_at_once(id, Ok(output)),
            },
            _ => command,
        };
        let command = Arc::new(command);
        let index = self.append_own(Payload::Command(command.clone()), out);
        if self.bug(Bug::ProposedTwice) {
            self.append_own(Payload::Command(command), out);
        }
        self.counters.writes_proposed += 1;
        if self.bug(Bug::AckBeforeCommit) {
            out.reply(id, Ok(kv::Output::Done));
            return self.send_entries(out);
        }
        if let State::Leader(leader) = &mut self.state {
            leader.writes.insert(index, id);
        }
        self.send_entries(out);
    }

    /// Adds an entry of the current term to this leader's log.
    pub(super) fn append_own(&mut self, payload: Payload, out: &mut Effects<Self>) -> Index {
        let index = self.log.last_index() + 1;
        let entry = Entry { index, term: self.hard.term, payload };
        let ticket = out.persist(vec![log::write_entry(&entry)]);
        self.unsynced.push_back((ticket, index));
        self.push(entry, out);
        index
    }

    /// Adds an entry to the log; a configuration holds from now on.
    fn push(&mut self, entry: Entry, out: &mut Effects<Self>) {
        let (index, payload) = (entry.index, entry.payload.clone());
        self.log.push(entry);
        self.adopt(index, &payload, out);
    }

    /// Makes the leader heard by everybody, and by the way repeats what was not acknowledged.
    pub(super) fn heartbeat(&mut self, now: Time, out: &mut Effects<Self>) {
        if let State::Leader(leader) = &mut self.state {
            leader.contact.begin_round(now);
            // A leader that is a majority by itself has followed, however late this is.
            self.renew_contact();
        }
        if self.step_down_if_alone(now, out) {
            return;
        }
        let often = match self.options.bug {
            Some(Bug::SlowHeartbeats) => self.options.election_min * 4 / 5,
            _ => self.options.heartbeat,
        };
        if matches!(self.state, State::Leader(_)) {
            out.set_timer(Timer::Heartbeat, now + often);
            self.hand_over(out);
            self.catch_up(out);
            self.broadcast(out);
        }
    }

    /// Sends an append to every follower, with entries if there are any to send.
    pub(super) fn broadcast(&mut self, out: &mut Effects<Self>) {
        for position in 0..self.others.len() {
            self.send_append(self.others[position], out);
        }
    }

    /// Sends new entries to every follower that can take them now.
    pub(super) fn send_entries(&mut self, out: &mut Effects<Self>) {
        for position in 0..self.others.len() {
            self.send_entries_to(self.others[position], out);
        }
    }

    fn send_entries_to(&mut self, to: NodeId, out: &mut Effects<Self>) {
        let last_index = self.log.last_index();
        let most = self.options.append_window;
        while let State::Leader(leader) = &self.state
            && let Some(progress) = leader.followers.get(&to)
            && progress.next <= last_index
            && match &progress.mode {
                Mode::Probe { sent } => !sent,
                Mode::Stream => progress.next <= progress.matched + most.min(progress.window),
                Mode::Snapshot(transfer) => !transfer.sent,
            }
        {
            self.send_append(to, out);
        }
    }

    fn send_append(&mut self, to: NodeId, out: &mut Effects<Self>) {
        let (one, waits) = (self.bug(Bug::OneByOne), self.bug(Bug::LeaderWaitsForDisk));
        let State::Leader(leader) = &mut self.state else { return };
        let Some(progress) = leader.followers.get_mut(&to) else { return };
        let prev_index = progress.next - 1;
        if matches!(progress.mode, Mode::Snapshot(_)) || prev_index < self.log.base().index {
            return self.send_chunk(to, out);
        }
        // A probe looks for where the logs part; nothing else is on its way then.
        let count_max = match &mut progress.mode {
            Mode::Probe { sent } => {
                *sent = true;
                if self.options.bare_probes { 0 } else { self.options.append_window }
            }
            Mode::Stream | Mode::Snapshot(_) => {
                let window = self.options.append_window.min(progress.window);
                (progress.matched + window).saturating_sub(prev_index)
            }
        };
        let bytes_max = if one { 0 } else { self.options.append_bytes_max };
        let entries = self.log.batch_from(progress.next, count_max, bytes_max);
        if progress.mode == Mode::Stream {
            progress.next += entries.len() as Index;
        }
        let body = Body::Append {
            prev_index,
            prev_term: self.log.term_at(prev_index).unwrap_or_default(),
            entries,
            commit: self.commit,
            round: leader.contact.round,
        };
        if waits {
            return self.send(to, body, out);
        }
        // An append promises nothing about the leader's own disk; see the top of `raft`.
        self.send_at_once(to, body, out);
    }

    /// Makes the log agree with the leader's up to the last entry sent, if it agrees before the
    /// first (§3.5).
    pub(super) fn append_from_leader(
        &mut self,
        mut prev_index: Index,
        mut prev_term: Term,
        mut entries: Vec<Entry>,
        commit: Index,
        out: &mut Effects<Self>,
    ) -> Outcome {
        let base = self.log.base();
        if prev_index < base.index {
            // What the snapshot covers is committed, so the leader has the same.
            let covered = entries.len().min((base.index - prev_index) as usize);
            entries.drain(..covered);
            (prev_index, prev_term) = (base.index, base.term);
        }
        let term = self.log.term_at(prev_index);
        let unchecked = self.bug(Bug::PrevTermUnchecked) && term.is_some();
        if term != Some(prev_term) && !unchecked {
            // §3.5 at its end: say where the run of entries of the conflicting term begins, so
            // that the leader skips a term and not an entry per round trip.
            if self.bug(Bug::SlowBackup) {
                return Outcome::Conflict { prev_index, term: None, index: prev_index };
            }
            let index = match term {
                Some(term) => self.log.first_of_term(term),
                None => self.log.last_index() + 1,
            };
            return Outcome::Conflict { prev_index, term, index };
        }
        let last_sent = prev_index + entries.len() as Index;
        self.store_entries(prev_index, entries, out);
        // Not simply the leader's commit: what follows the entries sent may contradict its log.
        let known = if self.bug(Bug::CommitBeyondSent) { commit } else { commit.min(last_sent) };
        if self.bug(Bug::CommitGoesBack) {
            self.commit = self.commit.min(known.max(base.index));
        }
        self.commit_up_to(known, out);
        let own_length = self.bug(Bug::OwnLengthMatched);
        Outcome::Match { index: if own_length { self.log.last_index() } else { last_sent } }
    }

    /// Stores what is new. What contradicts the leader goes, with all after it; what agrees stays,
    /// also beyond the entries sent, because an old message may arrive late.
    fn store_entries(&mut self, after: Index, entries: Vec<Entry>, out: &mut Effects<Self>) {
        let mut writes = Vec::new();
        if self.bug(Bug::TruncateAlways) && self.log.last_index() > after {
            writes.push(log::write_truncation(after + 1));
            self.truncate(after + 1, out);
        }
        for entry in entries {
            match self.log.term_at(entry.index) {
                Some(term) if term == entry.term || self.bug(Bug::ConflictKept) => continue,
                Some(_) => {
                    let (from, to) = (entry.index, self.log.last_index());
                    out.note(Note::Truncated { from, to });
                    writes.push(log::write_truncation(from));
                    self.truncate(from, out);
                }
                None => {}
            }
            writes.push(log::write_entry(&entry));
            self.push(entry, out);
        }
        if !writes.is_empty() {
            let ticket = out.persist(writes);
            self.unsynced.push_back((ticket, self.log.last_index()));
        }
    }

    /// Batches on their way to the disk no longer stand for entries that are gone.
    fn truncate(&mut self, from: Index, out: &mut Effects<Self>) {
        self.log.truncate(from);
        self.abandon(from, out);
        self.durable = self.durable.min(from - 1);
        for (_, index) in &mut self.unsynced {
            *index = (*index).min(from - 1);
        }
    }

    pub(super) fn on_appended(
        &mut self,
        from: NodeId,
        round: u64,
        outcome: Outcome,
        out: &mut Effects<Self>,
    ) {
        let (optimistic, any_round) = (self.bug(Bug::OptimisticMatch), self.bug(Bug::OldRoundRead));
        let State::Leader(leader) = &mut self.state else { return };
        let Some(progress) = leader.followers.get_mut(&from) else { return };
        progress.round = progress.round.max(if any_round { leader.contact.round } else { round });
        match outcome {
            Outcome::Match { index } => {
                let index = if optimistic { progress.next - 1 } else { index };
                if index > progress.matched {
                    progress.window = progress.window.saturating_mul(2);
                }
                progress.matched = progress.matched.max(index);
                progress.next = progress.next.max(progress.matched + 1);
                // An answer to what was sent before does not end a snapshot's transfer.
                if !matches!(&progress.mode, Mode::Snapshot(transfer) if !transfer.ends_at(index)) {
                    progress.mode = Mode::Stream;
                }
                self.advance_commit(out);
            }
            Outcome::Conflict { prev_index, term, index } => {
                // Answers arrive late and twice: only what the follower is not known to have can
                // be missing, and only the probe under way can fail.
                let stale = match progress.mode {
                    Mode::Probe { .. } => prev_index != progress.next - 1,
                    Mode::Stream => false,
                    Mode::Snapshot(_) => true,
                };
                if !stale && prev_index > progress.matched {
                    let own = term.and_then(|term| self.log.last_of_term(term));
                    let hint = match progress.mode {
                        // Something of the stream is missing: it begins again where logs met.
                        Mode::Stream => progress.matched + 1,
                        _ => own.map_or(index, |last| last + 1),
                    };
                    progress.next = hint.min(prev_index).max(progress.matched + 1);
                    progress.mode = Mode::Probe { sent: false };
                    progress.window = 1;
                }
            }
        }
        self.send_entries_to(from, out);
        self.renew_contact();
        self.serve_reads(out);
        self.hand_over(out);
        self.catch_up(out);
    }

    /// Commits what a majority has on its disks, if it is of the current term: entries of earlier
    /// terms are committed by the ones that follow them, never by counting (§3.6.2).
    pub(super) fn advance_commit(&mut self, out: &mut Effects<Self>) {
        if !matches!(self.state, State::Leader(_)) {
            return;
        }
        let own = match self.options.bug {
            Some(Bug::LeaderCountsUnsynced) => self.log.last_index(),
            _ => self.durable,
        };
        let index = self.reached(own, |progress| progress.matched);
        let own_term = self.log.term_at(index) == Some(self.hard.term);
        if own_term || self.bug(Bug::OldTermCommitted) {
            self.commit_up_to(index, out);
            self.ask_quorum(out);
            self.conclude_change(out);
        }
    }

    /// Applies what is committed, in order, and answers the clients that wait for it.
    fn commit_up_to(&mut self, index: Index, out: &mut Effects<Self>) {
        self.commit = self.commit.max(index);
        while self.applied < self.commit
            && let Some(entry) = self.log.get(self.applied + 1)
        {
            self.applied = entry.index;
            let Payload::Command(command) = &entry.payload else { continue };
            let output = self.store.apply(&self.applied_command(command));
            if let State::Leader(leader) = &mut self.state
                && let Some(id) = leader.writes.remove(&self.applied)
            {
                // Durable on a majority, whatever this node's disk is busy with.
                out.reply_at_once(id, Ok(output));
            }
        }
    }
}
