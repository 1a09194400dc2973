//! `rashomon sim`: many simulated runs, or one replayed.

mod guided;
mod progress;
mod settings;
pub(super) mod shrink;
mod summary;

use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use rashomon_stores::replica::NodeId;

use super::signals::Signals;
use super::store;
use super::{complain, print_json, print_text};
use crate::exit::Exit;
use crate::report;
use crate::sim::explore::{self, explore};
use crate::sim::verdict::{Seed, run_scenario};
use crate::sim::{Scenario, Settings, Stores, Telling};
use progress::Progress;
use settings::{Manner, SettingsArguments};
use summary::Summary;

/// Simulate runs: the same cores, clients, faults and checker in virtual time, a seed each
#[derive(Debug, Args)]
pub(super) struct SimArguments {
    #[command(flatten)]
    settings: SettingsArguments,
    /// Seeds to run, such as 1..1000, both included
    #[arg(long, value_parser = seeds, default_value = "1..100")]
    seeds: RangeInclusive<u64>,
    /// One seed to run
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// A scenario to run, from its file; it says everything about the run
    #[arg(long, value_name = "FILE", conflicts_with_all = ["SettingsArguments", "seeds", "seed", "jobs", "keep_going", "corpus"])]
    scenario: Option<PathBuf>,
    /// Begin with the schedules in this directory, and leave in it those that reached something new; with --nemesis guided
    #[arg(long, value_name = "DIR", help_heading = "Faults")]
    corpus: Option<PathBuf>,
    /// Threads, each running one seed at a time; as many as there are processors if not given
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Go on after the first violation
    #[arg(long)]
    keep_going: bool,
    /// Tell the story of one seed or scenario: messages, changes of state, operations
    #[arg(long, conflicts_with = "json", help_heading = "Output")]
    trace: bool,
    /// Trace every node of one seed or scenario, with vector clocks: into a directory, or into one file named *.jsonl; see `rashomon trace`
    #[arg(long, value_name = "DIR|FILE", help_heading = "Output")]
    trace_nodes: Option<PathBuf>,
    /// Leave a directory as of a live run, of the first violation or of the one seed, in this one
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    out: Option<PathBuf>,
    /// Print the results as JSON on standard output
    #[arg(long, help_heading = "Output")]
    json: bool,
}

/// Reads `A..B`, both included: nobody who writes 1..100 wants 99.
///
/// # Errors
/// What to write instead.
pub fn seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    const HOW: &str = "write it as 1..1000, both included";
    let (from, to) = text.split_once("..").ok_or(HOW)?;
    let number = |text: &str| text.trim_start_matches('=').parse::<u64>().map_err(|_| HOW);
    let (from, to) = (number(from)?, number(to)?);
    // Far from the end of numbers, so that counting on does not begin again at 0.
    if from > to || to > u64::MAX / 2 { Err(HOW.into()) } else { Ok(from..=to) }
}

/// What is to be run.
enum Task {
    /// A scenario, and the command that runs it again.
    One(Box<Scenario>, String),
    /// All seeds that were asked for.
    Many(Settings),
    /// As many runs, bred.
    Guided(Settings),
}

pub(super) fn run(arguments: &SimArguments) -> Exit {
    let task = match task(arguments) {
        Ok(task) => task,
        Err(error) => {
            complain(&*error, None);
            return Exit::Usage;
        }
    };
    let outcome = match task {
        Task::One(scenario, command) => run_one(*scenario, command, arguments),
        Task::Many(settings) => run_many(&settings, arguments),
        Task::Guided(settings) => guided::run(&settings, arguments),
    };
    outcome.unwrap_or_else(|error| {
        complain(&*error, None);
        Exit::Bug
    })
}

fn task(arguments: &SimArguments) -> Result<Task, Box<dyn std::error::Error>> {
    if let Some(file) = &arguments.scenario {
        let scenario = read_scenario(file)?;
        let command = format!("rashomon sim --scenario {}", file.display());
        return Ok(Task::One(Box::new(scenario), command));
    }
    let settings = arguments.settings.settings()?;
    match arguments.seed {
        Some(seed) => {
            if arguments.settings.manner() == Manner::Guided {
                return Err(ONE_GUIDED.into());
            }
            let scenario = Box::new(arguments.settings.scenario(seed, &settings));
            Ok(Task::One(scenario, arguments.settings.command(seed, &settings)))
        }
        None if arguments.trace => {
            Err("--trace tells the story of one run: give it with --seed or --scenario".into())
        }
        None if arguments.trace_nodes.is_some() => {
            Err("--trace-nodes traces the nodes of one run: give it with --seed or --scenario"
                .into())
        }
        None if arguments.settings.manner() == Manner::Guided => Ok(Task::Guided(settings)),
        None if arguments.corpus.is_some() => {
            Err("--corpus keeps what --nemesis guided has bred: give both".into())
        }
        None => Ok(Task::Many(settings)),
    }
}

const ONE_GUIDED: &str = "--nemesis guided makes many runs, as many as there are --seeds, of which the \
                          first is its master seed; one of them is run again by the command that \
                          was printed for it";

/// Reads a scenario of one of the project's stores.
fn read_scenario(file: &Path) -> Result<Scenario, Box<dyn std::error::Error>> {
    let scenario = Scenario::read(file)?;
    let store = scenario.store.parse()?;
    store::check(store, scenario.bug.as_deref(), scenario.reads)?;
    store::workload(store, scenario.workload)?;
    store::nodes(store, Some(scenario.nodes))?;
    Ok(scenario)
}

/// How many threads run seeds if nobody says how many.
fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

type Outcome = Result<Exit, Box<dyn std::error::Error>>;

fn run_one(scenario: Scenario, command: String, arguments: &SimArguments) -> Outcome {
    let began = Instant::now();
    let node_traces = arguments.trace_nodes.is_some();
    let told = Telling { story: arguments.trace, node_traces, ..Telling::NOTHING };
    let mut run = run_scenario(&Stores, scenario, told)?;
    let took = began.elapsed();
    if let Some(path) = &arguments.trace_nodes {
        let written = write_traces(path, &run.recorded.traces);
        written.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    run.judged.results.reproduce = command;
    if let Some(story) = run.recorded.story.take() {
        print_text(&story);
    }
    save(&mut run, arguments)?;
    let results = &run.judged.results;
    if arguments.json {
        print_json(results);
    } else {
        print_text(&format!("\n{}", summary::of_scenario(&run.scenario)));
        print_text(&report::print(results));
    }
    say_speed(run.recorded.virtual_ns, run.recorded.simulated, took);
    Ok(results.verdict.into())
}

fn run_many(settings: &Settings, arguments: &SimArguments) -> Outcome {
    let began = Instant::now();
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let signals = Signals::listen_beside(stop.clone())?;
    let manner = explore::Manner {
        jobs: arguments.jobs.map_or_else(processors, usize::from),
        keep_going: arguments.keep_going,
        stop: &stop,
        done: &done,
    };
    let progress = Progress::begin(&arguments.seeds, done.clone());
    let explored = explore(settings, arguments.seeds.clone(), manner);
    progress.end();
    let mut exploration = explored?;
    let took = began.elapsed();
    if let Some(first) = &mut exploration.first {
        save(first, arguments)?;
    }
    let summary = Summary::of(&exploration);
    if arguments.json {
        print_json(&summary);
    } else {
        print_text(&summary::text(&summary, &exploration));
    }
    let coverage = &exploration.coverage;
    say_speed(coverage.virtual_ns, coverage.events, took);
    let verdict = Exit::from(summary.verdict);
    Ok(signals.exit().map_or(verdict, |signal| signal.worst(verdict)))
}

/// Writes the traces of nodes, each into a file of its own unless the path names one.
fn write_traces(path: &Path, traces: &[(NodeId, Vec<u8>)]) -> io::Result<()> {
    if path.extension().is_some_and(|extension| extension == "jsonl") {
        let all: Vec<&[u8]> = traces.iter().map(|(_, trace)| &trace[..]).collect();
        return fs::write(path, all.concat());
    }
    fs::create_dir_all(path)?;
    traces.iter().try_for_each(|(node, trace)| fs::write(path.join(format!("{node}.jsonl")), trace))
}

fn save(run: &mut Seed, arguments: &SimArguments) -> Outcome {
    if let Some(out) = &arguments.out {
        let directory = run.write(out)?;
        eprintln!("run in {}", directory.path().display());
    }
    Ok(run.judged.results.verdict.into())
}

/// On standard error, because it is never the same twice.
fn say_speed(virtual_ns: u64, events: u64, took: Duration) {
    let (simulated, took) = (virtual_ns as f64 / 1e9, took.as_secs_f64());
    eprintln!(
        "{simulated:.0} virtual seconds in {took:.2} s: {:.0} a second, {:.0} events a second",
        simulated / took,
        events as f64 / took,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_range_with_both_ends() {
        assert_eq!(seeds("1..10"), Ok(1..=10));
        assert_eq!(seeds("5..=5"), Ok(5..=5));
        for text in ["", "5", "10..1", "a..b", "1..18446744073709551615"] {
            assert!(seeds(text).is_err(), "{text}");
        }
    }
}
