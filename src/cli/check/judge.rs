//! One history, from its source to its verdict, and what that took.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Instant;

use rashomon_checker::explain::ConflictGraph;
use rashomon_checker::history::{Format, History, LoadError, Loaded, load_file, load_reader};
use rashomon_checker::linearizability::{
    self, Bound, CertificateError, Engine, Examined, Resource, Verdict, Witness,
};
use rashomon_checker::model::{Model, ModelError, NilRead};
use serde::Serialize;

use super::CheckArguments;
use super::sources::Source;
use crate::contract::{self, Contract, Judgement, Row};
use crate::exit::Exit;
use crate::report::{Finding, VerdictWord};

/// What came out for one history; `docs/checker.md` describes it as data.
#[derive(Debug, Serialize)]
pub(super) struct Checked {
    pub(super) file: String,
    pub(super) format: String,
    pub(super) model: String,
    pub(super) operations: usize,
    /// Objects that were decided by themselves: keys, and of sets their elements.
    pub(super) keys: usize,
    /// How many of these each engine decided.
    pub(super) engines: BTreeMap<Engine, usize>,
    pub(super) verdict: VerdictWord,
    pub(super) why: String,
    /// Whether the independent verifier accepted the witness, if it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) certified: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) finding: Option<Finding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bound: Option<Bound>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) witness: Option<Witness>,
    /// What became of the promises that were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) promises: Vec<Row>,
    pub(super) milliseconds: Milliseconds,
    pub(super) memory: Memory,
    pub(super) warnings: Vec<String>,
}

/// How long the steps took.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Milliseconds {
    pub(super) read: f64,
    pub(super) check: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) certify: Option<f64>,
}

impl Milliseconds {
    pub(super) fn total(self) -> f64 {
        self.read + self.check + self.certify.unwrap_or(0.0)
    }
}

/// What was held in memory, in bytes, as counted inside: the columns and values of the history,
/// and the most that all engines held at one time beside it.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Memory {
    pub(super) history: usize,
    pub(super) engines: usize,
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub(super) enum CheckError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("{file}: {error}")]
    Model { file: String, error: ModelError },
    #[error("{0}: no model fits the operations; choose one with --model")]
    NoModel(String),
    #[error(
        "{file}: the engine {engine} cannot decide {what} as {model}: it needs structure that these \
         operations do not have; choose another, or leave --engine away"
    )]
    Engine { file: String, engine: Engine, what: String, model: String },
    #[error("{file}: the order that was found is refused by the verifier: {error}")]
    Refused { file: String, error: CertificateError },
}

impl CheckError {
    /// How the command ends for it.
    pub(super) fn exit(&self) -> Exit {
        match self {
            CheckError::Refused { .. } => Exit::Bug,
            _ => Exit::Usage,
        }
    }
}

/// Reads a history and decides it.
pub(super) fn check(source: &Source, arguments: &CheckArguments) -> Result<Checked, CheckError> {
    let file = source.name();
    let began = Instant::now();
    let Loaded { history, format, warnings } = load(source, arguments)?;
    let milliseconds = Milliseconds { read: since(began), ..Milliseconds::default() };
    let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    for warning in &warnings {
        eprintln!("warning: {file}: {warning}");
    }
    let model = arguments.model.clone().or_else(|| suggest(&history, format));
    let mut checked = Checked {
        format: format.to_string(),
        model: model.as_ref().map_or("no model".to_owned(), Model::to_string),
        operations: history.len(),
        keys: 0,
        engines: BTreeMap::new(),
        verdict: VerdictWord::Valid,
        why: String::new(),
        certified: None,
        finding: None,
        bound: None,
        witness: None,
        promises: Vec::new(),
        milliseconds,
        memory: Memory { history: history.bytes(), engines: 0 },
        warnings,
        file,
    };
    checked.judge(&history, model.as_ref(), arguments)?;
    Ok(checked)
}

impl Checked {
    /// By linearizability, or by the promises that were asked for.
    fn judge(
        &mut self,
        history: &History,
        model: Option<&Model>,
        arguments: &CheckArguments,
    ) -> Result<(), CheckError> {
        let began = Instant::now();
        let contract = arguments.promises.clone().unwrap_or_else(Contract::strong);
        let mut verdict = None;
        if contract.linearizable {
            let model = model.ok_or_else(|| CheckError::NoModel(self.file.clone()))?;
            verdict = Some((model, self.examine(history, model, arguments)?));
        }
        if arguments.promises.is_some() {
            let options = arguments.consistency(model);
            let judgement = Judgement { contract: &contract, curious: false, options: &options };
            self.promises = judgement.rows(history, verdict.as_ref().map(|(_, verdict)| verdict));
        }
        self.milliseconds.check = since(began);
        match verdict {
            Some((model, Verdict::Valid(witness))) => {
                self.take_valid(history, model, witness, arguments)?;
            }
            Some((_, Verdict::Unknown(bound))) => self.take_unknown(bound)?,
            Some((_, Verdict::Invalid(_))) | None => {}
        }
        self.take_promises();
        Ok(())
    }

    /// Whether it is linearizable, and if not, why.
    fn examine(
        &mut self,
        history: &History,
        model: &Model,
        arguments: &CheckArguments,
    ) -> Result<Verdict, CheckError> {
        let failed = |error| CheckError::Model { file: self.file.clone(), error };
        let Examined { verdict, parts, engines, memory } =
            linearizability::examine(history, model, &arguments.options()).map_err(failed)?;
        if let Verdict::Invalid(explanation) = &verdict {
            if let Some(dot) = &arguments.dot {
                let graph = ConflictGraph::of(history, model, explanation);
                draw(&graph.map_err(failed)?, dot);
            }
            self.verdict = VerdictWord::Violation;
            self.why = explanation.sentence().to_owned();
            self.finding = Some(Finding::of(history, explanation));
        }
        (self.keys, self.engines, self.memory.engines) = (parts, engines, memory);
        Ok(verdict)
    }

    /// What promises other than the strongest add: a violation is masked by nothing.
    fn take_promises(&mut self) {
        if self.verdict == VerdictWord::Violation {
            return;
        }
        if let Some(row) = contract::broken(&self.promises) {
            (self.verdict, self.why) = (VerdictWord::Violation, contract::sentence(row));
        } else if let Some(row) = contract::undecided(&self.promises) {
            (self.verdict, self.why) = (VerdictWord::Unknown, contract::sentence(row));
        } else if self.why.is_empty() {
            self.why = "the promises are kept".to_owned();
        }
    }

    fn take_valid(
        &mut self,
        history: &History,
        model: &Model,
        witness: Witness,
        arguments: &CheckArguments,
    ) -> Result<(), CheckError> {
        if arguments.certify {
            let began = Instant::now();
            linearizability::certify(history, model, &witness)
                .map_err(|error| CheckError::Refused { file: self.file.clone(), error })?;
            self.milliseconds.certify = Some(since(began));
            self.certified = Some(true);
        }
        self.witness = arguments.witness.then_some(witness);
        self.why = "linearizable".to_owned();
        Ok(())
    }

    /// That an engine was asked for which cannot help is the asker's error; any other bound is
    /// none.
    fn take_unknown(&mut self, bound: Bound) -> Result<(), CheckError> {
        if let Resource::Engine(engine) = bound.resource {
            let what = bound.key.as_ref().map_or("it".to_owned(), |key| format!("key {key}"));
            let (file, model) = (self.file.clone(), self.model.clone());
            return Err(CheckError::Engine { file, engine, what, model });
        }
        self.verdict = VerdictWord::Unknown;
        self.why = bound.to_string();
        self.bound = Some(bound);
        Ok(())
    }

    /// How the command ends for it.
    pub(super) fn exit(&self) -> Exit {
        self.verdict.into()
    }
}

/// A violation is told also where it cannot be drawn.
fn draw(graph: &ConflictGraph, path: &Path) {
    if let Err(error) = fs::write(path, graph.to_dot()) {
        eprintln!("warning: cannot write {}: {error}", path.display());
    }
}

fn load(source: &Source, arguments: &CheckArguments) -> Result<Loaded, LoadError> {
    let options = arguments.read_options();
    match source {
        Source::Stdin => load_reader(io::stdin(), &source.name(), options),
        Source::File(path) | Source::Perhaps(path) => load_file(path, options),
    }
}

fn since(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e3
}

/// The model that the operations ask for. In Jepsen's and Knossos's recordings a read of `nil` says
/// nothing; in all others it says that there was no value.
fn suggest(history: &History, format: Format) -> Option<Model> {
    let mut model = Model::suggest(history)?;
    if let Format::Edn | Format::JepsenLog = format
        && let Model::Register { nil, .. }
        | Model::CasRegister { nil, .. }
        | Model::MultiRegister { nil, .. } = &mut model
    {
        *nil = NilRead::Unknown;
    }
    Some(model)
}
