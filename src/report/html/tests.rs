//! Whole pages: what is on them, that nothing from a history becomes markup, and how large they are.

use std::path::PathBuf;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rashomon_checker::consistency::Reason;
use rashomon_checker::explain::Explanation;
use rashomon_checker::history::{OpId, Outcome};
use serde_json::json;

use super::{render, shown, window};
use crate::campaign::Recovery;
use crate::campaign::chronicle::{FaultSpan, LeaderChange};
use crate::campaign::plan::{Plan, WorkloadName};
use crate::contract::{Before, Kept, LINEARIZABLE, Row};
use crate::report::{
    Coverage, Finding, FunctionSummary, Latency, OperationLine, Results, VerdictWord,
};

const HOSTILE: &str = "</script><img src=x onerror=alert(1)>\"'&\u{202e}\u{0}{{";
const MS: u64 = 1_000_000;

fn plan() -> Plan {
    Plan {
        version: "0.1.0".into(),
        seed: 7,
        store: "raft".into(),
        reads: Default::default(),
        election: None,
        bug: None,
        nodes: 5,
        concurrency: 10,
        rate: 50.0,
        time_limit_s: 30.0,
        operation_timeout_ms: 1000,
        trace_nodes: false,
        workload: WorkloadName::Register,
        operations: None,
        client_links: false,
        roam: false,
        contract: None,
        mixture: None,
        nemesis: "partition,kill".parse().unwrap(),
        schedule:
            "seed 7\nat 3s cut leader | rest\nat 9s heal\nat 14s kill random 1\nat 18s restart\n"
                .parse()
                .unwrap(),
    }
}

/// What ten clients may have done within half a minute, a register of their own each: in the order of
/// invocation, none of a client's operations overlapping another of the same process.
fn operations(count: u32, seed: u64) -> Vec<OperationLine> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut free = [0_u64; 10];
    let mut process: Vec<u64> = (0..10).collect();
    let mut now = 0;
    let operation = |id: u32| {
        now += rng.random_range(0..60_000 * MS / u64::from(count));
        let client = (0..10).min_by_key(|&client| free[client]).unwrap();
        let from = now.max(free[client]);
        let took = rng.random_range(900_000..4_000_000);
        let outcome = match rng.random_range(0..100) {
            0 => Outcome::Info,
            1 | 2 => Outcome::Fail,
            _ => Outcome::Ok,
        };
        free[client] = from + took + rng.random_range(0..200_000_u64);
        let (f, label) = match rng.random_range(0..2) {
            0 => ("write", format!("write {id}")),
            _ if outcome == Outcome::Ok => ("read", format!("read -> {}", id.saturating_sub(20))),
            _ => ("read", "read".to_owned()),
        };
        let line = OperationLine {
            id: OpId(id),
            process: process[client],
            key: Some(format!("x{}", id / 50 % 20)),
            f: f.into(),
            label,
            node: Some(format!("n{}", client % 5 + 1)),
            outcome,
            from_ns: Some(from),
            to_ns: (outcome != Outcome::Info).then_some(from + took),
            call: 2 * id,
            ret: (outcome != Outcome::Info).then_some(2 * id + 1),
            line: 2 * id + 1,
        };
        if outcome == Outcome::Info {
            process[client] += 10;
        }
        line
    };
    let mut operations: Vec<OperationLine> = (0..count).map(operation).collect();
    operations.sort_by_key(|line| line.from_ns);
    operations
}

fn results(verdict: VerdictWord, why: &str, operations: &[OperationLine]) -> Results {
    let fault =
        |id, kind: &str, done: &str, sentence: &str, from, to, bit, observed: &str| FaultSpan {
            id,
            kind: kind.into(),
            asked: "kill random 1".into(),
            done: done.into(),
            sentence: sentence.into(),
            from_ns: from * MS,
            to_ns: Some(to * MS),
            bit,
            bit_ns: bit.then_some((from + 2) * MS),
            observed: observed.into(),
        };
    let leader = |ms, node: &str, term| LeaderChange { time_ns: ms * MS, node: node.into(), term };
    let of = |f: &str| {
        let own = operations.iter().filter(|line| line.f == f);
        let mut summary = FunctionSummary::new(f);
        let mut sample = Vec::new();
        for line in own {
            match line.outcome {
                Outcome::Ok => summary.ok += 1,
                Outcome::Fail => summary.fail += 1,
                Outcome::Info => summary.info += 1,
            }
            sample.extend(line.to_ns.zip(line.from_ns).map(|(to, from)| to - from));
        }
        summary.latency = Latency::of(sample);
        summary
    };
    Results {
        schema: Results::SCHEMA,
        verdict,
        why: why.into(),
        model: "cas-register".into(),
        finding: None,
        promises: Vec::new(),
        recovery: Recovery { took_ms: Some(412), missing: None },
        coverage: Coverage {
            faults: vec![
                fault(
                    1,
                    "cut",
                    "cut n3 | n1, n2, n4, n5",
                    "no messages between n3 (leader) and n1, n2, n4, n5",
                    3_000,
                    9_000,
                    true,
                    "stopped 118 messages",
                ),
                fault(2, "kill", "kill n2", "n2 killed", 14_000, 18_000, true, "1 process gone"),
                fault(
                    3,
                    "cut",
                    "cut n4 -> rest",
                    "no messages from n4 to n1",
                    17_000,
                    21_000,
                    false,
                    "stopped none",
                ),
            ],
            leaders: vec![leader(0, "n3", 1), leader(4_100, "n1", 2), leader(14_900, "n5", 3)],
            overlapping: 812,
            successful_reads: 655,
        },
        functions: vec![of("read"), of("write")],
        stopped_by: None,
        reproduce: plan().command(),
        run: PathBuf::from("runs/20260301T120000Z-raft-register"),
        plan: plan(),
    }
}

fn valid() -> (Results, Vec<OperationLine>) {
    let operations = operations(1_500, 1);
    (results(VerdictWord::Valid, "1,500 operations are linearizable", &operations), operations)
}

/// A read of an old leader, long after another value was acknowledged. `text` stands wherever a
/// history's own text may.
/// A store that keeps what it promises, and is not linearizable.
#[test]
fn promises_are_listed_with_what_proves_them_broken() {
    let (mut results, operations) = stale_read(HOSTILE);
    results.verdict = VerdictWord::Violation;
    let row = |promise, promised, verdict| Row {
        tested: (verdict == Kept::Held).then_some(12),
        why: (verdict != Kept::Held).then(|| HOSTILE.to_owned()),
        operations: match verdict {
            Kept::Violated => operations[..2].to_vec(),
            Kept::Held | Kept::Unknown => Vec::new(),
        },
        cycle: match verdict {
            Kept::Violated => vec![Before {
                from: operations[0].clone(),
                to: operations[1].clone(),
                reason: Reason::ReadFrom,
            }],
            Kept::Held | Kept::Unknown => Vec::new(),
        },
        ..Row::new(promise, promised, verdict)
    };
    results.promises = vec![
        row(LINEARIZABLE, false, Kept::Violated),
        row("convergence", true, Kept::Held),
        row("monotonic-reads", true, Kept::Violated),
    ];
    let page = render(&results, &operations);
    for part in [
        "<td>convergence</td><td>yes</td><td>held</td><td>tested 12 times</td>",
        "<td>linearizable</td><td>no</td><td>violated</td>",
        "which it does not promise",
        "<span class=\"cause\">monotonic reads</span>",
        "<li>process ",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("<img src=x"), "hostile text stays text");
}

fn stale_read(text: &str) -> (Results, Vec<OperationLine>) {
    let mut operations = operations(1_500, 2);
    let mut rows = [
        (3_210, "write 41", 1),
        (5_480, "write 52", 4),
        (5_900, "write 57", 2),
        (7_350, "read -> 41", 3),
    ]
    .into_iter();
    let mut chosen = Vec::new();
    let mut next = rows.next();
    for line in &mut operations {
        let Some((ms, label, client)) = next else { break };
        let open = label == "write 57";
        if line.process % 10 == client
            && line.outcome == Outcome::Ok
            && line.from_ns >= Some(ms * MS)
        {
            line.label = format!("{label}{text}");
            line.key = Some(format!("x7{text}"));
            line.node = Some(format!("n{client}{text}"));
            line.f = label.split(' ').next().unwrap().into();
            if open {
                (line.outcome, line.to_ns, line.ret) = (Outcome::Info, None, None);
            }
            chosen.push(line.id);
            next = rows.next();
        }
    }
    assert_eq!(chosen.len(), 4);
    let why = format!(
        "key x7{text}: process 13 read 41 (line 748), but before that began, process 4 wrote 52 (line 549), and before that, \
         for the last time, process 1 wrote 41 (line 322). It could only have returned 52 or 57."
    );
    let mut results = results(VerdictWord::Violation, &why, &operations);
    let proof = [(1, "newer"), (0, "made"), (3, "unplaced")]
        .map(|(place, role): (usize, &str)| json!({"operation": chosen[place], "role": role}));
    let explanation: Explanation = serde_json::from_value(json!({
        "model": "cas-register", "key": format!("x7{text}"), "cause": "stale-read",
        "operation": chosen[3], "place": {"line": 748, "event": 747},
        "states": [format!("52{text}"), "57"], "legal": [format!("52{text}"), "57"],
        "proof": proof, "minimal": chosen, "is_minimal": true,
        "operations": [{
            "id": chosen[3], "process": 13, "f": "read", "key": null, "input": "nil", "output": "41", "outcome": "ok",
            "call": {"line": 747, "event": 746}, "ret": {"line": 748, "event": 747}, "call_time": 0, "return_time": 1,
            "node": null,
        }],
        "also_violated": [format!("x9{text}")], "sentence": why,
    }))
    .unwrap();
    let minimal = operations.iter().filter(|line| chosen.contains(&line.id)).cloned().collect();
    results.finding = Some(Finding { explanation, minimal, beside: Vec::new() });
    results.plan.bug = Some(format!("stale-read{text}"));
    results.reproduce = results.plan.command();
    for fault in &mut results.coverage.faults {
        for field in [&mut fault.done, &mut fault.sentence, &mut fault.observed, &mut fault.kind] {
            field.push_str(text);
        }
    }
    for leader in &mut results.coverage.leaders {
        leader.node.push_str(text);
    }
    results.functions[0].f.push_str(text);
    results.run.set_file_name(format!("20260301T120000Z-raft-register{text}").replace('/', "-"));
    results.model.push_str(text);
    results.recovery = Recovery { took_ms: None, missing: Some(format!("n3{text} is down")) };
    (results, operations)
}

/// The tags of a page in their order, without attributes; what scripts and styles hold is no markup.
fn tags(page: &str) -> Vec<&str> {
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        let end = start + rest[start..].find('>').expect("every tag is closed");
        let tag = rest[start + 1..end].split([' ', '\n']).next().unwrap();
        tags.push(tag);
        rest = &rest[end + 1..];
        if matches!(tag, "script" | "style") {
            rest = &rest[rest.find(&format!("</{tag}>")).expect("every element is closed")..];
        }
    }
    tags
}

#[test]
fn elements_nest() {
    let (results, operations) = stale_read("");
    let page = render(&results, &operations);
    let mut open = Vec::new();
    for tag in tags(&page) {
        let empty = ["!doctype", "meta", "link", "br", "path", "circle", "rect", "stop"];
        match tag.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop(), Some(closed), "in {open:?}"),
            None if empty.contains(&tag) => {}
            None => open.push(tag),
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn nothing_from_a_history_becomes_markup() {
    // As long, because drawings leave out what finds no room.
    let (results, operations) = stale_read(&"x".repeat(HOSTILE.chars().count()));
    let calm = render(&results, &operations);
    let (results, operations) = stale_read(HOSTILE);
    let page = render(&results, &operations);
    let differ = tags(&page).into_iter().zip(tags(&calm)).find(|(left, right)| left != right);
    assert_eq!(differ, None);
    assert_eq!(tags(&page).len(), tags(&calm).len());
    assert!(!page.contains("<img") && page.contains("&lt;img src=x onerror=alert(1)&gt;"));
    assert_eq!(page.matches("</script").count(), 3);
    assert_eq!(page.matches("onerror").count(), page.matches("img src=x onerror=").count());
}

#[test]
fn what_matters_is_there_without_scripts() {
    let (results, operations) = stale_read("");
    let page = render(&results, &operations);
    let first_script = page.find("<script").unwrap();
    let page = &page[..first_script];
    for needle in [
        "VIOLATION",
        "stale read",
        "process 13 read 41 (line 748)",
        "class=\"op ok culprit\"",
        "class=\"op ok proof\"",
        "class=\"op info\"",
        "no messages between n3 (leader)",
        "n1 leads, term 2",
        "Legal results: <code>52</code>, <code>57</code>",
        "These 4 operations alone are a violation, and none can be left out.",
        ", 748</td>",
        "rashomon test --store raft",
        "--bug stale-read",
        "stopped 118 messages",
        "at 14s kill random 1",
    ] {
        assert!(page.contains(needle), "{needle} is missing");
    }
}

#[test]
fn a_history_without_times_is_drawn_by_order() {
    let (mut results, mut operations) = stale_read("");
    let bare = |line: &mut OperationLine| (line.from_ns, line.to_ns) = (None, None);
    operations.iter_mut().for_each(bare);
    results.finding.as_mut().unwrap().minimal.iter_mut().for_each(bare);
    let page = render(&results, &operations);
    assert!(page.contains("order of events") && page.contains("\"timed\":false"));
    assert!(!page.contains("class=\"band\"") && !page.contains("class=\"plot\""));
}

#[test]
fn what_is_too_much_for_a_page_is_left_out_far_from_the_violation() {
    assert_eq!(window(3, 1, 10), 0..3);
    assert_eq!(window(100, 50, 10), 45..55);
    assert_eq!(window(100, 2, 10), 0..10);
    assert_eq!(window(100, 99, 10), 90..100);
    assert_eq!(window(0, 0, 10), 0..0);
}

#[test]
fn of_a_large_history_the_proof_and_the_latest_are_drawn() {
    let (mut results, operations) = stale_read("");
    let finding = results.finding.as_mut().unwrap();
    let others =
        operations[..200].iter().filter(|line| !finding.explanation.minimal.contains(&line.id));
    finding.minimal.extend(others.cloned());
    finding.explanation.minimal = finding.minimal.iter().map(|line| line.id).collect();
    let drawn = shown::shown(finding);
    assert_eq!(drawn.len(), 60);
    assert_eq!(drawn.iter().filter(|shown| shown.role.is_some()).count(), 3);
    assert!(drawn.iter().any(|shown| shown.culprit));
    assert!(drawn.is_sorted_by_key(|shown| shown.line.call));
    let page = render(&results, &operations);
    assert_eq!(page.matches("<a class=\"op ").count(), 60);
    assert!(page.contains("The latest of 20"), "it says how many there are");
}

#[test]
fn nothing_at_all_can_be_rendered() {
    let results = results(VerdictWord::Unknown, "no read succeeded, so nothing was tested", &[]);
    let page = render(&results, &[]);
    assert!(page.contains("UNKNOWN") && page.contains("nothing was tested"));
    assert!(!page.contains("class=\"picture\"") && !page.contains("class=\"plot\""));
}

/// Every kind of page; to look at them, name a directory in `RASHOMON_REPORT_PAGES`.
#[test]
fn pages_keep_to_their_size() {
    let kept = std::env::var_os("RASHOMON_REPORT_PAGES").map(PathBuf::from);
    let many = operations(100_000, 3);
    let large = results(VerdictWord::Valid, "100,000 operations are linearizable", &many);
    let unknown = results(VerdictWord::Unknown, "no read succeeded, so nothing was tested", &[]);
    let pages = [
        ("valid", valid(), 150_000),
        ("violation", stale_read(""), 150_000),
        ("hostile", stale_read(HOSTILE), 150_000),
        ("unknown", (unknown, Vec::new()), 100_000),
        ("large", (large, many), 1_500_000),
    ];
    for (name, (results, operations), most) in pages {
        let page = render(&results, &operations);
        assert!(
            page.len() <= most,
            "{name}: {} bytes for {} operations",
            page.len(),
            operations.len()
        );
        if let Some(directory) = &kept {
            std::fs::write(directory.join(name).with_extension("html"), page).unwrap();
        }
    }
}
