//! A contestant's runs, live or simulated, and what they add up to.

use std::io;
use std::path::{Path, PathBuf};

use rashomon_checker::consistency::{Atomicity, Bounds, Options};
use rashomon_checker::history::Event;
use rayon::prelude::*;
use serde::Serialize;

use super::contestant::Contestant;
use super::ladder::Ladder;
use super::measure::{Load, Measures};
use super::plan::Common;
use super::reading::Reading;
use crate::campaign::Recovery;
use crate::campaign::chronicle::FaultSpan;
use crate::campaign::judge::{JudgeError, Judged, judge_events};
use crate::campaign::plan::Plan;
use crate::campaign::run_dir::RunDir;
use crate::contract::{self, Contract};
use crate::report::{Latency, Results, VerdictWord};
use crate::sim::system::{SimError, System};
use crate::sim::verdict::write_history;
use crate::sim::{Recorded, Stores, Telling};
use crate::workload::script::Script;

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
pub enum ContestError {
    /// A run could not be simulated.
    #[error("{0} could not be simulated under seed {1}")]
    Simulate(Contestant, u64, #[source] Box<SimError>),
    /// A run could not be judged.
    #[error("the history of {0} under seed {1} could not be judged")]
    Judge(Contestant, u64, #[source] Box<JudgeError>),
    /// A file of a run could not be written.
    #[error("cannot write {}", .0.display())]
    Write(PathBuf, #[source] io::Error),
}

/// A contestant with what it is held to, if not to its own contract.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The contestant.
    pub contestant: Contestant,
    /// What it is held to.
    pub expect: Option<Contract>,
}

/// One judged run.
#[derive(Debug)]
pub struct Round {
    /// What came out.
    pub judged: Judged,
    /// What it cost.
    pub measures: Measures,
}

impl Round {
    /// Judges and measures a run of these operations; the other promises are looked at as well.
    ///
    /// # Errors
    /// When its events are no history.
    pub fn of(
        plan: &Plan,
        script: &Script,
        events: &[Event],
        recovery: Recovery,
    ) -> Result<Self, JudgeError> {
        let mut judged = judge_events(plan, events, recovery, true)?;
        let results = &mut judged.results;
        // A store that a fault cannot strike is compared all the same.
        let is_tested = results.coverage.successful_reads > 0;
        if results.verdict == VerdictWord::Unknown
            && is_tested
            && contract::undecided(&results.promises).is_none()
        {
            results.verdict = VerdictWord::Valid;
        }
        let options = Options { clocks: plan.contract().clocks, ..Options::default() };
        let (history, faults) = (&judged.history, &judged.results.coverage.faults);
        let recovery = &judged.results.recovery;
        let of = (script, plan.nodes, plan.client_links);
        let measures = Measures::of(history, faults, of, recovery, &options);
        Ok(Round { judged, measures })
    }
}

/// Simulates all runs of some contestants, on all cores; those of the first seed leave a directory
/// each, if there is a place for them.
///
/// # Errors
/// The first, in the order of contestants and seeds.
pub fn simulate(
    common: &Common,
    entries: &[Entry],
    place: Option<&Path>,
) -> Result<Vec<Standing>, ContestError> {
    let seeds: Vec<u64> = common.seeds().collect();
    entries
        .iter()
        .map(|entry| {
            let rounds: Vec<Round> = seeds
                .par_iter()
                .map(|seed| simulate_one(common, entry, *seed, place))
                .collect::<Result<_, _>>()?;
            let mut standing = Standing::new(entry, common);
            rounds.into_iter().for_each(|round| standing.add(round));
            Ok(standing.finished(common))
        })
        .collect()
}

fn simulate_one(
    common: &Common,
    entry: &Entry,
    seed: u64,
    place: Option<&Path>,
) -> Result<Round, ContestError> {
    let contestant = entry.contestant;
    let scenario = common.scenario_of(contestant, entry.expect.as_ref(), seed);
    let recorded = Stores
        .simulate(&scenario, Telling::NOTHING)
        .map_err(|error| ContestError::Simulate(contestant, seed, Box::new(error)))?;
    let Recorded { events, recovery, breach, .. } = recorded;
    let failed = |error| ContestError::Judge(contestant, seed, Box::new(error));
    let mut round =
        Round::of(&scenario.plan(), &scenario.operations, &events, recovery).map_err(failed)?;
    let results = &mut round.judged.results;
    if let (Some(breach), true) = (breach, results.verdict != VerdictWord::Violation) {
        results.verdict = VerdictWord::Violation;
        results.why = format!("{breach}; no client has seen anything of it");
    }
    if let Some(place) = place.filter(|_| seed == common.seed) {
        let directory = RunDir::open(place.join(contestant.to_string()));
        let write = |error| ContestError::Write(directory.path().to_owned(), error);
        std::fs::create_dir_all(directory.path()).map_err(write)?;
        let mut history = Vec::new();
        write_history(&events, &mut history).map_err(write)?;
        std::fs::write(directory.history(), history).map_err(write)?;
        let text = scenario.to_toml();
        std::fs::write(directory.path().join("scenario.toml"), text).map_err(write)?;
        directory.path().clone_into(&mut results.run);
        round.judged.write(&directory).map_err(failed)?;
    }
    Ok(round)
}

/// One run in a line.
#[derive(Clone, Debug, Serialize)]
pub struct RunLine {
    /// The seed.
    pub seed: u64,
    /// The verdict by the contract.
    pub verdict: VerdictWord,
    /// The verdict in a sentence.
    pub why: String,
    /// The run's directory, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
}

/// What was asked of a store, and answered.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Share {
    /// Requests that were due.
    pub due: u64,
    /// Those of them that were never made: their client still waited for another answer.
    pub left_out: u64,
    /// Answers.
    pub answered: u64,
    /// Answers of those that were due, if any was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub availability: Option<f64>,
    /// How long the answers took, if there were any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
}

impl Share {
    fn of(load: &Load) -> Self {
        Share {
            due: load.due,
            left_out: load.left_out,
            answered: load.answered,
            availability: load.share(),
            latency: Latency::of(load.latencies.clone()),
        }
    }
}

/// What a store costs its clients.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Cost {
    /// Before the first fault.
    pub before: Share,
    /// While a fault stood.
    pub during: Share,
    /// After and between faults.
    pub after: Share,
    /// While links were closed, beside nodes that met a majority.
    pub majority: Share,
    /// While links were closed, beside the others.
    pub minority: Share,
    /// Answers a second, as long as clients worked.
    pub answers_per_s: f64,
    /// From when a fault was undone to the first answer beside a node that it had struck.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Latency>,
    /// After how many faults no client there got an answer again while clients worked.
    pub not_recovered: u64,
    /// From the end of all faults until all nodes served and agreed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub convergence: Option<Latency>,
    /// In how many runs they never did.
    pub not_converged: u64,
}

/// How old reads were.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Age {
    /// Reads of which it is known.
    pub reads: u64,
    /// Those of which it is not.
    pub unjudged: u64,
    /// Those whose answer had been overwritten before they began.
    pub stale: u64,
    /// Those of them that began while no fault stood.
    pub stale_in_calm: u64,
    /// How long the answers had been overwritten: over all reads, fresh ones being no time behind.
    pub behind: Latency,
    /// By how many writes, at least: the median, of 99 in a hundred, and at most.
    pub versions: [u32; 3],
    /// How far from atomic its registers were, in the worst of the runs: every read returns one of the
    /// last k writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub k: Option<Bounds<u32>>,
    /// And every read returns what would have been right at most so long before, in nanoseconds; `None`
    /// if that is not known of every run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta_ns: Option<u64>,
}

/// What a contestant's runs add up to.
#[derive(Debug, Serialize)]
pub struct Standing {
    /// Who.
    pub name: Contestant,
    /// On how many nodes.
    pub nodes: u16,
    /// What it is held to.
    pub contract: Contract,
    /// Whether it kept that.
    pub verdict: VerdictWord,
    /// The same in a sentence.
    pub why: String,
    /// Every promise.
    pub ladder: Ladder,
    /// What it cost.
    pub cost: Cost,
    /// How old its reads were.
    pub age: Age,
    /// What it chose, as far as the runs show.
    pub reading: Reading,
    /// The runs.
    pub runs: Vec<RunLine>,
    /// Of every stale read, how long what it returned had been overwritten, in nanoseconds.
    #[serde(skip)]
    pub behind_ns: Vec<u64>,
    /// The first run over time.
    #[serde(skip)]
    pub pace: Pace,
    #[serde(skip)]
    sum: Sum,
}

/// A run over time.
#[derive(Debug, Default)]
pub struct Pace {
    /// Every request: when it was made, and whether it was answered.
    pub beats: Vec<(u64, bool)>,
    /// When stale reads were made.
    pub stale: Vec<u64>,
    /// The faults as they struck.
    pub faults: Vec<FaultSpan>,
}

/// What is added up before it is told.
#[derive(Debug, Default)]
struct Sum {
    phases: [Load; 3],
    sides: [Load; 2],
    recoveries: Vec<u64>,
    not_recovered: u64,
    convergences: Vec<u64>,
    not_converged: u64,
    reads: u64,
    unjudged: u64,
    stale_in_calm: u64,
    versions: Vec<u32>,
    atomicities: Vec<Atomicity>,
}

impl Standing {
    /// A contestant without a run.
    pub fn new(entry: &Entry, common: &Common) -> Self {
        let scenario = common.scenario_of(entry.contestant, entry.expect.as_ref(), common.seed);
        let contract = scenario.contract();
        Standing {
            name: entry.contestant,
            nodes: scenario.nodes,
            verdict: VerdictWord::Valid,
            why: String::new(),
            ladder: Ladder::new(&contract),
            contract,
            cost: Cost::default(),
            age: Age::default(),
            reading: Reading::default(),
            runs: Vec::new(),
            behind_ns: Vec::new(),
            pace: Pace::default(),
            sum: Sum::default(),
        }
    }

    /// Adds a run.
    pub fn add(&mut self, round: Round) {
        let Round { judged: Judged { results, .. }, measures } = round;
        self.ladder.add(&results);
        if self.runs.is_empty() {
            self.pace = Pace {
                stale: measures.stale.iter().map(|stale| stale.at_ns).collect(),
                beats: measures.beats,
                faults: measures.faults,
            };
        }
        let sum = &mut self.sum;
        sum.phases.iter_mut().zip(measures.phases).for_each(|(sum, load)| sum.add(load));
        sum.sides.iter_mut().zip(measures.sides).for_each(|(sum, load)| sum.add(load));
        for recovery in measures.recoveries {
            match recovery {
                Some(took) => sum.recoveries.push(took),
                None => sum.not_recovered += 1,
            }
        }
        match measures.converged_ms {
            Some(took) => sum.convergences.push(took.saturating_mul(1_000_000)),
            None => sum.not_converged += 1,
        }
        sum.reads += measures.reads;
        sum.unjudged += measures.unjudged;
        sum.atomicities.extend(measures.atomicity);
        for stale in &measures.stale {
            self.behind_ns.push(stale.behind_ns);
            sum.versions.push(stale.versions);
            sum.stale_in_calm += u64::from(!stale.in_fault);
        }
        self.note(&results);
    }

    fn note(&mut self, results: &Results) {
        let worse = |word: VerdictWord| match word {
            VerdictWord::Valid => 0,
            VerdictWord::Unknown => 1,
            VerdictWord::Violation => 2,
        };
        if self.runs.is_empty() || worse(results.verdict) > worse(self.verdict) {
            self.verdict = results.verdict;
            self.why.clone_from(&results.why);
        }
        let directory = results.run.clone();
        self.runs.push(RunLine {
            seed: results.plan.seed,
            verdict: results.verdict,
            why: results.why.clone(),
            directory: (!directory.as_os_str().is_empty()).then_some(directory),
        });
    }

    /// Adds everything up.
    pub fn finished(mut self, common: &Common) -> Self {
        let sum = std::mem::take(&mut self.sum);
        let [before, during, after] = sum.phases.each_ref().map(Share::of);
        let [majority, minority] = sum.sides.each_ref().map(Share::of);
        let seconds = common.time_limit_s * self.runs.len() as f64;
        self.cost = Cost {
            answers_per_s: (before.answered + during.answered + after.answered) as f64 / seconds,
            before,
            during,
            after,
            majority,
            minority,
            recovery: Latency::of(sum.recoveries),
            not_recovered: sum.not_recovered,
            convergence: Latency::of(sum.convergences),
            not_converged: sum.not_converged,
        };
        let fresh = sum.reads.saturating_sub(self.behind_ns.len() as u64) as usize;
        let mut behind = vec![0; fresh];
        behind.extend(&self.behind_ns);
        let mut versions = vec![0; fresh];
        versions.extend(&sum.versions);
        self.age = Age {
            reads: sum.reads,
            unjudged: sum.unjudged,
            stale: self.behind_ns.len() as u64,
            stale_in_calm: sum.stale_in_calm,
            behind: Latency::of(behind).unwrap_or_default(),
            versions: quantiles(versions),
            k: sum.atomicities.iter().map(|it| it.k).reduce(worse),
            delta_ns: longest(sum.atomicities.iter().map(|it| it.delta_ns)),
        };
        self.reading = Reading::of(&self);
        self
    }
}

/// What is known of the greater of two numbers.
fn worse(one: Bounds<u32>, other: Bounds<u32>) -> Bounds<u32> {
    Bounds {
        at_least: one.at_least.max(other.at_least),
        at_most: one.at_most.zip(other.at_most).map(|(one, other)| one.max(other)),
    }
}

/// The longest of some times, if all are known.
fn longest(mut times: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    times.try_fold(0, |longest, time| Some(longest.max(time?)))
}

/// The median, of 99 in a hundred, and the greatest; by nearest rank.
fn quantiles(sample: Vec<u32>) -> [u32; 3] {
    let sample = sample.into_iter().map(u64::from).collect();
    Latency::of(sample).map_or([0; 3], |it| [it.p50_ns, it.p99_ns, it.max_ns].map(|n| n as u32))
}
