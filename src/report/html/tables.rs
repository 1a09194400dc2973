//! What was tested, and how the store fared, in tables.

use std::fmt::Write;

use rashomon_checker::history::Outcome;

use super::markup::{clip, text};
use super::shown::{Shown, process_name};
use crate::campaign::chronicle::FaultSpan;
use crate::contract::{Before, LINEARIZABLE, Row};
use crate::report::figures::{count, instant, many, span};
use crate::report::{Coverage, OperationLine, Results};

/// Longer labels are cut in tables.
const LONGEST_LABEL: usize = 200;

/// The figures that tell a test from an idle run, in one line.
pub(super) fn facts(results: &Results) -> String {
    let [operations, ok, fail, info] = results.totals();
    let coverage = &results.coverage;
    let bit = coverage.faults.iter().filter(|fault| fault.bit).count();
    let faults = match coverage.faults.len() {
        0 => "no faults".to_owned(),
        faults => format!("{bit} of {} bit", many(faults, "fault")),
    };
    let elections = coverage.leaders.len().saturating_sub(1);
    let facts = [
        (
            many(operations, "operation"),
            format!("{} ok, {} fail, {} info", count(ok), count(fail), count(info)),
        ),
        (faults, format!("{} under one", many(coverage.overlapping, "operation"))),
        (many(elections, "election"), "after the first".to_owned()),
        (many(coverage.successful_reads, "read"), "answered".to_owned()),
        recovery(results),
    ];
    let mut html = String::from("<ul class=\"facts\">");
    for (figure, rest) in facts {
        let _ = write!(html, "<li><b>{}</b> <span>{}</span></li>", text(figure), text(rest));
    }
    html + "</ul>"
}

fn recovery(results: &Results) -> (String, String) {
    match (results.recovery.took_ms, &results.recovery.missing) {
        (Some(ms), _) => ("recovered".to_owned(), format!("in {:.1} s", ms as f64 / 1e3)),
        (None, Some(missing)) => ("not recovered".to_owned(), missing.clone()),
        (None, None) => ("recovery unknown".to_owned(), "nobody looked".to_owned()),
    }
}

/// What became of the promises, with the operations that prove one broken; nothing where there is
/// only one and the page tells of it anyway.
pub(super) fn promises(results: &Results) -> String {
    if results.promises.len() < 2 {
        return String::new();
    }
    let mut html = String::from(
        "<section><h2>Promises</h2><div class=\"scroll\"><table><thead><tr><th>Promise</th>\
         <th>Made</th><th>Kept</th><th>Why</th></tr></thead><tbody>",
    );
    for row in &results.promises {
        let made = if row.promised { "yes" } else { "no" };
        let why = match (&row.why, row.tested) {
            (Some(why), _) => why.clone(),
            (None, Some(0)) => "never put to the test".to_owned(),
            (None, tested) => {
                tested.map_or(String::new(), |tested| format!("tested {tested} times"))
            }
        };
        let _ = write!(
            html,
            "<tr><td>{}</td><td>{made}</td><td>{}</td><td>{}{}</td></tr>",
            text(row.promise),
            row.verdict.as_str(),
            text(why),
            evidence(row),
        );
    }
    html + "</tbody></table></div></section>"
}

/// The circle in which operations come before each other, each step with its reason.
pub(super) fn cycle(cycle: &[Before]) -> String {
    if cycle.is_empty() {
        return String::new();
    }
    let mut html = String::from("<ol class=\"cycle\">");
    for Before { from, to, reason } in cycle {
        let told = |line: &OperationLine| {
            let label = clip(&line.label, LONGEST_LABEL);
            let key = line.key.as_ref().map_or(String::new(), |key| format!(" of {key}"));
            format!("{label}{key} ({}, line {})", process_name(line.process), line.line)
        };
        let _ = write!(
            html,
            "<li>{} <em>{}</em> {}</li>",
            text(told(from)),
            reason.as_str(),
            text(told(to)),
        );
    }
    html + "</ol>"
}

/// The operations that prove a promise broken. Those of linearizability have a picture.
fn evidence(row: &Row) -> String {
    if row.promise == LINEARIZABLE || row.operations.is_empty() {
        return String::new();
    }
    let mut html = String::from("<ul>");
    for line in &row.operations {
        let node = line.node.as_ref().map_or(String::new(), |node| format!(" at {node}"));
        let label = clip(&line.label, LONGEST_LABEL);
        let told = format!("process {}{node}: {label} (line {})", line.process, line.line);
        let _ = write!(html, "<li>{}</li>", text(told));
    }
    html + "</ul>" + &cycle(&row.cycle)
}

/// Every fault, whether it bit, and which leaders followed.
pub(super) fn faults(coverage: &Coverage) -> String {
    if coverage.faults.is_empty() {
        return "<p>No fault struck.</p>".to_owned();
    }
    let mut html = String::from(
        "<table><thead><tr><th class=\"number\">From</th><th class=\"number\">To</th><th>Fault</th><th>Bit</th>\
         <th>Observed</th><th>Elected meanwhile</th></tr></thead><tbody>",
    );
    for fault in &coverage.faults {
        let to = fault.to_ns.map_or("the end".to_owned(), instant);
        let bit = match (fault.bit, fault.bit_ns) {
            (false, _) => "no".to_owned(),
            (true, None) => "yes".to_owned(),
            (true, Some(at)) => format!("after {}", span(at.saturating_sub(fault.from_ns))),
        };
        let _ = write!(
            html,
            "<tr><td class=\"number\">{}</td><td class=\"number\">{to}</td><td>{} <code>{}</code></td><td>{bit}</td><td>{}</td><td>{}</td></tr>",
            instant(fault.from_ns),
            text(&fault.sentence),
            text(&fault.done),
            text(&fault.observed),
            text(elected(fault, coverage)),
        );
    }
    html + "</tbody></table>"
}

fn elected(fault: &FaultSpan, coverage: &Coverage) -> String {
    let during = fault.from_ns..=fault.to_ns.unwrap_or(u64::MAX);
    let leaders = coverage.leaders.iter().filter(|leader| during.contains(&leader.time_ns));
    let words = leaders.map(|leader| format!("{} (term {})", leader.node, leader.term));
    words.collect::<Vec<_>>().join(", ")
}

/// Counts and latencies by function.
pub(super) fn functions(results: &Results) -> String {
    let mut html = String::from("<table><thead><tr><th>Function</th>");
    for head in ["ok", "fail", "info", "p50", "p99", "slowest"] {
        let _ = write!(html, "<th class=\"number\">{head}</th>");
    }
    html += "</tr></thead><tbody>";
    for function in &results.functions {
        let _ = write!(html, "<tr><td>{}</td>", text(&function.f));
        let counts = [function.ok, function.fail, function.info].map(count);
        let latency = match function.latency {
            Some(latency) => [latency.p50_ns, latency.p99_ns, latency.max_ns].map(span),
            None => [const { String::new() }; 3],
        };
        for figure in counts.iter().chain(&latency) {
            let _ = write!(html, "<td class=\"number\">{figure}</td>");
        }
        html += "</tr>";
    }
    html + "</tbody></table>"
}

/// The operations of a violation in words: the picture for those who cannot see it.
pub(super) fn operations(shown: &[Shown<'_>]) -> String {
    let mut html = String::from(
        "<table><thead><tr><th>Process</th><th>Node</th><th>Key</th><th>Operation</th><th>Outcome</th>\
         <th class=\"number\">Invoked</th><th class=\"number\">Returned</th><th class=\"number\">Lines</th>\
         <th>Part</th></tr></thead><tbody>",
    );
    for shown in shown {
        let line = shown.line;
        let (class, outcome) = match line.outcome {
            _ if shown.culprit => (" class=\"culprit\"", "ok"),
            Outcome::Ok => ("", "ok"),
            Outcome::Fail => ("", "fail"),
            Outcome::Info => ("", "info"),
        };
        let from = line.from_ns.map_or(String::new(), instant);
        let to = match (line.to_ns, line.ret) {
            (Some(to), _) => instant(to),
            (None, Some(_)) => String::new(),
            (None, None) => "unknown".to_owned(),
        };
        let _ = write!(
            html,
            "<tr id=\"op={}\"{class}><td>{}</td><td>{}</td><td><code>{}</code></td><td><code>{}</code></td><td>{outcome}</td>\
             <td class=\"number\">{from}</td><td class=\"number\">{to}</td><td class=\"number\">{}</td><td>{}</td></tr>",
            line.id.0,
            text(process_name(line.process)),
            text(line.node.as_deref().unwrap_or_default()),
            text(line.key.as_deref().unwrap_or_default()),
            text(clip(&line.label, LONGEST_LABEL)),
            lines(shown),
            shown.caption(),
        );
    }
    html + "</tbody></table>"
}

/// Where an operation stands in the history file: its invocation and its completion.
fn lines(shown: &Shown<'_>) -> String {
    match (shown.line.line, shown.completion) {
        (0, _) => String::new(),
        (from, Some(to)) => format!("{from}, {to}"),
        (from, None) => from.to_string(),
    }
}
