//! The network: a namespace for each host, one for the switch that joins them, and the names by
//! which all of it can be found and removed.
//!
//! Everything but one end of a cable is inside namespaces of its own: the bridge and its rules are
//! those of the switch, so that even with root nothing of the machine's own firewall is touched.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::net::TcpStream;

use super::tool::{Call, IP};
use super::{CONTROL, HostsError};
use crate::nodes::Node;

/// Where `ip netns` keeps its names.
const NAMES: &str = "/run/netns";
/// What every name begins with; a number follows.
const PREFIX: &str = "rashomon";

/// The names and addresses of one network. At most 250 of them can be on a machine at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    number: u8,
}

impl Network {
    /// The nodes that there are addresses for.
    pub(super) const LARGEST: u16 = 250;

    /// The network of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        let number = name.strip_prefix(PREFIX)?.parse().ok()?;
        let network = Network { number };
        (network.name() == name).then_some(network)
    }

    /// Its name, which everything of it begins with.
    pub(super) fn name(self) -> String {
        format!("{PREFIX}{}", self.number)
    }

    /// The namespace of the switch.
    pub(super) fn switch(self) -> String {
        format!("{}-switch", self.name())
    }

    /// The namespace of a host.
    pub(super) fn host(self, node: Node) -> String {
        format!("{}-{node}", self.name())
    }

    /// The address of a host.
    pub(super) fn address(self, node: Node) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.number, u8::try_from(node.0).unwrap_or(u8::MAX))
    }

    /// Where clients and the harness are, seen from the hosts.
    pub(super) fn control(self) -> Ipv4Addr {
        self.address(CONTROL)
    }

    /// The host at an address of this network.
    pub(super) fn node(self, address: Ipv4Addr) -> Option<Node> {
        let node = Node(u16::from(address.octets()[3]));
        (self.address(node) == address).then_some(node)
    }

    /// The port of the switch that a host's cable is in.
    pub(super) fn port(self, node: Node) -> String {
        if node == CONTROL { "control".to_owned() } else { node.to_string() }
    }

    /// Runs something inside one of its namespaces, on a thread of its own: sockets that it opens
    /// stay there.
    pub(super) fn within<T: Send>(
        namespace: &str,
        run: impl FnOnce() -> T + Send,
    ) -> Result<T, HostsError> {
        let failed = |said: String| HostsError::failed(&format!("entering {namespace}"), said);
        let file = fs::File::open(Self::file(namespace)).map_err(|e| failed(e.to_string()))?;
        let kind = Some(LinkNameSpaceType::Network);
        let entered = std::thread::scope(|scope| {
            let thread =
                scope.spawn(move || move_into_link_name_space(file.as_fd(), kind).map(|()| run()));
            thread.join()
        });
        match entered {
            Ok(ran) => ran.map_err(|error| failed(error.to_string())),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// The file that stands for a namespace.
    pub(super) fn file(namespace: &str) -> PathBuf {
        [NAMES, namespace].iter().collect()
    }

    /// Takes the first network that nobody has: making the switch's namespace is what claims it,
    /// which only one can.
    pub(super) async fn claim() -> Result<Self, HostsError> {
        for number in 0..Self::LARGEST as u8 {
            let network = Network { number };
            if Self::file(&network.switch()).exists() || !network.is_unrouted().await? {
                continue;
            }
            match Call::new(IP, ["netns", "add", &network.switch()])?.wait().await {
                Ok(_) => return Ok(network),
                Err(error) if !error.says("File exists") => return Err(error),
                Err(_) => {}
            }
        }
        Err(HostsError::Crowded)
    }

    /// Whether no route but the default one leads to its addresses.
    async fn is_unrouted(self) -> Result<bool, HostsError> {
        let addresses = format!("10.77.{}.0/24", self.number);
        for which in ["root", "match"] {
            let routes = Call::new(IP, ["-4", "route", "show", which, &addresses])?.wait().await?;
            if routes.lines().any(|route| !route.starts_with("default")) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes the hosts, and the cables from them and from here to the switch.
    pub(super) async fn build(self, nodes: &BTreeSet<Node>) -> Result<(), HostsError> {
        let (name, switch) = (self.name(), self.switch());
        let mut here = String::new();
        for node in nodes {
            here += &format!("netns add {}\n", self.host(*node));
        }
        here += &format!(
            "link add {name} type veth peer name control netns {switch}\n\
             addr add {}/24 dev {name}\n\
             link set {name} up\n",
            self.control(),
        );
        Call::new(IP, ["-batch", "-"])?.fed(here).wait().await?;
        let mut there = "link add bridge0 type bridge\nlink set bridge0 up\n\
                         link set control master bridge0 up\n"
            .to_owned();
        for node in nodes {
            there += &format!(
                "link add {node} type veth peer name eth0 netns {}\n\
                 link set {node} master bridge0 up\n",
                self.host(*node),
            );
        }
        Call::new(IP, ["-n", &switch, "-batch", "-"])?.fed(there).wait().await?;
        for node in nodes {
            let inside = format!(
                "link set lo up\naddr add {}/24 dev eth0\nlink set eth0 up\n",
                self.address(*node),
            );
            Call::new(IP, ["-n", &self.host(*node), "-batch", "-"])?.fed(inside).wait().await?;
        }
        for node in nodes {
            self.reach(*node).await?;
        }
        Ok(())
    }

    /// Waits until a host answers, be it that nobody listens there: the kernel takes a moment until a
    /// cable that was just plugged in carries anything.
    async fn reach(self, node: Node) -> Result<(), HostsError> {
        let address = (self.address(node), 1);
        for _ in 0..100 {
            let connecting = TcpStream::connect(address);
            match tokio::time::timeout(Duration::from_millis(100), connecting).await {
                Ok(Err(error)) if error.kind() != ErrorKind::ConnectionRefused => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Ok(_) => return Ok(()),
                Err(_) => {}
            }
        }
        let said = format!("{} does not answer", self.address(node));
        Err(HostsError::failed(&format!("reaching the host of {node}"), said))
    }

    /// Ends every process in its namespaces and removes all that has its name. What is not there
    /// is no error.
    pub(super) fn remove(self) -> Result<(), HostsError> {
        let name = self.name();
        let ours = format!("{name}-");
        let mut namespaces: Vec<String> = fs::read_dir(NAMES)
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|namespace| namespace.starts_with(&ours))
            .collect();
        // The switch last, which is what claims the name.
        namespaces.sort_by_key(|namespace| (*namespace == self.switch(), namespace.clone()));
        let link = Call::new(IP, ["link", "del", &name])?.run();
        let mut result = match link {
            Err(error) if !error.says("Cannot find device") => Err(error),
            _ => Ok(()),
        };
        for namespace in namespaces {
            let ended = end(&namespace);
            let deleted = Call::new(IP, ["netns", "del", &namespace])?.run().map(drop);
            result = result.and(ended).and(deleted);
        }
        result
    }
}

/// Kills every process in a namespace, again and again until there is none: one may start another
/// while it is looked for.
fn end(namespace: &str) -> Result<(), HostsError> {
    for _ in 0..200 {
        let asked = Call::new(IP, ["netns", "pids", namespace])?.run();
        let listed = match asked {
            Ok(listed) => listed,
            // A name without a namespace, left by a machine that went down.
            Err(error) if error.says("Invalid argument") => return Ok(()),
            Err(error) => return Err(error),
        };
        let pids: Vec<Pid> =
            listed.lines().filter_map(|pid| Pid::from_raw(pid.trim().parse().ok()?)).collect();
        if pids.is_empty() {
            return Ok(());
        }
        for pid in pids {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let said = "some of its processes do not end by SIGKILL".to_owned();
    Err(HostsError::failed(&format!("ip netns pids {namespace}"), said))
}
