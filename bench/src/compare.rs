//! Every checker on every workload, in growing sizes, each up to where it ends.

use std::env;
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rashomon_checker::history::Format;
use wait_timeout::ChildExt;

use crate::measure::{Cost, PEER_BYTES};
use crate::peers::Peer;
use crate::workload::Workload;

/// Whom to measure: Rashomon, which is none of its peers, first.
pub(crate) const TOOLS: [Option<Peer>; 4] =
    [None, Some(Peer::Porcupine), Some(Peer::Todc), Some(Peer::Stateright)];

/// The name of a checker.
pub(crate) fn name(tool: Option<Peer>) -> &'static str {
    tool.map_or("rashomon", Peer::name)
}

/// What came of one measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Result {
    Done(Cost),
    /// Not done by this time.
    TooSlow(Duration),
    /// Not done within [`PEER_BYTES`].
    TooLarge,
    /// Not tried, since less was too much already.
    Untried,
}

impl Result {
    pub(crate) fn cost(&self) -> Option<&Cost> {
        match self {
            Result::Done(cost) => Some(cost),
            _ => None,
        }
    }
}

impl fmt::Display for Result {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Result::Done(cost) => f.write_str(&seconds(cost.checking)),
            Result::TooSlow(limit) => write!(f, "> {} s", limit.as_secs_f64()),
            Result::TooLarge => write!(f, "> {} GiB", PEER_BYTES >> 30),
            Result::Untried => f.write_str("–"),
        }
    }
}

/// A time to read, in three digits.
pub(crate) fn seconds(seconds: f64) -> String {
    let (number, unit) = match seconds {
        ..1e-3 => (seconds * 1e6, "µs"),
        ..1.0 => (seconds * 1e3, "ms"),
        _ => (seconds, "s"),
    };
    let digits = if number < 9.995 { 2 } else { usize::from(number < 99.95) };
    format!("{number:.digits$} {unit}")
}

/// All checkers on one history.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) operations: usize,
    /// In the order of [`TOOLS`].
    pub(crate) results: [Result; 4],
}

/// Measures all checkers on a workload.
pub(crate) fn compare(
    workload: Workload,
    most: usize,
    limit: Duration,
    folder: &Path,
) -> std::result::Result<Vec<Row>, Box<dyn std::error::Error>> {
    let mut rows: Vec<Row> = Vec::new();
    let sizes = sizes().take_while(|&size| size <= workload.most().min(most));
    for operations in sizes {
        let has_ended = |tool: usize| {
            rows.last().is_some_and(|row| !matches!(row.results[tool], Result::Done(_)))
        };
        let ended: [bool; 4] = std::array::from_fn(has_ended);
        // Where only Rashomon is left, powers of ten are enough.
        let is_power = operations.to_string().trim_end_matches('0') == "1";
        if ended[0] || (ended[1..].iter().all(|&ended| ended) && !is_power) {
            continue;
        }
        let file = folder.join("history.rash");
        workload.write(operations, &file, Format::Rash)?;
        let mut results = [Result::Untried; 4];
        for (tool, result) in results.iter_mut().enumerate().filter(|&(tool, _)| !ended[tool]) {
            *result = run(TOOLS[tool], workload, operations, &file, limit)?;
            eprintln!(
                "{}, {operations} operations, {}: {result}",
                workload.title(),
                name(TOOLS[tool])
            );
        }
        rows.push(Row { operations, results });
    }
    Ok(rows)
}

/// 10, 30, 100, 300, …
fn sizes() -> impl Iterator<Item = usize> {
    (1..8).flat_map(|power| [10usize.pow(power), 3 * 10usize.pow(power)])
}

/// Measures one checker in a process of its own.
fn run(
    tool: Option<Peer>,
    workload: Workload,
    operations: usize,
    file: &Path,
    limit: Duration,
) -> std::result::Result<Result, Box<dyn std::error::Error>> {
    let number = Workload::ALL.iter().position(|&other| other == workload).unwrap_or_default();
    let mut command = Command::new(env::current_exe()?);
    command.args(["--limit", &limit.as_secs_f64().to_string(), "measure"]);
    command.arg(number.to_string()).arg(file);
    if let Some(peer) = tool {
        command.args(["--peer", &format!("{peer:?}").to_lowercase()]);
    }
    // One core for each checker, whatever there is.
    command.env("RAYON_NUM_THREADS", "1").stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let loading = Duration::from_micros(2 * operations as u64);
    let Some(status) = child.wait_timeout(limit + loading)? else {
        child.kill()?;
        child.wait()?;
        return Ok(Result::TooSlow(limit));
    };
    if !status.success() {
        if tool.is_some() && status.code().is_none() {
            // Killed by a signal: neither stack nor heap are to be had.
            return Ok(Result::TooLarge);
        }
        return Err(format!("{} ended with {status}", name(tool)).into());
    }
    let mut told = String::new();
    child.stdout.take().ok_or("no output")?.read_to_string(&mut told)?;
    let cost: Cost = serde_json::from_str(&told)?;
    match cost.is_valid {
        Some(true) => Ok(Result::Done(cost)),
        None => Ok(Result::TooSlow(limit)),
        Some(false) => {
            Err(format!("{} rejects {}, which is valid", name(tool), workload.title()).into())
        }
    }
}
