//! One node's part of a consistent snapshot of the whole cluster, taken while it runs.
//!
//! Chandy and Lamport, "Distributed Snapshots: Determining Global States of Distributed Systems",
//! 1985: a node records its state and sends a *marker* on every link; whoever hears of a snapshot for
//! the first time does the same, and what arrives on a link after that but was sent before the
//! marker was in the channel. Their links are first-in, first-out and lose nothing. Ours lose, repeat
//! and overtake, and nodes crash; so, with Lai and Yang ("On Distributed Snapshots", 1987) and Mattern
//! (1993):
//!
//! - every message carries the number of the latest snapshot that its sender has recorded, and whoever
//!   receives a greater number than its own records its state *before* it takes the message in: no
//!   overtaking lets a message from after the cut into a state from before it;
//! - a marker says how many messages were sent on its link before the cut, and messages are numbered; so
//!   the receiver knows which are still missing, and closes the channel when none is or when its
//!   *patience* is over. What is missing then is lost, or later than that: it is counted;
//! - markers are sent again until the other's has come, and answered when they ask for that;
//! - a message that the network has repeated is in the channel once, if it had not arrived before;
//! - a crash forgets what was recorded. Messages and markers carry their sender's incarnation, and a
//!   snapshot in whose making incarnations of one node are mixed is void ([`super::cut`] says so).
//!
//! What the core has said but its host holds back until the disk has it (see
//! [`crate::replica::Gate`]) belongs to the channel, too: [`Part::held`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Envelope;
use super::mutants::Bug;
use crate::clock::vector::Vector;
use crate::replica::{NodeId, Time};

/// How many gaps in the numbers of a link are kept in mind; the oldest beyond count as lost.
const GAPS_MAX: usize = 1024;

/// How a node takes its part in snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// How long after its marker a channel is closed though messages are missing.
    pub patience: Duration,
    /// After which time markers that were not answered are sent again.
    pub resend: Duration,
    /// A planted bug, if it is to be taken wrongly.
    pub bug: Option<Bug>,
}

impl Manner {
    /// How often a marker is sent again before its receiver is given up.
    const RESENDS: u32 = 200;
}

/// What a node tells its peers of its part in a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marker {
    /// The number of the snapshot.
    pub snapshot: u64,
    /// How often the sender had started.
    pub incarnation: u64,
    /// How many messages that incarnation had sent on this link before it recorded its state.
    pub sent: u64,
    /// Whether the sender lacks the receiver's marker.
    pub wants: bool,
}

/// What is recorded of a node at the moment of its cut.
#[derive(Clone, Debug)]
pub struct View<S, M> {
    /// Its state.
    pub state: S,
    /// What it has said and its host holds back, for whom.
    pub held: Vec<(NodeId, M)>,
}

/// One node's part of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part<S, M> {
    /// The number of the snapshot.
    pub snapshot: u64,
    /// The node.
    pub node: NodeId,
    /// How often it had started.
    pub incarnation: u64,
    /// When it recorded its state, on its own clock.
    pub at: Time,
    /// Its vector clock then, if it is traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<Vector>,
    /// Its state.
    pub state: S,
    /// What it had said then and its host held back, for whom.
    pub held: Vec<(NodeId, M)>,
    /// The links to this node, by who sends on them.
    pub channels: BTreeMap<NodeId, Channel<M>>,
}

/// What is known of a link to a node in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel<M> {
    /// The latest incarnation of the sender that the receiver had heard of before its own cut; 0 for none.
    pub heard: u64,
    /// The incarnations of the sender that have recorded its state, by what they sent afterwards; more
    /// than one if it crashed meanwhile.
    pub recorded_by: BTreeSet<u64>,
    /// The sender's marker, once it is there.
    pub marker: Option<Marked>,
    /// Whether nothing more is waited for.
    pub closed: bool,
    /// How many messages, sent before the cut, have not been seen: lost, or still under way.
    pub missing: u64,
    /// What was sent before the sender's cut and arrived after the receiver's.
    pub messages: Vec<InChannel<M>>,
}

/// What a marker said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marked {
    /// The sender's incarnation.
    pub incarnation: u64,
    /// How many messages that had sent on the link by its cut.
    pub sent: u64,
    /// When the marker came, on the receiver's clock.
    pub at: Time,
}

/// A message that was in a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InChannel<M> {
    /// The sender's incarnation.
    pub incarnation: u64,
    /// The number of the message on its link.
    pub number: u64,
    /// The message.
    pub message: M,
}

impl<M> Channel<M> {
    fn new(heard: u64) -> Self {
        Channel {
            heard,
            recorded_by: BTreeSet::new(),
            marker: None,
            closed: false,
            missing: 0,
            messages: Vec::new(),
        }
    }
}

impl<S, M> Part<S, M> {
    /// Whether nothing more is waited for on the links from these nodes.
    pub fn is_complete(&self, nodes: &[NodeId]) -> bool {
        let mut others = nodes.iter().filter(|node| **node != self.node);
        others.all(|node| self.channels.get(node).is_some_and(|channel| channel.closed))
    }

    /// The same with state and messages in another form; of a message it is said from whom it came, or
    /// nothing if it was held back here.
    pub fn map<T, N>(
        &self,
        state: impl FnOnce(&Self) -> T,
        message: impl Fn(&Self, Option<NodeId>, &M) -> N,
    ) -> Part<T, N> {
        let held = self.held.iter().map(|(to, held)| (*to, message(self, None, held))).collect();
        let channel = |(from, channel): (&NodeId, &Channel<M>)| {
            let in_channel = channel.messages.iter().map(|found| InChannel {
                incarnation: found.incarnation,
                number: found.number,
                message: message(self, Some(*from), &found.message),
            });
            let messages = in_channel.collect();
            let Channel { heard, marker, closed, missing, .. } = *channel;
            let recorded_by = channel.recorded_by.clone();
            let channel = Channel { heard, recorded_by, marker, closed, missing, messages };
            (*from, channel)
        };
        let channels = self.channels.iter().map(channel).collect();
        let Part { snapshot, node, incarnation, at, .. } = *self;
        let (clock, state) = (self.clock.clone(), state(self));
        Part { snapshot, node, incarnation, at, clock, state, held, channels }
    }
}

/// Which messages of a link have arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Heard {
    incarnation: u64,
    /// The highest number that has arrived.
    upto: u64,
    /// Lower ones that have not.
    gaps: BTreeSet<u64>,
    /// Whether anything may be under way of which these numbers do not tell: from before the receiver
    /// listened, or from an earlier incarnation of the sender.
    unsettled: bool,
}

impl Heard {
    /// Takes notice of a message; says whether it has not arrived before, as far as is known.
    fn take(&mut self, envelope: &Envelope) -> bool {
        if envelope.incarnation > self.incarnation {
            *self = Heard::of(envelope.incarnation);
        }
        if envelope.incarnation < self.incarnation {
            return true;
        }
        if envelope.number <= self.upto {
            return self.gaps.remove(&envelope.number);
        }
        // Of a longer gap, which only a link that was cut for long leaves, the rest counts as lost.
        let first = (self.upto + 1).max(envelope.number.saturating_sub(GAPS_MAX as u64));
        self.gaps.extend(first..envelope.number);
        while self.gaps.len() > GAPS_MAX {
            self.gaps.pop_first();
        }
        self.upto = envelope.number;
        true
    }

    fn of(incarnation: u64) -> Self {
        // A first incarnation has nothing before it.
        let unsettled = incarnation != 1;
        Heard { incarnation, upto: 0, gaps: BTreeSet::new(), unsettled }
    }

    /// How many up to this number have not arrived.
    fn missing(&self, sent: u64) -> u64 {
        self.gaps.range(..=sent).count() as u64 + sent.saturating_sub(self.upto)
    }

    /// Gives up what has not arrived up to this number.
    fn settle(&mut self, incarnation: u64, sent: u64) {
        if incarnation == self.incarnation {
            self.gaps = self.gaps.split_off(&(sent + 1));
            self.upto = self.upto.max(sent);
            self.unsettled = false;
        }
    }
}

/// Records one node's part of each snapshot; one lives as long as the node, and each incarnation
/// begins anew.
#[derive(Clone, Debug)]
pub struct Recorder<S, M> {
    node: NodeId,
    manner: Manner,
    incarnation: u64,
    peers: BTreeSet<NodeId>,
    /// The latest snapshot of which this incarnation has recorded its part.
    snapshot: u64,
    /// How many messages this incarnation has sent to each peer.
    sent: BTreeMap<NodeId, u64>,
    /// How many of them before its latest cut.
    sent_by_cut: BTreeMap<NodeId, u64>,
    heard: BTreeMap<NodeId, Heard>,
    part: Option<Part<S, M>>,
    resends: u32,
    next: Option<Time>,
    markers: Vec<(NodeId, Marker)>,
}

impl<S, M: Clone> Recorder<S, M> {
    /// Of a node that has not started.
    pub fn new(node: NodeId, manner: Manner) -> Self {
        Recorder {
            node,
            manner,
            incarnation: 0,
            peers: BTreeSet::new(),
            snapshot: 0,
            sent: BTreeMap::new(),
            sent_by_cut: BTreeMap::new(),
            heard: BTreeMap::new(),
            part: None,
            resends: 0,
            next: None,
            markers: Vec::new(),
        }
    }

    /// An incarnation begins; nothing of an earlier one is remembered.
    pub fn started(&mut self, incarnation: u64) {
        let peers = std::mem::take(&mut self.peers);
        *self = Recorder { incarnation, peers, ..Recorder::new(self.node, self.manner) };
    }

    /// Learns of a node that there are links to and from.
    pub fn meet(&mut self, peer: NodeId) {
        if peer != self.node {
            self.peers.insert(peer);
        }
    }

    /// The latest snapshot that this incarnation has its part in, or 0.
    pub fn snapshot(&self) -> u64 {
        self.snapshot
    }

    /// Its part of that snapshot.
    pub fn part(&self) -> Option<&Part<S, M>> {
        self.part.as_ref()
    }

    /// The markers to be sent now.
    pub fn take_markers(&mut self) -> Vec<(NodeId, Marker)> {
        std::mem::take(&mut self.markers)
    }

    /// When [`Recorder::tick`] has something to do, if ever.
    pub fn deadline(&self) -> Option<Time> {
        self.next
    }

    /// A message leaves: what is to be written on its envelope.
    pub fn sent(&mut self, to: NodeId) -> Envelope {
        self.meet(to);
        let number = self.sent.entry(to).or_insert(0);
        *number += 1;
        let number = *number;
        let late = self.bug(Bug::MarkerLate) && self.resends == 0 && self.part.is_some();
        let snapshot = if late { 0 } else { self.snapshot };
        Envelope { incarnation: self.incarnation, number, snapshot, clock: None }
    }

    /// Whether a message has to wait until the node's part is recorded; see [`Recorder::record`].
    pub fn is_news(&self, snapshot: u64) -> bool {
        snapshot > self.snapshot
    }

    /// Records the node's state as its part of a snapshot, and puts up markers for all peers.
    pub fn record(&mut self, now: Time, snapshot: u64, view: View<S, M>, clock: Option<Vector>) {
        self.snapshot = snapshot;
        self.sent_by_cut = self.sent.clone();
        let channel = |peer: &NodeId| {
            let heard = self.heard.get(peer).map_or(0, |heard| heard.incarnation);
            (*peer, Channel::new(heard))
        };
        let channels = self.peers.iter().map(channel).collect();
        let (node, incarnation) = (self.node, self.incarnation);
        let View { state, held } = view;
        let part = Part { snapshot, node, incarnation, at: now, clock, state, held, channels };
        self.part = Some(part);
        self.resends = 0;
        self.next = Some(now + self.manner.resend);
        if !self.bug(Bug::MarkerLate) {
            self.ask_for_markers();
        }
    }

    /// Sends markers to all whose own have not come.
    fn ask_for_markers(&mut self) {
        let Some(part) = &self.part else { return };
        let lacks = |(_, channel): &(&NodeId, &Channel<M>)| channel.marker.is_none();
        let lacking: Vec<NodeId> =
            part.channels.iter().filter(lacks).map(|(peer, _)| *peer).collect();
        for peer in lacking {
            self.mark(peer, true);
        }
    }

    fn mark(&mut self, to: NodeId, wants: bool) {
        let sent = if self.bug(Bug::MarkerLate) { &self.sent } else { &self.sent_by_cut };
        let sent = sent.get(&to).copied().unwrap_or(0);
        let (snapshot, incarnation) = (self.snapshot, self.incarnation);
        self.markers.push((to, Marker { snapshot, incarnation, sent, wants }));
    }

    /// A message arrives, which is no news (see [`Recorder::is_news`]); one without an envelope is from
    /// before its sender was watched.
    pub fn received(&mut self, now: Time, from: NodeId, envelope: Option<&Envelope>, message: &M) {
        let (incarnation, number, snapshot) =
            envelope.map_or((0, 0, 0), |found| (found.incarnation, found.number, found.snapshot));
        let first = envelope.is_none_or(|envelope| {
            let own = self.incarnation;
            let heard = self.heard.entry(from).or_insert_with(|| {
                let heard = Heard::of(incarnation);
                Heard { unsettled: heard.unsettled || own != 1 || number != 1, ..heard }
            });
            heard.take(envelope)
        });
        self.meet(from);
        let forgets = self.bug(Bug::ChannelForgotten);
        let Some(part) = &mut self.part else { return };
        let channel = part.channels.entry(from).or_insert_with(|| Channel::new(0));
        let before_cut = snapshot < part.snapshot
            && channel.marker.is_none_or(|marker| incarnation <= marker.incarnation);
        if snapshot == part.snapshot {
            channel.recorded_by.insert(incarnation);
        }
        if first && before_cut && !channel.closed && !forgets {
            channel.messages.push(InChannel { incarnation, number, message: message.clone() });
        }
        self.close(now, from);
    }

    /// A peer's marker arrives, which is no news.
    pub fn marked(&mut self, now: Time, from: NodeId, marker: Marker) {
        self.meet(from);
        let Some(part) = &mut self.part else { return };
        if marker.snapshot == part.snapshot {
            let channel = part.channels.entry(from).or_insert_with(|| Channel::new(0));
            channel.recorded_by.insert(marker.incarnation);
            if channel.marker.is_none() {
                let Marker { incarnation, sent, .. } = marker;
                channel.marker = Some(Marked { incarnation, sent, at: now });
                // A later incarnation has not sent before that cut.
                channel.messages.retain(|found| found.incarnation <= marker.incarnation);
                self.close(now, from);
            }
        }
        if marker.wants {
            self.mark(from, false);
        }
    }

    /// Closes a channel if nothing more is to be waited for.
    fn close(&mut self, now: Time, from: NodeId) {
        let patience = self.manner.patience;
        let Some(part) = &mut self.part else { return };
        let Some(channel) = part.channels.get_mut(&from).filter(|channel| !channel.closed) else {
            return;
        };
        let Some(Marked { incarnation, sent, at }) = channel.marker else { return };
        let heard = self.heard.get_mut(&from);
        let known = heard.as_ref().filter(|heard| heard.incarnation == incarnation);
        let unsettled = match &known {
            Some(heard) => heard.unsettled,
            None => (self.incarnation, incarnation) != (1, 1),
        };
        channel.missing = known.map_or(sent, |heard| heard.missing(sent));
        let is_over = now >= at + patience;
        if is_over || (channel.missing == 0 && !unsettled) {
            channel.closed = true;
            if let Some(heard) = heard {
                heard.settle(incarnation, sent);
            }
        }
    }

    /// Does what is due: asks again for markers that have not come, and closes channels for which the
    /// patience is over.
    pub fn tick(&mut self, now: Time) {
        if self.next.is_none_or(|next| now < next) {
            return;
        }
        let Some(part) = &self.part else { return };
        let open: Vec<NodeId> = part
            .channels
            .iter()
            .filter(|(_, channel)| !channel.closed)
            .map(|(peer, _)| *peer)
            .collect();
        for peer in &open {
            self.close(now, *peer);
        }
        self.ask_for_markers();
        self.resends += 1;
        let goes_on = !open.is_empty() && self.resends < Manner::RESENDS;
        self.next = goes_on.then(|| now + self.manner.resend);
    }

    /// The bug of a state that is recorded late: whether this is when it is.
    pub fn records_late(&self, now: Time) -> bool {
        let first = self.resends == 0 && self.next.is_some_and(|next| now >= next);
        self.bug(Bug::StateLate) && first
    }

    /// Replaces the state that was recorded.
    pub fn record_late(&mut self, view: View<S, M>) {
        if let Some(part) = &mut self.part {
            (part.state, part.held) = (view.state, view.held);
        }
    }

    fn bug(&self, bug: Bug) -> bool {
        self.manner.bug == Some(bug)
    }
}
