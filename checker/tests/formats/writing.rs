//! What is written in one format is what another would say.

use proptest::collection::vec;
use proptest::prelude::*;
use rashomon_checker::history::{
    Event, EventType, Format, Process, ReadError, ReadOptions, Value, Writer, read_bytes_with,
    visit_file,
};

use crate::strategies::{config, edn_value, event, history, told, unplaced};

fn written(events: &[Event], format: Format) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), format).unwrap();
    events.iter().for_each(|event| writer.write_event(event).unwrap());
    writer.finish().unwrap()
}

fn read_back(events: &[Event], format: Format) -> Vec<Event> {
    let bytes = written(events, format);
    unplaced(&told(&bytes, format).unwrap_or_else(|error| panic!("{error}")).events)
}

/// What EDN can say without being misunderstood.
fn edn_event() -> impl Strategy<Value = Event> {
    (event(), edn_value(), edn_value(), proptest::option::of(edn_value())).prop_map(
        |(event, key, value, error)| {
            // What did not succeed has no text but for its error.
            let is_error = value.as_text().is_some()
                && matches!(event.kind, EventType::Fail | EventType::Info);
            let present = |value: &Value| !value.is_nil();
            Event {
                key: event.key.is_some().then_some(key).filter(present),
                value: if is_error { Value::Nil } else { value },
                error: error.filter(present),
                ..event
            }
        },
    )
}

proptest! {
    #![proptest_config(config(1_000))]

    #[test]
    fn edn_says_what_was_meant(events in vec(edn_event(), 1..5)) {
        prop_assert_eq!(read_back(&events, Format::Edn), events);
    }

    #[test]
    fn an_array_says_what_was_meant(events in vec(event(), 1..5)) {
        prop_assert_eq!(read_back(&events, Format::Json), events);
    }

    /// Whatever EDN makes of it, it is a history.
    #[test]
    fn any_event_can_be_written_as_edn(events in vec(event(), 1..5)) {
        prop_assert_eq!(read_back(&events, Format::Edn).len(), events.len());
    }
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn a_visit_meets_all_events(events in history(), format in 0..4usize, strip in any::<bool>()) {
        let format = Format::WRITABLE[format];
        let mut bytes = written(&events, format);
        if strip && format == Format::Jsonl {
            // An event without an index has all of them counted.
            let text = String::from_utf8(bytes).unwrap();
            bytes = text.replacen("\"index\":3,", "", 1).into_bytes();
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history");
        std::fs::write(&path, &bytes).unwrap();
        let mut met = Vec::new();
        let visited = visit_file(&path, ReadOptions::default(), |some| {
            met.extend_from_slice(some);
            Ok::<_, ReadError>(())
        });
        let recording = read_bytes_with(&bytes, "history", ReadOptions::default()).unwrap();
        prop_assert_eq!(visited.unwrap().warnings, recording.warnings);
        prop_assert_eq!(met, recording.events);
    }
}

fn one(value: Value) -> Event {
    Event {
        index: 7,
        time: Some(12),
        process: Process::Client(3),
        kind: EventType::Ok,
        f: "write".into(),
        key: Some(Value::text("x")),
        value,
        node: Some("n1".into()),
        error: None,
        line: 0,
    }
}

#[test]
fn edn_looks_as_jepsen_prints_it() {
    let pair = (Value::Number("1/3".into()), Value::Bool(true));
    let value =
        Value::list([Value::Int(-1), Value::Nil, Value::text("a\"\n\0"), Value::map([pair])]);
    let map = r#"{:index 7, :time 12, :process 3, :type :ok, :f :write, :key "x", "#;
    assert_eq!(
        String::from_utf8(written(&[one(value)], Format::Edn)).unwrap(),
        format!("{map}:value [-1 nil \"a\\\"\\n\\u0000\" {{1/3 true}}], :node \"n1\"}}\n"),
    );
    let nemesis = Event {
        process: Process::nemesis(),
        f: "cut off".into(),
        time: None,
        key: None,
        node: None,
        error: Some(Value::Int(1)),
        ..one(Value::Nil)
    };
    assert_eq!(
        String::from_utf8(written(&[nemesis], Format::Edn)).unwrap(),
        "{:index 7, :process :nemesis, :type :ok, :f \"cut off\", :value nil, :error 1}\n",
    );
}

#[test]
fn what_cannot_be_written_is_refused() {
    for format in Format::ALL {
        let is_writable = Format::WRITABLE.contains(&format);
        assert_eq!(Writer::new(Vec::new(), format).is_ok(), is_writable, "{format}");
    }
    let error = Writer::new(Vec::new(), Format::JepsenLog).unwrap_err();
    let message = "jepsen-log cannot be written; choose one of jsonl, json, edn, rash";
    assert_eq!(error.to_string(), message);
    let deep = |lists: usize| (0..lists).fold(Value::Nil, |inner, _| Value::list([inner]));
    for format in Format::WRITABLE {
        let mut writer = Writer::new(Vec::new(), format).unwrap();
        writer.write_event(&one(deep(127))).unwrap();
        let error = writer.write_event(&one(deep(129))).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{format}");
        let read = told(&writer.finish().unwrap(), format).unwrap();
        assert_eq!(read.events[0].value, deep(127), "{format}");
    }
}

#[test]
fn a_visit_ends_where_nobody_takes_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.jsonl");
    std::fs::write(&path, written(&[one(Value::Nil)], Format::Jsonl)).unwrap();
    #[derive(Debug)]
    struct Enough;
    impl From<ReadError> for Enough {
        fn from(error: ReadError) -> Self {
            panic!("{error}")
        }
    }
    visit_file(&path, ReadOptions::default(), |_| Err(Enough)).unwrap_err();
    // What cannot be read to its end is not given away in part.
    std::fs::write(&path, [written(&[one(Value::Nil)], Format::Jsonl), b"?\n".to_vec()].concat())
        .unwrap();
    let visit = visit_file(&path, ReadOptions::default(), |_| -> Result<(), ReadError> {
        panic!("there is something")
    });
    visit.unwrap_err();
}
