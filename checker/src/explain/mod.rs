//! Explanations: why no order explains a history, as data and as one sentence.
//!
//! The engine says at which return no story is left. From there two roads lead to something a
//! person can check: a *cause* with the few operations that prove it, and a *minimal
//! sub-history* that is still a violation and shows nothing else. Both have a time
//! limit of their own and cannot cost the verdict.

mod cause;
mod graph;
mod kv;
mod minimise;
mod mutex;
mod record;
mod register;
mod sentence;

use std::time::Duration;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::history::{History, NEVER, OpId, Place, Value};
use crate::linearizability::{Budget, Outcome, Problem, decide_fully};
use crate::model::{Call, Model, Part, Specification};

pub use cause::{Case, Cause, Evidence, Finding, Role};
pub use graph::{ConflictGraph, Node, Relation, precedence};
pub use record::OperationRecord;

use record::shortened;

pub(crate) use kv::diagnose as diagnose_kv;
pub(crate) use mutex::diagnose as diagnose_mutex;
pub(crate) use register::diagnose as diagnose_register;

/// How many states an explanation lists.
const MAX_STATES: usize = 32;

/// Why no order explains a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The model, with its options.
    pub model: String,
    /// The object; `None` if the history has only one.
    pub key: Option<String>,
    /// What kind of violation it is.
    pub cause: Cause,
    /// The operation that cannot be placed: every order fails at its completion, and everything up
    /// to there has one.
    pub operation: OpId,
    /// Where its completion stands.
    pub place: Place,
    /// The states in which the object can be right before that completion, long ones shortened;
    /// no more than a few dozen.
    pub states: Vec<String>,
    /// Results of that operation that would have been legal; empty if it could only have failed.
    pub legal: Vec<String>,
    /// The operations that prove the cause, the one that cannot be placed last; empty if the cause
    /// is [`Cause::NoOrder`].
    pub proof: Vec<Evidence>,
    /// A sub-history that is still a violation, by invocation.
    pub minimal: Vec<OpId>,
    /// Where the sub-history begins, if that is not the initial state.
    pub start: Option<Start>,
    /// Whether nothing more can be left out of it; `false` if time ran out before that was known.
    pub is_minimal: bool,
    /// All operations that the proof and the sub-history mention, by invocation.
    pub operations: Vec<OperationRecord>,
    /// Other objects that are violated too.
    pub also_violated: Vec<String>,
    sentence: String,
}

/// Where a sub-history begins that does not begin at first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The state, which is certain at that instant.
    pub state: String,
    /// Operations that lead to it from the initial state, in order.
    pub operations: Vec<OpId>,
}

impl Explanation {
    /// The violation in plain words.
    pub fn sentence(&self) -> &str {
        &self.sentence
    }
}

/// What is to be explained.
#[derive(Debug)]
pub(crate) struct Subject<'a, S: Specification> {
    pub(crate) history: &'a History,
    pub(crate) model: &'a Model,
    pub(crate) part: &'a Part<S>,
}

/// Explains why a part has no story beyond the return of its operation number `stuck`, before
/// which the object can be in `states`; none if they are not known.
pub(crate) fn explain<S: Specification>(
    subject: &Subject<'_, S>,
    stuck: u32,
    states: &[S::State],
    also_violated: &[&Value],
    time: Duration,
    memory: usize,
) -> Explanation {
    let (history, part) = (subject.history, subject.part);
    let stuck = &part.calls[stuck as usize];
    let calls = until(&part.calls, stuck.ret, &part.specification);
    let states = match states {
        [] => {
            let budget = Budget::new(time / 4, memory / 16);
            all_states(&part.specification, &calls, stuck.id, &budget)
        }
        known => known.to_vec(),
    };
    let (all, failed) = (&part.calls, &part.failed);
    let case = Case { calls: &calls, all, failed, stuck, whole: true };
    let finding = part.specification.diagnose(&case);
    let seed = finding.as_ref().map_or(&[][..], |finding| &finding.proof);
    let seed: Vec<OpId> = seed.iter().map(|evidence| evidence.operation).collect();
    let budget = Budget::new(time - time / 4, memory);
    let focused = part.specification.focus(&calls);
    let specification = focused.as_ref().unwrap_or(&part.specification);
    let smallest = minimise::minimise(specification, &calls, stuck.id, &seed, &budget);
    let finding = finding
        .or_else(|| {
            let calls = &since(smallest.cut_at, &smallest.calls, case.calls);
            part.specification.diagnose(&Case { calls, whole: false, ..case })
        })
        .unwrap_or(Finding { cause: Cause::NoOrder, proof: Vec::new() });
    let describe = |state: &S::State| shortened(&part.specification.describe(history, state));
    let states: Vec<String> = states.iter().take(MAX_STATES).map(describe).collect();
    let minimal: Vec<OpId> = smallest.calls.iter().map(|call| call.id).collect();
    let operation = history.operation(stuck.id);
    let mut explanation = Explanation {
        model: subject.model.to_string(),
        key: part.key.as_ref().map(Value::name),
        cause: finding.cause,
        operation: stuck.id,
        place: operation.return_place().unwrap_or(operation.call_place()),
        legal: match part.specification.is_read(&stuck.operation) {
            true => states.clone(),
            false => Vec::new(),
        },
        states,
        start: (!smallest.before.is_empty()).then(|| Start {
            state: describe(&after(part, &smallest.before)),
            operations: smallest.before,
        }),
        operations: records(history, &minimal, &finding.proof),
        proof: finding.proof,
        minimal,
        is_minimal: smallest.is_minimal,
        also_violated: also_violated.iter().map(|key| key.name()).collect(),
        sentence: String::new(),
    };
    explanation.sentence = sentence::sentence(&explanation);
    explanation
}

/// The states right before the stuck operation completes, also those that only operations make
/// which the verdict could do without; none if that takes too long.
fn all_states<S: Specification>(
    specification: &S,
    calls: &[Call<S::Operation>],
    stuck: OpId,
    budget: &Budget,
) -> Vec<S::State> {
    let start = &specification.init();
    match decide_fully(&Problem { specification, start, calls }, budget) {
        Outcome::Violation { stuck: at, states } if calls[at as usize].id == stuck => states,
        _ => Vec::new(),
    }
}

/// All operations that were not over at a cut, and those that a sub-history keeps from before it.
fn since<O: Clone>(cut_at: u32, sub: &[Call<O>], calls: &[Call<O>]) -> Vec<Call<O>> {
    let kept = |call: &&Call<O>| sub.iter().any(|kept| kept.id == call.id);
    calls.iter().filter(|call| call.ret >= cut_at || kept(call)).cloned().collect()
}

/// The state after these operations; a step that is impossible changes nothing.
fn after<S: Specification>(part: &Part<S>, operations: &[OpId]) -> S::State {
    let calls: FxHashMap<OpId, &Call<S::Operation>> =
        part.calls.iter().map(|call| (call.id, call)).collect();
    operations.iter().fold(part.specification.init(), |state, id| {
        let next = calls.get(id).and_then(|call| part.specification.step(&state, &call.operation));
        next.unwrap_or(state)
    })
}

/// The operations that an explanation mentions, by invocation.
fn records(history: &History, minimal: &[OpId], proof: &[Evidence]) -> Vec<OperationRecord> {
    let mut mentioned: Vec<OpId> = minimal.to_vec();
    mentioned.extend(proof.iter().map(|evidence| evidence.operation));
    mentioned.sort_by_key(|&id| history.operation(id).call());
    mentioned.dedup();
    mentioned.iter().map(|&id| OperationRecord::new(history.operation(id))).collect()
}

/// The history up to the completion with this rank: what was pending then may never have happened,
/// and reads among it say nothing.
fn until<S: Specification>(
    calls: &[Call<S::Operation>],
    rank: u32,
    specification: &S,
) -> Vec<Call<S::Operation>> {
    let begun = &calls[..calls.partition_point(|call| call.call < rank)];
    let cut = |call: &Call<S::Operation>| Call {
        ret: if call.ret > rank { NEVER } else { call.ret },
        ..call.clone()
    };
    let says_nothing =
        |call: &Call<S::Operation>| call.ret == NEVER && specification.is_read(&call.operation);
    begun.iter().map(cut).filter(|call| !says_nothing(call)).collect()
}
