//! Rashomon's checker beside others, on the same histories in the same run.
//!
//! Prints tables of times and ratios; with `--docs`, puts them into `performance.md` and draws
//! `growth.svg`.

mod compare;
mod measure;
mod peers;
mod plot;
#[path = "../../checker/benches/workload/simulation.rs"]
mod simulation;
mod table;
mod whole;
mod workload;

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::{Parser, Subcommand};

use compare::{Row, TOOLS, compare, name};
use peers::Peer;
use plot::{Curve, Plot};
use table::Report;
use workload::Workload;

/// Measure Rashomon's checker beside others
#[derive(Debug, Parser)]
struct Arguments {
    /// Seconds after which a checker is given up
    #[arg(long, default_value_t = 5.0, value_name = "SECONDS")]
    limit: f64,
    /// The most operations of a history
    #[arg(long, default_value_t = 10_000_000, value_name = "OPERATIONS")]
    most: usize,
    /// The built `rashomon`, to measure whole runs of it
    #[arg(long, value_name = "FILE")]
    cli: Option<PathBuf>,
    /// A folder of recorded histories with an index.tsv, to measure those that etcd's tests left
    #[arg(long, value_name = "FOLDER")]
    histories: Option<PathBuf>,
    /// Where performance.md is whose tables are to be replaced, and growth.svg
    #[arg(long, value_name = "FOLDER")]
    docs: Option<PathBuf>,
    #[command(subcommand)]
    part: Option<Part>,
}

/// A measurement in a process of its own; a run starts these itself.
#[derive(Debug, Subcommand)]
enum Part {
    /// Check one file
    Measure {
        /// The number of the workload
        workload: usize,
        /// Its history
        file: PathBuf,
        /// The checker; Rashomon if not given
        #[arg(long)]
        peer: Option<Peer>,
    },
    /// Check a folder of recorded histories
    Recorded {
        /// The folder
        folder: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let limit = Duration::try_from_secs_f64(arguments.limit)?;
    let told = match &arguments.part {
        Some(Part::Measure { workload, file, peer }) => {
            let workload = *Workload::ALL.get(*workload).ok_or("no such workload")?;
            serde_json::to_string(&measure::measure(*peer, workload, file, limit)?)?
        }
        Some(Part::Recorded { folder }) => serde_json::to_string(&whole::recorded(folder)?)?,
        None => {
            let report = report(arguments, limit)?;
            if let Some(docs) = &arguments.docs {
                renew(&docs.join("performance.md"), &report.markdown())?;
                fs::write(docs.join("growth.svg"), growth(&report.compared))?;
            }
            report.markdown()
        }
    };
    // Not `println!`: whoever reads may have seen enough.
    Ok(writeln!(std::io::stdout(), "{told}")?)
}

fn report(arguments: &Arguments, limit: Duration) -> Result<Report, Box<dyn Error>> {
    Workload::ALL.into_iter().try_for_each(measure::try_all)?;
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let runs = match &arguments.cli {
        Some(cli) => whole::runs(cli, folder)?,
        None => Vec::new(),
    };
    let recorded = match &arguments.histories {
        Some(histories) => {
            let mut command = Command::new(std::env::current_exe()?);
            command.arg("recorded").arg(histories).env("RAYON_NUM_THREADS", "1");
            Some(serde_json::from_slice(&command.output()?.stdout)?)
        }
        None => None,
    };
    let mut compared = Vec::new();
    for workload in Workload::ALL {
        compared.push((workload, compare(workload, arguments.most, limit, folder)?));
    }
    Ok(Report { compared, runs, recorded })
}

/// Puts tables between the two marks of a page.
fn renew(page: &Path, tables: &str) -> Result<(), Box<dyn Error>> {
    const MARKS: [&str; 2] = ["<!-- measured -->", "<!-- end of what was measured -->"];
    let text = fs::read_to_string(page)?;
    let missing = || format!("{} has no {}", page.display(), MARKS.join(" … "));
    let (before, rest) = text.split_once(MARKS[0]).ok_or_else(missing)?;
    let (_, after) = rest.split_once(MARKS[1]).ok_or_else(missing)?;
    Ok(fs::write(page, format!("{before}{}\n\n{tables}\n{}{after}", MARKS[0], MARKS[1]))?)
}

/// The curves: all checkers on some workloads, and Rashomon on all of them.
fn growth(compared: &[(Workload, Vec<Row>)]) -> String {
    let points = |rows: &[Row], tool: usize, each: bool| -> Vec<(f64, f64)> {
        let point = |row: &Row| {
            let operations = row.operations as f64;
            let seconds = row.results[tool].cost()?.checking;
            Some((operations, if each { seconds / operations * 1e9 } else { seconds }))
        };
        rows.iter().filter_map(point).collect()
    };
    let beside = |(workload, rows): &(Workload, Vec<Row>)| Plot {
        title: workload.title(),
        x: "operations",
        y: "processor time",
        per_second: 1.0,
        curves: (0..TOOLS.len())
            .map(|tool| Curve {
                name: name(TOOLS[tool]).to_owned(),
                points: points(rows, tool, false),
            })
            .collect(),
    };
    let ours = |(workload, rows): &(Workload, Vec<Row>)| Curve {
        name: workload.title(),
        points: points(rows, 0, true),
    };
    // Queue and stack look alike: others end at some tens of operations.
    let mut plots: Vec<Plot> = compared.iter().take(3).map(beside).collect();
    plots.push(Plot {
        title: "rashomon".to_owned(),
        x: "operations",
        y: "processor time for each operation",
        per_second: 1e9,
        curves: compared.iter().map(ours).collect(),
    });
    plot::svg(&plots)
}
