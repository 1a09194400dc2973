//! A mutex: `acquire`, `release`. Who holds it is not part of the model, as in Knossos; a release
//! is legal whoever does it, as long as the mutex is held.

use super::{ModelError, Part, Specification, by_key, part, unknown};
use crate::explain::{self, Case, Finding};
use crate::history::History;
use crate::linearizability::{self, Budget, Engine, Problem, decide_mutex};

/// The mutex.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mutex;

/// An operation on a mutex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MutexOperation {
    /// Took it while it was free.
    Acquire,
    /// Freed it while it was held.
    Release,
}

pub(super) fn parts(history: &History) -> Result<Vec<Part<Mutex>>, ModelError> {
    by_key(history)
        .into_iter()
        .map(|(key, ids)| {
            part(history, key, &ids, Mutex, |_, operation| match operation.f() {
                "acquire" => Ok(Some(MutexOperation::Acquire)),
                "release" => Ok(Some(MutexOperation::Release)),
                _ => Err(unknown(operation, "mutex", "acquire, release")),
            })
        })
        .collect()
}

impl Specification for Mutex {
    type Operation = MutexOperation;
    /// Whether it is held.
    type State = bool;

    fn init(&self) -> bool {
        false
    }

    fn step(&self, held: &bool, operation: &MutexOperation) -> Option<bool> {
        match operation {
            MutexOperation::Acquire => (!held).then_some(true),
            MutexOperation::Release => held.then_some(false),
        }
    }

    fn overwrites(&self, _operation: &MutexOperation) -> bool {
        true
    }

    fn observes(&self, observer: &MutexOperation, mutator: &MutexOperation) -> bool {
        // Each needs the state that the other leaves, and cannot follow its like.
        observer != mutator
    }

    const ENGINES: &'static [Engine] = &[Engine::Elements];

    fn decide_with(
        _engine: Engine,
        problem: &Problem<'_, Self>,
        budget: &Budget,
    ) -> Option<linearizability::Outcome<bool>> {
        decide_mutex(problem, budget)
    }

    fn diagnose(&self, case: &Case<'_, MutexOperation>) -> Option<Finding> {
        explain::diagnose_mutex(case)
    }

    fn describe(&self, _history: &History, held: &bool) -> String {
        if *held { "held" } else { "free" }.to_owned()
    }
}
