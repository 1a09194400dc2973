//! Whatever a check says, held to the definition: the verdict, the first bad return, the witness,
//! the proof, and the minimal sub-history.

use rashomon_checker::explain::Role;
use rashomon_checker::history::{NEVER, OpId};
use rashomon_checker::linearizability::{Options, Resource, Verdict, brute, certify, check};
use rashomon_checker::model::{Call, Model, Part, Specification, Visitor};
use rashomon_checker::{Cause, Explanation, History};

/// Asks the definition.
struct Truth;

/// What the definition says of a history.
#[derive(Debug)]
pub(crate) struct Ruling {
    pub(crate) linearizable: bool,
    /// For each object that is violated, the first return at which no order is left, those that
    /// come first in the whole history first.
    bad: Vec<OpId>,
}

fn explained<S: Specification>(part: &Part<S>, calls: &[Call<S::Operation>]) -> bool {
    brute::linearizable(&part.specification, calls).expect("few operations")
}

/// The part as it was when the completion with this rank had just happened.
fn prefix<S: Specification>(part: &Part<S>, rank: u32) -> Vec<Call<S::Operation>> {
    let begun = part.calls.iter().filter(|call| call.call < rank).cloned();
    let cut = |call: Call<S::Operation>| Call {
        ret: if call.ret > rank { NEVER } else { call.ret },
        ..call
    };
    let says_nothing =
        |call: &Call<_>| call.ret == NEVER && part.specification.is_read(&call.operation);
    begun.map(cut).filter(|call| !says_nothing(call)).collect()
}

impl Visitor for Truth {
    type Output = Ruling;

    fn visit<S: Specification>(self, parts: Vec<Part<S>>) -> Ruling {
        let linearizable = parts.iter().all(|part| explained(part, &part.calls));
        let first_bad = |part: &Part<S>| {
            let completed = part.calls.iter().filter(|call| call.ret != NEVER);
            let bad = completed.filter(|call| !explained(part, &prefix(part, call.ret)));
            bad.map(|call| (call.ret, call.id)).min()
        };
        let mut bad: Vec<(u32, OpId)> = parts.iter().filter_map(first_bad).collect();
        bad.sort_unstable();
        Ruling { linearizable, bad: bad.into_iter().map(|(_, id)| id).collect() }
    }
}

/// Whether a sub-history is a violation by definition, after the operations that come before it.
struct IsViolation<'a> {
    before: &'a [OpId],
    of: &'a [OpId],
}

impl Visitor for IsViolation<'_> {
    type Output = bool;

    fn visit<S: Specification>(self, parts: Vec<Part<S>>) -> bool {
        parts.iter().any(|part| {
            let call = |id: &OpId| part.calls.iter().find(|call| call.id == *id);
            let start = self
                .before
                .iter()
                .filter_map(call)
                .fold(part.specification.init(), |state, call| {
                    part.specification.step(&state, &call.operation).expect("legal")
                });
            let kept = part.calls.iter().filter(|call| self.of.contains(&call.id));
            let kept: Vec<_> = kept.cloned().collect();
            brute::linearizable_from(&part.specification, &start, &kept) == Some(false)
        })
    }
}

/// Whether what a cause claims is true in every order that the rest of the history allows: the
/// unplaced operation is impossible there once its newer evidence has taken effect, or from the
/// beginning if there is none.
struct ClaimHolds<'a>(&'a Explanation);

impl Visitor for ClaimHolds<'_> {
    type Output = bool;

    fn visit<S: Specification>(self, parts: Vec<Part<S>>) -> bool {
        let evidence = |role| self.0.proof.iter().find(|step| step.role == role);
        let after = [Role::Newer, Role::Missed].into_iter().find_map(evidence);
        let after = after.map(|step| step.operation);
        let stuck = |part: &Part<S>| {
            part.calls.iter().find(|call| call.id == self.0.operation).map(|call| call.ret)
        };
        let Some((part, rank)) = parts.iter().find_map(|part| Some((part, stuck(part)?))) else {
            return false;
        };
        let mut rest = prefix(part, rank);
        let at = rest.iter().position(|call| call.id == self.0.operation).expect("begun");
        let stuck = rest.remove(at);
        let in_time = |id: OpId| rest.iter().any(|call| call.id == id && call.ret < stuck.call);
        after.is_none_or(in_time)
            && stays_impossible(part, &part.specification.init(), &rest, &stuck, after)
    }
}

/// Whether an operation is impossible in all states from here on, once `after` has taken effect.
fn stays_impossible<S: Specification>(
    part: &Part<S>,
    state: &S::State,
    rest: &[Call<S::Operation>],
    stuck: &Call<S::Operation>,
    after: Option<OpId>,
) -> bool {
    let counts = after.is_none_or(|after| rest.iter().all(|call| call.id != after));
    if counts && part.specification.step(state, &stuck.operation).is_some() {
        return false;
    }
    rest.iter().enumerate().all(|(index, next)| {
        let mut others = rest.to_vec();
        others.remove(index);
        let in_real_time = others.iter().all(|other| next.call < other.ret);
        let step = || part.specification.step(state, &next.operation);
        match in_real_time.then(step).flatten() {
            Some(state) => stays_impossible(part, &state, &others, stuck, after),
            None => true,
        }
    })
}

/// An operation that could be left out of a minimal sub-history: that overwrites nothing, and whom
/// nobody else there can have observed. The sub-history would still have to be a violation.
struct Needless<'a>(&'a Explanation);

impl Visitor for Needless<'_> {
    type Output = Option<OpId>;

    fn visit<S: Specification>(self, parts: Vec<Part<S>>) -> Option<OpId> {
        let Needless(explanation) = self;
        let is_stuck = |call: &Call<S::Operation>| call.id == explanation.operation;
        let part = parts.iter().find(|part| part.calls.iter().any(is_stuck))?;
        let specification = &part.specification;
        let find = |id: &OpId| part.calls.iter().find(|call| call.id == *id);
        let before = explanation.start.as_ref().map_or(&[][..], |start| &start.operations);
        let start = before.iter().filter_map(find).fold(specification.init(), |state, call| {
            specification.step(&state, &call.operation).expect("legal")
        });
        let until = prefix(part, part.calls.iter().find(|call| is_stuck(call))?.ret);
        let minimal = until.iter().filter(|call| explanation.minimal.contains(&call.id));
        let minimal: Vec<Call<S::Operation>> = minimal.cloned().collect();
        let could_go = |call: &&Call<S::Operation>| {
            let needs = |other: &Call<S::Operation>| {
                specification.observes(&other.operation, &call.operation)
                    || specification.inseparable(&other.operation, &call.operation)
            };
            let others = || minimal.iter().filter(|other| other.id != call.id);
            let rest: Vec<_> = others().cloned().collect();
            !is_stuck(call)
                && !specification.overwrites(&call.operation)
                && !others().any(needs)
                && brute::linearizable_from(specification, &start, &rest) == Some(false)
        };
        minimal.iter().find(could_go).map(|call| call.id)
    }
}

/// What the definition says of a history.
pub(crate) fn rule(history: &History, model: &Model) -> Ruling {
    let truth = model.decode(history, Truth).expect("the model reads what was generated for it");
    assert_eq!(truth.linearizable, truth.bad.is_empty(), "{truth:?}");
    truth
}

/// Holds a check to the definition; says whether there is an order, or `None` if the engine that
/// was asked for cannot tell. Without time for it, the explanation is not looked at.
pub(crate) fn hold(
    history: &History,
    model: &Model,
    options: &Options,
    truth: &Ruling,
    context: &str,
) -> Option<bool> {
    match check(history, model, options).expect(context) {
        Verdict::Valid(witness) => {
            assert!(truth.linearizable, "{context}: the engine accepts what no order explains");
            certify(history, model, &witness)
                .unwrap_or_else(|error| panic!("{context}: {error}: {witness:?}"));
            Some(true)
        }
        Verdict::Invalid(explanation) => {
            assert!(!truth.linearizable, "{context}: an order explains what the engine rejects");
            // One engine alone may have nothing to say of the object that is violated first.
            let first = if options.engine.is_none() { 1 } else { truth.bad.len() };
            let is_first = truth.bad.iter().take(first).any(|&bad| bad == explanation.operation);
            assert!(is_first, "{context}: {truth:?} but {explanation:?}");
            if !options.explanation_time.is_zero() {
                hold_explanation(history, model, &explanation, context);
            }
            Some(false)
        }
        Verdict::Unknown(bound) => {
            assert_eq!(options.engine.map(Resource::Engine), Some(bound.resource), "{context}");
            None
        }
    }
}

fn hold_explanation(history: &History, model: &Model, explanation: &Explanation, context: &str) {
    let is_violation = |of: &[OpId]| {
        let before = explanation.start.as_ref().map_or(&[][..], |start| &start.operations);
        model.decode(history, IsViolation { before, of }).expect(context)
    };
    assert!(explanation.is_minimal, "{context}: {explanation:?}");
    assert!(is_violation(&explanation.minimal), "{context}: {explanation:?}");
    assert!(explanation.minimal.contains(&explanation.operation), "{context}: {explanation:?}");
    if let Some(needless) = model.decode(history, Needless(explanation)).expect(context) {
        panic!("{context}: {needless:?} could be left out: {explanation:?}");
    }
    let claims = match explanation.cause {
        Cause::ValueFromNowhere | Cause::ValueFromTheFuture | Cause::ReadOfFailedWrite => true,
        _ => explanation.proof.iter().any(|step| [Role::Newer, Role::Missed].contains(&step.role)),
    };
    if claims {
        let holds = model.decode(history, ClaimHolds(explanation)).expect(context);
        assert!(holds, "{context}: {explanation:?}");
    }
    if let Some(last) = explanation.proof.last() {
        assert_eq!(last.operation, explanation.operation, "{context}: {explanation:?}");
        let proof: Vec<OpId> = explanation.proof.iter().map(|step| step.operation).collect();
        assert!(is_violation(&proof), "{context}: {explanation:?}");
    }
    assert!(explanation.sentence().ends_with('.'), "{context}: {}", explanation.sentence());
}
