//! `rashomon test`: one run against a built-in store, from nothing to a verdict.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use rashomon_nemesis::{Mixture, Package, Packages, ParseError, Schedule};
use rashomon_stores::catalogue::Store;
use rashomon_stores::raft::ReadMode;

use super::heal;
use super::progress::Progress;
use super::signals::Signals;
use super::store;
use super::{complain, duration, print_json, print_text};
use crate::campaign::judge::{JudgeError, judge};
use crate::campaign::plan::{Election, Plan, WorkloadName, mixed_packages};
use crate::campaign::run_dir::RunDir;
use crate::campaign::{Recovery, Tally, run_live};
use crate::exit::Exit;
use crate::report::{self, Results};

/// Run a cluster, break it, and judge what its clients saw
#[derive(Debug, Args)]
pub(super) struct TestArguments {
    /// The store to test: raft, paxos, single, or eventual, which has settings, as in eventual:siblings,r=2,w=2,sessions,handoff=off
    #[arg(long, default_value_t = Store::Raft, help_heading = "Store")]
    store: Store,
    /// How many nodes, each a process of its own; 5 if not given, and 1 for single
    #[arg(long, value_parser = store::count, help_heading = "Store")]
    nodes: Option<u16>,
    /// A bug to plant in the store, such as stale-read
    #[arg(long, value_name = "NAME", help_heading = "Store")]
    bug: Option<String>,
    /// How reads are answered: read-index, lease or local
    #[arg(long, default_value_t = ReadMode::ReadIndex, value_name = "HOW", help_heading = "Store")]
    reads: ReadMode,
    /// The range of election time-outs, as in 2s..2.2s, from 50ms to 10s; 300ms..600ms if not given. Simulated runs draw their own
    #[arg(long, value_name = "MIN..MAX", value_parser = store::election, help_heading = "Store")]
    election: Option<Election>,
    /// What the clients do
    #[arg(long, value_enum, default_value_t = WorkloadName::Register, help_heading = "Workload")]
    workload: WorkloadName,
    /// How many clients work at the same time
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000), help_heading = "Workload")]
    concurrency: u16,
    /// Operations per second, all clients together
    #[arg(long, default_value_t = 200.0, value_parser = rate, help_heading = "Workload")]
    rate: f64,
    /// How long the clients work
    #[arg(long, default_value = "20s", value_parser = duration::parse, help_heading = "Workload")]
    time_limit: Duration,
    /// Kinds of fault: partition, kill, restart, pause, clock, disk, link, membership, with commas; none, or all; swarm for a mixture drawn from the seed; partition if not given, and kill for single
    #[arg(long, help_heading = "Faults")]
    nemesis: Option<Nemesis>,
    /// Which fault strikes when, as in 'at 2s cut leader | rest; at 4s heal', or a file that says so; drawn from the seed if not given
    #[arg(long, value_name = "STEPS", value_parser = store::schedule, conflicts_with = "nemesis", help_heading = "Faults")]
    schedule: Option<Schedule>,
    /// Let clients stand beside nodes, and let what befalls links between nodes befall those of clients to other nodes, too
    #[arg(long, help_heading = "Faults")]
    client_links: bool,
    /// Let every node write a trace with vector clocks into the run's directory; see `rashomon trace`
    #[arg(long, help_heading = "Output")]
    trace_nodes: bool,
    /// Seed of operations, faults and their times; drawn if not given
    #[arg(long)]
    seed: Option<u64>,
    /// Directory for runs
    #[arg(long, default_value = "runs", value_name = "DIR", help_heading = "Output")]
    out: PathBuf,
    /// Print the results as JSON on standard output
    #[arg(long, help_heading = "Output")]
    json: bool,
}

/// Which kinds of fault a run has.
#[derive(Clone, Debug, PartialEq)]
enum Nemesis {
    /// These.
    These(Packages),
    /// A mixture that the seed draws.
    Swarm,
}

impl FromStr for Nemesis {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "swarm" => Ok(Nemesis::Swarm),
            _ => text.parse().map(Nemesis::These),
        }
    }
}

pub(super) fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.01..=100_000.0).contains(&rate) => Ok(rate),
        _ => Err("a number from 0.01 to 100000".into()),
    }
}

/// How long a client waits for one operation: longer than an election takes, so that most
/// operations outlive one, and much shorter than a partition.
pub(super) const OPERATION_TIMEOUT_MS: u64 = 1_000;

pub(super) fn run(arguments: TestArguments) -> Exit {
    let (out, json) = (arguments.out.clone(), arguments.json);
    let plan = match plan(arguments) {
        Ok(plan) => plan,
        Err(error) => {
            complain(&*error, None);
            return Exit::Usage;
        }
    };
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(test(&plan, &out, json)),
        Err(error) => {
            complain(&error, None);
            Exit::Infrastructure
        }
    }
}

/// The packages that are asked for by name, or all that the store can have.
fn these(store: Store, asked: Packages) -> Result<Packages, String> {
    let count = asked.0.len();
    let packages = store::packages(store, Some(asked))?;
    if packages.0.len() < count {
        let unsuitable = store::unsuitable(store);
        eprintln!("left out of all, because the store cannot have it: {unsuitable}");
    }
    Ok(packages)
}

fn plan(arguments: TestArguments) -> Result<Plan, Box<dyn std::error::Error>> {
    store::check(arguments.store, arguments.bug.as_deref(), arguments.reads)?;
    store::workload(arguments.store, arguments.workload)?;
    if arguments.election.is_some() && !arguments.store.has_leader() {
        return Err(format!("--election: the store {} elects nobody", arguments.store).into());
    }
    let nodes = store::nodes(arguments.store, arguments.nodes)?;
    let swarm = matches!(arguments.nemesis, Some(Nemesis::Swarm));
    let nemesis = match arguments.nemesis {
        Some(Nemesis::These(asked)) => these(arguments.store, asked)?,
        Some(Nemesis::Swarm) => mixed_packages(arguments.store, arguments.reads == ReadMode::Lease),
        None => store::packages(arguments.store, None)?,
    };
    if arguments.time_limit < Duration::from_secs(1) {
        return Err("--time-limit must be a second or more".into());
    }
    let seed = arguments.seed.unwrap_or_else(|| rand::random_range(0..1_000_000));
    let mixture = swarm.then(|| Mixture::draw(&nemesis, seed));
    let (nemesis, schedule) = match (arguments.schedule, &mixture) {
        (None, Some(mixture)) => {
            let drawn = mixture.schedule(seed, arguments.time_limit, nodes);
            (mixture.packages(), drawn)
        }
        (None, None) => {
            let drawn = Schedule::generate(&nemesis, seed, arguments.time_limit, nodes);
            (nemesis, drawn)
        }
        (Some(given), _) => {
            store::check_schedule(&given, nodes, arguments.time_limit)?;
            store::check_orders(&given, arguments.store)?;
            let kinds = given.steps().iter().filter_map(|step| Package::of(&step.fault));
            (Packages(kinds.collect()), given)
        }
    };
    Ok(Plan {
        version: env!("CARGO_PKG_VERSION").into(),
        seed,
        store: arguments.store.to_string(),
        bug: arguments.bug,
        reads: arguments.reads,
        election: arguments.election,
        nodes,
        concurrency: arguments.concurrency,
        rate: arguments.rate,
        time_limit_s: arguments.time_limit.as_secs_f64(),
        operation_timeout_ms: OPERATION_TIMEOUT_MS,
        workload: arguments.workload,
        operations: None,
        client_links: arguments.client_links,
        roam: false,
        contract: None,
        trace_nodes: arguments.trace_nodes,
        nemesis,
        mixture,
        schedule,
    })
}

async fn test(plan: &Plan, out: &Path, json: bool) -> Exit {
    heal::before_a_run(out);
    let directory = match lay_out(plan, out) {
        Ok(directory) => directory,
        Err(error) => {
            complain(&error, Some("choose a directory for runs that can be written with --out"));
            return Exit::Infrastructure;
        }
    };
    let (signals, stop) = Signals::listen();
    let tally = Arc::new(Tally::default());
    let progress = Progress::begin(plan, &directory, tally.clone());
    let carried_out = run_live(plan, &directory, &progress, tally, stop).await;
    progress.end();
    let recovery = match carried_out {
        Ok(Some(recovery)) => recovery,
        Ok(None) => return signals.exit().unwrap_or(Exit::Interrupted),
        Err(error) => {
            complain(&error, Some("what was recorded until then is in the run's directory"));
            return Exit::Infrastructure;
        }
    };
    match conclude(plan, &directory, recovery, &signals) {
        Ok(results) => {
            let text = report::print(&results);
            if json {
                eprint!("{text}");
                print_json(&results);
            } else {
                print_text(&text);
            }
            exit(&results, &signals)
        }
        Err(error) => {
            complain(&error, None);
            Exit::Bug
        }
    }
}

fn lay_out(plan: &Plan, out: &Path) -> io::Result<RunDir> {
    let name = format!("{}-{}-{}", plan.store, plan.workload, plan.seed);
    let directory = RunDir::create(out, &name, Timestamp::now())?;
    let text = toml::to_string_pretty(plan).map_err(io::Error::other)?;
    fs::write(directory.plan(), text)?;
    Ok(directory)
}

fn conclude(
    plan: &Plan,
    directory: &RunDir,
    recovery: Recovery,
    signals: &Signals,
) -> Result<Results, JudgeError> {
    let judged = judge(plan, directory, recovery, signals.received())?;
    judged.write(directory)?;
    Ok(judged.results)
}

/// A violation is a violation also when the run was stopped early.
fn exit(results: &Results, signals: &Signals) -> Exit {
    let verdict = Exit::from(results.verdict);
    signals.exit().map_or(verdict, |signal| signal.worst(verdict))
}
