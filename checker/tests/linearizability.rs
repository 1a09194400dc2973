//! The engine against the definition: tens of thousands of random small histories of every model,
//! each decided by the engine and by trying every order.

mod support;

use rashomon_checker::history::{NEVER, OpId};
use rashomon_checker::linearizability::{Options, Verdict, brute, certify, check};
use rashomon_checker::model::{Call, Model, Part, Specification, Visitor};
use rashomon_checker::{Explanation, History};

use support::{WORKLOADS, Workload, history};

/// Random histories per workload.
const CASES: u64 = 15_000;

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

fn judge(history: &History, model: &Model, context: &str) {
    let truth = model.decode(history, Truth).expect("the model reads what was generated for it");
    assert_eq!(truth.linearizable, truth.first_bad.is_none(), "{context}");
    match check(history, model, &Options::default()).expect(context) {
        Verdict::Valid(witness) => {
            assert!(truth.linearizable, "{context}: the engine accepts what no order explains");
            certify(history, model, &witness)
                .unwrap_or_else(|error| panic!("{context}: {error}: {witness:?}"));
        }
        Verdict::Invalid(explanation) => {
            assert!(!truth.linearizable, "{context}: an order explains what the engine rejects");
            assert_eq!(Some(explanation.operation), truth.first_bad, "{context}: {explanation:?}");
            judge_explanation(history, model, &explanation, context);
        }
        Verdict::Unknown(bound) => panic!("{context}: {bound}"),
    }
}

fn judge_explanation(history: &History, model: &Model, explanation: &Explanation, context: &str) {
    let is_violation = |of: &[OpId]| {
        let before = explanation.start.as_ref().map_or(&[][..], |start| &start.operations);
        model.decode(history, IsViolation { before, of }).expect(context)
    };
    assert!(explanation.is_minimal, "{context}: {explanation:?}");
    assert!(is_violation(&explanation.minimal), "{context}: {explanation:?}");
    assert!(explanation.minimal.contains(&explanation.operation), "{context}: {explanation:?}");
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
        judge(&history, &model, &format!("seed {seed} of {workload:?} as {name}"));
        let truth = model.decode(&history, Truth).expect(name);
        verdicts[usize::from(truth.linearizable)] += 1;
    }
    let least = CASES / 10;
    assert!(verdicts.iter().all(|&count| count > least), "{workload:?} is one-sided: {verdicts:?}");
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
