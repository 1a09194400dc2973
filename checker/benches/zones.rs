//! What a check of registers with unique values costs, from ten thousand operations up.
//!
//! `cargo bench -p rashomon-checker --bench zones` goes to a million; `RASHOMON_BENCH_MAX=10000000`
//! goes on to ten million. Loading is not measured; decoding, the verdict and its witness are.

#[path = "workload/registers.rs"]
mod registers;
#[path = "workload/simulation.rs"]
mod simulation;
#[path = "workload/sizes.rs"]
mod sizes;

use divan::Bencher;
use divan::counter::ItemsCount;
use rashomon_checker::Model;
use rashomon_checker::history::{Format, ReadOptions, load_reader};
use rashomon_checker::linearizability::{Engine, Options, Verdict, check, examine};

use registers::Registers;
use simulation::{simulate, write};
use sizes::sizes;

const CLIENTS: usize = 20;

/// The largest history, if nobody asks for another.
const LIMIT: usize = 1_000_000;

fn main() {
    divan::main();
}

#[divan::bench(args = sizes(LIMIT), sample_count = 3, sample_size = 1)]
fn one_register(bencher: Bencher<'_, '_>, operations: usize) {
    measure(bencher, operations, 1);
}

#[divan::bench(args = sizes(LIMIT), sample_count = 3, sample_size = 1)]
fn thousand_registers(bencher: Bencher<'_, '_>, operations: usize) {
    measure(bencher, operations, 1000);
}

fn measure(bencher: Bencher<'_, '_>, operations: usize, keys: usize) {
    let events = simulate(Registers::new(keys, None, 0), operations, CLIENTS);
    let file = write(Vec::new(), events, Format::Rash).expect("a vector takes everything");
    let history =
        load_reader(&*file, "history", ReadOptions::default()).expect("a history").history;
    let model: Model = "register(0)".parse().expect("a model");
    let examined = examine(&history, &model, &Options::default()).expect("decodes");
    assert!(matches!(examined.verdict, Verdict::Valid(_)));
    assert!(examined.engines.keys().all(|&engine| engine == Engine::Zones));
    bencher
        .counter(ItemsCount::new(history.len()))
        .bench_local(|| check(&history, &model, &Options::default()));
}
