//! Random small histories: some drawn blindly, some from a simulated object and then disturbed.

mod recording;

use rand::{Rng, RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use rashomon_checker::History;
use rashomon_checker::history::{EventType, Value};

pub(crate) use recording::{Deed, events};

/// The models that histories are generated for, with the name to check them by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    Register,
    CasRegister,
    MultiRegister,
    KvWhole,
    KvText,
    KvList,
    Mutex,
}

pub(crate) const WORKLOADS: [Workload; 7] = [
    Workload::Register,
    Workload::CasRegister,
    Workload::MultiRegister,
    Workload::KvWhole,
    Workload::KvText,
    Workload::KvList,
    Workload::Mutex,
];

impl Workload {
    /// The name of the model, with options that exercise both meanings of a nil read.
    pub(crate) fn model(self, rng: &mut impl Rng) -> &'static str {
        let pick =
            |rng: &mut dyn Rng, names: &[&'static str]| names[rng.random_range(0..names.len())];
        match self {
            Workload::Register => pick(rng, &["register", "register(0)", "register(nil=unknown)"]),
            Workload::CasRegister => pick(rng, &["cas-register", "cas-register(0)"]),
            Workload::MultiRegister => pick(rng, &["multi-register", "multi-register(0=0, 1=1)"]),
            Workload::KvWhole | Workload::KvText | Workload::KvList => "kv",
            Workload::Mutex => "mutex",
        }
    }

    fn small(rng: &mut impl Rng) -> Value {
        Value::Int(rng.random_range(0..3))
    }

    /// What is appended must not always be told apart: tokens repeat, and join ambiguously.
    fn token(self, rng: &mut impl Rng) -> Value {
        match self {
            Workload::KvText => Value::text(["a", "b", "ab", "c"][rng.random_range(0..4)]),
            _ => Self::small(rng),
        }
    }

    fn invocation(self, rng: &mut impl Rng) -> (&'static str, Value) {
        let die = rng.random_range(0..10);
        match self {
            Workload::Register if die < 5 => ("read", Value::Nil),
            Workload::Register => ("write", Self::small(rng)),
            Workload::CasRegister if die < 4 => ("read", Value::Nil),
            Workload::CasRegister if die < 7 => ("write", Self::small(rng)),
            Workload::CasRegister => ("cas", Value::list([Self::small(rng), Self::small(rng)])),
            Workload::MultiRegister => ("txn", self.transaction(rng)),
            Workload::KvWhole if die < 5 => ("get", Value::Nil),
            Workload::KvWhole => ("put", self.token(rng)),
            Workload::KvText | Workload::KvList if die < 5 => ("get", Value::Nil),
            Workload::KvText | Workload::KvList if die < 9 => ("append", self.token(rng)),
            Workload::KvText => ("put", self.token(rng)),
            Workload::KvList => ("put", Value::list([self.token(rng)])),
            Workload::Mutex if die < 5 => ("acquire", Value::Nil),
            Workload::Mutex => ("release", Value::Nil),
        }
    }

    fn transaction(self, rng: &mut impl Rng) -> Value {
        let steps = 1 + rng.random_range(0..3);
        let step = |rng: &mut dyn Rng| {
            let register = Value::Int(rng.random_range(0..3));
            match rng.random_bool(0.5) {
                true => Value::list([Value::from("read"), register, Value::Nil]),
                false => {
                    let value = Value::Int(rng.random_range(0..3));
                    Value::list([Value::from("write"), register, value])
                }
            }
        };
        Value::list((0..steps).map(|_| step(rng)).collect::<Vec<_>>())
    }

    /// A result drawn without looking at any state.
    fn random_output(self, f: &str, input: &Value, rng: &mut impl Rng) -> Value {
        match (self, f) {
            (_, "cas") => match rng.random_range(0..4) {
                0 => Value::Bool(false),
                1 => Value::Nil,
                _ => input.clone(),
            },
            (Workload::MultiRegister, _) => {
                let fill = |step: &Value| match step.as_list() {
                    Some([f, register, Value::Nil]) => {
                        let value = match rng.random_range(0..6) {
                            0 => Value::Nil,
                            value => Value::Int(value % 3),
                        };
                        Value::list([f.clone(), register.clone(), value])
                    }
                    _ => step.clone(),
                };
                Value::list(
                    input.as_list().unwrap_or_default().iter().map(fill).collect::<Vec<_>>(),
                )
            }
            (Workload::KvText, "get") => {
                let tokens: Vec<Value> =
                    (0..rng.random_range(0..3)).map(|_| self.token(rng)).collect();
                Value::text(tokens.iter().filter_map(Value::as_text).collect::<String>())
            }
            (Workload::KvList, "get") => Value::list(
                (0..rng.random_range(0..3)).map(|_| self.token(rng)).collect::<Vec<_>>(),
            ),
            (_, "read" | "get") if rng.random_range(0..6) == 0 => Value::Nil,
            (_, "read" | "get") => Self::small(rng),
            _ => input.clone(),
        }
    }
}

/// A tiny object of each kind, to simulate.
#[derive(Clone, Debug, Default)]
struct Object {
    value: Value,
    registers: [Value; 3],
    text: String,
    list: Vec<Value>,
}

impl Object {
    /// Carries out an operation; `None` if it fails without effect.
    fn apply(&mut self, workload: Workload, f: &str, input: &Value) -> Option<Value> {
        match (workload, f) {
            (Workload::MultiRegister, _) => Some(self.transact(input)),
            (Workload::KvText, "get") => Some(Value::text(&self.text)),
            (Workload::KvList, "get") => Some(Value::list(self.list.clone())),
            (Workload::KvText, _) => {
                let text = input.as_text().unwrap_or_default();
                self.text =
                    if f == "put" { text.to_owned() } else { format!("{}{text}", self.text) };
                Some(input.clone())
            }
            (Workload::KvList, "put") => {
                self.list = input.as_list().unwrap_or_default().to_vec();
                Some(input.clone())
            }
            (Workload::KvList, _) => {
                self.list.push(input.clone());
                Some(input.clone())
            }
            (_, "read" | "get") => Some(self.value.clone()),
            (_, "cas") => {
                let pair = input.as_list().unwrap_or_default();
                (self.value == pair[0]).then(|| {
                    self.value = pair[1].clone();
                    input.clone()
                })
            }
            (_, "acquire" | "release") => {
                let held = self.value == Value::Bool(true);
                (held == (f == "release")).then(|| {
                    self.value = Value::Bool(!held);
                    Value::Nil
                })
            }
            _ => {
                self.value = input.clone();
                Some(input.clone())
            }
        }
    }

    fn transact(&mut self, input: &Value) -> Value {
        let mut step = |step: &Value| match step.as_list() {
            Some([f, register, value]) => {
                let cell = &mut self.registers[register.as_int().unwrap_or(0) as usize];
                if f.as_text() == Some("write") {
                    *cell = value.clone();
                }
                Value::list([f.clone(), register.clone(), cell.clone()])
            }
            _ => step.clone(),
        };
        Value::list(input.as_list().unwrap_or_default().iter().map(&mut step).collect::<Vec<_>>())
    }
}

/// A history of a few operations on one object.
pub(crate) fn deeds(workload: Workload, rng: &mut ChaCha8Rng, max: usize) -> Vec<Deed> {
    let count = rng.random_range(1..=max);
    let mut points: Vec<u32> = (0..2 * count as u32).collect();
    points.shuffle(rng);
    let mut deeds: Vec<Deed> = points
        .chunks(2)
        .map(|ends| {
            let (f, input) = workload.invocation(rng);
            let output = workload.random_output(f, &input, rng);
            let kind = match rng.random_range(0..20) {
                0..4 => EventType::Info,
                4 => EventType::Fail,
                _ => EventType::Ok,
            };
            let (call, ret) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
            Deed { f, key: None, input, output, kind, call, ret }
        })
        .collect();
    if rng.random_bool(0.6) {
        simulate(workload, rng, &mut deeds);
    }
    deeds.sort_by_key(|deed| deed.call);
    deeds
}

/// Gives the operations the results that one object would have given, and spoils some.
fn simulate(workload: Workload, rng: &mut ChaCha8Rng, deeds: &mut [Deed]) {
    let point = |deed: &Deed, rng: &mut ChaCha8Rng| {
        let late = if deed.kind == EventType::Info { 1000 } else { deed.ret * 10 };
        rng.random_range(deed.call * 10..=late.max(deed.call * 10))
    };
    let mut order: Vec<(u32, usize)> =
        deeds.iter().enumerate().map(|(index, deed)| (point(deed, rng), index)).collect();
    order.sort_unstable();
    let mut object = Object::default();
    for (_, index) in order {
        let deed = &mut deeds[index];
        let happens = match deed.kind {
            EventType::Fail => false,
            EventType::Info => rng.random_bool(0.5),
            EventType::Ok | EventType::Invoke => true,
        };
        if happens {
            match object.apply(workload, deed.f, &deed.input) {
                Some(output) => deed.output = output,
                None => deed.kind = EventType::Fail,
            }
        }
    }
    if rng.random_bool(0.5) {
        let deed = &mut deeds[rng.random_range(0..deeds.len())];
        deed.output = workload.random_output(deed.f, &deed.input, rng);
    }
}

/// A history of one or two objects from a seed.
pub(crate) fn history(workload: Workload, seed: u64, max: usize) -> (History, ChaCha8Rng) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut all = deeds(workload, &mut rng, max);
    if rng.random_bool(0.2) {
        all.iter_mut().for_each(|deed| deed.key = Some(Value::from("x")));
        let mut more = deeds(workload, &mut rng, max);
        more.iter_mut().for_each(|deed| deed.key = Some(Value::from("y")));
        all.append(&mut more);
    }
    let events = events(&all, &mut rng);
    let history = History::from_events(&events)
        .unwrap_or_else(|error| panic!("seed {seed} of {workload:?}: {error}\n{events:#?}"));
    (history, rng)
}
