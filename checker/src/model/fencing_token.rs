//! Fencing tokens: every `acquire` returns a greater token than all before it.
//!
//! ```json
//! {"process":0,"type":"invoke","f":"acquire","value":null}
//! {"process":0,"type":"ok","f":"acquire","value":17}
//! ```
//!
//! The token is an integer. A lock with fencing tokens makes two promises; this is the one about
//! the tokens, and a `release` is passed over. The other is the model `owner-lock`.

use super::{ModelError, Part, Specification, bad_output, by_key, part, unknown};
use crate::history::{History, Operation, Outcome, Value};
use crate::linearizability::{self, Budget, Engine, Problem, decide_fencing_token};

/// The source of the tokens.
#[derive(Clone, Copy, Debug, Default)]
pub struct FencingToken;

/// An operation: it returned this token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Acquired(pub i64);

pub(super) fn parts(history: &History) -> Result<Vec<Part<FencingToken>>, ModelError> {
    by_key(history)
        .into_iter()
        .map(|(key, ids)| part(history, key, &ids, FencingToken, |_, operation| decode(operation)))
        .collect()
}

fn decode(operation: Operation<'_>) -> Result<Option<Acquired>, ModelError> {
    match (operation.f(), operation.outcome(), operation.output()) {
        // Whoever does not know his token leaves no trace: gaps are allowed.
        ("acquire", Outcome::Info | Outcome::Fail, _) | ("release", ..) => Ok(None),
        ("acquire", Outcome::Ok, Value::Int(token)) => Ok(Some(Acquired(token))),
        ("acquire", Outcome::Ok, _) => Err(bad_output(operation, "an integer, the token")),
        _ => Err(unknown(operation, "fencing-token", "acquire, release")),
    }
}

impl Specification for FencingToken {
    type Operation = Acquired;
    /// The last token.
    type State = Option<i64>;

    fn init(&self) -> Option<i64> {
        None
    }

    fn step(&self, last: &Option<i64>, &Acquired(token): &Acquired) -> Option<Option<i64>> {
        last.is_none_or(|last| last < token).then_some(Some(token))
    }

    fn overwrites(&self, _operation: &Acquired) -> bool {
        true
    }

    /// Without one of them, the tokens still grow.
    fn observes(&self, _observer: &Acquired, _mutator: &Acquired) -> bool {
        false
    }

    fn unneeded(&self, calls: &[super::Call<Acquired>]) -> Vec<bool> {
        calls.iter().map(|call| call.ret == crate::history::NEVER).collect()
    }

    const ENGINES: &'static [Engine] = &[Engine::Elements];

    fn decide_with(
        _engine: Engine,
        problem: &Problem<'_, Self>,
        budget: &Budget,
    ) -> Option<linearizability::Outcome<Option<i64>>> {
        decide_fencing_token(problem, budget)
    }

    fn describe(&self, _history: &History, last: &Option<i64>) -> String {
        last.map_or("no token yet".to_owned(), |last| format!("the last token was {last}"))
    }
}
