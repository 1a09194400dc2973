//! Recorded histories of other projects, judged as their own tools judge them.
//!
//! They are not part of this project; `RASHOMON_HISTORIES` names the folder, whose `index.tsv` has
//! a row for each file: file, format, model, expected verdict, operations, and where known the
//! 0-based event at which no order is left.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rashomon_checker::history::{History, Place, read_file};
use rashomon_checker::linearizability::{Options, Verdict, certify, check};
use rashomon_checker::model::Model;

struct Row {
    file: PathBuf,
    format: String,
    model: String,
    expected: String,
    operations: usize,
    first_bad: Option<u32>,
}

fn rows(folder: &Path) -> Vec<Row> {
    let index = std::fs::read_to_string(folder.join("index.tsv")).expect("index.tsv");
    let row = |line: &str| {
        let column: Vec<&str> = line.split('\t').collect();
        Row {
            file: folder.join(column[0]),
            format: column[1].to_owned(),
            model: column[2].split(" (").next().expect("a model").to_owned(),
            expected: column[3].to_owned(),
            operations: column[4].parse().expect("a number of operations"),
            first_bad: column.get(5).and_then(|column| column.trim().parse().ok()),
        }
    };
    index.lines().skip(1).filter(|line| !line.trim().is_empty()).map(row).collect()
}

/// Judges one file, and says in one line what came out.
fn judge(row: &Row) -> String {
    let name = row.file.file_name().and_then(|name| name.to_str()).expect("a file name");
    let recording = read_file(&row.file).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(recording.format.as_str(), row.format, "{name}");
    let history =
        History::from_events(&recording.events).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(history.len(), row.operations, "{name}");
    let model: Model = row.model.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
    let options = Options { time: Duration::from_secs(20), ..Options::default() };
    let start = Instant::now();
    let verdict =
        check(&history, &model, &options).unwrap_or_else(|error| panic!("{name}: {error}"));
    let took = start.elapsed();
    let said = match &verdict {
        Verdict::Valid(witness) => {
            assert_eq!(row.expected, "valid", "{name}");
            certify(&history, &model, witness).unwrap_or_else(|error| panic!("{name}: {error}"));
            "valid".to_owned()
        }
        Verdict::Invalid(explanation) => {
            assert_eq!(row.expected, "invalid", "{name}: {}", explanation.sentence());
            if let Some(first_bad) = row.first_bad {
                let Place { event, .. } = explanation.place;
                assert_eq!(event, first_bad, "{name}: {}", explanation.sentence());
            }
            let size = explanation.minimal.len();
            format!("{} in {size}: {}", explanation.cause, explanation.sentence())
        }
        Verdict::Unknown(bound) => format!("UNKNOWN: {bound}"),
    };
    format!("{name}\t{took:?}\t{said}")
}

#[test]
fn recorded_histories_are_judged_as_by_their_own_tools() {
    let Some(folder) = std::env::var_os("RASHOMON_HISTORIES") else {
        // Not `eprintln!`: the harness would keep that to itself, since the test passes.
        let mut stderr = std::io::stderr();
        writeln!(
            stderr,
            "RASHOMON_HISTORIES is not set: the recorded histories of other projects were NOT \
             checked; set it to the folder that has their index.tsv"
        )
        .expect("stderr");
        return;
    };
    let rows = rows(Path::new(&folder));
    assert!(!rows.is_empty(), "the index has no rows");
    for row in &rows {
        println!("{}", judge(row));
    }
}
