//! Random small histories whose values are mostly made once each, for engines that need that.

use rand::{Rng, RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use rashomon_checker::History;
use rashomon_checker::history::{EventType, Value};

use super::support::{Deed, events};

/// Objects that histories with unique values are generated for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unique {
    Register,
    CasRegister,
}

pub(crate) const UNIQUE: [Unique; 2] = [Unique::Register, Unique::CasRegister];

impl Unique {
    /// The name of a model, with options.
    pub(crate) fn model(self, rng: &mut impl Rng) -> &'static str {
        let names = match self {
            Unique::Register => ["register", "register(0)", "register(nil=unknown)"],
            Unique::CasRegister => {
                ["cas-register", "cas-register(0)", "cas-register(0, nil=absent)"]
            }
        };
        names[rng.random_range(0..names.len())]
    }

    /// A function, with an argument that makes the value `fresh`, if it makes one.
    fn invocation(self, fresh: i64, count: usize, rng: &mut impl Rng) -> (&'static str, Value) {
        let die = rng.random_range(0..10);
        match self {
            Unique::Register if die < 5 => ("read", Value::Nil),
            Unique::CasRegister if die < 4 => ("read", Value::Nil),
            Unique::CasRegister if die < 8 => {
                let expected = rng.random_range(0..=count as i64);
                ("cas", Value::list([Value::Int(expected), Value::Int(fresh)]))
            }
            Unique::Register | Unique::CasRegister => ("write", Value::Int(fresh)),
        }
    }
}

/// A history of a few operations from a seed. Now and then a value is made twice after all.
pub(crate) fn unique(object: Unique, seed: u64, max: usize) -> (History, ChaCha8Rng) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let count = rng.random_range(1..=max);
    let mut points: Vec<u32> = (0..2 * count as u32).collect();
    points.shuffle(&mut rng);
    let repeats = rng.random_ratio(1, 10);
    let ends = points.chunks(2).zip(1..);
    let mut deeds: Vec<Deed> = ends
        .map(|(ends, number)| {
            let fresh = if repeats { rng.random_range(0..=number) } else { number };
            let (f, input) = object.invocation(fresh, count, &mut rng);
            let kind = match rng.random_range(0..20) {
                0..4 => EventType::Info,
                4 => EventType::Fail,
                _ => EventType::Ok,
            };
            let output = result(f, &input, count, &mut rng);
            let (call, ret) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
            Deed { f, key: None, input, output, kind, call, ret }
        })
        .collect();
    if rng.random_bool(0.6) {
        simulate(&mut deeds, &mut rng);
    }
    deeds.sort_by_key(|deed| deed.call);
    let events = events(&deeds, &mut rng);
    (History::from_events(&events).unwrap_or_else(|error| panic!("seed {seed}: {error}")), rng)
}

/// A result drawn without looking at any state.
fn result(f: &str, input: &Value, count: usize, rng: &mut impl Rng) -> Value {
    match f {
        "read" if rng.random_ratio(1, 8) => Value::Nil,
        "read" => Value::Int(rng.random_range(0..=count as i64)),
        "cas" if rng.random_ratio(1, 20) => Value::Bool(false),
        _ => input.clone(),
    }
}

/// Gives the operations the results that one register would have given, and spoils some.
fn simulate(deeds: &mut [Deed], rng: &mut ChaCha8Rng) {
    let mut order: Vec<(u32, usize)> = Vec::new();
    for (index, deed) in deeds.iter().enumerate() {
        let late = if deed.kind == EventType::Info { 100 } else { deed.ret };
        order.push((rng.random_range(10 * deed.call..=10 * late), index));
    }
    order.sort_unstable();
    let mut state = [Value::Nil, Value::Int(0)][rng.random_range(0..2)].clone();
    for (_, index) in order {
        let deed = &mut deeds[index];
        if deed.kind == EventType::Fail || deed.kind == EventType::Info && rng.random_bool(0.5) {
            continue;
        }
        let new = deed.input.as_list().map(|pair| pair[1].clone());
        match (deed.f, new) {
            ("read", _) => deed.output = state.clone(),
            (_, None) => state = deed.input.clone(),
            // Let most find what they look for, or little else would happen.
            (_, Some(new)) if rng.random_bool(0.8) => {
                deed.input = Value::list([state, new.clone()]);
                deed.output = deed.input.clone();
                state = new;
            }
            _ => deed.kind = EventType::Fail,
        }
    }
    if rng.random_bool(0.5) {
        let count = deeds.len();
        let deed = &mut deeds[rng.random_range(0..count)];
        deed.output = result(deed.f, &deed.input, count, rng);
    }
}
