//! What `rashomon check` prints: the full picture of one history, or a line for each of several and
//! a summary; and both as data.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use rashomon_checker::linearizability::Engine;
use serde::Serialize;

use super::judge::{CheckError, Checked};
use super::sources::{Skipped, Source};
use crate::contract;
use crate::report::{VerdictWord, evidence, proof};

/// The version of what `--json` prints. Fields may be added; what one means changes only with it.
const SCHEMA: u32 = 2;

/// Everything that came out, as data; `docs/checker.md` describes it.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    schema: u32,
    histories: Vec<Entry>,
    skipped: Vec<Skipped>,
    summary: Summary,
}

/// What came out for one history.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Entry {
    Checked(Box<Checked>),
    Failed(Failed),
}

/// A history without a verdict.
#[derive(Debug, Serialize)]
pub(super) struct Failed {
    file: String,
    /// `error`, where others have a verdict.
    verdict: &'static str,
    why: String,
}

impl Entry {
    pub(super) fn failed(source: &Source, error: &CheckError) -> Self {
        Entry::Failed(Failed { file: source.name(), verdict: "error", why: error.to_string() })
    }
}

/// All histories together.
#[derive(Debug, Default, Serialize)]
pub(super) struct Summary {
    histories: usize,
    operations: usize,
    valid: usize,
    certified: usize,
    violations: usize,
    unknown: usize,
    errors: usize,
    skipped: usize,
    milliseconds: f64,
    /// The most bytes of memory that the process ever had, as the system counts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_rss: Option<usize>,
}

impl Document {
    pub(super) fn new(histories: Vec<Entry>, skipped: Vec<Skipped>, milliseconds: f64) -> Self {
        let mut summary = Summary {
            histories: histories.len(),
            skipped: skipped.len(),
            milliseconds,
            peak_rss: peak_rss(),
            ..Summary::default()
        };
        for entry in &histories {
            let Entry::Checked(checked) = entry else {
                summary.errors += 1;
                continue;
            };
            summary.operations += checked.operations;
            summary.certified += usize::from(checked.certified == Some(true));
            match checked.verdict {
                VerdictWord::Valid => summary.valid += 1,
                VerdictWord::Violation => summary.violations += 1,
                VerdictWord::Unknown => summary.unknown += 1,
            }
        }
        Document { schema: SCHEMA, histories, skipped, summary }
    }

    /// The summary in a line.
    pub(super) fn summary(&self) -> String {
        let summary = &self.summary;
        let certified = match summary.certified {
            0 => String::new(),
            some if some == summary.valid => " (all certified)".to_owned(),
            some => format!(" ({some} certified)"),
        };
        let mut text = format!(
            "{}, {}: {} valid{certified}",
            counted(summary.histories, "history", "histories"),
            counted(summary.operations, "operation", "operations"),
            summary.valid,
        );
        let others = [
            (summary.violations, "violation", "violations"),
            (summary.unknown, "unknown", "unknown"),
            (summary.errors, "error", "errors"),
        ];
        for (count, one, many) in others.into_iter().filter(|(count, ..)| *count > 0) {
            text += &format!(", {}", counted(count, one, many));
        }
        text += &format!("; {}", duration(summary.milliseconds));
        if let Some(bytes) = summary.peak_rss {
            text += &format!(", peak RSS {}", size(bytes));
        }
        text + "\n"
    }
}

/// The one history that was asked about, with all there is to say.
pub(super) fn picture(checked: &Checked) -> String {
    let keys = match checked.keys {
        0 | 1 => String::new(),
        keys => format!(", {keys} keys"),
    };
    let mut text = format!(
        "{:10} {}  {}{keys}, {}, {}, {}, {}\n",
        checked.verdict.as_str(),
        checked.file,
        counted(checked.operations, "operation", "operations"),
        checked.model,
        engines(&checked.engines),
        duration(checked.milliseconds.total()),
        size(checked.memory.history + checked.memory.engines),
    );
    if checked.verdict != VerdictWord::Valid && checked.promises.is_empty() {
        let _ = writeln!(text, "           {}", checked.why);
    }
    if let (Some(true), Some(took)) = (checked.certified, checked.milliseconds.certify) {
        let _ = writeln!(text, "           certified: the verifier accepts ({})", duration(took));
    }
    for row in &checked.promises {
        let _ = writeln!(text, "           {:22} {}", row.promise, row.remark());
    }
    let evidence = match (&checked.finding, contract::broken(&checked.promises)) {
        (Some(finding), _) => proof(finding),
        (None, Some(row)) => evidence(row),
        (None, None) => String::new(),
    };
    for line in evidence.lines() {
        let _ = writeln!(text, "           {line}");
    }
    text
}

/// One history among several; `width` is that of the longest name.
pub(super) fn line(entry: &Entry, width: usize) -> String {
    let checked = match entry {
        Entry::Checked(checked) => checked,
        Entry::Failed(failed) => return format!("{:10} {}\n", "ERROR", failed.file),
    };
    let broken = contract::broken(&checked.promises);
    let remark = match (&checked.finding, &checked.bound, checked.certified) {
        (None, ..) if broken.is_some() => {
            broken.map_or(String::new(), |row| format!("  {}", contract::sentence(row)))
        }
        (Some(finding), ..) => {
            let explanation = &finding.explanation;
            format!("  {} at {}", explanation.cause, explanation.place)
        }
        (_, Some(bound), _) => format!("  undecided within {}", bound.resource),
        (_, _, Some(true)) => "  certified".to_owned(),
        _ => String::new(),
    };
    format!(
        "{:10} {:width$}  {:>9} ops  {:>5} {:4}  {:14}  {:>9}  {:>9}{remark}\n",
        checked.verdict.as_str(),
        checked.file,
        checked.operations,
        checked.keys,
        if checked.keys == 1 { "key" } else { "keys" },
        engines(&checked.engines),
        duration(checked.milliseconds.total()),
        size(checked.memory.history + checked.memory.engines),
    )
}

/// What was left out of directories, by reason.
pub(super) fn note_skipped(skipped: &[Skipped]) {
    let mut reasons = BTreeMap::new();
    for file in skipped {
        *reasons.entry(file.reason).or_insert(0) += 1;
    }
    for (reason, count) in reasons {
        eprintln!("note: {} skipped: {}", counted(count, "file", "files"), reason.as_str());
    }
}

fn engines(engines: &BTreeMap<Engine, usize>) -> String {
    match engines.is_empty() {
        true => "no engine".to_owned(),
        false => engines.keys().map(|engine| engine.as_str()).collect::<Vec<_>>().join("+"),
    }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn duration(milliseconds: f64) -> String {
    match milliseconds < 1e3 {
        true => format!("{milliseconds:.1} ms"),
        false => format!("{:.2} s", milliseconds / 1e3),
    }
}

/// Bytes, in units of 1024.
fn size(bytes: usize) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut size = bytes as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < units.len() {
        size /= 1024.0;
        unit += 1;
    }
    match bytes < 1024 {
        true => format!("{bytes} B"),
        false => format!("{size:.1} {}", units[unit]),
    }
}

/// The most memory that this process ever had, where the system tells.
fn peak_rss() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_have_units() {
        assert_eq!([0, 1023].map(size), ["0 B", "1023 B"]);
        assert_eq!([1024, 1536, 5 << 20].map(size), ["1.0 KiB", "1.5 KiB", "5.0 MiB"]);
        assert_eq!(duration(0.26), "0.3 ms");
        assert_eq!(duration(61_500.0), "61.50 s");
    }
}
