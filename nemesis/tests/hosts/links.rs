//! What sockets on both sides of a link see of what is wrong with it.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use rashomon_nemesis::hosts::{CONTROL, Hosts, HostsError};
use rashomon_nemesis::{Action, Bite, Grudge, Node, Trouble};

use crate::support::sandboxed;

const NETWORK: &[&str] = &["ip", "nft"];
const QUEUE: &[&str] = &["ip", "nft", "iptables"];
const N1: Node = Node(1);
const N2: Node = Node(2);
/// How long it is waited for what is to come. Reached by a failure only.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long it is waited for what is not to come.
const SILENCE: Duration = Duration::from_millis(300);

async fn two() -> Hosts {
    Hosts::open([N1, N2]).await.expect("two hosts")
}

/// Does what a line of a schedule says.
async fn strike(hosts: &mut Hosts, line: &str) {
    match line.parse().expect("a line") {
        Action::Link(trouble, grudge) => hosts.strike(trouble, &grudge).await.expect(line),
        other => panic!("not about links: {other}"),
    }
}

fn bite(bites: &[Bite], from: Node, to: Node) -> Bite {
    *bites.iter().find(|bite| (bite.from, bite.to) == (from, to)).expect("a bite of the link")
}

/// A socket for datagrams on a host, or on the control side.
fn socket(hosts: &Hosts, node: Node) -> UdpSocket {
    let address = (hosts.address(node), 0);
    let bound = match node {
        CONTROL => UdpSocket::bind(address),
        _ => hosts.within(node, || UdpSocket::bind(address)).expect("inside"),
    };
    let socket = bound.expect("a port");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket
}

/// Sends so many datagrams and returns the numbers of those that arrive, in order.
fn send(from: &UdpSocket, to: &UdpSocket, count: u32) -> Vec<u32> {
    let mut arrived = Vec::new();
    to.set_nonblocking(true).expect("set");
    let target = to.local_addr().expect("an address");
    for number in 0..count {
        from.send_to(&number.to_be_bytes(), target).expect("sent");
        // As they come, so that none is lost for want of room. A packet has arrived when it is sent:
        // all of it is one kernel.
        arrived.extend(take(to));
    }
    to.set_nonblocking(false).expect("set");
    to.set_read_timeout(Some(SILENCE)).expect("a timeout");
    arrived.extend(std::iter::from_fn(|| take(to)));
    to.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    arrived
}

fn take(socket: &UdpSocket) -> Option<u32> {
    let mut number = [0; 4];
    match socket.recv(&mut number) {
        Ok(_) => Some(u32::from_be_bytes(number)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_cut_link_carries_nothing_one_way_and_everything_the_other() {
    sandboxed(
        "links::a_cut_link_carries_nothing_one_way_and_everything_the_other",
        NETWORK,
        || async {
            let mut hosts = two().await;
            let [a, b, c] = [N1, N2, CONTROL].map(|node| socket(&hosts, node));
            let all: Vec<u32> = (0..20).collect();
            assert_eq!(send(&a, &b, 20), all);
            strike(&mut hosts, "cut n1 -> n2").await;
            assert!(send(&a, &b, 20).is_empty(), "a cut link let something pass");
            assert_eq!(send(&b, &a, 20), all, "the way back was not to be cut");
            assert_eq!(send(&a, &c, 20), all, "clients were not to be cut off");
            let (there, back) = (hosts.traffic(N1, N2).await, hosts.traffic(N2, N1).await);
            let (there, back) = (there.expect("counted"), back.expect("counted"));
            assert_eq!((there.packets, there.lost_packets), (20, 20));
            assert_eq!((back.packets, back.lost_packets), (20, 0));
            assert_eq!(
                bite(&hosts.bites().await.expect("counted"), N1, N2).bytes,
                20 * (20 + 8 + 4)
            );
            // Clients can be cut off, too.
            strike(&mut hosts, "cut n254 -> n2").await;
            assert!(send(&c, &b, 20).is_empty());
            assert_eq!(send(&b, &c, 20), all);
            let healed = hosts.heal().await.expect("healed");
            assert_eq!(healed.len(), 2);
            assert!(healed.iter().all(Bite::bit));
            assert_eq!(send(&a, &b, 20), all);
            assert_eq!(send(&c, &b, 20), all);
            assert_eq!(hosts.heal().await.expect("nothing to do"), []);
        },
    );
}

#[test]
fn a_lossy_link_loses_its_share() {
    sandboxed("links::a_lossy_link_loses_its_share", NETWORK, || async {
        let mut hosts = two().await;
        let [a, b] = [N1, N2].map(|node| socket(&hosts, node));
        for (share, at_least, at_most) in [(30, 200, 400), (1, 1, 60), (100, 1000, 1000)] {
            strike(&mut hosts, &format!("lose n1 -> n2 at {share}%")).await;
            let before = hosts.traffic(N1, N2).await.expect("counted");
            assert_eq!(before.lost_packets, 0, "counted anew with every share");
            let lost = 1000 - send(&a, &b, 1000).len() as u64;
            // Of 1000 packets 30 % are 300, and half a hundred more or less would be 3.4 sigmas.
            assert!((at_least..=at_most).contains(&lost), "{share} of 1000 is not {lost}");
            assert_eq!(hosts.traffic(N1, N2).await.expect("counted").lost_packets, lost);
            assert_eq!(send(&b, &a, 100).len(), 100, "the way back was not to lose anything");
        }
        hosts.heal().await.expect("healed");
        assert_eq!(send(&a, &b, 100).len(), 100);
    });
}

/// How long a datagram takes there and back, at the median of several.
fn round_trip(from: &UdpSocket, to: &UdpSocket) -> Duration {
    let (there, back) = (to.local_addr().expect("one"), from.local_addr().expect("one"));
    let mut times: Vec<Duration> = (0..15)
        .map(|_| {
            let start = Instant::now();
            let mut word = [0; 4];
            from.send_to(b"ping", there).expect("sent");
            to.recv(&mut word).expect("it arrives");
            to.send_to(b"pong", back).expect("sent");
            from.recv(&mut word).expect("it arrives");
            start.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

#[test]
fn a_slow_link_takes_as_much_longer_as_was_said() {
    sandboxed("links::a_slow_link_takes_as_much_longer_as_was_said", QUEUE, || async {
        let mut hosts = two().await;
        let [a, b, c] = [N1, N2, CONTROL].map(|node| socket(&hosts, node));
        let ms = Duration::from_millis;
        let between =
            |time: Duration, low, high| assert!(ms(low) <= time && time < ms(high), "{time:?}");
        between(round_trip(&a, &b), 0, 20);
        strike(&mut hosts, "slow n1 -> n2 by 40ms").await;
        between(round_trip(&a, &b), 40, 120);
        // The way there of one is the way back of the other.
        between(round_trip(&b, &a), 40, 120);
        between(round_trip(&a, &c), 0, 20);
        strike(&mut hosts, "slow n2 -> n1 by 40ms").await;
        between(round_trip(&a, &b), 80, 200);
        strike(&mut hosts, "slow n254 -> n1 by 40ms").await;
        between(round_trip(&c, &a), 40, 120);
        assert!(hosts.bites().await.expect("counted").iter().all(|bite| bite.bytes >= 15 * 32));
        hosts.heal().await.expect("healed");
        between(round_trip(&a, &b), 0, 20);
        between(round_trip(&c, &a), 0, 20);
        assert_eq!(hosts.bites().await.expect("counted"), []);
    });
}

#[test]
fn what_is_held_arrives_in_order_when_all_is_mended() {
    sandboxed("links::what_is_held_arrives_in_order_when_all_is_mended", QUEUE, || async {
        let mut hosts = two().await;
        let [a, b] = [N1, N2].map(|node| socket(&hosts, node));
        strike(&mut hosts, "hold n1 -> n2").await;
        assert!(send(&a, &b, 50).is_empty());
        assert_eq!(send(&b, &a, 50).len(), 50, "the way back was not to be held");
        assert!(bite(&hosts.heal().await.expect("healed"), N1, N2).bit());
        let arrived: Vec<u32> = (0..50).map(|_| take(&b).expect("held, and not lost")).collect();
        assert_eq!(arrived, (0..50).collect::<Vec<u32>>());
        assert_eq!(send(&a, &b, 50).len(), 50);
    });
}

/// A connection from one host to another, both ends.
fn connection(hosts: &Hosts, from: Node, to: Node) -> (TcpStream, TcpStream) {
    let address = (hosts.address(to), 0);
    let listener = hosts.within(to, || TcpListener::bind(address)).expect("inside");
    let listener = listener.expect("a port");
    let connected = connect(hosts, from, listener.local_addr().expect("an address"));
    let (accepted, _) = listener.accept().expect("accepted");
    accepted.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    (connected.expect("connected"), accepted)
}

fn connect(hosts: &Hosts, from: Node, to: SocketAddr) -> std::io::Result<TcpStream> {
    let connected = hosts.within(from, || TcpStream::connect_timeout(&to, PATIENCE));
    let stream = connected.expect("inside")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// How long these bytes take until all have arrived.
fn carry(from: &mut TcpStream, to: &mut TcpStream, bytes: usize) -> Duration {
    let start = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| from.write_all(&vec![0; bytes]).expect("sent"));
        to.read_exact(&mut vec![0; bytes]).expect("arrived");
    });
    start.elapsed()
}

#[test]
fn a_limited_link_carries_no_more_than_its_rate() {
    sandboxed(
        "links::a_limited_link_carries_no_more_than_its_rate",
        &["ip", "nft", "tc"],
        || async {
            let mut hosts = two().await;
            let (mut near, mut far) = connection(&hosts, N1, N2);
            strike(&mut hosts, "limit n1 -> n2 to 200kB/s").await;
            // A second's worth may pass at once: what a bucket holds, and one packet as large as any.
            let there = carry(&mut near, &mut far, 500_000);
            assert!(there >= Duration::from_millis(1_500), "500 kB at 200 kB/s in {there:?}");
            let back = carry(&mut far, &mut near, 500_000);
            assert!(back < there, "the way back was not to be limited: {back:?}, {there:?}");
            assert!(bite(&hosts.bites().await.expect("counted"), N1, N2).bytes >= 500_000);
            strike(&mut hosts, "limit n1 -> n2 to 50MB/s").await;
            assert!(carry(&mut near, &mut far, 500_000) < there);
            strike(&mut hosts, "limit n1 -> n2 to 200kB/s").await;
            hosts.heal().await.expect("healed");
            assert!(carry(&mut near, &mut far, 500_000) < there);
            assert_eq!(hosts.bites().await.expect("counted"), []);
        },
    );
}

#[test]
fn a_reset_breaks_the_next_message_off() {
    sandboxed("links::a_reset_breaks_the_next_message_off", NETWORK, || async {
        let mut hosts = two().await;
        let (mut near, mut far) = connection(&hosts, N1, N2);
        strike(&mut hosts, "reset n1 -> n2").await;
        near.write_all(b"lost").expect("taken by the system");
        let ended = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
        let error = near.read(&mut [0]).expect_err("a reset connection was readable");
        assert!(ended.contains(&error.kind()), "{error}");
        assert!(bite(&hosts.bites().await.expect("counted"), N1, N2).bit());
        // The other end hears when it says something.
        far.write_all(b"?").expect("taken by the system");
        let error = far.read(&mut [0]).expect_err("a reset connection was readable");
        assert!(ended.contains(&error.kind()), "{error}");
        // One message, and no more.
        let (mut near, mut far) = connection(&hosts, N1, N2);
        carry(&mut near, &mut far, 1_000);
        // What is mended before it bites does not bite.
        strike(&mut hosts, "reset n2 -> n1").await;
        let healed = hosts.heal().await.expect("healed");
        assert!(bite(&healed, N1, N2).bit() && !bite(&healed, N2, N1).bit());
        carry(&mut far, &mut near, 1_000);
    });
}

#[test]
fn a_stranded_connection_is_open_at_one_end_and_gone_at_the_other() {
    let name = "links::a_stranded_connection_is_open_at_one_end_and_gone_at_the_other";
    sandboxed(name, &["ip", "nft", "ss"], || async {
        let mut hosts = two().await;
        let (mut near, mut far) = connection(&hosts, N1, N2);
        strike(&mut hosts, "strand n1 -> n2").await;
        far.read(&mut [0]).expect_err("the receiver's end is still open");
        near.write_all(b"lost").expect("the sender was told");
        near.set_read_timeout(Some(SILENCE)).expect("a timeout");
        let error = near.read(&mut [0]).expect_err("somebody answered");
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "the sender was told: {error}");
        // It may open another.
        let (mut other, mut end) = connection(&hosts, N1, N2);
        carry(&mut other, &mut end, 1_000);
        let bite = bite(&hosts.heal().await.expect("healed"), N1, N2);
        assert_eq!(bite.severed, 1);
        assert!(bite.bit());
        // Now that packets arrive, it hears that nobody knows the connection.
        near.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let error = near.read(&mut [0]).expect_err("somebody answered");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    });
}

#[test]
fn what_hosts_cannot_do_is_an_error_that_says_so() {
    sandboxed("links::what_hosts_cannot_do_is_an_error_that_says_so", NETWORK, || async {
        let mut hosts = two().await;
        let unknown = Grudge::from_iter([(N1, Node(3))]);
        let error = hosts.strike(Trouble::Cut, &unknown).await.expect_err("there is no n3");
        assert!(matches!(error, HostsError::Unknown(Node(3))), "{error}");
        let error = Hosts::open([Node(251)]).await.expect_err("there is no address for it");
        assert!(matches!(error, HostsError::Beyond(Node(251))), "{error}");
        // Parallel networks do not meet.
        let other = two().await;
        assert_ne!(hosts.name(), other.name());
        assert_ne!(hosts.address(N1), other.address(N1));
        let [a, b] = [&hosts, &other].map(|hosts| socket(hosts, N1));
        let reached = a.send_to(b"?", b.local_addr().expect("an address"));
        assert!(reached.is_err() || take(&b).is_none(), "one network reached another");
    });
}
