//! What a user waits for: whole runs of the command, and whole sets of recorded histories.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;
use rashomon_checker::history::{Format, ReadOptions, load_file};
use rashomon_checker::linearizability::{Options, Verdict, check};
use rashomon_checker::{History, Model};

use crate::workload::Workload;

const OPERATIONS: usize = 1_000_000;
const ROUNDS: usize = 5;

/// One run of the command on a file.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) format: Format,
    pub(crate) operations: usize,
    pub(crate) bytes: u64,
    /// Seconds on the clock on the wall, from start to exit, at best.
    pub(crate) seconds: f64,
}

/// Runs `rashomon check` on a million operations in each of our own formats, on all cores.
pub(crate) fn runs(cli: &Path, folder: &Path) -> Result<Vec<Run>, Box<dyn Error>> {
    let run = |format| {
        let (workload, file) = (Workload::Unique { clients: 20 }, folder.join("history"));
        workload.write(OPERATIONS, &file, format)?;
        let mut best = Duration::MAX;
        for _ in 0..ROUNDS {
            let started = Instant::now();
            let mut command = Command::new(cli);
            command.args(["check", "--model", workload.model()]).arg(&file);
            let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
            best = best.min(started.elapsed());
            if !status.success() {
                return Err(format!("{} check ended with {status}", cli.display()).into());
            }
        }
        let (bytes, seconds) = (fs::metadata(&file)?.len(), best.as_secs_f64());
        Ok(Run { format, operations: OPERATIONS, bytes, seconds })
    };
    [Format::Jsonl, Format::Rash].into_iter().map(run).collect()
}

/// A set of recorded histories, all of them checked one after the other.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Recorded {
    pub(crate) files: usize,
    pub(crate) operations: usize,
    /// Seconds of processor time for all verdicts together, at best; violations are explained no
    /// further than by the completion at which no story is left, and a cause that is seen at once.
    pub(crate) decided: f64,
    /// The same, everything explained.
    pub(crate) explained: f64,
}

/// Checks those of a folder with an `index.tsv` that etcd's tests left (file, format and model come
/// first in a row).
pub(crate) fn recorded(folder: &Path) -> Result<Recorded, Box<dyn Error>> {
    let index = fs::read_to_string(folder.join("index.tsv"))?;
    let mut histories: Vec<(History, Model)> = Vec::new();
    for line in index.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        if let [file, "porcupine-etcd", model, ..] = columns[..] {
            let model = model.split(" (").next().unwrap_or(model).parse()?;
            histories.push((load_file(&folder.join(file), ReadOptions::default())?.history, model));
        }
    }
    let explained = Options::default();
    let decided = Options { explanation_time: Duration::ZERO, ..explained };
    let operations = histories.iter().map(|(history, _)| history.len()).sum();
    let (decided, explained) = (best(&histories, &decided)?, best(&histories, &explained)?);
    Ok(Recorded { files: histories.len(), operations, decided, explained })
}

/// Seconds of processor time that it takes to check them all, at best.
fn best(histories: &[(History, Model)], options: &Options) -> Result<f64, Box<dyn Error>> {
    let mut best = f64::INFINITY;
    for _ in 0..10 * ROUNDS {
        let started = ProcessTime::now();
        for (history, model) in histories {
            if let Verdict::Unknown(bound) = check(history, model, options)? {
                return Err(bound.to_string().into());
            }
        }
        best = best.min(started.elapsed().as_secs_f64());
    }
    Ok(best)
}
