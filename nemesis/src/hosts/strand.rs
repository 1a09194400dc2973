//! Stranded connections: open at one end, and gone at the other.
//!
//! The switch loses what belongs to the connections that are open now (`ss` says which these are), and
//! the receiver's end is ended by `ss -K`, whose reset is lost like everything else: the sender is not
//! told. It may open new ones, which have other ports.

use std::net::SocketAddrV4;

use super::network::Network;
use super::switch::{self, Link};
use super::tool::{Call, SS};
use super::{CONTROL, HostsError};

/// A connection: the sender's end, the receiver's end.
pub(super) type Connection = (SocketAddrV4, SocketAddrV4);

/// Strands every connection between the two, whoever opened it, and says how many there were.
pub(super) async fn strand(network: Network, link: Link) -> Result<u64, HostsError> {
    let (from, to) = link;
    // Of the two, one has a namespace of ours.
    let (host, peer) = if to == CONTROL { (from, to) } else { (to, from) };
    let (namespace, address) = (network.host(host), network.address(peer).to_string());
    let listed = Call::within(&namespace, SS, ["-Htn", "dst", &address])?.wait().await?;
    let turn = |(here, there): Connection| if host == to { (there, here) } else { (here, there) };
    let connections: Vec<Connection> = listed.lines().filter_map(ends).map(turn).collect();
    switch::strand(network, &connections).await?;
    if host == to {
        Call::within(&namespace, SS, ["-HKtn", "dst", &address])?.wait().await?;
    }
    Ok(connections.len() as u64)
}

/// Both ends of a connection, of a line such as `ESTAB 0 0 10.77.0.2:41022 10.77.0.1:2380`.
fn ends(line: &str) -> Option<Connection> {
    let mut ends = line.split_whitespace().skip(3);
    Some((ends.next()?.parse().ok()?, ends.next()?.parse().ok()?))
}
