//! A set: `add`, `remove`, `contains`, each of one element.
//!
//! ```json
//! {"process":0,"type":"invoke","f":"add","value":7}
//! {"process":0,"type":"ok","f":"add","value":true}
//! {"process":1,"type":"invoke","f":"contains","value":7}
//! {"process":1,"type":"ok","f":"contains","value":true}
//! ```
//!
//! `add` and `remove` may say `true` or `false`: whether that changed anything. If they repeat the
//! element or say nothing, that is not known. Nothing touches two elements, so each element is an
//! object of its own (Horn & Kroening, "Faster linearizability checking via P-compositionality",
//! FORTE 2015); what reads the whole set is the model `grow-only-set`.

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use super::{Call, ModelError, Part, Specification, bad_output, part, unknown};
use crate::history::{History, NEVER, OpId, Operation, Outcome, Value, ValueId};
use crate::linearizability::{self, Budget, Engine, Problem, decide_set};

/// One element: in the set or not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Set;

/// An operation on one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SetOperation {
    /// Found it there, or not there: `contains`, and what changed nothing.
    Found(bool),
    /// Brought it in or out, and it had not been so before.
    Changed(bool),
    /// Brought it in or out, however it had been.
    Made(bool),
}

use SetOperation::{Changed, Found, Made};

impl SetOperation {
    /// What it leaves behind, if it may change anything.
    pub(crate) fn produces(self) -> Option<bool> {
        match self {
            Changed(there) | Made(there) => Some(there),
            Found(_) => None,
        }
    }

    /// What it must find.
    pub(crate) fn needs(self) -> Option<bool> {
        match self {
            Found(there) => Some(there),
            Changed(there) => Some(!there),
            Made(_) => None,
        }
    }
}

pub(super) fn parts(history: &History) -> Result<Vec<Part<Set>>, ModelError> {
    let mut elements: IndexMap<(Option<ValueId>, ValueId), Vec<OpId>, FxBuildHasher> =
        IndexMap::default();
    for operation in history.operations() {
        let element = (operation.key_id(), operation.input_id());
        elements.entry(element).or_default().push(operation.id());
    }
    let name = |(key, element): (Option<ValueId>, ValueId)| {
        let element = history.values().get(element);
        match key {
            Some(key) => Value::list([history.values().get(key), element]),
            None => element,
        }
    };
    let elements = elements.into_iter();
    elements.map(|(element, ids)| part(history, Some(name(element)), &ids, Set, decode)).collect()
}

fn decode(_: &Set, operation: Operation<'_>) -> Result<Option<SetOperation>, ModelError> {
    let there = match operation.f() {
        "add" => true,
        "remove" => false,
        "contains" => return contains(operation),
        _ => return Err(unknown(operation, "set", "add, remove, contains")),
    };
    let repeats = operation.output_id() == operation.input_id();
    Ok(Some(match (operation.outcome(), operation.output()) {
        (Outcome::Ok, Value::Bool(true)) if !repeats => Changed(there),
        (Outcome::Ok, Value::Bool(false)) if !repeats => Found(there),
        (Outcome::Ok, Value::Nil) | (Outcome::Info | Outcome::Fail, _) => Made(there),
        (Outcome::Ok, _) if repeats => Made(there),
        _ => return Err(bad_output(operation, "true or false, the element again, or nothing")),
    }))
}

fn contains(operation: Operation<'_>) -> Result<Option<SetOperation>, ModelError> {
    match (operation.outcome(), operation.output()) {
        (Outcome::Info | Outcome::Fail, _) => Ok(None),
        (Outcome::Ok, Value::Bool(there)) => Ok(Some(Found(there))),
        (Outcome::Ok, _) => Err(bad_output(operation, "true or false")),
    }
}

impl Specification for Set {
    type Operation = SetOperation;
    /// Whether the element is in the set.
    type State = bool;

    fn init(&self) -> bool {
        false
    }

    fn step(&self, there: &bool, operation: &SetOperation) -> Option<bool> {
        let possible = operation.needs().is_none_or(|needed| needed == *there);
        possible.then(|| operation.produces().unwrap_or(*there))
    }

    fn is_read(&self, operation: &SetOperation) -> bool {
        operation.produces().is_none()
    }

    fn overwrites(&self, operation: &SetOperation) -> bool {
        operation.produces().is_some()
    }

    fn observes(&self, observer: &SetOperation, mutator: &SetOperation) -> bool {
        mutator.produces().is_some() && mutator.produces() == observer.needs()
    }

    /// A crashed mutator changes nothing if nobody needs what it leaves behind: right after it
    /// there can only be an operation that does not care.
    fn unneeded(&self, calls: &[Call<SetOperation>]) -> Vec<bool> {
        let needed = |there: bool| calls.iter().any(|call| call.operation.needs() == Some(there));
        let needed = [needed(false), needed(true)];
        let unneeded = |call: &Call<SetOperation>| match call.operation.produces() {
            Some(there) => call.ret == NEVER && !needed[usize::from(there)],
            None => false,
        };
        calls.iter().map(unneeded).collect()
    }

    const ENGINES: &'static [Engine] = &[Engine::Elements];

    fn decide_with(
        _engine: Engine,
        problem: &Problem<'_, Self>,
        budget: &Budget,
    ) -> Option<linearizability::Outcome<bool>> {
        decide_set(problem, budget)
    }

    fn describe(&self, _history: &History, there: &bool) -> String {
        if *there { "in the set" } else { "not in the set" }.to_owned()
    }
}
