//! Contracts: what a store promises, and so by what it is judged.
//!
//! Breaking a promise of one's own is a violation; breaking one that was never made is information,
//! and shown as that. An eventual store is not linearizable and says so: an example of it is part of
//! every report, and no reason to fail.

use std::fmt;
use std::str::FromStr;

use rashomon_checker::consistency::{
    self, Anomaly, Clocks, Edge, Finding, Options, Promise, Reason,
};
use rashomon_checker::history::{History, OpId};
use rashomon_checker::linearizability::Verdict;
use rashomon_stores::catalogue::Store;
use rashomon_stores::eventual::{Conflicts, Settings};
use serde::{Deserialize, Serialize};

use crate::report::OperationLine;

/// The name of the one promise that is judged by an order of all operations.
pub const LINEARIZABLE: &str = "linearizable";

/// What a contract says that promises nothing.
const NONE: &str = "none";

/// What a store promises. Its text names the promises, as in `convergence, no-lost-writes`, or says
/// `none`; which clocks arrange writes is the store's affair, and no part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Contract {
    /// One order explains all that clients see.
    pub linearizable: bool,
    /// What it promises beside that, or instead.
    pub promises: Vec<Promise>,
    /// By which clocks it arranges writes.
    pub clocks: Clocks,
}

impl Contract {
    /// The strongest one, which has all others in it.
    pub fn strong() -> Self {
        Contract { linearizable: true, promises: Vec::new(), clocks: Clocks::PERFECT }
    }

    /// That of a store by its name, on so many nodes. A store that is not the project's own is held to the strongest.
    pub fn of(store: &str, nodes: u16) -> Self {
        match store.parse::<Store>() {
            Ok(Store::Raft | Store::Paxos(_) | Store::Single) | Err(_) => Contract::strong(),
            Ok(Store::Eventual(settings)) => Contract::eventual(settings, nodes),
        }
    }

    /// These promises, of a store that arranges writes as that one by its name does.
    pub fn asked_of(&self, store: &str, nodes: u16) -> Self {
        Contract { clocks: Contract::of(store, nodes).clocks, ..self.clone() }
    }

    /// That of a replicated log whose followers answer reads themselves: what they have is the
    /// beginning of the one order, however old.
    pub fn of_local_reads() -> Self {
        Contract { linearizable: false, promises: LASTING.to_vec(), clocks: Clocks::PERFECT }
    }

    /// That of an eventual store; `docs/eventual.md` says why.
    fn eventual(settings: Settings, nodes: u16) -> Self {
        let mut promises = LASTING.to_vec();
        let keeps_all = settings.conflicts == Conflicts::Siblings;
        // What is read by a quorum has every acknowledged write in it; where the last writer wins,
        // that may be one of the same client's before.
        let overlap = settings.reads + settings.writes > nodes && keeps_all;
        if keeps_all {
            promises.push(Promise::NoFalseConcurrency);
        }
        if settings.sessions || overlap {
            promises.push(Promise::ReadYourWrites);
        }
        if settings.sessions {
            promises.extend([
                Promise::MonotonicReads,
                Promise::MonotonicWrites,
                Promise::WritesFollowReads,
            ]);
        }
        // Where all are kept no clock decides, and a write replaces what its client had seen only.
        let clocks = if keeps_all { Clocks::Unknown } else { Clocks::Hybrid };
        Contract { linearizable: false, promises, clocks }
    }
}

/// What every store promises that keeps what it is told: in the end all is there, and the same
/// everywhere.
const LASTING: [Promise; 4] = [
    Promise::Convergence,
    Promise::NoLostWrites,
    Promise::NoResurrection,
    Promise::NoValuesFromNowhere,
];

/// As it is written: `linearizable`, or names of promises with commas, or `all`, or `none`.
impl FromStr for Contract {
    type Err = consistency::UnknownPromise;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "all" {
            return Ok(Contract { promises: Promise::ALL.to_vec(), ..Contract::strong() });
        }
        let mut contract = Contract { linearizable: false, ..Contract::strong() };
        if text == NONE {
            return Ok(contract);
        }
        for name in text.split(',').map(str::trim) {
            match name {
                LINEARIZABLE => contract.linearizable = true,
                name => contract.promises.push(name.parse()?),
            }
        }
        Ok(contract)
    }
}

impl fmt::Display for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let strongest = self.linearizable.then_some(LINEARIZABLE).into_iter();
        let names = strongest.chain(self.promises.iter().map(|promise| promise.as_str()));
        let names: Vec<&str> = names.collect();
        if names.is_empty() { f.write_str(NONE) } else { f.write_str(&names.join(", ")) }
    }
}

impl From<Contract> for String {
    fn from(contract: Contract) -> String {
        contract.to_string()
    }
}

impl TryFrom<String> for Contract {
    type Error = consistency::UnknownPromise;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// What became of a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kept {
    /// Nothing speaks against it.
    Held,
    /// It was broken.
    Violated,
    /// Nobody can tell.
    Unknown,
}

impl Kept {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kept::Held => "held",
            Kept::Violated => "violated",
            Kept::Unknown => "unknown",
        }
    }
}

/// A promise, and what a history says of it.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub promise: &'static str,
    /// Whether the store makes it: then it is a violation to break it.
    pub promised: bool,
    /// What became of it.
    pub verdict: Kept,
    /// How often it was put to the test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tested: Option<u64>,
    /// Why it is violated, or unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The operations that prove a violation, by invocation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<OperationLine>,
    /// What the literature calls the violation, if it has a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anomaly: Option<Anomaly>,
    /// Where operations come before each other in a circle, that circle.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cycle: Vec<Before>,
}

/// One operation comes before another.
#[derive(Clone, Debug, Serialize)]
pub struct Before {
    /// The earlier one.
    pub from: OperationLine,
    /// The later one.
    pub to: OperationLine,
    /// Why.
    pub reason: Reason,
}

impl Row {
    /// What became of a promise, without a word why.
    pub fn new(promise: &'static str, promised: bool, verdict: Kept) -> Self {
        let (tested, why, anomaly) = (None, None, None);
        let (operations, cycle) = (Vec::new(), Vec::new());
        Row { promise, promised, verdict, tested, why, operations, anomaly, cycle }
    }

    /// In a line: `held, tested 512 times`, or why not.
    pub fn remark(&self) -> String {
        let excuse = if self.promised { "" } else { ", and not promised" };
        match (&self.why, self.tested) {
            (Some(why), _) => format!("{}{excuse}: {why}", self.verdict.as_str()),
            (None, Some(0)) => format!("{}, never put to the test", self.verdict.as_str()),
            (None, Some(tested)) => format!("{}, tested {tested} times", self.verdict.as_str()),
            (None, None) => self.verdict.as_str().to_owned(),
        }
    }
}

/// How a history is judged by a contract.
#[derive(Clone, Copy, Debug)]
pub struct Judgement<'a> {
    /// The contract.
    pub contract: &'a Contract,
    /// Whether to say also what becomes of promises that are not made.
    pub curious: bool,
    /// What is said of registers before their first write.
    pub options: &'a Options,
}

impl Judgement<'_> {
    /// A row for whether the history is linearizable, if that is known, and one for each promise of the
    /// contract; with curiosity, for every promise, unless the history is linearizable, which has all
    /// of them in it.
    pub fn rows(&self, history: &History, linearizability: Option<&Verdict>) -> Vec<Row> {
        let contract = self.contract;
        let strongest =
            linearizability.map(|verdict| strongest(contract.linearizable, history, verdict));
        let mut rows: Vec<Row> = strongest.into_iter().collect();
        let is_curious = self.curious && rows.iter().all(|row| row.verdict != Kept::Held);
        let is_asked = |promise: &Promise| is_curious || contract.promises.contains(promise);
        let asked: Vec<Promise> = Promise::ALL.into_iter().filter(is_asked).collect();
        for consistency::Row { promise, finding } in
            consistency::judge(history, &asked, self.options)
        {
            rows.push(row(
                promise.as_str(),
                contract.promises.contains(&promise),
                finding,
                history,
            ));
        }
        rows
    }
}

fn strongest(promised: bool, history: &History, verdict: &Verdict) -> Row {
    let finding = match verdict {
        Verdict::Valid(_) => Finding::Held { tested: history.len() as u64 },
        Verdict::Unknown(bound) => Finding::Unknown { why: bound.to_string() },
        Verdict::Invalid(explanation) => Finding::Violated(consistency::Violation::new(
            explanation.sentence().to_owned(),
            explanation.minimal.clone(),
        )),
    };
    row(LINEARIZABLE, promised, finding, history)
}

fn row(promise: &'static str, promised: bool, finding: Finding, history: &History) -> Row {
    let line = |id: &OpId| OperationLine::of(history, *id);
    let row = Row::new(promise, promised, Kept::Held);
    match finding {
        Finding::Held { tested } => Row { tested: Some(tested), ..row },
        Finding::Unknown { why } => Row { verdict: Kept::Unknown, why: Some(why), ..row },
        Finding::Violated(violation) => {
            let before = |edge: &Edge| Before {
                from: line(&edge.from),
                to: line(&edge.to),
                reason: edge.reason,
            };
            Row {
                verdict: Kept::Violated,
                operations: violation.proof.iter().map(line).collect(),
                cycle: violation.cycle.iter().map(before).collect(),
                anomaly: violation.anomaly,
                why: Some(violation.sentence),
                ..row
            }
        }
    }
}

/// The first promise that was made and broken.
pub fn broken(rows: &[Row]) -> Option<&Row> {
    rows.iter().find(|row| row.promised && row.verdict == Kept::Violated)
}

/// What to say of a promise that was broken, or of which nobody can tell. That no order explains what
/// was seen needs no name.
pub fn sentence(row: &Row) -> String {
    let why = row.why.as_deref().unwrap_or_default();
    match (row.promise, row.verdict) {
        (LINEARIZABLE, _) => why.to_owned(),
        (promise, Kept::Violated) => format!("{promise} is broken: {why}"),
        (promise, _) => format!("{promise}: {why}"),
    }
}

/// The first promise that was made and of which nobody can tell.
pub fn undecided(rows: &[Row]) -> Option<&Row> {
    rows.iter().find(|row| row.promised && row.verdict == Kept::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_store_has_the_contract_of_its_settings() {
        for store in ["raft", "paxos", "single"] {
            assert_eq!(Contract::of(store, 3), Contract::strong(), "{store}");
        }
        let base = "convergence, no-lost-writes, no-resurrection, no-values-from-nowhere";
        let sessions = "read-your-writes, monotonic-reads, monotonic-writes, writes-follow-reads";
        for (store, clocks, beside) in [
            ("eventual", Clocks::Hybrid, String::new()),
            ("eventual:r=2,w=2", Clocks::Hybrid, String::new()),
            ("eventual:sessions", Clocks::Hybrid, format!(", {sessions}")),
            ("eventual:siblings", Clocks::Unknown, ", no-false-concurrency".into()),
            (
                "eventual:siblings,r=2,w=2",
                Clocks::Unknown,
                ", no-false-concurrency, read-your-writes".into(),
            ),
            (
                "eventual:siblings,sessions",
                Clocks::Unknown,
                format!(", no-false-concurrency, {sessions}"),
            ),
        ] {
            let contract = Contract::of(store, 3);
            assert_eq!(contract.to_string(), format!("{base}{beside}"), "{store}");
            assert_eq!(contract.clocks, clocks, "{store}");
        }
    }

    #[test]
    fn contracts_are_read_and_told() {
        assert_eq!(Contract::of("primary-backup", 3), Contract::strong());
        let contract: Contract = "convergence, no-lost-writes".parse().expect("two promises");
        assert!(!contract.linearizable);
        assert_eq!(contract.to_string(), "convergence, no-lost-writes");
        let nothing: Contract = "none".parse().expect("nothing");
        assert!(!nothing.linearizable && nothing.promises.is_empty());
        assert_eq!(nothing.to_string(), "none");
        let all: Contract = "all".parse().expect("all of them");
        assert_eq!(all.promises.len(), Promise::ALL.len());
        let error = "linearizable,speed".parse::<Contract>().unwrap_err().to_string();
        assert!(error.contains("`speed`"), "{error}");
    }
}
