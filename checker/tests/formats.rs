//! Histories in every format, whole and broken.

use rashomon_checker::history::{Event, EventType, Format, Process, Value, jsonl, read_bytes};

#[test]
fn a_line_of_ours_has_all_fields() {
    let line = r#"{"index":4,"time":123,"process":3,"type":"invoke","f":"write","key":"x","value":5,"node":"n1","error":["no",null]}"#;
    let recording = read_bytes(line.as_bytes(), "history.jsonl", None).unwrap();
    assert_eq!(recording.format, Format::Jsonl);
    assert_eq!(recording.warnings, []);
    let expected = Event {
        index: 4,
        time: Some(123),
        process: Process::Client(3),
        kind: EventType::Invoke,
        f: "write".into(),
        key: Some(Value::text("x")),
        value: Value::Int(5),
        node: Some("n1".into()),
        error: Some(Value::list([Value::text("no"), Value::Nil])),
        line: 1,
    };
    assert_eq!(recording.events, std::slice::from_ref(&expected));
    let mut written = Vec::new();
    jsonl::write_event(&mut written, &expected).unwrap();
    assert_eq!(String::from_utf8(written).unwrap(), format!("{line}\n"));
}

#[test]
fn maps_of_jepsen_may_be_a_stream_or_a_vector_or_a_list() {
    let maps = "{:process 0, :type :invoke, :f :cas, :value [0 3]}\n\
                ; done\n\
                {:process :nemesis, :type :info, :f :start, :value nil}\n";
    for text in [maps.to_owned(), format!("[{maps}]"), format!("; first\n({maps})\n")] {
        let recording = read_bytes(text.as_bytes(), "history", None).unwrap();
        assert_eq!(recording.format, Format::Edn);
        assert_eq!(recording.warnings, []);
        let [cas, nemesis] = &recording.events[..] else { panic!("{recording:?}") };
        assert_eq!(cas.process, Process::Client(0));
        assert_eq!(cas.value, Value::list([Value::Int(0), Value::Int(3)]));
        assert_eq!(nemesis.process, Process::nemesis());
        assert_eq!((cas.index, nemesis.index), (0, 1));
        assert_eq!(nemesis.line, cas.line + 2);
    }
}
