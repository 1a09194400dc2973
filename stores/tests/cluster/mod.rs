//! A cluster of live nodes inside the test process, on ports that the system chose.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rashomon_stores::node::server::{SEQUENCE_HEADER, SESSION_HEADER, StatusBody};
use rashomon_stores::node::{Config, Node, NodeError, QuorumSizes, Snapshots, Timing};
use rashomon_stores::raft::ReadMode;
use rashomon_stores::replica::{NodeId, Role};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tracing::Level;

/// How long anything may take before a test gives up; far more than it should ever need.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Nodes that run, and what is needed to start them again.
pub(crate) struct Cluster {
    pub(crate) client: Client,
    configs: BTreeMap<NodeId, Config>,
    running: BTreeMap<NodeId, Node>,
    calls: AtomicU64,
    _data: TempDir,
}

impl Cluster {
    /// Starts nodes 1 to `size`.
    pub(crate) async fn start(size: u16) -> Cluster {
        Cluster::start_with(size, Snapshots::default()).await
    }

    /// Starts nodes 1 to `size` that keep their logs short like this.
    pub(crate) async fn start_with(size: u16, snapshots: Snapshots) -> Cluster {
        Cluster::start_store("raft", size, snapshots).await
    }

    /// Starts nodes 1 to `size` of a store.
    pub(crate) async fn start_store(store: &str, size: u16, snapshots: Snapshots) -> Cluster {
        // Shown only with the output of a test that failed.
        let _ = tracing_subscriber::fmt().with_test_writer().with_max_level(Level::INFO).try_init();
        let data = TempDir::new().expect("a temporary directory");
        let bind = || TcpListener::bind("127.0.0.1:0").expect("a free port");
        let listeners: BTreeMap<NodeId, TcpListener> =
            (1..=size).map(|id| (NodeId(id), bind())).collect();
        let addresses: BTreeMap<NodeId, SocketAddr> = listeners
            .iter()
            .map(|(id, listener)| (*id, listener.local_addr().expect("an address")))
            .collect();
        let config = |id: NodeId| {
            let url = |address: &SocketAddr| format!("http://{address}");
            let others = addresses.iter().filter(|(other, _)| **other != id);
            Config {
                id,
                listen: addresses[&id],
                peers: others.map(|(other, address)| (*other, url(address))).collect(),
                members: None,
                data_dir: data.path().join(id.to_string()),
                store: store.parse().expect("a store"),
                bug: None,
                seed: 1,
                cluster: data.path().display().to_string(),
                timing: Timing { request_timeout_ms: 5000, ..Timing::default() },
                reads: ReadMode::default(),
                quorums: QuorumSizes::default(),
                snapshots,
                trace: None,
            }
        };
        let configs: BTreeMap<_, _> = addresses.keys().map(|id| (*id, config(*id))).collect();
        let mut running = BTreeMap::new();
        for (id, listener) in listeners {
            let node = Node::start_on(configs[&id].clone(), listener).await.expect("it starts");
            running.insert(id, node);
        }
        let client = Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
        Cluster { client, configs, running, calls: AtomicU64::new(0), _data: data }
    }

    pub(crate) fn config(&self, id: NodeId) -> &Config {
        &self.configs[&id]
    }

    /// A node that runs.
    pub(crate) fn node(&mut self, id: NodeId) -> &mut Node {
        self.running.get_mut(&id).expect("it runs")
    }

    pub(crate) async fn stop(&mut self, id: NodeId) {
        let node = self.running.remove(&id).expect("it runs");
        node.stop().await.expect("it ran until it was stopped");
    }

    /// Drops a node that has ended by itself.
    pub(crate) fn forget(&mut self, id: NodeId) {
        self.running.remove(&id).expect("it ran");
    }

    /// Starts a node that was stopped, on its old port and data.
    pub(crate) async fn restart(&mut self, id: NodeId) {
        let deadline = Instant::now() + PATIENCE;
        let node = loop {
            match Node::start(self.configs[&id].clone()).await {
                Ok(node) => break node,
                // Another test's client may use the port for a connection of its own meanwhile.
                Err(NodeError::Listen { .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => panic!("{id} does not start again: {error}"),
            }
        };
        self.running.insert(id, node);
    }

    pub(crate) fn request(&self, id: NodeId, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.configs[&id].listen))
    }

    /// Sends a request and returns the status and the JSON body.
    pub(crate) async fn send(&self, request: RequestBuilder) -> (StatusCode, Value) {
        let response = request.send().await.expect("an answer");
        let status = response.status();
        let text = response.text().await.expect("a body");
        let json = serde_json::from_str(&text).unwrap_or_else(|error| {
            panic!("{status} with a body that is not JSON: {error}: {text}")
        });
        (status, json)
    }

    /// Sends a request to whoever leads until it is done, and returns the body of the answer. On a
    /// busy machine leaders change; the session makes a write that is sent again happen once.
    pub(crate) async fn done(&self, method: Method, path: &str, body: &Value) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let sequence = self.calls.fetch_add(1, Ordering::Relaxed);
        loop {
            let request = self.request(self.leader().await, method.clone(), path);
            let request = request.header(SESSION_HEADER, "test").header(SEQUENCE_HEADER, sequence);
            let request = if body.is_null() { request } else { request.json(body) };
            let (status, answer) = self.send(request).await;
            if status == StatusCode::OK {
                return answer;
            }
            let passing = [421, 503, 504].contains(&status.as_u16());
            assert!(passing && Instant::now() < deadline, "{method} {path}: {status} {answer}");
        }
    }

    pub(crate) async fn status(&self, id: NodeId) -> StatusBody {
        let (status, body) = self.send(self.request(id, Method::GET, "/status")).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        serde_json::from_value(body).expect("a status")
    }

    /// Waits until a running node leads and has committed an entry of its term, and every other
    /// running node follows it.
    pub(crate) async fn leader(&self) -> NodeId {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut all = Vec::new();
            for id in self.running.keys() {
                all.push(self.status(*id).await.status);
            }
            let leader = all.iter().find(|s| s.role == Role::Leader && s.commit_index > 0);
            if let Some(leader) = leader
                && all.iter().all(|s| s.leader == Some(leader.id) && s.term == leader.term)
            {
                return leader.id;
            }
            assert!(Instant::now() < deadline, "no leader: {all:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
