//! Explanations of small violations: the cause, the proof, the sub-history, the sentence.

use std::sync::Arc;

use rashomon_checker::explain::{Cause, Explanation, Role};
use rashomon_checker::history::{Event, EventType, Process, Value};
use rashomon_checker::linearizability::{Options, Verdict, check};
use rashomon_checker::model::Model;
use rashomon_checker::{History, linearizability};

/// Events from lines of `process type function [key:]value`; values are JSON.
fn history(text: &str) -> History {
    let event = |(number, line): (usize, &str)| {
        let mut words = line.trim().splitn(4, ' ');
        let process: u64 = words.next().and_then(|word| word.parse().ok()).expect(line);
        let kind = match words.next() {
            Some("invoke") => EventType::Invoke,
            Some("ok") => EventType::Ok,
            Some("fail") => EventType::Fail,
            Some("info") => EventType::Info,
            other => panic!("{other:?}"),
        };
        let f = words.next().expect(line);
        let value = words.next().map_or(Value::Nil, |json| serde_json::from_str(json).expect(line));
        Event {
            index: number as u64,
            time: None,
            process: Process::Client(process),
            kind,
            f: Arc::from(f),
            key: None,
            value,
            node: None,
            error: None,
            line: number as u32 + 1,
        }
    };
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let events: Vec<Event> = lines.enumerate().map(event).collect();
    History::from_events(&events).expect("a history")
}

fn explain(model: &str, text: &str) -> Explanation {
    let model: Model = model.parse().expect(model);
    match check(&history(text), &model, &Options::default()).expect("decodes") {
        Verdict::Invalid(explanation) => *explanation,
        other => panic!("{other:?}"),
    }
}

fn roles(explanation: &Explanation) -> Vec<(u32, Role)> {
    explanation.proof.iter().map(|step| (step.operation.0, step.role)).collect()
}

#[test]
fn a_stale_read() {
    let explanation = explain(
        "register",
        "0 invoke write 1
         0 ok write 1
         1 invoke write 7
         1 ok write 7
         1 invoke write 2
         1 ok write 2
         2 invoke read
         2 ok read 2
         2 invoke read
         2 ok read 1
         1 invoke write 3",
    );
    assert_eq!(explanation.cause, Cause::StaleRead);
    assert_eq!(roles(&explanation), [(0, Role::Made), (2, Role::Newer), (4, Role::Unplaced)]);
    assert_eq!(explanation.minimal.iter().map(|id| id.0).collect::<Vec<_>>(), [0, 2, 4]);
    assert_eq!(explanation.legal, ["2"]);
    assert_eq!((explanation.place.line, explanation.place.event), (10, 9));
    assert_eq!(
        explanation.sentence(),
        "process 2 read 1 (line 10), but that was stale: before it began, process 1 wrote 2 \
         (line 6), and nothing since can have brought the old value back (the last time was when \
         process 0 wrote 1 (line 2)). It could only have returned 2."
    );
}

#[test]
fn a_stale_read_shown_by_another_read() {
    let explanation = explain(
        "register",
        "0 invoke write 1
         0 ok write 1
         1 invoke write 2
         2 invoke read
         2 ok read 2
         2 invoke read
         2 ok read 1
         1 ok write 2",
    );
    assert_eq!(explanation.cause, Cause::StaleRead);
    assert_eq!(roles(&explanation), [(0, Role::Made), (2, Role::Newer), (3, Role::Unplaced)]);
    assert_eq!(explanation.minimal.len(), 4);
}

#[test]
fn a_value_from_nowhere() {
    let explanation = explain("cas-register", "0 invoke cas [4, 5]\n 0 ok cas [4, 5]");
    assert_eq!(explanation.cause, Cause::ValueFromNowhere);
    assert_eq!(
        explanation.sentence(),
        "process 0 did cas [4 5] (line 2), but nobody had ever written the value it saw. \
         The state could only have been nil."
    );
}

#[test]
fn a_value_from_the_future() {
    let explanation = explain(
        "register",
        "0 invoke read
         0 ok read 1
         1 invoke write 1
         1 ok write 1",
    );
    assert_eq!(explanation.cause, Cause::ValueFromTheFuture);
    assert_eq!(roles(&explanation), [(1, Role::Later), (0, Role::Unplaced)]);
}

#[test]
fn a_read_of_a_failed_write() {
    let explanation = explain(
        "register(0)",
        "0 invoke write 1
         0 fail write 1
         1 invoke read
         1 ok read 1",
    );
    assert_eq!(explanation.cause, Cause::ReadOfFailedWrite);
    assert_eq!(
        explanation.sentence(),
        "process 1 read 1 (line 4), but the value it saw was never written, the attempt had \
         failed: process 0 wrote 1 (line 2). It could only have returned 0."
    );
}

#[test]
fn two_updates_of_one_value() {
    let explanation = explain(
        "cas-register",
        "0 invoke write 1
         0 ok write 1
         1 invoke cas [1, 2]
         2 invoke cas [1, 3]
         1 ok cas [1, 2]
         2 ok cas [1, 3]",
    );
    assert_eq!(explanation.cause, Cause::LostUpdate);
    assert_eq!(roles(&explanation), [(0, Role::Made), (1, Role::Took), (2, Role::Unplaced)]);
    assert_eq!(
        explanation.sentence(),
        "process 2 did cas [1 3] (line 6), but process 1 did cas [1 2] (line 5) and replaced the \
         same value, and that value was made only when process 0 wrote 1 (line 2). \
         The state could only have been 2."
    );
}

#[test]
fn two_values_that_each_come_first() {
    let explanation = explain(
        "register",
        "0 invoke write 1
         1 invoke write 2
         0 ok write 1
         2 invoke read
         1 ok write 2
         3 invoke read
         3 ok read 2
         2 ok read 1
         4 invoke read
         4 ok read 1",
    );
    assert_eq!(explanation.cause, Cause::StaleRead);
    let explanation = explain(
        "register",
        "0 invoke write 1
         1 invoke write 2
         0 ok write 1
         1 ok write 2
         2 invoke read
         3 invoke read
         3 ok read 2
         2 ok read 1",
    );
    assert_eq!(explanation.cause, Cause::OrderCycle);
    assert_eq!(explanation.minimal.len(), 4);
    assert_eq!(
        explanation.sentence(),
        "process 2 read 1 (line 8), but process 0 wrote 1 (line 3), but process 3 read 2 (line 7) \
         and process 1 wrote 2 (line 4): each of the two values would have to come first. \
         It could only have returned 2."
    );
}

#[test]
fn two_owners_of_a_lock() {
    let explanation = explain(
        "mutex",
        "0 invoke acquire
         0 ok acquire
         0 invoke release
         0 ok release
         1 invoke acquire
         1 ok acquire
         2 invoke acquire
         2 ok acquire",
    );
    assert_eq!(explanation.cause, Cause::TwoOwners);
    assert_eq!(explanation.minimal.iter().map(|id| id.0).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(
        explanation.sentence(),
        "process 2 acquired the lock (line 8), but process 1 acquired the lock (line 6), and \
         nobody can have released it between. The state could only have been held."
    );
    let explanation = explain("mutex", "0 invoke release\n 0 ok release");
    assert_eq!(explanation.cause, Cause::NotHeld);
}

#[test]
fn a_lost_append() {
    let explanation = explain(
        "kv",
        r#"0 invoke append "a"
           0 ok append "a"
           1 invoke append "b"
           1 ok append "b"
           2 invoke get
           2 ok get "b""#,
    );
    assert_eq!(explanation.cause, Cause::LostUpdate);
    assert_eq!(
        explanation.sentence(),
        "process 2 got \"b\" (line 6), but before that began, process 0 appended \"a\" (line 2), \
         and that is gone. It could only have returned \"ab\"."
    );
}

#[test]
fn a_list_that_forgets_repeats_and_reorders() {
    let forgets = "0 invoke append 1
         0 ok append 1
         1 invoke get
         1 ok get [1]
         2 invoke get
         2 ok get []";
    assert_eq!(explain("kv", forgets).cause, Cause::StaleRead);
    let repeats = "0 invoke append 1
         0 ok append 1
         1 invoke get
         1 ok get [1, 1]";
    let explanation = explain("kv", repeats);
    assert_eq!(explanation.cause, Cause::DuplicateEffect);
    assert_eq!(roles(&explanation), [(0, Role::Made), (1, Role::Unplaced)]);
    let reorders = "0 invoke append 1
         0 ok append 1
         0 invoke append 2
         0 ok append 2
         1 invoke get
         1 ok get [2, 1]";
    let explanation = explain("kv", reorders);
    assert_eq!(explanation.cause, Cause::OutOfOrder);
    assert_eq!(explanation.legal, ["[1 2]"]);
    let failed = "0 invoke append 1
         0 fail append 1
         1 invoke get
         1 ok get [1]";
    assert_eq!(explain("kv", failed).cause, Cause::ReadOfFailedWrite);
}

#[test]
fn one_register_of_several() {
    let explanation = explain(
        "multi-register",
        r#"0 invoke txn [["write", "x", 1], ["write", "y", 1]]
           0 ok txn [["write", "x", 1], ["write", "y", 1]]
           0 invoke txn [["write", "x", 2]]
           0 ok txn [["write", "x", 2]]
           1 invoke txn [["read", "x", null], ["read", "y", null]]
           1 ok txn [["read", "x", 1], ["read", "y", 1]]"#,
    );
    assert_eq!(explanation.cause, Cause::StaleRead);
    assert_eq!(explanation.states, [r#"{"x" 2, "y" 1}"#]);
    let torn = explain(
        "multi-register",
        r#"0 invoke txn [["write", "x", 1], ["write", "y", 1]]
           1 invoke txn [["read", "x", null], ["read", "y", null]]
           1 ok txn [["read", "x", 1], ["read", "y", null]]
           0 ok txn [["write", "x", 1], ["write", "y", 1]]"#,
    );
    assert_eq!((torn.cause, torn.minimal.len()), (Cause::NoOrder, 2));
}

/// A get that misses the last append of a long list: the sub-history would have to hold the whole
/// list, so it begins where the list was certain.
#[test]
fn a_long_past_is_told_as_a_state() {
    let mut lines = String::new();
    for item in 0..60 {
        lines += &format!("0 invoke append {item}\n0 ok append {item}\n1 invoke get\n");
        let list: Vec<String> = (0..=item).map(|item: i32| item.to_string()).collect();
        lines += &format!("1 ok get [{}]\n", list.join(", "));
    }
    let old: Vec<String> = (0..58).map(|item: i32| item.to_string()).collect();
    lines += &format!("2 invoke get\n2 ok get [{}]", old.join(", "));
    let explanation = explain("kv", &lines);
    assert_eq!(explanation.cause, Cause::StaleRead);
    assert!(explanation.minimal.len() <= 4, "{explanation:?}");
    let start = explanation.start.as_ref().expect("a late beginning");
    assert!(start.operations.len() > 50, "{start:?}");
    assert!(start.state.contains("characters"), "{}", start.state);
    assert!(explanation.sentence().len() < 800, "{}", explanation.sentence());
}

#[test]
fn data_survives_json() {
    let explanation = explain("register", "0 invoke read\n 0 ok read 1");
    let json = serde_json::to_string(&explanation).expect("to JSON");
    assert_eq!(serde_json::from_str::<Explanation>(&json).expect("from JSON"), explanation);
    assert!(json.contains(r#""cause":"value-from-nowhere""#), "{json}");
}

#[test]
fn an_explanation_without_time_still_has_a_verdict() {
    let text = "0 invoke write 1\n 0 ok write 1\n 0 invoke read\n 0 ok read 2";
    let options = Options { explanation_time: std::time::Duration::ZERO, ..Options::default() };
    let model = Model::suggest(&history(text)).expect("a register");
    let verdict = linearizability::check(&history(text), &model, &options).expect("decodes");
    let Verdict::Invalid(explanation) = verdict else { panic!("{verdict:?}") };
    assert!(!explanation.is_minimal);
    assert_eq!(explanation.operation.0, 1);
    assert!(explanation.minimal.contains(&explanation.operation));
}
