//! The seam between a protocol and the world: inputs go in, effects come out, and nothing else.
//!
//! A protocol core is a deterministic state machine. It has no clock, thread, socket, file or
//! randomness of its own; a *host* (the live node in [`crate::node`], or a simulator) feeds it
//! [`Input`]s and carries out the [`Effect`]s it answers with. The style is the one etcd's raft
//! library and FoundationDB's simulation made known: when all I/O is outside, the same bytes of
//! code run against real disks and against a simulated world that replays from a seed.
//!
//! # The contract
//!
//! **One at a time.** The host calls [`Replica::step`] with one input and carries out the effects
//! it produced, in order, before the next call. A step never blocks.
//!
//! **Time** is a [`Duration`] since an arbitrary epoch of the host, read from the node's own
//! monotonic clock: it never goes back within one incarnation, but two nodes' clocks need not
//! agree in offset or rate. A core compares times with times, and learns what time it is from the
//! `now` of the step alone.
//!
//! **Timers** have names. [`Effect::SetTimer`] replaces the deadline of the timer of that name. A
//! timer fires once per setting, at its deadline or later, and never for a deadline that has been
//! replaced. Timers do not survive a crash.
//!
//! **Storage** is an ordered map from [`Slot`] to record. [`Effect::Persist`] is a batch of writes
//! with a [`Ticket`]; tickets increase by one. The host starts the write at once and does not wait
//! for it. A batch is atomic, and batches become durable in the order of their tickets: what a
//! crash leaves is the result of the first *k* batches, where *k* is at least the highest ticket
//! reported by [`Input::Stored`]. `Stored(t)` reports all tickets up to `t`, so a host may put any
//! number of batches into one fsync (group commit) and report only the last. A write that fails is
//! fatal: the host stops the node and never reports that ticket or a later one, because after a
//! failed fsync nobody knows what is on the disk.
//!
//! **Promises.** A [`Effect::Send`] or [`Effect::Reply`] carries the ticket it comes `after`: it
//! leaves the node only when that ticket is durable. [`Effects::send`] and [`Effects::reply`] wait
//! for everything persisted so far, so a core is safe unless it says otherwise;
//! [`Effects::send_at_once`] and [`Effects::reply_at_once`] are for what promises nothing that is
//! still on its way to the disk, and each use explains why. [`Gate`] does the waiting, for every
//! host alike. What waits is lost in a crash, like the writes it waits for.
//!
//! **The network** may lose, delay, duplicate and reorder messages; effects that wait for
//! different tickets may also overtake each other. `from` is who sent the message; the host
//! guarantees that it is another node than this one, member or not, and that the message is from
//! this cluster.
//!
//! **Requests** have an id that the host chose, unique within the incarnation. Each gets at most
//! one [`Effect::Reply`]; none at all when the core cannot tell the outcome yet, for which the
//! client's patience is the host's business.
//!
//! **Randomness** comes from the seed in [`Setup`]; the host gives each incarnation of each node a
//! different one.
//!
//! **Crash and recovery.** A crash forgets the core, its timers and everything the gate holds.
//! [`Replica::recover`] builds a new incarnation from what the disk holds.

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Display};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::kv;

/// Time on the node's own monotonic clock, since an epoch of the host's choosing.
pub type Time = Duration;

/// A node of the cluster, numbered from 1 and printed as `n1`, `n2`, ...
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u16);

impl Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// The number of a persisted batch; see the module's contract. `Ticket::NONE` is before them all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ticket(pub u64);

impl Ticket {
    /// Before the first batch: what comes after it need not wait.
    pub const NONE: Ticket = Ticket(0);
}

/// The host's name for a client's request, unique within one incarnation of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RequestId(pub u64);

/// Where a record lives on the node's disk. Areas are numbered by the protocol; slots are ordered
/// by kind, area and then number or name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Slot {
    /// A place in a sequence, such as a log entry; a lone record is number 0 of its own area.
    Numbered(u8, u64),
    /// A named thing, such as a key's register.
    Named(u8, Arc<str>),
}

/// One change to the disk, within a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Write<Record> {
    /// Store the record in the slot, replacing what was there.
    Put(Slot, Record),
    /// Remove every record from the first slot to the second, both included.
    Erase(Slot, Slot),
}

/// What can happen to a core.
#[derive(Clone, Debug)]
pub enum Input<R: Replica> {
    /// A peer's message arrived.
    Message {
        /// The member that sent it.
        from: NodeId,
        /// What it said.
        message: R::Message,
    },
    /// A client asks for something.
    Request {
        /// The name under which the reply goes back.
        id: RequestId,
        /// What it asks for.
        request: Request,
    },
    /// The timer of this name reached its deadline.
    Timer(R::Timer),
    /// Every batch up to and including this ticket is durable.
    Stored(Ticket),
}

/// What a core wants done.
#[derive(Clone, Debug)]
pub enum Effect<R: Replica> {
    /// Start writing the batch; report it with [`Input::Stored`].
    Persist {
        /// The number of the batch.
        ticket: Ticket,
        /// Its changes, to be made in order and atomically.
        writes: Vec<Write<R::Record>>,
    },
    /// Send a message to a peer once the ticket is durable.
    Send {
        /// What must be durable before.
        after: Ticket,
        /// The peer.
        to: NodeId,
        /// The message.
        message: R::Message,
    },
    /// Answer a client once the ticket is durable.
    Reply {
        /// What must be durable before.
        after: Ticket,
        /// The request that is answered.
        to: RequestId,
        /// The answer.
        reply: Reply,
    },
    /// Let the timer of this name fire at this time, and at no time asked for earlier.
    SetTimer {
        /// The timer.
        timer: R::Timer,
        /// When, on the node's own clock.
        at: Time,
    },
    /// Tell whoever watches (a log, a trace, coverage counters). Has no influence on anything.
    Note(R::Note),
}

/// Collects the effects of a step. One lives as long as the core's incarnation, because it also
/// hands out the tickets.
#[derive(Clone, Debug)]
pub struct Effects<R: Replica> {
    list: Vec<Effect<R>>,
    last_ticket: Ticket,
}

impl<R: Replica> Default for Effects<R> {
    fn default() -> Self {
        Effects { list: Vec::new(), last_ticket: Ticket::NONE }
    }
}

impl<R: Replica> Effects<R> {
    /// Persists a batch; everything sent or replied from now on waits for it by default.
    pub fn persist(&mut self, writes: Vec<Write<R::Record>>) -> Ticket {
        self.last_ticket = Ticket(self.last_ticket.0 + 1);
        self.list.push(Effect::Persist { ticket: self.last_ticket, writes });
        self.last_ticket
    }

    /// The ticket of the latest batch, or [`Ticket::NONE`].
    pub fn last_ticket(&self) -> Ticket {
        self.last_ticket
    }

    /// Sends once everything persisted so far is durable.
    pub fn send(&mut self, to: NodeId, message: R::Message) {
        self.list.push(Effect::Send { after: self.last_ticket, to, message });
    }

    /// Sends without waiting for the disk: only for what promises nothing that is not durable yet.
    pub fn send_at_once(&mut self, to: NodeId, message: R::Message) {
        self.list.push(Effect::Send { after: Ticket::NONE, to, message });
    }

    /// Replies once everything persisted so far is durable.
    pub fn reply(&mut self, to: RequestId, reply: Reply) {
        self.list.push(Effect::Reply { after: self.last_ticket, to, reply });
    }

    /// Replies once this ticket is durable: only for what tells of nothing that was persisted later.
    pub fn reply_after(&mut self, after: Ticket, to: RequestId, reply: Reply) {
        self.list.push(Effect::Reply { after, to, reply });
    }

    /// Replies without waiting for the disk: only for what is safe by other means.
    pub fn reply_at_once(&mut self, to: RequestId, reply: Reply) {
        self.list.push(Effect::Reply { after: Ticket::NONE, to, reply });
    }

    /// Sets or moves a timer.
    pub fn set_timer(&mut self, timer: R::Timer, at: Time) {
        self.list.push(Effect::SetTimer { timer, at });
    }

    /// Tells whoever watches.
    pub fn note(&mut self, note: R::Note) {
        self.list.push(Effect::Note(note));
    }

    /// Takes the effects gathered so far, in order.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Effect<R>> {
        self.list.drain(..)
    }
}

/// Holds sends and replies back until what they promise is durable: the one implementation of
/// that rule, for every host.
#[derive(Debug)]
pub struct Gate<R: Replica> {
    durable: Ticket,
    held: BTreeMap<Ticket, Vec<Effect<R>>>,
}

impl<R: Replica> Default for Gate<R> {
    fn default() -> Self {
        Gate { durable: Ticket::NONE, held: BTreeMap::new() }
    }
}

impl<R: Replica> Gate<R> {
    /// Gives the effect back if it may be carried out now; otherwise keeps it.
    pub fn admit(&mut self, effect: Effect<R>) -> Option<Effect<R>> {
        let after = match &effect {
            Effect::Send { after, .. } | Effect::Reply { after, .. } => *after,
            Effect::Persist { .. } | Effect::SetTimer { .. } | Effect::Note(_) => Ticket::NONE,
        };
        if after <= self.durable {
            return Some(effect);
        }
        self.held.entry(after).or_default().push(effect);
        None
    }

    /// Learns that everything up to the ticket is durable, and releases what waited for it, in the
    /// order of tickets and, within one ticket, of arrival.
    pub fn stored(&mut self, ticket: Ticket) -> Vec<Effect<R>> {
        self.durable = self.durable.max(ticket);
        let later = self.held.split_off(&Ticket(self.durable.0 + 1));
        std::mem::replace(&mut self.held, later).into_values().flatten().collect()
    }

    /// The messages that wait, with whom they are for.
    pub fn messages(&self) -> impl Iterator<Item = (NodeId, &R::Message)> {
        self.held.values().flatten().filter_map(|effect| match effect {
            Effect::Send { to, message, .. } => Some((*to, message)),
            _ => None,
        })
    }
}

/// What a host gives every core, whatever the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// This node.
    pub id: NodeId,
    /// The cluster's first members, sorted and without duplicates; the same for every node, also
    /// for one that is to join later and is not among them.
    pub members: Vec<NodeId>,
    /// The seed of the core's randomness; different for each node and incarnation.
    pub seed: u64,
}

/// A protocol core; see the module's contract. A copy of one is a state to look at: steps that it takes have
/// no effect on the other.
pub trait Replica: Clone + Debug + Send + 'static {
    /// What peers say to each other.
    type Message: Clone + Debug + Serialize + DeserializeOwned + Send + 'static;
    /// What is written to disk.
    type Record: Clone + Debug + Serialize + DeserializeOwned + Send + 'static;
    /// The names of the timers.
    type Timer: Copy + Debug + Ord + Send + 'static;
    /// What the core tells whoever watches.
    type Note: Clone + Debug + Display + Send + 'static;
    /// The protocol's settings: timing, limits, a planted bug.
    type Options: Clone + Debug + Send + 'static;

    /// Starts an incarnation from what the disk holds, in the order of slots; an empty disk is a
    /// node that has never run. Effects of starting (the first timer) go to `out`.
    ///
    /// # Errors
    /// When the records cannot have been written by this protocol.
    fn recover(
        setup: Setup,
        options: Self::Options,
        disk: Vec<(Slot, Self::Record)>,
        now: Time,
        out: &mut Effects<Self>,
    ) -> Result<Self, RecoverError>;

    /// Takes one input at time `now` and says what to do about it.
    fn step(&mut self, now: Time, input: Input<Self>, out: &mut Effects<Self>);

    /// How the node sees itself and the cluster.
    fn status(&self) -> Status;

    /// How it stands, in so few numbers that situations can be counted. It is asked for after every
    /// step of a simulated run that is counted, and should neither allocate nor look far.
    fn outline(&self) -> Outline {
        Outline::of(&self.status())
    }

    /// What kind of message it is: two of a kind differ in what they carry, but not in what they are for.
    /// Situations are counted by it, as by the outline.
    fn kind(_message: &Self::Message) -> impl Hash {}

    /// Whether the protocol takes orders to add and remove members. One that does not refuses them as
    /// [`Refusal::Inapplicable`].
    fn changes_members() -> bool {
        false
    }

    /// Whether it takes orders to hand leadership over; likewise.
    fn hands_over() -> bool {
        false
    }

    /// Whether a note tells of what happens all the time, and is of no interest in a node's log.
    fn is_routine(_note: &Self::Note) -> bool {
        false
    }

    /// Where a node is reached that was not there when this one was set up, if the cluster has been
    /// told.
    fn address(&self, _node: NodeId) -> Option<&str> {
        None
    }
}

/// The disk holds something that the protocol cannot have written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored state does not make sense: {0}")]
pub struct RecoverError(pub String);

/// What a client asks of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// The current value of a key.
    Read(kv::Key),
    /// A change.
    Write(kv::Command),
    /// An operator's order to the cluster; done when [`kv::Output::Done`] comes back.
    Admin(Admin),
    /// A read or a write of a client that tells what it has seen of the key. Only clients that were
    /// told a context send one; a store that tells none refuses it, see [`Refusal::no_contexts`].
    Causal {
        /// What it has seen.
        context: kv::Context,
        /// What it asks for.
        request: Box<Request>,
    },
}

/// What an operator asks of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Admin {
    /// Let another node lead. Done when this one has stopped leading for it.
    Transfer {
        /// Who is to lead.
        to: NodeId,
    },
    /// Make a node a member.
    AddServer {
        /// The node.
        node: NodeId,
        /// The base URL under which the others reach it, where they have to be told.
        address: Option<Arc<str>>,
    },
    /// Make a node a member no longer.
    RemoveServer {
        /// The node.
        node: NodeId,
    },
}

/// What a client hears: the outcome, or why there is none.
pub type Reply = Result<kv::Output, Refusal>;

/// Why a store did not answer a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// Another node leads, or none does; the request was not taken up.
    #[error("this node does not lead{}", leader_hint(.leader))]
    NotLeader {
        /// Who leads, as far as this node knows.
        leader: Option<NodeId>,
    },
    /// The node led when it took the request up and does no longer: a write may still take effect.
    #[error("this node lost its leadership before it knew the outcome{}", leader_hint(.leader))]
    LostLeadership {
        /// Who leads now, as far as this node knows.
        leader: Option<NodeId>,
    },
    /// Too many requests are waiting; this one was not taken up.
    #[error("too many requests are waiting for an outcome")]
    Busy,
    /// No quorum was found in time for a request that needs one.
    #[error("{}", if *.proposed { "this was proposed, but no quorum is known to have chosen it" } else { "this was not proposed in time" })]
    NotChosen {
        /// Whether it changes something and was proposed, so that it may be chosen, or may be yet.
        proposed: bool,
    },
    /// This node is no member of the cluster; the request was not taken up.
    #[error("this node is no member of the cluster")]
    NotMember {
        /// One that is, as far as this node knows.
        member: Option<NodeId>,
    },
    /// The order cannot be carried out here, and was not begun.
    #[error("this cannot be done: {why}")]
    Inapplicable {
        /// Why not.
        why: String,
    },
    /// The order was begun and given up; it may have had a part of its effect, or have it yet.
    #[error("this was given up: {why}")]
    Unfinished {
        /// Why.
        why: String,
    },
}

fn leader_hint(leader: &Option<NodeId>) -> String {
    leader.map(|id| format!("; {id} does")).unwrap_or_default()
}

impl Refusal {
    /// What a store says that knows no contexts.
    pub fn no_contexts() -> Self {
        Refusal::Inapplicable { why: "this store knows no contexts".into() }
    }

    /// Whether a write that was refused like this certainly has not happened and never will.
    pub fn is_definite(&self) -> bool {
        match self {
            Refusal::NotLeader { .. }
            | Refusal::NotMember { .. }
            | Refusal::Busy
            | Refusal::Inapplicable { .. } => true,
            Refusal::NotChosen { proposed } => !proposed,
            Refusal::LostLeadership { .. } | Refusal::Unfinished { .. } => false,
        }
    }
}

/// What a node is within its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Takes requests and replicates them.
    Leader,
    /// Follows a leader, or waits for one.
    Follower,
    /// Asks the others for their vote.
    Candidate,
    /// Serves every request itself, like all the others: nobody leads.
    Peer,
}

/// How a node stands, in few numbers: of two that are equal the situation is the same. What a protocol
/// does not have stays zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Outline {
    /// What it is and does, each in a small number of the protocol's own: first its role, below 8, and
    /// then what two nodes need of each other to be told apart; how much is uncertain, fourth; what it
    /// counts on as time goes by, last.
    pub state: [u8; 9],
    /// What is compared between nodes, and with itself at another time: terms, ends of logs.
    pub ranks: [u64; 5],
}

impl Outline {
    /// As far as its status tells.
    pub fn of(status: &Status) -> Self {
        let Status { term, last_index, commit_index, snapshot_index, .. } = *status;
        let uncertain = last_index.saturating_sub(commit_index);
        let bare = commit_index.saturating_sub(snapshot_index);
        let led = status.leader.is_some();
        Outline {
            state: [status.role as u8, led.into(), 0, level(uncertain), level(bare), 0, 0, 0, 0],
            ranks: [term, 0, last_index, commit_index, 0],
        }
    }

    /// What others see of it first: its role and the two numbers after it.
    pub fn brief(&self) -> [u8; 3] {
        [self.state[0], self.state[1], self.state[2]]
    }

    /// What it counts on as time goes by, such as a lease.
    pub fn trust(&self) -> u8 {
        self.state[8]
    }
}

/// A number in rough: 0, 1, 2 to 3, 4 to 7 and so on, at most 6.
pub fn level(number: u64) -> u8 {
    (u64::BITS - number.leading_zeros()).min(6) as u8
}

/// How a node sees itself and the cluster; the body of `GET /status`. The counters start at zero
/// with each incarnation and only grow. What a protocol does not have, such as terms or a log, stays
/// zero, and the same at every node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The node.
    pub id: NodeId,
    /// What it is at the moment.
    pub role: Role,
    /// Its current term.
    pub term: u64,
    /// Who leads in that term, as far as it knows.
    pub leader: Option<NodeId>,
    /// The members that elect and commit, as far as it knows, in order.
    #[serde(default)]
    pub voters: Vec<NodeId>,
    /// The members that only get the log, in order.
    #[serde(default)]
    pub learners: Vec<NodeId>,
    /// The last entry that its snapshot covers; 0 if it has none.
    #[serde(default)]
    pub snapshot_index: u64,
    /// The last entry of its log.
    pub last_index: u64,
    /// The last entry it knows to be committed.
    pub commit_index: u64,
    /// The last entry it has applied to its state machine.
    pub applied_index: u64,
    /// Elections it has started itself.
    pub elections_started: u64,
    /// Elections it has won.
    pub elections_won: u64,
    /// How often it has seen a leader other than the one before, itself included.
    pub leader_changes: u64,
    /// Writes it has put into its log for clients.
    pub writes_proposed: u64,
    /// Reads it has answered.
    pub reads_served: u64,
    /// A digest of what it has, where that is to become the same at every node without anybody who
    /// leads: equal where the states are, and else almost never.
    #[serde(default)]
    pub digest: u64,
}

impl Status {
    /// Of a node where nobody leads and nothing has happened.
    pub fn of_peer(id: NodeId) -> Self {
        Status {
            id,
            role: Role::Peer,
            term: 0,
            leader: None,
            voters: Vec::new(),
            learners: Vec::new(),
            snapshot_index: 0,
            last_index: 0,
            commit_index: 0,
            applied_index: 0,
            elections_started: 0,
            elections_won: 0,
            leader_changes: 0,
            writes_proposed: 0,
            reads_served: 0,
            digest: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::Raft;

    fn reply(after: u64, to: u64) -> Effect<Raft> {
        Effect::Reply { after: Ticket(after), to: RequestId(to), reply: Err(Refusal::Busy) }
    }

    fn targets(effects: Vec<Effect<Raft>>) -> Vec<u64> {
        let target = |effect| match effect {
            Effect::Reply { to, .. } => to.0,
            other => panic!("{other:?} is no reply"),
        };
        effects.into_iter().map(target).collect()
    }

    #[test]
    fn the_gate_holds_back_what_is_not_durable() {
        let mut gate = Gate::default();
        assert!(gate.admit(reply(0, 1)).is_some(), "it waits for nothing");
        for (after, to) in [(2, 2), (1, 3), (3, 4), (2, 5)] {
            assert!(gate.admit(reply(after, to)).is_none());
        }
        assert_eq!(targets(gate.stored(Ticket(2))), [3, 2, 5], "by ticket, then by arrival");
        assert!(gate.admit(reply(2, 6)).is_some(), "what it waits for is durable");
        assert!(gate.stored(Ticket(1)).is_empty(), "an old report changes nothing");
        assert!(gate.admit(reply(2, 7)).is_some());
        assert_eq!(targets(gate.stored(Ticket(9))), [4]);
    }

    #[test]
    fn effects_wait_for_what_was_persisted_before_them() {
        let mut out = Effects::<Raft>::default();
        out.reply(RequestId(1), Err(Refusal::Busy));
        let ticket = out.persist(Vec::new());
        out.reply(RequestId(2), Err(Refusal::Busy));
        out.reply_at_once(RequestId(3), Err(Refusal::Busy));
        let afters: Vec<_> = out
            .drain()
            .filter_map(|effect| match effect {
                Effect::Reply { after, .. } => Some(after),
                _ => None,
            })
            .collect();
        assert_eq!(afters, [Ticket::NONE, ticket, Ticket::NONE]);
    }
}
