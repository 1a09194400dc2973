//! The switch: what its table of rules loses, and what it counts.
//!
//! One table of nftables at the bridge, which never changes: faults are elements of its sets, each a
//! directed link `source . destination` with a counter of its own, so that what a fault lost is
//! known for every link, and any partition is put on or taken off in one transaction.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use serde_json::Value;

use super::HostsError;
use super::network::Network;
use super::strand::Connection;
use super::tool::{Call, NFT};
use crate::ailment::Percent;
use crate::nodes::Node;

/// A directed link.
pub(super) type Link = (Node, Node);

/// The sets of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Set {
    /// Links that carry nothing; counts what they lost.
    Cut,
    /// Links that lose some packets; counts those.
    Lossy,
    /// Connections of which nothing arrives; counts what they lost.
    Stranded,
    /// All links; counts what passed.
    Links,
}

impl Set {
    const ALL: [Set; 4] = [Set::Cut, Set::Lossy, Set::Stranded, Set::Links];
    /// Those of which every element is something wrong.
    pub(super) const TROUBLES: [Set; 3] = [Set::Cut, Set::Lossy, Set::Stranded];

    fn name(self) -> &'static str {
        match self {
            Set::Cut => "cut",
            Set::Lossy => "lossy",
            Set::Stranded => "stranded",
            Set::Links => "links",
        }
    }
}

/// What was counted on one link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) packets: u64,
    pub(super) bytes: u64,
}

/// Puts the table up. Of a lossy link, packets are lost whose number, drawn from 0 to 99, is in
/// the range that its element has. Addresses are those of IPv4: nothing else is to pass uncounted.
pub(super) async fn set_up(network: Network, links: &[Link]) -> Result<(), HostsError> {
    let links: Vec<String> = links.iter().map(|link| pair(network, *link)).collect();
    let elements = match &*links.join(", ") {
        "" => String::new(),
        links => format!("elements = {{ {links} }}"),
    };
    let table = format!(
        "table bridge rashomon {{
           set cut {{ type ipv4_addr . ipv4_addr; counter; }}
           set lossy {{ type ipv4_addr . ipv4_addr . mark; flags interval; counter; }}
           set stranded {{
             type ipv4_addr . inet_service . ipv4_addr . inet_service; counter;
           }}
           set links {{ type ipv4_addr . ipv4_addr; counter; {elements} }}
           chain forward {{
             type filter hook forward priority 0; policy accept;
             ether type ip6 drop
             ip saddr . ip daddr @cut drop
             ip saddr . tcp sport . ip daddr . tcp dport @stranded drop
             meta mark set numgen random mod 100
             ip saddr . ip daddr . meta mark @lossy drop
             meta mark set 0
             ip saddr . ip daddr @links accept
           }}
         }}
        "
    );
    nft(network, table).await
}

/// Makes these links carry nothing.
pub(super) async fn cut(
    network: Network,
    links: impl Iterator<Item = Link>,
) -> Result<(), HostsError> {
    let elements: Vec<String> = links.map(|link| pair(network, link)).collect();
    if elements.is_empty() {
        return Ok(());
    }
    nft(network, format!("add element bridge rashomon cut {{ {} }}\n", elements.join(", "))).await
}

/// Makes links lose so many of a hundred packets, each of which loses what it says so far.
pub(super) async fn lose(
    network: Network,
    links: impl Iterator<Item = (Link, Option<Percent>)>,
    share: Percent,
) -> Result<(), HostsError> {
    // All packets, if it is more than all of them.
    let element =
        |link, share: Percent| format!("{} . 0-{}", pair(network, link), share.get().min(100) - 1);
    let mut changes = String::new();
    for (link, before) in links {
        if before == Some(share) {
            continue;
        }
        if let Some(before) = before {
            let before = element(link, before);
            changes += &format!("delete element bridge rashomon lossy {{ {before} }}\n");
        }
        let now = element(link, share);
        changes += &format!("add element bridge rashomon lossy {{ {now} }}\n");
    }
    nft(network, changes).await
}

/// Loses everything that belongs to these connections, in both directions.
pub(super) async fn strand(network: Network, connections: &[Connection]) -> Result<(), HostsError> {
    if connections.is_empty() {
        return Ok(());
    }
    let end = |end: SocketAddrV4| format!("{} . {}", end.ip(), end.port());
    let both = |(from, to): &Connection| {
        format!("{} . {}, {} . {}", end(*from), end(*to), end(*to), end(*from))
    };
    let elements: Vec<String> = connections.iter().map(both).collect();
    let elements = elements.join(", ");
    nft(network, format!("add element bridge rashomon stranded {{ {elements} }}\n")).await
}

/// Makes every link lose nothing.
pub(super) async fn open(network: Network) -> Result<(), HostsError> {
    let flush = |set: Set| format!("flush set bridge rashomon {}\n", set.name());
    nft(network, Set::TROUBLES.map(flush).concat()).await
}

/// What was counted on every link by the elements of every set.
pub(super) async fn read(network: Network) -> Result<BTreeMap<(Set, Link), Tally>, HostsError> {
    let arguments = ["-j", "list", "table", "bridge", "rashomon"];
    let listed = Call::within(&network.switch(), NFT, arguments)?.wait().await?;
    let unread = |error: serde_json::Error| HostsError::failed("nft -j list", error.to_string());
    let listed: Value = serde_json::from_str(&listed).map_err(unread)?;
    let mut tallies = BTreeMap::new();
    for set in listed["nftables"].as_array().into_iter().flatten().map(|item| &item["set"]) {
        let Some(which) = Set::ALL.into_iter().find(|known| set["name"] == known.name()) else {
            continue;
        };
        for element in set["elem"].as_array().into_iter().flatten().map(|item| &item["elem"]) {
            if let Some((link, tally)) = counted(network, element) {
                let of_link: &mut Tally = tallies.entry((which, link)).or_default();
                of_link.packets += tally.packets;
                of_link.bytes += tally.bytes;
            }
        }
    }
    Ok(tallies)
}

/// Whose an element is, and what it counted. What is not an address is a port or a number.
fn counted(network: Network, element: &Value) -> Option<(Link, Tally)> {
    let parts = element["val"]["concat"].as_array()?;
    let mut ends = parts.iter().filter_map(|part| network.node(part.as_str()?.parse().ok()?));
    let counter = &element["counter"];
    let tally = Tally { packets: counter["packets"].as_u64()?, bytes: counter["bytes"].as_u64()? };
    Some(((ends.next()?, ends.next()?), tally))
}

fn pair(network: Network, (from, to): Link) -> String {
    format!("{} . {}", network.address(from), network.address(to))
}

async fn nft(network: Network, script: String) -> Result<(), HostsError> {
    Call::within(&network.switch(), NFT, ["-f", "-"])?.fed(script).wait().await.map(drop)
}
