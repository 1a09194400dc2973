//! One seed, from its plan to its verdict: by the checker and the judge of live runs.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use jiff::Timestamp;
use rashomon_checker::history::{Event, jsonl};

use super::{Recorded, Settings, SimError, simulate};
use crate::campaign::judge::{JudgeError, Judged, judge_events};
use crate::campaign::run_dir::RunDir;
use crate::report::VerdictWord;

/// Why there is no verdict on a seed.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// It could not be simulated.
    #[error("seed {0} could not be simulated")]
    Simulate(u64, #[source] SimError),
    /// Its history could not be judged.
    #[error("the history of seed {0} could not be judged")]
    Judge(u64, #[source] JudgeError),
}

/// A seed that was run and judged.
#[derive(Debug)]
pub struct Seed {
    /// Its number.
    pub seed: u64,
    /// What the run left.
    pub recorded: Recorded,
    /// The verdict; a broken invariant is a violation too.
    pub judged: Judged,
}

/// Runs a seed and judges it; tells its story if asked to.
///
/// # Errors
/// When it cannot be simulated or judged, which would be a bug.
pub fn run_seed(settings: &Settings, seed: u64, told: bool) -> Result<Seed, SeedError> {
    let plan = settings.plan(seed);
    let recorded = simulate(&plan, told).map_err(|error| SeedError::Simulate(seed, error))?;
    let judged = judge_events(&plan.plan, &recorded.events, recorded.recovery.clone());
    let mut judged = judged.map_err(|error| SeedError::Judge(seed, error))?;
    let results = &mut judged.results;
    results.reproduce = settings.command(seed);
    if let (Some(breach), true) = (&recorded.breach, results.verdict != VerdictWord::Violation) {
        results.verdict = VerdictWord::Violation;
        results.why = format!("{breach}; no client has seen anything of it");
    }
    Ok(Seed { seed, recorded, judged })
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
        let mut history = Vec::new();
        let written = write_history(&self.recorded.events, &mut history)
            .and_then(|()| fs::write(directory.history(), &history));
        written.map_err(failed(&directory.history()))?;
        directory.path().clone_into(&mut self.judged.results.run);
        self.judged.write(&directory)?;
        Ok(directory)
    }
}
