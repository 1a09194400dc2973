//! Bandwidth: token buckets at the switch's ports.
//!
//! The port of the receiver has a hierarchical token bucket (`htb(8)`), and in it a bucket for each
//! sender whose link is limited. What exceeds the rate waits in the port's queue, as in a router's,
//! and is lost when that is full.

use std::collections::BTreeMap;

use super::HostsError;
use super::network::Network;
use super::switch::Link;
use super::tool::{Call, TC};
use crate::nodes::Node;
use crate::trouble::Rate;

/// The limited links, each with its rate.
pub(super) type Limits = BTreeMap<Link, Rate>;

/// Limits these links from now on, which so far are limited as `limits` says.
pub(super) async fn limit(
    network: Network,
    limits: &mut Limits,
    links: impl Iterator<Item = Link>,
    rate: Rate,
) -> Result<(), HostsError> {
    let mut batch = String::new();
    for (from, to) in links {
        let (port, class) = (network.port(to), format!("1:{:x}", from.0));
        if !ports(network, limits).contains_key(&to) {
            batch += &format!("qdisc add dev {port} root handle 1: htb\n");
        }
        batch += &format!(
            "class replace dev {port} parent 1: classid {class} htb rate {}bps quantum 1514\n",
            rate.get()
        );
        if limits.insert((from, to), rate).is_none() {
            batch += &format!(
                "filter add dev {port} parent 1: protocol ip prio 1 \
                 u32 match ip src {}/32 flowid {class}\n",
                network.address(from),
            );
        }
    }
    Call::within(&network.switch(), TC, ["-batch", "-"])?.fed(batch).wait().await.map(drop)
}

/// Takes every limit off, whether or not it is on.
pub(super) async fn open(network: Network, limits: &Limits) -> Result<(), HostsError> {
    let off = |port| format!("qdisc replace dev {port} root noqueue\n");
    let batch: String = ports(network, limits).into_values().map(off).collect();
    Call::within(&network.switch(), TC, ["-batch", "-"])?.fed(batch).wait().await.map(drop)
}

/// How many bytes every limited link carried since it is limited, if there ever was more to carry
/// than it could.
pub(super) async fn carried(
    network: Network,
    limits: &Limits,
) -> Result<BTreeMap<Link, u64>, HostsError> {
    let mut carried = BTreeMap::new();
    for (to, port) in ports(network, limits) {
        let arguments = ["-s", "class", "show", "dev", &port];
        let shown = Call::within(&network.switch(), TC, arguments)?.wait().await?;
        carried.extend(overrun(&shown).map(|(from, bytes)| ((from, to), bytes)));
    }
    Ok(carried)
}

/// The ports that have a limited link.
fn ports(network: Network, limits: &Limits) -> BTreeMap<Node, String> {
    limits.keys().map(|(_, to)| (*to, network.port(*to))).collect()
}

/// The classes that more was asked of than they could carry, and what they carried, of a text such
/// as `class htb 1:2 root …\n Sent 20840 bytes 20 pkt (dropped 0, overlimits 19 requeues 0)`: `tc`
/// knows no JSON for these.
fn overrun(shown: &str) -> impl Iterator<Item = (Node, u64)> {
    shown.split("class htb 1:").filter_map(|class| {
        let mut words = class.split([' ', '\n']);
        let from = u16::from_str_radix(words.next()?, 16).ok()?;
        let mut number = |word| words.by_ref().skip_while(|w| *w != word).nth(1)?.parse().ok();
        let (bytes, overlimits): (u64, u64) = (number("Sent")?, number("overlimits")?);
        (overlimits > 0).then_some((Node(from), bytes))
    })
}
