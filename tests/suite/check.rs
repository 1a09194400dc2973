//! `rashomon check` as its users meet it: good files, bad files, and files cut off by a kill.

use crate::support::Bench;

const GOOD: &str = r#"{"index":0,"time":1,"process":0,"type":"invoke","f":"write","key":"x","value":1}
{"index":1,"time":2,"process":0,"type":"ok","f":"write","key":"x","value":1}
{"index":2,"time":3,"process":1,"type":"invoke","f":"read","key":"x","value":null}
{"index":3,"time":4,"process":1,"type":"ok","f":"read","key":"x","value":1}
"#;

#[test]
fn a_good_history_is_valid() {
    let bench = Bench::new();
    bench.write("good.jsonl", GOOD);
    let check = bench.rashomon(&["check", "good.jsonl"]);
    assert_eq!(check.code(), Some(0), "{}", check.everything());
    assert!(check.stdout.starts_with("VALID"), "{}", check.everything());
    assert_eq!(check.stderr, "");
}

#[test]
fn a_stale_read_is_shown_and_explained() {
    let bench = Bench::new();
    let stale = GOOD.to_owned()
        + r#"{"index":4,"time":5,"process":0,"type":"invoke","f":"write","key":"x","value":2}
{"index":5,"time":6,"process":0,"type":"ok","f":"write","key":"x","value":2}
{"index":6,"time":7,"process":1,"type":"invoke","f":"read","key":"x","value":null}
{"index":7,"time":8,"process":1,"type":"ok","f":"read","key":"x","value":1}
"#;
    bench.write("stale.jsonl", stale);
    let check = bench.rashomon(&["check", "stale.jsonl"]);
    assert_eq!(check.code(), Some(1), "{}", check.everything());
    assert!(check.stdout.contains("VIOLATION"), "{}", check.everything());
    assert!(check.stdout.contains("cannot be placed"), "{}", check.everything());

    let check = bench.rashomon(&["check", "--json", "stale.jsonl"]);
    let json: serde_json::Value = serde_json::from_str(&check.stdout).expect("one JSON object");
    assert_eq!(json["verdict"], "violation");
    assert_eq!(json["finding"]["explanation"]["cause"], "stale-read");
    assert_eq!(json["finding"]["minimal"].as_array().unwrap().len(), 3);
}

#[test]
fn a_cut_off_last_line_is_only_a_warning() {
    let bench = Bench::new();
    bench.write("cut.jsonl", &GOOD[..GOOD.len() - 20]);
    let check = bench.rashomon(&["check", "cut.jsonl"]);
    assert_eq!(check.code(), Some(0), "{}", check.everything());
    assert!(check.stderr.contains("warning: cut.jsonl"), "{}", check.everything());
}

#[test]
fn bad_files_are_refused_with_their_name_and_line() {
    let bench = Bench::new();
    let lines: Vec<&str> = GOOD.lines().collect();
    let malformed = [lines[0], r#"{"index":1,"time":2,"proc"#, lines[2], lines[3], ""].join("\n");
    let orphan = [lines[0], lines[1], lines[3], ""].join("\n");
    let twice = [lines[0], lines[0], ""].join("\n");
    for (name, contents, place) in [
        ("binary.jsonl", b"\x7fELF\x02\x01\x01\0\0\0\0\xff\xfe".as_slice(), "binary.jsonl"),
        ("empty.jsonl", b"", "empty.jsonl"),
        ("blank.edn", b"\n\n", "blank.edn"),
        ("malformed.jsonl", malformed.as_bytes(), "malformed.jsonl:2"),
        ("orphan.jsonl", orphan.as_bytes(), "orphan.jsonl: line 3"),
        ("twice.jsonl", twice.as_bytes(), "twice.jsonl: line 2"),
        ("prose.txt", b"It was a dark and stormy night.\n", "prose.txt"),
    ] {
        bench.write(name, contents);
        let check = bench.rashomon(&["check", name]);
        assert_eq!(check.code(), Some(2), "{name}\n{}", check.everything());
        assert!(check.stderr.contains(place), "{name}\n{}", check.everything());
        assert!(!check.stderr.contains("panicked"), "{name}\n{}", check.everything());
    }
    let missing = bench.rashomon(&["check", "no-such-file"]);
    assert_eq!(missing.code(), Some(2), "{}", missing.everything());
}

#[test]
fn a_bad_file_does_not_mask_a_violation_in_another() {
    let bench = Bench::new();
    bench.write("good.jsonl", GOOD);
    bench.write("bad.jsonl", "{");
    let wrong =
        GOOD.replace(r#""f":"read","key":"x","value":1"#, r#""f":"read","key":"x","value":7"#);
    bench.write("wrong.jsonl", wrong);
    let check = bench.rashomon(&["check", "wrong.jsonl", "bad.jsonl", "good.jsonl"]);
    assert_eq!(check.code(), Some(1), "{}", check.everything());
    let check = bench.rashomon(&["check", "good.jsonl", "bad.jsonl"]);
    assert_eq!(check.code(), Some(2), "{}", check.everything());
}

#[test]
fn an_unknown_operation_is_named_with_its_line() {
    let bench = Bench::new();
    bench.write("good.jsonl", GOOD);
    let check = bench.rashomon(&["check", "--model", "mutex", "good.jsonl"]);
    assert_eq!(check.code(), Some(2), "{}", check.everything());
    assert!(check.stderr.contains("line 1"), "{}", check.everything());
}

/// Knossos takes a read that returned `nil` for one whose answer nobody knows; our own recordings
/// mean that there was no value.
#[test]
fn what_a_nil_read_says_depends_on_whose_recording_it_is() {
    let bench = Bench::new();
    let edn = "{:process 0 :type :invoke :f :write :value 1}\n{:process 0 :type :ok :f :write :value 1}\n\
               {:process 1 :type :invoke :f :read :value nil}\n{:process 1 :type :ok :f :read :value nil}\n";
    bench.write("nil.edn", edn);
    let check = bench.rashomon(&["check", "nil.edn"]);
    assert_eq!(check.code(), Some(0), "{}", check.everything());
    let check = bench.rashomon(&["check", "--model", "register(nil=absent)", "nil.edn"]);
    assert_eq!(check.code(), Some(1), "{}", check.everything());

    let saw_nothing = r#""type":"ok","f":"read","key":"x","value":null}"#;
    bench.write(
        "nil.jsonl",
        GOOD.replace(r#""type":"ok","f":"read","key":"x","value":1}"#, saw_nothing),
    );
    let check = bench.rashomon(&["check", "nil.jsonl"]);
    assert_eq!(check.code(), Some(1), "{}", check.everything());
}
