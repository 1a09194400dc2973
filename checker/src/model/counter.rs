//! A counter that begins at 0: `add` of an integer, and `read`.
//!
//! ```json
//! {"process":0,"type":"invoke","f":"add","value":1}
//! {"process":0,"type":"ok","f":"add","value":1}
//! {"process":1,"type":"invoke","f":"read","value":null}
//! {"process":1,"type":"ok","f":"read","value":1}
//! ```
//!
//! What is added may be negative. `increment` and `decrement` add and take away their value, or 1
//! if they have none. `add` and `read` are the names of Jepsen's counter tests.

use super::{ModelError, Part, Specification, bad_input, bad_output, by_key, part, unknown};
use crate::history::{History, Operation, Outcome, Value};
use crate::linearizability::{self, Budget, Engine, Problem, decide_counter};

/// The counter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counter;

/// An operation on a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CounterOperation {
    /// Added this.
    Add(i128),
    /// Returned this.
    Read(i128),
}

use CounterOperation::{Add, Read};

pub(super) fn parts(history: &History) -> Result<Vec<Part<Counter>>, ModelError> {
    by_key(history)
        .into_iter()
        .map(|(key, ids)| part(history, key, &ids, Counter, |_, operation| decode(operation)))
        .collect()
}

fn decode(operation: Operation<'_>) -> Result<Option<CounterOperation>, ModelError> {
    let given = || match operation.input() {
        Value::Int(int) => Ok(i128::from(int)),
        Value::Nil if operation.f() != "add" => Ok(1),
        _ => Err(bad_input(operation, "an integer")),
    };
    match (operation.f(), operation.outcome()) {
        ("add" | "increment", _) => Ok(Some(Add(given()?))),
        ("decrement", _) => Ok(Some(Add(-given()?))),
        ("read", Outcome::Info | Outcome::Fail) => Ok(None),
        ("read", Outcome::Ok) => match operation.output() {
            Value::Int(int) => Ok(Some(Read(int.into()))),
            _ => Err(bad_output(operation, "an integer")),
        },
        _ => Err(unknown(operation, "counter", "add, increment, decrement, read")),
    }
}

impl Specification for Counter {
    type Operation = CounterOperation;
    /// The sum; no number of 64-bit integers that fits in memory overflows it.
    type State = i128;

    fn init(&self) -> i128 {
        0
    }

    fn step(&self, sum: &i128, operation: &CounterOperation) -> Option<i128> {
        match operation {
            Add(more) => Some(sum + more),
            Read(returned) => (sum == returned).then_some(*sum),
        }
    }

    fn is_read(&self, operation: &CounterOperation) -> bool {
        matches!(operation, Read(_) | Add(0))
    }

    fn observes(&self, observer: &CounterOperation, mutator: &CounterOperation) -> bool {
        matches!((observer, mutator), (Read(_), Add(more)) if *more != 0)
    }

    const ENGINES: &'static [Engine] = &[Engine::Elements];

    fn decide_with(
        _engine: Engine,
        problem: &Problem<'_, Self>,
        budget: &Budget,
    ) -> Option<linearizability::Outcome<i128>> {
        decide_counter(problem, budget)
    }

    fn describe(&self, _history: &History, sum: &i128) -> String {
        sum.to_string()
    }
}
