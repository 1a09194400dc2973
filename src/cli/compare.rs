//! `rashomon compare`: one plan against several stores, and what each keeps and costs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use rashomon_nemesis::{Package, Packages, Schedule};
use tokio::sync::watch;

use super::heal;
use super::progress::Progress;
use super::signals::Signals;
use super::store;
use super::test::{OPERATION_TIMEOUT_MS, rate};
use super::{complain, duration, print_json, print_text};
use crate::campaign::plan::WorkloadName;
use crate::campaign::run_dir::RunDir;
use crate::campaign::{Tally, run_live};
use crate::compare::Comparison;
use crate::compare::contest::{Entry, Round, Standing, simulate};
use crate::compare::contestant::Contestant;
use crate::compare::plan::{Common, Manner};
use crate::contract::Contract;
use crate::exit::Exit;
use crate::report::comparison::print;
use crate::report::html::comparison::{render, verdict};
use rashomon_checker::history::read_file;

/// Lay stores side by side: the same operations and faults for each, what each keeps, and what it costs
#[derive(Debug, Args)]
pub(super) struct CompareArguments {
    /// Stores with their settings, such as raft, raft:reads=local, paxos, eventual, eventual:siblings, eventual:r=2,w=2, eventual:sessions, single
    #[arg(required = true, value_name = "STORE")]
    stores: Vec<Contestant>,
    /// Run real processes on this machine; this is the default
    #[arg(long, conflicts_with = "sim")]
    live: bool,
    /// Simulate: virtual time, and the same result every time
    #[arg(long)]
    sim: bool,
    /// How many runs each store has, with a seed of its own each
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    runs: u64,
    /// Hold a store to these promises instead of its own contract, as in raft=linearizable or eventual=none
    #[arg(long, value_name = "STORE=PROMISES", value_parser = expectation)]
    expect: Vec<(Contestant, Contract)>,
    /// How many nodes, of stores that have several
    #[arg(long, default_value_t = 5, value_parser = store::count, help_heading = "Stores")]
    nodes: u16,
    /// What the clients do
    #[arg(long, value_enum, default_value_t = WorkloadName::Register, help_heading = "Workload")]
    workload: WorkloadName,
    /// Let every operation of a client begin at another node than the one before; such clients reach every node at all times, so that there are no sides of a partition to tell apart
    #[arg(long, help_heading = "Workload")]
    roam: bool,
    /// How many clients work at the same time
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000), help_heading = "Workload")]
    concurrency: u16,
    /// Operations per second, all clients together
    #[arg(long, default_value_t = 200.0, value_parser = rate, help_heading = "Workload")]
    rate: f64,
    /// How long the clients work
    #[arg(long, default_value = "15s", value_parser = duration::parse, help_heading = "Workload")]
    time_limit: Duration,
    /// Kinds of fault: partition, kill, pause, clock, disk, link, with commas; none, or all
    #[arg(long, default_value = "partition", help_heading = "Faults")]
    nemesis: Packages,
    /// Which fault strikes when, as in 'at 2s cut leader | rest; at 4s heal', or a file that says so; if not given, every seed draws its own
    #[arg(long, value_name = "STEPS", value_parser = store::schedule, help_heading = "Faults")]
    schedule: Option<Schedule>,
    /// Seed of the first run; drawn if not given
    #[arg(long)]
    seed: Option<u64>,
    /// Directory for runs
    #[arg(long, default_value = "runs", value_name = "DIR", help_heading = "Output")]
    out: PathBuf,
    /// Print the comparison as JSON on standard output
    #[arg(long, help_heading = "Output")]
    json: bool,
}

/// Settings of a store have equals signs, too; names of promises have none.
fn expectation(text: &str) -> Result<(Contestant, Contract), String> {
    let (store, promises) = text
        .rsplit_once('=')
        .ok_or("write it as raft=linearizable, or eventual=convergence,no-lost-writes")?;
    Ok((store.parse()?, promises.parse().map_err(|error| format!("{error}"))?))
}

pub(super) fn run(arguments: &CompareArguments) -> Exit {
    let (common, entries) = match resolve(arguments) {
        Ok(resolved) => resolved,
        Err(error) => {
            complain(&*error, None);
            return Exit::Usage;
        }
    };
    match compare(arguments, common, &entries) {
        Ok(exit) => exit,
        Err(error) => {
            complain(
                &*error,
                Some("what was recorded until then is in the comparison's directory"),
            );
            Exit::Infrastructure
        }
    }
}

type Failure = Box<dyn std::error::Error>;

fn resolve(arguments: &CompareArguments) -> Result<(Common, Vec<Entry>), Failure> {
    let nodes = arguments.nodes;
    let mut entries: Vec<Entry> = Vec::new();
    for contestant in &arguments.stores {
        let Contestant { store, reads } = *contestant;
        if entries.iter().any(|entry| entry.contestant == *contestant) {
            return Err(format!("{contestant} is named twice").into());
        }
        store::check(store, None, reads)?;
        store::workload(store, arguments.workload)?;
        if !store.is_alone() {
            store::nodes(store, Some(nodes))?;
        }
        let expect = arguments.expect.iter().find(|(name, _)| name == contestant);
        entries.push(Entry {
            contestant: *contestant,
            expect: expect.map(|(_, contract)| contract.clone()),
        });
    }
    let is_stranger = |name: &Contestant| !arguments.stores.contains(name);
    if let Some((name, _)) = arguments.expect.iter().find(|(name, _)| is_stranger(name)) {
        return Err(format!("--expect {name}=…: {name} is not compared").into());
    }
    if !(Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&arguments.time_limit) {
        return Err("--time-limit must be from a second to an hour".into());
    }
    if let Some(schedule) = &arguments.schedule {
        store::check_schedule(schedule, nodes, arguments.time_limit)?;
    }
    let mut nemesis = arguments.nemesis.clone();
    if nemesis.0.len() == Package::ALL.len() {
        nemesis.0.remove(&Package::Membership);
    }
    if nemesis.0.contains(&Package::Membership) {
        return Err("--nemesis membership: members of what is compared stay the same".into());
    }
    let common = Common {
        workload: arguments.workload,
        nemesis,
        schedule: arguments.schedule.clone(),
        roam: arguments.roam,
        nodes,
        concurrency: arguments.concurrency,
        rate: arguments.rate,
        time_limit_s: arguments.time_limit.as_secs_f64(),
        operation_timeout_ms: OPERATION_TIMEOUT_MS,
        seed: arguments.seed.unwrap_or_else(|| rand::random_range(0..1_000_000)),
        runs: arguments.runs,
    };
    Ok((common, entries))
}

fn compare(
    arguments: &CompareArguments,
    common: Common,
    entries: &[Entry],
) -> Result<Exit, Failure> {
    heal::before_a_run(&arguments.out);
    let name = format!("compare-{}", common.seed);
    let directory = RunDir::create(&arguments.out, &name, Timestamp::now())?;
    let place = directory.path();
    let manner = if arguments.sim { Manner::Sim } else { Manner::Live };
    let (standings, interrupted) = match manner {
        Manner::Sim => (simulate(&common, entries, Some(place))?, None),
        Manner::Live => live(&common, entries, place)?,
    };
    let reproduce = command(arguments, &common);
    let comparison = Comparison::new(manner, common, reproduce, standings);
    fs::write(place.join("comparison.json"), serde_json::to_vec_pretty(&comparison)?)?;
    let page = place.join("comparison.html");
    fs::write(&page, render(&comparison, place))?;
    let text = format!("{}\n{:11}{}\n", print(&comparison), "report", page.display());
    if arguments.json {
        eprint!("{text}");
        print_json(&comparison);
    } else {
        print_text(&text);
    }
    let verdict = Exit::from(verdict(&comparison.standings));
    Ok(interrupted.map_or(verdict, |signal| signal.worst(verdict)))
}

/// Runs every store with real processes, one after the other. A signal ends the run under way, and
/// what was seen until then is compared.
fn live(
    common: &Common,
    entries: &[Entry],
    place: &Path,
) -> Result<(Vec<Standing>, Option<Exit>), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let (signals, stop) = Signals::listen();
        let mut standings = Vec::new();
        for entry in entries {
            let mut standing = Standing::new(entry, common);
            for seed in common.seeds() {
                if *stop.borrow() {
                    break;
                }
                if let Some(round) = live_one(common, entry, seed, place, stop.clone()).await? {
                    standing.add(round);
                }
            }
            if !standing.runs.is_empty() {
                standings.push(standing.finished(common));
            }
        }
        Ok((standings, signals.exit()))
    })
}

async fn live_one(
    common: &Common,
    entry: &Entry,
    seed: u64,
    place: &Path,
    stop: watch::Receiver<bool>,
) -> Result<Option<Round>, Failure> {
    let contestant = entry.contestant;
    let plan = common.plan_of(contestant, entry.expect.as_ref(), seed);
    let name =
        if common.runs == 1 { contestant.to_string() } else { format!("{contestant}-{seed}") };
    let directory = RunDir::open(place.join(name));
    fs::create_dir_all(directory.path())?;
    fs::write(directory.plan(), toml::to_string_pretty(&plan)?)?;
    let tally = Arc::new(Tally::default());
    let progress = Progress::begin(&plan, &directory, tally.clone());
    let carried_out = run_live(&plan, &directory, &progress, tally, stop).await;
    progress.end();
    let Some(recovery) = carried_out? else { return Ok(None) };
    let recording = read_file(&directory.history())?;
    let script = plan.operations.clone().unwrap_or_default();
    let mut round = Round::of(&plan, &script, &recording.events, recovery)?;
    directory.path().clone_into(&mut round.judged.results.run);
    round.judged.write(&directory)?;
    Ok(Some(round))
}

/// The command that does the same again.
fn command(arguments: &CompareArguments, common: &Common) -> String {
    let mut command = String::from("rashomon compare");
    for store in &arguments.stores {
        command += &format!(" {store}");
    }
    if arguments.sim {
        command += " --sim";
    }
    command += &format!(
        " --workload {} --nemesis {} --nodes {} --concurrency {} --rate {} --time-limit {}s --runs {} --seed {}",
        common.workload,
        common.nemesis,
        common.nodes,
        common.concurrency,
        common.rate,
        common.time_limit_s,
        common.runs,
        common.seed,
    );
    if common.roam {
        command += " --roam";
    }
    if let Some(schedule) = &common.schedule {
        let steps: Vec<String> = schedule.steps().iter().map(ToString::to_string).collect();
        command += &format!(" --schedule 'seed {}; {}'", schedule.seed(), steps.join("; "));
    }
    for (store, contract) in &arguments.expect {
        command += &format!(" --expect '{store}={contract}'");
    }
    command
}
