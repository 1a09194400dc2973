//! A set that only grows: `add` of one element, and `read` of all.
//!
//! ```json
//! {"process":0,"type":"invoke","f":"add","value":7}
//! {"process":0,"type":"ok","f":"add","value":7}
//! {"process":1,"type":"invoke","f":"read","value":null}
//! {"process":1,"type":"ok","f":"read","value":[3,7]}
//! ```
//!
//! A `read` lists the elements in any order, each once. These are the names of Jepsen's set tests.

use std::sync::Arc;

use super::{Call, ModelError, Part, Specification, bad_output, by_key, part, unknown};
use crate::history::{History, NEVER, Operation, Outcome, ValueId};
use crate::linearizability::{self, Budget, Engine, Problem, decide_grow_only_set};

/// The set.
#[derive(Clone, Copy, Debug, Default)]
pub struct GrowOnlySet;

/// An operation on the set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GrowOnlySetOperation {
    /// Brought this element in, if it was not there.
    Add(ValueId),
    /// Returned exactly these, sorted; if one is there twice, that is impossible.
    Read(Arc<[ValueId]>),
}

use GrowOnlySetOperation::{Add, Read};

pub(super) fn parts(history: &History) -> Result<Vec<Part<GrowOnlySet>>, ModelError> {
    by_key(history)
        .into_iter()
        .map(|(key, ids)| {
            part(history, key, &ids, GrowOnlySet, |_, operation| decode(history, operation))
        })
        .collect()
}

fn decode(
    history: &History,
    operation: Operation<'_>,
) -> Result<Option<GrowOnlySetOperation>, ModelError> {
    match (operation.f(), operation.outcome()) {
        ("add", _) => Ok(Some(Add(operation.input_id()))),
        ("read", Outcome::Info | Outcome::Fail) => Ok(None),
        ("read", Outcome::Ok) => {
            let elements = history.values().items(operation.output_id());
            let mut elements: Vec<ValueId> =
                elements.ok_or_else(|| bad_output(operation, "a list of all elements"))?.to_vec();
            elements.sort_unstable();
            Ok(Some(Read(elements.into())))
        }
        _ => Err(unknown(operation, "grow-only-set", "add, read")),
    }
}

impl Specification for GrowOnlySet {
    type Operation = GrowOnlySetOperation;
    /// The elements, sorted.
    type State = Arc<[ValueId]>;

    fn init(&self) -> Self::State {
        Arc::from([])
    }

    fn step(&self, elements: &Self::State, operation: &Self::Operation) -> Option<Self::State> {
        match operation {
            Add(element) => match elements.binary_search(element) {
                Ok(_) => Some(Arc::clone(elements)),
                Err(place) => {
                    let (before, after) = elements.split_at(place);
                    Some([before, &[*element], after].concat().into())
                }
            },
            Read(returned) => (elements == returned).then(|| Arc::clone(elements)),
        }
    }

    fn is_read(&self, operation: &Self::Operation) -> bool {
        matches!(operation, Read(_))
    }

    fn observes(&self, observer: &Self::Operation, mutator: &Self::Operation) -> bool {
        match (observer, mutator) {
            (Read(elements), Add(element)) => elements.binary_search(element).is_ok(),
            _ => false,
        }
    }

    /// Nobody misses an element that no read returned.
    fn unneeded(&self, calls: &[Call<Self::Operation>]) -> Vec<bool> {
        let seen =
            |add: &Self::Operation| calls.iter().any(|call| self.observes(&call.operation, add));
        let unneeded = |call: &Call<_>| call.ret == NEVER && !seen(&call.operation);
        calls.iter().map(unneeded).collect()
    }

    const ENGINES: &'static [Engine] = &[Engine::Elements];

    fn decide_with(
        _engine: Engine,
        problem: &Problem<'_, Self>,
        budget: &Budget,
    ) -> Option<linearizability::Outcome<Self::State>> {
        decide_grow_only_set(problem, budget)
    }

    fn size(&self, elements: &Self::State) -> usize {
        size_of_val(elements) + size_of_val::<[ValueId]>(elements)
    }

    fn describe(&self, history: &History, elements: &Self::State) -> String {
        let element = |&element: &ValueId| history.values().get(element).to_string();
        format!("{{{}}}", elements.iter().map(element).collect::<Vec<_>>().join(" "))
    }
}
