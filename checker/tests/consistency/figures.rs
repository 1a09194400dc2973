//! Histories written by hand, in `checker/histories`: one for each way in which a promise breaks, and
//! for what looks like it and is none, with a picture and the verdict of every promise. A line is an
//! operation, as `process node f key value`, one after the other; `|` in front of a line makes it
//! overlap the one before, `end` marks the final reads.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rashomon_checker::consistency::{Anomaly, Clocks, Finding, MISMATCH, Options, Promise, judge};
use rashomon_checker::history::{EventType, Value};
use rashomon_checker::linearizability::{self, Verdict, check};
use rashomon_checker::model::{Model, NilRead};

use crate::rungs::{RUNGS, definitions};
use crate::scribe::{NODES, Op, history};

/// The names of keys.
const KEYS: [&str; 12] = [
    "x", "y", "z", "question", "answer", "data", "flag", "board", "password", "meeting", "library",
    "program",
];

fn value(text: &str) -> Value {
    match text {
        "nil" => Value::Nil,
        "true" => Value::Bool(true),
        list if list.starts_with('[') => {
            let items = list.trim_matches(['[', ']']).split(',').filter(|it| !it.is_empty());
            Value::list(items.map(value))
        }
        int => Value::Int(int.parse().expect("a number")),
    }
}

pub(crate) fn parse(text: &str) -> (Vec<Op>, Option<u64>) {
    let names = ["read", "write", "cas", "delete", "append", "add", "increment"];
    let (mut ops, mut end, mut time) = (Vec::<Op>::new(), None, 0);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        time += 100;
        if line == "end" {
            end = Some(time);
            continue;
        }
        let words: Vec<&str> = line.trim_start_matches("| ").split(' ').collect();
        let [process, node, f, ref rest @ ..] = words[..] else { panic!("{line}") };
        // Without a key it is x.
        let key = KEYS.into_iter().find(|key| rest.first() == Some(key));
        let rest = if key.is_some() { &rest[1..] } else { rest };
        let [argument, fate @ ..] = rest else { panic!("{line}") };
        let f = names.into_iter().find(|name| *name == f).expect("a known function");
        let node = NODES.into_iter().find(|name| *name == node).expect("a known node");
        let kind = match fate {
            ["info"] => EventType::Info,
            ["fail"] | ["found", _] => EventType::Fail,
            _ => EventType::Ok,
        };
        let error = match fate {
            ["found", found] => Some(format!("{MISMATCH}{found}")),
            _ => None,
        };
        let (input, output) = match f {
            "read" => (Value::Nil, value(argument)),
            _ => (value(argument), value(argument)),
        };
        // An overlapping operation begins before the one before has ended.
        let call =
            if line.starts_with('|') { ops.last().map_or(time, |op| op.call + 1) } else { time };
        let process = process.parse().expect("a process");
        ops.push(Op {
            process,
            node,
            f,
            key: key.unwrap_or("x"),
            input,
            output,
            kind,
            error,
            call,
            ret: time + 50,
        });
    }
    (ops, end)
}

/// A history of the files, with what is said of it there.
struct Figure {
    file: PathBuf,
    name: String,
    picture: Vec<String>,
    text: String,
    violated: Vec<String>,
    unknown: Vec<String>,
}

/// All figures of all files.
fn figures() -> Vec<Figure> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("histories");
    let files = std::fs::read_dir(folder).expect("the folder of histories");
    let mut files: Vec<PathBuf> = files.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    files.into_iter().flat_map(|file| read(&file)).collect()
}

fn read(file: &Path) -> Vec<Figure> {
    let mut figures: Vec<Figure> = Vec::new();
    for line in std::fs::read_to_string(file).expect("a text").lines() {
        if let Some(name) = line.strip_prefix("# ") {
            figures.push(Figure {
                file: file.to_owned(),
                name: name.to_owned(),
                picture: Vec::new(),
                text: String::new(),
                violated: Vec::new(),
                unknown: Vec::new(),
            });
            continue;
        }
        // What comes before the first figure is about the file.
        let Some(figure) = figures.last_mut() else { continue };
        let names = |list: &str| list.split(',').map(|name| name.trim().to_owned()).collect();
        if let Some(list) = line.strip_prefix("violated: ") {
            figure.violated = names(list);
        } else if let Some(list) = line.strip_prefix("unknown: ") {
            figure.unknown = names(list);
        } else if line.starts_with("    ") {
            figure.picture.push(line.trim_end().to_owned());
        } else if !line.starts_with('>') {
            figure.text += &format!("{line}\n");
        }
    }
    figures
}

/// What is said of a history: what is violated, and what is unknown. That it is linearizable is said
/// of registers alone.
fn verdicts(ops: &[Op], end: Option<u64>) -> (Vec<String>, Vec<String>) {
    let (mut violated, mut unknown) = (Vec::new(), Vec::new());
    let history = history(ops, end);
    let is_plain = |op: &Op| {
        matches!(op.f, "read" | "write" | "cas") && (op.f == "cas" || op.output.as_list().is_none())
    };
    if ops.iter().all(is_plain) {
        let model = Model::CasRegister { initial: Value::Nil, nil: NilRead::Absent };
        let verdict = check(&history, &model, &linearizability::Options::default());
        if let Verdict::Invalid(_) = verdict.expect("registers") {
            violated.push("linearizable".to_owned());
        }
    }
    for row in judge(&history, &Promise::ALL, &Options::default()) {
        match row.finding {
            Finding::Violated(_) => violated.push(row.promise.to_string()),
            Finding::Unknown { .. } => unknown.push(row.promise.to_string()),
            Finding::Held { .. } => {}
        }
    }
    (violated, unknown)
}

/// A line for each process, with its operations from beginning to end; `?` ends what nobody knows
/// of and `!` what failed, and final reads come after the colons.
fn picture(ops: &[Op], end: Option<u64>) -> Vec<String> {
    let mut processes: Vec<u64> = ops.iter().map(|op| op.process).collect();
    processes.sort_unstable();
    processes.dedup();
    let mut rows: Vec<String> = processes.iter().map(|it| format!("    p{it} ")).collect();
    let mut begins = 0;
    for (number, op) in ops.iter().enumerate() {
        let width = rows.iter().map(|row| row.chars().count()).max().unwrap_or(0);
        let is_final = end.is_some_and(|end| op.call > end);
        if is_final && number.checked_sub(1).is_none_or(|last| Some(ops[last].call) < end) {
            rows.iter_mut().for_each(|row| *row = format!("{row:width$} : "));
        }
        let width = rows.iter().map(|row| row.chars().count()).max().unwrap_or(0);
        let overlaps = number.checked_sub(1).is_some_and(|last| op.call < ops[last].ret);
        begins = if overlaps { begins + 1 } else { width };
        let place = processes.iter().position(|it| *it == op.process).expect("it is one of them");
        let value = if op.f == "read" { &op.output } else { &op.input };
        let label = match op.f {
            "delete" => format!("delete {}", op.key),
            f => format!("{f} {} {value}", op.key),
        };
        let last = match op.kind {
            EventType::Info => '?',
            EventType::Fail => '!',
            _ => '|',
        };
        let row = &mut rows[place];
        *row = format!("{row:begins$}|-{label}-");
        let until = width.max(row.chars().count());
        *row += &"-".repeat(until + 1 - row.chars().count());
        row.push(last);
        row.push(' ');
    }
    rows.iter().map(|row| row.trim_end().to_owned()).collect()
}

#[test]
fn every_figure_is_judged_as_it_says() {
    let figures = figures();
    assert!(figures.len() >= 60, "{} figures", figures.len());
    for figure in &figures {
        let (ops, end) = parse(&figure.text);
        let name = format!("{}, {}", figure.file.display(), figure.name);
        assert_eq!(figure.picture, picture(&ops, end), "{name}");
        let told = (figure.violated.clone(), figure.unknown.clone());
        assert_eq!(verdicts(&ops, end), told, "{name}");
        for (rung, _) in RUNGS {
            if !figure.unknown.contains(&rung.to_string()) {
                let holds = definitions::holds(&ops, rung);
                assert_eq!(figure.violated.contains(&rung.to_string()), !holds, "{name}: {rung}");
            }
        }
    }
}

/// There is a history for each promise that breaks it, and for each of the named anomalies.
#[test]
fn everything_that_has_a_name_has_a_figure() {
    let (mut broken, mut anomalies) = (BTreeSet::new(), BTreeSet::new());
    for figure in figures() {
        let (ops, end) = parse(&figure.text);
        for row in judge(&history(&ops, end), &Promise::ALL, &Options::default()) {
            if let Finding::Violated(violation) = row.finding {
                broken.insert(row.promise);
                if figure.name.starts_with(violation.anomaly.map_or("-", Anomaly::as_str)) {
                    anomalies.extend(violation.anomaly);
                }
            }
        }
    }
    assert_eq!(broken.len(), Promise::ALL.len(), "{broken:?}");
    assert_eq!(anomalies.len(), 7, "{anomalies:?}");
}

fn sentence(text: &str, promise: Promise, options: &Options) -> String {
    let (ops, end) = parse(text);
    match judge(&history(&ops, end), &[promise], options).remove(0).finding {
        Finding::Violated(violation) => violation.sentence,
        other => panic!("{other:?}"),
    }
}

#[test]
fn sentences_name_the_operations_and_their_lines() {
    let figures = figures();
    let of = |name: &str, promise| {
        let figure = figures.iter().find(|figure| figure.name == name).expect(name);
        sentence(&figure.text, promise, &Options::default())
    };
    assert_eq!(
        of("nodes that differ", Promise::Convergence),
        "key x: in the end n1 answers 1 (line 7), but n2 answers 2 (line 9)"
    );
    assert_eq!(
        of("an older value wins", Promise::NoLostWrites),
        "key x: process 2 wrote 2 (line 4), but in the end n1, n2 show 1, which is older"
    );
    assert_eq!(
        of("one's own write is hidden by an older one", Promise::ReadYourWrites),
        "key x: process 1 wrote 2 (line 4) and then read 1 (line 6), but 1 was written before 2 was \
         begun"
    );
    assert_eq!(
        of("two values take turns", Promise::MonotonicReads),
        "key x: process 3 read 1 (line 6) and then read 2 (line 8), but process 3 read 2 (line 8) and \
         then read 1 (line 10)"
    );
    assert_eq!(
        of("what was replaced stays", Promise::NoFalseConcurrency),
        "key x: process 8 read [1 2] (line 9) side by side, but whoever brought 2 had replaced 1: \
         process 2 wrote 2 (line 6) having read 1"
    );
    assert_eq!(
        of("WriteCOInitRead", Promise::Causal),
        "process 2 read nothing of x (line 8), which was there at first, although 1 of x came before: \
         process 1 wrote 1 to x (line 2) and then wrote 1 to y (line 4); process 1 wrote 1 to y (line \
         4), seen by process 2 (line 6); process 2 read 1 of y (line 6) and then read nothing of x \
         (line 8) (WriteCOInitRead)"
    );
    assert_eq!(
        of("coherence of reads", Promise::CausalConvergence),
        "each of these came before the next, and the last before the first: 1 came before 2, for \
         process 3 read 2 (line 8) after the former; 2 came before 1, for process 4 read 1 (line 12) \
         after the former (CyclicCF)"
    );
}

#[test]
fn clocks_that_may_be_apart_excuse_what_perfect_ones_do_not() {
    let text = "1 n1 write 1\n 2 n2 write 2\n end\n 8 n1 read 1\n 9 n2 read 1";
    let (ops, end) = parse(text);
    let lost = |clocks| {
        let options = Options { clocks, ..Options::default() };
        let rows = judge(&history(&ops, end), &[Promise::NoLostWrites], &options);
        matches!(rows[0].finding, Finding::Violated(_))
    };
    let within = |apart| Clocks::Within(Duration::from_nanos(apart));
    // One write ends 50 ns before the other begins.
    assert!(lost(Clocks::PERFECT) && lost(within(49)));
    assert!(!lost(within(50)) && !lost(Clocks::Unknown));
}

#[test]
fn of_a_session_that_is_told_which_did_it() {
    let text = "1 n1 write 1\n 1 n1 write 2\n | 2 n2 write 3\n 1 n2 read 3\n 2 n1 read 1";
    let options = Options { clocks: Clocks::Unknown, ..Options::default() };
    let told = sentence(text, Promise::ReadYourWrites, &options);
    assert!(told.contains("process 1 wrote 1 (line 2) and then read 3"), "{told}");
    assert!(told.contains("process 2 wrote 3 (line 6) and then read 1"), "{told}");
}

#[test]
fn a_hybrid_clock_orders_what_one_node_did() {
    let lost = |text| {
        let (ops, end) = parse(text);
        let options = Options { clocks: Clocks::Hybrid, ..Options::default() };
        let rows = judge(&history(&ops, end), &[Promise::NoLostWrites], &options);
        matches!(rows[0].finding, Finding::Violated(_))
    };
    assert!(lost("1 n1 write 1\n 2 n1 write 2\n end\n 8 n1 read 1"));
    assert!(!lost("1 n1 write 1\n 2 n2 write 2\n end\n 8 n1 read 1"), "another node's clock");
    assert!(lost("1 n1 write 1\n 3 n2 read 1\n 2 n2 write 2\n end\n 8 n1 read 1"), "it knew");
    assert!(!lost("1 n1 write 1\n | 2 n1 write 2\n end\n 8 n1 read 1"), "at the same time");
}

#[test]
fn repeated_values_are_unknown_where_they_matter() {
    let (ops, end) = parse("1 n1 write 1\n 2 n2 write 1\n 1 n1 read 1");
    let rows = judge(&history(&ops, end), &[Promise::ReadYourWrites], &Options::default());
    let Finding::Unknown { why } = &rows[0].finding else { panic!("{rows:?}") };
    assert!(why.contains("written more than once") && why.contains("line 6"), "{why}");
}

#[test]
fn other_data_types_are_said_to_be_unknown() {
    let op = |f, call| Op {
        process: 1,
        node: "n1",
        f,
        key: "x",
        input: Value::Nil,
        output: Value::Nil,
        kind: EventType::Ok,
        error: None,
        call,
        ret: call + 1,
    };
    let history = history(&[op("acquire", 1), op("release", 3)], None);
    let rows = judge(&history, &[Promise::MonotonicReads], &Options::default());
    assert!(matches!(&rows[0].finding, Finding::Unknown { why } if why.contains("`acquire`")));
}
