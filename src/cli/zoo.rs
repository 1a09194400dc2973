//! `rashomon zoo`: hunts every planted bug in the simulator, and sees that no control is reported.

use std::thread;
use std::time::Duration;

use clap::Args;
use rashomon_stores::catalogue::{Mutant, Store};
use serde::Serialize;

use super::{complain, duration, print_json, print_text};
use crate::exit::Exit;
use crate::zoo::{Effort, Report, hunt, table};

/// Hunt every planted bug in the simulator; no control may be reported
#[derive(Debug, Args)]
pub(super) struct ZooArguments {
    /// Only these bugs or controls, with commas; see `rashomon list bugs`
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    bug: Vec<String>,
    /// Threads, each running one seed at a time; as many as there are processors if not given
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// How long to look for one bug, of real time
    #[arg(long, default_value = "60s", value_parser = duration::parse)]
    time_limit: Duration,
    /// How many seeds of a control to run
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    control_seeds: u64,
    /// How long clients work in a run, in the world's time
    #[arg(long, default_value = "10s", value_parser = duration::parse)]
    run: Duration,
    /// Print the results as JSON on standard output
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &ZooArguments) -> Exit {
    let wanted = match wanted(&arguments.bug) {
        Ok(wanted) => wanted,
        Err(unknown) => {
            let why = format!("--bug {unknown}: there is no such bug");
            complain(&*Box::<dyn std::error::Error>::from(why), Some("see `rashomon list bugs`"));
            return Exit::Usage;
        }
    };
    let processors = || thread::available_parallelism().map_or(1, usize::from);
    let effort = Effort {
        jobs: arguments.jobs.map_or_else(processors, usize::from),
        time_limit: arguments.time_limit,
        control_seeds: arguments.control_seeds,
        run: arguments.run,
    };
    match visit(&wanted, effort) {
        Ok(reports) => finish(&reports, arguments),
        Err(error) => {
            complain(&error, None);
            Exit::Bug
        }
    }
}

/// The entries of these names; all of them if none is given.
fn wanted(names: &[String]) -> Result<Vec<(Store, &'static Mutant)>, &String> {
    let all = || Store::ALL.iter().flat_map(|store| store.mutants().map(|entry| (*store, entry)));
    if names.is_empty() {
        return Ok(all().collect());
    }
    names.iter().map(|name| all().find(|(_, entry)| entry.name == name).ok_or(name)).collect()
}

fn visit(
    wanted: &[(Store, &'static Mutant)],
    effort: Effort,
) -> Result<Vec<Report>, crate::sim::verdict::SeedError> {
    let mut reports = Vec::new();
    for (number, (store, mutant)) in wanted.iter().enumerate() {
        let report = hunt(*store, mutant, effort)?;
        let Report { fate, seeds, wall_s, .. } = &report;
        let (at, of) = (number + 1, wanted.len());
        eprintln!("{at:3}/{of}  {}: {fate:?}, {seeds} seeds, {wall_s:.2} s", mutant.name);
        reports.push(report);
    }
    Ok(reports)
}

fn finish(reports: &[Report], arguments: &ZooArguments) -> Exit {
    let good = reports.iter().all(|report| report.fate.is_good());
    if arguments.json {
        let control_seeds = arguments.control_seeds;
        print_json(&Visit { schema: 1, good, control_seeds, reports });
    } else {
        print_text(&table::render(reports, arguments.control_seeds));
    }
    if good { Exit::Valid } else { Exit::Violation }
}

/// A visit to the zoo, for programs.
#[derive(Serialize)]
struct Visit<'a> {
    schema: u32,
    /// Whether every mutant was caught and no control reported.
    good: bool,
    control_seeds: u64,
    reports: &'a [Report],
}
