//! Histories of clients that work on one object at once, as a recorder would write them down.
//!
//! Every operation takes effect at an instant of its own between its two events, so each history is
//! linearizable; who comes next is drawn at random, so about two thirds of the clients are always
//! busy. The same seed gives the same history.

use std::io::{self, Write};
use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rashomon_checker::history::{Event, EventType, Format, Process, Value, Writer};

/// What a client asks for.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) f: &'static str,
    pub(crate) key: Option<Value>,
    pub(crate) value: Value,
}

/// What clients work on.
pub(crate) trait Object {
    /// What a client asks for next; `fresh` is a number that nobody got before.
    fn request(&mut self, client: usize, fresh: i64, rng: &mut ChaCha8Rng) -> Request;

    /// Carries it out and says what came of it; `None` if the client has to wait.
    fn carry_out(&mut self, client: usize, request: &Request) -> Option<Value>;
}

/// What a client is doing.
#[derive(Debug)]
enum Client {
    Idle,
    Begun(Request),
    Effective(Request),
    /// Nobody is left for whom to wait.
    Gone,
}

/// The events of a history, one after the other.
#[derive(Debug)]
pub(crate) struct Simulation<O> {
    object: O,
    clients: Vec<Client>,
    nodes: Vec<Arc<str>>,
    /// Names of functions, shared by all events.
    names: Vec<Arc<str>>,
    rng: ChaCha8Rng,
    /// How many operations are to begin, and how many have.
    operations: usize,
    begun: usize,
    /// Clients that are doing something, or will.
    active: usize,
    index: u64,
    time: u64,
}

/// So many operations of so many clients on an object.
pub(crate) fn simulate<O: Object>(object: O, operations: usize, clients: usize) -> Simulation<O> {
    Simulation {
        object,
        clients: (0..clients).map(|_| Client::Idle).collect(),
        nodes: (1..=5).map(|number| format!("n{number}").into()).collect(),
        names: Vec::new(),
        rng: ChaCha8Rng::seed_from_u64(1),
        operations,
        begun: 0,
        active: clients,
        index: 0,
        time: 0,
    }
}

impl<O: Object> Simulation<O> {
    fn name(&mut self, f: &str) -> Arc<str> {
        let known = self.names.iter().find(|name| ***name == *f);
        known.cloned().unwrap_or_else(|| {
            let name: Arc<str> = f.into();
            self.names.push(Arc::clone(&name));
            name
        })
    }

    fn event(&mut self, client: usize, kind: EventType, request: Request) -> Event {
        self.time += self.rng.random_range(200..40_000);
        self.index += 1;
        Event {
            index: self.index - 1,
            time: Some(self.time),
            process: Process::Client(client as u64),
            kind,
            f: self.name(request.f),
            key: request.key,
            value: request.value,
            node: Some(Arc::clone(&self.nodes[client % self.nodes.len()])),
            error: None,
            line: 0,
        }
    }

    /// The next thing that a client does, and its event if it makes one.
    fn step(&mut self, client: usize) -> Option<Event> {
        match std::mem::replace(&mut self.clients[client], Client::Gone) {
            Client::Idle if self.begun < self.operations => {
                self.begun += 1;
                let request = self.object.request(client, self.begun as i64, &mut self.rng);
                self.clients[client] = Client::Begun(request.clone());
                Some(self.event(client, EventType::Invoke, request))
            }
            Client::Begun(request) => {
                match self.object.carry_out(client, &request) {
                    Some(value) => {
                        self.clients[client] = Client::Effective(Request { value, ..request });
                    }
                    None if self.begun < self.operations => {
                        self.clients[client] = Client::Begun(request);
                    }
                    None => self.active -= 1,
                }
                None
            }
            Client::Effective(request) => {
                self.clients[client] = Client::Idle;
                Some(self.event(client, EventType::Ok, request))
            }
            Client::Idle => {
                self.active -= 1;
                None
            }
            Client::Gone => None,
        }
    }
}

impl<O: Object> Iterator for Simulation<O> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        while self.active > 0 {
            let client = self.rng.random_range(0..self.clients.len());
            if let Some(event) = self.step(client) {
                return Some(event);
            }
        }
        None
    }
}

/// Writes events, and gives the writer back.
pub(crate) fn write<W: Write>(
    out: W,
    events: impl Iterator<Item = Event>,
    format: Format,
) -> io::Result<W> {
    let mut writer = Writer::new(out, format)?;
    for event in events {
        writer.write_event(&event)?;
    }
    writer.finish()
}
