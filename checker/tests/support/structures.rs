//! Random small histories of data structures: what is put in is mostly different each time.

use std::collections::BTreeSet;

use rand::{Rng, RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use rashomon_checker::History;
use rashomon_checker::history::{Event, EventType, Process, Value};

use crate::support::{Deed, events};

/// Data structures that histories are generated for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Structure {
    Mutex,
    Set,
    GrowOnlySet,
    Counter,
    Queue,
    Stack,
    PriorityQueue,
    OwnerLock,
    FencingToken,
}

pub(crate) const STRUCTURES: [Structure; 9] = [
    Structure::Mutex,
    Structure::Set,
    Structure::GrowOnlySet,
    Structure::Counter,
    Structure::Queue,
    Structure::Stack,
    Structure::PriorityQueue,
    Structure::OwnerLock,
    Structure::FencingToken,
];

/// What a history is made of.
struct Flavour {
    structure: Structure,
    count: i64,
    /// How probable it is that something is put in again, or that a set does not say what changed.
    vague: f64,
    /// How probable it is that an operation crashes.
    crash: f64,
    /// What is added to a counter.
    steps: Vec<i64>,
    /// Whether the greatest comes out first.
    max: bool,
}

impl Flavour {
    fn new(structure: Structure, count: usize, rng: &mut impl Rng) -> Self {
        let steps: [&[i64]; 4] = [&[1], &[-2], &[0, 1], &[1, 2, -1]];
        Flavour {
            structure,
            count: count as i64,
            vague: [0.0, 0.0, 0.0, 0.2][rng.random_range(0..4)],
            crash: [0.0, 0.15, 0.4][rng.random_range(0..3)],
            steps: steps[rng.random_range(0..4)].to_vec(),
            max: rng.random(),
        }
    }

    fn model(&self) -> &'static str {
        match self.structure {
            Structure::Mutex => "mutex",
            Structure::Set => "set",
            Structure::GrowOnlySet => "grow-only-set",
            Structure::Counter => "counter",
            Structure::Queue => "queue",
            Structure::Stack => "stack",
            Structure::PriorityQueue if self.max => "priority-queue(max)",
            Structure::PriorityQueue => "priority-queue",
            Structure::OwnerLock => "owner-lock",
            Structure::FencingToken => "fencing-token",
        }
    }

    /// A function and its argument; `fresh` is an integer for it alone.
    fn invocation(&self, fresh: i64, rng: &mut impl Rng) -> (&'static str, Value) {
        let again = rng.random_bool(self.vague);
        let item = Value::Int(if again { rng.random_range(0..self.count) } else { fresh });
        let die = rng.random_range(0..10);
        match self.structure {
            Structure::Queue if die < 5 => ("enqueue", item),
            Structure::Queue => ("dequeue", Value::Nil),
            Structure::Stack if die < 5 => ("push", item),
            Structure::Stack => ("pop", Value::Nil),
            Structure::PriorityQueue if die < 5 => ("insert", item),
            Structure::PriorityQueue => ("poll", Value::Nil),
            Structure::Set => {
                let f = if die < 4 { "add" } else { ["remove", "contains"][die as usize % 2] };
                (f, Value::Int(rng.random_range(0..2)))
            }
            Structure::GrowOnlySet if die < 5 => ("add", Value::Int(rng.random_range(0..4))),
            Structure::Counter if die < 6 => {
                ("add", Value::Int(self.steps[rng.random_range(0..self.steps.len())]))
            }
            Structure::GrowOnlySet | Structure::Counter => ("read", Value::Nil),
            Structure::OwnerLock if die == 0 => ("renew", Value::Nil),
            Structure::Mutex | Structure::OwnerLock if die < 6 => ("acquire", Value::Nil),
            Structure::FencingToken if die < 9 => ("acquire", Value::Nil),
            Structure::Mutex | Structure::OwnerLock | Structure::FencingToken => {
                ("release", Value::Nil)
            }
        }
    }

    /// A result drawn without looking at any state.
    fn result(&self, f: &str, input: &Value, rng: &mut impl Rng) -> Value {
        match (self.structure, f) {
            (_, "dequeue" | "pop" | "poll") if rng.random_ratio(1, 5) => Value::Nil,
            (_, "dequeue" | "pop" | "poll") => Value::Int(rng.random_range(0..self.count)),
            (Structure::Set, "contains") => Value::Bool(rng.random()),
            (Structure::Set, _) => self.change(rng.random(), input, rng),
            (Structure::GrowOnlySet, "read") => {
                let mut elements: Vec<Value> = (0..4).map(Value::Int).collect();
                elements.retain(|_| rng.random());
                elements.shuffle(rng);
                if rng.random_ratio(1, 10) {
                    elements.extend(elements.first().cloned());
                }
                Value::list(elements)
            }
            (Structure::Counter, "read") => Value::Int(rng.random_range(-3..5)),
            (Structure::FencingToken, "acquire") => Value::Int(rng.random_range(0..6)),
            _ => input.clone(),
        }
    }

    /// What a set says of a change, if it says anything.
    fn change(&self, changed: bool, element: &Value, rng: &mut impl Rng) -> Value {
        match rng.random_bool(self.vague) {
            true => [Value::Nil, element.clone()][rng.random_range(0..2)].clone(),
            false => Value::Bool(changed),
        }
    }
}

/// A tiny structure of each kind, to simulate.
#[derive(Default)]
struct Object {
    items: Vec<i64>,
    elements: BTreeSet<i64>,
    sum: i64,
    holder: Option<u64>,
}

impl Object {
    /// Carries out an operation of a process; `None` if it fails without effect.
    fn apply(
        &mut self,
        flavour: &Flavour,
        (f, input, process): (&str, &Value, u64),
        rng: &mut impl Rng,
    ) -> Option<Value> {
        let argument = input.as_int().unwrap_or_default();
        let process = if flavour.structure == Structure::Mutex { 0 } else { process };
        Some(match f {
            "enqueue" | "push" | "insert" => {
                self.items.push(argument);
                input.clone()
            }
            "dequeue" | "pop" | "poll" => {
                let by_urgency = |&place: &usize| match flavour.max {
                    true => -self.items[place],
                    false => self.items[place],
                };
                let next = match f {
                    "dequeue" => (0..self.items.len()).next(),
                    "pop" => (0..self.items.len()).next_back(),
                    _ => (0..self.items.len()).min_by_key(by_urgency),
                };
                next.map_or(Value::Nil, |place| Value::Int(self.items.remove(place)))
            }
            "add" if flavour.structure == Structure::Counter => {
                self.sum += argument;
                input.clone()
            }
            "add" => {
                let changed = self.elements.insert(argument);
                flavour.change(changed, input, rng)
            }
            "remove" => {
                let changed = self.elements.remove(&argument);
                flavour.change(changed, input, rng)
            }
            "contains" => Value::Bool(self.elements.contains(&argument)),
            "read" if flavour.structure == Structure::Counter => Value::Int(self.sum),
            "read" => Value::list(self.elements.iter().copied().map(Value::Int)),
            "acquire" if flavour.structure == Structure::FencingToken => {
                self.sum += rng.random_range(1..3);
                Value::Int(self.sum)
            }
            "acquire" if self.holder.is_none() => {
                self.holder = Some(process);
                Value::Nil
            }
            "release" if self.holder == Some(process) => {
                self.holder = None;
                Value::Nil
            }
            "renew" if self.holder == Some(process) => Value::Nil,
            _ => return None,
        })
    }
}

/// A history of a few operations from a seed, and the name of its model.
pub(crate) fn structure(structure: Structure, seed: u64, max: usize) -> (History, &'static str) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let count = rng.random_range(1..=max);
    let flavour = Flavour::new(structure, count, &mut rng);
    let mut points: Vec<u32> = (0..2 * count as u32).collect();
    points.shuffle(&mut rng);
    let mut fresh: Vec<i64> = (0..count as i64).collect();
    fresh.shuffle(&mut rng);
    let mut deeds: Vec<Deed> = points
        .chunks(2)
        .zip(fresh)
        .map(|(ends, fresh)| {
            let (f, input) = flavour.invocation(fresh, &mut rng);
            let output = flavour.result(f, &input, &mut rng);
            let kind = match rng.random_bool(flavour.crash) {
                true => EventType::Info,
                false if rng.random_ratio(1, 20) => EventType::Fail,
                false => EventType::Ok,
            };
            let (call, ret) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
            Deed { f, key: None, input, output, kind, call, ret }
        })
        .collect();
    deeds.sort_by_key(|deed| deed.call);
    if rng.random_ratio(1, 10) {
        deeds.iter_mut().for_each(|deed| deed.key = Some(Value::from("x")));
    }
    let mut events = events(&deeds, &mut rng);
    if rng.random_bool(0.7) {
        simulate(&flavour, &mut events, &mut rng);
    }
    let history = History::from_events(&events)
        .unwrap_or_else(|error| panic!("seed {seed} of {structure:?}: {error}\n{events:#?}"));
    (history, flavour.model())
}

/// Gives the operations the results that one object would have given, and spoils some.
fn simulate(flavour: &Flavour, events: &mut [Event], rng: &mut ChaCha8Rng) {
    // Invocations with their completions, each at a random instant between.
    let mut operations: Vec<(usize, usize, Option<usize>)> = Vec::new();
    for (line, event) in events.iter().enumerate() {
        if event.kind == EventType::Invoke {
            let of_it = |other: &Event| other.process == event.process;
            let completion =
                events[line + 1..].iter().position(of_it).map(|after| line + 1 + after);
            let certain = completion.filter(|&end| events[end].kind != EventType::Info);
            let end = certain.unwrap_or(2 * events.len());
            operations.push((rng.random_range(10 * line..10 * end), line, completion));
        }
    }
    operations.sort_unstable();
    let mut object = Object::default();
    for (_, line, completion) in operations {
        let kind = completion.map_or(EventType::Info, |line| events[line].kind);
        let happens = match kind {
            EventType::Fail => false,
            EventType::Info => rng.random(),
            EventType::Ok | EventType::Invoke => true,
        };
        if !happens {
            continue;
        }
        let Process::Client(process) = events[line].process else { continue };
        let invoked = (&*events[line].f.clone(), &events[line].value.clone(), process);
        match (object.apply(flavour, invoked, rng), completion) {
            (Some(output), Some(line)) => events[line].value = output,
            (None, Some(line)) => events[line].kind = EventType::Fail,
            (_, None) => {}
        }
    }
    if rng.random() {
        let line = rng.random_range(0..events.len());
        if events[line].kind == EventType::Ok {
            let (f, input) = (events[line].f.clone(), events[line].value.clone());
            events[line].value = flavour.result(&f, &input, rng);
        }
    }
}
