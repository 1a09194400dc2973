//! Heartbeats in madsim.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use madsim::net::Endpoint;
use madsim::runtime::Runtime;
use madsim::{Config, time};

use crate::{HEARTBEAT, LATENCY, NODES, PORT};

/// The tags of the two kinds of message.
const BEAT: u64 = 1;
const ANSWER: u64 = 2;

/// Simulates so much virtual time, and says how many messages were delivered.
pub(crate) fn simulate(duration: Duration) -> Result<u64, Box<dyn Error>> {
    let delivered = Arc::new(AtomicU64::new(0));
    let mut config = Config::default();
    config.net.send_latency = LATENCY;
    let runtime = Runtime::with_seed_and_config(1, config);
    for number in 1..=NODES {
        let node = runtime.create_node().ip(address(number).ip()).build();
        let delivered = delivered.clone();
        if number == 1 {
            node.spawn(lead(delivered));
        } else {
            node.spawn(follow(number, delivered));
        }
    }
    // A timer needs the runtime around it already when it is made.
    runtime.block_on(async move { time::sleep(duration).await });
    Ok(delivered.load(Ordering::Relaxed))
}

fn address(node: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, node as u8], PORT))
}

async fn follow(node: u16, delivered: Arc<AtomicU64>) -> io::Result<()> {
    let endpoint = Endpoint::bind(address(node)).await?;
    let mut message = [0; 16];
    loop {
        let (size, leader) = endpoint.recv_from(BEAT, &mut message).await?;
        delivered.fetch_add(1, Ordering::Relaxed);
        endpoint.send_to(leader, ANSWER, &message[..size]).await?;
    }
}

async fn lead(delivered: Arc<AtomicU64>) -> io::Result<()> {
    let endpoint = Arc::new(Endpoint::bind(address(1)).await?);
    let answers = endpoint.clone();
    madsim::task::spawn(async move {
        let mut message = [0; 16];
        while answers.recv_from(ANSWER, &mut message).await.is_ok() {
            delivered.fetch_add(1, Ordering::Relaxed);
        }
    });
    let mut beat = time::interval(HEARTBEAT);
    loop {
        beat.tick().await;
        for node in 2..=NODES {
            endpoint.send_to(address(node), BEAT, &[0; 16]).await?;
        }
    }
}
