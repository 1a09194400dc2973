//! `rashomon convert` as its users meet it: there and back, what a format cannot hold, and what
//! goes wrong.

use std::fs;

use crate::support::Bench;

const HISTORY: &str = r#"{"index":0,"time":10,"process":0,"type":"invoke","f":"write","key":"x","value":1,"node":"n1"}
{"index":1,"time":20,"process":"nemesis","type":"info","f":"cut","value":{"fault":1,"sentence":"n1 is alone"}}
{"index":2,"time":30,"process":1,"type":"invoke","f":"read","key":"x","value":null,"node":"n2"}
{"index":3,"time":40,"process":0,"type":"info","f":"write","key":"x","value":1,"error":"timeout"}
{"index":4,"time":50,"process":1,"type":"ok","f":"read","key":"x","value":1}
"#;

#[test]
fn there_and_back_it_is_the_same_history() {
    let bench = Bench::new();
    bench.write("history.jsonl", HISTORY);
    for name in ["history.rash", "history.edn", "history.json", "copy.jsonl"] {
        let convert = bench.rashomon(&["convert", "history.jsonl", name]);
        assert_eq!(convert.code(), Some(0), "{}", convert.everything());
        assert_eq!(convert.stderr, "", "{name}");
        let begins = format!("history.jsonl (jsonl, {} bytes) -> {name} (", HISTORY.len());
        assert!(convert.stdout.starts_with(&begins), "{}", convert.everything());
        assert!(convert.stdout.ends_with(" bytes): 5 events\n"), "{}", convert.everything());

        let check = bench.rashomon(&["check", name]);
        assert_eq!(check.code(), Some(0), "{}", check.everything());
        let back = bench.rashomon(&["convert", name, "back.jsonl"]);
        assert_eq!(back.code(), Some(0), "{}", back.everything());
        assert_eq!(fs::read_to_string(bench.path().join("back.jsonl")).unwrap(), HISTORY, "{name}");
    }
    let left: Vec<_> = fs::read_dir(bench.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".partial"))
        .collect();
    assert_eq!(left, [""; 0]);
}

#[test]
fn a_format_can_be_told() {
    let bench = Bench::new();
    bench.write("log", "0\t:invoke\t:write\t[7 1]\n0\t:ok\t:write\t[7 1]\n");
    let arguments =
        ["convert", "log", "out", "--from", "jepsen-log", "--keyed", "true", "--format", "jsonl"];
    let convert = bench.rashomon(&arguments);
    assert_eq!(convert.code(), Some(0), "{}", convert.everything());
    let written = fs::read_to_string(bench.path().join("out")).unwrap();
    let first = r#"{"index":0,"process":0,"type":"invoke","f":"write","key":7,"value":1}"#;
    assert_eq!(written.lines().next(), Some(first));
}

#[test]
fn what_a_format_cannot_hold_is_told() {
    let bench = Bench::new();
    // In EDN, the text of an operation that did not succeed is its error.
    let more = r#"{"index":5,"time":60,"process":2,"type":"invoke","f":"read","key":"x","value":null}
{"index":6,"time":70,"process":2,"type":"fail","f":"read","key":"x","value":"old"}
"#;
    bench.write("history.jsonl", HISTORY.to_owned() + more);
    let convert = bench.rashomon(&["convert", "history.jsonl", "history.edn"]);
    assert_eq!(convert.code(), Some(0), "{}", convert.everything());
    let expected = "warning: history.edn: 1 of 7 events are not read back as they were; the first was\n  \
                    {\"index\":6,\"time\":70,\"process\":2,\"type\":\"fail\",\"f\":\"read\",\"key\":\"x\",\"value\":\"old\"}\n\
                    and is now\n  \
                    {\"index\":6,\"time\":70,\"process\":2,\"type\":\"fail\",\"f\":\"read\",\"key\":\"x\",\"value\":null,\"error\":\"old\"}\n";
    assert_eq!(convert.stderr, expected);
}

#[test]
fn what_goes_wrong_leaves_no_file() {
    let bench = Bench::new();
    bench.write("good.jsonl", HISTORY);
    bench.write("bad.jsonl", HISTORY.to_owned() + "?\n");
    let cases: [(&[&str], &str); 6] = [
        (&["bad.jsonl", "out.rash"], "bad.jsonl:6:1: not jsonl: expected `{`, found '?'"),
        (&["none.jsonl", "out.rash"], "none.jsonl: cannot be read"),
        (&["good.jsonl", "out"], "the name of out tells no format; give one with --format"),
        (&["good.jsonl", "out", "--format", "jepsen-log"], "cannot write out.partial"),
        (&["good.jsonl", "none/out.rash"], "cannot write none/out.rash.partial"),
        (&["good.jsonl", "./good.jsonl"], "./good.jsonl would be overwritten with itself"),
    ];
    for (files, complaint) in cases {
        let convert = bench.rashomon(&[&["convert"], files].concat());
        assert_eq!(convert.code(), Some(2), "{}", convert.everything());
        assert!(convert.stderr.contains(complaint), "{}", convert.everything());
        assert_eq!(convert.stdout, "");
    }
    let mut files: Vec<_> =
        fs::read_dir(bench.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["bad.jsonl", "good.jsonl"]);
    assert_eq!(fs::read_to_string(bench.path().join("good.jsonl")).unwrap(), HISTORY);
}

#[test]
fn a_torn_binary_history_is_judged_up_to_its_last_whole_block() {
    let bench = Bench::new();
    bench.write("history.jsonl", HISTORY);
    let convert = bench.rashomon(&["convert", "history.jsonl", "history.rash"]);
    assert_eq!(convert.code(), Some(0), "{}", convert.everything());
    let mut bytes = fs::read(bench.path().join("history.rash")).unwrap();
    bytes.extend_from_slice(&[7; 9]);
    bench.write("torn.rash", &bytes);
    let check = bench.rashomon(&["check", "torn.rash"]);
    assert_eq!(check.code(), Some(0), "{}", check.everything());
    let warning = format!("the last block, 9 bytes from byte {} on, is cut off", bytes.len() - 9);
    assert!(check.stderr.contains(&warning), "{}", check.everything());
    bytes[40] ^= 1;
    bench.write("damaged.rash", &bytes);
    let check = bench.rashomon(&["check", "damaged.rash"]);
    assert_eq!(check.code(), Some(2), "{}", check.everything());
    let complaint = "damaged.rash: block 1, at byte 16, is damaged (its checksum is wrong)";
    assert!(check.stderr.contains(complaint), "{}", check.everything());
}
