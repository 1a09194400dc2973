//! The engine against the definition: tens of thousands of random small histories of every model,
//! each decided by the engine and by trying every order.

#[path = "support/judge.rs"]
mod judge;
#[path = "support/structures.rs"]
mod structures;
mod support;
#[path = "support/unique.rs"]
mod unique;

use std::time::Duration;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rashomon_checker::History;
use rashomon_checker::history::{NEVER, Value};
use rashomon_checker::linearizability::{Engine, Options, brute, examine};
use rashomon_checker::model::Model;

use judge::{hold, rule};
use structures::{STRUCTURES, structure};
use support::{WORKLOADS, Workload, history};
use unique::{Unique, unique};

/// Random histories per workload.
const CASES: u64 = 15_000;

/// Random histories for an engine that searches, per workload.
const SEARCHES: u64 = 100_000;

/// Holds a check to the definition; says whether there is an order.
fn judge(history: &History, model: &Model, options: &Options, context: &str) -> bool {
    let truth = rule(history, model);
    let decided = hold(history, model, options, &truth, context);
    let searches = [Some(Engine::Lazy), Some(Engine::General)];
    let must_decide = searches.contains(&options.engine);
    assert!(decided.is_some() || !must_decide, "{context}: the engine can decide this");
    truth.linearizable
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

/// Histories of some objects, decided as one.
#[test]
fn keys_together() {
    let options = Options { partition: false, ..Options::default() };
    let mut verdicts = [0, 0];
    for seed in 0..SEARCHES / 2 {
        let workload = WORKLOADS[seed as usize % WORKLOADS.len()];
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut all = Vec::new();
        for key in &["x", "y", "z"][seed as usize % 2..] {
            let mut deeds = support::deeds(workload, &mut rng, brute::LIMIT);
            deeds.iter_mut().for_each(|deed| deed.key = Some(Value::from(*key)));
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
    assert!(verdicts.iter().all(|&count| count > SEARCHES / 40), "one-sided: {verdicts:?}");
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
