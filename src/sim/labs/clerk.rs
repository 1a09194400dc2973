//! Clerks: clients of the key-value store, who try until they succeed, each operation once.
//!
//! A clerk's calls go over the tests' network like those between servers: to servers that it can
//! reach, lost and late if the network is unreliable. It follows what it is told of the leader and
//! otherwise tries one server after the other. Sessions (Ongaro's dissertation, §6.3) make a call
//! that is sent again take effect once.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use rashomon_stores::kv::{Command, Op, Output, Session, Value};
use rashomon_stores::replica::{Refusal, Reply, Request};

use super::lab::Lab;
use super::network::{DELAY_MAX, LOSS};
use super::{Failure, MILLISECOND};

/// How long a clerk waits for an answer, in milliseconds.
const PATIENCE: u64 = 500;

/// How long it takes at most to notice that a server cannot be reached, in milliseconds.
const UNREACHABLE: u64 = 100;

/// How long a clerk waits after it has tried all servers, in milliseconds.
const PAUSE: u64 = 50;

/// The servers that a clerk can reach; shared with whoever changes that.
pub(super) type Reach = Rc<RefCell<BTreeSet<usize>>>;

/// A client.
pub(super) struct Clerk {
    lab: Lab,
    name: Arc<str>,
    sequence: u64,
    server: usize,
    /// The servers that it can reach.
    pub(super) reach: Reach,
}

impl Clerk {
    /// A clerk who can reach these servers.
    pub(super) fn new(lab: &Lab, reach: impl IntoIterator<Item = usize>) -> Self {
        let reach = Rc::new(RefCell::new(reach.into_iter().collect()));
        let name = format!("clerk {}", lab.count_clerk()).into();
        Clerk { lab: lab.clone(), name, sequence: 0, server: 0, reach }
    }

    /// A clerk who can reach all servers.
    pub(super) fn of_all(lab: &Lab) -> Self {
        Clerk::new(lab, 0..lab.servers())
    }

    /// The value of a key; nothing is empty.
    pub(super) async fn get(&mut self, key: &str) -> Result<String, Failure> {
        match self.call(Request::Read(key.into())).await {
            Output::Value(Value::Text(text)) => Ok(text.to_string()),
            Output::Value(Value::Null) => Ok(String::new()),
            other => self.lab.fail(format!("get of {key} gives {other:?}")),
        }
    }

    /// Sets the value of a key.
    pub(super) async fn put(&mut self, key: &str, value: &str) -> Result<(), Failure> {
        self.write(Op::Put { key: key.into(), value: Value::text(value) }).await
    }

    /// Adds to the value of a key.
    pub(super) async fn append(&mut self, key: &str, value: &str) -> Result<(), Failure> {
        self.write(Op::Append { key: key.into(), value: Value::text(value) }).await
    }

    /// The value of a key is this.
    pub(super) async fn check(&mut self, key: &str, expected: &str) -> Result<(), Failure> {
        let value = self.get(key).await?;
        self.lab.ensure(value == expected, || {
            format!("{key} is {}, not {}", end_of(&value), end_of(expected))
        })
    }

    async fn write(&mut self, op: Op) -> Result<(), Failure> {
        self.sequence += 1;
        let session = Some(Session { client: self.name.clone(), sequence: self.sequence });
        match self.call(Request::Write(Command { session, op: op.clone() })).await {
            Output::Done => Ok(()),
            other => self.lab.fail(format!("{op:?} gives {other:?}")),
        }
    }

    /// Asks until somebody has done it.
    async fn call(&mut self, request: Request) -> Output {
        let servers = self.lab.servers();
        for attempt in 1.. {
            match self.attempt(&request).await {
                Some(Ok(output)) => return output,
                Some(Err(
                    Refusal::NotLeader { leader: Some(leader) }
                    | Refusal::LostLeadership { leader: Some(leader) },
                )) => self.server = usize::from(leader.0) - 1,
                _ => self.server = (self.server + 1) % servers,
            }
            if attempt % servers == 0 {
                self.lab.sleep(PAUSE).await;
            }
        }
        unreachable!("attempts are not limited")
    }

    /// Asks one server once; no answer if the call or the answer is lost, or takes too long.
    async fn attempt(&self, request: &Request) -> Option<Reply> {
        let unreliable = self.lab.network.borrow().unreliable;
        if unreliable {
            let delay = self.lab.random(DELAY_MAX);
            self.lab.sleep_nanoseconds(delay).await;
        }
        let reachable = self.reach.borrow().contains(&self.server) && self.lab.is_up(self.server);
        if !reachable || unreliable && self.lab.chance(LOSS) {
            self.lab.sleep(self.lab.random(UNREACHABLE)).await;
            return None;
        }
        let deadline = self.lab.now() + PATIENCE * MILLISECOND;
        let reply = self.lab.ask(self.server, request.clone(), deadline).await;
        let lost = unreliable && self.lab.chance(LOSS);
        reply.filter(|_| !lost)
    }
}

/// The end of a text, for messages.
pub(super) fn end_of(text: &str) -> String {
    const SHOWN: usize = 60;
    let skipped = text.chars().count().saturating_sub(SHOWN);
    let end: String = text.chars().skip(skipped).collect();
    if skipped == 0 { format!("{end:?}") } else { format!("{skipped} characters and {end:?}") }
}
