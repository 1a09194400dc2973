//! Reading histories, beside what serde_json takes to parse the same lines.
//!
//! `cargo bench -p rashomon-checker --bench reading`

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rashomon_checker::history::{
    Event, EventType, Format, History, Process, ReadOptions, Value, Writer, load_reader, read_bytes,
};

/// How many operations; their cost should not depend on it.
const OPERATIONS: [usize; 2] = [2_000, 50_000];
const CLIENTS: u64 = 20;

fn main() {
    divan::main();
}

/// Reads and writes of one register, as a recorder would write them down.
fn events(operations: usize) -> Vec<Event> {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut pending: Vec<Option<Event>> = (0..CLIENTS).map(|_| None).collect();
    let (mut events, mut time, mut written, mut begun) = (Vec::new(), 0, 0, 0);
    while events.len() < 2 * operations {
        time += rng.random_range(200..40_000);
        let client = rng.random_range(0..CLIENTS);
        let slot = &mut pending[client as usize];
        let mut event = match slot.take() {
            Some(invocation) => Event { kind: EventType::Ok, ..invocation },
            None if begun == operations => continue,
            None => {
                begun += 1;
                let is_write = rng.random_ratio(1, 2);
                written += i64::from(is_write);
                let value = if is_write { Value::Int(written) } else { Value::Nil };
                let invocation = invocation(client, if is_write { "write" } else { "read" }, value);
                slot.insert(invocation).clone()
            }
        };
        if event.kind == EventType::Ok && event.value.is_nil() {
            event.value = Value::Int(written);
        }
        events.push(Event { index: events.len() as u64, time: Some(time), ..event });
    }
    events
}

fn invocation(client: u64, f: &str, value: Value) -> Event {
    Event {
        index: 0,
        time: None,
        process: Process::Client(client),
        kind: EventType::Invoke,
        f: f.into(),
        key: Some(Value::text("x")),
        value,
        node: Some(format!("n{}", client % 5 + 1).into()),
        error: None,
        line: 0,
    }
}

fn file(operations: usize, format: Format) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), format).expect("it can be written");
    for event in events(operations) {
        writer.write_event(&event).expect("a vector takes everything");
    }
    writer.finish().expect("a vector takes everything")
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
    let events = events(operations);
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
