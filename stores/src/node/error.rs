//! Why a node does not start, or stops by itself.

use std::net::SocketAddr;

use super::config::ConfigError;
use super::host::HostError;
use super::storage::StorageError;
use super::trace_file::TraceError;
use crate::replica::RecoverError;

/// Why a node does not start, or stops by itself.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The configuration makes no sense.
    #[error("the configuration of the node is wrong: {0}")]
    Config(#[from] ConfigError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}; is another process using it?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The disk cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The storage thread ended without saying why.
    #[error("the storage thread ended unexpectedly")]
    StorageGone,
    /// The node's trace cannot be written.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// What the disk holds makes no sense to the protocol.
    #[error("cannot recover from the data directory: {0}")]
    Recover(#[from] RecoverError),
    /// The client for talking to peers cannot be made.
    #[error("cannot prepare the links to the peers")]
    Links(#[source] reqwest::Error),
    /// The server stopped.
    #[error("the server failed")]
    Serve(#[source] std::io::Error),
    /// A task of the node panicked: a bug.
    #[error("a task of the node panicked; this is a bug: {0}")]
    Panic(#[source] tokio::task::JoinError),
}

impl From<HostError> for NodeError {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Storage(error) => NodeError::Storage(error),
            HostError::StorageGone => NodeError::StorageGone,
            HostError::Trace(error) => NodeError::Trace(error),
        }
    }
}
