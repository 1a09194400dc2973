//! `rashomon sim`: many simulated runs, or one replayed.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use rashomon_stores::catalogue::Store;
use serde::Serialize;

use super::test::{check_bug, rate};
use super::{complain, duration, print_json, print_text};
use crate::campaign::plan::WorkloadName;
use crate::exit::Exit;
use crate::report::{self, Results, VerdictWord};
use crate::sim::Settings;
use crate::sim::climate::Kinds;
use crate::sim::explore::{Coverage, Exploration, Manner, explore};
use crate::sim::verdict::{Seed, run_seed};

/// Simulate runs: the same cores, clients, faults and checker in virtual time, a seed each
#[derive(Debug, Args)]
pub(super) struct SimArguments {
    /// The store to test
    #[arg(long, default_value_t = Store::Raft, help_heading = "Store")]
    store: Store,
    /// How many nodes
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=15), help_heading = "Store")]
    nodes: u16,
    /// A bug to plant in the store, such as stale-read
    #[arg(long, value_name = "NAME", help_heading = "Store")]
    bug: Option<String>,
    /// What the clients do
    #[arg(long, value_enum, default_value_t = WorkloadName::Register, help_heading = "Workload")]
    workload: WorkloadName,
    /// How many clients work at the same time
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000), help_heading = "Workload")]
    concurrency: u16,
    /// Operations per second, all clients together
    #[arg(long, default_value_t = 100.0, value_parser = rate, help_heading = "Workload")]
    rate: f64,
    /// How long the clients work, in virtual time
    #[arg(long, default_value = "20s", value_parser = duration::parse, help_heading = "Workload")]
    time_limit: Duration,
    /// Kinds of fault that a seed may have: partition, kill, pause, network, disk, clock, with commas; all or none
    #[arg(long, default_value = "all", help_heading = "Faults")]
    nemesis: Kinds,
    /// Seeds to run, such as 1..1000, both included
    #[arg(long, value_parser = seeds, default_value = "1..100")]
    seeds: RangeInclusive<u64>,
    /// One seed to run
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Threads, each running one seed at a time; as many as there are processors if not given
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Go on after the first violation
    #[arg(long)]
    keep_going: bool,
    /// Tell the story of one seed: messages, changes of state, operations
    #[arg(long, requires = "seed", conflicts_with = "json", help_heading = "Output")]
    trace: bool,
    /// Leave a directory as of a live run, of the first violation or of the one seed, in this one
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    out: Option<PathBuf>,
    /// Print the results as JSON on standard output
    #[arg(long, help_heading = "Output")]
    json: bool,
}

/// `A..B`, both included: nobody who writes 1..100 wants 99.
fn seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    const HOW: &str = "write it as 1..1000, both included";
    let (from, to) = text.split_once("..").ok_or(HOW)?;
    let number = |text: &str| text.trim_start_matches('=').parse::<u64>().map_err(|_| HOW);
    let (from, to) = (number(from)?, number(to)?);
    // Far from the end of numbers, so that counting on does not begin again at 0.
    if from > to || to > u64::MAX / 2 { Err(HOW.into()) } else { Ok(from..=to) }
}

/// The longest simulated run.
const TIME_LIMIT_MAX: Duration = Duration::from_secs(3600);

pub(super) fn run(arguments: &SimArguments) -> Exit {
    let settings = match settings(arguments) {
        Ok(settings) => settings,
        Err(error) => {
            complain(&*error, None);
            return Exit::Usage;
        }
    };
    let outcome = match arguments.seed {
        Some(seed) => run_one(&settings, seed, arguments),
        None => run_many(&settings, arguments),
    };
    outcome.unwrap_or_else(|error| {
        complain(&*error, None);
        Exit::Bug
    })
}

fn settings(arguments: &SimArguments) -> Result<Settings, Box<dyn std::error::Error>> {
    check_bug(arguments.store, arguments.bug.as_deref())?;
    if !(Duration::from_secs(1)..=TIME_LIMIT_MAX).contains(&arguments.time_limit) {
        return Err("--time-limit must be from a second to an hour".into());
    }
    Ok(Settings {
        store: arguments.store,
        bug: arguments.bug.clone(),
        workload: arguments.workload,
        nemesis: arguments.nemesis.clone(),
        nodes: arguments.nodes,
        concurrency: arguments.concurrency,
        rate: arguments.rate,
        time_limit: arguments.time_limit,
    })
}

type Outcome = Result<Exit, Box<dyn std::error::Error>>;

fn run_one(settings: &Settings, seed: u64, arguments: &SimArguments) -> Outcome {
    let began = Instant::now();
    let mut run = run_seed(settings, seed, arguments.trace)?;
    let took = began.elapsed();
    if let Some(story) = run.recorded.story.take() {
        print_text(&story);
    }
    save(&mut run, arguments)?;
    let results = &run.judged.results;
    if arguments.json {
        print_json(results);
    } else {
        let plan = settings.plan(seed);
        print_text(&format!("\nseed       {seed}: {}; {:?}\n", plan.kinds, plan.climate));
        print_text(&report::print(results));
    }
    say_speed(run.recorded.virtual_ns, run.recorded.simulated, took);
    Ok(exit(results.verdict))
}

fn run_many(settings: &Settings, arguments: &SimArguments) -> Outcome {
    let began = Instant::now();
    let processors = || thread::available_parallelism().map_or(1, usize::from);
    let (stop, done) = (AtomicBool::new(false), Arc::new(AtomicU64::new(0)));
    let manner = Manner {
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
    let summary = Summary::of(&exploration, settings);
    if arguments.json {
        print_json(&summary);
    } else {
        print_text(&text(&summary, &exploration));
    }
    let coverage = &exploration.coverage;
    say_speed(coverage.virtual_ns, coverage.events, took);
    Ok(exit(summary.verdict))
}

fn save(run: &mut Seed, arguments: &SimArguments) -> Outcome {
    if let Some(out) = &arguments.out {
        let directory = run.write(out)?;
        eprintln!("run in {}", directory.path().display());
    }
    Ok(exit(run.judged.results.verdict))
}

fn exit(verdict: VerdictWord) -> Exit {
    match verdict {
        VerdictWord::Valid => Exit::Valid,
        VerdictWord::Violation => Exit::Violation,
        VerdictWord::Unknown => Exit::Unknown,
    }
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

/// What came out of many seeds, for programs.
#[derive(Serialize)]
struct Summary<'a> {
    schema: u32,
    verdict: VerdictWord,
    coverage: &'a Coverage,
    violations: &'a [u64],
    unknown: &'a [(u64, String)],
    /// The results of the least seed with a violation.
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<&'a Results>,
    /// The command that replays it, exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<String>,
}

impl<'a> Summary<'a> {
    fn of(exploration: &'a Exploration, settings: &Settings) -> Self {
        let coverage = &exploration.coverage;
        let verdict = match (coverage.violations, coverage.unknown, coverage.seeds) {
            (1.., _, _) => VerdictWord::Violation,
            (_, 1.., _) | (_, _, 0) => VerdictWord::Unknown,
            _ => VerdictWord::Valid,
        };
        Summary {
            schema: 1,
            verdict,
            coverage,
            violations: &exploration.violations,
            unknown: &exploration.unknown,
            first: exploration.first.as_ref().map(|run| &run.judged.results),
            replay: exploration.first.as_ref().map(|run| settings.command(run.seed)),
        }
    }
}

fn text(summary: &Summary<'_>, exploration: &Exploration) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_coverage(&mut text, summary.coverage);
    let _ = write_findings(&mut text, summary, exploration);
    text
}

fn write_coverage(out: &mut String, coverage: &Coverage) -> std::fmt::Result {
    let Coverage { traffic, hardship, .. } = coverage;
    let Coverage { seeds, valid, violations, unknown, .. } = coverage;
    writeln!(out, "seeds      {seeds}: {valid} valid, {violations} violations, {unknown} unknown")?;
    let Coverage { operations, ok, fail, info, overlapping, .. } = coverage;
    writeln!(out, "operations {operations}: {ok} ok, {fail} fail, {info} info")?;
    let faults: Vec<String> = coverage
        .faults
        .iter()
        .map(|(kind, (struck, bit))| format!("{struck} {kind}, of which {bit} bit"))
        .collect();
    let faults = if faults.is_empty() { "none".to_owned() } else { faults.join("; ") };
    writeln!(out, "faults     {faults}; {overlapping} operations overlapped one")?;
    writeln!(
        out,
        "messages   {}: {} lost, {} stopped by cuts, {} twice, {} late, {} waited for a heal",
        traffic.sent,
        traffic.lost,
        traffic.stopped,
        traffic.duplicated,
        traffic.held,
        traffic.waited
    )?;
    writeln!(
        out,
        "nodes      {} crashes, {} of which lost unsynced data ({} batches); {} pauses",
        hardship.crashes, hardship.crashes_with_loss, hardship.lost_batches, hardship.pauses
    )?;
    for (name, reached) in [("sometimes", true), ("never", false)] {
        let points = coverage.sometimes.iter().filter(|(_, count)| (**count > 0) == reached);
        let points: Vec<String> = points
            .map(|(what, count)| if reached { format!("{count} {what}") } else { what.to_string() })
            .collect();
        if !points.is_empty() {
            writeln!(out, "{name:11}{}", points.join(", "))?;
        }
    }
    Ok(())
}

fn write_findings(
    out: &mut String,
    summary: &Summary<'_>,
    exploration: &Exploration,
) -> std::fmt::Result {
    const SHOWN: usize = 10;
    for (seed, why) in summary.unknown.iter().take(SHOWN) {
        writeln!(out, "unknown    seed {seed}: {why}")?;
    }
    if let Some(first) = &exploration.first {
        let results = &first.judged.results;
        if summary.violations.len() > 1 {
            let seeds: Vec<String> =
                summary.violations.iter().take(SHOWN).map(u64::to_string).collect();
            let more = if summary.violations.len() > SHOWN { ", ..." } else { "" };
            writeln!(out, "violations seeds {}{more}", seeds.join(", "))?;
        }
        if let Some(finding) = &results.finding {
            writeln!(out, "\n{}", report::proof(finding))?;
        }
        if let Some(breach) = &first.recorded.breach {
            writeln!(out, "broken     {breach}")?;
        }
        writeln!(out, "VIOLATION  seed {}: {} ({})", first.seed, results.why, results.model)?;
        writeln!(out, "replay     {}", results.reproduce)?;
        return Ok(());
    }
    let word = summary.verdict.as_str();
    match summary.verdict {
        VerdictWord::Unknown => writeln!(out, "{word:11}of some seeds nothing can be said"),
        _ => writeln!(out, "{word:11}no seed has a violation"),
    }
}

/// A bar on a terminal, silence otherwise.
struct Progress {
    bar: ProgressBar,
    over: Arc<AtomicBool>,
}

impl Progress {
    fn begin(seeds: &RangeInclusive<u64>, done: Arc<AtomicU64>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        if !io::stderr().is_terminal() {
            return Progress { bar: ProgressBar::hidden(), over };
        }
        let style =
            ProgressStyle::with_template("{elapsed:>4} {wide_bar} {pos}/{len} seeds, {eta}");
        let bar = ProgressBar::new(seeds.end() - seeds.start() + 1)
            .with_style(style.expect("the template is well-formed"));
        let (own_bar, own_over) = (bar.clone(), over.clone());
        thread::spawn(move || {
            while !own_over.load(Ordering::Relaxed) {
                own_bar.set_position(done.load(Ordering::Relaxed));
                thread::sleep(Duration::from_millis(100));
            }
        });
        Progress { bar, over }
    }

    fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.bar.finish_and_clear();
    }
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
