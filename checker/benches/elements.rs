//! What a check of a data structure costs, with 16 clients and what is put in different each time.
//!
//! `cargo bench -p rashomon-checker --bench elements` goes to a hundred thousand operations;
//! `RASHOMON_BENCH_MAX=1000000` goes on to a million. Loading is not measured; decoding, the
//! verdict and its witness are.

#[path = "workload/simulation.rs"]
mod simulation;
#[path = "workload/structures.rs"]
mod structures;

use std::fmt;
#[path = "workload/sizes.rs"]
mod sizes;

use divan::Bencher;
use divan::counter::ItemsCount;
use rashomon_checker::Model;
use rashomon_checker::history::{Format, ReadOptions, load_reader};
use rashomon_checker::linearizability::{Engine, Options, Verdict, check, examine};

use simulation::{simulate, write};
use sizes::sizes;
use structures::Structure;

const CLIENTS: usize = 16;

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

/// The largest history, if nobody asks for another.
const LIMIT: usize = 100_000;

fn main() {
    divan::main();
}

/// Every model in every size.
fn cases() -> impl Iterator<Item = Case> {
    MODELS
        .into_iter()
        .flat_map(|model| sizes(LIMIT).map(move |operations| Case { model, operations }))
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
    let events = simulate(Structure::new(case.model), case.operations, CLIENTS);
    let file = write(Vec::new(), events, Format::Rash).expect("a vector takes everything");
    let history =
        load_reader(&*file, "history", ReadOptions::default()).expect("a history").history;
    let model: Model = case.model.parse().expect("a model");
    let examined = examine(&history, &model, &Options::default()).expect("decodes");
    assert!(matches!(examined.verdict, Verdict::Valid(_)), "{case}");
    assert!(examined.engines.keys().all(|&engine| engine == Engine::Elements), "{case}");
    bencher
        .counter(ItemsCount::new(history.len()))
        .bench_local(|| check(&history, &model, &Options::default()));
}
