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
    KvWhole,
    KvText,
    KvList,
}

impl Unique {
    /// The name of a model, with options.
    pub(crate) fn model(self, rng: &mut impl Rng) -> &'static str {
        let names = match self {
            Unique::Register => ["register", "register(0)", "register(nil=unknown)"],
            Unique::CasRegister => {
                ["cas-register", "cas-register(0)", "cas-register(0, nil=absent)"]
            }
            Unique::KvWhole | Unique::KvText | Unique::KvList => ["kv"; 3],
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
            _ if die < 5 => ("get", Value::Nil),
            Unique::KvWhole => ("put", Value::Int(fresh)),
            Unique::KvText if die < 9 => ("append", token(fresh)),
            Unique::KvText => ("put", token(fresh)),
            Unique::KvList if die < 9 => ("append", Value::Int(fresh)),
            Unique::KvList => {
                let more = [Value::Int(fresh), Value::Int(fresh + 100)];
                ("put", Value::list(more.into_iter().take(rng.random_range(1..=2))))
            }
        }
    }

    /// A result drawn without looking at any state.
    fn result(self, f: &str, input: &Value, count: usize, rng: &mut impl Rng) -> Value {
        let any = |rng: &mut dyn Rng| rng.random_range(1..=count as i64);
        match (self, f) {
            (_, "read" | "get") if rng.random_ratio(1, 8) => Value::Nil,
            (Unique::KvText, "get") => {
                let tokens: Vec<Value> =
                    (0..rng.random_range(0..3)).map(|_| token(any(rng))).collect();
                Value::text(tokens.iter().filter_map(Value::as_text).collect::<String>())
            }
            (Unique::KvList, "get") => {
                let far = if rng.random_ratio(1, 5) { 100 } else { 0 };
                let items = (0..rng.random_range(0..3)).map(|_| Value::Int(any(rng) + far));
                Value::list(items.collect::<Vec<_>>())
            }
            (_, "read" | "get") => Value::Int(rng.random_range(0..=count as i64)),
            (_, "cas") if rng.random_ratio(1, 20) => Value::Bool(false),
            _ => input.clone(),
        }
    }

    /// What an operation on a value gives, and leaves; `None` if it fails.
    fn apply(self, f: &str, input: &Value, state: &Value) -> Option<[Value; 2]> {
        Some(match (f, input.as_list(), state) {
            ("read" | "get", ..) => [state.clone(), state.clone()],
            ("cas", Some([expected, new]), _) => {
                (expected == state).then(|| [input.clone(), new.clone()])?
            }
            ("append", _, Value::Text(text)) => {
                let text = [text, input.as_text().unwrap_or_default()].concat();
                [input.clone(), Value::text(text)]
            }
            ("append", _, Value::List(items)) => {
                [input.clone(), Value::list(items.iter().chain([input]).cloned())]
            }
            ("append", ..) if self == Unique::KvList => {
                [input.clone(), Value::list([input.clone()])]
            }
            _ => [input.clone(), input.clone()],
        })
    }
}

/// A piece of text; the first begins one of the later ones.
fn token(number: i64) -> Value {
    Value::text(["a", "b", "c1", "c2", "d", "ef", "bc", "cc"][(number % 8) as usize])
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
            let output = object.result(f, &input, count, &mut rng);
            let (call, ret) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
            Deed { f, key: None, input, output, kind, call, ret }
        })
        .collect();
    if rng.random_bool(0.6) {
        simulate(object, &mut deeds, &mut rng);
    }
    deeds.sort_by_key(|deed| deed.call);
    let events = events(&deeds, &mut rng);
    (History::from_events(&events).unwrap_or_else(|error| panic!("seed {seed}: {error}")), rng)
}

/// Gives the operations the results that one object would have given, and spoils some.
fn simulate(object: Unique, deeds: &mut [Deed], rng: &mut ChaCha8Rng) {
    let mut order: Vec<(u32, usize)> = Vec::new();
    for (index, deed) in deeds.iter().enumerate() {
        let late = if deed.kind == EventType::Info { 100 } else { deed.ret };
        order.push((rng.random_range(10 * deed.call..=10 * late), index));
    }
    order.sort_unstable();
    let starts_at_zero = matches!(object, Unique::Register | Unique::CasRegister) && rng.random();
    let mut state = if starts_at_zero { Value::Int(0) } else { Value::Nil };
    for (_, index) in order {
        let deed = &mut deeds[index];
        if deed.kind == EventType::Fail || deed.kind == EventType::Info && rng.random_bool(0.5) {
            continue;
        }
        // Let most find what they look for, or little else would happen.
        if let Some([_, new]) = deed.input.as_list()
            && deed.f == "cas"
            && rng.random_bool(0.8)
        {
            deed.input = Value::list([state.clone(), new.clone()]);
        }
        match object.apply(deed.f, &deed.input, &state) {
            Some([output, next]) => (deed.output, state) = (output, next),
            None => deed.kind = EventType::Fail,
        }
    }
    if rng.random_bool(0.5) {
        let count = deeds.len();
        let deed = &mut deeds[rng.random_range(0..count)];
        deed.output = object.result(deed.f, &deed.input, count, rng);
    }
}
