//! Snapshots: how the log stays short (§5), and how a follower that needs what is gone from the
//! leader's log gets it all the same (§5.3).
//!
//! Every node compacts its own log (§5.1): once it has applied so many entries, the state after the
//! last of them, with the client sessions, takes their place on the disk and in memory, in one
//! batch.
//!
//! A leader that would have to send what it no longer has sends its snapshot, as text, in chunks,
//! one at a time (InstallSnapshot, §5.3). The follower says where it wants the next one to begin.
//! So a transfer goes on where it was after a loss, and also under another leader, because the
//! snapshots of all nodes up to the same entry are the same text. A transfer that has begun goes on
//! though the leader compacts further: a log that grows faster than the network is fast would
//! otherwise make it begin again for ever.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::log::{self, Index, Log, Place};
use super::membership::Membership;
use super::message::{Body, Chunk, Outcome};
use super::mutants::Bug;
use super::replication::Mode;
use super::{Note, Raft, State};
use crate::kv;
use crate::replica::{Effects, NodeId};

/// What takes the place of the first entries of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The last entry that it covers.
    pub last: Place,
    /// Who belonged to the cluster after that entry (§4.1).
    pub members: Arc<Membership>,
    /// The state machine after that entry, client sessions included (§6.3).
    pub state: kv::Store,
}

impl Snapshot {
    /// Its text, which is the same on all nodes.
    pub fn text(&self) -> String {
        // Maps from text and numbers and plain values have a JSON form.
        serde_json::to_string(self).expect("a snapshot has a JSON form")
    }
}

/// A snapshot on its way to a follower.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Transfer {
    /// What it covers.
    last: Place,
    text: Arc<str>,
    /// Where the follower wants the next chunk to begin.
    offset: usize,
    /// A chunk is on its way; the next waits for the answer, or for the next heartbeat.
    pub(super) sent: bool,
}

impl Transfer {
    /// Whether a follower that has the leader's log up to an index has what this brings.
    pub(super) fn ends_at(&self, index: Index) -> bool {
        index >= self.last.index
    }

    /// The chunk that is due, of about so many bytes, and at least a character.
    fn chunk(&self, bytes_max: usize) -> Chunk {
        let mut end = (self.offset + bytes_max.max(1)).min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end += 1;
        }
        Chunk {
            last: self.last,
            offset: self.offset,
            text: self.text[self.offset..end].into(),
            done: end == self.text.len(),
        }
    }
}

/// A snapshot that has arrived in part.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    last: Place,
    text: String,
}

impl Raft {
    /// Puts a snapshot in the place of what is applied, if that is enough (§5.1).
    pub(super) fn compact_if_long(&mut self, out: &mut Effects<Self>) {
        let index = self.applied;
        let every = if self.bug(Bug::EagerSnapshots) { 1 } else { self.options.snapshot_every };
        if index - self.log.base().index < every.max(1) {
            return;
        }
        let Some(term) = self.log.term_at(index) else { return };
        let last = Place { index, term };
        let members = self.configurations.at(index).clone();
        let state = self.store.clone();
        let mut snapshot = Snapshot { last, members: members.clone(), state };
        if self.bug(Bug::ConfigNotInSnapshot) {
            let first = self.snapshot.as_ref().map(|earlier| &earlier.members);
            snapshot.members = first.unwrap_or(self.configurations.before_log()).clone();
        }
        if self.bug(Bug::SessionsNotInSnapshot) {
            snapshot.state.forget_sessions();
        }
        if self.bug(Bug::SnapshotInTwoSteps) {
            let empty = Snapshot { state: kv::Store::default(), ..snapshot.clone() };
            out.persist(log::write_snapshot(&Arc::new(empty), true));
        }
        let snapshot = Arc::new(snapshot);
        let keep_rest = !self.bug(Bug::SnapshotDropsLog);
        out.persist(log::write_snapshot(&snapshot, keep_rest));
        out.note(Note::Compacted { last });
        if keep_rest {
            self.log.compact(last);
        } else {
            self.log = Log::behind(last);
        }
        self.rebase_members(index, members, true, out);
        self.snapshot = Some(snapshot);
    }

    /// Sends a follower the chunk that is due of the snapshot it gets, and the latest snapshot if it
    /// gets none yet.
    pub(super) fn send_chunk(&mut self, to: NodeId, out: &mut Effects<Self>) {
        let State::Leader(leader) = &mut self.state else { return };
        let Some(progress) = leader.followers.get_mut(&to) else { return };
        if !matches!(progress.mode, Mode::Snapshot(_)) {
            let Some(snapshot) = &self.snapshot else { return };
            let last = snapshot.last;
            let known = leader.snapshot_text.as_ref().filter(|(covers, _)| *covers == last);
            let text = known.map_or_else(|| Arc::from(snapshot.text()), |(_, text)| text.clone());
            leader.snapshot_text = Some((last, text.clone()));
            progress.mode = Mode::Snapshot(Transfer { last, text, offset: 0, sent: false });
            out.note(Note::SnapshotSent { to, last });
        }
        let Mode::Snapshot(transfer) = &mut progress.mode else { return };
        transfer.sent = true;
        let chunk = transfer.chunk(self.options.snapshot_chunk_bytes);
        let body = Body::InstallSnapshot { chunk, round: leader.contact.round };
        // It was committed before it became a snapshot, whatever this node's disk is busy with.
        self.send_at_once(to, body, out);
    }

    /// A follower has what it was sent of a snapshot, or wants it from elsewhere.
    pub(super) fn on_chunk_received(
        &mut self,
        from: NodeId,
        (last, at, wanted): (Place, usize, usize),
        round: u64,
        out: &mut Effects<Self>,
    ) {
        let State::Leader(leader) = &mut self.state else { return };
        let Some(progress) = leader.followers.get_mut(&from) else { return };
        progress.round = progress.round.max(round);
        // Answers arrive late and twice: only the one to the chunk on its way counts.
        if let Mode::Snapshot(transfer) = &mut progress.mode
            && (transfer.last, transfer.offset) == (last, at)
            && transfer.text.is_char_boundary(wanted)
        {
            transfer.offset = wanted;
            transfer.sent = false;
            self.send_chunk(from, out);
        }
        self.renew_contact();
        self.serve_reads(out);
    }

    /// Takes a chunk of the leader's snapshot, and the snapshot when that was the last one.
    pub(super) fn on_chunk(
        &mut self,
        from: NodeId,
        chunk: Chunk,
        round: u64,
        out: &mut Effects<Self>,
    ) {
        let Chunk { last, offset, text, done } = chunk;
        let outcome = Outcome::Match { index: last.index };
        if last.index <= self.commit && !self.bug(Bug::StaleSnapshot) {
            // It is old: what it covers is here, and will be on the disk when the answer leaves.
            self.incoming = None;
            return self.send(from, Body::Appended { round, outcome }, out);
        }
        let known = self.incoming.take().filter(|incoming| incoming.last == last);
        let mut incoming = known.unwrap_or(Incoming { last, text: String::new() });
        let fits = offset == incoming.text.len();
        if fits {
            incoming.text.push_str(&text);
        }
        if !(fits && done) {
            let wanted = incoming.text.len();
            self.incoming = Some(incoming);
            let body = Body::ChunkReceived { last, at: offset, wanted, round };
            return self.send(from, body, out);
        }
        match serde_json::from_str::<Snapshot>(&incoming.text) {
            Ok(snapshot) if snapshot.last == last => {
                self.install(Arc::new(snapshot), out);
                self.send(from, Body::Appended { round, outcome }, out);
            }
            _ => out.note(Note::Nonsense { from, why: "its snapshot cannot be read" }),
        }
    }

    /// Takes a snapshot over in place of the log up to its last entry, and of all the log if that
    /// entry is not in it (§5.3).
    fn install(&mut self, snapshot: Arc<Snapshot>, out: &mut Effects<Self>) {
        let last = snapshot.last;
        let keep_rest = self.log.term_at(last.index) == Some(last.term);
        let ticket = out.persist(log::write_snapshot(&snapshot, keep_rest));
        out.note(Note::SnapshotInstalled { last });
        if !keep_rest {
            // Batches on their way to the disk no longer stand for entries that are gone.
            self.durable = 0;
            self.unsynced.clear();
            self.unsynced.push_back((ticket, last.index));
        }
        self.log.compact(last);
        self.rebase_members(last.index, snapshot.members.clone(), keep_rest, out);
        self.commit = last.index;
        self.applied = last.index;
        if !self.bug(Bug::SnapshotWithoutState) {
            self.store = snapshot.state.clone();
        }
        self.snapshot = Some(snapshot);
    }

    /// The latest snapshot, if there is one; its last entry is the base of the log.
    pub fn snapshot(&self) -> Option<&Arc<Snapshot>> {
        self.snapshot.as_ref()
    }
}
