//! A consistent snapshot of a live cluster: begun at one of its nodes, gathered from all; see
//! [`rashomon_stores::observe::cut`].

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rashomon_stores::node::server::StatusBody;
use rashomon_stores::node::{PartBody, SnapshotBody, Told};
use rashomon_stores::observe::cut::{Cut, Void};
use rashomon_stores::replica::{NodeId, Role, Status};
use reqwest::{Client, RequestBuilder};
use serde::de::DeserializeOwned;

use crate::campaign::run_dir::RunDir;
use crate::target::address_file;

/// How long a node may take for one answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// How often the parts are asked for.
const POLL: Duration = Duration::from_millis(50);
/// How many snapshots are begun, if nodes crash meanwhile or others begin some, too.
const TRIES: u32 = 3;

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A directory that is not that of a run.
    #[error("{} is not the directory of a run: no node has written an address below it", .0.display())]
    NoRun(PathBuf),
    /// Nobody is there to take one.
    #[error("no node answers; is the run still going on?")]
    NobodyAnswers(#[source] Option<reqwest::Error>),
    /// Two addresses are of one node.
    #[error("{0} was named twice")]
    Twice(NodeId),
    /// There is nothing to ask with.
    #[error("cannot start a runtime")]
    Runtime(#[source] std::io::Error),
    /// No HTTP client can be had.
    #[error("cannot build an HTTP client")]
    Client(#[source] reqwest::Error),
    /// None was complete, or they were void.
    #[error("no snapshot could be completed in {tries} tries")]
    Incomplete {
        /// How many were begun.
        tries: u32,
        /// What was wrong with the last.
        source: Void,
    },
}

/// A snapshot of a live cluster.
#[derive(Debug)]
pub struct Snapshot {
    /// What every node had, and what was on its way.
    pub cut: Cut<Status, Told>,
    /// The addresses at which nobody answered: those nodes are not in it.
    pub left_out: Vec<String>,
}

/// The base URLs of nodes that are named by themselves, or by the directory of their run.
///
/// # Errors
/// When a directory is none of a run.
pub fn addresses(named: &[String]) -> Result<Vec<String>, SnapshotError> {
    let mut urls = Vec::new();
    for name in named {
        if name.starts_with("http://") {
            urls.push(name.trim_end_matches('/').to_owned());
        } else {
            urls.extend(of_run(Path::new(name))?);
        }
    }
    Ok(urls)
}

/// The base URLs of a run's nodes, in the order of the nodes' numbers.
fn of_run(path: &Path) -> Result<Vec<String>, SnapshotError> {
    let run = RunDir::open(path);
    let mut urls = Vec::new();
    // A node that is down has no address; there may be others after it.
    for node in (1..=u16::MAX).map(NodeId) {
        let place = run.node(&node.to_string());
        if !place.is_dir() {
            break;
        }
        let address = fs::read_to_string(address_file(&place));
        urls.extend(address.ok().map(|address| format!("http://{}", address.trim())));
    }
    if urls.is_empty() { Err(SnapshotError::NoRun(path.to_owned())) } else { Ok(urls) }
}

/// Takes a snapshot of the nodes that answer at these base URLs, within `patience` for each try.
///
/// # Errors
/// When nobody answers or no snapshot can be completed.
pub async fn take(urls: &[String], patience: Duration) -> Result<Snapshot, SnapshotError> {
    let client = Client::builder().no_proxy().timeout(ANSWER_LIMIT).build();
    let client = client.map_err(SnapshotError::Client)?;
    let (nodes, left_out) = find(&client, urls).await?;
    let mut why = Void::Missing(NodeId(0));
    for _ in 0..TRIES {
        match take_once(&client, &nodes, patience).await {
            Ok(cut) => return Ok(Snapshot { cut, left_out }),
            Err(void) => why = void,
        }
    }
    Err(SnapshotError::Incomplete { tries: TRIES, source: why })
}

/// Asks who is there; the others are left out.
async fn find(
    client: &Client,
    urls: &[String],
) -> Result<(BTreeMap<NodeId, String>, Vec<String>), SnapshotError> {
    let (mut nodes, mut left_out, mut why) = (BTreeMap::new(), Vec::new(), None);
    for url in urls {
        match ask::<StatusBody>(client.get(format!("{url}/status"))).await {
            Ok(body) => {
                if nodes.insert(body.status.id, url.clone()).is_some() {
                    return Err(SnapshotError::Twice(body.status.id));
                }
            }
            Err(error) => {
                left_out.push(url.clone());
                why = Some(error);
            }
        }
    }
    if nodes.is_empty() { Err(SnapshotError::NobodyAnswers(why)) } else { Ok((nodes, left_out)) }
}

/// Begins a snapshot after all that any node knows, and gathers it.
async fn take_once(
    client: &Client,
    nodes: &BTreeMap<NodeId, String>,
    patience: Duration,
) -> Result<Cut<Status, Told>, Void> {
    let mut last = 0;
    for url in nodes.values() {
        let known = ask::<SnapshotBody>(client.get(format!("{url}/snapshot"))).await;
        last = last.max(known.map_or(0, |known| known.snapshot));
    }
    let body = SnapshotBody { snapshot: last + 1 };
    let ids: Vec<NodeId> = nodes.keys().copied().collect();
    for url in nodes.values() {
        let begun = ask::<SnapshotBody>(client.post(format!("{url}/snapshot")).json(&body)).await;
        if begun.is_ok() {
            break;
        }
    }
    let deadline = Instant::now() + patience;
    let mut parts: BTreeMap<NodeId, PartBody> = BTreeMap::new();
    loop {
        for (node, url) in nodes {
            if parts.get(node).is_some_and(|part| part.is_complete(&ids)) {
                continue;
            }
            let path = format!("{url}/snapshot/{}", body.snapshot);
            if let Ok(part) = ask::<PartBody>(client.get(path)).await {
                parts.insert(*node, part);
            }
        }
        match Cut::of(body.snapshot, &ids, parts.clone()) {
            Err(Void::Missing(_) | Void::Open(_)) if Instant::now() < deadline => {
                tokio::time::sleep(POLL).await;
            }
            done => return done,
        }
    }
}

async fn ask<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, reqwest::Error> {
    request.send().await?.error_for_status()?.json().await
}

/// Whether all nodes of a store without a leader have the same and will keep it; `None` if somebody
/// leads, so that digests say nothing.
pub fn converged(cut: &Cut<Status, Told>) -> Option<bool> {
    let mut states = cut.parts.values().map(|part| &part.state);
    let first = states.next().filter(|first| first.role == Role::Peer && first.digest != 0)?;
    let same = states.all(|state| state.digest == first.digest);
    // Of what was held back nobody knows whether it would change anything.
    Some(same && cut.on_its_way().all(|(_, _, told)| told.changes == Some(false)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_named_by_urls_or_by_their_run() {
        let run = tempfile::tempdir().expect("a directory");
        for (node, address) in
            [("n1", Some("127.0.0.1:4001")), ("n2", None), ("n3", Some("127.0.0.1:4003\n"))]
        {
            let place = run.path().join("nodes").join(node);
            fs::create_dir_all(&place).expect("a directory");
            if let Some(address) = address {
                fs::write(address_file(&place), address).expect("a file");
            }
        }
        let run = run.path().display().to_string();
        let named =
            addresses(&["http://127.0.0.1:1/".to_owned(), run.clone()]).expect("they exist");
        assert_eq!(named, ["http://127.0.0.1:1", "http://127.0.0.1:4001", "http://127.0.0.1:4003"]);
        let why = addresses(&[format!("{run}/nodes")]).expect_err("no run");
        assert!(why.to_string().contains("not the directory of a run"), "{why}");
    }
}
