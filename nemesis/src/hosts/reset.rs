//! Resets: the next message on a link breaks off.
//!
//! The sender's host answers the next packet of its own with a reset (`reject with tcp reset`), so that
//! whoever connects or writes hears of it at once. The other end of the connection hears when it next
//! says something itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde_json::Value;

use super::network::Network;
use super::switch::Link;
use super::tool::{Call, NFT};
use super::{CONTROL, HostsError};

/// What was there before, if anything, stays.
const TABLE: &str = "\
add table inet rashomon
add chain inet rashomon output { type filter hook output priority 0; policy accept; }
add chain inet rashomon input { type filter hook input priority 0; policy accept; }
";

/// Where a link's packets are met: in the sender's host, but for those from the control side, which
/// has no namespace of ours.
struct Spot {
    host: String,
    chain: &'static str,
    field: &'static str,
    peer: Ipv4Addr,
}

impl Spot {
    fn of(network: Network, (from, to): Link) -> Self {
        let (host, chain, field, peer) = match from {
            CONTROL => (to, "input", "saddr", from),
            _ => (from, "output", "daddr", to),
        };
        Spot { host: network.host(host), chain, field, peer: network.address(peer) }
    }
}

/// Breaks off the next message on this link.
pub(super) async fn reset(network: Network, link: Link) -> Result<(), HostsError> {
    let Spot { host, chain, field, peer } = Spot::of(network, link);
    // One packet, and the next one tomorrow. What is a reset already needs none.
    let rule = format!(
        "{TABLE}add rule inet rashomon {chain} tcp flags & rst == 0 ip {field} {peer} \
         limit rate 1/day burst 1 packets counter reject with tcp reset\n"
    );
    Call::within(&host, NFT, ["-f", "-"])?.fed(rule).wait().await.map(drop)
}

/// How many bytes were answered by a reset, on every link that is to have them.
pub(super) async fn refused(
    network: Network,
    links: &BTreeSet<Link>,
) -> Result<BTreeMap<Link, u64>, HostsError> {
    let mut refused = BTreeMap::new();
    for &link in links {
        let Spot { host, chain, peer, .. } = Spot::of(network, link);
        let arguments = ["-j", "list", "chain", "inet", "rashomon", chain];
        let listed = Call::within(&host, NFT, arguments)?.wait().await?;
        let unread =
            |error: serde_json::Error| HostsError::failed("nft -j list chain", error.to_string());
        let listed: Value = serde_json::from_str(&listed).map_err(unread)?;
        let rules = listed["nftables"].as_array().into_iter().flatten();
        let parts = rules.filter_map(|item| item["rule"]["expr"].as_array());
        let ours = parts
            .filter(|parts| parts.iter().any(|part| part["match"]["right"] == peer.to_string()));
        let counters = ours.flatten().filter_map(|part| part["counter"]["bytes"].as_u64());
        refused.insert(link, counters.sum());
    }
    Ok(refused)
}

/// Resets nothing any more, whether or not there was anything.
pub(super) async fn open(network: Network, links: &BTreeSet<Link>) -> Result<(), HostsError> {
    let hosts: BTreeSet<String> = links.iter().map(|link| Spot::of(network, *link).host).collect();
    for host in hosts {
        let gone = "add table inet rashomon\ndelete table inet rashomon\n";
        Call::within(&host, NFT, ["-f", "-"])?.fed(gone).wait().await?;
    }
    Ok(())
}
