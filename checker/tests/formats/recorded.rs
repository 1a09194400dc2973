//! The recorded histories of other projects, in the folder that `RASHOMON_HISTORIES` names.

use std::io::Write;
use std::path::PathBuf;

use rashomon_checker::history::{EventType, Process, read_file};

/// A line of `index.tsv`: the file, its format, and how many operations clients invoked.
struct Listed {
    file: String,
    format: String,
    operations: usize,
}

fn listed(index: &str) -> Vec<Listed> {
    let line = |line: &str| {
        let columns: Vec<&str> = line.split('\t').collect();
        Listed {
            file: columns[0].to_owned(),
            format: columns[1].to_owned(),
            operations: columns[4].parse().expect("a number of operations"),
        }
    };
    index.lines().skip(1).map(line).collect()
}

#[test]
fn recorded_histories_have_the_operations_that_are_listed() {
    let Some(folder) = std::env::var_os("RASHOMON_HISTORIES").map(PathBuf::from) else {
        // Not by eprintln: a test that passes would swallow it.
        let message = "NOT TESTED: RASHOMON_HISTORIES does not name a folder of histories\n";
        std::io::stderr().write_all(message.as_bytes()).expect("stderr");
        return;
    };
    let index = std::fs::read_to_string(folder.join("index.tsv")).expect("index.tsv");
    let listed = listed(&index);
    assert!(!listed.is_empty(), "index.tsv lists no history");
    for Listed { file, format, operations } in listed {
        let recording = read_file(&folder.join(&file)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(recording.format.as_str(), format, "{file}");
        assert_eq!(recording.warnings, [], "{file}");
        let is_invocation = |event: &&rashomon_checker::history::Event| {
            event.kind == EventType::Invoke && matches!(event.process, Process::Client(_))
        };
        let invoked = recording.events.iter().filter(is_invocation);
        assert_eq!(invoked.clone().count(), operations, "{file}");
        let keyed = invoked.filter(|event| event.key.is_some()).count();
        let expected = if format == "porcupine-kv" { operations } else { 0 };
        assert_eq!(keyed, expected, "{file}: no other history has keys");
        let has_error_for_a_value = recording
            .events
            .iter()
            .any(|event| event.value.as_text() == Some("timed-out") && event.kind != EventType::Ok);
        assert!(!has_error_for_a_value, "{file}");
    }
}
