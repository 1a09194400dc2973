//! The zoo: every planted bug of a store is hunted in the simulator, and the controls with them. A
//! tester is worth what it catches, and what it does not report.
//!
//! A mutant whose entry names an anomaly must be caught by the verdict on what clients saw, and one
//! whose entry names a promise by the verdict on that promise; their runs have no witness inside. A
//! second search, with the invariants on and without a verdict, tells how soon they would have shown
//! it. A control runs with both, and neither may find anything.

mod search;
pub mod table;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use clap::ValueEnum;
use rashomon_stores::catalogue::{Mutant, Shows, Store};
use serde::Serialize;

use crate::campaign::plan::WorkloadName;
use crate::contract::{Kept, LINEARIZABLE, Row};
use crate::report::VerdictWord;
use crate::sim::climate::Kinds;
use crate::sim::system::{Stores, System, Unwatched};
use crate::sim::verdict::{Seed, SeedError, run_scenario};
use crate::sim::{Scenario, Settings, Telling};
use search::{Bounds, Found, least};

/// How long and how far to look.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// How many threads try seeds.
    pub jobs: usize,
    /// How long to look for a mutant, of real time.
    pub time_limit: Duration,
    /// How many seeds of a control to run.
    pub control_seeds: u64,
    /// How long clients work in a run, in the world's time.
    pub run: Duration,
}

impl Default for Effort {
    /// One thread; a minute a mutant, two hundred seeds a control, runs of ten seconds.
    fn default() -> Self {
        Effort {
            jobs: 1,
            time_limit: Duration::from_secs(60),
            control_seeds: 200,
            run: Duration::from_secs(10),
        }
    }
}

/// The fate of a mutant or control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// A mutant that was caught, as it should be.
    Caught,
    /// A mutant that was not.
    Escaped,
    /// A control that was left alone, as it should be.
    Clean,
    /// A control that was reported.
    Flagged,
}

impl Fate {
    /// Whether it is as it should be.
    pub fn is_good(self) -> bool {
        matches!(self, Fate::Caught | Fate::Clean)
    }
}

/// How the hunt for one mutant or control went.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Its entry in the catalogue.
    #[serde(flatten)]
    pub mutant: Mutant,
    /// What became of it.
    pub fate: Fate,
    /// How many seeds were tried for it.
    pub seeds: u64,
    /// The worlds' time that they took, in seconds.
    pub virtual_s: f64,
    /// The real time that they took, in seconds.
    pub wall_s: f64,
    /// What showed it: the kind of anomaly, or the invariant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shown: Option<String>,
    /// The same in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentence: Option<String>,
    /// The number of operations in the minimal history that is still a violation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operations: Option<usize>,
    /// The first seed at which an invariant was seen broken, and which, within as many seeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invariant: Option<(u64, &'static str)>,
    /// The command that replays the seed that showed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<String>,
}

/// The settings in which a mutant of a store is hunted.
///
/// # Panics
/// When the entry names what there is none of; a test holds all entries to that.
pub fn settings(store: Store, mutant: &Mutant, run: Duration) -> Settings {
    let hunt = mutant.hunt;
    Settings {
        store: store.hunted_with(mutant).to_string(),
        bug: Some(mutant.name.to_owned()),
        reads: hunt.reads.parse().expect("the catalogue names ways of reading"),
        workload: WorkloadName::from_str(hunt.workload, false).expect("it names workloads"),
        nemesis: hunt
            .nemesis
            .parse::<Kinds>()
            .expect("it names kinds of fault")
            .suiting(store)
            .expect("they suit the store"),
        swarm: false,
        schedule: store.hunted_under(mutant).map(|steps| steps.parse().expect("it is a schedule")),
        nodes: hunt.nodes,
        concurrency: 10,
        rate: 100.0,
        time_limit: run,
    }
}

/// Hunts one mutant, or runs one control.
///
/// # Errors
/// When a seed cannot be simulated or judged.
pub fn hunt(store: Store, mutant: &Mutant, effort: Effort) -> Result<Report, SeedError> {
    let settings = settings(store, mutant, effort.run);
    let began = Instant::now();
    let last = if mutant.is_control() { effort.control_seeds } else { u64::MAX / 2 };
    // A control has to run all its seeds, however long they take.
    let patience =
        if mutant.is_control() { Duration::from_secs(86_400) } else { effort.time_limit };
    let bounds = Bounds { jobs: effort.jobs, last, deadline: began + patience };
    let found = match mutant.shows {
        Shows::Anomaly(_) => least(bounds, |seed| anomaly(&settings, seed, None)),
        Shows::Broken(promise) => least(bounds, |seed| anomaly(&settings, seed, Some(promise))),
        Shows::Invariant(_) => least(bounds, |seed| breach(&settings, seed)),
        Shows::Nothing(_) => least(bounds, |seed| anything(&settings, seed)),
    }?;
    let wall_s = began.elapsed().as_secs_f64();
    // The time for the first search is over when nothing was found.
    let again = Bounds { deadline: Instant::now() + patience, ..bounds };
    let invariant = first_breach(&settings, mutant, &found, again)?;
    let fate = match (mutant.is_control(), &found.caught) {
        (false, Some(_)) => Fate::Caught,
        (false, None) => Fate::Escaped,
        (true, None) => Fate::Clean,
        (true, Some(_)) => Fate::Flagged,
    };
    let (tried, virtual_ns) = (found.tried, found.virtual_ns);
    let (seed, catch) = found.caught.unzip();
    Ok(Report {
        mutant: *mutant,
        fate,
        seeds: tried,
        virtual_s: virtual_ns as f64 / 1e9,
        wall_s,
        shown: catch.as_ref().map(|catch| catch.shown.clone()),
        operations: catch.as_ref().and_then(|catch| catch.operations),
        sentence: catch.map(|catch| catch.sentence),
        invariant,
        replay: seed.map(|seed| settings.command(seed)),
    })
}

/// What a seed shows.
#[derive(Debug)]
struct Catch {
    shown: String,
    sentence: String,
    operations: Option<usize>,
}

type Look = Result<(u64, Option<Catch>), SeedError>;

/// What clients saw, and nobody else: that this promise is broken, or any.
fn anomaly(settings: &Settings, seed: u64, promise: Option<&str>) -> Look {
    let run = run_scenario(&Unwatched, Scenario::generate(seed, settings), Telling::NOTHING)?;
    Ok((run.recorded.virtual_ns, seen_by_clients(&run, promise)))
}

/// Whether clients saw in a run that a promise of the store is broken: this one, or any.
pub fn is_seen(run: &Seed, promise: Option<&str>) -> bool {
    seen_by_clients(run, promise).is_some()
}

fn seen_by_clients(run: &Seed, promise: Option<&str>) -> Option<Catch> {
    let results = &run.judged.results;
    let is_it = |row: &&Row| {
        row.promised && row.verdict == Kept::Violated && promise.is_none_or(|it| it == row.promise)
    };
    let row = results.promises.iter().find(is_it)?;
    let shown = match &results.finding {
        Some(finding) if row.promise == LINEARIZABLE => finding.explanation.cause.to_string(),
        _ => row.promise.to_owned(),
    };
    let sentence = row.why.clone().unwrap_or_default();
    Some(Catch { shown, sentence, operations: Some(row.operations.len()) })
}

/// What the invariants see, without a verdict on what clients saw.
fn breach(settings: &Settings, seed: u64) -> Look {
    let scenario = Scenario::generate(seed, settings);
    let recorded = Stores.simulate(&scenario, Telling::NOTHING);
    let recorded = recorded.map_err(|error| SeedError::Simulate(seed, error))?;
    let catch = recorded.breach.map(|breach| Catch {
        shown: breach.invariant.to_owned(),
        sentence: breach.to_string(),
        operations: None,
    });
    Ok((recorded.virtual_ns, catch))
}

/// Anything at all that is reported: an anomaly, a broken invariant, a store that does not live
/// again.
fn anything(settings: &Settings, seed: u64) -> Look {
    let run = run_scenario(&Stores, Scenario::generate(seed, settings), Telling::NOTHING)?;
    let results = &run.judged.results;
    let flagged = results.verdict == VerdictWord::Violation;
    let catch =
        || Catch { shown: "violation".to_owned(), sentence: results.why.clone(), operations: None };
    let catch = flagged.then(|| seen_by_clients(&run, None).unwrap_or_else(catch));
    Ok((run.recorded.virtual_ns, catch))
}

/// The most seeds in which a broken invariant is looked for beside an anomaly.
const BREACH_SEEDS: u64 = 200;

/// The least seed at which an invariant shows a mutant that clients have seen.
fn first_breach(
    settings: &Settings,
    mutant: &Mutant,
    found: &Found<Catch>,
    bounds: Bounds,
) -> Result<Option<(u64, &'static str)>, SeedError> {
    if !matches!(mutant.shows, Shows::Anomaly(_) | Shows::Broken(_)) {
        return Ok(None);
    }
    let last = found.tried.min(BREACH_SEEDS);
    let look = |seed| {
        let recorded = Stores.simulate(&Scenario::generate(seed, settings), Telling::NOTHING);
        let recorded = recorded.map_err(|error| SeedError::Simulate(seed, error))?;
        Ok((recorded.virtual_ns, recorded.breach.map(|breach| breach.invariant)))
    };
    Ok(least(Bounds { last, ..bounds }, look)?.caught)
}
