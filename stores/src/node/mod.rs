//! A node as a process runs it: a core with HTTP, disk and network around it.
//!
//! | module | role |
//! |---|---|
//! | `config` | what a node is told |
//! | `ailments` | what can be made to be wrong with its clock and its disk |
//! | `host` | the task that owns the core and carries out its effects |
//! | [`server`], `admin` | the HTTP API, for clients, peers and operators |
//! | `transport` | messages to peers |
//! | `snapshot` | the node's part of a snapshot, as it is told over HTTP |
//! | `storage`, `volatile` | the disk, and what it loses with its power |
//! | `trace_file` | the node's trace, if it is to leave one |
//!
//! ```no_run
//! # async fn example(json: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let config: rashomon_stores::node::Config = serde_json::from_str(json)?;
//! let ready = |address| println!("listening on {address}");
//! // Until someone wants the node to stop; meanwhile its clock and disk can be made to ail.
//! let until = async |_ailments| {};
//! rashomon_stores::node::run(config, ready, until).await?;
//! # Ok(())
//! # }
//! ```

mod admin;
mod ailments;
mod config;
mod error;
mod host;
pub mod server;
mod snapshot;
mod storage;
mod trace_file;
mod transport;
mod volatile;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

pub use ailments::{Ailment, Ailments, NoAilment};
pub use config::{CHUNK_BYTES_MAX, Config, ConfigError, QuorumSizes, Snapshots, Timing};
pub use error::NodeError;
pub use snapshot::{PartBody, SnapshotBody, Told};
pub use storage::StorageError;
pub use trace_file::TraceError;

use crate::catalogue::Store;
use crate::eventual::Eventual;
use crate::observe::Observer;
use crate::paxos::Paxos;
use crate::raft::Raft;
use crate::replica::{Effects, Replica, Setup};
use crate::single::Single;
use host::{Host, HostError};
use server::{About, Api};
use storage::Owner;
use trace_file::TraceFile;
use transport::Links;

/// How long a stopping node waits for requests that are being answered.
const GRACE: Duration = Duration::from_millis(500);

/// Runs a node until `until` resolves, which may let things befall it meanwhile, or until it cannot go on. `ready` is told the address it
/// listens on, which is how to learn a port that the system chose.
///
/// Needs a tokio runtime with time and I/O; a current-thread runtime is enough.
///
/// # Errors
/// When the node does not start, or stops by itself.
pub async fn run(
    config: Config,
    ready: impl FnOnce(SocketAddr),
    until: impl AsyncFnOnce(Ailments),
) -> Result<(), NodeError> {
    let mut node = Node::start(config).await?;
    ready(node.address());
    tokio::select! {
        () = until(node.ailments.clone()) => node.stop().await,
        result = node.ended() => result,
    }
}

/// A running node. Dropping it stops it, without waiting until it has stopped.
#[derive(Debug)]
pub struct Node {
    address: SocketAddr,
    ailments: Ailments,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), NodeError>>,
}

impl Node {
    /// Starts a node on the address in its configuration.
    ///
    /// # Errors
    /// When the configuration is wrong, the address is taken, or the disk cannot be used.
    pub async fn start(config: Config) -> Result<Node, NodeError> {
        config.validate()?;
        let address = config.listen;
        let listener =
            TcpListener::bind(address).map_err(|source| NodeError::Listen { address, source })?;
        Node::start_on(config, listener).await
    }

    /// Starts a node on a listener that is bound already, whatever its configuration says; so the
    /// nodes of a cluster can know each other's ports before any of them runs.
    ///
    /// # Errors
    /// Like [`Node::start`].
    pub async fn start_on(config: Config, listener: TcpListener) -> Result<Node, NodeError> {
        config.validate()?;
        match config.store {
            Store::Raft => {
                let options = config.raft_options()?;
                start::<Raft>(config, options, listener).await
            }
            Store::Paxos(settings) => {
                let options = config.paxos_options(settings)?;
                start::<Paxos>(config, options, listener).await
            }
            Store::Single => {
                let options = config.single_options();
                start::<Single>(config, options, listener).await
            }
            Store::Eventual(settings) => {
                let options = config.eventual_options(settings)?;
                start::<Eventual>(config, options, listener).await
            }
        }
    }

    /// By which its clock and its disk can be made to ail.
    pub fn ailments(&self) -> &Ailments {
        &self.ailments
    }

    /// Where the node listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops the node and waits until its disk is closed and its port free.
    ///
    /// # Errors
    /// When it had stopped by itself before.
    pub async fn stop(mut self) -> Result<(), NodeError> {
        self.stop.send_replace(true);
        self.ended().await
    }

    /// Waits until the node stops by itself.
    ///
    /// # Errors
    /// Why it did.
    pub async fn ended(&mut self) -> Result<(), NodeError> {
        (&mut self.task).await.unwrap_or_else(|panic| Err(NodeError::Panic(panic)))
    }
}

async fn start<R: Replica>(
    config: Config,
    options: R::Options,
    listener: TcpListener,
) -> Result<Node, NodeError> {
    let Config { id, ref cluster, store, .. } = config;
    let listening = |source| NodeError::Listen { address: config.listen, source };
    listener.set_nonblocking(true).map_err(listening)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(listening)?;
    let address = listener.local_addr().map_err(listening)?;

    let owner = Owner { cluster: cluster.clone(), id, store };
    let data_dir = config.data_dir.clone();
    let ailments = Ailments::default();
    let disk = ailments.disk.clone();
    let opened = tokio::task::spawn_blocking(move || storage::open(&data_dir, &owner, disk)).await;
    let (storage, reports, found) = opened.map_err(NodeError::Panic)??;
    let incarnation = found.incarnation;
    let timeout = config.timing.link_timeout();
    let links = Links::new(cluster, id, &config.peers, timeout).map_err(NodeError::Links)?;
    let (traffic, commits) = (links.traffic(), storage.commits());

    let seed = mix_seed(config.seed, u64::from(id.0), incarnation);
    let setup = Setup { id, members: config.members(), seed };
    let clock = ailments.clock();
    let mut effects = Effects::default();
    let core = R::recover(setup, options, found.records, clock.now(), &mut effects)?;
    let status = core.status();
    let (term, entries) = (status.term, status.last_index);
    tracing::info!("{id} starts on {address}: start {incarnation}, term {term}, {entries} entries");

    let (calls, inbox) = mpsc::channel(host::INBOX_MAX);
    let trace = config.trace.as_deref().map(|path| TraceFile::open(path, id)).transpose()?;
    let (trace, tracer) = trace.unzip();
    let mut observer = Observer::new(id, tracer, snapshot::manner(timeout));
    config.peers.keys().for_each(|peer| observer.meet(*peer));
    observer.started(clock.now(), incarnation);
    let host = Host::new(
        id,
        (core, effects),
        clock,
        storage,
        (links, ailments.met.clone()),
        (observer, trace),
    );
    let about = About { cluster: cluster.clone(), store, bug: config.bug.clone(), incarnation };
    let request_timeout = config.timing.request_timeout();
    let addressee = server::addressee(&about.cluster, id.0);
    let api = Arc::new(Api { calls, traffic, commits, about, id, addressee, request_timeout });
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(supervise(host.run(inbox, reports), listener, api, stopped));
    Ok(Node { address, ailments, stop, task })
}

/// Different nodes and incarnations wait differently, also under one seed (SplitMix64's constants).
fn mix_seed(seed: u64, id: u64, incarnation: u64) -> u64 {
    seed ^ id.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ incarnation.wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

/// Runs host and server until asked to stop or until either ends, and takes both down.
async fn supervise<R: Replica>(
    host: impl Future<Output = Result<(), HostError>> + Send + 'static,
    listener: tokio::net::TcpListener,
    api: Arc<Api<R>>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), NodeError> {
    let mut tasks = JoinSet::new();
    let host = tasks.spawn(async { host.await.map_err(NodeError::from) });
    let (down, mut downed) = watch::channel(());
    let closing = async move { drop(downed.changed().await) };
    let serve = axum::serve(listener, server::router(api)).with_graceful_shutdown(closing);
    tasks.spawn(async { serve.await.map_err(NodeError::Serve) });
    let result = tokio::select! {
        // A handle that was dropped asks to stop, too.
        _ = stop.wait_for(|stop| *stop) => Ok(()),
        ended = tasks.join_next() => match ended {
            Some(Ok(result)) => result,
            Some(Err(panic)) => Err(NodeError::Panic(panic)),
            None => Ok(()),
        },
    };
    // Aborting drops the host where it stands, and with it the disk; requests that wait for it are
    // answered by that. What the server still has to say then, it may say within the grace.
    host.abort();
    down.send_replace(());
    let rest = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, rest).await.is_err() {
        tasks.shutdown().await;
    }
    result
}
