//! What a check of one register with unique values costs, from ten thousand operations up.
//!
//! `cargo bench -p rashomon-checker --bench zones` goes to a million; `RASHOMON_BENCH_MAX=10000000`
//! goes on to ten million. Loading is not measured; decoding, the verdict and its witness are.

use std::sync::Arc;

use divan::Bencher;
use divan::counter::ItemsCount;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rashomon_checker::history::{Event, EventType, Process, Value};
use rashomon_checker::linearizability::{Options, Verdict, check, examine};
use rashomon_checker::{History, Model};

fn main() {
    divan::main();
}

/// Sizes to measure, up to the limit that is asked for.
fn sizes() -> impl Iterator<Item = usize> {
    let limit = std::env::var("RASHOMON_BENCH_MAX").ok().and_then(|limit| limit.parse().ok());
    let limit = limit.unwrap_or(1_000_000);
    (4..=7).map(|power| 10usize.pow(power)).filter(move |&size| size <= limit)
}

/// What a client is doing: the operation takes effect at an instant of its own.
#[derive(Clone, Copy)]
enum Client {
    Idle,
    Begun(Option<i64>),
    Effective(Option<i64>),
}

/// A history of clients that read and write one of so many registers at random, each write with a
/// new value.
fn history(operations: usize, clients: u64, keys: i64) -> History {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut states = vec![(Client::Idle, 0usize); clients as usize];
    let mut registers = vec![0i64; keys as usize];
    let (mut written, mut begun) = (0, 0);
    let mut events = Vec::with_capacity(2 * operations);
    let (read, write): (Arc<str>, Arc<str>) = (Arc::from("read"), Arc::from("write"));
    while events.len() < 2 * operations {
        let process = rng.random_range(0..clients);
        let (client, key) = &mut states[process as usize];
        let mut say = |kind, is_write, key: usize, value| {
            events.push(Event {
                index: events.len() as u64,
                time: Some(1000 * events.len() as u64),
                process: Process::Client(process),
                kind,
                f: Arc::clone(if is_write { &write } else { &read }),
                key: (keys > 1).then_some(Value::Int(key as i64)),
                value,
                node: None,
                error: None,
                line: events.len() as u32 + 1,
            });
        };
        match *client {
            Client::Idle if begun == operations => {}
            Client::Idle => {
                begun += 1;
                *key = rng.random_range(0..keys) as usize;
                if rng.random_bool(0.5) {
                    written += 1;
                    *client = Client::Begun(Some(written));
                    say(EventType::Invoke, true, *key, Value::Int(written));
                } else {
                    *client = Client::Begun(None);
                    say(EventType::Invoke, false, *key, Value::Nil);
                }
            }
            Client::Begun(Some(value)) => {
                registers[*key] = value;
                *client = Client::Effective(None);
                states[process as usize].0 = Client::Effective(Some(-value));
            }
            Client::Begun(None) => *client = Client::Effective(Some(registers[*key])),
            Client::Effective(value) => {
                *client = Client::Idle;
                let value = value.unwrap_or_default();
                say(EventType::Ok, value < 0, *key, Value::Int(value.abs()));
            }
        }
    }
    History::from_events(&events).expect("a history")
}

/// Checks one register.
#[divan::bench(args = sizes(), sample_count = 3, sample_size = 1)]
fn one_register(bencher: Bencher<'_, '_>, operations: usize) {
    measure(bencher, &history(operations, 20, 1));
}

/// Checks a thousand registers.
#[divan::bench(args = sizes(), sample_count = 3, sample_size = 1)]
fn thousand_registers(bencher: Bencher<'_, '_>, operations: usize) {
    measure(bencher, &history(operations, 20, 1000));
}

fn measure(bencher: Bencher<'_, '_>, history: &History) {
    let model: Model = "register(0)".parse().expect("a model");
    let examined = examine(history, &model, &Options::default()).expect("decodes");
    assert!(matches!(examined.verdict, Verdict::Valid(_)));
    eprintln!("{:?} {} bytes/op", examined.engines, examined.memory / history.len());
    bencher
        .counter(ItemsCount::new(history.len()))
        .bench_local(|| check(history, &model, &Options::default()));
}
