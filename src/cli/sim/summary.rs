//! What is said of many seeds, for programs and for people. It depends on the seeds alone.

use std::fmt::Write as _;

use serde::Serialize;

use crate::report::{self, Results, VerdictWord};
use crate::sim::Scenario;
use crate::sim::explore::{Coverage, Exploration};

/// What came out of many seeds, for programs.
#[derive(Serialize)]
pub(super) struct Summary<'a> {
    schema: u32,
    pub(super) verdict: VerdictWord,
    coverage: &'a Coverage,
    violations: &'a [u64],
    unknown: &'a [(u64, String)],
    /// The results of the least seed with a violation.
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<&'a Results>,
    /// The command that replays it, exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<String>,
    /// How the runs were come by, if they were bred.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) guided: Option<Guided>,
}

/// What a guided search came to.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Guided {
    /// The master seed.
    pub(super) master: u64,
    /// Runs that were bred, and not drawn from a seed.
    pub(super) bred: u64,
    /// Situations that were met.
    pub(super) situations: usize,
    /// Cases in the corpus.
    pub(super) corpus: usize,
}

impl<'a> Summary<'a> {
    pub(super) fn of(exploration: &'a Exploration) -> Self {
        let coverage = &exploration.coverage;
        let first = exploration.first.as_ref().map(|run| &run.judged.results);
        let verdict = match (coverage.violations, coverage.unknown, coverage.seeds) {
            (1.., _, _) => VerdictWord::Violation,
            (_, 1.., _) | (_, _, 0) => VerdictWord::Unknown,
            _ => VerdictWord::Valid,
        };
        Summary {
            schema: 1,
            verdict,
            coverage,
            violations: &exploration.violations,
            unknown: &exploration.unknown,
            first,
            replay: first.map(|results| results.reproduce.clone()),
            guided: None,
        }
    }
}

/// What a scenario holds, in a few lines.
pub(super) fn of_scenario(scenario: &Scenario) -> String {
    let Scenario { seed, nodes, climate, .. } = scenario;
    let operations = &scenario.operations;
    format!(
        "scenario   seed {seed}: {} operations of {} clients on {nodes} nodes, {} steps of faults\n\
         climate    {climate}\n",
        operations.operations().len(),
        operations.clients(),
        scenario.schedule.steps().len(),
    ) + &scenario.mixture.as_ref().map_or(String::new(), |it| format!("mixture    {it}\n"))
}

/// The summary of many seeds.
pub(super) fn text(summary: &Summary<'_>, exploration: &Exploration) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    if let Some(guided) = &summary.guided {
        let _ = write_guided(&mut text, guided);
    }
    let _ = write_coverage(&mut text, summary.coverage);
    let _ = write_findings(&mut text, summary, exploration);
    text
}

fn write_guided(out: &mut String, guided: &Guided) -> std::fmt::Result {
    let Guided { master, bred, situations, corpus } = guided;
    writeln!(
        out,
        "guided     master seed {master}: {bred} runs bred, {situations} situations met, {corpus} schedules kept"
    )
}

fn write_coverage(out: &mut String, coverage: &Coverage) -> std::fmt::Result {
    let Coverage { traffic, hardship, .. } = coverage;
    let Coverage { seeds, valid, violations, unknown, .. } = coverage;
    writeln!(out, "seeds      {seeds}: {valid} valid, {violations} violations, {unknown} unknown")?;
    for (promise, shown) in &coverage.unpromised {
        writeln!(out, "not kept   {promise} in {shown} of {seeds} seeds, and not promised")?;
    }
    let Coverage { operations, ok, fail, info, overlapping, .. } = coverage;
    writeln!(out, "operations {operations}: {ok} ok, {fail} fail, {info} info")?;
    let faults: Vec<String> = coverage
        .faults
        .iter()
        .map(|(kind, (struck, bit))| format!("{struck} {kind}, of which {bit} bit"))
        .collect();
    let faults = if faults.is_empty() { "none".to_owned() } else { faults.join("; ") };
    writeln!(out, "faults     {faults}; {overlapping} operations overlapped one")?;
    writeln!(
        out,
        "messages   {}: {} lost, {} stopped by cuts, {} twice, {} late, {} waited for a heal",
        traffic.sent,
        traffic.lost,
        traffic.stopped,
        traffic.duplicated,
        traffic.held,
        traffic.waited
    )?;
    writeln!(
        out,
        "nodes      {} crashes, {} of which lost unsynced data ({} batches), {} after disk failures; {} \
         nodes lost to bit rot; {} pauses",
        hardship.crashes,
        hardship.crashes_with_loss,
        hardship.lost_batches,
        hardship.disk_failures,
        hardship.lost_nodes,
        hardship.pauses
    )?;
    for (name, reached) in [("sometimes", true), ("never", false)] {
        let points = coverage.sometimes.iter().filter(|(_, count)| (**count > 0) == reached);
        let points: Vec<String> = points
            .map(|(what, count)| if reached { format!("{count} {what}") } else { what.to_string() })
            .collect();
        if !points.is_empty() {
            writeln!(out, "{name:11}{}", points.join(", "))?;
        }
    }
    Ok(())
}

fn write_findings(
    out: &mut String,
    summary: &Summary<'_>,
    exploration: &Exploration,
) -> std::fmt::Result {
    const SHOWN: usize = 10;
    for (seed, why) in summary.unknown.iter().take(SHOWN) {
        let what = if summary.guided.is_some() { "run" } else { "seed" };
        writeln!(out, "unknown    {what} {seed}: {why}")?;
    }
    if let Some(first) = &exploration.first {
        let results = &first.judged.results;
        if summary.violations.len() > 1 {
            let seeds: Vec<String> =
                summary.violations.iter().take(SHOWN).map(u64::to_string).collect();
            let more = if summary.violations.len() > SHOWN { ", ..." } else { "" };
            let what = if summary.guided.is_some() { "runs" } else { "seeds" };
            writeln!(out, "violations {what} {}{more}", seeds.join(", "))?;
        }
        let shown = report::shown(results);
        if !shown.is_empty() {
            writeln!(out, "\n{shown}")?;
        }
        if let Some(breach) = &first.recorded.breach {
            writeln!(out, "broken     {breach}")?;
        }
        writeln!(out, "VIOLATION  seed {}: {} ({})", first.seed, results.why, results.model)?;
        writeln!(out, "replay     {}", results.reproduce)?;
        if summary.guided.is_some() {
            let shrink = results.reproduce.replacen("rashomon sim", "rashomon shrink", 1);
            writeln!(out, "shrink     {shrink}")?;
        }
        return Ok(());
    }
    let word = summary.verdict.as_str();
    match summary.verdict {
        VerdictWord::Unknown => writeln!(out, "{word:11}of some seeds nothing can be said"),
        _ => writeln!(out, "{word:11}no seed has a violation"),
    }
}
