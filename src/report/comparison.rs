//! A comparison on a terminal: the ladder, what it costs, and what that comes to.

use std::fmt::Write;

use super::figures::span;
use super::{Latency, VerdictWord};
use crate::compare::Comparison;
use crate::compare::contest::{Cost, Share, Standing};
use crate::compare::ladder::{Interval, Rung};
use crate::compare::reading::{percent, writes};
use crate::contract::Kept;

/// The width of the first column.
const NAMES: usize = 27;
/// The width of a table, unless one store needs more.
const WIDTH: usize = 110;
/// The least width of the others.
const COLUMN: usize = 13;

/// All of it.
pub fn print(comparison: &Comparison) -> String {
    let plan = &comparison.plan;
    let mut out = String::new();
    let runs = if plan.runs == 1 { "run" } else { "runs" };
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "{} of {}, {}, faults: {}, {} clients, {}/s for {} s, {} {runs} each from seed {}",
        comparison.manner.as_str(),
        many_stores(comparison.standings.len()),
        plan.workload,
        plan.nemesis,
        plan.concurrency,
        plan.rate,
        plan.time_limit_s,
        plan.runs,
        plan.seed,
    );
    let _ = writeln!(out, "the same operations and faults for all: {}\n", comparison.digest);
    for standings in pages(&comparison.standings) {
        table(&mut out, standings);
        out.push('\n');
    }
    out.push_str(LEGEND);
    for sentence in &comparison.sentences {
        let _ = writeln!(out, "{sentence}");
    }
    out.push('\n');
    for standing in &comparison.standings {
        verdict(&mut out, standing);
    }
    out
}

fn many_stores(number: usize) -> String {
    format!("{number} store{}", if number == 1 { "" } else { "s" })
}

const LEGEND: &str = "* promised by the store; P: under partition, E: else; C: consistency, A: availability, L: latency\n\n";

/// The stores, as many together as fit into a width.
fn pages(standings: &[Standing]) -> Vec<&[Standing]> {
    let (mut pages, mut first, mut width) = (Vec::new(), 0, NAMES);
    for (place, standing) in standings.iter().enumerate() {
        let column = column(standing);
        if width + column > WIDTH && place > first {
            pages.push(&standings[first..place]);
            (first, width) = (place, NAMES);
        }
        width += column;
    }
    pages.push(&standings[first..]);
    pages
}

/// The width of a store's column.
fn column(standing: &Standing) -> usize {
    standing.name.to_string().len().max(COLUMN) + 2
}

fn table(out: &mut String, standings: &[Standing]) {
    let names: Vec<String> = standings.iter().map(|standing| standing.name.to_string()).collect();
    let widths: Vec<usize> = standings.iter().map(column).collect();
    let mut line = |first: &str, cells: Vec<String>| {
        let mut text = format!("{first:NAMES$}");
        for (cell, width) in cells.iter().zip(&widths) {
            let _ = write!(text, "{cell:width$}");
        }
        let _ = writeln!(out, "{}", text.trim_end());
    };
    line("", names);
    let rungs = standings.first().map_or(&[][..], |standing| &standing.ladder.0);
    for (place, rung) in rungs.iter().enumerate() {
        line(rung.name, standings.iter().map(|it| cell(&it.ladder.0[place])).collect());
    }
    line("", Vec::new());
    let mut each = |name: &str, figure: &dyn Fn(&Cost) -> String| {
        line(name, standings.iter().map(|standing| figure(&standing.cost)).collect());
    };
    each("answered before faults", &|cost| percent(&cost.before));
    each("         while they stand", &|cost| percent(&cost.during));
    each("         after", &|cost| percent(&cost.after));
    each("beside a majority", &|cost| percent(&cost.majority));
    each("beside a minority", &|cost| percent(&cost.minority));
    each("answers a second", &|cost| format!("{:.0}", cost.answers_per_s));
    let half = |share: &Share| latency(share, |it| it.p50_ns);
    let most = |share: &Share| latency(share, |it| it.p99_ns);
    each("p50 before faults", &|cost| half(&cost.before));
    each("    while they stand", &|cost| half(&cost.during));
    each("p99 before faults", &|cost| most(&cost.before));
    each("    while they stand", &|cost| most(&cost.during));
    each("answered again after", &|cost| worst(cost.recovery, cost.not_recovered));
    each("agreed in the end after", &|cost| worst(cost.convergence, cost.not_converged));
    let mut each = |name: &str, figure: &dyn Fn(&Standing) -> String| {
        line(name, standings.iter().map(figure).collect());
    };
    each("stale reads", &|it| format!("{} of {}", it.age.stale, it.age.reads));
    each("behind, p99", &|it| span(it.age.behind.p99_ns));
    each("        at most", &|it| span(it.age.behind.max_ns));
    each("atomic up to k", &|it| writes(it.age.k));
    each("        up to a delay of", &|it| it.age.delta_ns.map_or("–".into(), span));
    each("chose", &|it| it.reading.letters());
}

/// A promise of a store: `held *`, `broken 3/20 (5–36 %)`.
fn cell(rung: &Rung) -> String {
    let mark = if rung.promised { " *" } else { "" };
    let known = rung.held + rung.violated;
    let all = known + rung.unknown;
    let word = match rung.kept() {
        Kept::Unknown => return format!("unknown{mark}"),
        Kept::Held => "held",
        Kept::Violated => "broken",
    };
    let count = if rung.violated > 0 { rung.violated } else { rung.held };
    let times = if all > 1 { format!(" {count}/{all}") } else { String::new() };
    format!("{word}{times}{mark}")
}

/// An interval in words: `5–36 %`.
pub(crate) fn interval(interval: Interval) -> String {
    format!("{:.0}–{:.0} %", interval.low * 100.0, interval.high * 100.0)
}

fn latency(share: &Share, of: impl Fn(&Latency) -> u64) -> String {
    share.latency.as_ref().map_or("–".into(), |latency| span(of(latency)))
}

/// The worst of some times, and how often it never came to that.
pub(crate) fn worst(times: Option<Latency>, never: u64) -> String {
    match (times, never) {
        (None, 0) => "–".into(),
        (None, never) => format!("never, {never}×"),
        (Some(times), 0) => span(times.max_ns),
        (Some(times), never) => format!("{}, never {never}×", span(times.max_ns)),
    }
}

/// Whether a store kept its word, and the least example of what it does not promise.
fn verdict(out: &mut String, standing: &Standing) {
    let word = standing.verdict.as_str();
    let name = standing.name.to_string();
    let _ = match standing.verdict {
        VerdictWord::Valid => writeln!(out, "{word:10} {name}: keeps what it promises"),
        _ => writeln!(out, "{word:10} {name}: {}", standing.why),
    };
}
