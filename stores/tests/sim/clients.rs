//! Simulated clients: each appends unique numbers to lists and reads them, one call at a time.
//!
//! Half of them have sessions and send a write again until they know that it happened; the other
//! half give up at the first doubt.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rashomon_stores::kv::{Command, Key, Op, Output, Rejection, Session, Value};
use rashomon_stores::replica::{NodeId, Refusal, Replica, Reply, Request, RequestId};

use super::history::{Call, History, Outcome};
use super::world::World;

const PATIENCE: Duration = Duration::from_millis(400);
const ATTEMPTS: u32 = 8;
const KEYS: u64 = 2;

/// The keys that clients use.
pub(crate) fn keys() -> impl Iterator<Item = Key> {
    (0..KEYS).map(|number| Key::from(format!("k{number}")))
}

/// Clients, and the history they make.
pub(crate) struct Clients {
    pub(crate) history: History,
    clients: Vec<Client>,
    requests: BTreeMap<RequestId, usize>,
    rng: ChaCha8Rng,
    /// While set, clients begin nothing new.
    pub(crate) resting: bool,
}

struct Client {
    name: Arc<str>,
    has_session: bool,
    sequence: u64,
    leader: Option<NodeId>,
    current: Option<Current>,
}

/// The call that a client is making.
struct Current {
    operation: usize,
    call: Call,
    attempts: u32,
    request: Option<RequestId>,
    /// An attempt may have taken effect without our knowing.
    unsure: bool,
}

impl Clients {
    /// Clients that begin at once; client number `n` is woken with the token `n`.
    pub(crate) fn new<R: Replica>(count: usize, seed: u64, world: &mut World<R>) -> Self {
        for number in 0..count {
            world.wake_after(Duration::from_millis(number as u64), number as u64);
        }
        let client = |number| Client {
            name: format!("c{number}").into(),
            has_session: number % 2 == 0,
            sequence: 0,
            leader: None,
            current: None,
        };
        Clients {
            history: History::default(),
            clients: (0..count).map(client).collect(),
            requests: BTreeMap::new(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            resting: false,
        }
    }

    /// A client's time has come: for a new call, or for giving up waiting.
    pub(crate) fn on_wake<R: Replica>(&mut self, token: u64, world: &mut World<R>) {
        let number = token as usize % self.clients.len();
        let waited_for = token / self.clients.len() as u64;
        match &self.clients[number].current {
            None if waited_for == 0 && !self.resting => self.begin(number, world),
            Some(current) if current.request == Some(RequestId(waited_for)) => {
                self.again(number, true, world);
            }
            _ => {}
        }
    }

    pub(crate) fn on_reply<R: Replica>(
        &mut self,
        request: RequestId,
        reply: Reply,
        world: &mut World<R>,
    ) {
        let Some(number) = self.requests.remove(&request) else { return };
        let client = &mut self.clients[number];
        let Some(current) = &client.current else { return };
        if current.request != Some(request) {
            return;
        }
        match reply {
            Ok(Output::Value(value)) => self.finish(number, Outcome::Read(numbers(&value)), world),
            Ok(Output::Done) => self.finish(number, Outcome::Appended, world),
            Ok(Output::Rejected(Rejection::StaleSequence { .. })) => {
                panic!("{} never goes back to an earlier command", client.name)
            }
            Ok(other) => panic!("nobody asked for {other:?}"),
            Err(refusal) => {
                if let Refusal::NotLeader { leader } | Refusal::LostLeadership { leader } = &refusal
                {
                    client.leader = *leader;
                }
                self.again(number, !refusal.is_definite(), world);
            }
        }
    }

    fn begin<R: Replica>(&mut self, number: usize, world: &mut World<R>) {
        let key: Key = format!("k{}", self.rng.random_range(0..KEYS)).into();
        let call = if self.rng.random_range(0..2) == 0 {
            Call::Read
        } else {
            Call::Append(self.history.next_number())
        };
        let operation = self.history.invoke(key, call, world.now());
        let client = &mut self.clients[number];
        client.sequence += 1;
        client.current =
            Some(Current { operation, call, attempts: 0, request: None, unsure: false });
        self.attempt(number, world);
    }

    fn attempt<R: Replica>(&mut self, number: usize, world: &mut World<R>) {
        let client = &mut self.clients[number];
        let Some(current) = &mut client.current else { return };
        let ids = world.ids();
        let anyone = ids[self.rng.random_range(0..ids.len())];
        // Not always the one said to lead, or nobody would ever meet a deposed leader.
        let target = if self.rng.random_range(0..4) == 0 { None } else { client.leader };
        let key = self.history.key(current.operation);
        let request = match current.call {
            Call::Read => Request::Read(key),
            Call::Append(value) => {
                let session = Session { client: client.name.clone(), sequence: client.sequence };
                let session = client.has_session.then_some(session);
                let op = Op::Append { key, value: Value::Int(value) };
                Request::Write(Command { session, op })
            }
        };
        let request = world.request(target.unwrap_or(anyone), request);
        current.request = Some(request);
        current.attempts += 1;
        self.requests.insert(request, number);
        world.wake_after(PATIENCE, request.0 * self.clients.len() as u64 + number as u64);
    }

    /// An attempt has failed, perhaps without certainty: tries again or gives up.
    fn again<R: Replica>(&mut self, number: usize, unsure: bool, world: &mut World<R>) {
        let client = &mut self.clients[number];
        let Some(current) = &mut client.current else { return };
        let reads = current.call == Call::Read;
        current.unsure |= unsure && !reads;
        let may_repeat = reads || client.has_session || !current.unsure;
        if current.attempts < ATTEMPTS && may_repeat {
            if unsure {
                client.leader = None;
            }
            self.attempt(number, world);
        } else {
            let outcome = if current.unsure { Outcome::Unknown } else { Outcome::Failed };
            self.finish(number, outcome, world);
        }
    }

    fn finish<R: Replica>(&mut self, number: usize, outcome: Outcome, world: &mut World<R>) {
        let Some(current) = self.clients[number].current.take() else { return };
        self.history.complete(current.operation, outcome, world.now());
        let pause = Duration::from_millis(self.rng.random_range(1..60));
        world.wake_after(pause, number as u64);
    }
}

fn numbers(list: &Value) -> Vec<i64> {
    match list {
        Value::Null => Vec::new(),
        Value::List(items) => items
            .iter()
            .map(|item| match item {
                Value::Int(number) => *number,
                other => panic!("{other} was never appended"),
            })
            .collect(),
        other => panic!("{other} is not a list of what was appended"),
    }
}
