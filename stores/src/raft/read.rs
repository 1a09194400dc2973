//! Linearizable reads without an entry in the log (§6.4).
//!
//! A leader that has committed an entry of its term knows everything that was committed before the
//! term began. To answer a read it must still know that no newer leader has taken over: it starts
//! a *round*, a number carried by every append from then on, and when a majority has answered an
//! append of that round or a later one, then at the start of the round it was still the leader.
//! The state it has applied by then contains everything that was committed when the read arrived:
//! entries are applied in the same step in which they are known to be committed.
//!
//! One round is under way at a time; reads that arrive meanwhile share the next one.
//!
//! With [`ReadMode::Lease`] a leader whose lease holds (§6.4.1, see `contact`) need not ask.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::mutants::Bug;
use super::{Raft, State};
use crate::catalogue::UnknownName;
use crate::kv;
use crate::replica::{Effects, Refusal, RequestId};

/// How reads are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadMode {
    /// By the leader, after a round in which a majority still follows it (§6.4): linearizable.
    #[default]
    ReadIndex,
    /// By the leader, without asking while its lease holds (§6.4.1): linearizable as long as no
    /// clock runs faster or slower than its margin.
    Lease,
    /// By every node, from what it has applied: stale, and what many stores offer as fast.
    Local,
}

impl ReadMode {
    /// Every mode.
    pub const ALL: [ReadMode; 3] = [ReadMode::ReadIndex, ReadMode::Lease, ReadMode::Local];

    /// The name on command lines and in configuration files.
    pub fn name(self) -> &'static str {
        match self {
            ReadMode::ReadIndex => "read-index",
            ReadMode::Lease => "lease",
            ReadMode::Local => "local",
        }
    }
}

impl fmt::Display for ReadMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ReadMode {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let known = ReadMode::ALL.iter();
        known
            .clone()
            .copied()
            .find(|mode| mode.name() == name)
            .ok_or_else(|| UnknownName::new("way of reading", name, known.map(|mode| mode.name())))
    }
}

/// Reads that wait.
#[derive(Clone, Debug, Default)]
pub(super) struct Reads {
    /// For the next round.
    waiting: Vec<(RequestId, kv::Key)>,
    /// For the round that is under way; empty if none is.
    asking: Vec<(RequestId, kv::Key)>,
    /// That round.
    round: u64,
}

impl Reads {
    fn len(&self) -> usize {
        self.waiting.len() + self.asking.len()
    }

    /// Everybody who waits.
    pub(super) fn into_requests(self) -> Vec<RequestId> {
        self.asking.into_iter().chain(self.waiting).map(|(id, _)| id).collect()
    }
}

impl Raft {
    pub(super) fn read(&mut self, id: RequestId, key: kv::Key, out: &mut Effects<Self>) {
        if self.options.reads == ReadMode::Local || self.bug(Bug::FollowerRead) {
            return self.answer_read(id, &key, out);
        }
        let lease = self.options.reads == ReadMode::Lease && self.has_lease(self.now);
        let committed_is_known = self.knows_what_is_committed();
        let unasked = self.bug(Bug::StaleRead) || self.bug(Bug::DirtyRead);
        let State::Leader(leader) = &mut self.state else {
            return out.reply_at_once(id, Err(Refusal::NotLeader { leader: self.leader }));
        };
        if unasked {
            return self.answer_read(id, &key, out);
        }
        if lease && committed_is_known {
            return self.answer_read(id, &key, out);
        }
        if leader.reads.len() >= self.options.requests_max {
            return out.reply_at_once(id, Err(Refusal::Busy));
        }
        leader.reads.waiting.push((id, key));
        self.ask_quorum(out);
    }

    /// Whether an entry of the current term is committed: then everything before it is (§6.4).
    pub(super) fn knows_what_is_committed(&self) -> bool {
        self.log.term_at(self.commit) == Some(self.hard.term) || self.bug(Bug::ReadBeforeNoop)
    }

    /// Starts a round if reads wait for one and none is under way.
    pub(super) fn ask_quorum(&mut self, out: &mut Effects<Self>) {
        let committed_is_known = self.knows_what_is_committed();
        let twice = self.bug(Bug::ReadsAskTwice);
        let State::Leader(leader) = &mut self.state else { return };
        let reads = &mut leader.reads;
        if !committed_is_known || !reads.asking.is_empty() || reads.waiting.is_empty() {
            return;
        }
        reads.asking = std::mem::take(&mut reads.waiting);
        if twice {
            leader.contact.begin_round(self.now);
        }
        leader.contact.begin_round(self.now);
        reads.round = leader.contact.round;
        self.broadcast(out);
        self.serve_reads(out);
    }

    /// Answers the reads of the round under way once a majority, this node included, has taken
    /// part in it.
    pub(super) fn serve_reads(&mut self, out: &mut Effects<Self>) {
        let asked = match &self.state {
            State::Leader(leader) if !leader.reads.asking.is_empty() => leader.reads.round,
            _ => return,
        };
        if self.followed_round() < asked {
            return;
        }
        let State::Leader(leader) = &mut self.state else { return };
        for (id, key) in std::mem::take(&mut leader.reads.asking) {
            self.answer_read(id, &key, out);
        }
        self.ask_quorum(out);
    }

    /// The value was committed by a majority's disks, so this waits for none.
    fn answer_read(&mut self, id: RequestId, key: &str, out: &mut Effects<Self>) {
        self.counters.reads_served += 1;
        let value = match self.options.bug {
            Some(Bug::DirtyRead) => self.uncommitted_value(key),
            _ => self.store.get(key),
        };
        out.reply_at_once(id, Ok(kv::Output::Value(value)));
    }
}
