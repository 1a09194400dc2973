//! Link proxies: one userspace TCP relay for each directed link between two nodes, which can lose
//! or hold back whatever passes over it, without root.
//!
//! Nodes are told their peers' proxy addresses in place of the real ones, so the connections that
//! `n1` opens towards `n2` are the link n1→n2, whose two byte directions share its fate. Peers that
//! send each message over their own link and wait for nothing but an empty acknowledgement can so
//! be cut in one direction alone. The idea is Toxiproxy's; one relay for each ordered pair and the
//! counts of what ran into a cut are what a tester needs beyond it: *a cut that no message ran into
//! did not bite*.

mod relay;
mod valve;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::grudge::Grudge;
use crate::nodes::Node;
use crate::trouble::Trouble;
use relay::Relay;
use valve::Valve;

pub use valve::Counters;

/// What went wrong with a link proxy.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No port could be had on 127.0.0.1.
    #[error("no proxy for the link {from} -> {to}: cannot listen on 127.0.0.1: {source}")]
    Listen {
        /// The link's sender.
        from: Node,
        /// The link's receiver.
        to: Node,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no such link.
    #[error("there is no link {from} -> {to}")]
    Unknown {
        /// The link's sender.
        from: Node,
        /// The link's receiver.
        to: Node,
    },
}

/// What ran into a cut or held link since it was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bite {
    /// The link's sender.
    pub from: Node,
    /// The link's receiver.
    pub to: Node,
    /// Connections that were open when it was cut, and were reset.
    pub severed: u64,
    /// Connections attempted while it was closed.
    pub connections: u64,
    /// Bytes sent while it was closed or slow: lost if it was cut; late if it was slow or held, and in
    /// the last case only those that were already taken from the sender.
    pub bytes: u64,
}

impl Bite {
    /// Whether anything was sent that did not arrive at once. Severed connections alone are no
    /// bite: they may have been idle.
    pub fn bit(&self) -> bool {
        self.connections > 0 || self.bytes > 0
    }
}

/// One link: its valve, and the task that serves it.
#[derive(Debug)]
struct Link {
    address: SocketAddr,
    valve: Valve,
    /// The counters when the link was last closed.
    before: Counters,
    task: JoinHandle<()>,
}

/// The proxies of every directed link between some nodes. Dropping them closes every port and
/// connection.
#[derive(Debug)]
pub struct Links {
    links: BTreeMap<(Node, Node), Link>,
    upstreams: BTreeMap<Node, watch::Sender<Option<SocketAddr>>>,
}

impl Links {
    /// Listens on a free port of 127.0.0.1 for every ordered pair of these nodes. Must be called
    /// within a tokio runtime with I/O enabled, which then serves the links.
    ///
    /// # Errors
    /// When a port cannot be had.
    pub async fn open(nodes: impl IntoIterator<Item = Node>) -> Result<Self, LinkError> {
        let mut links = Links { links: BTreeMap::new(), upstreams: BTreeMap::new() };
        for node in nodes {
            links.add(node).await?;
        }
        Ok(links)
    }

    /// The same for one more node: its links to all others, and theirs to it. Nothing is wrong with
    /// them, whatever is with the rest.
    ///
    /// # Errors
    /// When a port cannot be had.
    pub async fn add(&mut self, node: Node) -> Result<(), LinkError> {
        let others: Vec<Node> = self.upstreams.keys().copied().filter(|it| *it != node).collect();
        self.upstreams.entry(node).or_insert_with(|| watch::Sender::new(None));
        for other in others {
            for (from, to) in [(node, other), (other, node)] {
                let link = self.link(from, to).await?;
                self.links.entry((from, to)).or_insert(link);
            }
        }
        Ok(())
    }

    /// Closes every link from and to a node that has ended for good.
    pub fn remove(&mut self, node: Node) {
        self.upstreams.remove(&node);
        // A relay ends when its valve is gone.
        self.links.retain(|(from, to), _| *from != node && *to != node);
    }

    async fn link(&self, from: Node, to: Node) -> Result<Link, LinkError> {
        let failed = |source| LinkError::Listen { from, to, source };
        let upstream = self.upstreams.get(&to).ok_or(LinkError::Unknown { from, to })?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let valve = Valve::new();
        let relay = Relay::new(valve.tap(), upstream.subscribe());
        let task = tokio::spawn(relay.serve(listener));
        Ok(Link { address, valve, before: Counters::default(), task })
    }

    /// Where `from` must connect to reach each of its peers.
    pub fn peers(&self, from: Node) -> impl Iterator<Item = (Node, SocketAddr)> {
        self.links
            .range((from, Node(0))..=(from, Node(u16::MAX)))
            .map(|((_, to), link)| (*to, link.address))
    }

    /// Where `node` really listens, now or from now on. Connections already open stay where they
    /// are. Until it is known, connections to the node are reset.
    pub fn set_upstream(&self, node: Node, address: SocketAddr) {
        if let Some(upstream) = self.upstreams.get(&node) {
            upstream.send_replace(Some(address));
        }
    }

    /// Lets this be wrong with these links from now on; adds to what is wrong already, and of two
    /// troubles of a kind the last counts.
    ///
    /// - *Cut*: no byte passes once this returns. Open connections are reset, new ones accepted and
    ///   never answered.
    /// - *Hold*: everything is kept back, to be delivered when healed: senders see a peer that stops
    ///   reading. A link that is cut stays cut.
    /// - *Slow*: each piece takes between half and one and a half times as much longer, in order.
    /// - *Lose*: each piece may be lost, and waits for its retransmission, longer each time; lost too
    ///   often running, the connection is reset.
    /// - *Limit*: what passes, on all connections together, passes in small pieces at this rate.
    /// - *Reset*: half of the next piece passes, then its connection is reset.
    /// - *Strand*: connections that are open are reset at the receiver's end alone; what the sender says
    ///   on them is lost, and nobody answers.
    ///
    /// # Errors
    /// When there is no such link; then nothing is done.
    pub fn strike(&mut self, trouble: Trouble, grudge: &Grudge) -> Result<(), LinkError> {
        if let Some((from, to)) = grudge.links().find(|link| !self.links.contains_key(link)) {
            return Err(LinkError::Unknown { from, to });
        }
        for pair in grudge.links() {
            if let Some(link) = self.links.get_mut(&pair) {
                if link.valve.is_well() {
                    link.before = link.valve.counters();
                }
                link.valve.strike(trouble);
            }
        }
        Ok(())
    }

    /// What has run into each link with which something is wrong now.
    pub fn bites(&self) -> Vec<Bite> {
        let unwell = self.links.iter().filter(|(_, link)| !link.valve.is_well());
        unwell.map(|(pair, link)| link.bite(*pair)).collect()
    }

    /// Opens every link: what was held is delivered, what connected into a cut is reset so that it
    /// may connect anew. Returns what had run into each link that was closed.
    pub fn heal(&mut self) -> Vec<Bite> {
        let mut bites = Vec::new();
        for (pair, link) in &self.links {
            if !link.valve.is_well() {
                // Opened first, so that nothing is stopped that is not counted.
                link.valve.open();
                bites.push(link.bite(*pair));
            }
        }
        bites
    }

    /// What has passed over one link, and what was stopped, since it exists.
    ///
    /// # Errors
    /// When there is no such link.
    pub fn counters(&self, from: Node, to: Node) -> Result<Counters, LinkError> {
        let link = self.links.get(&(from, to)).ok_or(LinkError::Unknown { from, to })?;
        Ok(link.valve.counters())
    }

    /// Closes every port and connection, and returns when they are closed.
    pub async fn shut(self) {
        let mut tasks = Vec::new();
        for (_, Link { valve, task, .. }) in self.links {
            // A relay ends when its valve is gone.
            drop(valve);
            tasks.push(task);
        }
        for task in tasks {
            // A relay that panicked is closed as well.
            let _ = task.await;
        }
    }
}

impl Link {
    fn bite(&self, (from, to): (Node, Node)) -> Bite {
        let now = self.valve.counters();
        Bite {
            from,
            to,
            severed: now.severed - self.before.severed,
            connections: now.stopped_connections - self.before.stopped_connections,
            bytes: now.stopped_bytes - self.before.stopped_bytes,
        }
    }
}
