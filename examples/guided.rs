//! Guided search beside the unguided swarm, on the bugs that are hardest to find.
//!
//! ```text
//! cargo run --release --example guided -- --masters 1..20
//! cargo run --release --example guided -- --masters 1..20 --cap 40000 --docs docs/guided.md
//! ```
//!
//! Both search in the settings in which the zoo hunts a mutant, and both must catch it by what clients
//! saw: nobody watches the runs from inside. What is compared is the worlds' time until then, which is
//! the same on every machine. The unguided swarm draws every scenario from a seed, one after the other,
//! as `rashomon sim` does; its seeds and all of the guided search are drawn from the master seed.

use std::fs;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use clap::Parser;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rashomon::sim::guided::{Bounds, Search};
use rashomon::sim::system::Unwatched;
use rashomon::sim::verdict::{Seed, SeedError, run_scenario};
use rashomon::sim::{Scenario, Settings, Telling};
use rashomon::zoo;
use rashomon_stores::catalogue::{Mutant, Shows, Store};
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;

/// The mutants that took the unguided swarm longest at a visit of the zoo.
const HARDEST: &str = "term-forgotten,early-reconfiguration,lease-unprotected,\
                       lease-without-margin,old-round-read,old-answer-counted,vote-before-fsync,\
                       vote-forgotten,old-term-committed,stale-snapshot";

/// Compares guided search with the unguided swarm.
#[derive(Debug, Parser)]
struct Arguments {
    /// Master seeds, both included
    #[arg(long, value_parser = masters, default_value = "1..3")]
    masters: RangeInclusive<u64>,
    /// The mutants, with commas
    #[arg(long, value_delimiter = ',', default_value = HARDEST)]
    mutants: Vec<String>,
    /// When a search is given up, in virtual seconds
    #[arg(long, default_value_t = 60_000)]
    cap: u64,
    /// How many searches are made at a time
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Write the table into this document, between its markers
    #[arg(long)]
    docs: Option<PathBuf>,
}

fn masters(text: &str) -> Result<RangeInclusive<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("write it as 1..20")?;
    let number = |text: &str| text.parse::<u64>().map_err(|error| error.to_string());
    Ok(number(from)?..=number(to)?)
}

/// How a search ended: after so many virtual nanoseconds, and whether the mutant was caught.
#[derive(Clone, Copy, Debug)]
struct End {
    virtual_ns: u64,
    caught: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let pool = ThreadPoolBuilder::new().num_threads(arguments.jobs).build();
    let pool = pool.expect("threads can be started");
    match pool.install(|| compare(&arguments).map_err(|error| error.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let head = "| mutant | unguided | caught | guided | caught | times as fast |\n\
                |---|---|---|---|---|---|\n";
    print!("{head}");
    let mut table = head.to_owned();
    let mut all: [Vec<End>; 2] = Default::default();
    for name in &arguments.mutants {
        let (store, mutant) = find(name)?;
        let ends = searches(store, mutant, arguments)?;
        let row = row(&format!("`{name}`"), &ends);
        print!("{row}");
        table += &row;
        all.iter_mut().zip(ends).for_each(|(all, ends)| all.extend(ends));
    }
    let row = row("all", &all);
    print!("{row}");
    table += &row;
    if let Some(path) = &arguments.docs {
        let text = fs::read_to_string(path)?;
        fs::write(path, replaced(&text, &table).ok_or("the document has no markers")?)?;
    }
    Ok(())
}

const BEGIN: &str = "<!-- table: begin -->\n";
const END: &str = "<!-- table: end -->";

fn replaced(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{table}{END}{after}"))
}

fn find(name: &str) -> Result<(Store, &'static Mutant), String> {
    let all = Store::ALL.iter().flat_map(|store| store.mutants().map(|mutant| (*store, mutant)));
    let found = all.into_iter().find(|(_, mutant)| mutant.name == name);
    found.ok_or_else(|| format!("there is no mutant {name}"))
}

/// The searches for a mutant: all that are unguided, all that are guided.
fn searches(
    store: Store,
    mutant: &Mutant,
    arguments: &Arguments,
) -> Result<[Vec<End>; 2], SeedError> {
    let mut settings = zoo::settings(store, mutant, Duration::from_secs(10));
    // Schedules are what is to be found.
    settings.schedule = None;
    let promise = match mutant.shows {
        Shows::Broken(promise) => Some(promise),
        _ => None,
    };
    let cap = arguments.cap * 1_000_000_000;
    let masters: Vec<u64> = arguments.masters.clone().collect();
    let unguided = masters.par_iter().map(|master| unguided(&settings, *master, cap, promise));
    let unguided = unguided.collect::<Result<_, _>>()?;
    let guided = masters.par_iter().map(|master| guided(&settings, *master, cap, promise));
    Ok([unguided, guided.collect::<Result<_, _>>()?])
}

fn row(name: &str, ends: &[Vec<End>; 2]) -> String {
    let [unguided, guided] = ends;
    let times = match (seconds_a_catch(unguided), seconds_a_catch(guided)) {
        (Some(one), Some(other)) => format!("{:.1}", one / other),
        _ => "-".to_owned(),
    };
    let [one, other] = ends.each_ref().map(|ends| {
        let seconds = seconds_a_catch(ends).map_or("-".to_owned(), |it| format!("{it:.0} s"));
        let caught = ends.iter().filter(|end| end.caught).count();
        format!("{seconds} | {caught} of {}", ends.len())
    });
    format!("| {name} | {one} | {other} | {times} |\n")
}

/// The time of all searches, those that were given up among them, for each that caught something.
fn seconds_a_catch(ends: &[End]) -> Option<f64> {
    let caught = ends.iter().filter(|end| end.caught).count();
    let seconds: f64 = ends.iter().map(|end| end.virtual_ns as f64 / 1e9).sum();
    (caught > 0).then(|| seconds / caught as f64)
}

/// What clients saw, and nobody else: that this promise is broken, or any.
fn catches(run: &Seed, promise: Option<&str>) -> bool {
    zoo::is_seen(run, promise)
}

fn guided(
    settings: &Settings,
    master: u64,
    cap: u64,
    promise: Option<&str>,
) -> Result<End, SeedError> {
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let bounds =
        Bounds { master, runs: u64::MAX, virtual_ns: cap, jobs: 1, stop: &stop, done: &done };
    let mut end = End { virtual_ns: 0, caught: false };
    let mut search = Search::new(settings, master);
    search.search(&Unwatched, bounds, Vec::new(), |step| {
        end.virtual_ns += step.run.recorded.virtual_ns;
        end.caught = catches(&step.run, promise);
        end.caught
    })?;
    Ok(end)
}

fn unguided(
    settings: &Settings,
    master: u64,
    cap: u64,
    promise: Option<&str>,
) -> Result<End, SeedError> {
    let mut rng = ChaCha8Rng::seed_from_u64(master);
    let mut end = End { virtual_ns: 0, caught: false };
    while !end.caught && end.virtual_ns < cap {
        let seed = rng.random::<u32>().into();
        let scenario = Scenario::generate(seed, settings);
        let run = run_scenario(&Unwatched, scenario, Telling::NOTHING)?;
        end.virtual_ns += run.recorded.virtual_ns;
        end.caught = catches(&run, promise);
    }
    Ok(end)
}
