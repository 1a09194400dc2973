//! Files of many blocks and batches read as if from top to bottom.

use std::fmt::Write;

use rashomon_checker::history::{
    Event, Format, History, ReadOptions, Value, Warning, load_reader, read_bytes,
};

/// More than one batch of any reader, in few events.
const EVENTS: u64 = 36_000;

/// A history with an event on each line but for blank lines and comments, and their lines.
fn history(comment: &str, event: impl Fn(u64, &str) -> String) -> (String, Vec<u32>) {
    let long = "x".repeat(1000);
    let (mut text, mut lines, mut line) = (String::new(), Vec::new(), 1);
    for number in 0..EVENTS {
        if number % 1000 == 7 {
            writeln!(text, "\n{comment}").unwrap();
            line += 2;
        }
        lines.push(line);
        writeln!(text, "{}", event(number, &long)).unwrap();
        line += 1;
    }
    assert!(text.len() > 33 << 20, "{}", text.len());
    (text, lines)
}

fn json(number: u64, long: &str) -> String {
    format!(r#"{{"process":{number},"type":"invoke","f":"write","value":{number},"x":"{long}"}}"#)
}

fn edn(number: u64, long: &str) -> String {
    format!("{{:process {number} :type :invoke :f :write :value {number} :x \"{long}\"}}")
}

fn check(events: &[Event], lines: &[u32]) {
    assert_eq!(events.len(), lines.len());
    for (number, (event, line)) in (0..).zip(events.iter().zip(lines)) {
        assert_eq!((event.index, event.line), (number, *line));
        assert_eq!(event.value, Value::Int(number as i64));
    }
}

#[test]
fn many_lines() {
    let (text, lines) = history("", json);
    let whole = read_bytes(text.as_bytes(), "h", None).unwrap();
    assert_eq!((whole.format, &whole.warnings[..]), (Format::Jsonl, &[][..]));
    check(&whole.events, &lines);

    let last = *lines.last().unwrap();
    let cut = read_bytes(&text.as_bytes()[..text.len() - 9], "h", None).unwrap();
    assert_eq!(cut.warnings, [Warning::CutOff { line: last }]);
    check(&cut.events, &lines[..lines.len() - 1]);

    // Of two faults, the first; the end of the file is no excuse for it.
    let bad = |number: usize| format!("\"process\":{number},\"type\":\"invoke\"");
    let broken = text.replace(&bad(34_500), "\"process\":?").replace(&bad(35_990), "!");
    let error = read_bytes(&broken.as_bytes()[..broken.len() - 9], "h", None).unwrap_err();
    let expected = format!("h:{}:12: not jsonl: expected a value, found '?'", lines[34_500]);
    assert_eq!(error.to_string(), expected);
}

#[test]
fn many_maps() {
    let (text, lines) = history("; a comment { [ \"", edn);
    for text in [text.clone(), format!("[{text}]"), format!("({}", text.clone() + ")\n")] {
        let whole = read_bytes(text.as_bytes(), "h", None).unwrap();
        assert_eq!((whole.format, &whole.warnings[..]), (Format::Edn, &[][..]));
        check(&whole.events, &lines);
    }
    let last = *lines.last().unwrap();
    let cut = read_bytes(&text.as_bytes()[..text.len() - 9], "h", None).unwrap();
    assert_eq!(cut.warnings, [Warning::CutOff { line: last }]);
    check(&cut.events, &lines[..lines.len() - 1]);

    let broken = text.replace(":process 34500 ", ":process 1x ").replace(":process 35990 ", "]");
    let error = read_bytes(broken.as_bytes(), "h", None).unwrap_err();
    assert_eq!(error.position.map(|position| position.line), Some(lines[34_500]));
}

#[test]
fn what_looks_like_the_beginning_of_an_event() {
    // Wherever a block may end, it would end inside a string, a list or a comment's form.
    let inside = format!("\n{}", edn(0, "\\\"")).repeat(30_000);
    let quoted = inside.replace('\\', "").replace('"', "\\\"");
    let text = format!(
        "{{:process 1 :type :ok :f :f :value 1 :x \"{quoted}\"}}\n\
         {{:process 1 :type :ok :f :f :value 2 :x ({inside})}}\n\
         #_[{inside}]\n\
         {{:process 1 :type :ok :f :f :value 3}}\n"
    );
    let recording = read_bytes(text.as_bytes(), "h", None).unwrap();
    let values: Vec<_> = recording.events.iter().map(|event| event.value.as_int()).collect();
    assert_eq!(values, [Some(1), Some(2), Some(3)]);
    let lines: Vec<_> = recording.events.iter().map(|event| event.line).collect();
    assert_eq!(lines, [1, 30_002, 90_004]);
}

/// Everything of an operation that depends on where its events stand.
fn places(history: &History) -> Vec<String> {
    let told = history.operations().map(|operation| {
        let places = (operation.call_place(), operation.return_place());
        format!("{} {} {places:?}", operation.process(), operation.input())
    });
    told.collect()
}

#[test]
fn many_operations() {
    for (text, _) in [history("", json), history("; a comment { [ \"", edn)] {
        let events = read_bytes(text.as_bytes(), "h", None).unwrap().events;
        let loaded = load_reader(text.as_bytes(), "h", ReadOptions::default()).unwrap();
        assert_eq!(loaded.warnings, []);
        let expected = History::from_events(&events).unwrap();
        assert_eq!(places(&loaded.history), places(&expected));
    }
    // Where the file is broken is known before anybody hears that a process does two things.
    let (text, lines) = history("", json);
    let twice = text.replace("\"process\":7,", "\"process\":6,");
    let error = load_reader(twice.as_bytes(), "h", ReadOptions::default()).unwrap_err();
    let place = format!("h: line {}: process 6 invokes", lines[7]);
    assert!(error.to_string().starts_with(&place), "{error}");
    let broken = twice.replace("\"process\":35990,", "\"process\":?,");
    let error = load_reader(broken.as_bytes(), "h", ReadOptions::default()).unwrap_err();
    let place = format!("h:{}:12: not jsonl", lines[35_990]);
    assert!(error.to_string().starts_with(&place), "{error}");
}
