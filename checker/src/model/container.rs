//! Containers: what is put in comes out again, in the order that a discipline dictates.
//!
//! A queue, a stack and a priority queue differ only in where a newcomer goes and in who comes out
//! next. They share everything else: their operations, the engine, and what an explanation may
//! leave out.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::hash::Hash;

use rustc_hash::FxHashSet;

use super::{Call, ModelError, Part, Specification, bad_input, bad_output, split, unknown};
use crate::history::{History, NEVER, Operation, Outcome, ValueId};
use crate::linearizability::{self, Budget, Engine, Items, Problem, decide_container};

/// In what order things come out.
pub trait Discipline: Clone + Debug + Send + Sync + Sized + 'static {
    /// What is put in.
    type Item: Copy + Eq + Hash + Debug + Send + Sync;
    /// The name of the model.
    const MODEL: &'static str;
    /// The operation that puts something in, and the one that takes something out.
    const NAMES: [&'static str; 2];
    /// Both, for who names another.
    const KNOWN: &'static str;
    /// What can be put in, for who puts in something else.
    const EXPECTED: &'static str;

    /// The item that a value stands for; `nil` stands for none.
    fn item(history: &History, value: ValueId) -> Option<Self::Item>;

    /// The item in words.
    fn describe(history: &History, item: Self::Item) -> String;

    /// Puts an item where it belongs. The first item is always the one to come out next.
    fn put(&self, items: &mut VecDeque<Self::Item>, item: Self::Item);

    /// Whether an unknown taker can always be thought to take what the container would give him of
    /// all that nobody else takes, as soon as there is anything.
    const TAKES_IN_ORDER: bool;

    /// Finds an order of distinct items, each put in once, and tells it operation by operation;
    /// `false` if there is none.
    fn order(&self, items: &Items<Self::Item>, tell: impl FnMut(u32)) -> bool;
}

/// A container with its discipline.
#[derive(Clone, Copy, Debug, Default)]
pub struct Container<D>(pub(super) D);

/// An operation on a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContainerOperation<T> {
    /// Put this in.
    Put(T),
    /// Took this out; it was next.
    Take(T),
    /// Found the container empty.
    TakeNothing,
    /// Crashed: may have taken out whatever was next, if anything, and nobody knows what.
    TakeUnknown,
}

use ContainerOperation::{Put, Take, TakeNothing, TakeUnknown};

pub(super) fn parts<D: Discipline>(
    history: &History,
    discipline: &D,
) -> Result<Vec<Part<Container<D>>>, ModelError> {
    let functions: Vec<Option<Function>> =
        history.functions().map(|name| Function::of::<D>(name)).collect();
    split(history, &Container(discipline.clone()), |operation| {
        let function = functions[operation.function_id()]
            .ok_or_else(|| unknown(operation, D::MODEL, D::KNOWN))?;
        decode::<D>(history, function, operation).map(Some)
    })
}

/// What a function of a history does.
#[derive(Clone, Copy, Debug)]
enum Function {
    Put,
    Take,
}

impl Function {
    fn of<D: Discipline>(name: &str) -> Option<Self> {
        let [put, take] = D::NAMES;
        match name {
            name if name == put => Some(Function::Put),
            name if name == take => Some(Function::Take),
            _ => None,
        }
    }
}

fn decode<D: Discipline>(
    history: &History,
    function: Function,
    operation: Operation<'_>,
) -> Result<ContainerOperation<D::Item>, ModelError> {
    match (function, operation.outcome(), operation.output_id()) {
        (Function::Put, _, _) => {
            let item = D::item(history, operation.input_id());
            item.map(Put).ok_or_else(|| bad_input(operation, D::EXPECTED))
        }
        (Function::Take, Outcome::Info | Outcome::Fail, _) => Ok(TakeUnknown),
        (Function::Take, Outcome::Ok, ValueId::NIL) => Ok(TakeNothing),
        (Function::Take, Outcome::Ok, value) => {
            let item = D::item(history, value);
            item.map(Take).ok_or_else(|| bad_output(operation, D::EXPECTED))
        }
    }
}

impl<D: Discipline> Container<D> {
    pub(crate) fn discipline(&self) -> &D {
        &self.0
    }
}

impl<D: Discipline> Specification for Container<D> {
    type Operation = ContainerOperation<D::Item>;
    /// What is in it, from the next to come out to the last.
    type State = VecDeque<D::Item>;

    fn init(&self) -> Self::State {
        VecDeque::new()
    }

    fn step(&self, items: &Self::State, operation: &Self::Operation) -> Option<Self::State> {
        let mut items = items.clone();
        match operation {
            Put(item) => self.0.put(&mut items, *item),
            Take(item) => {
                items.pop_front().filter(|next| next == item)?;
            }
            TakeNothing if items.is_empty() => {}
            TakeNothing => return None,
            TakeUnknown => {
                items.pop_front();
            }
        }
        Some(items)
    }

    fn is_read(&self, operation: &Self::Operation) -> bool {
        matches!(operation, TakeNothing)
    }

    /// Without an item, only who took it is at a loss: everything else finds the same next, or
    /// need not have happened. Without somebody who took anything, all later takers are.
    fn observes(&self, observer: &Self::Operation, mutator: &Self::Operation) -> bool {
        match (mutator, observer) {
            (Put(item), Take(taken)) => item == taken,
            (TakeUnknown, Take(_) | TakeNothing) => true,
            _ => false,
        }
    }

    /// What was taken out must not stay in because its taker is left out.
    fn inseparable(&self, one: &Self::Operation, other: &Self::Operation) -> bool {
        matches!((one, other), (Put(put), Take(taken)) | (Take(taken), Put(put)) if put == taken)
    }

    /// A crashed putting in of what nobody took out is in nobody's way if it did not happen.
    fn unneeded(&self, calls: &[Call<Self::Operation>]) -> Vec<bool> {
        let taken = |call: &Call<Self::Operation>| match call.operation {
            Take(item) => Some(item),
            _ => None,
        };
        let taken: FxHashSet<D::Item> = calls.iter().filter_map(taken).collect();
        let unneeded = |call: &Call<Self::Operation>| match &call.operation {
            Put(item) => call.ret == NEVER && !taken.contains(item),
            _ => false,
        };
        calls.iter().map(unneeded).collect()
    }

    const ENGINES: &'static [Engine] = &[Engine::Elements];

    fn decide_with(
        _engine: Engine,
        problem: &Problem<'_, Self>,
        budget: &Budget,
    ) -> Option<linearizability::Outcome<Self::State>> {
        decide_container(problem, budget)
    }

    fn size(&self, items: &Self::State) -> usize {
        size_of_val(items) + items.capacity() * size_of::<D::Item>()
    }

    fn describe(&self, history: &History, items: &Self::State) -> String {
        let items: Vec<String> = items.iter().map(|&item| D::describe(history, item)).collect();
        match items.is_empty() {
            true => "empty".to_owned(),
            false => format!("[{}]", items.join(" ")),
        }
    }
}
