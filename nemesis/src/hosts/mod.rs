//! Hosts: a machine for each node, as far as its network goes, so that systems can be broken whose
//! peers cannot be pointed at proxies.
//!
//! Each node has a network namespace of its own, with an address and a cable (`veth`) to a switch;
//! its processes are those of any other program, and know nothing of it. What goes wrong with links
//! goes wrong with packets: lost at the switch by a rule of nftables, late by a queue of the kernel,
//! few at a time by a token bucket, refused by a reset. All of it is per directed link, and counted.
//!
//! That is what Jepsen does to whole machines with iptables and tc. What one machine allows an
//! ordinary user inside a [`sandbox`] is in docs/hosts.md, with what it takes; with root it works
//! outside of one, too, and then [`remove`] takes away by its name what a killed process left.

mod delay;
mod limit;
mod network;
mod reset;
mod sandbox;
mod strand;
mod switch;
mod tool;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::net::Ipv4Addr;

use serde::Serialize;

use crate::ailment::Percent;
use crate::grudge::Grudge;
use crate::leases::{Holding, Lease, LeaseError, Leases};
use crate::link::Bite;
use crate::nodes::Node;
use crate::process::Launch;
use crate::trouble::Trouble;
use delay::Delays;
use limit::Limits;
use network::Network;
use switch::{Link, Set};
use tool::IP;

pub use sandbox::sandbox;

/// The side that clients and the harness are on, as an end of links. No schedule can name it.
pub const CONTROL: Node = Node(254);

/// Why hosts could not be had, broken or mended.
#[derive(Debug, thiserror::Error)]
pub enum HostsError {
    /// A program is not installed.
    #[error(
        "`{program}` is not installed: it is in the package {package} (`apt-get install {package}`)"
    )]
    Missing {
        /// The program.
        program: &'static str,
        /// What has it.
        package: &'static str,
    },
    /// A program, or the system, refused.
    #[error("`{command}` failed: {said}")]
    Failed {
        /// What was run.
        command: String,
        /// What it said.
        said: String,
    },
    /// No name, or no network, is left.
    #[error(
        "every network from 10.77.0.0/24 to 10.77.249.0/24 is taken: `rashomon heal` removes what killed runs left"
    )]
    Crowded,
    /// There are no addresses for so many.
    #[error("there can be hosts for the nodes n1 to n250, and not for {0}")]
    Beyond(Node),
    /// There is no such host.
    #[error("there is no host of {0}")]
    Unknown(Node),
    /// Nothing that hosts made is called so.
    #[error("`{0}` is no name of hosts: those are `rashomon` and a number")]
    NotOurs(String),
    /// It cannot be written down that there are hosts.
    #[error(transparent)]
    Lease(#[from] LeaseError),
}

impl HostsError {
    fn failed(command: &str, said: String) -> Self {
        HostsError::Failed { command: command.to_owned(), said }
    }

    /// Whether a program said so.
    fn says(&self, words: &str) -> bool {
        matches!(self, HostsError::Failed { said, .. } if said.contains(words))
    }
}

/// What a link carried and lost, in IP packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Packets that arrived, since there are hosts.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets that the switch lost as it was told, since the network last healed.
    pub lost_packets: u64,
    /// Their bytes.
    pub lost_bytes: u64,
}

/// What is wrong with links at the moment.
#[derive(Debug, Default)]
struct Troubles {
    cut: BTreeSet<Link>,
    lossy: BTreeMap<Link, Percent>,
    slow: BTreeSet<Link>,
    limits: Limits,
    reset: BTreeSet<Link>,
    /// How many connections were stranded on each.
    stranded: BTreeMap<Link, u64>,
}

impl Troubles {
    fn links(&self) -> BTreeSet<Link> {
        let sets = [&self.cut, &self.slow, &self.reset].into_iter().flatten();
        let keys = sets.chain(self.lossy.keys()).chain(self.limits.keys());
        keys.chain(self.stranded.keys()).copied().collect()
    }
}

/// The hosts of some nodes, joined by a switch. Dropping them kills every process in them and
/// removes all that was made.
#[derive(Debug)]
pub struct Hosts {
    network: Network,
    nodes: BTreeSet<Node>,
    delays: Delays,
    troubles: Troubles,
    lease: Option<Lease>,
}

/// Kills every process in hosts of this name, and removes all that has it: what [`Hosts::name`] said
/// of hosts whose harness was killed. What is not there is no error.
///
/// # Errors
/// When no hosts can be called so, or something of theirs cannot be removed; the rest is.
pub fn remove(name: &str) -> Result<(), HostsError> {
    Network::named(name).ok_or_else(|| HostsError::NotOurs(name.to_owned()))?.remove()
}

/// The inode of the namespace that the switch of these hosts has now.
pub(crate) fn switch_of(name: &str) -> Option<u64> {
    let file = Network::file(&Network::named(name)?.switch());
    std::fs::metadata(file).ok().map(|file| std::os::unix::fs::MetadataExt::ino(&file))
}

impl Hosts {
    /// Makes a host for each of these nodes. Needs root, be it that of a [`sandbox`], and must be
    /// called within a tokio runtime.
    ///
    /// # Errors
    /// When a program is missing or something is refused; then nothing stays.
    pub async fn open(nodes: impl IntoIterator<Item = Node>) -> Result<Self, HostsError> {
        Self::open_under(nodes, &Leases::none()).await
    }

    /// Makes a host for each of these nodes, and writes down that it did, so that they can be removed by
    /// [`heal`](crate::heal) if this process is killed.
    ///
    /// # Errors
    /// As [`Hosts::open`]; or when it cannot be written down.
    pub async fn open_under(
        nodes: impl IntoIterator<Item = Node>,
        leases: &Leases,
    ) -> Result<Self, HostsError> {
        let nodes: BTreeSet<Node> = nodes.into_iter().collect();
        if let Some(node) = nodes.iter().find(|node| !(1..=Network::LARGEST).contains(&node.0)) {
            return Err(HostsError::Beyond(*node));
        }
        let network = Network::claim().await?;
        // From here on, dropping it removes what there is.
        let (delays, troubles) = (Delays::new(network), Troubles::default());
        let mut hosts = Hosts { network, nodes, delays, troubles, lease: None };
        // Only now is it known which it is; all that there is of it is an empty namespace.
        let name = network.name();
        if let Some(switch) = switch_of(&name) {
            hosts.lease = Some(leases.take(Holding::Hosts { name, switch })?);
        }
        network.build(&hosts.nodes).await?;
        switch::set_up(network, &hosts.links()).await?;
        Ok(hosts)
    }

    /// The name by which [`remove`] finds all of it. In a sandbox it is of no use outside.
    pub fn name(&self) -> String {
        self.network.name()
    }

    /// The address of a node's host, which clients reach from the harness's side.
    pub fn address(&self, node: Node) -> Ipv4Addr {
        self.network.address(node)
    }

    /// How to start on its host what would be started so without one. The process is the program's
    /// own: signals reach it.
    ///
    /// # Errors
    /// When there is no such host.
    pub fn launch(&self, node: Node, launch: Launch) -> Result<Launch, HostsError> {
        if !self.nodes.contains(&node) {
            return Err(HostsError::Unknown(node));
        }
        let host = self.network.host(node);
        let mut args: Vec<OsString> = ["netns", "exec", &host].map(OsString::from).into();
        args.push(launch.program.into_os_string());
        args.extend(launch.args);
        Ok(Launch { program: IP.find()?, args, data: launch.data, log: launch.log })
    }

    /// Runs something on a node's host, as far as its network goes, on a thread of its own: sockets
    /// that it opens are that host's for as long as they live.
    ///
    /// # Errors
    /// When there is no such host, or it cannot be entered.
    pub fn within<T: Send>(
        &self,
        node: Node,
        run: impl FnOnce() -> T + Send,
    ) -> Result<T, HostsError> {
        if !self.nodes.contains(&node) {
            return Err(HostsError::Unknown(node));
        }
        Network::within(&self.network.host(node), run)
    }

    /// Lets this be wrong with these links from now on; adds to what is wrong already, and of two
    /// troubles of a kind the last counts.
    ///
    /// - *Cut*: every packet is lost. Connections stay, and if they are not given up in the meantime go
    ///   on when the network heals, as over a real one.
    /// - *Hold*: packets wait until it heals, and then arrive in order; up to 4096 of a link.
    /// - *Slow*: each packet takes exactly so much longer, in order.
    /// - *Lose*: each packet is lost with this chance.
    /// - *Limit*: more than this waits at the receiver's port, and is lost when that is full.
    /// - *Reset*: the next packet is answered by a reset.
    /// - *Strand*: connections that are open between the two, whoever opened them, are gone at the
    ///   receiver's end; what belongs to them is lost from then on.
    ///
    /// # Errors
    /// When there is no such link; then nothing is done. When it is refused; then something may be,
    /// which heals.
    pub async fn strike(&mut self, trouble: Trouble, grudge: &Grudge) -> Result<(), HostsError> {
        self.check(grudge)?;
        let (network, troubles, links) = (self.network, &mut self.troubles, grudge.links());
        match trouble {
            Trouble::Cut => {
                troubles.cut.extend(grudge.links());
                switch::cut(network, links).await
            }
            Trouble::Hold => {
                troubles.slow.extend(grudge.links());
                self.delays.hold(links, None).await
            }
            Trouble::Slow(by) => {
                troubles.slow.extend(grudge.links());
                self.delays.hold(links, Some(by)).await
            }
            Trouble::Lose(chance) => {
                let before = links.map(|link| (link, troubles.lossy.get(&link).copied()));
                switch::lose(network, before, chance).await?;
                troubles.lossy.extend(grudge.links().map(|link| (link, chance)));
                Ok(())
            }
            Trouble::Limit(rate) => limit::limit(network, &mut troubles.limits, links, rate).await,
            Trouble::Reset => {
                for link in links {
                    troubles.reset.insert(link);
                    reset::reset(network, link).await?;
                }
                Ok(())
            }
            Trouble::Strand => {
                for link in links {
                    let severed = strand::strand(network, link).await?;
                    *troubles.stranded.entry(link).or_default() += severed;
                }
                Ok(())
            }
        }
    }

    /// What every link that something is wrong with has lost, held back or refused since it is.
    ///
    /// # Errors
    /// When the counters cannot be read.
    pub async fn bites(&self) -> Result<Vec<Bite>, HostsError> {
        let Troubles { limits, reset, stranded, .. } = &self.troubles;
        let lost = switch::read(self.network).await?;
        let carried = limit::carried(self.network, limits).await?;
        let refused = reset::refused(self.network, reset).await?;
        let bite = |link: Link| {
            let lost = Set::TROUBLES.map(|set| lost.get(&(set, link)));
            let counts = [carried.get(&link), refused.get(&link)].into_iter().flatten().copied();
            let counts = counts.chain(lost.into_iter().flatten().map(|tally| tally.bytes));
            Bite {
                from: link.0,
                to: link.1,
                severed: stranded.get(&link).copied().unwrap_or_default(),
                connections: 0,
                bytes: counts.sum::<u64>() + self.delays.held(link),
            }
        };
        Ok(self.troubles.links().into_iter().map(bite).collect())
    }

    /// Opens every link, and says what had run into each that something was wrong with. Packets that
    /// waited go on.
    ///
    /// # Errors
    /// The first that was met, of those that could not be opened or counted; the others are opened.
    pub async fn heal(&mut self) -> Result<Vec<Bite>, HostsError> {
        let troubles = self.troubles.links();
        if troubles.is_empty() {
            return Ok(Vec::new());
        }
        let bites = self.bites().await;
        let mut result = switch::open(self.network).await;
        if result.is_ok() {
            self.troubles.cut.clear();
            self.troubles.lossy.clear();
            self.troubles.stranded.clear();
        }
        result = result.and(self.delays.release().await.map(|()| self.troubles.slow.clear()));
        let limits = limit::open(self.network, &self.troubles.limits).await;
        result = result.and(limits.map(|()| self.troubles.limits.clear()));
        let resets = reset::open(self.network, &self.troubles.reset).await;
        result = result.and(resets.map(|()| self.troubles.reset.clear()));
        result.and(bites)
    }

    /// What a link carried and lost.
    ///
    /// # Errors
    /// When there is no such link, or the counters cannot be read.
    pub async fn traffic(&self, from: Node, to: Node) -> Result<Traffic, HostsError> {
        self.check(&Grudge::from_iter([(from, to)]))?;
        let counted = switch::read(self.network).await?;
        let of = |set| counted.get(&(set, (from, to))).copied().unwrap_or_default();
        let passed = of(Set::Links);
        let lost = Set::TROUBLES.map(of);
        Ok(Traffic {
            packets: passed.packets,
            bytes: passed.bytes,
            lost_packets: lost.iter().map(|tally| tally.packets).sum(),
            lost_bytes: lost.iter().map(|tally| tally.bytes).sum(),
        })
    }

    /// Every directed link, those with the control side too.
    fn links(&self) -> Vec<Link> {
        let ends: Vec<Node> = self.nodes.iter().copied().chain([CONTROL]).collect();
        let to = |from: Node| ends.iter().map(move |to| (from, *to)).filter(|(a, b)| a != b);
        ends.iter().flat_map(|from| to(*from)).collect()
    }

    fn check(&self, grudge: &Grudge) -> Result<(), HostsError> {
        let known = |node: &Node| *node == CONTROL || self.nodes.contains(node);
        match grudge.links().flat_map(|(from, to)| [from, to]).find(|node| !known(node)) {
            Some(node) => Err(HostsError::Unknown(node)),
            None => Ok(()),
        }
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        // Open queues keep their namespaces alive.
        self.delays = Delays::new(self.network);
        // A destructor can tell nobody: `rashomon heal` will find what is left.
        if let (Err(_), Some(lease)) = (self.network.remove(), self.lease.take()) {
            lease.keep();
        }
    }
}
