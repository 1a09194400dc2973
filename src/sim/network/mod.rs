//! The network between the nodes: which links are closed, and what becomes of a message.

mod links;

use std::collections::BTreeMap;
use std::fmt::Debug;

use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use rashomon_nemesis::{Grudge, Trouble};
use rashomon_stores::observe::Envelope;
use rashomon_stores::replica::NodeId;

use serde::Serialize;

use self::links::{Links, Passage};
use super::climate::{Chance, Climate};
use super::situations::Standing;

/// How many times as long as usual a message takes on each directed link; drawn when the first
/// one is sent there.
#[derive(Debug, Default)]
struct Distances(BTreeMap<(NodeId, NodeId), u64>);

impl Distances {
    fn of(&mut self, from: NodeId, to: NodeId, most: u32, rng: &mut ChaCha8Rng) -> u64 {
        if most <= 1 {
            return 1;
        }
        // Most links are fast.
        let draw = || if rng.random_bool(0.7) { 1 } else { rng.random_range(2..=most).into() };
        *self.0.entry((from, to)).or_insert_with(draw)
    }
}

/// What the network did to messages, over a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Traffic {
    /// Messages that nodes sent each other.
    pub sent: u64,
    /// Messages that arrived at a node that was up, copies included.
    pub delivered: u64,
    /// Messages lost at random.
    pub lost: u64,
    /// Messages that were sent on twice.
    pub duplicated: u64,
    /// Messages that were held for long at random.
    pub held: u64,
    /// Messages lost in a cut, or in what else a schedule did to a link.
    pub stopped: u64,
    /// Messages that waited for a held link to open.
    pub waited: u64,
    /// Messages that a slow or narrow link delayed.
    pub slowed: u64,
}

impl Traffic {
    /// Adds what another run saw.
    pub(super) fn add(&mut self, other: Traffic) {
        self.sent += other.sent;
        self.delivered += other.delivered;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.held += other.held;
        self.stopped += other.stopped;
        self.waited += other.waited;
        self.slowed += other.slowed;
    }
}

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Letter<M> {
    pub(super) message: M,
    /// Only if nodes are observed.
    pub(super) envelope: Option<Box<Envelope>>,
    /// How it was when it was sent; only if situations are counted.
    pub(super) sending: Option<Box<Standing>>,
}

/// What becomes of a message that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It arrives after so many nanoseconds, and perhaps once more.
    Arrives(u64, Option<u64>),
    /// It does not arrive.
    Lost,
    /// It waits for the network to heal.
    Waits,
}

/// Somebody who takes the place of the climate: decides what becomes of messages by what they say,
/// and may count them.
pub(super) trait Courier<M>: Debug {
    /// Takes a message that is sent, and says what becomes of it if no closed link stops it.
    fn take(&mut self, message: &M, rng: &mut ChaCha8Rng) -> Fate;

    /// A message arrives at a node that is up.
    fn delivered(&mut self, to: NodeId, message: &M);
}

/// The network.
#[derive(Debug)]
pub(super) struct Network<M> {
    rng: ChaCha8Rng,
    courier: Option<Box<dyn Courier<M>>>,
    distances: Distances,
    links: Links,
    /// Messages that wait for their link to open, in the order of sending.
    waiting: Vec<(NodeId, NodeId, Letter<M>)>,
    pub(super) traffic: Traffic,
}

impl<M: Serialize> Network<M> {
    /// A network without closed links.
    pub(super) fn new(rng: ChaCha8Rng) -> Self {
        let (links, distances) = (Links::default(), Distances::default());
        let (waiting, traffic) = (Vec::new(), Traffic::default());
        Network { rng, courier: None, distances, links, waiting, traffic }
    }

    /// Draws from another stream from now on.
    pub(super) fn change_luck(&mut self, rng: ChaCha8Rng) {
        self.rng = rng;
    }

    /// Hands all messages from now on to a courier.
    pub(super) fn employ(&mut self, courier: Box<dyn Courier<M>>) {
        self.courier = Some(courier);
    }

    /// Lets this be wrong with these links from now on.
    pub(super) fn strike(&mut self, trouble: Trouble, grudge: &Grudge, now: u64) {
        self.links.strike(trouble, grudge, now);
    }

    /// Whether a link between two nodes is closed, either way.
    pub(super) fn is_parted(&self, one: NodeId, other: NodeId) -> bool {
        !self.is_open(one, other) || !self.is_open(other, one)
    }

    /// Opens every link and gives back what waited.
    pub(super) fn heal(&mut self) -> Vec<(NodeId, NodeId, Letter<M>)> {
        self.links = Links::default();
        std::mem::take(&mut self.waiting)
    }

    /// Whether a message that is about to arrive does; a cut also takes what is on its way.
    pub(super) fn lets_in(&mut self, from: NodeId, to: NodeId) -> bool {
        let open = !self.links.cuts(from, to);
        self.traffic.stopped += u64::from(!open);
        open
    }

    /// Whether a message that is about to arrive has to wait: a hold also stops what is on its way.
    pub(super) fn holds(&self, from: NodeId, to: NodeId) -> bool {
        self.links.holds(from, to)
    }

    /// Whether nothing stops messages of a link.
    pub(super) fn is_open(&self, from: NodeId, to: NodeId) -> bool {
        !self.links.cuts(from, to) && !self.links.holds(from, to)
    }

    /// Keeps a message until its link opens.
    pub(super) fn keep(&mut self, from: NodeId, to: NodeId, letter: Letter<M>) {
        self.traffic.waited += 1;
        self.waiting.push((from, to, letter));
    }

    /// Counts a message that arrives at a node that is up.
    pub(super) fn delivered(&mut self, to: NodeId, message: &M) {
        self.traffic.delivered += 1;
        if let Some(courier) = &mut self.courier {
            courier.delivered(to, message);
        }
    }

    /// Decides what becomes of a message.
    pub(super) fn send(
        &mut self,
        (from, to): (NodeId, NodeId),
        message: &M,
        now: u64,
        climate: &Climate,
    ) -> Fate {
        self.traffic.sent += 1;
        let taken = self.courier.as_mut().map(|courier| courier.take(message, &mut self.rng));
        let longer = match self.links.pass((from, to), message, now, &mut self.rng) {
            Passage::Open(longer) => longer,
            Passage::Waits => return Fate::Waits,
            Passage::Lost => {
                self.traffic.stopped += 1;
                return Fate::Lost;
            }
        };
        if let Some(fate) = taken {
            return fate;
        }
        let bits = self.rng.next_u64();
        // Three chances out of one draw.
        let happens = |shift: u32, chance: Chance| chance.happens((bits >> shift) as u16);
        if happens(0, climate.loss) {
            self.traffic.lost += 1;
            return Fate::Lost;
        }
        let distance = self.distances.of(from, to, climate.uneven, &mut self.rng);
        let mut delay = climate.latency.draw(&mut self.rng) * distance + longer;
        self.traffic.slowed += u64::from(longer > 0);
        if happens(16, climate.holding) {
            self.traffic.held += 1;
            delay += self.rng.random_range(0..=climate.held_max);
        }
        let copy = happens(32, climate.duplication)
            .then(|| climate.latency.draw(&mut self.rng) * distance);
        self.traffic.duplicated += u64::from(copy.is_some());
        Fate::Arrives(delay, copy)
    }

    /// What becomes of a request of a client or the answer to it. They travel on a connection, so
    /// they arrive once; a connection seldom breaks. Clients are near the nodes, however far these
    /// are from each other.
    pub(super) fn send_to_client(&mut self, climate: &Climate) -> Option<u64> {
        let bits = self.rng.next_u64();
        let lost = bits & 0xf == 0 && climate.loss.happens((bits >> 16) as u16);
        (!lost).then(|| climate.latency.near().draw(&mut self.rng))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);

    fn network() -> Network<u8> {
        Network::new(ChaCha8Rng::seed_from_u64(1))
    }

    fn one_way(from: u16, to: u16) -> Grudge {
        [(rashomon_nemesis::Node(from), rashomon_nemesis::Node(to))].into_iter().collect()
    }

    #[test]
    fn a_cut_is_of_one_direction_and_also_takes_what_is_on_its_way() {
        let mut network = network();
        network.strike(Trouble::Cut, &one_way(1, 2), 0);
        assert_eq!(network.send((A, B), &1, 0, &Climate::FAIR), Fate::Lost);
        assert!(!network.lets_in(A, B));
        assert!(matches!(network.send((B, A), &1, 0, &Climate::FAIR), Fate::Arrives(_, None)));
        assert!(network.lets_in(B, A));
        assert_eq!(network.traffic.stopped, 2);
        network.heal();
        assert!(network.lets_in(A, B));
    }

    #[test]
    fn what_is_held_comes_out_in_order_when_the_network_heals() {
        let mut network = network();
        network.strike(Trouble::Hold, &one_way(2, 1), 0);
        for message in 1..=3 {
            assert_eq!(network.send((B, A), &1, 0, &Climate::FAIR), Fate::Waits);
            network.keep(B, A, Letter { message, envelope: None, sending: None });
        }
        let messages: Vec<u8> = network.heal().into_iter().map(|(_, _, it)| it.message).collect();
        assert_eq!(messages, [1, 2, 3]);
        assert!(matches!(network.send((B, A), &1, 0, &Climate::FAIR), Fate::Arrives(_, None)));
        assert!(network.heal().is_empty());
    }

    #[test]
    fn chances_come_true_as_often_as_they_say() {
        let mut network = network();
        let chance = Chance::in_10_000(2_500);
        let climate =
            Climate { loss: chance, duplication: chance, holding: chance, ..Climate::FAIR };
        for _ in 0..10_000 {
            network.send((A, B), &1, 0, &climate);
        }
        let Traffic { sent, lost, duplicated, held, .. } = network.traffic;
        assert_eq!(sent, 10_000);
        assert!((2_300..2_700).contains(&lost), "{lost} lost");
        for some in [duplicated, held] {
            assert!((1_700..2_050).contains(&some), "{some} of the three quarters that arrive");
        }
    }
}
