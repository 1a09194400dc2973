//! Delay: packets that wait in a queue of the kernel until this process lets them go.
//!
//! A rule of iptables in the sender's host gives every packet for a slow link to `NFQUEUE`; a thread
//! here hears of it and answers when its time has come, in order. That needs no packet scheduler
//! (netem is often absent) and no root in a sandbox. If the thread ends, packets pass at once
//! (`--queue-bypass`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use nfq::{Message, Queue, Verdict};

use super::network::Network;
use super::switch::Link;
use super::tool::{Call, IPTABLES};
use super::{CONTROL, HostsError};

/// How often queues are looked into while any packet may come: packets are late by so much at most.
const TICK: Duration = Duration::from_millis(1);
/// How many packets of one link wait at most; more are lost, as by a full buffer.
const ROOM: u32 = 4096;
/// As many bytes of a packet as are looked at: only its length is asked for.
const GLANCE: u16 = 20;

/// The slow links of a network, and the thread that holds their packets back.
#[derive(Debug)]
pub(super) struct Delays {
    network: Network,
    desk: Option<(Sender<Order>, JoinHandle<()>)>,
    /// What was held back on each link that ever was slow, since all were released.
    held: BTreeMap<Link, Arc<AtomicU64>>,
    /// The links whose packets are given to a queue now.
    ruled: BTreeSet<Link>,
}

/// What the thread is told.
enum Order {
    /// Packets of this link come from this queue.
    Open(Link, Box<Slow>),
    /// They wait so long each, or if it is not said how long, until all are released.
    Wait(Link, Option<Duration>),
    /// Every packet goes, and none waits any more.
    Release,
}

impl Delays {
    /// No link is slow yet.
    pub(super) fn new(network: Network) -> Self {
        let (held, ruled) = (BTreeMap::new(), BTreeSet::new());
        Delays { network, desk: None, held, ruled }
    }

    /// Holds the packets of these links back from now on: so long each, or until all are released.
    pub(super) async fn hold(
        &mut self,
        links: impl Iterator<Item = Link>,
        long: Option<Duration>,
    ) -> Result<(), HostsError> {
        for link in links {
            if !self.held.contains_key(&link) {
                let slow = Slow::open(self.network, link)?;
                self.held.insert(link, Arc::clone(&slow.held));
                self.order(Order::Open(link, Box::new(slow)))?;
            }
            self.order(Order::Wait(link, long))?;
            if !self.ruled.contains(&link) {
                self.ruled.insert(link);
                Spot::of(self.network, link).rule()?.wait().await?;
            }
        }
        Ok(())
    }

    /// Lets every packet go, and holds none back any more.
    pub(super) async fn release(&mut self) -> Result<(), HostsError> {
        let mut result = Ok(());
        // Whatever becomes of the rules, the packets go.
        if self.desk.is_some() {
            result = self.order(Order::Release);
        }
        for held in self.held.values() {
            held.store(0, Ordering::Relaxed);
        }
        while let Some(link) = self.ruled.pop_first() {
            let spot = Spot::of(self.network, link);
            let flushed =
                Call::within(&spot.host, IPTABLES, ["-w", "-F", spot.chain])?.wait().await;
            result = result.and(flushed.map(drop));
        }
        result
    }

    /// How many bytes were held back on a link since all were released.
    pub(super) fn held(&self, link: Link) -> u64 {
        self.held.get(&link).map_or(0, |held| held.load(Ordering::Relaxed))
    }

    fn order(&mut self, order: Order) -> Result<(), HostsError> {
        let failed = |said: String| HostsError::failed("the thread that delays packets", said);
        if self.desk.is_none() {
            let (sender, receiver) = channel();
            let thread = Builder::new().name("delay".to_owned()).spawn(move || serve(&receiver));
            self.desk = Some((sender, thread.map_err(|error| failed(error.to_string()))?));
        }
        match &self.desk {
            Some((orders, _)) if orders.send(order).is_ok() => Ok(()),
            _ => Err(failed("it has ended".to_owned())),
        }
    }
}

impl Drop for Delays {
    /// Ends the thread, which closes its queues: an open one keeps its namespace alive.
    fn drop(&mut self) {
        if let Some((orders, thread)) = self.desk.take() {
            // It ends when nobody can order anything any more.
            drop(orders);
            let _ = thread.join();
        }
    }
}

/// Where a link's packets are met: on their way out of the sender, but for those from the control
/// side, which has no namespace of ours; they are met on their way in.
struct Spot {
    host: String,
    chain: &'static str,
    side: &'static str,
    peer: String,
    queue: u16,
}

impl Spot {
    fn of(network: Network, (from, to): Link) -> Self {
        let (host, chain, side, peer, queue) = match from {
            CONTROL => (to, "INPUT", "-s", from, from.0 + 256),
            _ => (from, "OUTPUT", "-d", to, to.0),
        };
        let peer = network.address(peer).to_string();
        Spot { host: network.host(host), chain, side, peer, queue }
    }

    /// What adds the rule that gives them to the queue.
    fn rule(&self) -> Result<Call, HostsError> {
        let queue = self.queue.to_string();
        let rule = ["-A", self.chain, self.side, &self.peer, "-j", "NFQUEUE"];
        let rule = rule.into_iter().chain(["--queue-num", &queue, "--queue-bypass"]);
        Call::within(&self.host, IPTABLES, ["-w"].into_iter().chain(rule))
    }
}

/// A link's queue, and the packets that wait in it.
struct Slow {
    queue: Queue,
    held: Arc<AtomicU64>,
    /// Whether packets wait now, and for how long if not until they are released.
    waits: Option<Option<Duration>>,
    /// In order of arrival, each with its time; none if it is not known yet.
    waiting: VecDeque<(Option<Instant>, Message)>,
}

impl Slow {
    fn open(network: Network, link: Link) -> Result<Self, HostsError> {
        let spot = Spot::of(network, link);
        let number = spot.queue;
        let queue = Network::within(&spot.host, move || {
            let mut queue = Queue::open()?;
            queue.bind(number)?;
            queue.set_copy_range(number, GLANCE)?;
            queue.set_queue_max_len(number, ROOM)?;
            queue.set_nonblocking(true);
            Ok::<_, io::Error>(queue)
        })?;
        let refused = |error: io::Error| {
            let said = format!("{error}; the kernel needs NETFILTER_NETLINK_QUEUE");
            HostsError::failed("opening a queue of packets", said)
        };
        let queue = queue.map_err(refused)?;
        Ok(Slow { queue, held: Arc::default(), waits: None, waiting: VecDeque::new() })
    }

    /// Takes what has come, and lets go what is due. Errors are not told: a packet whose verdict is
    /// lost is lost, and will be sent again.
    fn turn(&mut self) {
        while let Ok(message) = self.queue.recv() {
            let now = Instant::now();
            let due = match self.waits {
                None => Some(now),
                Some(long) => {
                    let length = message.get_original_len() as u64;
                    self.held.fetch_add(length, Ordering::Relaxed);
                    long.map(|long| now + long)
                }
            };
            self.waiting.push_back((due, message));
        }
        let now = Instant::now();
        while self.waiting.front().is_some_and(|(due, _)| due.is_some_and(|due| due <= now)) {
            self.pass();
        }
    }

    /// Lets the first go.
    fn pass(&mut self) {
        if let Some((_, mut message)) = self.waiting.pop_front() {
            message.set_verdict(Verdict::Accept);
            let _ = self.queue.verdict(message);
        }
    }
}

/// What the thread does until nobody can order anything any more.
fn serve(orders: &Receiver<Order>) {
    let mut links: BTreeMap<Link, Slow> = BTreeMap::new();
    loop {
        let active = links.values().any(|slow| slow.waits.is_some() || !slow.waiting.is_empty());
        let order = match active {
            true => orders.recv_timeout(TICK),
            false => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match order {
            Ok(Order::Open(link, slow)) => {
                links.insert(link, *slow);
            }
            Ok(Order::Wait(link, long)) => {
                if let Some(slow) = links.get_mut(&link) {
                    slow.waits = Some(long);
                }
            }
            Ok(Order::Release) => {
                for slow in links.values_mut() {
                    slow.waits = None;
                    slow.turn();
                    while !slow.waiting.is_empty() {
                        slow.pass();
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        for slow in links.values_mut() {
            slow.turn();
        }
    }
}
