//! The state machine against a plain map: any sequence of commands, with and without sessions.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use rashomon_stores::kv::{
    APPENDED_MAX, Command, Key, Op, Output, Rejection, Session, Store, Value,
};

fn key() -> impl Strategy<Value = Key> {
    prop_oneof![Just(Key::from("a")), Just(Key::from("b"))]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (0i64..3).prop_map(Value::Int),
        "[xy]{0,2}".prop_map(|text| Value::text(&text)),
    ];
    prop_oneof![4 => leaf.clone(), 1 => vec(leaf, 0..3).prop_map(Value::list)]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (key(), value()).prop_map(|(key, value)| Op::Put { key, value }),
        (key(), value(), value()).prop_map(|(key, expected, new)| Op::Cas { key, expected, new }),
        (key(), value()).prop_map(|(key, value)| Op::Append { key, value }),
        key().prop_map(|key| Op::Delete { key }),
        (key(), value()).prop_map(|(key, element)| Op::Add { key, element }),
        (key(), -2i64..3).prop_map(|(key, by)| Op::Increment { key, by }),
    ]
}

/// What the store should do, said in another way: JSON values in a map, null for what is absent.
#[derive(Default)]
struct Plain(BTreeMap<String, serde_json::Value>);

impl Plain {
    fn apply(&mut self, op: &Op) -> Output {
        use serde_json::Value as Json;
        let json = |value: &Value| serde_json::to_value(value).expect("JSON");
        let slot = self.0.entry(op.key().to_string()).or_insert(Json::Null);
        match op {
            Op::Put { value, .. } => *slot = json(value),
            Op::Delete { .. } => *slot = Json::Null,
            Op::Cas { expected, new, .. } => {
                let current = serde_json::from_value(slot.clone()).expect("a value");
                let applied = *slot == json(expected);
                if applied {
                    *slot = json(new);
                }
                return Output::Cas { applied, current };
            }
            Op::Append { value, .. } => match (&mut *slot, json(value)) {
                (Json::Array(items), more) => items.push(more),
                (Json::String(text), Json::String(more)) => text.push_str(&more),
                (Json::Null, Json::String(text)) => *slot = Json::String(text),
                (Json::Null, other) => *slot = Json::Array(vec![other]),
                (current, other) => return mismatch(current, &other),
            },
            Op::Add { element, .. } => {
                let mut items = match &*slot {
                    Json::Null => Vec::new(),
                    Json::Array(items) => items.clone(),
                    current => return mismatch(current, &json(element)),
                };
                let item =
                    |json: &Json| serde_json::from_value::<Value>(json.clone()).expect("one");
                if !items.contains(&json(element)) {
                    let place = items.iter().position(|one| item(one) >= *element);
                    items.insert(place.unwrap_or(items.len()), json(element));
                }
                *slot = Json::Array(items);
            }
            Op::Increment { by, .. } => match &*slot {
                Json::Null => *slot = (*by).into(),
                Json::Number(sum) => *slot = (sum.as_i64().expect("it fits") + by).into(),
                current => return mismatch(current, &(*by).into()),
            },
        }
        Output::Done
    }
}

fn mismatch(current: &serde_json::Value, added: &serde_json::Value) -> Output {
    use serde_json::Value as Json;
    let kind = |json: &Json| match json {
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "an integer",
        Json::String(_) => "text",
        Json::Array(_) => "a list",
        _ => "null",
    };
    let (appended, current) = (kind(added).to_owned(), kind(current).to_owned());
    Output::Rejected(Rejection::TypeMismatch { appended, current })
}

proptest! {
    #[test]
    fn does_what_a_plain_map_does(ops in vec(op(), 0..30)) {
        let (mut store, mut plain) = (Store::default(), Plain::default());
        for op in ops {
            let expected = plain.apply(&op);
            let output = store.apply(&Command { session: None, op: op.clone() });
            prop_assert_eq!(output, expected, "{:?}", op);
            for (key, value) in &plain.0 {
                prop_assert_eq!(&serde_json::to_value(store.get(key)).expect("JSON"), value);
            }
        }
        let present = plain.0.values().filter(|value| !value.is_null()).count();
        prop_assert_eq!(store.iter().count(), present);
    }

    /// Each command is sent up to three times, some of them late: what happens and what is answered
    /// is the same as if each had been sent once.
    #[test]
    fn commands_of_a_session_take_effect_once(
        commands in vec((0u8..3, op(), 1usize..4), 0..30),
        gap in 1u64..3,
    ) {
        let (mut store, mut once) = (Store::default(), Store::default());
        let mut sequences = [0; 3];
        for (client, op, copies) in commands {
            let sequence = &mut sequences[client as usize];
            *sequence += gap;
            let session = Session { client: client.to_string().into(), sequence: *sequence };
            let expected = once.apply(&Command { session: None, op: op.clone() });
            for _ in 0..copies {
                let command = Command { session: Some(session.clone()), op: op.clone() };
                prop_assert_eq!(store.apply(&command), expected.clone());
            }
            let late = Session { sequence: session.sequence - gap, ..session.clone() };
            let answer = store.apply(&Command { session: Some(late), op });
            let last = session.sequence;
            prop_assert_eq!(answer, Output::Rejected(Rejection::StaleSequence { last }));
            prop_assert!(store.iter().eq(once.iter()));
        }
    }

    /// A snapshot of the state, sessions included, goes on like the state itself.
    #[test]
    fn survives_being_written_down(
        before in vec((option::of(0u8..2), op()), 0..15),
        after in vec((option::of(0u8..2), op()), 0..15),
    ) {
        let mut sequence = 0;
        let mut command = |(client, op): (Option<u8>, Op)| {
            sequence += 1;
            let session = |client: u8| Session { client: client.to_string().into(), sequence };
            Command { session: client.map(session), op }
        };
        let mut store = Store::default();
        for step in before {
            store.apply(&command(step));
        }
        let json = serde_json::to_vec(&store).expect("JSON");
        let mut copy: Store = serde_json::from_slice(&json).expect("a state");
        prop_assert_eq!(&copy, &store);
        for step in after {
            let command = command(step);
            prop_assert_eq!(copy.apply(&command), store.apply(&command));
            prop_assert_eq!(copy.apply(&command), store.apply(&command));
        }
        prop_assert_eq!(copy, store);
    }
}

#[test]
fn an_absent_key_is_null_and_null_is_absent() {
    let mut store = Store::default();
    let mut apply = |op| store.apply(&Command { session: None, op });
    let key = || Key::from("x");
    let cas = |expected, new| Op::Cas { key: key(), expected, new };
    let applied = |current| Output::Cas { applied: true, current };
    assert_eq!(apply(cas(Value::Null, 1.into())), applied(Value::Null));
    assert_eq!(apply(cas(1.into(), Value::Null)), applied(1.into()));
    assert_eq!(apply(cas(Value::Null, 2.into())), applied(Value::Null));
    assert_eq!(apply(Op::Put { key: key(), value: Value::Null }), Output::Done);
    assert_eq!(store.iter().count(), 0);
}

#[test]
fn appending_has_an_end() {
    let mut store = Store::default();
    let text = Value::text(&"x".repeat(60_000));
    let mut append = || {
        let op = Op::Append { key: "x".into(), value: text.clone() };
        store.apply(&Command { session: None, op })
    };
    let appended = (0..).take_while(|_| append() == Output::Done).take(100).count();
    assert_eq!(appended, APPENDED_MAX / 60_000);
    assert_eq!(append(), Output::Rejected(Rejection::TooLarge));
    assert!(store.get("x").size() <= APPENDED_MAX);
}
