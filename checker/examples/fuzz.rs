//! Every engine against the definition of linearizability, for as many random small histories as
//! one likes: `cargo run --release -p rashomon-checker --example fuzz -- --cases 1000000`.
//!
//! The histories are those of the tests: several clients, crashed and failed operations, equal
//! times, results that are spoilt, values written once and values written again. A search through
//! all orders says what each one is, and every engine has to agree, on the first bad return too. Every
//! witness is certified, and a share of the explanations is held to the definition as well: the
//! proof, and that nothing can be left out of the minimal history. A panic is a disagreement.
//!
//! A disagreement is printed with the seed that repeats it, and the exit code is 1.

#[path = "../tests/support/judge.rs"]
mod judge;
#[path = "../tests/support/structures.rs"]
mod structures;
#[path = "../tests/support/mod.rs"]
mod support;
#[path = "../tests/support/unique.rs"]
mod unique;

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{Duration, Instant};

use clap::Parser;
use rashomon_checker::History;
use rashomon_checker::linearizability::{Engine, Options, brute};
use rashomon_checker::model::Model;
use rayon::prelude::*;

use judge::{Ruling, hold, rule};
use structures::{STRUCTURES, Structure, structure};
use support::{WORKLOADS, Workload, history};
use unique::{Unique, unique};

/// A way to generate histories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Values are written again.
    Repeated(Workload),
    /// Values are mostly written once.
    Unique(Unique),
    Structure(Structure),
}

impl Kind {
    fn all() -> Vec<Kind> {
        use Unique::{CasRegister, KvList, KvText, KvWhole, Register};
        let unique = [Register, CasRegister, KvWhole, KvText, KvList].map(Kind::Unique);
        let repeated = WORKLOADS.into_iter().map(Kind::Repeated);
        repeated.chain(unique).chain(STRUCTURES.into_iter().map(Kind::Structure)).collect()
    }

    /// A history, and the name of its model with options.
    fn draw(self, seed: u64) -> (History, &'static str) {
        // The largest histories alone take the definition most of the time.
        let max = brute::LIMIT - (seed % 3) as usize;
        match self {
            Kind::Repeated(workload) => {
                let (history, mut rng) = history(workload, seed, max);
                (history, workload.model(&mut rng))
            }
            Kind::Unique(object) => {
                let (history, mut rng) = unique(object, seed, max);
                (history, object.model(&mut rng))
            }
            Kind::Structure(of) => structure(of, seed, max),
        }
    }

    /// The name of the model without options.
    fn model(self) -> &'static str {
        let (_, name) = self.draw(0);
        name.parse::<Model>().map_or(name, |model| model.name())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (of, name) = match self {
            Kind::Repeated(workload) => ("repeated", format!("{workload:?}")),
            Kind::Unique(object) => ("unique", format!("{object:?}")),
            Kind::Structure(of) => ("structure", format!("{of:?}")),
        };
        f.pad(&format!("{name} ({of})"))
    }
}

/// A way to decide a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// The engines that the check chooses.
    Chosen,
    /// One engine alone.
    Only(Engine),
    /// All keys as one object.
    Joined,
}

impl Way {
    const ALL: [Way; 6] = [
        Way::Chosen,
        Way::Only(Engine::Zones),
        Way::Only(Engine::Elements),
        Way::Only(Engine::Lazy),
        Way::Only(Engine::General),
        Way::Joined,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Way::Chosen => "chosen",
            Way::Only(engine) => engine.as_str(),
            Way::Joined => "joined",
        }
    }

    /// What to ask of a check, with time for an explanation or without.
    fn options(self, explain: bool) -> Options {
        let defaults = Options::default();
        let engine = if let Way::Only(engine) = self { Some(engine) } else { None };
        Options {
            engine,
            partition: self != Way::Joined,
            explanation_time: if explain { defaults.explanation_time } else { Duration::ZERO },
            ..defaults
        }
    }
}

impl FromStr for Way {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let way = Way::ALL.into_iter().find(|way| way.as_str() == name);
        way.ok_or_else(|| format!("there is no engine `{name}`"))
    }
}

/// Compare every engine with the definition of linearizability
#[derive(Debug, Parser)]
struct Arguments {
    /// Histories of each kind
    #[arg(long, default_value_t = 10_000)]
    cases: u64,
    /// Only this way to decide: chosen, zones, elements, lazy, general, or joined (all keys as one object)
    #[arg(long = "engine")]
    engines: Vec<Way>,
    /// Only kinds of this model, such as register or kv
    #[arg(long)]
    model: Option<String>,
    /// The first seed; with --cases 1, the history that a disagreement names
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Hold every Nth explanation to the definition
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..))]
    explain: u64,
}

/// What came of deciding some histories one way.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    cases: u64,
    applicable: u64,
    valid: u64,
    invalid: u64,
    explained: u64,
    disagreements: u64,
}

impl Counts {
    fn join(self, other: Counts) -> Counts {
        Counts {
            cases: self.cases + other.cases,
            applicable: self.applicable + other.applicable,
            valid: self.valid + other.valid,
            invalid: self.invalid + other.invalid,
            explained: self.explained + other.explained,
            disagreements: self.disagreements + other.disagreements,
        }
    }
}

type Table = BTreeMap<Way, Counts>;

/// Decides one history in all ways that are asked for.
fn case(kind: Kind, seed: u64, arguments: &Arguments) -> Table {
    let (history, name) = kind.draw(seed);
    let model: Model = name.parse().expect(name);
    let truth = rule(&history, &model);
    let decide = |&way: &Way| {
        let explain = seed.is_multiple_of(arguments.explain);
        let context = format!("{kind} seed {seed} as {name}, {}", way.as_str());
        let held = panic::catch_unwind(AssertUnwindSafe(|| {
            hold(&history, &model, &way.options(explain), &truth, &context)
        }));
        (way, counted(held.ok(), explain, &truth))
    };
    let ways = if arguments.engines.is_empty() { &Way::ALL[..] } else { &arguments.engines };
    ways.iter().map(decide).collect()
}

/// One decision as counts; nothing if it disagreed.
fn counted(held: Option<Option<bool>>, explain: bool, truth: &Ruling) -> Counts {
    let one = Counts { cases: 1, ..Counts::default() };
    match held {
        None => Counts { disagreements: 1, ..one },
        Some(None) => one,
        Some(Some(_)) if truth.linearizable => Counts { applicable: 1, valid: 1, ..one },
        Some(Some(_)) => Counts { applicable: 1, invalid: 1, explained: u64::from(explain), ..one },
    }
}

fn join(mut one: Table, other: Table) -> Table {
    for (way, counts) in other {
        let joined = one.entry(way).or_default();
        *joined = joined.join(counts);
    }
    one
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut kinds = Kind::all();
    kinds.retain(|kind| arguments.model.as_ref().is_none_or(|model| kind.model() == model));
    if kinds.is_empty() {
        eprintln!("error: no histories are generated for this model");
        return ExitCode::from(2);
    }
    // What disagrees panics with the history; how it got there is of no use.
    panic::set_hook(Box::new(|panic| eprintln!("DISAGREEMENT {panic}")));
    println!(
        "{:25} {:9} {:>9} {:>10} {:>9} {:>9} {:>9} {:>13}",
        "model", "engine", "cases", "applicable", "valid", "invalid", "explained", "disagreements"
    );
    let began = Instant::now();
    let mut total = Counts::default();
    for kind in kinds {
        let seeds = arguments.seed..arguments.seed.saturating_add(arguments.cases);
        let table =
            seeds.into_par_iter().map(|seed| case(kind, seed, &arguments)).reduce(Table::new, join);
        for (way, counts) in table {
            println!(
                "{kind:25} {:9} {:>9} {:>10} {:>9} {:>9} {:>9} {:>13}",
                way.as_str(),
                counts.cases,
                counts.applicable,
                counts.valid,
                counts.invalid,
                counts.explained,
                counts.disagreements
            );
            total = total.join(counts);
        }
    }
    println!(
        "{} decisions in {:.1} s, {} valid and certified, {} invalid, {} of these explained \
         (1 in {}), {} disagreements",
        total.cases,
        began.elapsed().as_secs_f64(),
        total.valid,
        total.invalid,
        total.explained,
        arguments.explain,
        total.disagreements
    );
    if total.disagreements == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) }
}
