//! Reading histories, beside what serde_json takes to parse the same lines.
//!
//! `cargo bench -p rashomon-checker --bench reading`

#[path = "workload/registers.rs"]
mod registers;
#[path = "workload/simulation.rs"]
mod simulation;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use rashomon_checker::history::{Event, Format, History, ReadOptions, load_reader, read_bytes};

use registers::Registers;
use simulation::{Simulation, simulate};

/// How many operations; their cost should not depend on it.
const OPERATIONS: [usize; 2] = [2_000, 50_000];
const CLIENTS: usize = 20;

fn main() {
    divan::main();
}

/// Reads and writes of one register.
fn events(operations: usize) -> Simulation<Registers> {
    simulate(Registers::new(1, None, 0), operations, CLIENTS)
}

fn file(operations: usize, format: Format) -> Vec<u8> {
    simulation::write(Vec::new(), events(operations), format).expect("a vector takes everything")
}

fn load(bencher: Bencher<'_, '_>, operations: usize, format: Format) {
    let file = file(operations, format);
    let load = || load_reader(&*file, "history", ReadOptions::default()).expect("a good history");
    assert_eq!(load().history.len(), operations);
    bencher
        .counter(ItemsCount::new(operations))
        .counter(BytesCount::of_slice(&file))
        .bench(|| black_box(load()));
}

#[divan::bench(args = OPERATIONS, sample_count = 20)]
fn load_rash(bencher: Bencher<'_, '_>, operations: usize) {
    load(bencher, operations, Format::Rash);
}

#[divan::bench(args = OPERATIONS, sample_count = 20)]
fn load_jsonl(bencher: Bencher<'_, '_>, operations: usize) {
    load(bencher, operations, Format::Jsonl);
}

#[divan::bench(args = OPERATIONS, sample_count = 20)]
fn load_edn(bencher: Bencher<'_, '_>, operations: usize) {
    load(bencher, operations, Format::Edn);
}

#[divan::bench(args = OPERATIONS, sample_count = 20)]
fn read_events_of_jsonl(bencher: Bencher<'_, '_>, operations: usize) {
    let file = file(operations, Format::Jsonl);
    bencher
        .counter(ItemsCount::new(operations))
        .counter(BytesCount::of_slice(&file))
        .bench(|| black_box(read_bytes(&file, "history", None)));
}

#[divan::bench(args = OPERATIONS, sample_count = 20)]
fn pair_events(bencher: Bencher<'_, '_>, operations: usize) {
    let events: Vec<Event> = events(operations).collect();
    bencher
        .counter(ItemsCount::new(operations))
        .bench(|| black_box(History::from_events(black_box(&events))));
}

/// What others would do first: each line as a document, without a thought of what it means.
#[divan::bench(args = OPERATIONS, sample_count = 20)]
fn serde_json_of_jsonl(bencher: Bencher<'_, '_>, operations: usize) {
    let file = file(operations, Format::Jsonl);
    let parse = || -> serde_json::Result<Vec<serde_json::Value>> {
        file.split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(serde_json::from_slice)
            .collect()
    };
    assert_eq!(parse().expect("good lines").len(), 2 * operations);
    bencher
        .counter(ItemsCount::new(operations))
        .counter(BytesCount::of_slice(&file))
        .bench(|| black_box(parse()));
}
