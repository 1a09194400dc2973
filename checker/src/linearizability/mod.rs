//! Linearizability: is there one order of the operations that is legal for the model and agrees
//! with real time (Herlihy & Wing, TOPLAS 1990)?
//!
//! [`check`] splits the history into independent parts (unless it is told not to), decides each with an engine, and turns the
//! outcomes into a [`Verdict`]. A violation in one part is a violation, whatever the others did.

pub mod brute;
mod budget;
mod elements;
mod engine;
mod general;
mod glance;
mod joined;
mod lazy;
mod verdict;
mod witness;
mod zones;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::explain::{Subject, explain};
use crate::history::{History, Value};
use crate::model::{Model, ModelError, Part, Specification, Visitor};

pub use budget::Resource;
pub use engine::{Engine, UnknownEngine};
pub use verdict::{Bound, Examined, Options, Verdict};
pub use witness::{CertificateError, Witness, certify};

pub(crate) use budget::Budget;
pub(crate) use elements::{
    Items, decide_container, decide_counter, decide_fencing_token, decide_grow_only_set,
    decide_mutex, decide_owner_lock, decide_set, order_priority_queue, order_queue, order_stack,
};
pub(crate) use engine::{Decision, Outcome, Problem, decide, decide_fully};
pub(crate) use general::{Standing, standings};
pub(crate) use lazy::decide as decide_lazily;
pub(crate) use zones::{decide_kv, decide_register};

/// Decides whether a history is linearizable. The verdict does not depend on how many threads
/// work on it, except that what hits a bound may hit it elsewhere.
///
/// # Errors
///
/// [`ModelError`] if the model cannot read the history.
pub fn check(history: &History, model: &Model, options: &Options) -> Result<Verdict, ModelError> {
    Ok(examine(history, model, options)?.verdict)
}

/// Does the same and also says how the verdict was found.
///
/// # Errors
///
/// [`ModelError`] if the model cannot read the history.
pub fn examine(
    history: &History,
    model: &Model,
    options: &Options,
) -> Result<Examined, ModelError> {
    if let Some(examined) = glance::examine(history, model, options) {
        return Ok(examined);
    }
    model.decode(history, Check { history, model, options })
}

struct Check<'a> {
    history: &'a History,
    model: &'a Model,
    options: &'a Options,
}

impl Visitor for Check<'_> {
    type Output = Examined;

    fn visit<S: Specification>(self, parts: Vec<Part<S>>) -> Examined {
        let budget = Budget::new(self.options.time, self.options.memory);
        if !self.options.partition && parts.len() > 1 {
            return self.examine_joined(&parts, &budget);
        }
        let decisions = self.decide_all(&parts, &budget);
        let mut engines = BTreeMap::new();
        for decision in &decisions {
            *engines.entry(decision.engine).or_default() += 1;
        }
        let outcomes = decisions.into_iter().map(|decision| decision.outcome).collect();
        let verdict = self.judge(&parts, outcomes);
        Examined { verdict, parts: parts.len(), engines, memory: budget.peak() }
    }
}

impl Check<'_> {
    /// Joins the outcomes of all parts.
    fn judge<S: Specification>(
        &self,
        parts: &[Part<S>],
        mut outcomes: Vec<Outcome<S::State>>,
    ) -> Verdict {
        // The violation that shows first is the one to explain, whichever thread found it.
        let shows = |number: usize| match &outcomes[number] {
            Outcome::Violation { stuck, .. } => Some(parts[number].calls[*stuck as usize].ret),
            _ => None,
        };
        let mut violated: Vec<(u32, usize)> =
            (0..parts.len()).filter_map(|number| Some((shows(number)?, number))).collect();
        violated.sort_unstable();
        if let Some(&(_, first)) = violated.first()
            && let Outcome::Violation { stuck, states } = outcomes.swap_remove(first)
        {
            let others = violated[1..].iter().filter_map(|&(_, number)| parts[number].key.as_ref());
            let others: Vec<_> = others.collect();
            return self.explain(&parts[first], stuck, &states, &others);
        }
        match Bound::of(self.history, parts, &outcomes) {
            Some(bound) => Verdict::Unknown(bound),
            None => Verdict::Valid(witness(self.history, parts, outcomes)),
        }
    }

    fn explain<S: Specification>(
        &self,
        part: &Part<S>,
        stuck: u32,
        states: &[S::State],
        others: &[&Value],
    ) -> Verdict {
        let subject = Subject { history: self.history, model: self.model, part };
        let (time, memory) = (self.options.explanation_time, self.options.memory);
        Verdict::Invalid(Box::new(explain(&subject, stuck, states, others, time, memory)))
    }

    /// Decides all parts as one object; a violation is still explained by the object that shows it.
    fn examine_joined<S: Specification>(&self, parts: &[Part<S>], budget: &Budget) -> Examined {
        let joined = joined::join(parts);
        let Decision { engine, outcome } =
            engine::decide_part(&joined.specification, &joined.calls, self.options.engine, budget);
        let verdict = match &outcome {
            &Outcome::Violation { stuck, .. } => {
                let (number, stuck) = joined::locate(parts, &joined, stuck);
                self.explain(&parts[number], stuck, &[], &[])
            }
            _ => self.judge(std::slice::from_ref(&joined), vec![outcome]),
        };
        let engines = BTreeMap::from([(engine, 1)]);
        Examined { verdict, parts: 1, engines, memory: budget.peak() }
    }

    /// Decides all parts in parallel, the largest first, so that none is left to run alone at the
    /// end. The outcomes are in the order of the parts.
    fn decide_all<S: Specification>(
        &self,
        parts: &[Part<S>],
        budget: &Budget,
    ) -> Vec<Decision<S::State>> {
        let mut numbers: Vec<usize> = (0..parts.len()).collect();
        numbers.sort_by_key(|&number| Reverse(parts[number].calls.len()));
        let decide_one = |&number: &usize| {
            let part: &Part<S> = &parts[number];
            let asked = self.options.engine;
            (number, engine::decide_part(&part.specification, &part.calls, asked, budget))
        };
        let mut decisions: Vec<(usize, Decision<S::State>)> =
            numbers.par_iter().with_max_len(1).map(decide_one).collect();
        decisions.sort_by_key(|&(number, _)| number);
        decisions.into_iter().map(|(_, decision)| decision).collect()
    }
}

/// The witness of a history all of whose parts are linearizable.
fn witness<S: Specification>(
    history: &History,
    parts: &[Part<S>],
    outcomes: Vec<Outcome<S::State>>,
) -> Witness {
    let orders = parts.iter().zip(outcomes).map(|(part, outcome)| match outcome {
        Outcome::Linearizable(order) => {
            order.into_iter().map(|index| part.calls[index as usize].id).collect()
        }
        Outcome::Violation { .. } | Outcome::Exhausted { .. } => Vec::new(),
    });
    Witness::merge(history, orders.collect())
}
