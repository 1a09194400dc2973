//! Raft: a replicated log under one elected leader, as a core without I/O.
//!
//! The source is Diego Ongaro's dissertation, *Consensus: Bridging Theory and Practice* (Stanford,
//! 2014), cited as § throughout; the 2014 paper with John Ousterhout (*In Search of an
//! Understandable Consensus Algorithm*) is its short form.
//!
//! | module | role |
//! |---|---|
//! | [`mod@self`] | the state of a node, its steps, terms |
//! | `election` | who leads: time-outs, pre-votes, votes (§3.4, §3.6.1, §4.2.3, §9.6) |
//! | `contact` | whether a leader still has its majority, and its lease (§6.2, §6.4.1) |
//! | `replication` | appending, matching, committing, applying (§3.5, §3.6.2, §10.2) |
//! | [`read`] | linearizable reads by a quorum round or by the lease (§6.4) |
//! | [`log`] | the log in memory, and the records on disk (§3.8) |
//! | [`membership`] | who belongs to the cluster, and how that changes (§4) |
//! | `transfer` | letting another node lead (§3.10) |
//! | [`snapshot`] | compacting the log, and bringing followers what is gone from it (§5) |
//! | [`message`] | what nodes say to each other |
//! | [`mutants`] | planted bugs |
//!
//! What waits for the disk and what does not: votes, and answers to appends, are promises and wait
//! for everything persisted before them. A leader's own appends go out while it is still writing
//! the same entries to its disk (§10.2.1); it counts itself towards a commit only when they are
//! there. The term in such a message is durable already, because the leader asked for votes in that
//! term only after storing it.

mod contact;
mod election;
pub mod log;
pub mod membership;
pub mod message;
pub mod mutants;
mod note;
pub mod read;
mod replication;
pub mod snapshot;
#[cfg(test)]
mod tests;
mod transfer;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::Hash;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::kv;
use crate::replica::{
    Effects, Input, NodeId, Outline, RecoverError, Refusal, Replica, Request, RequestId, Role,
    Setup, Slot, Status, Ticket, Time, level,
};
use contact::Contact;
use log::{HardState, Index, Log, Place, Record, Recovered, Term};
use membership::{Change, Configurations, Membership};
use message::{Body, Message, Outcome};
use mutants::Bug;
pub use note::Note;
pub use read::ReadMode;
use read::Reads;
use replication::Progress;
use snapshot::{Incoming, Snapshot};
use transfer::Handover;

/// The settings of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How often a leader sends to every follower, entries or not, and a candidate to every voter
    /// that has not answered.
    pub heartbeat: Duration,
    /// The least time without a leader after which a node stands for election, and for which it
    /// refuses to unseat a leader it hears (§4.2.3).
    pub election_min: Duration,
    /// The most such time; each wait is drawn anew from between the two.
    pub election_max: Duration,
    /// Whether a node asks if it could win before it stands for election (§9.6).
    pub pre_vote: bool,
    /// Whether a leader that does not hear a majority steps down (§6.2).
    pub check_quorum: bool,
    /// How reads are answered.
    pub reads: ReadMode,
    /// How much faster or slower than true a node's clock may run, in parts per million, for leases
    /// to be safe (§6.4.1).
    pub clock_drift_ppm: u32,
    /// The size of the entries in one append, in bytes; a single larger entry goes alone.
    pub append_bytes_max: usize,
    /// How many entries may be on their way to a follower without an answer.
    pub append_window: u64,
    /// Whether a leader that looks for the place where a follower's log parts from its own sends no
    /// entries until it has found it, to save bandwidth (§3.5), or always sends what may fit.
    pub bare_probes: bool,
    /// How many writes, and how many reads, may wait for their outcome at once.
    pub requests_max: usize,
    /// After how many applied entries a snapshot takes their place (§5.1).
    pub snapshot_every: u64,
    /// The size of one chunk of a snapshot on its way to a follower, in bytes (§5.3).
    pub snapshot_chunk_bytes: usize,
    /// A planted bug, if the core is to be wrong.
    pub bug: Option<Bug>,
}

impl Default for Options {
    /// Heartbeats every 50 ms, elections after 300 to 600 ms: slower than the paper's 150 to
    /// 300 ms, to keep its head on a busy machine with real disks.
    fn default() -> Self {
        Options {
            heartbeat: Duration::from_millis(50),
            election_min: Duration::from_millis(300),
            election_max: Duration::from_millis(600),
            pre_vote: true,
            check_quorum: true,
            reads: ReadMode::default(),
            clock_drift_ppm: 50_000,
            append_bytes_max: 256 << 10,
            append_window: 1024,
            bare_probes: false,
            requests_max: 4096,
            snapshot_every: 10_000,
            snapshot_chunk_bytes: 64 << 10,
            bug: None,
        }
    }
}

/// The timers of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// Without a leader for too long.
    Election,
    /// Time for a leader to make itself heard, and for a candidate to ask again who has not answered.
    Heartbeat,
}

/// A node of a Raft cluster.
#[derive(Clone, Debug)]
pub struct Raft {
    id: NodeId,
    /// The other members, voters and learners.
    others: Vec<NodeId>,
    configurations: Configurations,
    options: Options,
    rng: ChaCha8Rng,
    hard: HardState,
    log: Log,
    /// What stands before the log.
    snapshot: Option<Arc<Snapshot>>,
    /// The leader's snapshot, as far as it has arrived.
    incoming: Option<Incoming>,
    commit: Index,
    applied: Index,
    store: kv::Store,
    /// The last entry of the log that is on the disk.
    durable: Index,
    /// The log's last index after each batch that is not durable yet.
    unsynced: VecDeque<(Ticket, Index)>,
    state: State,
    leader: Option<NodeId>,
    /// When a leader was last heard.
    heard: Option<Time>,
    /// The time of the step under way.
    now: Time,
    counters: Counters,
}

#[derive(Clone, Debug)]
enum State {
    Follower,
    /// Would stand for election if a majority, here those who agreed, would vote for it.
    PreCandidate(BTreeSet<NodeId>),
    Candidate(Candidate),
    Leader(Box<Leader>),
}

#[derive(Clone, Debug)]
struct Candidate {
    votes: BTreeSet<NodeId>,
    /// The batch with the vote for itself, which counts when it is durable.
    ballot: Ticket,
    /// Who has neither granted nor refused its vote yet.
    unanswered: Vec<NodeId>,
    /// Whether the leader wants this election (§3.10).
    transfer: bool,
}

#[derive(Clone, Debug)]
struct Leader {
    followers: BTreeMap<NodeId, Progress>,
    /// Clients that wait for the entry at an index. All are of this leader's own term.
    writes: BTreeMap<Index, RequestId>,
    reads: Reads,
    /// Who followed when.
    contact: Contact,
    handover: Option<Handover>,
    change: Option<Change>,
    /// The text of the snapshot that was sent last, and what it covers: followers share it.
    snapshot_text: Option<(Place, Arc<str>)>,
}

#[derive(Clone, Debug, Default)]
struct Counters {
    elections_started: u64,
    elections_won: u64,
    leader_changes: u64,
    writes_proposed: u64,
    reads_served: u64,
    last_leader: Option<NodeId>,
}

impl Replica for Raft {
    type Message = Message;
    type Record = Record;
    type Timer = Timer;
    type Note = Note;
    type Options = Options;

    fn recover(
        setup: Setup,
        options: Options,
        disk: Vec<(Slot, Record)>,
        now: Time,
        out: &mut Effects<Self>,
    ) -> Result<Self, RecoverError> {
        // A lease may count on what this node has heard before; see `contact`.
        let began_before = !disk.is_empty();
        let promised = began_before && options.bug != Some(Bug::LeaseForgotten);
        let heard = (promised && options.reads == ReadMode::Lease).then_some(now);
        let found = mutants::recalled(options.bug, log::read_disk(disk)?, out);
        let Recovered { hard, snapshot, log } = found;
        let store = snapshot.as_ref().map(|snapshot| snapshot.state.clone()).unwrap_or_default();
        let skipped = options.bug == Some(Bug::EntrySkipped) && log.last_index() > log.base().index;
        let applied = log.base().index + Index::from(skipped);
        let members = match &snapshot {
            Some(snapshot) => snapshot.members.clone(),
            None => Arc::new(Membership::of(setup.members)),
        };
        let mut raft = Raft {
            id: setup.id,
            others: Vec::new(),
            configurations: Configurations::new(members),
            options,
            rng: ChaCha8Rng::seed_from_u64(setup.seed),
            hard,
            durable: log.last_index(),
            log,
            snapshot,
            incoming: None,
            // What is committed behind the snapshot is learnt from the next leader (§3.8).
            commit: applied,
            applied,
            store,
            unsynced: VecDeque::new(),
            state: State::Follower,
            leader: None,
            heard,
            now,
            counters: Counters::default(),
        };
        raft.recall_members(out);
        raft.reset_election_timer(now, out);
        Ok(raft)
    }

    fn step(&mut self, now: Time, input: Input<Self>, out: &mut Effects<Self>) {
        self.now = now;
        // Not when an entry is applied, so that who looks on after each step sees every one.
        self.compact_if_long(out);
        match input {
            Input::Message { from, message } => self.on_message(now, from, message, out),
            Input::Request { id, request: Request::Read(key) } => self.read(id, key, out),
            Input::Request { id, request: Request::Write(command) } => {
                self.propose(id, command, out);
            }
            Input::Request { id, request: Request::Admin(order) } => {
                self.administer(id, order, out);
            }
            Input::Request { id, request: Request::Causal { .. } } => {
                out.reply_at_once(id, Err(Refusal::no_contexts()));
            }
            Input::Timer(Timer::Election) => self.on_election_timer(now, out),
            Input::Timer(Timer::Heartbeat) => self.on_heartbeat_timer(now, out),
            Input::Stored(ticket) => self.on_stored(now, ticket, out),
        }
    }

    fn status(&self) -> Status {
        Status {
            id: self.id,
            role: self.role(),
            term: self.hard.term,
            leader: self.leader,
            voters: self.members().voters.iter().copied().collect(),
            learners: self.members().learners.iter().copied().collect(),
            snapshot_index: self.log.base().index,
            last_index: self.log.last_index(),
            commit_index: self.commit,
            applied_index: self.applied,
            elections_started: self.counters.elections_started,
            elections_won: self.counters.elections_won,
            leader_changes: self.counters.leader_changes,
            writes_proposed: self.counters.writes_proposed,
            reads_served: self.counters.reads_served,
            digest: 0,
        }
    }

    fn outline(&self) -> Outline {
        let (tail, end) = (self.log.last_term(), self.log.last_index());
        let whose = |node: Option<NodeId>| match node {
            None => 0,
            Some(node) if node == self.id => 1,
            Some(_) => 2,
        };
        let role = match &self.state {
            State::Follower => 0,
            State::PreCandidate(_) => 1,
            State::Candidate(_) => 2,
            State::Leader(_) => 3,
        };
        let changes = match &self.state {
            State::Leader(leader) => {
                u8::from(leader.change.is_some()) + 2 * u8::from(leader.handover.is_some())
            }
            _ => 4 * u8::from(self.incoming.is_some()),
        };
        Outline {
            state: [
                role,
                whose(self.hard.vote),
                whose(self.leader),
                level(end.saturating_sub(self.commit)).min(4),
                // Entries of how old a term are the last ones.
                self.hard.term.saturating_sub(tail).min(3) as u8,
                level(end.saturating_sub(self.durable)).min(2),
                level(self.commit.saturating_sub(self.log.base().index)).min(2),
                changes,
                self.trust(),
            ],
            ranks: [self.hard.term, tail, end, self.commit, self.configurations.latest_index()],
        }
    }

    fn kind(message: &Message) -> impl Hash {
        let answer = match &message.body {
            Body::PreVote { granted } | Body::Vote { granted } => *granted,
            Body::Append { entries, .. } => entries.is_empty(),
            Body::Appended { outcome, .. } => matches!(outcome, Outcome::Match { .. }),
            _ => false,
        };
        (mem::discriminant(&message.body), answer)
    }

    fn changes_members() -> bool {
        true
    }

    fn hands_over() -> bool {
        true
    }

    fn address(&self, node: NodeId) -> Option<&str> {
        self.members().addresses.get(&node).map(AsRef::as_ref)
    }
}

/// What watchers may see: invariants are checked from outside.
impl Raft {
    /// What the node is at the moment.
    pub fn role(&self) -> Role {
        match self.state {
            State::Follower => Role::Follower,
            State::PreCandidate(_) | State::Candidate(_) => Role::Candidate,
            State::Leader(_) => Role::Leader,
        }
    }

    /// Its term and vote; on the disk once everything persisted is.
    pub fn hard_state(&self) -> HardState {
        self.hard
    }

    /// Its log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The last entry it knows to be committed.
    pub fn commit_index(&self) -> Index {
        self.commit
    }

    /// The state machine after the last applied entry.
    pub fn store(&self) -> &kv::Store {
        &self.store
    }
}

impl Raft {
    fn on_message(&mut self, now: Time, from: NodeId, message: Message, out: &mut Effects<Self>) {
        let Message { term, body } = message;
        if body.asks_for_a_vote() && self.hears_a_leader(now) {
            return;
        }
        if term < self.hard.term && !self.takes_old(&body) {
            // Its sender must learn of the new term; the sender of an old answer will anyway.
            if body.wants_an_answer() {
                self.send(from, Body::Stale, out);
            }
            return;
        }
        if term > self.hard.term {
            self.enter_term(now, term, out);
        }
        match body {
            Body::RequestPreVote { last_index, last_term } => {
                self.on_request_pre_vote(from, (last_term, last_index), out);
            }
            Body::PreVote { granted } => self.on_pre_vote(now, from, granted, out),
            Body::RequestVote { last_index, last_term, transfer } => {
                self.on_request_vote(now, from, (last_term, last_index), transfer, out);
            }
            Body::Vote { granted } => self.on_vote(now, from, granted, out),
            Body::Append { prev_index, prev_term, entries, commit, round } => {
                if let Err(why) = message::check_append(term, prev_index, prev_term, &entries) {
                    return out.note(Note::Nonsense { from, why });
                }
                if !self.follow(now, from, out) {
                    return;
                }
                let outcome = self.append_from_leader(prev_index, prev_term, entries, commit, out);
                let answer = Body::Appended { round, outcome };
                if self.bug(Bug::AckBeforeFsync) {
                    return self.send_at_once(from, answer, out);
                }
                if self.bug(Bug::AnsweredTwice) {
                    self.send(from, answer.clone(), out);
                }
                self.send(from, answer, out);
            }
            Body::Appended { round, outcome } => self.on_appended(from, round, outcome, out),
            Body::InstallSnapshot { chunk, round } => {
                if self.follow(now, from, out) {
                    self.on_chunk(from, chunk, round, out);
                }
            }
            Body::ChunkReceived { last, at, wanted, round } => {
                self.on_chunk_received(from, (last, at, wanted), round, out);
            }
            Body::TimeoutNow => self.on_timeout_now(from, out),
            Body::Stale => {}
        }
    }

    /// Enters a later term as a follower that has not voted (§3.3).
    fn enter_term(&mut self, now: Time, term: Term, out: &mut Effects<Self>) {
        self.hard = HardState { term, vote: None };
        out.persist(vec![log::write_hard(self.hard)]);
        if self.bug(Bug::TermAdopted) && matches!(self.state, State::Leader(_)) {
            return;
        }
        self.leader = None;
        self.become_follower(now, out);
    }

    fn become_follower(&mut self, now: Time, out: &mut Effects<Self>) {
        let State::Leader(leader) = std::mem::replace(&mut self.state, State::Follower) else {
            return;
        };
        let Leader { writes, reads, handover, change, .. } = *leader;
        let reads = reads.into_requests();
        let term = self.hard.term;
        out.note(Note::SteppedDown { term, writes: writes.len(), reads: reads.len() });
        // The entries may still be committed by the next leader: nobody knows. It promises nothing.
        let change = change.map(|change| change.request);
        let leader = self.leader;
        let refusal = match self.options.bug {
            Some(Bug::CertainFailure) => Refusal::NotLeader { leader },
            _ => Refusal::LostLeadership { leader },
        };
        for id in writes.into_values().chain(reads).chain(change) {
            out.reply_at_once(id, Err(refusal.clone()));
        }
        if let Some(handover) = handover {
            handover.answer(out);
        }
        self.reset_election_timer(now, out);
    }

    /// Follows the sender of an append in the current term, and says whether it may.
    fn follow(&mut self, now: Time, leader: NodeId, out: &mut Effects<Self>) -> bool {
        if matches!(self.state, State::Leader(_)) {
            let why = "another node claims to lead the term that this one leads";
            out.note(Note::Nonsense { from: leader, why });
            return false;
        }
        self.become_follower(now, out);
        if self.leader != Some(leader) {
            out.note(Note::Follows { term: self.hard.term, leader });
            self.learn_leader(leader);
        }
        self.heard = Some(now);
        self.reset_election_timer(now, out);
        true
    }

    fn learn_leader(&mut self, leader: NodeId) {
        self.leader = Some(leader);
        if self.counters.last_leader.replace(leader) != Some(leader) {
            self.counters.leader_changes += 1;
        }
    }

    fn on_stored(&mut self, now: Time, ticket: Ticket, out: &mut Effects<Self>) {
        while let Some((stored, index)) = self.unsynced.front().copied()
            && stored <= ticket
        {
            self.unsynced.pop_front();
            self.durable = self.durable.max(index);
        }
        match &self.state {
            State::Candidate(candidate) if candidate.ballot <= ticket => {
                self.on_vote(now, self.id, true, out);
            }
            State::Leader(_) => self.advance_commit(out),
            State::Candidate(_) | State::PreCandidate(_) | State::Follower => {}
        }
    }

    /// How many voters are a majority of the cluster.
    fn quorum(&self) -> usize {
        let voters = self.members().voters.len();
        match self.options.bug {
            Some(Bug::HalfIsEnough) => voters.div_ceil(2),
            _ => voters / 2 + 1,
        }
    }

    /// Sends in the current term, once everything persisted is durable.
    fn send(&self, to: NodeId, body: Body, out: &mut Effects<Self>) {
        out.send(to, Message { term: self.hard.term, body });
    }

    /// Sends in the current term without waiting for the disk; see the top of the module.
    fn send_at_once(&self, to: NodeId, body: Body, out: &mut Effects<Self>) {
        out.send_at_once(to, Message { term: self.hard.term, body });
    }
}
