//! The labs' network: what becomes of a message by the rules of the tests, and how many there were.
//!
//! The tests speak of remote procedure calls; here each half of a call is a message by itself, and
//! may be lost or late by itself. A call is counted where it is dispatched, at its receiver.

use std::cell::RefCell;
use std::rc::Rc;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rashomon_stores::raft::log::Entry;
use rashomon_stores::raft::message::{Body, Message};
use rashomon_stores::replica::NodeId;

use super::MILLISECOND;
use crate::sim::climate::Climate;
use crate::sim::network::{Courier, Fate};

/// How the network treats messages, and what it counted.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// Whether messages are lost and late.
    pub(super) unreliable: bool,
    /// Whether most answers are held for long.
    pub(super) reordering: bool,
    /// Calls dispatched so far at each node.
    pub(super) calls: Vec<u64>,
    /// The size of all that was delivered, in bytes.
    pub(super) bytes: u64,
}

/// A message or its answer is lost with this chance, on an unreliable network.
pub(super) const LOSS: f64 = 0.1;

/// The longest delay of a message on an unreliable network, in nanoseconds.
pub(super) const DELAY_MAX: u64 = 26 * MILLISECOND;

impl Rules {
    /// A network of so many nodes.
    pub(super) fn new(nodes: usize, unreliable: bool) -> Self {
        Rules { unreliable, reordering: false, calls: vec![0; nodes], bytes: 0 }
    }
}

/// The network's side of the rules that a test changes as it goes.
#[derive(Debug)]
pub(super) struct LabCourier(pub(super) Rc<RefCell<Rules>>);

impl Courier<Message> for LabCourier {
    fn take(&mut self, message: &Message, rng: &mut ChaCha8Rng) -> Fate {
        let rules = self.0.borrow();
        if rules.unreliable && rng.random_bool(LOSS) {
            return Fate::Lost;
        }
        let mut delay = Climate::FAIR.latency.draw(rng);
        if rules.unreliable && message.body.wants_an_answer() {
            delay += rng.random_range(0..=DELAY_MAX);
        }
        if rules.reordering && !message.body.wants_an_answer() && rng.random_range(0..900) < 600 {
            let longest = rng.random_range(1..=2_000);
            delay += (200 + rng.random_range(0..longest)) * MILLISECOND;
        }
        Fate::Arrives(delay, None)
    }

    fn delivered(&mut self, to: NodeId, message: &Message) {
        let mut rules = self.0.borrow_mut();
        rules.calls[usize::from(to.0) - 1] += u64::from(message.body.wants_an_answer());
        rules.bytes += size(message);
    }
}

/// The size of a message: what it carries, and as much for the rest as an entry has beside its
/// command.
fn size(message: &Message) -> u64 {
    const REST: usize = 64;
    let carried = match &message.body {
        Body::Append { entries, .. } => entries.iter().map(Entry::size).sum(),
        Body::InstallSnapshot { chunk, .. } => chunk.text.len(),
        _ => 0,
    };
    (REST + carried) as u64
}
