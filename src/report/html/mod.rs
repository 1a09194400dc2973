//! The report of a run: one HTML file that needs no network, no server and, for what matters most,
//! no scripts.
//!
//! The verdict, the sentence, the picture of the violation, the tables and the plot are in the
//! page as they are; scripts add the timeline of the whole run (`assets/`). Nothing from a history
//! is ever markup: see `markup` for text, `data` and `encode` for what scripts read, which build
//! text nodes only, and `assets` for the policy that forbids everything else.

mod assets;
mod bands;
mod clock;
pub mod comparison;
mod data;
mod encode;
mod markup;
mod picture;
mod plot;
mod shown;
mod tables;
mod warp;

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt::Write;
use std::ops::Range;

use clock::Clock;
use markup::text;
use shown::Shown;

use super::{Finding, OperationLine, Results, VerdictWord, figures};
use crate::contract::LINEARIZABLE;

/// More operations than this are not put into a page: it would take browsers seconds to open.
const MOST_EMBEDDED: usize = 500_000;

/// The page for a run: its results, and all operations for the timeline.
pub fn render(results: &Results, operations: &[OperationLine]) -> String {
    let shown = match &results.finding {
        Some(finding) => shown::shown(finding),
        None => Vec::new(),
    };
    let mut page = String::new();
    head(&mut page, results);
    page += &bands::definitions();
    verdict(&mut page, results);
    page += "<main>";
    violation(&mut page, results, &shown);
    page += &tables::facts(results);
    page += &tables::promises(results);
    timeline(&mut page, results, operations);
    details(&mut page, results, &shown, operations);
    page += "</main>";
    scripts(&mut page, results, &shown, operations);
    page += "</body></html>\n";
    page
}

/// The name of the run: the last part of its directory.
fn name(results: &Results) -> String {
    let name = results.run.file_name().map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_default()
}

/// The verdict's class and its sign; a sign, because a colour alone tells some readers nothing.
fn sign(verdict: VerdictWord) -> (&'static str, &'static str) {
    match verdict {
        VerdictWord::Valid => {
            ("valid", r#"<circle cx="12" cy="12" r="11"/><path d="m6.5 12.5 4 4 7-8"/>"#)
        }
        VerdictWord::Violation => (
            "violation",
            r#"<path class="shape" d="M7.5 1h9L23 7.5v9L16.5 23h-9L1 16.5v-9z"/><path d="m8 8 8 8m0-8-8 8"/>"#,
        ),
        VerdictWord::Unknown => (
            "unknown",
            r#"<path class="shape" d="M12 .5 23.5 12 12 23.5.5 12z"/><path d="M9 9.3c.3-3.8 6-3.8 6 0 0 2-3 2.2-3 4.7m0 3v.5"/>"#,
        ),
    }
}

fn head(page: &mut String, results: &Results) {
    let title = format!("{} · {}", results.verdict.as_str(), name(results));
    begin(page, &title, results.verdict, &assets::script());
}

/// Begins a page that may run this script and use the style, and nothing else.
fn begin(page: &mut String, title: &str, verdict: VerdictWord, script: &str) {
    let (class, _) = sign(verdict);
    // Writing to a string cannot fail.
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><link rel=\"icon\" href=\"data:,\">\
         <title>{} · Rashomon</title><style>{}</style></head><body class=\"{class}\">\n",
        assets::policy(script, assets::STYLE),
        text(title),
        assets::STYLE,
    );
}

/// The bar that stays in sight: the verdict, and what it is about.
fn verdict(page: &mut String, results: &Results) {
    let (_, sign) = sign(results.verdict);
    let plan = &results.plan;
    let cause = match (results.broken(), &results.finding) {
        (Some(row), _) if row.promise != LINEARIZABLE => Some(row.promise),
        (_, Some(finding)) if results.promises_linearizable() => {
            Some(finding.explanation.cause.as_str())
        }
        _ => None,
    };
    let cause = cause.map_or(String::new(), |cause| {
        format!(" <span class=\"cause\">{}</span>", text(cause.replace('-', " ")))
    });
    let bug = plan.bug.as_ref().map_or(String::new(), |bug| format!(" with bug {bug}"));
    let run = format!(
        "{}{bug} · {} · {} nodes · {} clients · seed {}",
        plan.store, plan.workload, plan.nodes, plan.concurrency, plan.seed
    );
    let _ = write!(
        page,
        "<header><h1><svg class=\"sign\" viewBox=\"0 0 24 24\" aria-hidden=\"true\">{sign}</svg>{}{cause}</h1>\
         <p class=\"run\">{}<br><span>{}</span></p></header>",
        results.verdict.as_str(),
        text(name(results)),
        text(run),
    );
}

/// The sentence, the picture, and how to see it again.
fn violation(page: &mut String, results: &Results, shown: &[Shown<'_>]) {
    let _ = write!(page, "<p class=\"why\">{}</p>", text(&results.why));
    if let Some(signal) = results.stopped_by {
        let _ = write!(page, "<p>The run was ended early, by {}.</p>", text(signal));
    }
    if let Some(finding) = &results.finding {
        if !results.promises_linearizable() {
            *page += "<p>An example of why the store is not linearizable, which it does not promise:</p>";
        }
        let _ = write!(
            page,
            "<figure class=\"wide\"><div class=\"scroll\">{}</div><figcaption>{}</figcaption></figure>",
            picture::draw(shown, &results.coverage),
            caption(finding, shown, results),
        );
    }
    if results.verdict != VerdictWord::Valid {
        again(page, results);
    }
}

fn again(page: &mut String, results: &Results) {
    let _ = write!(
        page,
        "<p class=\"again\"><span>Reproduce</span> <code id=\"command\">{}</code></p>",
        text(&results.reproduce)
    );
}

fn caption(finding: &Finding, shown: &[Shown<'_>], results: &Results) -> String {
    let explanation = &finding.explanation;
    let mut words = String::new();
    let key = shown.iter().find(|shown| shown.culprit).and_then(|shown| shown.line.key.as_ref());
    if let Some(key) = key {
        let _ = write!(words, "Key <code>{}</code>, as a {}. ", text(key), text(&results.model));
    }
    if let Some(start) = &explanation.start {
        let _ = write!(words, "At first it is certainly <code>{}</code>. ", text(&start.state));
    }
    let list = |list: &[String]| {
        let codes = list.iter().map(|item| format!("<code>{}</code>", text(item)));
        codes.collect::<Vec<_>>().join(", ")
    };
    if !explanation.legal.is_empty() {
        let _ = write!(words, "Legal results: {}. ", list(&explanation.legal));
    } else if !explanation.states.is_empty() {
        let _ = write!(words, "Possible states before it: {}. ", list(&explanation.states));
    }
    words += &extent(explanation.minimal.len(), shown.len(), explanation.is_minimal);
    words += "Order and overlap are exact, lengths are not to scale.";
    if !explanation.also_violated.is_empty() {
        let _ = write!(words, " Also violated: {}.", list(&explanation.also_violated));
    }
    words
}

/// How the operations of the picture relate to the minimal history: its own, and those that only
/// help to tell why; or too many to draw.
fn extent(minimal: usize, shown: usize, is_minimal: bool) -> String {
    let operations = figures::many(minimal, "operation");
    let alone = match minimal.cmp(&shown) {
        Ordering::Less => format!("Of these, {operations} alone are a violation"),
        Ordering::Equal => format!("These {operations} alone are a violation"),
        Ordering::Greater => {
            return format!("The latest of {operations} that alone are a violation. ");
        }
    };
    alone + if is_minimal { ", and none can be left out. " } else { "; fewer might do. " }
}

/// The place of the timeline, which scripts fill.
fn timeline(page: &mut String, results: &Results, operations: &[OperationLine]) {
    let range = embedded(results, operations);
    *page += "<section id=\"timeline\"><h2>Timeline</h2>";
    if range.len() < operations.len() {
        let _ = write!(
            page,
            "<p>Operations {} to {} of {}: a page with all of them would be slow to open.</p>",
            figures::count(range.start + 1),
            figures::count(range.end),
            figures::count(operations.len()),
        );
    }
    *page += "<p class=\"needs-script\">The timeline of the whole run needs JavaScript; \
              everything else on this page does not.</p></section>";
}

fn details(
    page: &mut String,
    results: &Results,
    shown: &[Shown<'_>],
    operations: &[OperationLine],
) {
    if !shown.is_empty() {
        let table = tables::operations(shown);
        let what = if results.promises_linearizable() { "violation" } else { "example" };
        let _ = write!(
            page,
            "<section><h2>The operations of the {what}</h2><div class=\"scroll\">{table}</div></section>"
        );
    }
    if let Some(plot) = plot::draw(operations, &results.coverage) {
        let _ = write!(
            page,
            "<section><h2>Latency and throughput</h2><figure><div class=\"scroll\">{plot}</div><figcaption>\
             Above: latency of the operations that happened, by invocation. Below: operations per second, \
             <i class=\"key ok\"></i> ok, <i class=\"key fail\"></i> fail, <i class=\"key info\"></i> info. \
             Hatched: faults. Dashed: a new leader.</figcaption></figure></section>"
        );
    }
    let _ = write!(
        page,
        "<section><h2>Operations</h2><div class=\"scroll\">{}</div></section>\
         <section><h2>Faults</h2><div class=\"scroll\">{}</div></section>",
        tables::functions(results),
        tables::faults(&results.coverage),
    );
    *page += "<section><h2>Plan</h2>";
    if results.verdict == VerdictWord::Valid {
        again(page, results);
    }
    if let Ok(plan) = toml::to_string(&results.plan) {
        let _ = write!(page, "<pre>{}</pre>", text(plan));
    }
    *page += "<p>Beside this page: <a href=\"history.jsonl\">history.jsonl</a>, \
              <a href=\"results.json\">results.json</a>, <a href=\"plan.toml\">plan.toml</a>.</p></section>";
}

/// Which operations are put into the page: all, or as many around the violation, or the first.
fn embedded(results: &Results, operations: &[OperationLine]) -> Range<usize> {
    let culprit = results.finding.as_ref().map(|finding| finding.explanation.operation);
    let culprit = culprit.and_then(|id| operations.iter().position(|line| line.id == id));
    window(operations.len(), culprit.unwrap_or(0), MOST_EMBEDDED)
}

/// At most so many of `all`, around the one at `middle` as far as there are any.
fn window(all: usize, middle: usize, most: usize) -> Range<usize> {
    let length = all.min(most);
    let start = middle.saturating_sub(length / 2).min(all - length);
    start..start + length
}

/// The data blocks and the script. Blocks of a type that is not JavaScript are never run.
fn scripts(
    page: &mut String,
    results: &Results,
    shown: &[Shown<'_>],
    operations: &[OperationLine],
) {
    let embedded = &operations[embedded(results, operations)];
    let clock = Clock::of(embedded.iter());
    let _ = write!(
        page,
        "<script type=\"application/json\" id=\"report\">{}</script>\n\
         <script type=\"text/plain\" id=\"operations\">{}</script>\n\
         <script type=\"module\">{}</script>\n",
        markup::json(&data::Data::new(results, shown, clock)),
        encode::encode(embedded.iter(), clock),
        assets::script(),
    );
}
