//! The engine against the definition: tens of thousands of random small histories of every model,
//! each decided by the engine and by trying every order.

#[path = "support/structures.rs"]
mod structures;
mod support;
#[path = "support/unique.rs"]
mod unique;

use std::time::Duration;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rashomon_checker::explain::Role;
use rashomon_checker::history::{NEVER, OpId, Value};
use rashomon_checker::linearizability::{
    Engine, Options, Resource, Verdict, brute, certify, check, examine,
};
use rashomon_checker::model::{Call, Model, Part, Specification, Visitor};
use rashomon_checker::{Cause, Explanation, History};

use structures::{STRUCTURES, structure};
use support::{WORKLOADS, Workload, history};
use unique::{Unique, unique};

/// Random histories per workload.
const CASES: u64 = 15_000;

/// Random histories for an engine that searches, per workload.
const SEARCHES: u64 = 100_000;

/// What the definition says of a history.
struct Truth;

#[derive(Debug)]
struct Ruling {
    linearizable: bool,
    /// The first return in the whole history at which no order is left.
    first_bad: Option<OpId>,
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
        let mut returns: Vec<(u32, OpId, usize)> = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            let completed = part.calls.iter().filter(|call| call.ret != NEVER);
            returns.extend(completed.map(|call| (call.ret, call.id, number)));
        }
        returns.sort_unstable();
        let bad = |&&(rank, _, number): &&(u32, OpId, usize)| {
            !explained(&parts[number], &prefix(&parts[number], rank))
        };
        let first_bad = returns.iter().find(bad).map(|&(_, id, _)| id);
        Ruling { linearizable, first_bad }
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

/// Holds a check to the definition; says whether there is an order.
fn judge(history: &History, model: &Model, options: &Options, context: &str) -> bool {
    let truth = model.decode(history, Truth).expect("the model reads what was generated for it");
    assert_eq!(truth.linearizable, truth.first_bad.is_none(), "{context}");
    match check(history, model, options).expect(context) {
        Verdict::Valid(witness) => {
            assert!(truth.linearizable, "{context}: the engine accepts what no order explains");
            certify(history, model, &witness)
                .unwrap_or_else(|error| panic!("{context}: {error}: {witness:?}"));
        }
        Verdict::Invalid(explanation) => {
            assert!(!truth.linearizable, "{context}: an order explains what the engine rejects");
            assert_eq!(Some(explanation.operation), truth.first_bad, "{context}: {explanation:?}");
            if !options.explanation_time.is_zero() {
                judge_explanation(history, model, &explanation, context);
            }
        }
        Verdict::Unknown(bound) => {
            assert_eq!(options.engine.map(Resource::Engine), Some(bound.resource), "{context}");
            let searches = [Some(Engine::Lazy), Some(Engine::General)];
            assert!(!searches.contains(&options.engine), "{context}: the engine can decide this");
        }
    }
    truth.linearizable
}

fn judge_explanation(history: &History, model: &Model, explanation: &Explanation, context: &str) {
    let is_violation = |of: &[OpId]| {
        let before = explanation.start.as_ref().map_or(&[][..], |start| &start.operations);
        model.decode(history, IsViolation { before, of }).expect(context)
    };
    assert!(explanation.is_minimal, "{context}: {explanation:?}");
    assert!(is_violation(&explanation.minimal), "{context}: {explanation:?}");
    assert!(explanation.minimal.contains(&explanation.operation), "{context}: {explanation:?}");
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

fn agrees(workload: Workload) {
    let mut verdicts = [0, 0];
    for seed in 0..CASES {
        let (history, mut rng) = history(workload, seed, brute::LIMIT);
        let name = workload.model(&mut rng);
        let model: Model = name.parse().expect(name);
        let context = format!("seed {seed} of {workload:?} as {name}");
        let is_valid = judge(&history, &model, &Options::default(), &context);
        verdicts[usize::from(is_valid)] += 1;
    }
    let least = CASES / 10;
    assert!(verdicts.iter().all(|&count| count > least), "{workload:?} is one-sided: {verdicts:?}");
}

/// Histories whose values are unique, with the engine that is chosen and with each one alone.
#[test]
fn unique_values() {
    use Unique::{CasRegister, KvList, KvText, KvWhole, Register};
    let engines = [None, Some(Engine::Zones), Some(Engine::General)];
    for object in [Register, CasRegister, KvWhole, KvText, KvList] {
        for seed in 0..CASES {
            let (history, mut rng) = unique(object, seed, brute::LIMIT);
            let name = object.model(&mut rng);
            let model: Model = name.parse().expect(name);
            let engine = engines[seed as usize % engines.len()];
            let options = Options { engine, ..Options::default() };
            let context = format!("seed {seed} of {object:?} as {name} with {engine:?}");
            judge(&history, &model, &options, &context);
        }
    }
}

/// Histories of data structures, with the engine that is chosen and with the general one alone.
#[test]
fn structures_of_all_kinds() {
    let engines = [None, Some(Engine::General)];
    for of in STRUCTURES {
        for seed in 0..CASES / 3 {
            let (history, name) = structure(of, seed, brute::LIMIT);
            let model: Model = name.parse().expect(name);
            let engine = engines[seed as usize % engines.len()];
            let options = Options { engine, ..Options::default() };
            judge(&history, &model, &options, &format!("seed {seed} as {name} with {engine:?}"));
        }
    }
}

/// A hundred thousand histories for an engine that searches, held to the verdict and to the first
/// bad return.
fn searches(workload: Workload, engine: Engine) {
    let explanation_time = Duration::ZERO;
    let options = Options { engine: Some(engine), explanation_time, ..Options::default() };
    let mut verdicts = [0, 0];
    for seed in 0..SEARCHES {
        let (history, mut rng) = history(workload, CASES + seed, brute::LIMIT);
        let name = workload.model(&mut rng);
        let model: Model = name.parse().expect(name);
        let context = format!("seed {} of {workload:?} as {name} with {engine}", CASES + seed);
        verdicts[usize::from(judge(&history, &model, &options, &context))] += 1;
    }
    assert!(verdicts.iter().all(|&count| count > SEARCHES / 10), "one-sided: {verdicts:?}");
}

#[test]
fn lazy_register() {
    searches(Workload::Register, Engine::Lazy);
}

#[test]
fn lazy_cas_register() {
    searches(Workload::CasRegister, Engine::Lazy);
}

#[test]
fn lazy_kv() {
    searches(Workload::KvWhole, Engine::Lazy);
}

#[test]
fn general_cas_register() {
    searches(Workload::CasRegister, Engine::General);
}

#[test]
fn general_multi_register() {
    searches(Workload::MultiRegister, Engine::General);
}

#[test]
fn general_kv_text() {
    searches(Workload::KvText, Engine::General);
}

/// Histories of two objects, decided as one.
#[test]
fn keys_together() {
    let options = Options { partition: false, ..Options::default() };
    let mut verdicts = [0, 0];
    for seed in 0..CASES {
        let workload = WORKLOADS[seed as usize % WORKLOADS.len()];
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut all = Vec::new();
        for key in ["x", "y"] {
            let mut deeds = support::deeds(workload, &mut rng, brute::LIMIT - 1);
            deeds.iter_mut().for_each(|deed| deed.key = Some(Value::from(key)));
            all.append(&mut deeds);
        }
        let events = support::events(&all, &mut rng);
        let history = History::from_events(&events).expect("a history");
        let name = workload.model(&mut rng);
        let model: Model = name.parse().expect(name);
        let context = format!("seed {seed} of {workload:?} as {name}, keys together");
        verdicts[usize::from(judge(&history, &model, &options, &context))] += 1;
        let examined = examine(&history, &model, &options).expect("decodes");
        assert_eq!(examined.parts, 1, "{context}");
    }
    assert!(verdicts.iter().all(|&count| count > CASES / 10), "one-sided: {verdicts:?}");
}

#[test]
fn register() {
    agrees(Workload::Register);
}

#[test]
fn cas_register() {
    agrees(Workload::CasRegister);
}

#[test]
fn multi_register() {
    agrees(Workload::MultiRegister);
}

#[test]
fn kv_whole() {
    agrees(Workload::KvWhole);
}

#[test]
fn kv_text() {
    agrees(Workload::KvText);
}

#[test]
fn kv_list() {
    agrees(Workload::KvList);
}

#[test]
fn mutex() {
    agrees(Workload::Mutex);
}

#[test]
fn ranks_order_what_time_orders_and_nothing_else() {
    for seed in 0..2_000 {
        let workload = WORKLOADS[seed as usize % WORKLOADS.len()];
        let (history, _) = history(workload, seed, brute::LIMIT);
        for one in history.operations() {
            for other in history.operations() {
                let (Some(end), Some(start)) = (one.return_time(), other.call_time()) else {
                    continue;
                };
                let certain = one.ret() != NEVER;
                assert_eq!(one.ret() < other.call(), certain && end < start, "seed {seed}");
            }
        }
    }
}
