//! The judgement of a run. For a live one it is made from the history file alone: what is on disk
//! is what is checked. A simulated one can be had again at any time, and is judged from its events.

use std::fs;
use std::io;
use std::path::PathBuf;

use rashomon_checker::consistency;
use rashomon_checker::history::{Event, History, HistoryError, Outcome, ReadError, read_file};
use rashomon_checker::linearizability::{self, CertificateError, Options, Verdict};
use rashomon_checker::model::{Model, ModelError, ParseModelError};

use super::chronicle;
use super::plan::Plan;
use super::run::Recovery;
use super::run_dir::RunDir;
use crate::contract::{self, Judgement, Kept, LINEARIZABLE, Row};
use crate::report::{
    Coverage, Finding, FunctionSummary, Latency, OperationLine, Results, VerdictWord, html,
};

/// Why a run could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// Its history cannot be read.
    #[error("the run's history cannot be read")]
    Read(#[from] ReadError),
    /// Its events are no history.
    #[error("the run's history makes no sense")]
    History(#[from] HistoryError),
    /// The workload's model cannot read the operations.
    #[error("the workload's model cannot read the run's operations")]
    Model(#[from] ModelError),
    /// The engine's witness was refused: a bug in the checker.
    #[error("the order that was found is refused by the verifier")]
    Certificate(#[from] CertificateError),
    /// The workload names a model that there is none of.
    #[error("the workload names no model")]
    ModelName(#[from] ParseModelError),
    /// A file of the run could not be written.
    #[error("cannot write {0}")]
    Write(String, #[source] io::Error),
}

/// A judged run.
#[derive(Debug)]
pub struct Judged {
    /// What came out.
    pub results: Results,
    /// The operations, for the report's timeline.
    pub history: History,
}

/// Judges a run. `stopped_by` names the signal that ended it early, if one did.
///
/// # Errors
/// When the history cannot be read, which no run of ours should bring about.
pub fn judge(
    plan: &Plan,
    directory: &RunDir,
    recovery: Recovery,
    stopped_by: Option<&'static str>,
) -> Result<Judged, JudgeError> {
    let recording = read_file(&directory.history())?;
    let mut judged = judge_events(plan, &recording.events, recovery, true)?;
    judged.results.stopped_by = stopped_by;
    judged.results.run = directory.path().to_owned();
    Ok(judged)
}

/// Judges the events of a run that has no directory yet; with curiosity also by promises that the
/// store does not make, if it is not linearizable.
///
/// # Errors
/// When they are no history, or none of the workload's model.
pub fn judge_events(
    plan: &Plan,
    events: &[Event],
    recovery: Recovery,
    curious: bool,
) -> Result<Judged, JudgeError> {
    let history = History::from_events(events)?;
    let model: Model = plan.workload.build().model().parse()?;
    let verdict = linearizability::check(&history, &model, &Options::default())?;
    if let Verdict::Valid(witness) = &verdict {
        linearizability::certify(&history, &model, witness)?;
    }
    let coverage = coverage(events, &history);
    let contract = plan.contract();
    let options = consistency::Options { clocks: contract.clocks, ..Default::default() };
    let judgement = Judgement { contract: &contract, curious, options: &options };
    let promises = judgement.rows(&history, Some(&verdict));
    let finding = match &verdict {
        Verdict::Invalid(explanation) => Some(Finding::of(&history, explanation)),
        Verdict::Valid(_) | Verdict::Unknown(_) => None,
    };
    let (verdict, why) = decide(plan, &promises, &recovery, &coverage, history.len());
    let results = Results {
        schema: Results::SCHEMA,
        verdict,
        why,
        model: model.to_string(),
        finding,
        promises,
        recovery,
        coverage,
        functions: functions(&history),
        stopped_by: None,
        reproduce: plan.command(),
        run: PathBuf::new(),
        plan: plan.clone(),
    };
    Ok(Judged { results, history })
}

/// Puts everything together: nothing masks a violation, and nothing tested is not valid.
fn decide(
    plan: &Plan,
    promises: &[Row],
    recovery: &Recovery,
    coverage: &Coverage,
    operations: usize,
) -> (VerdictWord, String) {
    if let Some(row) = contract::broken(promises) {
        return (VerdictWord::Violation, contract::sentence(row));
    }
    if let Some(missing) = &recovery.missing {
        let why = format!("after every fault was healed the store did not recover: {missing}");
        return (VerdictWord::Violation, why);
    }
    let unknown = |why: String| (VerdictWord::Unknown, why);
    if let Some(row) = contract::undecided(promises) {
        return unknown(contract::sentence(row));
    }
    if coverage.successful_reads == 0 {
        return unknown("no read succeeded, so nothing was tested".into());
    }
    if !plan.schedule.steps().is_empty() && coverage.faults.iter().all(|fault| !fault.bit) {
        return unknown("none of the faults bit, so the store was not tested under faults".into());
    }
    (VerdictWord::Valid, kept(promises, operations))
}

/// What to say when every promise was kept.
fn kept(promises: &[Row], operations: usize) -> String {
    let made = promises.iter().filter(|row| row.promised);
    let made: Vec<&str> = made.map(|row| row.promise).collect();
    let kept = match made.as_slice() {
        [LINEARIZABLE] => return format!("{operations} operations are linearizable"),
        made => format!("{operations} operations keep what is promised: {}", made.join(", ")),
    };
    match promises.iter().find(|row| row.promise == LINEARIZABLE && !row.promised) {
        Some(Row { verdict: Kept::Violated, why: Some(why), .. }) => {
            format!("{kept}; not linearizable, as expected of this store: {why}")
        }
        _ => kept,
    }
}

impl Judged {
    /// Writes `results.json` and `report.html` into the run's directory.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, directory: &RunDir) -> Result<(), JudgeError> {
        let json = serde_json::to_vec_pretty(&self.results).expect("results have string keys only");
        let operations: Vec<OperationLine> = self
            .history
            .operations()
            .map(|operation| OperationLine::of(&self.history, operation.id()))
            .collect();
        let page = html::render(&self.results, &operations);
        for (path, contents) in [(directory.results(), json), (directory.report(), page.into())] {
            fs::write(&path, contents)
                .map_err(|error| JudgeError::Write(path.display().to_string(), error))?;
        }
        Ok(())
    }
}

fn coverage(events: &[Event], history: &History) -> Coverage {
    let faults = chronicle::faults(events);
    let overlaps = |from: u64, to: u64| {
        faults.iter().any(|fault| fault.from_ns <= to && from <= fault.to_ns.unwrap_or(u64::MAX))
    };
    let mut overlapping = 0;
    let mut successful_reads = 0;
    for operation in history.operations() {
        let from = operation.call_time().unwrap_or(0);
        overlapping += usize::from(overlaps(from, operation.return_time().unwrap_or(from)));
        let is_read = matches!(operation.f(), "read" | "get");
        successful_reads += usize::from(is_read && operation.outcome() == Outcome::Ok);
    }
    let leaders = chronicle::leader_changes(events);
    Coverage { faults, leaders, overlapping, successful_reads }
}

/// Counts and latencies of every function, by name.
fn functions(history: &History) -> Vec<FunctionSummary> {
    let mut names: Vec<&str> = history.functions().collect();
    names.sort_unstable();
    let of = |name: &str| {
        let mut summary = FunctionSummary::new(name);
        let mut latencies = Vec::new();
        for operation in history.operations().filter(|operation| operation.f() == name) {
            match operation.outcome() {
                Outcome::Ok => summary.ok += 1,
                Outcome::Fail => summary.fail += 1,
                Outcome::Info => summary.info += 1,
            }
            if let (Outcome::Ok, Some(from), Some(to)) =
                (operation.outcome(), operation.call_time(), operation.return_time())
            {
                latencies.push(to - from);
            }
        }
        summary.latency = Latency::of(latencies);
        summary
    };
    names.into_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(promise: &'static str, promised: bool, verdict: Kept) -> Row {
        let why = (verdict != Kept::Held).then(|| "process 1 read 5".to_owned());
        Row { why, ..Row::new(promise, promised, verdict) }
    }

    fn decided(promises: &[Row]) -> (VerdictWord, String) {
        let plan = Plan {
            version: String::new(),
            seed: 1,
            store: "eventual".into(),
            bug: None,
            reads: Default::default(),
            election: None,
            nodes: 3,
            concurrency: 1,
            rate: 1.0,
            time_limit_s: 1.0,
            operation_timeout_ms: 1,
            trace_nodes: false,
            workload: crate::campaign::plan::WorkloadName::Register,
            operations: None,
            client_links: false,
            roam: false,
            contract: None,
            mixture: None,
            nemesis: Default::default(),
            schedule: "seed 1\n".parse().expect("an empty schedule"),
        };
        let recovery = Recovery { took_ms: Some(1), missing: None };
        let (faults, leaders) = (Vec::new(), Vec::new());
        let coverage = Coverage { faults, leaders, overlapping: 0, successful_reads: 1 };
        decide(&plan, promises, &recovery, &coverage, 9)
    }

    #[test]
    fn only_what_is_promised_can_be_broken() {
        let weak =
            |verdict| [row(LINEARIZABLE, false, Kept::Violated), row("convergence", true, verdict)];
        let (word, why) = decided(&weak(Kept::Held));
        assert_eq!(word, VerdictWord::Valid);
        assert!(
            why.contains("what is promised: convergence; not linearizable, as expected"),
            "{why}"
        );
        assert!(why.ends_with("process 1 read 5"), "{why}");
        let (word, why) = decided(&weak(Kept::Violated));
        assert_eq!(
            (word, &*why),
            (VerdictWord::Violation, "convergence is broken: process 1 read 5")
        );
        let (word, why) = decided(&weak(Kept::Unknown));
        assert_eq!((word, &*why), (VerdictWord::Unknown, "convergence: process 1 read 5"));
        let (word, why) = decided(&[row(LINEARIZABLE, true, Kept::Violated)]);
        assert_eq!((word, &*why), (VerdictWord::Violation, "process 1 read 5"));
        let (word, why) = decided(&[row(LINEARIZABLE, true, Kept::Held)]);
        assert_eq!((word, &*why), (VerdictWord::Valid, "9 operations are linearizable"));
    }
}
