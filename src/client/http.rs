//! The client of the built-in stores: HTTP with reqwest. What it does after each answer is in
//! [`super::pursuit`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use rashomon_checker::consistency::MISMATCH;
use rashomon_checker::history::Value;
use rashomon_stores::kv::Context;
use rashomon_stores::node::server::{CONTEXT_HEADER, TO_HEADER, addressee};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::pursuit::{Attempt, Next, PAUSE, Pursuit};
use super::{Answer, Client};
use crate::workload::{Action, Request};

const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// Where the nodes listen, and which of them clients ask; a node that restarts may come back elsewhere.
#[derive(Clone, Debug)]
pub struct Addresses {
    cluster: Arc<str>,
    book: Arc<RwLock<Book>>,
}

#[derive(Debug)]
struct Book {
    addresses: Vec<SocketAddr>,
    /// Members no longer.
    gone: BTreeSet<usize>,
}

impl Addresses {
    /// The addresses of all nodes of a cluster, in their order.
    pub fn new(cluster: &str, addresses: Vec<SocketAddr>) -> Self {
        let book = Book { addresses, gone: BTreeSet::new() };
        Addresses { cluster: cluster.into(), book: Arc::new(RwLock::new(book)) }
    }

    /// Where a node is asked for a path, and what to tell it of whom is meant: a port that it has left may
    /// be another's by now.
    pub fn request(
        &self,
        http: &reqwest::Client,
        method: Method,
        node: usize,
        path: &str,
    ) -> RequestBuilder {
        let to = addressee(&self.cluster, u16::try_from(node + 1).unwrap_or(u16::MAX));
        http.request(method, format!("http://{}{path}", self.get(node))).header(TO_HEADER, to)
    }

    /// Where a node listens now; an index from 0.
    pub fn get(&self, node: usize) -> SocketAddr {
        self.book().addresses[node]
    }

    /// Notes that a node listens elsewhere.
    pub fn set(&self, node: usize, address: SocketAddr) {
        self.book_mut().addresses[node] = address;
    }

    /// Notes that a node is a member no longer, so that clients do not begin with it, or is one again.
    pub fn leave(&self, node: usize, leaves: bool) {
        let mut book = self.book_mut();
        if leaves {
            book.gone.insert(node);
        } else {
            book.gone.remove(&node);
        }
    }

    /// This node, or if it is gone another, not the same for all.
    fn instead_of(&self, node: usize) -> usize {
        let book = self.book();
        let present = |node: &usize| !book.gone.contains(node);
        if present(&node) {
            return node;
        }
        let members: Vec<usize> = (0..book.addresses.len()).filter(present).collect();
        members.get(node % members.len().max(1)).copied().unwrap_or(node)
    }

    fn book(&self) -> RwLockReadGuard<'_, Book> {
        self.book.read().expect("no code panics with the lock held")
    }

    fn book_mut(&self) -> RwLockWriteGuard<'_, Book> {
        self.book.write().expect("no code panics with the lock held")
    }

    /// Notes that there is one more node, and where it listens.
    pub fn add(&self, address: SocketAddr) {
        self.book_mut().addresses.push(address);
    }

    /// How many nodes there are.
    pub fn count(&self) -> usize {
        self.book().addresses.len()
    }
}

/// One client process.
#[derive(Debug)]
pub struct HttpClient {
    http: reqwest::Client,
    addresses: Addresses,
    home: usize,
    session: u64,
    sequence: u64,
    timeout: Duration,
    /// What it has seen, by key, where the store tells it.
    contexts: BTreeMap<String, Context>,
    /// Whether what it cannot be sure of may be sent again.
    repeats: bool,
    /// Whether each operation begins at another node than the one before.
    roams: bool,
}

/// The body of every error the stores answer with.
#[derive(Deserialize)]
struct StoreError {
    error: String,
    #[serde(default)]
    message: String,
    /// Nodes count from 1.
    leader: Option<usize>,
    definite: bool,
}

impl HttpClient {
    /// A client for process number `session`, which begins every operation at node `home`.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn new(
        addresses: Addresses,
        home: usize,
        session: u64,
        timeout: Duration,
    ) -> reqwest::Result<Self> {
        let http =
            reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).no_proxy().build()?;
        let contexts = BTreeMap::new();
        Ok(HttpClient {
            http,
            addresses,
            home,
            session,
            sequence: 0,
            timeout,
            contexts,
            repeats: true,
            roams: false,
        })
    }

    /// The same of a store that may not know again what is sent again.
    pub fn repeating(self, repeats: bool) -> Self {
        HttpClient { repeats, ..self }
    }

    /// The same, going from node to node or not.
    pub fn roaming(self, roams: bool) -> Self {
        HttpClient { roams, ..self }
    }

    async fn attempt(&mut self, node: usize, request: &Request, within: Duration) -> Attempt {
        let sent = self.request(node, request).timeout(within).send().await;
        match sent {
            Ok(response) => {
                let (attempt, context) = read_response(response, request).await;
                if let Some(context) = context {
                    self.contexts.entry(request.key.clone()).or_default().merge(&context);
                }
                attempt
            }
            // Without a connection nothing can have arrived.
            Err(error) if error.is_connect() => {
                Attempt::Elsewhere { leader: None, why: "no connection".into() }
            }
            Err(error) if error.is_timeout() => Attempt::Unsure("timeout".into()),
            Err(error) => Attempt::Unsure(root_cause(&error)),
        }
    }

    fn request(&self, node: usize, request: &Request) -> RequestBuilder {
        let base = format!("/kv/{}", request.key);
        let (method, path, body) = match request.action {
            Action::Read | Action::Get | Action::Elements | Action::Count => {
                (Method::GET, base, None)
            }
            Action::Delete => (Method::DELETE, base, None),
            Action::Write(value) => (Method::PUT, base, Some(json!({ "value": value }))),
            Action::Cas { expected, new } => (
                Method::POST,
                format!("{base}/cas"),
                Some(json!({ "expected": expected, "new": new })),
            ),
            Action::Append(value) => {
                (Method::POST, format!("{base}/append"), Some(json!({ "value": value })))
            }
            Action::Add(value) => {
                (Method::POST, format!("{base}/add"), Some(json!({ "value": value })))
            }
            Action::Increment(by) => {
                (Method::POST, format!("{base}/increment"), Some(json!({ "by": by })))
            }
        };
        let mut builder = self
            .addresses
            .request(&self.http, method, node, &path)
            .header("rashomon-session", self.session)
            .header("rashomon-sequence", self.sequence);
        if let Some(context) = self.contexts.get(&request.key) {
            builder = builder.header(CONTEXT_HEADER, context.to_string());
        }
        if let Some(body) = body {
            builder = builder.json(&body);
        }
        builder
    }
}

impl Client for HttpClient {
    fn home(&self) -> usize {
        self.home
    }

    fn renew(&mut self, process: u64) {
        self.session = process;
        self.sequence = 0;
        self.contexts.clear();
    }

    async fn perform(&mut self, request: &Request) -> Answer {
        self.sequence += 1;
        let deadline = Instant::now() + self.timeout;
        let left = || deadline.saturating_duration_since(Instant::now());
        let nodes = self.addresses.count();
        let home = self.addresses.instead_of(self.home);
        let pursuit = Pursuit::new(home, nodes, request.action.is_read());
        let mut pursuit = pursuit.repeating(self.repeats);
        if self.roams {
            self.home = (self.home + 1) % nodes;
        }
        loop {
            let attempt = self.attempt(pursuit.node, request, left()).await;
            match pursuit.after(attempt, left()) {
                Next::Ask => {}
                Next::AskLater => {
                    pursuit.node = self.addresses.instead_of(pursuit.node);
                    tokio::time::sleep(PAUSE).await;
                }
                Next::End(answer) => return answer,
            }
        }
    }
}

/// What an answer comes to, and what its client has seen by it, if the store tells.
async fn read_response(response: Response, request: &Request) -> (Attempt, Option<Context>) {
    let status = response.status();
    let body: Json = match response.json().await {
        Ok(body) => body,
        Err(error) => {
            return (Attempt::Unsure(format!("{status}: {}", root_cause(&error))), None);
        }
    };
    if status.is_success() {
        let context = body.get("context").and_then(|context| Context::deserialize(context).ok());
        return (read_success(&body, request), context);
    }
    (read_error(status, &body), None)
}

fn read_error(status: StatusCode, body: &Json) -> Attempt {
    match StoreError::deserialize(body) {
        Ok(error) if error.definite && status.as_u16() == 421 => Attempt::Elsewhere {
            leader: error.leader.and_then(|id| id.checked_sub(1)),
            why: error.error,
        },
        Ok(error) if error.definite && status.is_server_error() => {
            Attempt::Elsewhere { leader: None, why: error.error }
        }
        Ok(error) if error.definite => {
            Attempt::Refused(format!("{}: {}", error.error, error.message))
        }
        Ok(error) => Attempt::Unsure(error.error),
        Err(_) => Attempt::Unsure(format!("{status}, not in the store's words")),
    }
}

fn read_success(body: &Json, request: &Request) -> Attempt {
    match &request.action {
        // Several values were written without knowing of each other, and are seen together.
        action if action.is_read() => match body.get("value").or_else(|| body.get("values")) {
            Some(value) => match Value::deserialize(value) {
                Ok(value) => Attempt::Done(action.saw(value)),
                Err(error) => Attempt::Unsure(format!("an answer that is no value: {error}")),
            },
            None => Attempt::Unsure("an answer without a value".into()),
        },
        Action::Cas { .. } => match body.get("applied").and_then(Json::as_bool) {
            Some(true) => Attempt::Done(request.action.argument()),
            Some(false) => {
                let current = body.get("current").unwrap_or(&Json::Null);
                Attempt::Refused(format!("{MISMATCH}{current}"))
            }
            None => Attempt::Unsure("an answer that does not say whether it applied".into()),
        },
        action => Attempt::Done(action.argument()),
    }
}

/// The innermost reason of an error: `reqwest` wraps what matters in two layers of what was tried.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_of_nodes_that_are_gone_go_to_members() {
        let nowhere: SocketAddr = ([127, 0, 0, 1], 0).into();
        let addresses = Addresses::new("c", vec![nowhere; 5]);
        let homes = || (0..5).map(|node| addresses.instead_of(node)).collect::<Vec<_>>();
        assert_eq!(homes(), [0, 1, 2, 3, 4]);
        for node in 0..3 {
            addresses.leave(node, true);
        }
        addresses.add(nowhere);
        assert_eq!(homes(), [3, 4, 5, 3, 4], "spread over those that are left");
        addresses.leave(1, false);
        assert_eq!(addresses.instead_of(1), 1);
        for node in 0..6 {
            addresses.leave(node, true);
        }
        assert_eq!(addresses.instead_of(2), 2, "there is nobody else");
    }
}
