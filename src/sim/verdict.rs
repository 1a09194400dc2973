//! One run, from its scenario to its verdict: by the checker and the judge of live runs.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use jiff::Timestamp;
use rashomon_checker::history::{Event, jsonl};

use super::system::{SimError, Stores, System};
use super::{Recorded, Scenario, Settings, Telling};
use crate::campaign::judge::{JudgeError, Judged, judge_events};
use crate::campaign::run_dir::RunDir;
use crate::report::VerdictWord;

/// Why there is no verdict on a run.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// It could not be simulated.
    #[error("seed {0} could not be simulated")]
    Simulate(u64, #[source] SimError),
    /// Its history could not be judged.
    #[error("the history of seed {0} could not be judged")]
    Judge(u64, #[source] JudgeError),
}

/// A scenario that was run and judged.
#[derive(Debug)]
pub struct Seed {
    /// The number of the seed.
    pub seed: u64,
    /// What was run.
    pub scenario: Scenario,
    /// What the run left.
    pub recorded: Recorded,
    /// The verdict; a broken invariant is a violation too.
    pub judged: Judged,
}

/// Runs a seed of a store of the project and judges it; tells of it what is asked for.
///
/// # Errors
/// When there is no such store or bug; or when it cannot be simulated or judged, a bug of ours.
pub fn run_seed(settings: &Settings, seed: u64, told: Telling) -> Result<Seed, SeedError> {
    run_seed_of(&Stores, settings, seed, told)
}

/// [`run_seed`] for any system.
///
/// # Errors
/// As there.
pub fn run_seed_of(
    system: &dyn System,
    settings: &Settings,
    seed: u64,
    told: Telling,
) -> Result<Seed, SeedError> {
    let mut run = run_scenario(system, Scenario::generate(seed, settings), told)?;
    run.judged.results.reproduce = settings.command(seed);
    Ok(run)
}

/// Runs a scenario and judges it; tells of it what is asked for.
///
/// # Errors
/// When the scenario asks for what there is none of; or when it cannot be simulated or judged.
pub fn run_scenario(
    system: &dyn System,
    scenario: Scenario,
    told: Telling,
) -> Result<Seed, SeedError> {
    let seed = scenario.seed;
    let recorded =
        system.simulate(&scenario, told).map_err(|error| SeedError::Simulate(seed, error))?;
    let recovery = recorded.recovery.clone();
    let mut judged = judge_events(&scenario.plan(), &recorded.events, recovery, false)
        .map_err(|error| SeedError::Judge(seed, error))?;
    let results = &mut judged.results;
    if let (Some(breach), true) = (&recorded.breach, results.verdict != VerdictWord::Violation) {
        results.verdict = VerdictWord::Violation;
        results.why = format!("{breach}; no client has seen anything of it");
    }
    Ok(Seed { seed, scenario, recorded, judged })
}

/// Writes a history as a recorder would have.
///
/// # Errors
/// When the writer fails.
pub fn write_history(events: &[Event], out: &mut impl Write) -> io::Result<()> {
    events.iter().try_for_each(|event| jsonl::write_event(out, event))
}

impl Seed {
    /// Leaves a directory like that of a live run below `parent`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&mut self, parent: &Path) -> Result<RunDir, JudgeError> {
        let failed = |path: &Path| {
            let path = path.display().to_string();
            move |error| JudgeError::Write(path, error)
        };
        let plan = &self.judged.results.plan;
        let name = format!("sim-{}-{}-{}", plan.store, plan.workload, plan.seed);
        let directory = RunDir::create(parent, &name, Timestamp::now()).map_err(failed(parent))?;
        let text = toml::to_string_pretty(plan).map_err(io::Error::other);
        let written = text.and_then(|text| fs::write(directory.plan(), text));
        written.map_err(failed(&directory.plan()))?;
        let scenario = directory.path().join("scenario.toml");
        fs::write(&scenario, self.scenario.to_toml()).map_err(failed(&scenario))?;
        let mut history = Vec::new();
        let written = write_history(&self.recorded.events, &mut history)
            .and_then(|()| fs::write(directory.history(), &history));
        written.map_err(failed(&directory.history()))?;
        directory.path().clone_into(&mut self.judged.results.run);
        self.judged.write(&directory)?;
        Ok(directory)
    }
}
