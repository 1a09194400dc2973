//! What a node is told when it starts. As JSON, for a harness that starts nodes as processes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::catalogue::{Store, UnfitNodes, UnknownName};
use crate::paxos::{self, QuorumError};
use crate::raft::{self, ReadMode};
use crate::replica::NodeId;
use crate::{eventual, single};

/// The configuration of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// This node's number, from 1.
    pub id: NodeId,
    /// Where to listen; port 0 lets the system choose one.
    #[serde(default = "loopback")]
    pub listen: SocketAddr,
    /// The base URL under which each other node is reached from this one, such as
    /// `http://127.0.0.1:4002`. Those that are added later may be missing.
    #[serde(default)]
    pub peers: BTreeMap<NodeId, String>,
    /// The cluster's first members, the same for every node, also for one that is added later and
    /// is not among them; if absent, this node and all its peers. What has become of them since is
    /// in the log.
    #[serde(default)]
    pub members: Option<BTreeSet<NodeId>>,
    /// Where the node keeps its data; created if it does not exist.
    pub data_dir: PathBuf,
    /// Which store to run.
    #[serde(default)]
    pub store: Store,
    /// The name of a bug to plant, from [`Store::mutants`].
    #[serde(default)]
    pub bug: Option<String>,
    /// The seed of the node's randomness, mixed with its number and how often it has started.
    #[serde(default)]
    pub seed: u64,
    /// The name of the cluster. Nodes neither talk to those of another one nor open their data, so
    /// that a process left over from another run does no harm.
    #[serde(default = "default_cluster")]
    pub cluster: String,
    /// Time-outs.
    #[serde(default)]
    pub timing: Timing,
    /// How reads are answered.
    #[serde(default)]
    pub reads: ReadMode,
    /// How many nodes have to agree, in the store paxos.
    #[serde(default)]
    pub quorums: QuorumSizes,
    /// How the log is kept short.
    #[serde(default)]
    pub snapshots: Snapshots,
    /// The file to which the node appends its trace ([`crate::observe::trace`]); none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<PathBuf>,
}

fn loopback() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)
}

fn default_cluster() -> String {
    "rashomon".to_owned()
}

/// The time-outs of a node, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// How often a leader sends to its followers.
    pub heartbeat_ms: u64,
    /// The least time without a leader before a node stands for election; also how long a message
    /// to a peer may be on its way before it is given up.
    pub election_min_ms: u64,
    /// The most such time.
    pub election_max_ms: u64,
    /// How long a client's request may wait for its outcome.
    pub request_timeout_ms: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            heartbeat_ms: 50,
            election_min_ms: 300,
            election_max_ms: 600,
            request_timeout_ms: 2000,
        }
    }
}

/// How many nodes promise, and how many accept, for a proposal to be chosen; a majority, if not given,
/// or what goes with the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuorumSizes {
    /// How many promise.
    pub prepare: Option<u16>,
    /// How many accept.
    pub accept: Option<u16>,
}

/// How a node keeps its log short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Snapshots {
    /// After how many applied entries a snapshot takes their place.
    pub every: u64,
    /// The size of one chunk of a snapshot on its way to another node, in bytes.
    pub chunk_bytes: usize,
}

impl Default for Snapshots {
    fn default() -> Self {
        let raft::Options { snapshot_every, snapshot_chunk_bytes, .. } = raft::Options::default();
        Snapshots { every: snapshot_every, chunk_bytes: snapshot_chunk_bytes }
    }
}

/// The largest chunk of a snapshot that may be configured, in bytes: with every byte escaped it
/// still fits into what a peer takes.
pub const CHUNK_BYTES_MAX: usize = 1 << 20;

impl Timing {
    pub(super) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// How long a core waits for others before it refuses a request: less than its client's patience
    /// at this node, so that the client hears the refusal, and whether the request took effect.
    fn patience(&self) -> Duration {
        self.request_timeout() * 3 / 4
    }

    pub(super) fn link_timeout(&self) -> Duration {
        Duration::from_millis(self.election_min_ms)
    }
}

/// What is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Node numbers start at 1.
    #[error("node numbers start at 1, but there is a node 0")]
    NodeZero,
    /// A peer has this node's own number.
    #[error("{0} is among its own peers; name only the other nodes")]
    OwnPeer(NodeId),
    /// There is no cluster to be a part of.
    #[error("members must name at least one node, or be absent for this node and its peers")]
    NoMembers,
    /// The store has one node, for good.
    #[error("the store {0} has one node, which has no peers and is its only member")]
    NotAlone(Store),
    /// A peer's address is not one.
    #[error("the address of {peer} must be like http://127.0.0.1:4002, not {url:?}: {why}")]
    PeerUrl {
        /// The peer.
        peer: NodeId,
        /// What was given.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The time-outs do not fit together.
    #[error(
        "timing must satisfy 0 < heartbeat_ms < election_min_ms <= election_max_ms and \
         0 < request_timeout_ms, not {0:?}"
    )]
    Timing(Timing),
    /// The limits of snapshots make no sense.
    #[error("snapshots need 0 < every and 0 < chunk_bytes <= {CHUNK_BYTES_MAX}, not {0:?}")]
    Snapshots(Snapshots),
    /// Quorums need not meet, or cannot be reached.
    #[error(transparent)]
    Quorums(#[from] QuorumError),
    /// The store's settings do not suit so many nodes.
    #[error(transparent)]
    Nodes(#[from] UnfitNodes),
    /// The bug is not in the catalogue.
    #[error(transparent)]
    Bug(#[from] UnknownName),
}

impl Config {
    /// The cluster's first members, in order.
    pub fn members(&self) -> Vec<NodeId> {
        if let Some(members) = &self.members {
            return members.iter().copied().collect();
        }
        let mut members: Vec<NodeId> = self.peers.keys().copied().collect();
        members.push(self.id);
        members.sort_unstable();
        members
    }

    /// Checks what can be checked without trying.
    ///
    /// # Errors
    /// When the node could not possibly work like this.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let members = self.members();
        if [&self.id].into_iter().chain(self.peers.keys()).chain(&members).any(|id| id.0 == 0) {
            return Err(ConfigError::NodeZero);
        }
        if members.is_empty() {
            return Err(ConfigError::NoMembers);
        }
        if self.peers.contains_key(&self.id) {
            return Err(ConfigError::OwnPeer(self.id));
        }
        if self.store.is_alone() && members != [self.id] {
            return Err(ConfigError::NotAlone(self.store));
        }
        for (peer, url) in &self.peers {
            check_url(url).map_err(|why| ConfigError::PeerUrl {
                peer: *peer,
                url: url.clone(),
                why,
            })?;
        }
        let Timing { heartbeat_ms, election_min_ms, election_max_ms, request_timeout_ms } =
            self.timing;
        let in_order = 0 < heartbeat_ms
            && heartbeat_ms < election_min_ms
            && election_min_ms <= election_max_ms
            && 0 < request_timeout_ms;
        if !in_order {
            return Err(ConfigError::Timing(self.timing));
        }
        let Snapshots { every, chunk_bytes } = self.snapshots;
        if every == 0 || !(1..=CHUNK_BYTES_MAX).contains(&chunk_bytes) {
            return Err(ConfigError::Snapshots(self.snapshots));
        }
        if !matches!(self.store, Store::Paxos(_)) {
            self.store.check_nodes(members.len())?;
        }
        self.store.check_bug(self.bug.as_deref())?;
        let settings = match self.store {
            Store::Paxos(settings) => settings,
            _ => paxos::Settings::DEFAULT,
        };
        self.quorums(settings).quorums(members.len())?;
        Ok(())
    }

    /// The settings of the Raft core.
    pub(super) fn raft_options(&self) -> Result<raft::Options, ConfigError> {
        Ok(raft::Options {
            heartbeat: Duration::from_millis(self.timing.heartbeat_ms),
            election_min: Duration::from_millis(self.timing.election_min_ms),
            election_max: Duration::from_millis(self.timing.election_max_ms),
            reads: self.reads,
            snapshot_every: self.snapshots.every,
            snapshot_chunk_bytes: self.snapshots.chunk_bytes,
            bug: self.bug.as_deref().map(str::parse).transpose()?,
            ..raft::Options::default()
        })
    }

    /// The sizes of quorums: what `quorums` says counts more than what is said with the store.
    fn quorums(&self, settings: paxos::Settings) -> paxos::Settings {
        let QuorumSizes { prepare, accept } = self.quorums;
        paxos::Settings { prepare, accept }.or(settings)
    }

    /// The settings of the CASPaxos core.
    pub(super) fn paxos_options(
        &self,
        settings: paxos::Settings,
    ) -> Result<paxos::Options, ConfigError> {
        let paxos::Settings { prepare, accept } = self.quorums(settings);
        Ok(paxos::Options {
            prepare_quorum: prepare.map(usize::from),
            accept_quorum: accept.map(usize::from),
            patience: self.timing.patience(),
            change_limit: self.timing.patience(),
            bug: self.bug.as_deref().map(str::parse).transpose()?,
            ..paxos::Options::default()
        })
    }

    /// The settings of the single node.
    pub(super) fn single_options(&self) -> single::Options {
        single::Options { snapshot_every: self.snapshots.every }
    }

    /// The settings of the eventual store's core.
    pub(super) fn eventual_options(
        &self,
        settings: eventual::Settings,
    ) -> Result<eventual::Options, ConfigError> {
        Ok(eventual::Options {
            settings,
            patience: self.timing.patience(),
            bug: self.bug.as_deref().map(str::parse).transpose()?,
            ..eventual::Options::default()
        })
    }
}

pub(super) fn check_url(url: &str) -> Result<(), String> {
    let parsed = reqwest::Url::parse(url).map_err(|error| error.to_string())?;
    if parsed.scheme() != "http" {
        return Err(format!("its scheme is {:?}", parsed.scheme()));
    }
    if parsed.host().is_none() { Err("it names no host".to_owned()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Config {
        serde_json::from_str(json).expect(json)
    }

    #[test]
    fn little_has_to_be_said() {
        let config = parse(r#"{"id": 2, "data_dir": "d", "peers": {"1": "http://127.0.0.1:1"}}"#);
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(config.members(), [NodeId(1), NodeId(2)]);
        assert_eq!(config.listen.to_string(), "127.0.0.1:0");
        assert_eq!((config.store, config.bug.as_ref()), (Store::Raft, None));
        assert_eq!(config.timing, Timing::default());
        let json = serde_json::to_string(&config).expect("JSON");
        assert_eq!(parse(&json), config);
    }

    #[test]
    fn what_is_misspelt_is_not_ignored() {
        for json in [
            r#"{"id": 1, "data_dir": "d", "bugs": "stale-read"}"#,
            r#"{"id": 1, "data_dir": "d", "timing": {"heartbeat": 5}}"#,
            r#"{"id": 1, "data_dir": "d", "store": "rafts"}"#,
            r#"{"id": 1}"#,
        ] {
            assert!(serde_json::from_str::<Config>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        let cases = [
            (r#""id": 0"#, "start at 1"),
            (r#""id": 1, "peers": {"0": "http://127.0.0.1:1"}"#, "start at 1"),
            (r#""id": 1, "members": [0, 1]"#, "start at 1"),
            (r#""id": 1, "members": []"#, "at least one"),
            (r#""id": 1, "peers": {"1": "http://127.0.0.1:1"}"#, "n1 is among its own peers"),
            (r#""id": 1, "peers": {"2": "127.0.0.1:1"}"#, "the address of n2"),
            (r#""id": 1, "peers": {"2": "https://127.0.0.1:1"}"#, "scheme"),
            (r#""id": 1, "timing": {"heartbeat_ms": 0}"#, "heartbeat_ms"),
            (r#""id": 1, "timing": {"heartbeat_ms": 300}"#, "heartbeat_ms"),
            (r#""id": 1, "timing": {"election_min_ms": 700}"#, "election_max_ms"),
            (r#""id": 1, "timing": {"request_timeout_ms": 0}"#, "request_timeout_ms"),
            (r#""id": 1, "snapshots": {"every": 0}"#, "every"),
            (r#""id": 1, "snapshots": {"chunk_bytes": 2000000}"#, "chunk_bytes"),
            (r#""id": 1, "quorums": {"prepare": 2}"#, "quorums of 1 to 1"),
            (
                r#""id": 1, "members": [1, 2, 3], "quorums": {"prepare": 1, "accept": 2}"#,
                "more than 3",
            ),
            (r#""id": 1, "bug": "no-such-bug""#, "stale-read"),
            (r#""id": 1, "store": "single", "bug": "stale-read""#, "known: none"),
            (r#""id": 1, "store": "single", "members": [1, 2]"#, "has one node"),
            (r#""id": 1, "store": "eventual:r=2""#, "more nodes"),
            (r#""id": 1, "store": "eventual", "bug": "stale-read""#, "wall-clock"),
        ];
        for (fields, reason) in cases {
            let config = parse(&format!(r#"{{"data_dir": "d", {fields}}}"#));
            let error = config.validate().expect_err(fields).to_string();
            assert!(error.contains(reason), "{fields}: {error}");
        }
    }
}
