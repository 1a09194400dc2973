//! The end of a run on a terminal: the verdict last, where the eye looks.

use std::fmt::{self, Write};

use super::diagram::{self, Bar};
use super::results::{Coverage, Finding, OperationLine, Results, VerdictWord};
use crate::contract::{LINEARIZABLE, Row};

/// The widest drawing; wider ones are listed instead.
const WIDTH: usize = 120;

/// The whole text for a run, ending in a newline.
pub fn print(results: &Results) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_all(&mut text, results);
    text
}

fn write_all(out: &mut String, results: &Results) -> fmt::Result {
    let [operations, ok, fail, info] = results.totals();
    let plan = &results.plan;
    writeln!(out)?;
    field(out, "operations", &format!("{operations}: {ok} ok, {fail} fail, {info} info"))?;
    for function in &results.functions {
        let counts = format!("{} ok, {} fail, {} info", function.ok, function.fail, function.info);
        let latency = function.latency.map_or(String::new(), |latency| {
            let ms = |ns: u64| ns as f64 / 1e6;
            let (p50, p99, max) = (ms(latency.p50_ns), ms(latency.p99_ns), ms(latency.max_ns));
            format!("; p50 {p50:.1} ms, p99 {p99:.1} ms, max {max:.0} ms")
        });
        field(out, "", &format!("{:7} {counts}{latency}", function.f))?;
    }
    coverage(out, &results.coverage)?;
    let recovery = match (results.recovery.took_ms, &results.recovery.missing) {
        (Some(ms), _) => format!(
            "every fault healed, every node served and all agreed {:.1} s after the work ended",
            ms as f64 / 1e3
        ),
        (None, missing) => format!("none: {}", missing.as_deref().unwrap_or("unknown")),
    };
    field(out, "recovery", &recovery)?;
    if let Some(signal) = results.stopped_by {
        field(out, "stopped", &format!("early, by {signal}"))?;
    }
    promises(out, results)?;
    let shown = shown(results);
    if !shown.is_empty() {
        writeln!(out, "\n{}", shown.trim_end())?;
    }
    writeln!(out)?;
    let word = results.verdict.as_str();
    let model = format!("{}, store {}, seed {}", results.model, plan.store, plan.seed);
    field(out, word, &format!("{} ({model})", results.why))?;
    field(out, "report", &results.run.join("report.html").display().to_string())?;
    if results.verdict != VerdictWord::Valid {
        field(out, "again", &results.reproduce)?;
    }
    Ok(())
}

fn field(out: &mut String, name: &str, text: &str) -> fmt::Result {
    writeln!(out, "{name:11}{text}")
}

/// What became of the promises, where there is more to say than that all is linearizable.
fn promises(out: &mut String, results: &Results) -> fmt::Result {
    let mut name = "promises";
    for row in results.promises.iter().filter(|_| results.promises.len() > 1) {
        field(out, name, &format!("{:22} {}", row.promise, row.remark()))?;
        name = "";
    }
    Ok(())
}

/// How many faults are told one by one.
const FAULTS_SHOWN: usize = 20;

/// What was really tested: nothing failed and nothing was tested must look different.
fn coverage(out: &mut String, coverage: &Coverage) -> fmt::Result {
    let bit = coverage.faults.iter().filter(|fault| fault.bit).count();
    let text = match coverage.faults.len() {
        0 => "none".to_owned(),
        faults => format!(
            "{faults}, of which {bit} bit; {} operations overlapped one",
            coverage.overlapping
        ),
    };
    field(out, "faults", &text)?;
    // Those that came to nothing and those beyond the first are in the report.
    let shown = coverage.faults.iter().filter(|fault| fault.bit).take(FAULTS_SHOWN);
    let left_out = coverage.faults.len() - shown.clone().count();
    for fault in shown {
        let seconds = |ns: u64| ns as f64 / 1e9;
        let until = fault.to_ns.map_or("the end".into(), |to| format!("{:.1}s", seconds(to)));
        // A leader that was elected while the fault stood, or just after it.
        let elected: Vec<String> = coverage
            .leaders
            .iter()
            .filter(|leader| {
                fault.from_ns < leader.time_ns && leader.time_ns <= fault.to_ns.unwrap_or(u64::MAX)
            })
            .map(|leader| format!("{} in term {}", leader.node, leader.term))
            .collect();
        let elected = match elected.as_slice() {
            [] => String::new(),
            elected => format!("; elected: {}", elected.join(", ")),
        };
        let from = seconds(fault.from_ns);
        field(out, "", &format!("{from:.1}s-{until} {}{elected}", fault.sentence))?;
    }
    if left_out > 0 {
        field(out, "", &format!("and {left_out} more in the report"))?;
    }
    match coverage.leaders.len() {
        0 => field(out, "elections", "none: nobody was seen to lead"),
        leaders => field(out, "elections", &format!("{} after the first", leaders - 1)),
    }
}

/// The picture of a violation and what would have been legal.
pub fn proof(finding: &Finding) -> String {
    let bars: Vec<Bar> =
        finding.shown().into_iter().map(|line| bar(line, finding.is_stuck(line))).collect();
    let mut text = String::new();
    if let Some(start) = &finding.explanation.start {
        text += &format!("at first it is certainly {}\n", start.state);
    }
    text += &diagram::draw(&bars, WIDTH).unwrap_or_else(|| {
        list(finding.shown().into_iter().map(|line| (line, finding.is_stuck(line))))
    });
    let legal = &finding.explanation.legal;
    if !legal.is_empty() {
        text += &format!("\nlegal would have been: {}\n", legal.join(", "));
    }
    text
}

/// The pictures of a run: why it is not linearizable, and what proves that another promise of the
/// store is broken; nothing if there is neither.
pub fn shown(results: &Results) -> String {
    let mut text = String::new();
    if let Some(finding) = &results.finding {
        if !results.promises_linearizable() {
            text += "not linearizable, as expected of this store:\n";
        }
        text += &proof(finding);
    }
    if let Some(row) = results.broken().filter(|row| row.promise != LINEARIZABLE) {
        let gap = if text.is_empty() { "" } else { "\n" };
        text += &format!("{gap}{} is broken:\n{}", row.promise, evidence(row));
    }
    text
}

/// The picture of what proves that a promise is broken.
pub fn evidence(row: &Row) -> String {
    let bars: Vec<Bar> = row.operations.iter().map(|line| bar(line, false)).collect();
    diagram::draw(&bars, WIDTH).unwrap_or_else(|| list(row.operations.iter().map(|it| (it, false))))
}

fn bar(line: &OperationLine, culprit: bool) -> Bar {
    Bar {
        lane: match &line.node {
            Some(node) => format!("process {} at {node}", line.process),
            None => format!("process {}", line.process),
        },
        label: line.label.clone(),
        from: u64::from(line.call),
        to: line.ret.map(u64::from),
        culprit,
    }
}

/// The operations of a violation that is too wide to be drawn, a line each.
fn list<'a>(lines: impl Iterator<Item = (&'a OperationLine, bool)>) -> String {
    let mut text = String::new();
    for (line, culprit) in lines {
        let mark = if culprit { "  <- cannot be placed" } else { "" };
        let ms = |ns: u64| format!("{:.3} ms", ns as f64 / 1e6);
        let from = line.from_ns.map_or(format!("#{}", line.call), ms);
        let to = match (line.to_ns, line.ret) {
            (Some(ns), _) => ms(ns),
            (None, Some(rank)) => format!("#{rank}"),
            (None, None) => "?".into(),
        };
        let _ =
            writeln!(text, "  process {:<4} {:32} {from} .. {to}{mark}", line.process, line.label);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::chronicle::FaultSpan;

    fn fault(id: u64, bit: bool) -> FaultSpan {
        FaultSpan {
            id,
            kind: "pause".into(),
            asked: String::new(),
            done: String::new(),
            sentence: format!("n{id} stands still"),
            from_ns: id,
            to_ns: Some(id + 1),
            bit,
            bit_ns: None,
            observed: String::new(),
        }
    }

    #[test]
    fn of_many_faults_the_first_that_bit_are_told() {
        let told = |faults: Vec<FaultSpan>| {
            let mut text = String::new();
            let tested =
                Coverage { faults, leaders: Vec::new(), overlapping: 5, successful_reads: 0 };
            coverage(&mut text, &tested).expect("a string can be written to");
            text
        };
        let text = told((1..=60).map(|id| fault(id, id % 2 == 0)).collect());
        assert!(text.contains("60, of which 30 bit; 5 operations overlapped one"), "{text}");
        assert_eq!(text.matches("stands still").count(), 20, "{text}");
        assert!(text.contains("n40 ") && !text.contains("n41 ") && !text.contains("n3 "), "{text}");
        assert!(text.contains("and 40 more in the report"), "{text}");
        assert!(!told(vec![fault(1, true)]).contains("more"));
    }
}
