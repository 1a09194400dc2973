//! Models: what the objects of a history promise when one operation happens at a time.
//!
//! A [`Specification`] is the sequential semantics: an initial state and a step. It decodes the
//! operations of a history once into small typed operations, which is all that the engines see;
//! an operation that it does not know, or whose value makes no sense, is an error that names the
//! line. [`Model`] is the list of specifications that have a name.
//!
//! Linearizability is local (Herlihy & Wing, TOPLAS 1990, theorem 1): a history is linearizable
//! if and only if it is so for each object alone. Operations that carry a key are therefore split
//! by key into [`Part`]s, each judged by itself.

mod cas_register;
mod container;
mod counter;
mod fencing_token;
mod grow_only_set;
mod kv;
mod multi_register;
mod mutex;
mod name;
mod owner_lock;
mod priority_queue;
mod queue;
mod set;
mod stack;

use std::fmt::Debug;
use std::hash::Hash;

use indexmap::IndexMap;
use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::explain::{Case, Finding};
use crate::history::{History, OpId, Operation, Outcome, Place, Value, ValueId};
use crate::linearizability::{self, Budget, Engine, Problem};

pub(crate) use cas_register::Decoder as RegisterDecoder;
pub use cas_register::{CasRegister, RegisterOperation};
pub use container::{Container, ContainerOperation, Discipline};
pub use counter::{Counter, CounterOperation};
pub use fencing_token::{Acquired, FencingToken};
pub use grow_only_set::{GrowOnlySet, GrowOnlySetOperation};
pub use kv::{Content, Kv, KvOperation};
pub use multi_register::{MicroOperation, MultiRegister};
pub use mutex::{Mutex, MutexOperation};
pub use name::{Model, NilRead, ParseModelError};
pub use owner_lock::{OwnerLock, OwnerLockOperation};
pub use priority_queue::Priority;
pub use queue::Fifo;
pub use set::{Set, SetOperation};
pub use stack::Lifo;

/// A sequential specification: small, total, obviously right.
///
/// Only [`init`](Self::init), [`step`](Self::step) and the decoding are needed for a right
/// verdict. The other methods state facts that engines and explanations may use to be faster; each
/// default claims nothing.
pub trait Specification: Debug + Send + Sync + Sized {
    /// An operation with its result, as the model understands it. Equal operations are
    /// interchangeable.
    type Operation: Clone + Eq + Hash + Debug + Send + Sync;
    /// The state of the object between two operations.
    type State: Clone + Eq + Hash + Debug + Send + Sync;

    /// The state before the first operation.
    fn init(&self) -> Self::State;

    /// The state after the operation, or `None` if its result is impossible in this state.
    fn step(&self, state: &Self::State, operation: &Self::Operation) -> Option<Self::State>;

    /// Whether the operation leaves every state in which it is possible as it is.
    fn is_read(&self, _operation: &Self::Operation) -> bool {
        false
    }

    /// Whether the state after the operation is the same whatever the state before.
    fn overwrites(&self, _operation: &Self::Operation) -> bool {
        false
    }

    /// Whether removing `mutator` from a legal sequence could make `observer` illegal when
    /// nothing that overwrites stands between them.
    fn observes(&self, _observer: &Self::Operation, _mutator: &Self::Operation) -> bool {
        true
    }

    /// The places of the state that an operation touches. Operations without a common place are
    /// independent: what the one does, and whether it is possible, does not depend on whether the
    /// other has happened, and both orders lead to the same state. `None` stands for all places.
    fn places(&self, _operation: &Self::Operation) -> Option<Vec<u64>> {
        None
    }

    /// Whether neither of the two must be left in a history when the other is removed, whichever
    /// came first: putting something in, and taking it out.
    fn inseparable(&self, _one: &Self::Operation, _other: &Self::Operation) -> bool {
        false
    }

    /// The same specification for these operations alone, if it needs fewer states then: states may
    /// be equal that no order of some of these operations can tell apart.
    fn focus(&self, _calls: &[Call<Self::Operation>]) -> Option<Self> {
        None
    }

    /// How much of a state no operation can ever agree with, whatever is done to it short of setting
    /// it anew. A search tries such states last.
    fn lost(&self, _state: &Self::State) -> usize {
        0
    }

    /// Marks the crashed operations that no completed operation can depend on: if any order
    /// explains the part, then so does one without them.
    fn unneeded(&self, calls: &[Call<Self::Operation>]) -> Vec<bool> {
        vec![false; calls.len()]
    }

    /// Engines that may decide its parts, fastest first. The general one always can, and needs no
    /// mention.
    const ENGINES: &'static [Engine] = &[];

    /// Decides with one of them, or `None` where the operations lack the structure that it needs,
    /// which it verifies and never assumes.
    fn decide_with(
        _engine: Engine,
        _problem: &Problem<'_, Self>,
        _budget: &Budget,
    ) -> Option<linearizability::Outcome<Self::State>> {
        None
    }

    /// The kind of a violation, if the operations prove one.
    fn diagnose(&self, _case: &Case<'_, Self::Operation>) -> Option<Finding> {
        None
    }

    /// How many bytes a state takes, with what it owns.
    fn size(&self, state: &Self::State) -> usize {
        size_of_val(state)
    }

    /// The state in words.
    fn describe(&self, history: &History, state: &Self::State) -> String;
}

/// An operation of a part: decoded, with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call<O> {
    /// The operation of the history.
    pub id: OpId,
    /// What it did, as the model understands it.
    pub operation: O,
    /// Rank of the invocation.
    pub call: u32,
    /// Rank of the completion; [`NEVER`](crate::history::NEVER) if it may never have happened.
    pub ret: u32,
}

/// The operations of one object, by invocation, with the specification that judges them.
#[derive(Clone, Debug)]
pub struct Part<S: Specification> {
    /// The object; `None` if the history has only one.
    pub key: Option<Value>,
    /// What the object promises.
    pub specification: S,
    /// Operations that happened or may have happened. Those of unknown outcome that could change
    /// nothing (a read without an answer) are left out: they constrain nothing.
    pub calls: Vec<Call<S::Operation>>,
    /// Operations that certainly did not happen; they only serve explanations.
    pub failed: Vec<Call<S::Operation>>,
}

/// Why a model cannot judge a history.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The model has no such operation.
    #[error(
        "{place}: the model {model} has no operation `{f}` (it has {known}); name another model"
    )]
    UnknownFunction {
        /// The invocation.
        place: Place,
        /// The model.
        model: &'static str,
        /// The function.
        f: String,
        /// The functions that the model has.
        known: &'static str,
    },
    /// An argument or a result that the model cannot read.
    #[error("{place}: `{f}` needs {expected}, but the value is {found}")]
    MalformedValue {
        /// The invocation or the completion.
        place: Place,
        /// The function.
        f: String,
        /// What the model can read.
        expected: &'static str,
        /// What it found.
        found: Value,
    },
}

/// Something to do with the parts of a history, whatever specification they are for.
pub trait Visitor {
    /// What comes out.
    type Output;
    /// Does it.
    fn visit<S: Specification>(self, parts: Vec<Part<S>>) -> Self::Output;
}

impl Model {
    /// Splits the history by key, decodes it, and hands over the parts.
    ///
    /// # Errors
    ///
    /// [`ModelError`] naming the first line that the model cannot read.
    pub fn decode<V: Visitor>(
        &self,
        history: &History,
        visitor: V,
    ) -> Result<V::Output, ModelError> {
        match self {
            Model::Register { initial, nil } => {
                let model = CasRegister::new(history, initial, *nil, false);
                Ok(visitor.visit(cas_register::parts(history, &model)?))
            }
            Model::CasRegister { initial, nil } => {
                let model = CasRegister::new(history, initial, *nil, true);
                Ok(visitor.visit(cas_register::parts(history, &model)?))
            }
            Model::MultiRegister { initial, nil } => {
                Ok(visitor.visit(multi_register::parts(history, initial, *nil)?))
            }
            Model::Kv => Ok(visitor.visit(kv::parts(history)?)),
            Model::Mutex => Ok(visitor.visit(mutex::parts(history)?)),
            Model::Set => Ok(visitor.visit(set::parts(history)?)),
            Model::GrowOnlySet => Ok(visitor.visit(grow_only_set::parts(history)?)),
            Model::Counter => Ok(visitor.visit(counter::parts(history)?)),
            Model::Queue => Ok(visitor.visit(container::parts(history, &Fifo)?)),
            Model::Stack => Ok(visitor.visit(container::parts(history, &Lifo)?)),
            Model::PriorityQueue { first } => Ok(visitor.visit(container::parts(history, first)?)),
            Model::OwnerLock => Ok(visitor.visit(owner_lock::parts(history)?)),
            Model::FencingToken => Ok(visitor.visit(fencing_token::parts(history)?)),
        }
    }
}

/// The operations of a history by key, keys in the order of their first operation.
fn by_key(history: &History) -> Vec<(Option<Value>, Vec<OpId>)> {
    let mut keys: IndexMap<Option<ValueId>, Vec<OpId>, FxBuildHasher> = IndexMap::default();
    for operation in history.operations() {
        keys.entry(operation.key_id()).or_default().push(operation.id());
    }
    let name = |key: Option<ValueId>| key.map(|key| history.values().get(key));
    keys.into_iter().map(|(key, ids)| (name(key), ids)).collect()
}

/// The parts of a history whose objects are all alike, keys in the order of their first operation.
/// `decode` gives `None` for an operation of unknown outcome that could change nothing.
///
/// The history is read in its own order, which is that of its columns, since there are long ones.
fn split<S: Specification + Clone>(
    history: &History,
    specification: &S,
    mut decode: impl FnMut(Operation<'_>) -> Result<Option<S::Operation>, ModelError>,
) -> Result<Vec<Part<S>>, ModelError> {
    let mut numbers: FxHashMap<Option<ValueId>, usize> = FxHashMap::default();
    let mut parts: Vec<Part<S>> = Vec::new();
    // Nearly always there is one key, or another one each time.
    let mut last: Option<(Option<ValueId>, usize)> = None;
    for operation in history.operations() {
        let key = operation.key_id();
        let number = match last {
            Some((last, number)) if last == key => number,
            _ => *numbers.entry(key).or_insert(parts.len()),
        };
        last = Some((key, number));
        if number == parts.len() {
            let key = key.map(|key| history.values().get(key));
            let specification = specification.clone();
            parts.push(Part { key, specification, calls: Vec::new(), failed: Vec::new() });
        }
        if let Some(decoded) = decode(operation)? {
            parts[number].push(operation, decoded);
        }
    }
    parts.iter_mut().for_each(Part::sort);
    Ok(parts)
}

/// Builds a part from the operations of one key. `decode` gives `None` for an operation of
/// unknown outcome that could change nothing.
fn part<S: Specification>(
    history: &History,
    key: Option<Value>,
    ids: &[OpId],
    specification: S,
    mut decode: impl FnMut(&S, Operation<'_>) -> Result<Option<S::Operation>, ModelError>,
) -> Result<Part<S>, ModelError> {
    let calls = Vec::with_capacity(ids.len());
    let mut part = Part { key, specification, calls, failed: Vec::new() };
    for &id in ids {
        let operation = history.operation(id);
        if let Some(decoded) = decode(&part.specification, operation)? {
            part.push(operation, decoded);
        }
    }
    part.sort();
    Ok(part)
}

impl<S: Specification> Part<S> {
    fn push(&mut self, operation: Operation<'_>, decoded: S::Operation) {
        let (call, ret) = (operation.call(), operation.ret());
        let call = Call { id: operation.id(), operation: decoded, call, ret };
        match operation.outcome() {
            Outcome::Ok | Outcome::Info => self.calls.push(call),
            Outcome::Fail => self.failed.push(call),
        }
    }

    /// Puts the operations in the order of their invocations.
    fn sort(&mut self) {
        self.calls.sort_by_key(|call| call.call);
    }
}

/// An error about the argument of an operation.
fn bad_input(operation: Operation<'_>, expected: &'static str) -> ModelError {
    ModelError::MalformedValue {
        place: operation.call_place(),
        f: operation.f().to_owned(),
        expected,
        found: operation.input(),
    }
}

/// An error about the result of an operation.
fn bad_output(operation: Operation<'_>, expected: &'static str) -> ModelError {
    ModelError::MalformedValue {
        place: operation.return_place().unwrap_or(operation.call_place()),
        f: operation.f().to_owned(),
        expected,
        found: operation.output(),
    }
}

/// An error about an operation that the model does not have.
fn unknown(operation: Operation<'_>, model: &'static str, known: &'static str) -> ModelError {
    let (place, f) = (operation.call_place(), operation.f().to_owned());
    ModelError::UnknownFunction { place, model, f, known }
}
