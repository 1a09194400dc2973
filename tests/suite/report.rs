//! The report as people meet it: opened from disk in a browser, with every network off. Where
//! there is no Chromium the tests say so on stderr; the page's own tests need none.

use std::path::PathBuf;

use crate::browser::{self, Browser, is_in_sight};
use crate::support::Bench;
use rashomon::campaign::Recovery;
use rashomon::campaign::chronicle::{FaultSpan, LeaderChange};
use rashomon::campaign::plan::{Plan, WorkloadName};
use rashomon::report::{Coverage, Finding, OperationLine, Results, VerdictWord, html};
use rashomon_checker::Verdict;
use rashomon_checker::history::{History, read_file};
use rashomon_checker::model::Model;

/// A new leader has acknowledged 2 when the old one, cut off, still answers 1. `TEXT` stands
/// wherever a client or a store may write what it likes.
const STALE: &str = r#"
{"index":0,"time":100000000,"process":0,"type":"invoke","f":"write","key":"xTEXT","value":"1TEXT","node":"n1TEXT"}
{"index":1,"time":104000000,"process":0,"type":"ok","f":"write","key":"xTEXT","value":"1TEXT","node":"n1TEXT"}
{"index":2,"time":2000000000,"process":1,"type":"invoke","f":"write","key":"xTEXT","value":"2TEXT","node":"n2TEXT"}
{"index":3,"time":2003000000,"process":1,"type":"ok","f":"write","key":"xTEXT","value":"2TEXT","node":"n2TEXT"}
{"index":4,"time":3100000000,"process":2,"type":"invoke","f":"write","key":"xTEXT","value":"3TEXT","node":"n1TEXT"}
{"index":5,"time":4100000000,"process":2,"type":"info","f":"write","key":"xTEXT","value":"3TEXT","node":"n1TEXT","error":"TEXT"}
{"index":6,"time":5000000000,"process":0,"type":"invoke","f":"read","key":"xTEXT","value":null,"node":"n1TEXT"}
{"index":7,"time":5001000000,"process":0,"type":"ok","f":"read","key":"xTEXT","value":"1TEXT","node":"n1TEXT"}
"#;

const HOSTILE: &str = r#"</script><img src=x onerror=\"document.title='owned'\">"#;

/// The browser, or `None` and a plain word about it.
pub(crate) fn start_browser() -> Option<Browser> {
    match browser::find() {
        Some(program) => Some(Browser::start(&program)),
        None => {
            eprintln!(
                "NOT RUN: this test opens a report in Chromium, and there is none on the PATH; \
                 install it, or name it in RASHOMON_CHROMIUM"
            );
            None
        }
    }
}

/// The report of a run with the history above.
fn report_of_stale_read(bench: &Bench, text: &str) -> PathBuf {
    let lines = STALE.trim_start().replace("TEXT", text);
    let recording = read_file(&bench.write("history.jsonl", lines)).expect("the history is sound");
    let history = History::from_events(&recording.events).expect("the history is sound");
    let model: Model = "register".parse().expect("there is such a model");
    let verdict = rashomon_checker::check(&history, &model, &Default::default());
    let Ok(Verdict::Invalid(explanation)) = verdict else { panic!("{verdict:?}") };
    let plan = Plan {
        reads: Default::default(),
        election: None,
        version: "0".into(),
        seed: 1,
        store: "raft".into(),
        bug: Some("stale-read".into()),
        nodes: 3,
        concurrency: 3,
        rate: 10.0,
        time_limit_s: 6.0,
        operation_timeout_ms: 1000,
        trace_nodes: false,
        workload: WorkloadName::Register,
        operations: None,
        client_links: false,
        roam: false,
        contract: None,
        mixture: None,
        nemesis: "partition".parse().expect("there is such a package"),
        schedule: "seed 1\nat 1s cut leader | rest\n".parse().expect("a schedule"),
    };
    let fault = FaultSpan {
        id: 1,
        kind: "cut".into(),
        asked: "cut leader | rest".into(),
        done: "cut n1 | n2, n3".into(),
        sentence: "no messages between n1 (leader) and n2, n3".into(),
        from_ns: 1_000_000_000,
        to_ns: None,
        bit: true,
        bit_ns: Some(1_010_000_000),
        observed: "stopped 44 messages".into(),
    };
    let leader = LeaderChange { time_ns: 1_400_000_000, node: "n2".into(), term: 2 };
    let results = Results {
        schema: Results::SCHEMA,
        verdict: VerdictWord::Violation,
        why: explanation.sentence().to_owned(),
        model: model.to_string(),
        finding: Some(Finding::of(&history, &explanation)),
        promises: Vec::new(),
        recovery: Recovery { took_ms: Some(120), missing: None },
        coverage: Coverage {
            faults: vec![fault],
            leaders: vec![leader],
            overlapping: 3,
            successful_reads: 1,
        },
        functions: Vec::new(),
        stopped_by: None,
        reproduce: plan.command(),
        run: bench.path().to_owned(),
        plan,
    };
    let line = |operation: rashomon_checker::history::Operation<'_>| {
        OperationLine::of(&history, operation.id())
    };
    let operations: Vec<OperationLine> = history.operations().map(line).collect();
    bench.write("report.html", html::render(&results, &operations))
}

/// Waits until the timeline is drawn: the canvas is painted a frame after the page says what is on
/// it. More than ten colours are more than an empty one has. A copy is looked at: the browser warns
/// who reads the page's own canvas twice, and a page must not have warnings.
fn wait_for_timeline(browser: &mut Browser) {
    browser.wait_for(
        "(() => { const canvas = document.querySelector('.surface canvas'); \
         const copy = new OffscreenCanvas(canvas.width, canvas.height); \
         const brush = copy.getContext('2d', { willReadFrequently: true }); \
         brush.drawImage(canvas, 0, 0); \
         const data = brush.getImageData(0, 0, canvas.width, canvas.height).data; \
         return new Set(new Uint32Array(data.buffer)).size > 10; })()",
    );
}

#[test]
fn a_violation_is_in_sight_at_once() {
    let Some(mut browser) = start_browser() else { return };
    let bench = Bench::new();
    let page = report_of_stale_read(&bench, "");
    for dark in [false, true] {
        browser.set_dark(dark);
        browser.open(&page);
        for selector in ["h1", ".why", ".picture", ".op.culprit", ".op.proof", "#command"] {
            assert!(is_in_sight(&mut browser, selector), "{selector} is out of sight");
        }
        wait_for_timeline(&mut browser);
        assert_eq!(browser.complaints(), [] as [&str; 0]);
    }
}

#[test]
fn the_timeline_answers_to_keys_wheel_filter_and_clicks() {
    let Some(mut browser) = start_browser() else { return };
    let bench = Bench::new();
    browser.open(&report_of_stale_read(&bench, ""));
    let chosen = "document.querySelector('.inspector h3').textContent";
    let situation = "document.querySelector('.situation').textContent";
    assert!(
        browser.evaluate(chosen).as_str().unwrap().starts_with("read ->"),
        "the culprit is chosen"
    );

    browser.evaluate("document.querySelector('.surface').focus()");
    browser.press("ArrowLeft");
    let spoken = browser.wait_for("document.querySelector('.spoken').textContent");
    assert!(
        spoken.as_str().unwrap().starts_with("write \"2\" on x, process 1 at n2, ok"),
        "{spoken}"
    );

    let before = browser.evaluate(situation);
    let middle = "(() => { const box = document.querySelector('.surface').getBoundingClientRect(); return box.top + 20; })()";
    let y = browser.evaluate(middle).as_f64().unwrap();
    browser.wheel(500.0, y, -400.0);
    browser.wait_for(&format!("{situation} !== {before}"));
    browser.press("0");
    browser.wait_for(&format!("{situation}.includes('4 operations from 0')"));

    browser.evaluate(
        "(() => { const filter = document.querySelector('#filter'); filter.value = 'type:info during:cut'; \
         filter.dispatchEvent(new Event('input')); })()",
    );
    browser.wait_for(&format!("{situation}.startsWith('1 of 4 match')"));
    browser.evaluate("document.querySelector('a.op.proof').dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true}))");
    browser.wait_for(&format!("{chosen}.startsWith('write')"));
    // Out of sight, and back again.
    for display in ["none", ""] {
        browser.evaluate(&format!("document.querySelector('main').style.display = '{display}'"));
        browser.evaluate(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))",
        );
    }
    wait_for_timeline(&mut browser);
    browser.wait_for("location.hash.includes('filter=type') && location.hash.includes('op=')");
    assert_eq!(browser.complaints(), [] as [&str; 0]);
}

#[test]
fn hostile_values_stay_text() {
    let Some(mut browser) = start_browser() else { return };
    let bench = Bench::new();
    browser.open(&report_of_stale_read(&bench, HOSTILE));
    assert_eq!(browser.evaluate("document.images.length"), 0);
    assert_eq!(browser.evaluate("document.scripts.length"), 3);
    let title = browser.evaluate("document.title");
    assert!(title.as_str().unwrap().starts_with("VIOLATION"), "{title}");
    let shown = browser.evaluate("document.querySelector('.inspector').textContent");
    assert!(shown.as_str().unwrap().contains("<img src=x onerror="), "{shown}");
    assert!(is_in_sight(&mut browser, ".op.culprit"));
    assert_eq!(browser.complaints(), [] as [&str; 0]);
}

#[test]
fn a_real_run_opens() {
    let Some(mut browser) = start_browser() else { return };
    let bench = Bench::new();
    let run = bench.rashomon(&["test", "--bug", "stale-read", "--seed", "1", "--time-limit", "6s"]);
    // Whether the bug shows in so short a run is for other tests; the page has to suit either way.
    assert!(matches!(run.code(), Some(0 | 1 | 3)), "{}", run.everything());
    browser.open(&bench.latest().join("report.html"));
    let word = match run.code() {
        Some(0) => "VALID",
        Some(1) => "VIOLATION",
        _ => "UNKNOWN",
    };
    let heading = browser.evaluate("document.querySelector('h1').textContent");
    assert!(heading.as_str().unwrap().starts_with(word), "{heading}");
    if browser.evaluate("document.querySelector('.picture') !== null") == true {
        assert!(is_in_sight(&mut browser, ".op.culprit"));
    }
    wait_for_timeline(&mut browser);
    assert_eq!(browser.complaints(), [] as [&str; 0]);
}
