//! Engines by name, what an engine is asked, and what it says; and the choice among them.
//!
//! The general engine can decide everything. The faster ones need structure that a specification
//! knows of ([`Specification::ENGINES`]) and that each of them verifies in the operations at hand.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Budget, Resource, general};
use crate::model::{Call, Specification};

/// A way to decide a part. The general engine can decide every part; the others only those whose
/// operations have the structure they need, which they verify and never assume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// Unique values: clusters of operations that must stand together, and no search.
    Zones,
    /// One data type, one greedy algorithm: sets, counters, queues, stacks, locks.
    Elements,
    /// Registers with repeated values: a search over what is pending.
    Lazy,
    /// Any model: a search over what is pending, with memory.
    General,
}

impl Engine {
    /// Every engine.
    pub const ALL: [Engine; 4] = [Engine::Zones, Engine::Elements, Engine::Lazy, Engine::General];

    /// The name, as it is typed and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Engine::Zones => "zones",
            Engine::Elements => "elements",
            Engine::Lazy => "lazy",
            Engine::General => "general",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that is no engine's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no engine `{0}`; there are zones, elements, lazy and general")]
pub struct UnknownEngine(String);

impl FromStr for Engine {
    type Err = UnknownEngine;

    fn from_str(name: &str) -> Result<Self, UnknownEngine> {
        let named = Engine::ALL.into_iter().find(|engine| engine.as_str() == name);
        named.ok_or_else(|| UnknownEngine(name.to_owned()))
    }
}

/// Operations to be put in order, from a state on.
#[derive(Debug)]
pub struct Problem<'a, S: Specification> {
    /// The specification.
    pub(crate) specification: &'a S,
    /// The state before the first operation.
    pub(crate) start: &'a S::State,
    /// The operations, by invocation.
    pub(crate) calls: &'a [Call<S::Operation>],
}

/// What an engine says of a problem; operations are indices into its calls.
#[derive(Debug)]
pub enum Outcome<State> {
    /// This order is legal.
    Linearizable(Vec<u32>),
    /// No order leads past the return of `stuck`, the first such return that the budget let the
    /// engine find, and right before it the object can be in these states; none are given where
    /// the engine does not know all of them.
    Violation {
        /// The operation that cannot be placed.
        stuck: u32,
        /// The states before it.
        states: Vec<State>,
    },
    /// Nobody knows; the furthest return that was reached is that of `reached`.
    Exhausted {
        /// What was not enough.
        resource: Resource,
        /// The operation that returned last before the end, if any did.
        reached: Option<u32>,
    },
}

impl<State> Outcome<State> {
    /// The same of states under another name.
    pub(crate) fn map_states<Other>(self, rename: impl Fn(State) -> Other) -> Outcome<Other> {
        match self {
            Outcome::Linearizable(order) => Outcome::Linearizable(order),
            Outcome::Violation { stuck, states } => {
                Outcome::Violation { stuck, states: states.into_iter().map(rename).collect() }
            }
            Outcome::Exhausted { resource, reached } => Outcome::Exhausted { resource, reached },
        }
    }
}

/// An outcome, with the engine that it came from.
#[derive(Debug)]
pub(crate) struct Decision<State> {
    pub(crate) engine: Engine,
    pub(crate) outcome: Outcome<State>,
}

/// Decides a problem with the fastest engine that can.
pub(crate) fn decide<S: Specification>(
    problem: &Problem<'_, S>,
    budget: &Budget,
) -> Outcome<S::State> {
    let fast = S::ENGINES.iter().find_map(|&engine| S::decide_with(engine, problem, budget));
    fast.unwrap_or_else(|| general::decide(problem, budget, true))
}

/// Decides without leaving out what makes no difference to the verdict, so that the states of a
/// violation are complete.
pub(crate) fn decide_fully<S: Specification>(
    problem: &Problem<'_, S>,
    budget: &Budget,
) -> Outcome<S::State> {
    general::decide(problem, budget, false)
}

/// Decides all operations of one object with the engine that is asked for, or with the fastest that
/// can.
pub(crate) fn decide_part<S: Specification>(
    specification: &S,
    calls: &[Call<S::Operation>],
    asked: Option<Engine>,
    budget: &Budget,
) -> Decision<S::State> {
    let problem = Problem { specification, start: &specification.init(), calls };
    let fast = S::ENGINES.iter().filter(|&&engine| asked.is_none_or(|asked| asked == engine));
    let decided = fast.copied().find_map(|engine| {
        let outcome = S::decide_with(engine, &problem, budget)?;
        Some(Decision { engine, outcome })
    });
    match (decided, asked) {
        (Some(decision), _) => decision,
        (None, None | Some(Engine::General)) => {
            Decision { engine: Engine::General, outcome: decide_focused(&problem, budget) }
        }
        (None, Some(engine)) => {
            let resource = Resource::Engine(engine);
            Decision { engine, outcome: Outcome::Exhausted { resource, reached: None } }
        }
    }
}

/// The general engine on as few states as the operations need, so that those of a violation are
/// not all there are, and none are given.
fn decide_focused<S: Specification>(
    problem: &Problem<'_, S>,
    budget: &Budget,
) -> Outcome<S::State> {
    let outcome = match problem.specification.focus(problem.calls) {
        None => general::decide(problem, budget, true),
        Some(focused) => {
            let start = &focused.init();
            let problem = Problem { specification: &focused, start, calls: problem.calls };
            general::decide(&problem, budget, true)
        }
    };
    match outcome {
        Outcome::Violation { stuck, .. } => Outcome::Violation { stuck, states: Vec::new() },
        decided => decided,
    }
}
