//! What the ladder costs: every rung by itself and all together, of histories of 20 processes and 50
//! keys, from ten thousand operations up.
//!
//! `cargo bench -p rashomon-checker --bench ladder` goes to a hundred thousand;
//! `RASHOMON_BENCH_MAX=1000000` goes on to a million. The histories are of a store whose nodes serve
//! reads from what they have applied so far: it keeps one order of all writes and is sequential, but
//! its reads are stale, so that nothing is decided by a glance.

use std::fmt;

#[path = "workload/sizes.rs"]
mod sizes;

use divan::Bencher;
use divan::counter::ItemsCount;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rashomon_checker::History;
use rashomon_checker::consistency::{Finding, Options, Promise, atomicity, judge, staleness};
use rashomon_checker::history::{Event, EventType, Process, Value};
use sizes::sizes;

const PROCESSES: usize = 20;
const KEYS: usize = 50;
/// How many writes a node may be behind.
const BEHIND: usize = 200;

/// The largest history, if nobody asks for another.
const LIMIT: usize = 100_000;

fn main() {
    divan::main();
}

/// Each process is served by a replica of its own, which never goes back and has its writes.
fn history(operations: usize) -> History {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut log: Vec<(usize, i64)> = Vec::new();
    let mut applied = [0; PROCESSES];
    let mut held = vec![[0; KEYS]; PROCESSES];
    let mut events = Vec::with_capacity(2 * operations);
    for number in 0..operations {
        let process = rng.random_range(0..PROCESSES);
        let key = rng.random_range(0..KEYS);
        let is_write = rng.random_bool(0.5);
        if is_write {
            log.push((key, number as i64 + 1));
        }
        let least = applied[process].max(log.len().saturating_sub(BEHIND));
        let upto = if is_write { log.len() } else { rng.random_range(least..=log.len()) };
        for (key, value) in &log[applied[process]..upto] {
            held[process][*key] = *value;
        }
        applied[process] = upto;
        let value = match held[process][key] {
            0 => Value::Nil,
            value => Value::Int(value),
        };
        let (f, input) = if is_write { ("write", value.clone()) } else { ("read", Value::Nil) };
        for (kind, value) in [(EventType::Invoke, input), (EventType::Ok, value)] {
            events.push(Event {
                index: events.len() as u64,
                time: Some(events.len() as u64 * 1_000),
                process: Process::Client(process as u64),
                kind,
                f: f.into(),
                key: Some(Value::Int(key as i64)),
                value,
                node: None,
                error: None,
                line: events.len() as u32 + 1,
            });
        }
    }
    History::from_events(&events).expect("a history")
}

#[divan::bench(args = sizes(LIMIT), sample_count = 3, sample_size = 1)]
fn whole_ladder(bencher: Bencher<'_, '_>, operations: usize) {
    let history = history(operations);
    bencher
        .counter(ItemsCount::new(operations))
        .bench_local(|| judge(&history, Promise::rungs(), &Options::default()));
}

/// A rung and how many operations.
struct Case(Promise, usize);

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.1)
    }
}

fn cases() -> impl Iterator<Item = Case> {
    Promise::rungs().iter().flat_map(|rung| sizes(LIMIT).map(move |size| Case(*rung, size)))
}

#[divan::bench(args = cases(), sample_count = 3, sample_size = 1)]
fn one_rung(bencher: Bencher<'_, '_>, &Case(rung, operations): &Case) {
    let history = history(operations);
    let rows = judge(&history, &[rung], &Options::default());
    // Real time is not kept by such a store, and everything else is.
    let is_timed = matches!(rung, Promise::Regular | Promise::Safe);
    assert_eq!(matches!(rows[0].finding, Finding::Held { .. }), !is_timed, "{rows:?}");
    bencher
        .counter(ItemsCount::new(operations))
        .bench_local(|| judge(&history, &[rung], &Options::default()));
}

#[divan::bench(args = sizes(LIMIT), sample_count = 3, sample_size = 1)]
fn how_stale(bencher: Bencher<'_, '_>, operations: usize) {
    let history = history(operations);
    bencher
        .counter(ItemsCount::new(operations))
        .bench_local(|| staleness(&history, &Options::default()));
}

#[divan::bench(args = sizes(LIMIT), sample_count = 3, sample_size = 1)]
fn how_atomic(bencher: Bencher<'_, '_>, operations: usize) {
    let history = history(operations);
    bencher
        .counter(ItemsCount::new(operations))
        .bench_local(|| atomicity::atomicity(&history, &Options::default()));
}
