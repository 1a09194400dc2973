//! What was measured, as tables in Markdown.

use std::fmt::Write;

use crate::compare::{Result, Row, TOOLS, name, seconds};
use crate::whole::{Recorded, Run};
use crate::workload::Workload;

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) compared: Vec<(Workload, Vec<Row>)>,
    pub(crate) runs: Vec<Run>,
    pub(crate) recorded: Option<Recorded>,
}

impl Report {
    /// All tables.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        for (workload, rows) in &self.compared {
            let _ = writeln!(text, "### {}\n\n{}", workload.title(), beside_peers(rows));
        }
        text += "### What an operation costs\n\n";
        text += &self.per_operation();
        if !self.runs.is_empty() || self.recorded.is_some() {
            text += "\n### Whole runs\n\n| what | time |\n|---|---:|\n";
        }
        for run in &self.runs {
            let _ = writeln!(
                text,
                "| `rashomon check` of {} operations, {} ({} MB), on the wall | {} |",
                thousands(run.operations),
                run.format,
                run.bytes / 1_000_000,
                seconds(run.seconds),
            );
        }
        if let Some(recorded) = self.recorded {
            let (files, operations) = (recorded.files, thousands(recorded.operations));
            let each =
                [("decided", recorded.decided), ("decided and explained", recorded.explained)];
            for (what, time) in each {
                let time = seconds(time);
                let _ = writeln!(
                    text,
                    "| all {files} recorded etcd logs ({operations} operations) {what}, one core | {time} |"
                );
            }
        }
        text
    }

    /// What Rashomon needs for an operation, in powers of ten from ten thousand up.
    fn per_operation(&self) -> String {
        let mut text = String::from(
            "| workload | operations | checking | loading `.rash` | memory |\n|---|---:|---:|---:|---:|\n",
        );
        for (workload, rows) in &self.compared {
            for row in rows.iter().filter(|row| row.operations >= 10_000) {
                let Some(cost) = row.results[0].cost() else { continue };
                let operations = row.operations as f64;
                let each = |seconds: f64| format!("{:.1} ns", seconds * 1e9 / operations);
                // Of small histories, most of the memory is the program's own.
                let memory = cost.memory.filter(|_| row.operations >= 100_000);
                let memory = memory.map_or("–".to_owned(), |bytes| {
                    format!("{:.0} B", bytes as f64 / operations)
                });
                let _ = writeln!(
                    text,
                    "| {} | {} | {} | {} | {memory} |",
                    workload.title(),
                    thousands(row.operations),
                    each(cost.checking),
                    each(cost.loading),
                );
            }
        }
        text
    }
}

/// Times of all checkers, and how many times as long as Rashomon each took.
fn beside_peers(rows: &[Row]) -> String {
    let names = TOOLS.map(name).join(" | ");
    let mut text = format!("| operations | {names} |\n|---:{}|\n", "|---:".repeat(TOOLS.len()));
    for row in rows {
        let [ours, peers @ ..] = &row.results;
        let cells: Vec<String> = peers.iter().map(|peer| beside(ours, peer)).collect();
        let _ =
            writeln!(text, "| {} | {ours} | {} |", thousands(row.operations), cells.join(" | "));
    }
    text
}

fn beside(ours: &Result, peer: &Result) -> String {
    match (ours.cost(), peer.cost()) {
        (Some(ours), Some(cost)) => {
            let ratio = cost.checking / ours.checking;
            let ratio =
                if ratio < 10.0 { format!("{ratio:.1}") } else { thousands(ratio as usize) };
            format!("{peer} ({ratio} ×)")
        }
        _ => peer.to_string(),
    }
}

/// A number with a space between thousands.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202F}');
        }
        text.push(digit);
    }
    text
}
