//! Other checkers, and what they have to know of a history to check it.
//!
//! All of them search for an order with a sequential object of the user's, after Wing & Gong (JPDC
//! 1993); so there is one object for each workload, and one adapter for each checker. What it takes
//! to bring a history into a checker's own form is not measured.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;

use rashomon_checker::History;
use rashomon_checker::history::Value;
use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};
use todc_utils::{Action, WGLChecker};

/// An operation with its result.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    Read(i64),
    Write(i64),
    Cas { old: i64, new: i64, is_done: bool },
    Put(i64),
    Take(Option<i64>),
}

use Operation::{Cas, Put, Read, Take, Write};

/// What operations work on.
pub(crate) trait Object:
    Clone + Debug + Default + Eq + Hash + Send + Sync + 'static
{
    /// Whether the operation is possible now; if so, it takes place.
    fn step(&mut self, operation: &Operation) -> bool;
}

/// A register, 0 at first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Register(i64);

impl Object for Register {
    fn step(&mut self, operation: &Operation) -> bool {
        match *operation {
            Read(value) => value == self.0,
            Write(value) => {
                self.0 = value;
                true
            }
            Cas { old, new, is_done } => {
                let is_right = (self.0 == old) == is_done;
                if is_right && is_done {
                    self.0 = new;
                }
                is_right
            }
            Put(_) | Take(_) => false,
        }
    }
}

/// First in, first out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Queue(VecDeque<i64>);

impl Object for Queue {
    fn step(&mut self, operation: &Operation) -> bool {
        match *operation {
            Put(item) => self.0.push_back(item),
            Take(taken) if self.0.front().copied() == taken => drop(self.0.pop_front()),
            _ => return false,
        }
        true
    }
}

/// Last in, first out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Stack(Vec<i64>);

impl Object for Stack {
    fn step(&mut self, operation: &Operation) -> bool {
        match *operation {
            Put(item) => self.0.push(item),
            Take(taken) if self.0.last().copied() == taken => drop(self.0.pop()),
            _ => return false,
        }
        true
    }
}

/// What an operation of a history did; all of them happened.
fn operation(of: rashomon_checker::history::Operation<'_>) -> Operation {
    let (input, output) = (of.input(), of.output());
    let int = |value: &Value| value.as_int().expect("an integer");
    match of.f() {
        "read" => Read(int(&output)),
        "write" => Write(int(&input)),
        "cas" => match input.as_list() {
            Some([old, new]) => {
                Cas { old: int(old), new: int(new), is_done: output == Value::Bool(true) }
            }
            _ => panic!("cas of {input}"),
        },
        "enqueue" | "push" => Put(int(&input)),
        "dequeue" | "pop" => Take(output.as_int()),
        other => panic!("no workload has {other}"),
    }
}

/// An object as a model of `porcupine-rs` and as a specification of `todc-utils`.
#[derive(Clone, Debug)]
struct Sequential<O>(PhantomData<O>);

fn stepped<O: Object>(state: &O, operation: &Operation) -> (bool, O) {
    let mut next = state.clone();
    let is_possible = next.step(operation);
    (is_possible, next)
}

impl<O: Object> porcupine_rs::Model for Sequential<O> {
    type State = O;
    type Op = Operation;
    type Metadata = ();

    fn init() -> O {
        O::default()
    }

    fn step(state: &O, operation: &Operation) -> (bool, O) {
        stepped(state, operation)
    }
}

impl<O: Object> todc_utils::Specification for Sequential<O> {
    type State = O;
    type Operation = Operation;

    fn init() -> O {
        O::default()
    }

    fn apply(operation: &Operation, state: &O) -> (bool, O) {
        stepped(state, operation)
    }
}

/// An object as a specification of `stateright`.
#[derive(Clone, Debug, Default)]
struct Reference<O>(O);

impl<O: Object> SequentialSpec for Reference<O> {
    type Op = Operation;
    /// The result is part of the operation.
    type Ret = ();

    fn invoke(&mut self, operation: &Operation) {
        self.0.step(operation);
    }

    fn is_valid_step(&mut self, operation: &Operation, (): &()) -> bool {
        self.0.step(operation)
    }
}

/// Says whether a history is linearizable.
pub(crate) type Check = Box<dyn Fn() -> bool + Send>;

/// Another checker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Peer {
    /// Wing & Gong's search with Lowe's cache, as Porcupine for Go.
    Porcupine,
    /// The same search, for teaching.
    Todc,
    /// A search through all orders, for the small histories of a model checker.
    Stateright,
}

impl Peer {
    /// The name of its crate.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Peer::Porcupine => "porcupine-rs",
            Peer::Todc => "todc-utils",
            Peer::Stateright => "stateright",
        }
    }

    /// Brings a history into its form.
    pub(crate) fn prepare<O: Object>(self, history: &History) -> Check {
        match self {
            Peer::Porcupine => porcupine::<O>(history),
            Peer::Todc => todc::<O>(history),
            Peer::Stateright => stateright::<O>(history),
        }
    }
}

fn porcupine<O: Object>(history: &History) -> Check {
    let operations: Vec<porcupine_rs::Operation<Sequential<O>>> = history
        .operations()
        .map(|of| porcupine_rs::Operation {
            client_id: u32::try_from(of.process()).ok(),
            call_time: i64::from(of.call()),
            return_time: i64::from(of.ret()),
            op: operation(of),
            metadata: None,
        })
        .collect();
    Box::new(move || porcupine_rs::check_operations(&operations))
}

fn todc<O: Object>(history: &History) -> Check {
    let actions = each_end(history).map(|(process, operation, is_call)| {
        let action = if is_call { Action::Call(operation) } else { Action::Response(operation) };
        (process as usize, action)
    });
    let history = todc_utils::History::from_actions(actions.collect());
    Box::new(move || WGLChecker::<Sequential<O>>::is_linearizable(history.clone()))
}

fn stateright<O: Object>(history: &History) -> Check {
    let mut tester = LinearizabilityTester::new(Reference::<O>::default());
    for (process, operation, is_call) in each_end(history) {
        let told = match is_call {
            true => tester.on_invoke(process, operation).map(drop),
            false => tester.on_return(process, ()).map(drop),
        };
        told.expect("processes do one thing at a time");
    }
    Box::new(move || tester.is_consistent())
}

/// Invocations and completions in their order: the process, the operation, and whether it begins.
fn each_end(history: &History) -> impl Iterator<Item = (u64, Operation, bool)> {
    let mut ends = vec![None; history.ranks() as usize];
    for of in history.operations() {
        ends[of.call() as usize] = Some((of.process(), operation(of), true));
        ends[of.ret() as usize] = Some((of.process(), operation(of), false));
    }
    ends.into_iter().flatten()
}
