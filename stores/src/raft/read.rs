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

use super::mutants::Bug;
use super::{Raft, State};
use crate::kv;
use crate::replica::{Effects, Refusal, RequestId};

/// Reads that wait.
#[derive(Debug, Default)]
pub(super) struct Reads {
    /// For the next round.
    waiting: Vec<(RequestId, kv::Key)>,
    /// For the round that is under way; empty if none is.
    asking: Vec<(RequestId, kv::Key)>,
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
        let State::Leader(leader) = &mut self.state else {
            return out.reply_at_once(id, Err(Refusal::NotLeader { leader: self.leader }));
        };
        if self.options.bug == Some(Bug::StaleRead) {
            return self.answer_read(id, &key, out);
        }
        if leader.reads.len() >= self.options.requests_max {
            return out.reply_at_once(id, Err(Refusal::Busy));
        }
        leader.reads.waiting.push((id, key));
        self.ask_quorum(out);
    }

    /// Starts a round if reads wait for one and none is under way.
    pub(super) fn ask_quorum(&mut self, out: &mut Effects<Self>) {
        let knows_what_is_committed = self.log.term_at(self.commit) == Some(self.hard.term);
        let State::Leader(leader) = &mut self.state else { return };
        let reads = &mut leader.reads;
        if !knows_what_is_committed || !reads.asking.is_empty() || reads.waiting.is_empty() {
            return;
        }
        reads.asking = std::mem::take(&mut reads.waiting);
        leader.round += 1;
        self.broadcast(out);
        self.serve_reads(out);
    }

    /// Answers the reads of the round under way once a majority, this node included, has taken
    /// part in it.
    pub(super) fn serve_reads(&mut self, out: &mut Effects<Self>) {
        let quorum = self.quorum();
        let State::Leader(leader) = &mut self.state else { return };
        let following = leader.followers.values().filter(|p| p.round >= leader.round).count();
        if leader.reads.asking.is_empty() || following + 1 < quorum {
            return;
        }
        for (id, key) in std::mem::take(&mut leader.reads.asking) {
            self.answer_read(id, &key, out);
        }
        self.ask_quorum(out);
    }

    /// The value was committed by a majority's disks, so this waits for none.
    fn answer_read(&mut self, id: RequestId, key: &str, out: &mut Effects<Self>) {
        self.counters.reads_served += 1;
        out.reply_at_once(id, Ok(kv::Output::Value(self.store.get(key))));
    }
}
