//! The zoo on paper: a table of what was caught, and the catalogue as text and as Markdown.

use std::fmt::Write as _;

use rashomon_stores::catalogue::{Mutant, Shows};

use super::{Fate, Report};

/// The table of a visit to the zoo. Only its last column, and the line below it, depend on the
/// machine.
pub fn render(reports: &[Report], control_seeds: u64) -> String {
    let rows: Vec<[String; 8]> = reports.iter().map(row).collect();
    let head = ["bug", "seeds", "virtual", "seen as", "ops", "invariants see", "fate", "wall"];
    let head = head.map(str::to_owned);
    let width = |column: usize| {
        let cells = rows.iter().chain([&head]).map(|row| row[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths: [usize; 8] = std::array::from_fn(width);
    let mut text = String::new();
    for row in [&head].into_iter().chain(&rows) {
        let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
            // Numbers to the right.
            if [1, 2, 4, 7].contains(&column) {
                format!("{cell:>width$}")
            } else {
                format!("{cell:width$}")
            }
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    for report in reports.iter().filter(|report| !report.fate.is_good()) {
        let what = report.sentence.as_deref().unwrap_or("no seed showed it in time");
        let _ = writeln!(text, "\n{}: {what}", report.mutant.name);
        if let Some(replay) = &report.replay {
            let _ = writeln!(text, "replay  {replay}");
        }
    }
    let _ = writeln!(text, "\n{}", summary(reports, control_seeds));
    text
}

fn row(report: &Report) -> [String; 8] {
    let fate = match report.fate {
        Fate::Caught => "caught",
        Fate::Escaped => "ESCAPED",
        Fate::Clean => "clean",
        Fate::Flagged => "FLAGGED",
    };
    let operations = report.operations.map_or("-".to_owned(), |count| count.to_string());
    let invariant = report.invariant.map(|(seed, name)| format!("{name}, seed {seed}"));
    [
        report.mutant.name.to_owned(),
        report.seeds.to_string(),
        format!("{:.0} s", report.virtual_s),
        report.shown.clone().unwrap_or_else(|| "-".into()),
        operations,
        invariant.unwrap_or_else(|| "-".into()),
        fate.to_owned(),
        format!("{:.2} s", report.wall_s),
    ]
}

fn summary(reports: &[Report], control_seeds: u64) -> String {
    let (controls, mutants): (Vec<&Report>, Vec<&Report>) =
        reports.iter().partition(|report| report.mutant.is_control());
    let good = |reports: &[&Report]| reports.iter().filter(|r| r.fate.is_good()).count();
    let mut walls: Vec<f64> = mutants.iter().map(|report| report.wall_s).collect();
    walls.sort_unstable_by(f64::total_cmp);
    let (median, slowest) = (walls.get(walls.len() / 2), walls.last());
    format!(
        "{} of {} mutants caught, in {:.2} s at the median and {:.2} s at most; \
         {} of {} controls clean in {control_seeds} seeds each",
        good(&mutants),
        mutants.len(),
        median.copied().unwrap_or_default(),
        slowest.copied().unwrap_or_default(),
        good(&controls),
        controls.len(),
    )
}

/// What the entry says of what it comes to.
fn shows(mutant: &Mutant) -> String {
    match mutant.shows {
        Shows::Anomaly(what) => what.to_owned(),
        Shows::Broken(promise) => format!("not {promise}"),
        Shows::Invariant(what) => format!("nothing that clients see: {what}"),
        Shows::Nothing(why) => format!("nothing, it is right: {why}"),
    }
}

/// The catalogue for a terminal.
pub fn catalogue<'a>(entries: impl Iterator<Item = &'a Mutant>) -> String {
    let mut text = String::new();
    for mutant in entries {
        let kind = if mutant.is_control() { "control" } else { "mutant" };
        let _ = writeln!(text, "{} ({kind}, {})", mutant.name, mutant.area.name());
        let _ = writeln!(text, "  does    {}", mutant.broken);
        let _ = writeln!(text, "  source  {}", mutant.wild);
        let _ = writeln!(text, "  shows   {}", shows(mutant));
        let _ = writeln!(text, "  fault   {}", mutant.fault);
    }
    text
}

/// The catalogue as a Markdown table, as it stands in `docs/zoo.md`.
pub fn markdown<'a>(entries: impl Iterator<Item = &'a Mutant>) -> String {
    let mut text =
        String::from("| name | area | what it does | source | what it shows | fault |\n");
    text += "|---|---|---|---|---|---|\n";
    for mutant in entries {
        let Mutant { name, broken, wild, fault, .. } = mutant;
        let (area, shows) = (mutant.area.name(), shows(mutant));
        let _ = writeln!(text, "| `{name}` | {area} | {broken} | {wild} | {shows} | {fault} |");
    }
    text
}
