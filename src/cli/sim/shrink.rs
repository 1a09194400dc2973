//! `rashomon shrink`: from a simulated run with a violation to the smallest that shows the same.

use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use clap::Args;
use serde::Serialize;

use super::progress::Progress;
use super::settings::{self, SettingsArguments};
use super::{processors, read_scenario, seeds};
use crate::cli::{complain, print_json, print_text};
use crate::exit::Exit;
use crate::report::{self, Results};
use crate::sim::explore::{Manner, explore};
use crate::sim::guided::{self, Bounds};
use crate::sim::shrink::{Shrunk, Size, shrink};
use crate::sim::{Scenario, Settings, Stores};

/// Shrink a simulated run with a violation to the fewest faults, nodes, clients and operations that still show it
#[derive(Debug, Args)]
pub(in crate::cli) struct ShrinkArguments {
    #[command(flatten)]
    settings: SettingsArguments,
    /// Seeds to look for a violation in, such as 1..1000, both included; the least that has one is shrunk
    #[arg(long, value_parser = seeds, default_value = "1..1000")]
    seeds: RangeInclusive<u64>,
    /// The seed to shrink
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// The scenario to shrink, from its file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["SettingsArguments", "seeds", "seed"])]
    scenario: Option<PathBuf>,
    /// How many smaller scenarios to try at most
    #[arg(long, default_value_t = 5_000)]
    tries: usize,
    /// Where to write the scenario; <STORE>-<BUG>-<SEED>.toml in this directory if not given
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    out: Option<PathBuf>,
    /// Print the results as JSON on standard output
    #[arg(long, help_heading = "Output")]
    json: bool,
}

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// Runs the command.
pub(in crate::cli) fn run(arguments: &ShrinkArguments) -> Exit {
    let fails = |exit: Exit| {
        move |error: Box<dyn std::error::Error>| {
            complain(&*error, None);
            exit
        }
    };
    let scenario = match scenario(arguments) {
        Ok(Some(scenario)) => scenario,
        Ok(None) => return nothing_to_shrink(),
        Err(error) => return fails(Exit::Usage)(error),
    };
    let seed = scenario.seed;
    match shrink(&Stores, scenario, arguments.tries.max(1)) {
        Ok(Some(shrunk)) => {
            let name = || file_name(&shrunk.run.scenario, seed);
            let file = arguments.out.clone().unwrap_or_else(name);
            show(shrunk, &file, arguments.json).unwrap_or_else(fails(Exit::Infrastructure))
        }
        Ok(None) => nothing_to_shrink(),
        Err(error) => fails(Exit::Bug)(error.into()),
    }
}

fn nothing_to_shrink() -> Exit {
    eprintln!("no violation: there is nothing to shrink");
    Exit::Valid
}

/// What is to be shrunk, if any seed has a violation.
fn scenario(arguments: &ShrinkArguments) -> Fallible<Option<Scenario>> {
    if let Some(file) = &arguments.scenario {
        return read_scenario(file).map(Some);
    }
    let settings = arguments.settings.settings()?;
    match arguments.seed {
        Some(_) if arguments.settings.manner() == settings::Manner::Guided => {
            Err(super::ONE_GUIDED.into())
        }
        Some(seed) => Ok(Some(arguments.settings.scenario(seed, &settings))),
        None if arguments.settings.manner() == settings::Manner::Guided => {
            find_guided(&settings, &arguments.seeds)
        }
        None => find(&settings, arguments.seeds.clone()),
    }
}

fn find(settings: &Settings, seeds: RangeInclusive<u64>) -> Fallible<Option<Scenario>> {
    let (stop, done) = (AtomicBool::new(false), Arc::new(AtomicU64::new(0)));
    let manner = Manner { jobs: processors(), keep_going: false, stop: &stop, done: &done };
    let progress = Progress::begin(&seeds, done.clone());
    let explored = explore(settings, seeds, manner);
    progress.end();
    Ok(explored?.first.map(|first| first.scenario))
}

fn find_guided(settings: &Settings, seeds: &RangeInclusive<u64>) -> Fallible<Option<Scenario>> {
    let (stop, done) = (AtomicBool::new(false), Arc::new(AtomicU64::new(0)));
    let bounds = Bounds { jobs: processors(), ..Bounds::of(seeds, &stop, &done) };
    let progress = Progress::begin(seeds, done.clone());
    let explored = guided::explore(&Stores, settings, bounds, Vec::new(), false);
    progress.end();
    Ok(explored?.exploration.first.map(|first| first.scenario))
}

fn file_name(scenario: &Scenario, seed: u64) -> PathBuf {
    let bug = scenario.bug.as_ref().map_or(String::new(), |bug| format!("-{bug}"));
    format!("{}{bug}-{seed}.toml", scenario.store).into()
}

/// What came out, for programs.
#[derive(Serialize)]
struct Summary<'a> {
    schema: u32,
    from: Size,
    to: Size,
    tries: usize,
    is_minimal: bool,
    scenario: &'a Path,
    replay: &'a str,
    results: &'a Results,
}

fn show(mut shrunk: Shrunk, file: &Path, json: bool) -> Fallible<Exit> {
    let text = format!(
        "# {}\n\n{}",
        shrunk.run.judged.results.why.replace('\n', " "),
        shrunk.run.scenario.to_toml()
    );
    let written = fs::write(file, text);
    written.map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    let replay = format!("rashomon sim --scenario {}", file.display());
    shrunk.run.judged.results.reproduce.clone_from(&replay);
    let (from, to) = (shrunk.from, Size::of(&shrunk.run.scenario));
    let results = &shrunk.run.judged.results;
    if json {
        let Shrunk { tries, is_minimal, .. } = shrunk;
        let scenario = file;
        let replay = &replay;
        print_json(&Summary { schema: 1, from, to, tries, is_minimal, scenario, replay, results });
        return Ok(Exit::Violation);
    }
    let mut out = String::new();
    out += &report::shown(results);
    out += "\n";
    out += "            faults  nodes  clients  operations  seconds\n";
    for (name, size) in [("from", from), ("to", to)] {
        out += &format!(
            "{name:11} {:6}  {:5}  {:7}  {:10}  {:7.2}\n",
            size.faults,
            size.nodes,
            size.clients,
            size.operations,
            size.time_limit_ms as f64 / 1e3,
        );
    }
    let minimal = if shrunk.is_minimal { "nothing more can go" } else { "--tries was reached" };
    out += &format!("tried       {} scenarios; {minimal}\n\n", shrunk.tries);
    out += &format!("VIOLATION   {} ({})\n", results.why, results.model);
    out += &format!("scenario    {}\nreplay      {replay}\n", file.display());
    print_text(&out);
    Ok(Exit::Violation)
}
