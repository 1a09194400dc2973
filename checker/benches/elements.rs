//! What a check of a data structure costs, with 16 clients and what is put in different each time.
//!
//! `cargo bench -p rashomon-checker --bench elements` goes to a hundred thousand operations;
//! `RASHOMON_BENCH_MAX=1000000` goes on to a million. Loading is not measured; decoding, the
//! verdict and its witness are.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use divan::Bencher;
use divan::counter::ItemsCount;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rashomon_checker::history::{Event, EventType, Process, Value};
use rashomon_checker::linearizability::{Engine, Options, Verdict, check, examine};
use rashomon_checker::{History, Model};

fn main() {
    divan::main();
}

const CLIENTS: usize = 16;

/// Sizes to measure, up to the limit that is asked for.
fn sizes() -> impl Iterator<Item = usize> {
    let limit = std::env::var("RASHOMON_BENCH_MAX").ok().and_then(|limit| limit.parse().ok());
    let limit = limit.unwrap_or(100_000);
    (4..=7).map(|power| 10usize.pow(power)).filter(move |&size| size <= limit)
}

/// What a client is doing: the operation takes effect at an instant of its own.
#[derive(Clone)]
enum Client {
    Idle,
    Begun(&'static str, Value),
    Effective(&'static str, Value),
}

/// The simulated object, whatever it is.
#[derive(Default)]
struct Object {
    items: VecDeque<i64>,
    elements: BTreeSet<i64>,
    number: i64,
    holder: Option<usize>,
}

/// An operation for a client to begin; `fresh` is a number for it alone.
fn invocation(model: &str, fresh: i64, holds: bool, rng: &mut ChaCha8Rng) -> (&'static str, Value) {
    let (fresh, first) = (Value::Int(fresh), rng.random_bool(0.5));
    match model {
        "queue" if first => ("enqueue", fresh),
        "queue" => ("dequeue", Value::Nil),
        "stack" if first => ("push", fresh),
        "stack" => ("pop", Value::Nil),
        // The fresh number in its low digits keeps a random priority unique.
        "priority-queue" if first => {
            let priority = i64::from(rng.random::<u32>()) << 24;
            ("insert", Value::Int(priority + fresh.as_int().unwrap_or_default()))
        }
        "priority-queue" => ("poll", Value::Nil),
        "set" => {
            let f = ["add", "remove", "contains"][rng.random_range(0..3)];
            (f, Value::Int(rng.random_range(0..1_000)))
        }
        "grow-only-set" if rng.random_ratio(1, 5_000) => ("read", Value::Nil),
        "grow-only-set" => ("add", fresh),
        "counter" if first => ("add", Value::Int(1)),
        "counter" => ("read", Value::Nil),
        _ if holds => ("release", Value::Nil),
        _ => ("acquire", Value::Nil),
    }
}

impl Object {
    /// Carries out an operation; `None` if the client has to wait.
    fn apply(&mut self, model: &str, client: usize, f: &str, value: &Value) -> Option<Value> {
        let argument = value.as_int().unwrap_or_default();
        let taken = |item: Option<i64>| item.map_or(Value::Nil, Value::Int);
        Some(match (f, model) {
            ("enqueue" | "push", _) => {
                self.items.push_back(argument);
                value.clone()
            }
            ("dequeue", _) => taken(self.items.pop_front()),
            ("pop", _) => taken(self.items.pop_back()),
            ("poll", _) => taken(self.elements.pop_first()),
            ("remove", _) => Value::Bool(self.elements.remove(&argument)),
            ("contains", _) => Value::Bool(self.elements.contains(&argument)),
            ("read", "counter") => Value::Int(self.number),
            ("read", _) => Value::list(self.elements.iter().copied().map(Value::Int)),
            ("add", "counter") | ("acquire", "fencing-token") => {
                self.number += 1;
                Value::Int(self.number)
            }
            ("insert" | "add", _) => Value::Bool(self.elements.insert(argument)),
            ("acquire", _) if self.holder.is_none() => {
                self.holder = Some(client);
                Value::Nil
            }
            ("release", _) => {
                self.holder = None;
                Value::Nil
            }
            _ => return None,
        })
    }
}

/// A history of clients that do what they like.
fn history(model: &str, operations: usize) -> History {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut clients = vec![Client::Idle; CLIENTS];
    let mut object = Object::default();
    let mut events: Vec<Event> = Vec::with_capacity(2 * operations);
    let mut begun = 0;
    while events.len() < 2 * operations {
        let client = rng.random_range(0..CLIENTS);
        let (f, value, kind) = match clients[client].clone() {
            Client::Idle if begun == operations => continue,
            Client::Idle => {
                begun += 1;
                let holds = object.holder == Some(client);
                let (f, value) = invocation(model, begun as i64, holds, &mut rng);
                clients[client] = Client::Begun(f, value.clone());
                (f, value, EventType::Invoke)
            }
            Client::Begun(f, value) => {
                if let Some(result) = object.apply(model, client, f, &value) {
                    clients[client] = Client::Effective(f, result);
                } else if begun == operations {
                    // Nobody is left to free the lock.
                    break;
                }
                continue;
            }
            Client::Effective(f, value) => {
                clients[client] = Client::Idle;
                (f, value, EventType::Ok)
            }
        };
        let line = events.len();
        events.push(Event {
            index: line as u64,
            time: Some(1000 * line as u64),
            process: Process::Client(client as u64),
            kind,
            f: Arc::from(f),
            key: None,
            value,
            node: None,
            error: None,
            line: line as u32 + 1,
        });
    }
    History::from_events(&events).expect("a history")
}

const MODELS: [&str; 9] = [
    "queue",
    "stack",
    "priority-queue",
    "set",
    "grow-only-set",
    "counter",
    "mutex",
    "owner-lock",
    "fencing-token",
];

/// Every model in every size.
fn cases() -> impl Iterator<Item = Case> {
    MODELS.into_iter().flat_map(|model| sizes().map(move |operations| Case { model, operations }))
}

struct Case {
    model: &'static str,
    operations: usize,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.model, self.operations)
    }
}

#[divan::bench(args = cases(), sample_count = 3, sample_size = 1)]
fn structures(bencher: Bencher<'_, '_>, case: &Case) {
    measure(bencher, case.model, case.operations);
}

fn measure(bencher: Bencher<'_, '_>, name: &str, operations: usize) {
    let history = history(name, operations);
    let model: Model = name.parse().expect("a model");
    let examined = examine(&history, &model, &Options::default()).expect("decodes");
    assert!(matches!(examined.verdict, Verdict::Valid(_)), "{name}");
    assert!(examined.engines.keys().all(|&engine| engine == Engine::Elements), "{name}");
    bencher
        .counter(ItemsCount::new(history.len()))
        .bench_local(|| check(&history, &model, &Options::default()));
}
