//! The results of a run, as written to `results.json`. The schema is versioned: fields may be
//! added, but what a field means changes only with [`Results::SCHEMA`].

use std::path::PathBuf;

use rashomon_checker::explain::Explanation;
use rashomon_checker::history::{History, OpId, Outcome, Value};
use serde::Serialize;

use crate::campaign::Recovery;
use crate::campaign::chronicle::{FaultSpan, LeaderChange};
use crate::campaign::plan::Plan;
use crate::contract::{self, LINEARIZABLE, Row};

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VerdictWord {
    /// One order explains everything, and something was tested.
    Valid,
    /// No order does, or the store did not recover.
    Violation,
    /// A bound was hit, or nothing was really tested.
    Unknown,
}

impl VerdictWord {
    /// In capitals, as it stands at the end of a run.
    pub fn as_str(self) -> &'static str {
        match self {
            VerdictWord::Valid => "VALID",
            VerdictWord::Violation => "VIOLATION",
            VerdictWord::Unknown => "UNKNOWN",
        }
    }
}

/// The outcome of one run.
#[derive(Clone, Debug, Serialize)]
pub struct Results {
    /// The version of this schema.
    pub schema: u32,
    /// The verdict.
    pub verdict: VerdictWord,
    /// The verdict in a sentence.
    pub why: String,
    /// The model that the history was judged by.
    pub model: String,
    /// Why the history is none of the model's, if it is none: a violation if the store promises that
    /// one order explains it, and else an example of what it does not promise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding: Option<Finding>,
    /// What became of the promises of the store, and perhaps of others.
    pub promises: Vec<Row>,
    /// What became of the store after healing.
    pub recovery: Recovery,
    /// What was really tested.
    pub coverage: Coverage,
    /// Counts and latencies, function by function.
    pub functions: Vec<FunctionSummary>,
    /// The signal that ended the run early, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_by: Option<&'static str>,
    /// The command that repeats the run.
    pub reproduce: String,
    /// The run's directory.
    pub run: PathBuf,
    /// The plan.
    pub plan: Plan,
}

impl Results {
    /// The current version of the schema.
    pub const SCHEMA: u32 = 1;

    /// The first promise of the store that was broken.
    pub fn broken(&self) -> Option<&Row> {
        contract::broken(&self.promises)
    }

    /// Whether the store promises that one order explains everything.
    pub fn promises_linearizable(&self) -> bool {
        self.promises.iter().all(|row| row.promised || row.promise != LINEARIZABLE)
    }

    /// Operations, and how many of them ended ok, fail, and info.
    pub fn totals(&self) -> [usize; 4] {
        let [ok, fail, info] = self.functions.iter().fold([0; 3], |[ok, fail, info], function| {
            [ok + function.ok, fail + function.fail, info + function.info]
        });
        [ok + fail + info, ok, fail, info]
    }
}

/// What a run really tested.
#[derive(Clone, Debug, Serialize)]
pub struct Coverage {
    /// Every fault, and whether it bit.
    pub faults: Vec<FaultSpan>,
    /// Every leader that was noticed.
    pub leaders: Vec<LeaderChange>,
    /// How many operations were under way while a fault stood.
    pub overlapping: usize,
    /// How many reads were answered.
    pub successful_reads: usize,
}

/// How the operations of one function ended.
#[derive(Clone, Debug, Serialize)]
pub struct FunctionSummary {
    /// The function.
    pub f: String,
    /// How many happened.
    pub ok: usize,
    /// How many certainly did not.
    pub fail: usize,
    /// How many nobody knows of.
    pub info: usize,
    /// How long those that happened took; `None` if there are none.
    pub latency: Option<Latency>,
}

impl FunctionSummary {
    /// Nothing counted yet.
    pub fn new(f: &str) -> Self {
        FunctionSummary { f: f.to_owned(), ok: 0, fail: 0, info: 0, latency: None }
    }
}

/// Quantiles of latency, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// The median.
    pub p50_ns: u64,
    /// 99 of 100 are no slower.
    pub p99_ns: u64,
    /// The slowest.
    pub max_ns: u64,
}

impl Latency {
    /// The quantiles of a sample, by nearest rank; `None` if it is empty.
    pub fn of(mut sample: Vec<u64>) -> Option<Self> {
        sample.sort_unstable();
        let rank = |percent: usize| sample.get((sample.len() * percent).div_ceil(100).max(1) - 1);
        Some(Latency { p50_ns: *rank(50)?, p99_ns: *rank(99)?, max_ns: *sample.last()? })
    }
}

/// A violation: why no order explains the history, and the operations to show for it.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What the checker says.
    pub explanation: Explanation,
    /// The operations of the explanation's minimal history, by invocation.
    pub minimal: Vec<OperationLine>,
    /// The operations of its proof that are no part of the minimal history: what has failed, or
    /// came later, proves something without being needed.
    pub beside: Vec<OperationLine>,
}

impl Finding {
    /// The finding for an explanation of this history.
    pub fn of(history: &History, explanation: &Explanation) -> Self {
        let line = |id: &OpId| OperationLine::of(history, *id);
        let minimal = explanation.minimal.iter().map(line).collect();
        let proof = explanation.proof.iter().map(|evidence| evidence.operation);
        let beside = proof.filter(|id| !explanation.minimal.contains(id));
        let beside = beside.map(|id| OperationLine::of(history, id)).collect();
        Finding { explanation: explanation.clone(), minimal, beside }
    }

    /// All operations to show, by invocation.
    pub fn shown(&self) -> Vec<&OperationLine> {
        let mut lines: Vec<&OperationLine> = self.minimal.iter().chain(&self.beside).collect();
        lines.sort_by_key(|line| line.call);
        lines
    }

    /// Whether this is the operation that no order can place.
    pub fn is_stuck(&self, line: &OperationLine) -> bool {
        line.id == self.explanation.operation
    }
}

/// One operation, ready to be shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OperationLine {
    /// Its number in the history.
    pub id: OpId,
    /// The client process.
    pub process: u64,
    /// The key it was on, where the history has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The function.
    pub f: String,
    /// What it did and saw: `write 5`, `read -> 3`, `cas 1 -> 2`.
    pub label: String,
    /// The node that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Whether it happened.
    pub outcome: Outcome,
    /// When it was invoked, in nanoseconds since the run began, where recorded.
    pub from_ns: Option<u64>,
    /// When it returned; `None` where nobody knows.
    pub to_ns: Option<u64>,
    /// Rank of its invocation among all events: orders where times are missing or equal.
    pub call: u32,
    /// Rank of its return; `None` where nobody knows.
    pub ret: Option<u32>,
    /// The line of its invocation in the history file; 0 if it came from none.
    pub line: u32,
}

impl OperationLine {
    /// The operation of this id.
    pub fn of(history: &History, id: OpId) -> Self {
        let operation = history.operation(id);
        let outcome = operation.outcome();
        let known = outcome != Outcome::Info;
        let label = label(operation.f(), &operation.input(), &operation.output(), outcome);
        OperationLine {
            id,
            process: operation.process(),
            key: operation.key().map(|key| key.name()),
            f: operation.f().to_owned(),
            label,
            node: operation.node().map(str::to_owned),
            outcome,
            from_ns: operation.call_time(),
            to_ns: operation.return_time().filter(|_| known),
            call: operation.call(),
            ret: known.then_some(operation.ret()),
            line: operation.call_place().line,
        }
    }
}

/// What an operation did and saw, in a few characters.
fn label(f: &str, input: &Value, output: &Value, outcome: Outcome) -> String {
    let answered = outcome == Outcome::Ok;
    match (f, input.as_list()) {
        ("cas", Some([expected, new])) => format!("cas {expected} -> {new}"),
        ("read" | "get", _) if answered => format!("{f} -> {output}"),
        _ if answered && !output.is_nil() && output != input => format!("{f} {input} -> {output}"),
        _ if input.is_nil() => f.to_owned(),
        _ => format!("{f} {input}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_members_of_the_sample() {
        assert_eq!(Latency::of(vec![]), None);
        let one = Latency { p50_ns: 7, p99_ns: 7, max_ns: 7 };
        assert_eq!(Latency::of(vec![7]), Some(one));
        let hundred = Latency::of((1..=100).rev().collect());
        assert_eq!(hundred, Some(Latency { p50_ns: 50, p99_ns: 99, max_ns: 100 }));
    }

    #[test]
    fn labels_say_what_was_done_and_seen() {
        let of = |f, input: Value, output: Value, outcome| label(f, &input, &output, outcome);
        let cas = Value::list([Value::Int(1), Value::Int(2)]);
        assert_eq!(of("write", 5.into(), 5.into(), Outcome::Ok), "write 5");
        assert_eq!(of("read", Value::Nil, 3.into(), Outcome::Ok), "read -> 3");
        assert_eq!(of("read", Value::Nil, Value::Nil, Outcome::Ok), "read -> nil");
        assert_eq!(of("read", Value::Nil, Value::Nil, Outcome::Fail), "read");
        assert_eq!(of("cas", cas.clone(), cas, Outcome::Info), "cas 1 -> 2");
        assert_eq!(of("append", 4.into(), Value::Nil, Outcome::Info), "append 4");
        assert_eq!(of("acquire", Value::Nil, Value::Nil, Outcome::Ok), "acquire");
    }
}
