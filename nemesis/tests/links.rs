//! Link proxies over real sockets: a closed link stops its own direction and nothing else, says
//! what ran into it, and is as good as new when healed.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rashomon_nemesis::{Counters, Grudge, LinkError, Links, Node, Percent, Rate, Trouble};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const N1: Node = Node(1);
const N2: Node = Node(2);
const N3: Node = Node(3);

/// Far longer than anything here takes, so that only what hangs for ever runs into it.
const DEADLINE: Duration = Duration::from_secs(20);

/// What every node received, by connection in order of arrival.
type Received = Arc<Mutex<Vec<Vec<u8>>>>;

/// A node that keeps what it receives and answers every byte with itself.
struct EchoNode {
    address: SocketAddr,
    received: Received,
    _tasks: JoinSet<()>,
}

impl EchoNode {
    async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let received = Received::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(Self::serve(listener, Arc::clone(&received)));
        EchoNode { address, received, _tasks: tasks }
    }

    async fn serve(listener: TcpListener, received: Received) {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let received = Arc::clone(&received);
            connections.spawn(async move {
                let index = {
                    let mut received = received.lock().expect("no panic");
                    received.push(Vec::new());
                    received.len() - 1
                };
                let mut buffer = [0; 4096];
                while let Ok(bytes @ 1..) = stream.read(&mut buffer).await {
                    received.lock().expect("no panic")[index].extend(&buffer[..bytes]);
                    if stream.write_all(&buffer[..bytes]).await.is_err() {
                        return;
                    }
                }
            });
        }
    }

    fn everything(&self) -> Vec<Vec<u8>> {
        self.received.lock().expect("no panic").clone()
    }
}

/// Echoing nodes, and the links between them.
struct Net {
    links: Links,
    nodes: BTreeMap<Node, EchoNode>,
}

impl Net {
    async fn start(size: u16) -> Self {
        let links = Links::open(Node::first(size)).await.expect("ports");
        let mut nodes = BTreeMap::new();
        for node in Node::first(size) {
            let echo = EchoNode::start().await;
            links.set_upstream(node, echo.address);
            nodes.insert(node, echo);
        }
        Net { links, nodes }
    }

    fn address(&self, from: Node, to: Node) -> SocketAddr {
        self.links.peers(from).find(|(peer, _)| *peer == to).expect("a link").1
    }

    async fn connect(&self, from: Node, to: Node) -> TcpStream {
        let stream = TcpStream::connect(self.address(from, to)).await;
        stream.expect("a proxy accepts whatever its link does")
    }

    fn counters(&self, from: Node, to: Node) -> Counters {
        self.links.counters(from, to).expect("a link")
    }
}

fn link(from: Node, to: Node) -> Grudge {
    Grudge::from_iter([(from, to)])
}

fn percent(hundredths: u16) -> Percent {
    Percent::new(hundredths).expect("in range")
}

async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, work).await.unwrap_or_else(|_| panic!("{what} never came"))
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    in_time(what, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// Sends, and expects the same back.
async fn echo(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    stream.write_all(message).await?;
    let mut answer = vec![0; message.len()];
    in_time("an answer", stream.read_exact(&mut answer)).await?;
    assert_eq!(answer, message);
    Ok(())
}

/// Expects the connection to end without another byte.
async fn expect_end(stream: &mut TcpStream) {
    let mut buffer = [0; 64];
    let read = in_time("the connection's end", stream.read(&mut buffer)).await;
    assert!(matches!(read, Ok(0) | Err(_)), "a closed link answered: {read:?}");
}

/// Expects that nothing is answered for a while.
async fn expect_silence(stream: &mut TcpStream) {
    let mut buffer = [0; 64];
    let read = tokio::time::timeout(Duration::from_millis(100), stream.read(&mut buffer)).await;
    assert!(read.is_err(), "a closed link answered: {read:?}");
}

#[tokio::test]
async fn an_open_link_carries_both_ways_and_counts() {
    let net = Net::start(3).await;
    assert_eq!(net.links.peers(N2).map(|(to, _)| to).collect::<Vec<_>>(), [N1, N3]);
    let mut stream = net.connect(N1, N2).await;
    let message: Vec<u8> = (0..100_000u32).map(|i| i as u8).collect();
    let (mut read, mut write) = stream.split();
    let mut answer = Vec::new();
    let (sent, answered) = tokio::join!(
        async {
            write.write_all(&message).await?;
            // The end of what is sent reaches the node, which then ends its answer.
            write.shutdown().await
        },
        in_time("the answer", read.read_to_end(&mut answer)),
    );
    sent.expect("sent");
    answered.expect("answered");
    assert_eq!(answer, message);
    assert_eq!(net.nodes[&N2].everything(), [message]);
    let passed =
        Counters { connections: 1, bytes: 100_000, answered_bytes: 100_000, ..Counters::default() };
    assert_eq!(net.counters(N1, N2), passed);
    assert_eq!(net.counters(N2, N1), Counters::default());
}

#[tokio::test]
async fn a_cut_stops_its_direction_and_no_other() {
    let mut net = Net::start(3).await;
    let mut streams = BTreeMap::new();
    for (from, to) in [(N1, N2), (N2, N1), (N1, N3)] {
        let mut stream = net.connect(from, to).await;
        echo(&mut stream, b"before").await.expect("an open link");
        streams.insert((from, to), stream);
    }
    net.links.strike(Trouble::Cut, &link(N1, N2)).expect("a link");

    expect_end(streams.get_mut(&(N1, N2)).expect("a stream")).await;
    let mut stopped = net.connect(N1, N2).await;
    stopped.write_all(b"during").await.expect("a cut link accepts and loses");
    expect_silence(&mut stopped).await;
    for pair in [(N2, N1), (N1, N3)] {
        let stream = streams.get_mut(&pair).expect("a stream");
        echo(stream, b"during").await.expect("another link");
        echo(&mut net.connect(pair.0, pair.1).await, b"anew").await.expect("another link");
    }
    assert_eq!(net.nodes[&N2].everything(), [b"before".to_vec()]);

    until("the loss", || net.counters(N1, N2).stopped_bytes == 6).await;
    let bites = net.links.heal();
    assert_eq!(bites.len(), 1);
    let bite = bites[0];
    assert_eq!((bite.from, bite.to, bite.severed), (N1, N2, 1));
    assert_eq!((bite.connections, bite.bytes, bite.bit()), (1, 6, true));
    expect_end(&mut stopped).await;
    echo(&mut net.connect(N1, N2).await, b"after").await.expect("healed");
    assert_eq!(net.nodes[&N2].everything(), [b"before".to_vec(), b"after".to_vec()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn not_a_byte_passes_once_cut_returns() {
    let mut net = Net::start(2).await;
    for round in 1..=20 {
        let mut writers = JoinSet::new();
        for _ in 0..8 {
            let mut stream = net.connect(N1, N2).await;
            writers.spawn(async move {
                let (mut read, mut write) = stream.split();
                let mut sink = vec![0; 4096];
                let writing = async { while write.write_all(&[7; 1000]).await.is_ok() {} };
                let reading = async { while let Ok(1..) = read.read(&mut sink).await {} };
                tokio::join!(writing, reading);
            });
        }
        // One that came after the cut would be swallowed, and write on until healed.
        until("every writer", || net.counters(N1, N2).connections == 8 * round).await;
        let before = net.counters(N1, N2).bytes;
        until("traffic", || net.counters(N1, N2).bytes > before + 50_000).await;
        net.links.strike(Trouble::Cut, &link(N1, N2)).expect("a link");
        let at_cut = net.counters(N1, N2);
        in_time("every writer's end", writers.join_all()).await;
        let later = net.counters(N1, N2);
        assert_eq!(later.bytes, at_cut.bytes);
        assert_eq!(later.answered_bytes, at_cut.answered_bytes);
        let bite = net.links.heal()[0];
        assert_eq!(bite.severed, 8);
    }
}

#[tokio::test]
async fn an_idle_cut_did_not_bite() {
    let mut net = Net::start(2).await;
    let mut idle = net.connect(N1, N2).await;
    echo(&mut idle, b"hello").await.expect("an open link");
    let both = Grudge::from_iter([(N1, N2), (N2, N1)]);
    net.links.strike(Trouble::Cut, &both).expect("links");
    expect_end(&mut idle).await;
    until("the count", || net.counters(N1, N2).severed == 1).await;
    assert_eq!(net.links.bites(), net.links.heal());
    net.links.strike(Trouble::Cut, &both).expect("links");
    let bites = net.links.heal();
    assert!(bites.len() == 2 && bites.iter().all(|bite| !bite.bit() && bite.severed == 0));
    assert_eq!(net.links.heal(), []);
}

#[tokio::test]
async fn the_shortest_cut_severs() {
    let mut net = Net::start(2).await;
    let mut stream = net.connect(N1, N2).await;
    echo(&mut stream, b"before").await.expect("an open link");
    // Healed before the relay has had a moment to run: the flavour here is one thread.
    net.links.strike(Trouble::Cut, &link(N1, N2)).expect("a link");
    net.links.heal();
    expect_end(&mut stream).await;
    echo(&mut net.connect(N1, N2).await, b"after").await.expect("healed");
}

#[tokio::test]
async fn a_slow_link_delivers_later_and_the_others_do_not() {
    let mut net = Net::start(2).await;
    let mut slow = net.connect(N1, N2).await;
    let mut quick = net.connect(N2, N1).await;
    echo(&mut slow, b"before").await.expect("an echo");
    let by = Duration::from_millis(300);
    net.links.strike(Trouble::Slow(by), &link(N1, N2)).expect("a link");
    let began = std::time::Instant::now();
    echo(&mut slow, b"late").await.expect("an echo all the same");
    let took = began.elapsed();
    assert!(took >= by, "there and back, each half as long at least: {took:?}");
    assert_eq!(net.counters(N2, N1).stopped_bytes, 0);
    echo(&mut quick, b"quick").await.expect("an echo");
    let [bite] = net.links.heal().try_into().expect("one link was slow");
    assert_eq!((bite.from, bite.to, bite.bytes, bite.severed), (N1, N2, 4, 0));
    echo(&mut slow, b"as before").await.expect("the connection lived through it");
    assert_eq!(net.counters(N1, N2).stopped_bytes, 4, "nothing is late any more");
    assert!(net.links.heal().is_empty());
}

#[tokio::test]
async fn a_lossy_link_delivers_what_it_lost_later_or_breaks() {
    let mut net = Net::start(2).await;
    let mut quick = net.connect(N2, N1).await;
    net.links.strike(Trouble::Lose(percent(40)), &link(N1, N2)).expect("a link");
    let (mut late, mut broken) = (0, 0);
    in_time("a loss", async {
        while late == 0 {
            let began = std::time::Instant::now();
            match echo(&mut net.connect(N1, N2).await, b"lossy").await {
                // A retransmission takes 200 ms at least.
                Ok(()) => late += u32::from(began.elapsed() >= Duration::from_millis(200)),
                Err(_) => broken += 1,
            }
        }
    })
    .await;
    echo(&mut quick, b"quick").await.expect("the other direction loses nothing");
    assert_eq!(net.counters(N2, N1).stopped_bytes, 0);
    // What is always lost breaks its connection after some attempts.
    net.links.strike(Trouble::Lose(percent(100)), &link(N1, N2)).expect("a link");
    let mut hopeless = net.connect(N1, N2).await;
    hopeless.write_all(b"never").await.expect("room to wait in");
    expect_end(&mut hopeless).await;
    assert!(net.nodes[&N2].everything().iter().all(|it| !it.ends_with(b"never")), "{broken}");
    let [bite] = net.links.heal().try_into().expect("one link lost messages");
    assert!(bite.bit());
    echo(&mut net.connect(N1, N2).await, b"after").await.expect("healed");
}

#[tokio::test]
async fn a_narrow_link_drips_at_its_rate() {
    let mut net = Net::start(2).await;
    let mut narrow = net.connect(N1, N2).await;
    let mut quick = net.connect(N2, N1).await;
    // A byte a second: however busy the machine is, it is not busy for two of them.
    let rate = Rate::new(1).expect("a rate");
    net.links.strike(Trouble::Limit(rate), &link(N1, N2)).expect("a link");
    let began = std::time::Instant::now();
    narrow.write_all(b"abc").await.expect("room to wait in");
    let arrived = || net.nodes[&N2].everything().first().map_or(0, Vec::len);
    until("a first drop", || arrived() > 0).await;
    assert!(arrived() < 3, "it came in one piece");
    assert!(began.elapsed() >= Duration::from_millis(990), "{:?}", began.elapsed());
    echo(&mut quick, b"quick").await.expect("an echo");
    assert_eq!(net.counters(N2, N1).stopped_bytes, 0);
    let [bite] = net.links.heal().try_into().expect("one link was narrow");
    assert_eq!((bite.from, bite.to, bite.bytes), (N1, N2, 3));
    echo(&mut net.connect(N1, N2).await, b"as before").await.expect("as wide as before");
}

#[tokio::test]
async fn a_reset_breaks_off_the_next_message_in_the_middle_and_no_other() {
    let mut net = Net::start(2).await;
    let mut first = net.connect(N1, N2).await;
    let mut second = net.connect(N1, N2).await;
    echo(&mut first, b"before ").await.expect("an echo");
    echo(&mut second, b"before ").await.expect("an echo");
    net.links.strike(Trouble::Reset, &link(N1, N2)).expect("a link");
    first.write_all(b"abcdef").await.expect("sent");
    until("the first half", || net.counters(N1, N2).severed == 1).await;
    let mut rest = Vec::new();
    let end = in_time("the end", first.read_to_end(&mut rest)).await;
    assert!(end.is_err() || rest.len() <= 3, "{end:?} {rest:?}");
    until("half a message", || net.nodes[&N2].everything()[0].len() >= 7).await;
    let received = net.nodes[&N2].everything()[0].clone();
    assert!(b"before abc".starts_with(&received), "no more than half: {received:?}");
    echo(&mut second, b"after").await.expect("only one message breaks off");
    let [bite] = net.links.heal().try_into().expect("one link");
    assert_eq!((bite.bytes, bite.severed), (6, 1));
    assert!(bite.bit());
    // One that no message met is over when the link is healed.
    net.links.strike(Trouble::Reset, &link(N1, N2)).expect("a link");
    assert!(!net.links.heal()[0].bit());
    echo(&mut second, b"all of it").await.expect("healed");
}

#[tokio::test]
async fn a_stranded_connection_leads_nowhere_and_its_sender_is_not_told() {
    let mut net = Net::start(2).await;
    let mut old = net.connect(N1, N2).await;
    echo(&mut old, b"before").await.expect("an echo");
    net.links.strike(Trouble::Strand, &link(N1, N2)).expect("a link");
    old.write_all(b"into the void").await.expect("the sender notices nothing");
    expect_silence(&mut old).await;
    until("the loss", || net.counters(N1, N2).stopped_bytes == 13).await;
    echo(&mut net.connect(N1, N2).await, b"new").await.expect("a new connection leads there");
    assert_eq!(net.nodes[&N2].everything()[0], b"before");
    let [bite] = net.links.heal().try_into().expect("one link");
    assert_eq!((bite.bytes, bite.connections), (13, 0));
    expect_end(&mut old).await;
}

#[tokio::test]
async fn a_hold_delivers_when_healed() {
    let mut net = Net::start(2).await;
    let mut old = net.connect(N1, N2).await;
    echo(&mut old, b"before").await.expect("an open link");
    net.links.strike(Trouble::Hold, &link(N1, N2)).expect("a link");
    old.write_all(b" held").await.expect("room to wait in");
    let mut new = net.connect(N1, N2).await;
    new.write_all(b"from the start").await.expect("room to wait in");
    expect_silence(&mut old).await;
    expect_silence(&mut new).await;
    echo(&mut net.connect(N2, N1).await, b"back").await.expect("the other direction");
    assert_eq!(net.nodes[&N2].everything(), [b"before".to_vec()]);
    until("the hold", || net.links.bites()[0].bytes == 5).await;
    until("the hold", || net.links.bites()[0].connections == 1).await;
    let bite = net.links.bites()[0];
    assert!(bite.bit());

    assert_eq!(net.links.heal(), [bite]);
    let mut answer = [0; 5];
    in_time("what was held", old.read_exact(&mut answer)).await.expect("still connected");
    assert_eq!(&answer, b" held");
    let mut answer = [0; 14];
    in_time("what was held", new.read_exact(&mut answer)).await.expect("still connected");
    assert_eq!(net.nodes[&N2].everything(), [b"before held".to_vec(), b"from the start".to_vec()]);
}

#[tokio::test]
async fn a_hold_keeps_the_end_of_a_connection_too() {
    let mut net = Net::start(2).await;
    let mut stream = net.connect(N1, N2).await;
    echo(&mut stream, b"before").await.expect("an open link");
    net.links.strike(Trouble::Hold, &link(N1, N2)).expect("a link");
    stream.shutdown().await.expect("the sender's end");
    // The node would end its side as soon as it heard of that.
    expect_silence(&mut stream).await;
    net.links.heal();
    expect_end(&mut stream).await;
}

#[tokio::test]
async fn a_held_link_pushes_back() {
    let mut net = Net::start(2).await;
    let mut stream = net.connect(N1, N2).await;
    echo(&mut stream, b"before").await.expect("an open link");
    net.links.strike(Trouble::Hold, &link(N1, N2)).expect("a link");
    // Far more than the system keeps for a connection that nobody reads.
    let flood = vec![1; 64 << 20];
    let written = tokio::time::timeout(Duration::from_millis(300), stream.write_all(&flood)).await;
    assert!(written.is_err(), "a held link swallowed everything");
    assert_eq!(net.counters(N1, N2).bytes, 6);
}

#[tokio::test]
async fn a_cut_loses_what_was_held() {
    let mut net = Net::start(2).await;
    let mut stream = net.connect(N1, N2).await;
    echo(&mut stream, b"before").await.expect("an open link");
    net.links.strike(Trouble::Hold, &link(N1, N2)).expect("a link");
    stream.write_all(b"held").await.expect("room to wait in");
    until("the hold", || net.counters(N1, N2).stopped_bytes == 4).await;
    // What a connection begun under a hold has sent, nobody has read when the cut comes.
    let mut unread = net.connect(N1, N2).await;
    unread.write_all(b"unread").await.expect("room to wait in");
    until("the connection", || net.counters(N1, N2).stopped_connections == 1).await;
    net.links.strike(Trouble::Cut, &link(N1, N2)).expect("a link");
    // To hold what is cut changes nothing.
    net.links.strike(Trouble::Hold, &link(N1, N2)).expect("a link");
    expect_end(&mut stream).await;
    expect_end(&mut unread).await;
    let bite = net.links.heal()[0];
    assert_eq!((bite.severed, bite.connections, bite.bytes), (2, 1, 10));
    assert_eq!(net.nodes[&N2].everything(), [b"before".to_vec()]);
}

#[tokio::test]
async fn a_node_may_be_late_or_come_back_elsewhere() {
    let links = Links::open([N1, N2]).await.expect("ports");
    let net = Net { links, nodes: BTreeMap::new() };
    expect_end(&mut net.connect(N1, N2).await).await;
    let first = EchoNode::start().await;
    net.links.set_upstream(N2, first.address);
    echo(&mut net.connect(N1, N2).await, b"first").await.expect("a node");
    drop(first);
    let second = EchoNode::start().await;
    net.links.set_upstream(N2, second.address);
    echo(&mut net.connect(N1, N2).await, b"second").await.expect("another");
    assert_eq!(second.everything(), [b"second".to_vec()]);
}

#[tokio::test]
async fn unknown_links_are_refused_and_nothing_is_cut() {
    let mut net = Net::start(2).await;
    let error = net
        .links
        .strike(Trouble::Cut, &Grudge::from_iter([(N1, N2), (N1, N3)]))
        .expect_err("no n3");
    assert!(matches!(error, LinkError::Unknown { from: N1, to: N3 }));
    assert_eq!(error.to_string(), "there is no link n1 -> n3");
    assert_eq!(net.links.bites(), []);
}

#[tokio::test]
async fn many_connections_pass() {
    let net = Net::start(3).await;
    for _ in 0..10 {
        let mut clients = JoinSet::new();
        for client in 0..100u32 {
            let (from, to) = [(N1, N2), (N2, N3), (N3, N1), (N1, N3)][client as usize % 4];
            let mut stream = net.connect(from, to).await;
            clients.spawn(async move {
                for round in 0..5u32 {
                    let message = [client.to_be_bytes(), round.to_be_bytes()].concat();
                    echo(&mut stream, &message).await.expect("an open link");
                }
            });
        }
        in_time("every answer", clients.join_all()).await;
    }
    let bytes: u64 = [(N1, N2), (N2, N3), (N3, N1), (N1, N3)]
        .map(|(from, to)| net.counters(from, to).bytes)
        .iter()
        .sum();
    assert_eq!(bytes, 10 * 100 * 5 * 8);
}

#[tokio::test]
async fn nothing_is_left_when_shut_or_dropped() {
    for dropped in [false, true] {
        let mut net = Net::start(3).await;
        net.links.strike(Trouble::Cut, &link(N2, N3)).expect("a link");
        net.links.strike(Trouble::Hold, &link(N3, N1)).expect("a link");
        let mut streams = Vec::new();
        let mut addresses = Vec::new();
        for (from, to) in [(N1, N2), (N2, N3), (N3, N1)] {
            addresses.push(net.address(from, to));
            let mut stream = net.connect(from, to).await;
            stream.write_all(b"x").await.expect("a proxy accepts");
            streams.push(stream);
        }
        let mut answer = [0];
        in_time("an answer", streams[0].read_exact(&mut answer)).await.expect("an open link");
        if dropped {
            drop(net);
        } else {
            net.links.shut().await;
        }
        for stream in &mut streams {
            expect_end(stream).await;
        }
        for address in addresses {
            in_time("the port's end", async {
                while TcpStream::connect(address).await.is_ok() {
                    assert!(dropped, "a port is open after all was shut");
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            })
            .await;
        }
    }
}

/// Any order of cuts, holds and heals, under traffic: what arrives on a connection is the beginning
/// of what was sent, nothing passes while the link is closed, and a connection that lived through
/// no cut loses nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_faults_lose_only_what_they_say() {
    for seed in 0..6 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut net = Net::start(2).await;
        let mut senders = JoinSet::new();
        let (mut cut, mut closed, mut cuts) = (false, false, 0u32);
        let mut at_close = Counters::default();
        for _ in 0..40 {
            match rng.random_range(0..8) {
                0 | 1 => {
                    net.links.strike(Trouble::Cut, &link(N1, N2)).expect("a link");
                    cuts += u32::from(!cut);
                    (cut, closed) = (true, true);
                    at_close = net.counters(N1, N2);
                }
                2 | 3 => {
                    net.links.strike(Trouble::Hold, &link(N1, N2)).expect("a link");
                    closed = true;
                    at_close = net.counters(N1, N2);
                }
                4 | 5 => {
                    net.links.heal();
                    (cut, closed) = (false, false);
                }
                _ => {
                    let stream = net.connect(N1, N2).await;
                    let first = (senders.len() as u64) << 32;
                    let born = (!cut).then_some(cuts);
                    senders.spawn(async move { (born, send_numbers(stream, first).await) });
                }
            }
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..8))).await;
            if closed {
                let now = net.counters(N1, N2);
                assert_eq!(now.bytes, at_close.bytes, "seed {seed}: a closed link let bytes pass");
                assert_eq!(now.answered_bytes, at_close.answered_bytes, "seed {seed}");
            }
        }
        net.links.heal();
        let mut whole = 0;
        for (born, sent) in in_time("every sender's end", senders.join_all()).await {
            whole += usize::from(sent == Sent::Everything);
            let uncut = born == Some(cuts);
            assert!(!uncut || sent == Sent::Everything, "seed {seed}: lost without a cut");
        }
        let received = net.nodes[&N2].everything();
        let mut complete = 0;
        for bytes in received.iter().filter(|bytes| bytes.len() >= 8) {
            let first = u64::from_be_bytes(bytes[..8].try_into().expect("eight bytes"));
            let expected: Vec<u8> = (first..first + NUMBERS).flat_map(u64::to_be_bytes).collect();
            assert!(first & 0xffff_ffff == 0 && expected.starts_with(bytes), "seed {seed}");
            complete += usize::from(bytes.len() == expected.len());
        }
        // All that was acknowledged arrived.
        assert!(complete >= whole, "seed {seed}: {complete} arrived, {whole} acknowledged");
    }
}

const NUMBERS: u64 = 400;

#[derive(PartialEq, Eq)]
enum Sent {
    Everything,
    Broken,
}

/// Sends numbers from `first` on, in order, and waits until all have come back.
async fn send_numbers(mut stream: TcpStream, first: u64) -> Sent {
    for number in first..first + NUMBERS {
        let mut answer = [0; 8];
        let there = stream.write_all(&number.to_be_bytes()).await;
        if there.is_err() || stream.read_exact(&mut answer).await.is_err() {
            return Sent::Broken;
        }
        assert_eq!(u64::from_be_bytes(answer), number);
    }
    Sent::Everything
}

#[tokio::test]
async fn a_node_that_is_gone_has_no_links_and_the_others_keep_theirs() {
    let mut net = Net::start(3).await;
    let gone = net.address(N1, N2);
    let mut kept = net.connect(N1, N3).await;
    echo(&mut kept, b"before").await.expect("an echo");
    net.links.remove(N2);
    assert_eq!(net.links.peers(N1).map(|(to, _)| to).collect::<Vec<_>>(), [N3]);
    assert_eq!(net.links.peers(N2).count(), 0);
    in_time("its port's end", async {
        while TcpStream::connect(gone).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    echo(&mut kept, b"after").await.expect("the others' connections live on");
    assert!(net.links.strike(Trouble::Cut, &link(N1, N2)).is_err(), "there is no such link");
}
