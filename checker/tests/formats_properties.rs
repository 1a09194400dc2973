//! What must hold for every history, however hostile: written and read it is the same, cut
//! anywhere its beginning remains, and no bytes make a reader panic.

use std::fmt::Write;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rashomon_checker::history::{
    Event, EventType, Format, Process, ReadOptions, Recording, Value, Warning, jsonl, read_bytes,
    read_bytes_with,
};

fn config(cases: u32) -> ProptestConfig {
    // The same cases each time: a run that fails must fail again.
    let rng_seed = RngSeed::Fixed(0x5261_7368_6f6d_6f6e);
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..ProptestConfig::default() }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z]{1,8}",
        2 => any::<String>(),
        1 => "[\\x00-\\x1f\"\\\\{}\\[\\]:;#,]{0,6}",
        1 => Just("$number".to_owned()),
        1 => Just("$map".to_owned()),
        1 => Just("a text too long to be shared with its next occurrence".to_owned()),
    ]
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i128>().prop_map(|huge| huge.to_string()),
        any::<f64>().prop_map(|fraction| fraction.to_string()),
        any::<f64>().prop_map(|fraction| format!("{fraction:e}")),
        "-?[0-9]{1,30}(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,3})?",
        "[0-9]{1,3}/[1-9]",
        Just("##Inf".to_owned()),
        Just(String::new()),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (0..10i64).prop_map(Value::Int),
        number().prop_map(|spelling| Value::Number(spelling.into())),
        text().prop_map(Value::text),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::list),
            vec((inner.clone(), inner.clone()), 0..4).prop_map(Value::map),
            vec((text().prop_map(Value::text), inner), 0..3).prop_map(Value::map),
        ]
    })
}

fn some_value() -> impl Strategy<Value = Option<Value>> {
    proptest::option::of(value().prop_filter("nil is none", |value| !value.is_nil()))
}

fn event() -> impl Strategy<Value = Event> {
    let process = prop_oneof![
        any::<u64>().prop_map(Process::Client),
        text().prop_map(|name| Process::Named(name.into())),
    ];
    let kind = prop_oneof![
        Just(EventType::Invoke),
        Just(EventType::Ok),
        Just(EventType::Fail),
        Just(EventType::Info)
    ];
    let node = proptest::option::of(text().prop_map(Into::into));
    let place = (any::<u64>(), proptest::option::of(any::<u64>()));
    (place, process, kind, text(), some_value(), value(), node, some_value()).prop_map(
        |((index, time), process, kind, f, key, value, node, error)| Event {
            index,
            time,
            process,
            kind,
            f: f.into(),
            key,
            value,
            node,
            error,
            line: 0,
        },
    )
}

fn written(events: &[Event]) -> Vec<u8> {
    let mut out = Vec::new();
    for event in events {
        jsonl::write_event(&mut out, event).expect("a vector takes everything");
    }
    out
}

/// The warnings about the file, not about who acts in it.
fn damage(recording: &Recording) -> Vec<Warning> {
    let is_damage = |warning: &&Warning| !matches!(warning, Warning::NoClients { .. });
    recording.warnings.iter().filter(is_damage).cloned().collect()
}

fn unplaced(events: &[Event]) -> Vec<Event> {
    events.iter().map(|event| Event { line: 0, ..event.clone() }).collect()
}

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn events_written_are_read_back(events in vec(event(), 1..6)) {
        let recording = read_bytes(&written(&events), "h", Some(Format::Jsonl)).unwrap();
        prop_assert_eq!(damage(&recording), &[]);
        prop_assert_eq!(unplaced(&recording.events), events);
        for (line, event) in (1..).zip(&recording.events) {
            prop_assert_eq!(event.line, line);
        }
    }

    #[test]
    fn values_survive_serde(value in value()) {
        let json = serde_json::to_string(&value).unwrap();
        prop_assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), value);
    }
}

/// Bytes that matter to some parser, and some that matter to none.
const SIGNIFICANT: &[u8] = b"{}[]()\"\\:;#,_ \n\t\r0195-+.eEnNMutf/x\x00\x7f\xc3\xff$^'";

/// Changes to a file: what to do, where (as a share of its length), and with which byte.
fn mutations() -> impl Strategy<Value = Vec<(u8, f64, u8)>> {
    vec((0..4u8, 0.0..1.0f64, proptest::sample::select(SIGNIFICANT)), 1..5)
}

fn mutated(mut bytes: Vec<u8>, mutations: &[(u8, f64, u8)]) -> Vec<u8> {
    for (what, place, byte) in mutations {
        let at = (*place * bytes.len() as f64) as usize;
        match what {
            _ if at >= bytes.len() => bytes.push(*byte),
            0 => bytes[at] = *byte,
            1 => bytes.insert(at, *byte),
            2 => drop(bytes.remove(at)),
            _ => bytes.extend_from_within(at..),
        }
    }
    bytes
}

proptest! {
    #![proptest_config(config(4_000))]

    /// serde_json is the oracle: the same texts are accepted, with the same values.
    #[test]
    fn json_is_what_serde_json_takes_for_it(value in value(), mutations in mutations()) {
        let plain = serde_json::to_vec(&value).unwrap();
        let bytes = mutated(plain, &mutations);
        let Ok(text) = std::str::from_utf8(&bytes) else { return Ok(()) };
        let array = format!(r#"[{{"process":0,"type":"ok","f":"f","value":{text}}}]"#);
        let ours = read_bytes(array.as_bytes(), "h", Some(Format::Json));
        match serde_json::from_str::<Value>(text) {
            // A text that closes our line's object and goes on is right in its own way.
            Err(error) if error.to_string().contains("trailing characters") => {}
            Err(error) if error.to_string().contains("out of range") => {}
            Err(error) => prop_assert!(ours.is_err(), "{:?} but {}", ours, error),
            Ok(theirs) => {
                let ours = &ours.unwrap().events[0].value;
                prop_assert!(is_rounded(&theirs, ours), "{} but {}", ours, theirs);
            }
        }
    }
}

/// Whether serde_json's value is ours, but for what it rounds.
fn is_rounded(theirs: &Value, ours: &Value) -> bool {
    match (theirs, ours) {
        // What serde_json rounds in its own way on reading, it prints exactly.
        (Value::Number(theirs), Value::Number(ours)) => {
            theirs == ours || theirs.parse::<f64>().ok() == serde_json::from_str(ours).ok()
        }
        // The integer -0 is no fraction to us.
        (Value::Number(theirs), Value::Int(0)) => &**theirs == "-0.0",
        (Value::List(theirs), Value::List(ours)) => {
            theirs.len() == ours.len()
                && theirs.iter().zip(ours.iter()).all(|(theirs, ours)| is_rounded(theirs, ours))
        }
        // Rounded keys may be sorted differently.
        (Value::Map(theirs), Value::Map(ours)) => {
            theirs.len() == ours.len()
                && theirs.iter().all(|theirs| {
                    let is_same = |ours: &(Value, Value)| {
                        is_rounded(&theirs.0, &ours.0) && is_rounded(&theirs.1, &ours.1)
                    };
                    ours.iter().any(is_same)
                })
        }
        _ => theirs == ours,
    }
}

/// Writes a value in EDN, with noise between the tokens.
fn write_edn(out: &mut String, value: &Value, noise: &mut impl Iterator<Item = u8>) {
    out.push_str(match noise.next() {
        Some(0) => " #_ [gone {:a #_b c}] ",
        Some(1) => " ; gone ]\n",
        Some(2) => " #some/tag ",
        Some(3) => ", ,\t\r\n",
        _ => " ",
    });
    match value {
        Value::Nil => out.push_str("nil"),
        Value::Bool(truth) => write!(out, "{truth}").unwrap(),
        Value::Int(int) => {
            let suffix = if noise.next() == Some(4) { "N" } else { "" };
            write!(out, "{int}{suffix}").unwrap();
        }
        Value::Number(spelling) => out.push_str(spelling),
        Value::Text(text) => write_edn_text(out, text, noise.next() == Some(5)),
        Value::List(items) => {
            let brackets = if noise.next() == Some(6) { ('(', ')') } else { ('[', ']') };
            out.push(brackets.0);
            items.iter().for_each(|item| write_edn(out, item, noise));
            out.push(brackets.1);
        }
        Value::Map(pairs) => {
            out.push('{');
            for (key, value) in pairs.iter() {
                write_edn(out, key, noise);
                write_edn(out, value, noise);
            }
            out.push('}');
        }
    }
}

fn write_edn_text(out: &mut String, text: &str, escape_all: bool) {
    let is_name = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase());
    if is_name && !escape_all {
        return write!(out, ":{text}").unwrap();
    }
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            _ if escape_all => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}").unwrap();
                }
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

/// The numbers of EDN that stand for themselves.
fn edn_number() -> impl Strategy<Value = Value> {
    let spelling =
        "-?([1-9][0-9]{19,30}|[1-9][0-9]{0,9}(\\.[0-9]{1,3}M?|e[+-]?[0-9]{1,2}|/[1-9])|##NaN)";
    let spelling =
        spelling.prop_filter("a sign of nothing", |spelling| !spelling.starts_with("-#"));
    spelling.prop_map(|spelling| Value::Number(spelling.into()))
}

fn edn_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        edn_number(),
        text().prop_map(Value::text),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::list),
            vec((inner.clone(), inner), 0..3).prop_map(Value::map),
        ]
    })
}

fn edn_history(values: &[Value], noise: &[u8]) -> String {
    let mut noise = noise.iter().copied().cycle();
    let mut out = String::new();
    for value in values {
        out.push_str("{:process 1 :type :ok, :f :read :value");
        write_edn(&mut out, value, &mut noise);
        out.push_str("}\n");
    }
    out
}

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn edn_is_read_as_it_was_meant(
        values in vec(edn_value(), 1..5),
        noise in vec(0..12u8, 1..40),
        shape in 0..3usize,
    ) {
        let maps = edn_history(&values, &noise);
        let text = [maps.clone(), format!("[{maps}]"), format!(" ({maps} ) ; end")][shape].clone();
        let recording = told(text.as_bytes(), Format::Edn).unwrap();
        let read: Vec<Value> = recording.events.iter().map(|event| event.value.clone()).collect();
        prop_assert_eq!(read, values);
    }
}

/// Reads without a guess at independent keys.
fn told(bytes: &[u8], format: Format) -> Result<Recording, String> {
    let options = ReadOptions { format: Some(format), keyed: Some(false) };
    read_bytes_with(bytes, "h", options).map_err(|error| error.to_string())
}

fn log_history(values: &[Value]) -> String {
    let mut out = String::new();
    for (position, value) in values.iter().enumerate() {
        let kind = if position % 2 == 0 { "invoke" } else { "ok" };
        write!(out, "{}\t:{kind}\t:write\t", position / 2).unwrap();
        let mut text = String::new();
        write_edn(&mut text, value, &mut std::iter::repeat(9));
        writeln!(out, "{}", text.trim_start()).unwrap();
    }
    out
}

proptest! {
    #![proptest_config(config(200))]

    /// Whatever a killed recorder leaves is the beginning of what it would have left.
    #[test]
    fn a_cut_stream_is_a_beginning(events in vec(event(), 1..4), values in vec(edn_value(), 1..4)) {
        let one_line = |text: &String| !text.trim_end().contains('\n') || text.lines().count() == values.len();
        let edn = edn_history(&values, &[9]);
        let mut files = vec![(written(&events), Format::Jsonl)];
        if one_line(&edn) {
            files.push((edn.into_bytes(), Format::Edn));
        }
        for (bytes, format) in files {
            let whole = told(&bytes, format).unwrap();
            for end in 0..bytes.len() {
                check_cut(&whole, &bytes[..end], format)?;
            }
        }
    }

    /// A log's last number may have lost digits; whoever reads is warned.
    #[test]
    fn a_cut_log_is_a_beginning(values in vec((0..5000i64).prop_map(Value::Int), 1..6)) {
        let text = log_history(&values);
        let whole = told(text.as_bytes(), Format::JepsenLog).unwrap();
        for end in 0..text.len() {
            let Ok(cut) = told(&text.as_bytes()[..end], Format::JepsenLog) else {
                prop_assert!(!text[..end].contains('\n'));
                continue;
            };
            let lines = text[..end].matches('\n').count();
            prop_assert_eq!(&cut.events[..lines], &whole.events[..lines]);
            let is_at_line_end = text[..end].ends_with('\n');
            prop_assert_eq!(cut.warnings.is_empty(), is_at_line_end, "{:?}", &text[..end]);
        }
    }
}

fn check_cut(whole: &Recording, bytes: &[u8], format: Format) -> Result<(), TestCaseError> {
    let complete = bytes.iter().filter(|byte| **byte == b'\n').count();
    let rest = bytes.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let Ok(cut) = told(bytes, format) else {
        prop_assert_eq!(complete, 0, "{:?}", String::from_utf8_lossy(bytes));
        return Ok(());
    };
    // The last line may lack nothing but its newline.
    let is_whole = cut.events.len() > complete;
    prop_assert_eq!(&cut.events[..], &whole.events[..complete + usize::from(is_whole)]);
    let warning = Warning::CutOff { line: complete as u32 + 1 };
    let expected = if rest.is_empty() || is_whole { vec![] } else { vec![warning] };
    prop_assert_eq!(damage(&cut), expected);
    Ok(())
}

fn check_any(bytes: &[u8]) -> Result<(), TestCaseError> {
    for format in std::iter::once(None).chain(Format::ALL.map(Some)) {
        for keyed in [None, Some(true)] {
            let result = read_bytes_with(bytes, "h", ReadOptions { format, keyed });
            let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
            match result {
                Ok(recording) => prop_assert!(!recording.events.is_empty()),
                Err(error) => {
                    let line = error.position.map_or(1, |position| position.line);
                    prop_assert!((1..=lines).contains(&(line as usize)), "{}", error);
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(1_000))]

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..200)) {
        check_any(&bytes)?;
    }

    #[test]
    fn no_significant_bytes_make_a_reader_panic(
        bytes in vec(proptest::sample::select(SIGNIFICANT), 0..60),
    ) {
        check_any(&bytes)?;
    }

    #[test]
    fn no_change_of_a_history_makes_a_reader_panic(
        events in vec(event(), 1..4),
        values in vec(edn_value(), 1..4),
        noise in vec(0..12u8, 1..20),
        mutations in mutations(),
    ) {
        for valid in [
            written(&events),
            edn_history(&values, &noise).into_bytes(),
            log_history(&values).into_bytes(),
        ] {
            check_any(&mutated(valid, &mutations))?;
        }
    }
}
