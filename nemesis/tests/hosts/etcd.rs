//! A store that is not ours: three nodes of etcd, as Debian has it, on hosts of their own.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rashomon_nemesis::hosts::Hosts;
use rashomon_nemesis::{Action, Bite, Hands, HandsError, Launch, Node, NodeProcess, Outcome};
use serde_json::{Value, json};

use crate::support::sandboxed;

/// How long anything may take. Far beyond what it needs: reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(60);
const CLIENTS: u16 = 2379;
const PEERS: u16 = 2380;
/// The key of all values: `k`, the way etcd wants it said.
const KEY: &str = "aw==";

/// How long an answer may take before it is asked for again.
const BRIEFLY: Duration = Duration::from_secs(2);
/// How long it is waited for what is not to come.
const SILENCE: Duration = Duration::from_secs(1);

struct Cluster {
    hands: Hands<Hosts>,
}

impl Cluster {
    async fn start() -> Self {
        let hosts = Hosts::open(Node::first(3)).await.expect("three hosts");
        let processes: Vec<NodeProcess> = Node::first(3)
            .map(|node| {
                let launch = hosts.launch(node, etcd(&hosts, node)).expect("there is such a host");
                NodeProcess::start(node, launch).expect("it starts")
            })
            .collect();
        Cluster { hands: Hands::new(hosts, processes) }
    }

    async fn apply(&mut self, line: &str) -> Outcome {
        let action: Action = line.parse().expect("a line");
        self.hands.apply(&action).await.expect(line)
    }

    /// Asks a node, and returns what it answers if it does so well.
    fn ask(&self, node: Node, path: &str, body: &Value) -> Option<Value> {
        match self.request(node, path, body, BRIEFLY) {
            Ok((200, answer)) => Some(answer),
            Ok(_) | Err(_) => None,
        }
    }

    fn request(
        &self,
        node: Node,
        path: &str,
        body: &Value,
        patience: Duration,
    ) -> io::Result<(u16, Value)> {
        let address = SocketAddr::from((self.hands.hosts().address(node), CLIENTS));
        let mut stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_read_timeout(Some(patience))?;
        let body = body.to_string();
        // The older version of the protocol has no chunks, and closes.
        let head = format!("POST /v3/{path} HTTP/1.0\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all((head + &body).as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Ok((status.unwrap_or_default(), serde_json::from_str(body).unwrap_or_default()))
    }

    /// Who leads as far as this node knows.
    fn leads(&self, node: Node) -> bool {
        let status = self.ask(node, "maintenance/status", &json!({})).unwrap_or_default();
        let leader = status["leader"].as_str().filter(|leader| *leader != "0");
        leader.is_some() && leader == status["header"]["member_id"].as_str()
    }

    async fn leader_among(&self, nodes: &[Node]) -> Node {
        let mut leader = None;
        until("leader", || {
            leader = nodes.iter().copied().find(|node| self.leads(*node));
            leader.is_some()
        })
        .await;
        leader.expect("waited for")
    }

    /// Writes a digit.
    fn write(&self, node: Node, digit: u8) -> bool {
        let value = value(digit);
        self.ask(node, "kv/put", &json!({"key": KEY, "value": value})).is_some()
    }

    /// What a read finds: a digit, if the node answers. A serializable one asks nobody else.
    fn read(&self, node: Node, serializable: bool) -> Option<u8> {
        let asked = json!({"key": KEY, "serializable": serializable});
        let answer = self.ask(node, "kv/range", &asked)?;
        (0..10).find(|digit| answer["kvs"][0]["value"] == value(*digit))
    }
}

/// A digit in the base 64 that etcd wants.
fn value(digit: u8) -> String {
    // Eight bits make two letters: `0` is 0x30, six bits of which are `M`.
    let letters = ["MA", "MQ", "Mg", "Mw", "NA", "NQ", "Ng", "Nw", "OA", "OQ"];
    format!("{}==", letters[usize::from(digit)])
}

fn etcd(hosts: &Hosts, node: Node) -> Launch {
    let url = |node: Node, port: u16| format!("http://{}:{port}", hosts.address(node));
    let all: Vec<String> = Node::first(3).map(|n| format!("{n}={}", url(n, PEERS))).collect();
    // In the sandbox's own memory: a real disk takes long to set 64 MB aside.
    let args = [
        format!("--name={node}"),
        format!("--data-dir=/run/{node}"),
        format!("--listen-peer-urls={}", url(node, PEERS)),
        format!("--initial-advertise-peer-urls={}", url(node, PEERS)),
        format!("--listen-client-urls={}", url(node, CLIENTS)),
        format!("--advertise-client-urls={}", url(node, CLIENTS)),
        format!("--initial-cluster={}", all.join(",")),
    ];
    let log = format!("/run/{node}.log").into();
    let data = format!("/run/{node}").into();
    Launch { program: "etcd".into(), args: args.map(Into::into).into(), data, log }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "no {what}; the log of n1:\n{}", log(Node(1)));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn log(node: Node) -> String {
    std::fs::read_to_string(format!("/run/{node}.log")).unwrap_or_default()
}

/// The minute of the day of the last line of a log: `2026-11-22 01:35:58.1 I | raft: …`.
fn minute(node: Node) -> u32 {
    let log = log(node);
    let times = log.lines().rev().filter_map(|line| line.split(' ').nth(1));
    let mut minutes = times.filter_map(|time| {
        let mut parts = time.split(':').map(|part| part.parse::<u32>().ok());
        Some(parts.next()?? * 60 + parts.next()??)
    });
    minutes.next().expect("a line with a time")
}

/// The leader, and the others.
async fn parties(cluster: &Cluster) -> (Node, [Node; 2]) {
    let all: Vec<Node> = Node::first(3).collect();
    let leader = cluster.leader_among(&all).await;
    let others: Vec<Node> = all.into_iter().filter(|node| *node != leader).collect();
    (leader, [others[0], others[1]])
}

#[test]
fn a_leader_of_etcd_is_isolated_and_serves_what_is_stale() {
    let name = "etcd::a_leader_of_etcd_is_isolated_and_serves_what_is_stale";
    sandboxed(name, &["etcd", "ip", "nft"], || async {
        let mut cluster = Cluster::start().await;
        let (old, [a, b]) = parties(&cluster).await;
        until("write", || cluster.write(old, 1)).await;
        until("read", || cluster.read(a, true) == Some(1)).await;

        cluster.apply(&format!("cut {old} | {a}, {b}")).await;
        let new = cluster.leader_among(&[a, b]).await;
        until("write", || cluster.write(new, 2)).await;
        until("read", || cluster.read(new, false) == Some(2)).await;
        // What it does not ask the others about is what it was; what it does is refused.
        assert_eq!(cluster.read(old, true), Some(1), "a stale read");
        let asked = json!({"key": KEY});
        let (status, _) = cluster.request(old, "kv/range", &asked, PATIENCE).expect("an answer");
        assert_ne!(status, 200, "a linearizable read of a leader that is cut off");
        for (from, to) in [(old, a), (a, old), (old, b), (b, old)] {
            let traffic = cluster.hands.hosts().traffic(from, to).await.expect("counted");
            assert!(traffic.lost_packets > 0, "nothing ran into {from} -> {to}");
        }
        let traffic = cluster.hands.hosts().traffic(a, b).await.expect("counted");
        assert_eq!(traffic.lost_packets, 0, "that link was not cut");

        let healed = cluster.apply("heal").await.healed;
        assert_eq!(healed.len(), 4);
        assert!(healed.iter().all(Bite::bit), "{healed:?}");
        until("healing", || cluster.read(old, true) == Some(2)).await;
        until("read", || cluster.read(old, false) == Some(2)).await;
        assert!(cluster.hands.stop(SILENCE).await.is_empty());
    });
}

#[test]
fn etcd_bears_pauses_delays_kills_and_one_way_cuts() {
    let name = "etcd::etcd_bears_pauses_delays_kills_and_one_way_cuts";
    sandboxed(name, &["etcd", "ip", "nft", "iptables"], || async {
        let mut cluster = Cluster::start().await;
        let (leader, [a, b]) = parties(&cluster).await;
        until("write", || cluster.write(leader, 1)).await;
        until("read", || cluster.read(a, true) == Some(1)).await;

        // Who stands still says nothing, and then catches up.
        cluster.apply(&format!("pause {a}")).await;
        let asked = json!({"key": KEY, "serializable": true});
        let silent = cluster.request(a, "kv/range", &asked, SILENCE);
        assert!(silent.is_err(), "a paused node answered: {silent:?}");
        until("write, for which the others are enough", || cluster.write(leader, 2)).await;
        assert_eq!(cluster.apply("resume").await.cured.len(), 1);
        until("catching up", || cluster.read(a, true) == Some(2)).await;

        // A write takes as long as the faster of the links to a majority.
        cluster.apply(&format!("slow {leader} -> {a}, {b} by 40ms")).await;
        for digit in [3, 4, 3] {
            let mut start = Instant::now();
            until("write", || {
                start = Instant::now();
                cluster.write(leader, digit)
            })
            .await;
            assert!(start.elapsed() >= Duration::from_millis(40), "a write crossed a slow link");
        }
        assert!(cluster.apply("heal").await.healed.iter().all(Bite::bit));

        // It hears the others, who do not hear it: a write never comes to them.
        let (leader, [a, b]) = parties(&cluster).await;
        until("read", || cluster.read(a, true) == Some(3)).await;
        cluster.apply(&format!("cut {leader} -> {a}, {b}")).await;
        let before = cluster.hands.hosts().traffic(leader, a).await.expect("counted");
        let asked = json!({"key": KEY, "value": value(5)});
        let written = cluster.request(leader, "kv/put", &asked, SILENCE);
        assert!(written.is_err() || written.is_ok_and(|(status, _)| status != 200));
        assert_eq!(cluster.read(a, true), Some(3), "a write crossed a cut link");
        let hosts = cluster.hands.hosts();
        let (there, back) = (hosts.traffic(leader, a).await, hosts.traffic(a, leader).await);
        let (there, back) = (there.expect("counted"), back.expect("counted"));
        assert_eq!(there.packets, before.packets, "a cut link carried something");
        assert!(there.lost_packets > 0);
        assert!(back.packets > 0 && back.lost_packets == 0, "the way back was not cut");
        cluster.apply("heal").await;

        // Killed, and back with what it had.
        let (leader, [a, b]) = parties(&cluster).await;
        until("write", || cluster.write(leader, 6)).await;
        assert_eq!(cluster.apply(&format!("kill {a}")).await.ended, [a]);
        cluster.request(a, "kv/range", &json!({"key": KEY}), SILENCE).expect_err("it is dead");
        until("read", || cluster.read(b, false) == Some(6)).await;
        cluster.apply(&format!("restart {a}")).await;
        until("restart", || cluster.read(a, false) == Some(6)).await;

        // What cannot be done is said.
        let stall = format!("stall {a} by 1s").parse().expect("an action");
        let error = cluster.hands.apply(&stall).await.expect_err("etcd has no ear for it");
        assert!(matches!(error, HandsError::Deaf(_)), "{error}");
        // Asked to end, it does so in order. The others say in their logs when they lost it, and
        // one of them is an hour ahead, also after a restart.
        for leaps in [true, false] {
            if leaps {
                assert_eq!(cluster.apply(&format!("leap {a} by 60m")).await.ailing, [a]);
            } else {
                cluster.apply(&format!("kill {a}")).await;
                cluster.apply(&format!("restart {a}")).await;
            }
            assert_eq!(cluster.apply(&format!("stop {b}")).await.ended, [b]);
            assert!(log(b).contains("received terminated signal"), "{}", log(b));
            let ahead = || (minute(a) + 1_440 - minute(leader)) % 1_440;
            until("log of another time", || (58..=62).contains(&ahead())).await;
            cluster.apply(&format!("restart {b}")).await;
            until("restart", || cluster.read(b, false) == Some(6)).await;
        }
        assert!(cluster.hands.stop(SILENCE).await.is_empty());
    });
}
