//! What a link proxy costs: `cargo bench -p rashomon-nemesis --bench links`.
//!
//! A message of 200 bytes goes to a node that answers it with as many, over a connection of its own,
//! straight and by way of a link, in turns; so both see the same machine. Then again while the link
//! carries many other connections. What a link adds is both ways, there and back.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use rashomon_nemesis::{Links, Node};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const MESSAGE: [u8; 200] = [7; 200];
const ROUNDS: usize = 20_000;
const CONNECTIONS: [usize; 3] = [0, 100, 2_000];

#[tokio::main]
async fn main() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let node = listener.local_addr().expect("an address");
    tokio::spawn(echo(listener));
    let links = Links::open(Node::first(2)).await.expect("ports");
    links.set_upstream(Node(2), node);
    let proxy = links.peers(Node(1)).next().expect("a link").1;
    println!("{ROUNDS} messages of {} bytes there and back, medians", MESSAGE.len());
    let mut others = Vec::new();
    for connections in CONNECTIONS {
        while others.len() < connections {
            let mut other = connect(proxy).await;
            round(&mut other).await;
            others.push(other);
        }
        let (mut straight, mut carried) = (connect(node).await, connect(proxy).await);
        let (mut direct, mut linked) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            direct.push(round(&mut straight).await);
            linked.push(round(&mut carried).await);
        }
        let (direct, linked) = (median(direct), median(linked));
        println!(
            "{connections:5} other connections  direct {direct:7.1?}  over a link {linked:7.1?}  \
             adds {:7.1?}  threads {}",
            linked.saturating_sub(direct),
            threads(),
        );
    }
}

async fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.expect("it listens");
    stream.set_nodelay(true).expect("a socket");
    stream
}

async fn echo(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let mut buffer = [0; MESSAGE.len()];
            while stream.read_exact(&mut buffer).await.is_ok() {
                if stream.write_all(&buffer).await.is_err() {
                    return;
                }
            }
        });
    }
}

async fn round(stream: &mut TcpStream) -> Duration {
    let began = Instant::now();
    stream.write_all(&MESSAGE).await.expect("sent");
    let mut answer = [0; MESSAGE.len()];
    stream.read_exact(&mut answer).await.expect("answered");
    began.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// How many threads this process has, where the system tells it.
fn threads() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Threads:"));
    line.map_or_else(|| "unknown".to_owned(), |count| count.trim().to_owned())
}
