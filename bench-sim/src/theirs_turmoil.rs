//! Heartbeats in turmoil.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use turmoil::net::UdpSocket;

use crate::{HEARTBEAT, LATENCY, NODES, PORT};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Simulates so much virtual time, and says how many messages were delivered.
pub(crate) fn simulate(time: Duration) -> Result<u64, Box<dyn Error>> {
    let delivered = Arc::new(AtomicU64::new(0));
    let mut simulation = turmoil::Builder::new()
        .simulation_duration(time * 2)
        .min_message_latency(LATENCY.start)
        .max_message_latency(LATENCY.end)
        .rng_seed(1)
        .build();
    for node in 2..=NODES {
        let delivered = delivered.clone();
        simulation.host(format!("n{node}"), move || follow(delivered.clone()));
    }
    simulation.client("n1", lead(time, delivered.clone()));
    simulation.run().map_err(|error| error.to_string())?;
    Ok(delivered.load(Ordering::Relaxed))
}

async fn follow(delivered: Arc<AtomicU64>) -> turmoil::Result {
    let socket = UdpSocket::bind((HERE, PORT)).await?;
    let mut message = [0; 16];
    loop {
        let (size, leader) = socket.recv_from(&mut message).await?;
        delivered.fetch_add(1, Ordering::Relaxed);
        socket.send_to(&message[..size], leader).await?;
    }
}

async fn lead(time: Duration, delivered: Arc<AtomicU64>) -> turmoil::Result {
    let socket = UdpSocket::bind((HERE, PORT)).await?;
    let mut beat = tokio::time::interval(HEARTBEAT);
    let end = tokio::time::sleep(time);
    tokio::pin!(end);
    let mut message = [0; 16];
    loop {
        tokio::select! {
            () = &mut end => return Ok(()),
            _ = beat.tick() => {
                for node in 2..=NODES {
                    socket.send_to(&[0; 16], (format!("n{node}"), PORT)).await?;
                }
            }
            received = socket.recv_from(&mut message) => {
                received?;
                delivered.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
