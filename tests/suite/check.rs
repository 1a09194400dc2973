//! `rashomon check` as its users meet it: good files, bad files, files cut off by a kill, many at
//! once, and what it says as data.

use std::fs::{self, File};

use serde_json::Value;

use crate::support::{Bench, Finished};

const GOOD: &str = r#"{"index":0,"time":1,"process":0,"type":"invoke","f":"write","key":"x","value":1}
{"index":1,"time":2,"process":0,"type":"ok","f":"write","key":"x","value":1}
{"index":2,"time":3,"process":1,"type":"invoke","f":"read","key":"x","value":null}
{"index":3,"time":4,"process":1,"type":"ok","f":"read","key":"x","value":1}
"#;

/// A good history, and a read of what was replaced.
fn stale() -> String {
    GOOD.to_owned()
        + r#"{"index":4,"time":5,"process":0,"type":"invoke","f":"write","key":"x","value":2}
{"index":5,"time":6,"process":0,"type":"ok","f":"write","key":"x","value":2}
{"index":6,"time":7,"process":1,"type":"invoke","f":"read","key":"x","value":null}
{"index":7,"time":8,"process":1,"type":"ok","f":"read","key":"x","value":1}
"#
}

/// All that was said on standard output, which is one JSON object.
fn json(check: &Finished) -> Value {
    serde_json::from_str(&check.stdout).unwrap_or_else(|_| panic!("{}", check.everything()))
}

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
    bench.write("stale.jsonl", stale());
    let check = bench.rashomon(&["check", "stale.jsonl"]);
    assert_eq!(check.code(), Some(1), "{}", check.everything());
    assert!(check.stdout.contains("VIOLATION"), "{}", check.everything());
    assert!(check.stdout.contains("cannot be placed"), "{}", check.everything());

    let check = bench.rashomon(&["check", "--json", "stale.jsonl"]);
    let checked = &json(&check)["histories"][0];
    assert_eq!(checked["verdict"], "violation");
    assert_eq!(checked["finding"]["explanation"]["cause"], "stale-read");
    assert_eq!(checked["finding"]["minimal"].as_array().unwrap().len(), 3);
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

#[test]
fn directories_are_searched_and_what_is_no_history_is_counted() {
    let bench = Bench::new();
    for directory in ["all/b/nodes", "all/a", "all/.git"] {
        fs::create_dir_all(bench.path().join(directory)).unwrap();
    }
    bench.write("all/b/history.jsonl", GOOD);
    bench.write("all/a/stale.jsonl", stale());
    bench.write("all/a/notes.txt", "It was a dark and stormy night.\n");
    bench.write("all/b/results.json", r#"{"schema":1,"verdict":"valid"}"#);
    bench.write("all/b/report.html", "<html>");
    bench.write("all/b/nodes/log", GOOD);
    bench.write("all/.git/history.jsonl", GOOD);
    #[cfg(unix)]
    std::os::unix::fs::symlink("b", bench.path().join("all/latest")).unwrap();

    let check = bench.rashomon(&["check", "all"]);
    assert_eq!(check.code(), Some(1), "{}", check.everything());
    let lines: Vec<&str> = check.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{}", check.everything());
    assert!(lines[0].starts_with("VIOLATION  all/a/stale.jsonl"), "{}", lines[0]);
    assert!(lines[0].ends_with("stale-read at line 8"), "{}", lines[0]);
    assert!(lines[1].starts_with("VALID      all/b/history.jsonl"), "{}", lines[1]);
    let summary = "2 histories, 6 operations: 1 valid, 1 violation; ";
    assert!(lines[2].starts_with(summary), "{}", lines[2]);
    for note in ["2 files skipped: not named", "2 files skipped: no history", "skipped: hidden"] {
        assert!(check.stderr.contains(note), "{note}\n{}", check.everything());
    }

    let check = bench.rashomon(&["check", "--json", "all", "all/b/history.jsonl"]);
    let json = json(&check);
    let files = |list: &Value| -> Vec<String> {
        let of = |entry: &Value| entry["file"].as_str().unwrap().to_owned();
        list.as_array().unwrap().iter().map(of).collect()
    };
    let taken = ["all/a/stale.jsonl", "all/b/history.jsonl", "all/b/history.jsonl"];
    assert_eq!(files(&json["histories"]), taken);
    assert!(files(&json["skipped"]).contains(&"all/b/results.json".to_owned()), "{json}");
    assert_eq!(json["summary"]["valid"], 2);
    assert_eq!(
        json["summary"]["skipped"].as_u64(),
        Some(json["skipped"].as_array().unwrap().len() as u64)
    );

    fs::create_dir(bench.path().join("empty")).unwrap();
    let check = bench.rashomon(&["check", "empty"]);
    assert_eq!(check.code(), Some(2), "{}", check.everything());
    assert!(check.stderr.contains("no history in empty"), "{}", check.everything());
}

/// What begins as a history and goes wrong later is an error also where anything may lie.
#[test]
fn a_damaged_history_in_a_directory_is_not_skipped() {
    let bench = Bench::new();
    fs::create_dir(bench.path().join("all")).unwrap();
    bench.write("all/first.jsonl", "{");
    bench.write("all/later.json", GOOD.replacen("\"process\":1", "\"process\"", 1));
    bench.write("all/whole.jsonl", GOOD);
    let check = bench.rashomon(&["check", "all"]);
    assert_eq!(check.code(), Some(2), "{}", check.everything());
    assert!(check.stdout.contains("1 valid, 2 errors"), "{}", check.everything());
    assert!(check.stderr.contains("all/later.json:3:"), "{}", check.everything());
    assert!(!check.stderr.contains("skipped"), "{}", check.everything());
}

#[test]
fn standard_input_is_a_history_like_any_other() {
    let bench = Bench::new();
    let stale = bench.write("stale.jsonl", stale());
    let check = bench.start_with(&["check", "-"], File::open(&stale).unwrap()).finish();
    assert_eq!(check.code(), Some(1), "{}", check.everything());
    assert!(check.stdout.starts_with("VIOLATION  <stdin>  4 operations"), "{}", check.everything());
    bench.write("broken.jsonl", stale_then_broken());
    let broken = File::open(bench.path().join("broken.jsonl")).unwrap();
    let check = bench.start_with(&["check", "-", "stale.jsonl"], broken).finish();
    assert_eq!(check.code(), Some(1), "{}", check.everything());
    assert!(check.stderr.contains("<stdin>:9:"), "{}", check.everything());
    let check = bench.rashomon(&["check", "-", "-"]);
    assert_eq!(check.code(), Some(2), "{}", check.everything());
}

fn stale_then_broken() -> String {
    stale() + "{\"index\":8,\n" + GOOD
}

#[test]
fn a_witness_is_certified_when_asked_and_given_as_data() {
    let bench = Bench::new();
    bench.write("good.jsonl", GOOD);
    let check = bench.rashomon(&["check", "--certify", "good.jsonl"]);
    assert_eq!(check.code(), Some(0), "{}", check.everything());
    assert!(check.stdout.contains("certified: the verifier accepts"), "{}", check.everything());
    let check = bench.rashomon(&["check", "--certify", "good.jsonl", "good.jsonl"]);
    assert!(check.stdout.contains("2 valid (all certified)"), "{}", check.everything());

    let check = bench.rashomon(&["check", "--json", "--certify", "--witness", "good.jsonl"]);
    let checked = &json(&check)["histories"][0];
    assert_eq!(checked["certified"], true);
    assert_eq!(checked["witness"]["order"], serde_json::json!([0, 1]));
    assert_eq!(checked["engines"], serde_json::json!({"zones": 1}));
    assert_eq!((&checked["operations"], &checked["keys"]), (&2.into(), &1.into()));
    for size in [&checked["memory"]["history"], &checked["memory"]["engines"]] {
        assert!(size.as_u64().is_some_and(|bytes| bytes > 0 && bytes < 10_000), "{checked}");
    }
}

#[test]
fn an_engine_that_cannot_decide_is_refused_and_hides_no_violation() {
    let bench = Bench::new();
    bench.write("good.jsonl", GOOD);
    let check = bench.rashomon(&["check", "--engine", "elements", "good.jsonl"]);
    assert_eq!(check.code(), Some(2), "{}", check.everything());
    let said = "good.jsonl: the engine elements cannot decide key x as register";
    assert!(check.stderr.contains(said), "{}", check.everything());
    assert_eq!(check.stdout, "");
    for engine in ["zones", "general"] {
        let check = bench.rashomon(&["check", "--engine", engine, "good.jsonl"]);
        assert_eq!(check.code(), Some(0), "{}", check.everything());
        assert!(check.stdout.contains(&format!("register, {engine},")), "{}", check.everything());
    }
    // One key has a value twice, which is not for zones; the other is violated all the same.
    let again = GOOD.replace(r#""key":"x""#, r#""key":"y""#).replace("process\":", "process\":1");
    let twice = r#"{"index":4,"process":10,"type":"invoke","f":"write","key":"y","value":1}
{"index":5,"process":10,"type":"ok","f":"write","key":"y","value":1}
"#;
    bench.write("mixed.jsonl", stale() + &again + twice);
    let check = bench.rashomon(&["check", "--engine", "zones", "mixed.jsonl"]);
    assert_eq!(check.code(), Some(1), "{}", check.everything());
}

#[test]
fn limits_end_as_unknown_with_the_bound_as_data() {
    let bench = Bench::new();
    bench.write("good.jsonl", GOOD);
    let limits = ["--time-limit", "0s", "--engine", "general"];
    let check = bench.rashomon(&[&["check", "--json", "good.jsonl"][..], &limits[..]].concat());
    assert_eq!(check.code(), Some(3), "{}", check.everything());
    let json = json(&check);
    let checked = &json["histories"][0];
    assert_eq!(checked["verdict"], "unknown", "{json}");
    assert_eq!(checked["bound"]["operations"], 2, "{json}");
    assert!(checked["bound"]["resource"]["time"].is_object(), "{json}");
    assert_eq!(json["summary"]["unknown"], 1, "{json}");
}

#[test]
fn a_violation_is_drawn_and_only_one_history_at_a_time() {
    let bench = Bench::new();
    bench.write("good.jsonl", GOOD);
    bench.write("stale.jsonl", stale());
    let check = bench.rashomon(&["check", "--dot", "stale.dot", "stale.jsonl"]);
    assert_eq!(check.code(), Some(1), "{}", check.everything());
    let dot = fs::read_to_string(bench.path().join("stale.dot")).unwrap();
    assert!(dot.starts_with("digraph {") && dot.trim_end().ends_with('}'), "{dot}");
    assert_eq!(dot.matches("shape=box").count(), 3, "{dot}");
    assert!(dot.contains(r#"process 1 read 1\nline 8\nunplaced"#), "{dot}");
    assert_eq!(dot.matches("seen by").count(), 1, "{dot}");

    let check = bench.rashomon(&["check", "--dot", "good.dot", "good.jsonl"]);
    assert_eq!(check.code(), Some(0), "{}", check.everything());
    assert!(!bench.path().join("good.dot").exists());
    let check = bench.rashomon(&["check", "--dot", "two.dot", "good.jsonl", "stale.jsonl"]);
    assert_eq!(check.code(), Some(2), "{}", check.everything());
    let check = bench.rashomon(&["check", "--dot", "no/such/directory", "stale.jsonl"]);
    assert_eq!(check.code(), Some(1), "{}", check.everything());
    assert!(check.stderr.contains("cannot write no/such/directory"), "{}", check.everything());
}

#[test]
fn keys_can_be_decided_together() {
    let bench = Bench::new();
    let other = GOOD.replace(r#""key":"x""#, r#""key":"y""#).replace("process\":", "process\":1");
    bench.write("two.jsonl", GOOD.to_owned() + &other);
    for (options, keys) in [(&[][..], 2), (&["--no-partition"][..], 1)] {
        let check = bench.rashomon(&[&["check", "--json", "two.jsonl"][..], options].concat());
        assert_eq!(check.code(), Some(0), "{}", check.everything());
        assert_eq!(json(&check)["histories"][0]["keys"], keys, "{}", check.everything());
    }
}

/// A stale read of a process that has not written is no session's affair; that of the writer is.
#[test]
fn promises_are_judged_instead_of_linearizability() {
    let bench = Bench::new();
    bench.write("stale.jsonl", stale());
    let own = stale()
        + r#"{"index":8,"time":9,"process":0,"type":"invoke","f":"read","key":"x","value":null}
{"index":9,"time":10,"process":0,"type":"ok","f":"read","key":"x","value":1}
"#;
    bench.write("own.jsonl", own);
    let sessions = ["check", "--promises", "read-your-writes,monotonic-reads"];
    let of = |file, more: &[&str]| bench.rashomon(&[&sessions[..], more, &[file]].concat());

    let check = of("stale.jsonl", &[]);
    assert_eq!(check.code(), Some(0), "{}", check.everything());
    assert!(check.stdout.contains("read-your-writes       held"), "{}", check.everything());

    let check = of("own.jsonl", &[]);
    assert_eq!(check.code(), Some(1), "{}", check.everything());
    for part in ["process 0 wrote 2 (line 6) and then read 1 (line 10)", "1 was written before 2"] {
        assert!(check.stdout.contains(part), "{part}\n{}", check.everything());
    }
    let check = of("own.jsonl", &["--json"]);
    let row = &json(&check)["histories"][0]["promises"][0];
    assert_eq!(
        (&row["promise"], &row["verdict"]),
        (&"read-your-writes".into(), &"violated".into())
    );
    assert_eq!(row["operations"].as_array().map(Vec::len), Some(3), "{row}");

    // Clocks that may be so far apart that nobody knows which write is older.
    let check = of("own.jsonl", &["--clocks", "1s"]);
    assert_eq!(check.code(), Some(0), "{}", check.everything());

    let check = bench.rashomon(&["check", "--promises", "all", "own.jsonl"]);
    assert_eq!(check.code(), Some(1), "{}", check.everything());
    assert!(check.stdout.contains("convergence            unknown"), "{}", check.everything());
    let check = bench.rashomon(&["check", "--promises", "convergence", "own.jsonl"]);
    assert_eq!(check.code(), Some(3), "{}", check.everything());
    assert!(check.stdout.contains("no final reads"), "{}", check.everything());
    let check = bench.rashomon(&["check", "--promises", "speed", "own.jsonl"]);
    assert_eq!(check.code(), Some(2), "{}", check.everything());
    assert!(check.stderr.contains("there is no promise `speed`"), "{}", check.everything());
}
