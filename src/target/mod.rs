//! Targets: systems that can be started, asked, broken, mended and stopped.
//!
//! A campaign knows a system only through this seam. What it must offer: clients, a word about
//! who leads (so that a schedule can aim), and hands that carry out an [`Action`] and undo it.

mod local;
mod operator;

use std::future::Future;
use std::path::PathBuf;

use rashomon_nemesis::{
    Action, Cluster, HandsError, LeaseError, LinkError, Node, Outcome, UnknownNode,
};

use rashomon_stores::catalogue::UnknownName;

use crate::client::Client;

pub(crate) use local::agree;
pub use local::{LocalCluster, address_file};
pub use operator::{Concluded, Task};

/// Why a target could not do what it was asked to; the test cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// A node did not come up.
    #[error("node {node} did not come up: {reason}; its log is {}", log.display())]
    NotUp {
        /// The node.
        node: Node,
        /// What was seen of it.
        reason: String,
        /// Where it says why.
        log: PathBuf,
    },
    /// The nodes came up but never served.
    #[error("the cluster came up but does not serve after {seconds} s; the nodes' logs are in {}", logs.display())]
    NoLeader {
        /// How long it was waited for.
        seconds: u64,
        /// Where the nodes' directories are.
        logs: PathBuf,
    },
    /// A fault could not be carried out or undone, or a process not be started.
    #[error(transparent)]
    Hands(#[from] HandsError),
    /// The schedule names a node that there is none of.
    #[error(transparent)]
    UnknownNode(#[from] UnknownNode),
    /// The plan names a store that there is none of.
    #[error(transparent)]
    UnknownStore(#[from] UnknownName),
    /// The links between the nodes could not be opened.
    #[error(transparent)]
    Links(#[from] LinkError),
    /// What is started cannot be written down.
    #[error(transparent)]
    Leases(#[from] LeaseError),
    /// A file, a socket or a process could not be had.
    #[error("{what}")]
    Io {
        /// What was being done.
        what: String,
        /// What went wrong.
        source: std::io::Error,
    },
    /// An HTTP client could not be built.
    #[error("cannot build an HTTP client")]
    Http(#[from] reqwest::Error),
}

/// Who leads, in which term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leader {
    /// The node.
    pub node: Node,
    /// Its term: of two that claim to lead, the one with the greater term does.
    pub term: u64,
}

/// A system under test.
pub trait Target: Send {
    /// Its client.
    type Client: Client + 'static;

    /// A client for a process; `worker` spreads the clients over the nodes.
    ///
    /// # Errors
    /// When no client can be built.
    fn client(&self, worker: u16, process: u64) -> Result<Self::Client, TargetError>;

    /// Who leads now, if anybody says so.
    fn leader(&self) -> impl Future<Output = Option<Leader>> + Send;

    /// The members that are to serve when every fault is undone: all but those that are lost, because
    /// their data was damaged.
    fn living_members(&self) -> Vec<Node> {
        self.cluster(None).nodes.into_iter().collect()
    }

    /// Whether every living member is up and tells the same, or what is still missing: `n2 does not
    /// answer`.
    fn settled(&self) -> impl Future<Output = Result<(), String>> + Send;

    /// The nodes as a fault finds them.
    fn cluster(&self, leader: Option<Node>) -> Cluster;

    /// Carries out an action and says what really happened.
    ///
    /// # Errors
    /// When it cannot be done.
    fn apply(
        &mut self,
        action: &Action,
    ) -> impl Future<Output = Result<Outcome, TargetError>> + Send;

    /// Whether anything has run into what an action did to links, so far.
    fn bites(&self, action: &Action) -> bool;

    /// Whether this can be done to the system at all: members of some never change.
    fn takes(&self, action: &Action) -> bool {
        !action.fault().is_order()
    }

    /// The orders about members and leaders that came to an end since it was asked last, with the
    /// consequences drawn: who is retired has ended.
    fn concluded(&mut self) -> Vec<Concluded> {
        Vec::new()
    }

    /// Gives every order up that did not come to an end yet.
    fn give_up(&mut self) -> impl Future<Output = Vec<Concluded>> + Send {
        async { Vec::new() }
    }

    /// Begins to make everybody a member who is meant to be one, as many as at first at least; says
    /// whether that is needed.
    ///
    /// # Errors
    /// When a node that is to join does not come up.
    fn restore(&mut self) -> impl Future<Output = Result<bool, TargetError>> + Send {
        async { Ok(false) }
    }

    /// Whether no order is under way.
    fn is_idle(&self) -> bool {
        true
    }

    /// Stops every node and leaves nothing behind.
    fn stop(self) -> impl Future<Output = ()> + Send;
}
