//! Histories in every format, whole and broken.

use rashomon_checker::history::{
    Event, EventType, Format, Process, ReadOptions, Recording, Value, Warning, jsonl, read_bytes,
    read_bytes_with, read_file,
};

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

fn read(text: &str) -> Recording {
    read_bytes(text.as_bytes(), "history", None).unwrap_or_else(|error| panic!("{error}"))
}

fn error(bytes: &[u8]) -> String {
    read_bytes(bytes, "history", None).unwrap_err().to_string()
}

#[test]
fn porcupine_logs_tell_values_and_errors_apart() {
    let recording = read(
        "INFO  jepsen.util - 0\t:invoke\t:read\tnil\n\
         INFO  jepsen.util - 0\t:ok\t:read\tnil\n\
         INFO  jepsen.util - 3\t:invoke\t:cas\t[0 4]\n\
         INFO  jepsen.util - 3\t:info\t:cas\t:timed-out\n\
         INFO  jepsen.util - 2\t:invoke\t:write\t1\n\
         INFO  jepsen.util - 2\t:fail\t:write\t1\n",
    );
    assert_eq!(recording.format, Format::PorcupineEtcd);
    assert_eq!(recording.warnings, []);
    let told: Vec<_> = recording.events.iter().map(|e| (e.line, &e.value, &e.error)).collect();
    let cas = Value::list([Value::Int(0), Value::Int(4)]);
    let timed_out = Some(Value::text("timed-out"));
    assert_eq!(
        told,
        [
            (1, &Value::Nil, &None),
            (2, &Value::Nil, &None),
            (3, &cas, &None),
            (4, &Value::Nil, &timed_out),
            (5, &Value::Int(1), &None),
            (6, &Value::Int(1), &None),
        ]
    );
}

#[test]
fn porcupine_key_values_have_keys() {
    let recording = read(
        "{:process 9, :type :invoke, :f :append, :key \"0\", :value \"x 9 0 y\"}\n\
         {:process 9, :type :ok, :f :append, :key \"0\", :value \"x 9 0 y\"}\n",
    );
    assert_eq!(recording.format, Format::PorcupineKv);
    assert_eq!(recording.events[1].key, Some(Value::text("0")));
    assert_eq!(recording.events[1].value, Value::text("x 9 0 y"));
    assert_eq!(recording.events[1].error, None);
}

#[test]
fn logs_of_jepsen_are_read_among_other_lines() {
    let recording = read(
        "2021-02-26 23:38:59,100{GMT}\tINFO\t[main] jepsen.core: Starting\n\
         with a second line\n\
         \n\
         2021-02-26 23:39:01,300{GMT}\tINFO\t[jepsen worker 1] jepsen.util: 1\t:invoke\t:write\t\"a\tb\"\n\
         2021-02-26 23:39:01,301{GMT}\tINFO\t[jepsen nemesis] jepsen.util: :nemesis\t:info\t:start\tnil\n\
         2021-02-26 23:39:01,302{GMT}\tINFO\t[jepsen worker 1] jepsen.util: 1\t:fail\t:write\t\"a\tb\"\tconnection refused\n",
    );
    assert_eq!(recording.format, Format::JepsenLog);
    assert_eq!(recording.warnings, [Warning::Skipped { lines: 2, first: 1 }]);
    let [invoke, nemesis, fail] = &recording.events[..] else { panic!("{recording:?}") };
    assert_eq!((invoke.line, nemesis.line, fail.line), (4, 5, 6));
    assert_eq!(invoke.value, Value::text("a\tb"));
    assert_eq!(nemesis.process, Process::nemesis());
    assert_eq!(fail.error, Some(Value::text("connection refused")));
}

#[test]
fn history_txt_is_a_log_without_a_logger() {
    let recording = read(
        "1\t:invoke\t:write\t[0 2]\n\
         :nemesis\t:info\t:start\tnil\n\
         1\t:info\t:write\t[0 2]\t:net-timeout\n",
    );
    assert_eq!(recording.format, Format::JepsenLog);
    assert_eq!(recording.events[2].error, Some(Value::text("net-timeout")));
    assert_eq!(recording.events[2].index, 2);
}

#[test]
fn an_array_of_json_is_read_too() {
    let recording = read(
        "[{\"process\": 0, \"type\": \"invoke\", \"f\": \"read\"},\n\
         \n {\"process\": \"nemesis\", \"type\": \"info\",\n \"f\": \"kill\", \"extra\": [1]}]\n",
    );
    assert_eq!(recording.format, Format::Json);
    let lines: Vec<_> = recording.events.iter().map(|event| (event.index, event.line)).collect();
    assert_eq!(lines, [(0, 1), (1, 3)]);
}

#[test]
fn edn_has_more_than_keywords_and_numbers() {
    let value = |text: &str| {
        let text = format!("{{:process 0, :type :ok, :f :f, :value {text}}}");
        read(&text).events[0].value.clone()
    };
    let number = |spelling: &str| Value::Number(spelling.into());
    for (text, expected) in [
        ("#{3 1 2}", Value::list([1, 2, 3].map(Value::Int))),
        ("{:b 1, :a 2}", Value::map([("a", 2), ("b", 1)].map(|(k, v)| (k.into(), v.into())))),
        ("#:x{:a 1}", Value::map([(Value::text("x/a"), Value::Int(1))])),
        ("#inst \"2020-01-01\"", Value::text("2020-01-01")),
        ("#jepsen.Thing [1]", Value::list([Value::Int(1)])),
        ("#_ #_ 1 2 3", Value::Int(3)),
        (
            "[\\a \\newline \\( \\u00e9 \\o101]",
            Value::list(["a", "\n", "(", "é", "A"].map(Value::text)),
        ),
        ("\"\\u00e9 \\ud83d\\ude00 \\t\\\\ \\101\"", Value::text("é 😀 \t\\ A")),
        ("[12N -0x1F +7 -0]", Value::list([12, -31, 7, 0].map(Value::Int))),
        ("99999999999999999999N", number("99999999999999999999")),
        ("1.50M", number("1.50M")),
        ("+1/3", number("1/3")),
        ("##-Inf", number("##-Inf")),
        ("[+ - a/b <= .x]", Value::list(["+", "-", "a/b", "<=", ".x"].map(Value::text))),
        ("(true, nil false)", Value::list([Value::Bool(true), Value::Nil, Value::Bool(false)])),
    ] {
        assert_eq!(value(text), expected, "{text}");
    }
}

#[test]
fn what_jepsen_does_not_have_is_absent() {
    let recording = read("#jepsen.history.Op{:index -1 :time -1 :process 0 :type :ok :f :read}");
    let [event] = &recording.events[..] else { panic!("{recording:?}") };
    assert_eq!((event.index, event.time, &event.value), (0, None, &Value::Nil));
}

const KEYED: &str = "{:process 0, :type :invoke, :f :read, :value [7 nil]}\n\
                     {:process :nemesis, :type :info, :f :start, :value [1 2]}\n\
                     {:process 1, :type :invoke, :f :cas, :value [8 [0 1]]}\n\
                     {:process 0, :type :ok, :f :read, :value [7 5]}\n\
                     {:process 1, :type :info, :f :cas, :value :timed-out}\n";

#[test]
fn evident_keys_are_lifted() {
    let recording = read(KEYED);
    let keys: Vec<_> = recording.events.iter().map(|event| event.key.clone()).collect();
    let key = |key| Some(Value::Int(key));
    assert_eq!(keys, [key(7), None, key(8), key(7), key(8)]);
    assert_eq!(recording.events[0].value, Value::Nil);
    assert_eq!(recording.events[2].value, Value::list([Value::Int(0), Value::Int(1)]));
    assert_eq!(recording.events[3].value, Value::Int(5));
    assert_eq!(recording.events[4].error, Some(Value::text("timed-out")));
    assert_eq!(recording.events[1].value, Value::list([Value::Int(1), Value::Int(2)]));
}

#[test]
fn keys_are_not_guessed() {
    // Each of these could be something else than an operation on a key.
    for (evident, doubtful) in [
        ("[7 nil]", "nil"),
        ("[8 [0 1]]", "[0 1]"),
        ("[7 5]", "[6 5]"),
        (":read, :value [7 nil]", ":pop, :value [7 nil]"),
    ] {
        let text = KEYED.replace(evident, doubtful);
        assert_ne!(text, KEYED);
        let recording = read(&text);
        assert!(recording.events.iter().all(|event| event.key.is_none()), "{text}");
    }
}

#[test]
fn keys_can_be_told() {
    let keyed = |keyed| ReadOptions { keyed: Some(keyed), ..ReadOptions::default() };
    let text = "{:process 0, :type :invoke, :f :acquire, :value [7 nil]}\n\
                {:process 0, :type :ok, :f :acquire, :value nil}\n";
    let told = read_bytes_with(text.as_bytes(), "h", keyed(true)).unwrap();
    assert!(told.events.iter().all(|event| event.key == Some(Value::Int(7))));
    assert!(told.events.iter().all(|event| event.value.is_nil()));
    let ours = r#"{"process":0,"type":"invoke","f":"cas","key":"x","value":[1,2]}"#;
    let told = read_bytes_with(ours.as_bytes(), "h", keyed(true)).unwrap();
    assert_eq!(told.events[0].key, Some(Value::text("x")));
    assert_eq!(told.events[0].value, Value::list([1, 2].map(Value::Int)));
    let denied = read_bytes_with(KEYED.as_bytes(), "h", keyed(false)).unwrap();
    assert!(denied.events.iter().all(|event| event.key.is_none()));
    let text = KEYED.replace("[7 nil]", "nil");
    let error = read_bytes_with(text.as_bytes(), "h", keyed(true)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "h:1: independent keys were asked for: read nil is no [key value]; read the file without them"
    );
}

#[test]
fn a_cut_off_end_is_a_warning() {
    let line = "{\"process\":0,\"type\":\"invoke\",\"f\":\"read\"}\n";
    // In the middle of a character, even.
    for rest in [&b"{\"proc"[..], b"{", b"{\"f\":\"\xE2\x82", b"{\"f\":\"\\u00"] {
        let bytes = [line.as_bytes(), rest].concat();
        let recording = read_bytes(&bytes, "h", None).unwrap();
        assert_eq!(recording.events.len(), 1);
        assert_eq!(recording.warnings, [Warning::CutOff { line: 2 }]);
    }
    let warning = Warning::CutOff { line: 2 };
    assert_eq!(
        warning.to_string(),
        "line 2 is cut off and was left out; its recorder was probably killed"
    );
    let edn = "{:process 0, :type :invoke, :f :read}\n{:process 0, :type :o";
    assert_eq!(read(edn).warnings, [Warning::CutOff { line: 2 }]);
    let log = "0\t:invoke\t:read\tnil\n0\t:ok\t:re";
    assert_eq!(read(log).warnings, [Warning::CutOff { line: 2 }]);
    let log = "0\t:invoke\t:write\t1\n0\t:ok\t:write\t1";
    assert_eq!(read(log).warnings, [Warning::Unterminated { line: 2 }]);
}

#[test]
fn broken_files_name_the_place_and_the_problem() {
    let good = "{\"process\":0,\"type\":\"invoke\",\"f\":\"read\"}\n";
    let edn = "{:process 0, :type :invoke, :f :read}\n";
    let log = "0\t:invoke\t:read\tnil\n";
    let cases: &[(String, &str)] = &[
        (String::new(), "history: there is no complete event in it; was anything recorded?"),
        (" \n\n".into(), "history: there is no complete event in it; was anything recorded?"),
        ("[]".into(), "history: there is no complete event in it; was anything recorded?"),
        ("{\"pro".into(), "history: there is no complete event in it; was anything recorded?"),
        (
            "hello\n".into(),
            "history: not a history in any known format (jsonl, json, edn, porcupine-kv, \
             porcupine-etcd, jepsen-log, rash); name the format if it is one",
        ),
        (format!("{good}{{\"f\":1}}\n"), "history:2:6: not an event: its f is 1, which is no name"),
        (format!("{good}{{\"f\":\"a\"}}\n"), "history:2:1: not an event: it has no field process"),
        (
            format!("{good}\n  {{\"f\":\n{good}"),
            "history:3:8: not jsonl: expected a value, found the end",
        ),
        (format!("{good}{good}x\n{good}"), "history:3:1: not jsonl: expected `{`, found 'x'"),
        (format!("{good}{{\"é\":01}}"), "history:2:7: not jsonl: expected `,` or `}`, found '1'"),
        (format!("{good}{{}} {{}}\n"), "history:2:4: not jsonl: expected nothing more"),
        (
            "{\"process\":-1,\"type\":\"ok\",\"f\":\"f\"}\n".into(),
            "history:1:12: not an event: its process is -1, which is neither a whole number from 0 \
             nor a name",
        ),
        (
            "{\"process\":1,\"type\":\"maybe\",\"f\":\"f\"}\n".into(),
            "history:1:21: not an event: its type is \"maybe\", which is none of invoke, ok, fail, \
             info",
        ),
        (
            "{\"process\":1,\"process\":1}\n".into(),
            "history:1:24: not an event: it has two fields named process",
        ),
        (
            "{\"time\":1.5}\n".into(),
            "history:1:9: not an event: its time is 1.5, which is no whole number from 0",
        ),
        (
            format!("{edn}{{:process 1\n{edn}{edn}"),
            "history:2:1: not edn: a map that is never closed begins here",
        ),
        (format!("[{edn}"), "history:1:1: not edn: this `[` is never closed"),
        (
            format!("[{edn}] 1"),
            "history:2:3: not edn: expected nothing after the last bracket, found '1'",
        ),
        (format!("{edn} (1)"), "history:2:2: not edn: expected a map, found '('"),
        (format!("{edn}{{:a ]}}"), "history:2:5: not edn: expected a value, found ']'"),
        (format!("{edn}{{:value 0x}}\n"), "history:2:9: not edn: \"0x\" is no number"),
        (format!("{edn}{{:value 010}}\n"), "history:2:9: not edn: \"010\" is no number"),
        (
            format!("{edn}{{:value {{:a}}}}"),
            "history:2:9: not edn: a map with a key that has no value",
        ),
        (
            format!("{log}oops\n{log}"),
            "history:2:1: not jepsen-log: expected a process, a type, an f and a value, with tabs \
             between",
        ),
        (
            format!("{log}0\t:ok\t:read\t]\n"),
            "history:2:13: not jepsen-log: expected a value, found ']'",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(error(text.as_bytes()), *expected, "{text:?}");
    }
}

#[test]
fn binary_files_are_no_histories() {
    let good = "{\"process\":0,\"type\":\"invoke\",\"f\":\"read\"}\n".repeat(3);
    let edn = "{:process 0, :type :invoke, :f :read}\n".repeat(3);
    let not_text = "not a text file (a NUL byte, or bytes that are not UTF-8), and not our binary \
                    form; a history is JSON lines, EDN, a Jepsen or Porcupine log, or history.rash, \
                    uncompressed";
    for (bytes, place) in [
        (b"\x7fELF\x02\x01\x01\0\0\0".to_vec(), "history"),
        (b"\x1f\x8b\x08\x00\xff\xfe".to_vec(), "history"),
        ([good.as_bytes(), b"{\"f\":\"\xff\xfe\"}\n"].concat(), "history:4:7"),
        ([good.as_bytes(), b"\0\0\0\0\n"].concat(), "history:4:1"),
        ([good.as_bytes(), b"{\"f\":\"\0"].concat(), "history:4:7"),
        ([edn.as_bytes(), b"{:f \"\xff\xfe\"}\n"].concat(), "history:4:6"),
        ([edn.as_bytes(), b"{:f \0"].concat(), "history:4:5"),
    ] {
        assert_eq!(error(&bytes), format!("{place}: {not_text}"), "{}", bytes.escape_ascii());
    }
}

#[test]
fn clients_with_names_are_pointed_at() {
    let text = "{:process 0, :type :invoke, :f :read}\n{:process 0, :type :ok, :f :read}\n";
    assert_eq!(read(text).warnings, []);
    let named = text.replace(":process 0", ":process \"0\"");
    let [warning] = &read(&named).warnings[..] else { panic!("no warning") };
    assert_eq!(
        warning.to_string(),
        "no process is a number, so no event counts as a client's; that of line 1 is called \"0\""
    );
    let nemesis = "{:process :nemesis, :type :info, :f :start}\n";
    assert_eq!(read(nemesis).warnings, []);
}

#[test]
fn a_name_helps_where_the_content_does_not() {
    let error = read_bytes(b"!\n", "history.jsonl", None).unwrap_err();
    assert_eq!(error.to_string(), "history.jsonl:1:1: not jsonl: expected `{`, found '!'");
    let missing = read_file(std::path::Path::new("no/such/history.edn")).unwrap_err();
    assert!(missing.to_string().starts_with("no/such/history.edn: cannot be read: "), "{missing}");
    let bom = "\u{FEFF}{\"process\":0,\"type\":\"invoke\",\"f\":\"read\"}\r\n";
    assert_eq!(read(bom).format, Format::Jsonl);
    assert_eq!("edn".parse::<Format>().unwrap(), Format::Edn);
    assert!("yaml".parse::<Format>().unwrap_err().to_string().contains("jepsen-log"));
}

#[test]
fn deep_nesting_ends_as_an_error() {
    let deep = 1_000_000;
    let event = |open: &str| format!("{{:process 0 :type :ok :f :f :value {}", open.repeat(deep));
    let line = |open: &str| format!("{{\"value\":{}", open.repeat(deep));
    for text in ["[", "{", "#{", "(", "#_", "#a ", "#_{", "#a[", "{1 "].map(event) {
        assert!(error(text.as_bytes()).contains("nested more than 128 deep"));
    }
    for text in ["[", "{\"a\":"].map(line) {
        assert!(error(text.as_bytes()).contains("nested more than 128 deep"));
    }
    for text in ["[", "#_", "#a "].map(|open| format!("0\t:ok\t:f\t{}\n", open.repeat(deep))) {
        assert!(error(text.as_bytes()).contains("nested more than 128 deep"));
    }
    for text in ["(", "[", "{{", "#{"].map(|open| open.repeat(deep)) {
        assert!(read_bytes(text.as_bytes(), "h", None).is_err());
    }
    let nested = (0..200).fold(Value::Nil, |inner, _| Value::list([inner]));
    let event = Event { value: nested, ..read(KEYED).events[0].clone() };
    let error = jsonl::write_event(&mut Vec::new(), &event).unwrap_err();
    assert_eq!(error.to_string(), "a value is nested more than 128 deep");
}
