//! What must hold whatever bytes there are: for the fuzzer, which finds the bytes, and for a test
//! that draws some. Nothing may panic but an assertion of these functions.

use std::sync::Arc;

use arbitrary::{Arbitrary, Result, Unstructured};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rashomon_checker::History;
use rashomon_checker::history::{
    Event, EventType, Format, Process, ReadOptions, Value, Writer, load_reader, read_bytes_with,
};
use rashomon_checker::linearizability::{Engine, Options, brute, check};
use rashomon_checker::model::Model;

use crate::judge::{hold, rule};
use crate::recording::{Deed, events};

/// Readers take any bytes in any format: they give events or an error that names a line of the
/// file, and reading straight into operations gives the same as reading events first.
pub(crate) fn attack_readers(bytes: &[u8]) {
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u32 + 1;
    for format in std::iter::once(None).chain(Format::ALL.map(Some)) {
        for keyed in [None, Some(true)] {
            let options = ReadOptions { format, keyed };
            let loaded = load_reader(bytes, "h", options);
            match read_bytes_with(bytes, "h", options) {
                Ok(recording) => {
                    assert!(!recording.events.is_empty());
                    let history = History::from_events(&recording.events);
                    let told = history.as_ref().map(History::len).map_err(ToString::to_string);
                    let loaded = loaded.map(|loaded| loaded.history.len());
                    let loaded = loaded.map_err(|error| error.to_string().replacen("h: ", "", 1));
                    assert_eq!(told, loaded);
                }
                Err(error) => {
                    let line = error.position.map_or(1, |position| position.line);
                    assert!((1..=lines).contains(&line), "{error}");
                    let loaded = loaded.err().map(|error| error.to_string());
                    assert_eq!(loaded, Some(error.to_string()));
                }
            }
        }
    }
}

/// Events that are written in a format which can say everything are read back as they were.
pub(crate) fn attack_writers(bytes: &[u8]) {
    let mut source = Unstructured::new(bytes);
    let Ok(events) = some(&mut source, 8, any_event) else { return };
    for format in [Format::Jsonl, Format::Json, Format::Rash] {
        let bytes = written(&events, format);
        let options = ReadOptions { format: Some(format), keyed: Some(false) };
        let recording = read_bytes_with(&bytes, "h", options).expect("it was just written");
        let read = recording.events.into_iter().map(|event| Event { line: 0, ..event });
        assert_eq!(read.collect::<Vec<_>>(), events, "{format}");
    }
}

/// A history in a format, which must be able to hold it.
pub(crate) fn written(events: &[Event], format: Format) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), format).expect("a format that can be written");
    events.iter().for_each(|event| writer.write_event(event).expect("a vector takes everything"));
    writer.finish().expect("a vector takes everything")
}

/// All engines say the same of a small history, and so does the definition. Tells whether there is
/// an order; `None` if the bytes make no history.
pub(crate) fn attack_engines(bytes: &[u8]) -> Option<bool> {
    let mut source = Unstructured::new(bytes);
    let (model, events) = small_history(&mut source).ok()?;
    let history = History::from_events(&events).expect("every process does one thing at a time");
    let model: Model = model.parse().expect("a model");
    // Some results are none that the model knows.
    check(&history, &model, &Options::default()).ok()?;
    let truth = rule(&history, &model);
    for engine in std::iter::once(None).chain(Engine::ALL.map(Some)) {
        let options = Options { engine, ..Options::default() };
        hold(&history, &model, &options, &truth, &format!("{model} with {engine:?}: {events:#?}"));
    }
    Some(truth.linearizable)
}

/// From one to so many things.
fn some<T>(
    source: &mut Unstructured<'_>,
    most: usize,
    mut one: impl FnMut(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let count = source.int_in_range(1..=most)?;
    (0..count).map(|_| one(source)).collect()
}

fn any_event(source: &mut Unstructured<'_>) -> Result<Event> {
    let kinds = [EventType::Invoke, EventType::Ok, EventType::Fail, EventType::Info];
    let present = |value: Value| (!value.is_nil()).then_some(value);
    Ok(Event {
        index: source.arbitrary()?,
        time: source.arbitrary()?,
        process: match source.arbitrary()? {
            true => Process::Client(source.arbitrary()?),
            false => Process::Named(Arc::from(<&str>::arbitrary(source)?)),
        },
        kind: *source.choose(&kinds)?,
        f: Arc::from(<&str>::arbitrary(source)?),
        key: present(any_value(source, 2)?),
        value: any_value(source, 4)?,
        node: Option::<&str>::arbitrary(source)?.map(Arc::from),
        error: present(any_value(source, 2)?),
        line: 0,
    })
}

/// A value with others in it, so many levels deep.
fn any_value(source: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    let inner = |source: &mut Unstructured<'_>| any_value(source, depth - 1);
    Ok(match source.int_in_range(0..=if depth == 0 { 4 } else { 6 })? {
        0 => Value::Nil,
        1 => Value::Bool(source.arbitrary()?),
        2 => Value::Int(source.arbitrary()?),
        3 => Value::Number(Arc::from(source.arbitrary::<f64>()?.to_string())),
        4 => Value::text(<&str>::arbitrary(source)?),
        5 => Value::list(some(source, 3, inner)?),
        _ => Value::map(some(source, 3, |source| Ok((inner(source)?, inner(source)?)))?),
    })
}

/// What an argument or a result looks like.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Nil,
    Int,
    MaybeInt,
    Bool,
    Pair,
    List,
    Text,
    Transaction,
}

impl Shape {
    /// A value; there are few, so that they meet.
    fn value(self, source: &mut Unstructured<'_>) -> Result<Value> {
        let small = |source: &mut Unstructured<'_>| Ok(Value::Int(source.int_in_range(0..=3)?));
        Ok(match self {
            Shape::Nil => Value::Nil,
            Shape::MaybeInt if source.ratio(1, 4)? => Value::Nil,
            Shape::Int | Shape::MaybeInt => small(source)?,
            Shape::Bool => Value::Bool(source.arbitrary()?),
            Shape::Pair => Value::list([small(source)?, small(source)?]),
            Shape::List => Value::list(some(source, 4, small)?.into_iter().skip(1)),
            Shape::Text => Value::text(*source.choose(&["", "a", "b", "ab", "ba", "aa", "abb"])?),
            Shape::Transaction => Value::list(some(source, 3, |source| {
                let f = Value::from(*source.choose(&["read", "write"])?);
                Ok(Value::list([f, Value::Int(source.int_in_range(0..=1)?), small(source)?]))
            })?),
        })
    }
}

/// A function with its argument and its result.
type Function = (&'static str, Shape, Shape);

/// Models with their functions.
const VOCABULARIES: [(&str, &[Function]); 15] = {
    use Shape::{Bool, Int, List, MaybeInt, Nil, Pair, Text, Transaction};
    [
        ("register", &[("read", Nil, MaybeInt), ("write", Int, Nil)]),
        ("register(0)", &[("read", Nil, MaybeInt), ("write", Int, Nil)]),
        (
            "cas-register",
            &[
                ("read", Nil, MaybeInt),
                ("write", Int, Nil),
                ("cas", Pair, Nil),
                ("cas", Pair, Bool),
            ],
        ),
        ("multi-register", &[("txn", Transaction, Transaction)]),
        ("kv", &[("get", Nil, MaybeInt), ("put", Int, Nil)]),
        ("kv", &[("get", Nil, List), ("append", Int, Nil), ("put", List, Nil)]),
        ("kv", &[("get", Nil, Text), ("append", Text, Nil), ("put", Text, Nil)]),
        ("set", &[("add", Int, Bool), ("remove", Int, Bool), ("contains", Int, Bool)]),
        ("grow-only-set", &[("add", Int, Nil), ("read", Nil, List)]),
        ("counter", &[("add", Int, Nil), ("read", Nil, Int)]),
        ("queue", &[("enqueue", Int, Nil), ("dequeue", Nil, MaybeInt)]),
        ("stack", &[("push", Int, Nil), ("pop", Nil, MaybeInt)]),
        ("priority-queue", &[("insert", Int, Nil), ("poll", Nil, MaybeInt)]),
        ("owner-lock", &[("acquire", Nil, Nil), ("renew", Nil, Nil), ("release", Nil, Nil)]),
        ("fencing-token", &[("acquire", Nil, Int), ("acquire", Nil, Int)]),
    ]
};

/// A model and events of few operations, as the bytes have it.
pub(crate) fn small_history(source: &mut Unstructured<'_>) -> Result<(&'static str, Vec<Event>)> {
    let (model, functions) = *source.choose(&VOCABULARIES)?;
    let mut rng = ChaCha8Rng::seed_from_u64(source.arbitrary()?);
    let deeds = some(source, brute::LIMIT, |source| {
        let (f, input, output) = *source.choose(functions)?;
        let call = source.int_in_range(0..=2 * brute::LIMIT as u32)?;
        let kinds = [EventType::Ok, EventType::Ok, EventType::Ok, EventType::Info, EventType::Fail];
        Ok(Deed {
            f,
            key: None,
            input: input.value(source)?,
            output: output.value(source)?,
            kind: *source.choose(&kinds)?,
            call,
            ret: call + source.int_in_range(0..=brute::LIMIT as u32)?,
        })
    })?;
    Ok((model, events(&deeds, &mut rng)))
}
