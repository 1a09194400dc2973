//! What the searches cost: registers whose values repeat, and stores whose keys are kept together.
//!
//! `cargo bench -p rashomon-checker --bench search`. Loading is not measured; decoding, the verdict
//! and its witness are, the explanation of a violation is not. `RASHOMON_HISTORIES` names a folder
//! of recorded histories, as for the tests; with it, Porcupine's logs are measured as well.

#[path = "workload/registers.rs"]
mod registers;
#[path = "workload/simulation.rs"]
mod simulation;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use divan::Bencher;
use divan::counter::ItemsCount;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rashomon_checker::history::{
    Event, EventType, Format, Process, ReadOptions, Value, load_file, load_reader,
};
use rashomon_checker::linearizability::{Options, Verdict, check};
use rashomon_checker::{History, Model};

use registers::Registers;
use simulation::{Object, Request, simulate, write};

fn main() {
    divan::main();
}

/// A history to generate, and what is changed in it.
#[derive(Clone, Copy)]
struct Shape {
    operations: usize,
    clients: usize,
    /// How many values a register takes; `None` for a store of ten keys.
    values: Option<i64>,
    /// Of a hundred operations that do not read, how many never return.
    crashed: u32,
    /// Whether one read in the middle finds what was there in the beginning.
    is_stale: bool,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shape { operations, clients, values, crashed, is_stale } = self;
        write!(f, "{operations} operations, {clients} clients, ")?;
        match values {
            Some(values) => write!(f, "{values} values, {crashed} % crashed")?,
            None => f.write_str("10 keys")?,
        }
        f.write_str(if *is_stale { ", stale read" } else { "" })
    }
}

impl Shape {
    fn history(self) -> History {
        let Shape { operations, clients, .. } = self;
        let events: Vec<Event> = match self.values {
            None => simulate(Store::default(), operations, clients).collect(),
            Some(values) => {
                // Of the 70 % that do not compare and set, half are reads.
                simulate(Registers::new(1, Some(values), 30), operations, clients).collect()
            }
        };
        let file = write(Vec::new(), self.spoil(events).into_iter(), Format::Rash);
        let file = file.expect("a vector takes everything");
        load_reader(&*file, "history", ReadOptions::default()).expect("a history").history
    }

    /// Lets operations crash, and a read be stale.
    fn spoil(self, mut events: Vec<Event>) -> Vec<Event> {
        let (mut rng, middle) = (ChaCha8Rng::seed_from_u64(2), events.len() / 2);
        let is_read = |event: &Event| ["read", "get"].contains(&&*event.f);
        let is_answer = |event: &Event| event.kind == EventType::Ok && is_read(event);
        if self.is_stale
            && let Some(read) = events[middle..].iter_mut().find(|event| is_answer(event))
        {
            read.value = if self.values.is_some() { Value::Int(-1) } else { Value::from("") };
        }
        let mut processes: Vec<u64> = (0..self.clients as u64).collect();
        let mut next = self.clients as u64;
        let mut kept = self.beginning();
        for mut event in events {
            let Process::Client(client) = event.process else { continue };
            let process = &mut processes[client as usize];
            if event.kind == EventType::Ok
                && !is_read(&event)
                && rng.random_ratio(self.crashed, 100)
            {
                // Nobody hears of it, and the client goes on under another name.
                (*process, next) = (next, next + 1);
            } else {
                event.process = Process::Client(*process);
                kept.push(event);
            }
        }
        kept
    }

    /// A register holds -1 before all else, and then 0.
    fn beginning(self) -> Vec<Event> {
        let event = |number: u64| Event {
            index: number,
            time: Some(10 * number),
            process: Process::Client(u64::MAX / 2),
            kind: if number.is_multiple_of(2) { EventType::Invoke } else { EventType::Ok },
            f: "write".into(),
            key: Some(Value::text("x")),
            value: Value::Int(number as i64 / 2 - 1),
            node: None,
            error: None,
            line: 0,
        };
        if self.values.is_some() { (0..4).map(event).collect() } else { Vec::new() }
    }
}

/// Ten keys with text, of which half of the clients append some, as in Porcupine's logs.
#[derive(Debug, Default)]
struct Store {
    held: [String; 10],
}

impl Object for Store {
    fn request(&mut self, client: usize, fresh: i64, rng: &mut ChaCha8Rng) -> Request {
        let key = Some(Value::Int(rng.random_range(0..10)));
        let more = Value::text(format!("x {client} {fresh} y"));
        match rng.random_range(0..20) {
            0 => Request { f: "put", key, value: more },
            1..11 => Request { f: "append", key, value: more },
            _ => Request { f: "get", key, value: Value::Nil },
        }
    }

    fn carry_out(&mut self, _: usize, request: &Request) -> Option<Value> {
        let key = request.key.as_ref().and_then(Value::as_int).unwrap_or_default();
        let held = &mut self.held[key as usize];
        let Some(more) = request.value.as_text() else { return Some(Value::text(held.as_str())) };
        if request.f == "put" {
            held.clear();
        }
        held.push_str(more);
        Some(request.value.clone())
    }
}

/// Registers of few values: every write could stand nearly anywhere.
const REGISTERS: [Shape; 8] = {
    let small =
        Shape { operations: 10_000, clients: 60, values: Some(5), crashed: 0, is_stale: false };
    let large = Shape { operations: 100_000, clients: 30, ..small };
    let crashed = Shape { clients: 20, crashed: 5, ..small };
    let many = Shape { values: Some(100), ..crashed };
    [
        small,
        Shape { is_stale: true, ..small },
        large,
        Shape { is_stale: true, ..large },
        crashed,
        Shape { is_stale: true, ..crashed },
        many,
        Shape { is_stale: true, ..many },
    ]
};

#[divan::bench(args = REGISTERS, sample_count = 5, sample_size = 1)]
fn register(bencher: Bencher<'_, '_>, shape: Shape) {
    measure(bencher, &shape.history(), "cas-register(0)", !shape.is_stale, true);
}

const STORES: [Shape; 4] = {
    let small = Shape { operations: 340, clients: 10, values: None, ..REGISTERS[0] };
    let large = Shape { operations: 2_000, clients: 50, ..small };
    [small, Shape { is_stale: true, ..small }, large, Shape { is_stale: true, ..large }]
};

/// Ten keys as one object, which the general engine decides.
#[divan::bench(args = STORES, sample_count = 5, sample_size = 1)]
fn keys_together(bencher: Bencher<'_, '_>, shape: Shape) {
    measure(bencher, &shape.history(), "kv", !shape.is_stale, false);
}

/// Ten keys one by one.
#[divan::bench(args = STORES, sample_count = 5, sample_size = 1)]
fn keys_apart(bencher: Bencher<'_, '_>, shape: Shape) {
    measure(bencher, &shape.history(), "kv", !shape.is_stale, true);
}

/// Porcupine's logs of ten clients, where there are any.
fn logs() -> Vec<Log> {
    let folder = std::env::var_os("RASHOMON_HISTORIES").map(PathBuf::from);
    let log = |folder: &PathBuf| {
        ["c10-ok.txt", "c10-bad.txt"].map(|name| Log(folder.join("porcupine").join(name)))
    };
    folder.iter().flat_map(log).collect()
}

/// A file, shown by its name.
#[derive(Clone)]
struct Log(PathBuf);

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.file_name().unwrap_or_default().display())
    }
}

/// The keys of a log as one object.
#[divan::bench(args = logs(), sample_count = 5, sample_size = 1)]
fn porcupine_together(bencher: Bencher<'_, '_>, log: &Log) {
    let history = load_file(&log.0, ReadOptions::default()).expect("a log").history;
    measure(bencher, &history, "kv", log.to_string().contains("ok"), false);
}

fn measure(
    bencher: Bencher<'_, '_>,
    history: &History,
    model: &str,
    is_valid: bool,
    partition: bool,
) {
    let model: Model = model.parse().expect("a model");
    let options = Options { partition, explanation_time: Duration::ZERO, ..Options::default() };
    let decide = || check(history, &model, &options).expect("decodes");
    match decide() {
        Verdict::Valid(_) => assert!(is_valid),
        Verdict::Invalid(_) => assert!(!is_valid),
        Verdict::Unknown(bound) => panic!("{bound}"),
    }
    bencher.counter(ItemsCount::new(history.len())).bench_local(decide);
}
