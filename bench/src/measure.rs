//! One measurement in a process of its own, so that it can be bounded and leaves nothing behind.
//!
//! The clock is that of the process, with all its threads: what others do on the machine at the
//! same time hardly shows.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;

use cpu_time::ProcessTime;
use rashomon_checker::history::{ReadOptions, load_file};
use rashomon_checker::linearizability::{Options, Verdict, check};
use rashomon_checker::{History, Model};
use serde::{Deserialize, Serialize};

use crate::compare::{TOOLS, name};
use crate::peers::Peer;
use crate::workload::Workload;

/// What one check cost.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// Seconds of processor time to load the file.
    pub(crate) loading: f64,
    /// Seconds of processor time for the check.
    pub(crate) checking: f64,
    /// The most bytes that the process ever held, beyond those that it held at first.
    pub(crate) memory: Option<u64>,
    /// Whether the history is linearizable; `None` if the checker does not know.
    pub(crate) is_valid: Option<bool>,
}

/// What a peer may hold; a machine that swaps measures nothing.
pub(crate) const PEER_BYTES: u64 = 4 << 30;
/// Peers call themselves once for each operation.
const PEER_STACK: usize = 1 << 30;

/// Measures Rashomon, or a peer, on a file.
pub(crate) fn measure(
    peer: Option<Peer>,
    workload: Workload,
    file: &Path,
    limit: Duration,
) -> Result<Cost, Box<dyn Error>> {
    let before = resident("VmRSS:");
    let started = ProcessTime::now();
    let history = load_file(file, ReadOptions::default())?.history;
    let loading = started.elapsed().as_secs_f64();
    let (checking, is_valid) = match peer {
        None => {
            let model: Model = workload.model().parse()?;
            time(|| judge(&history, &model, limit))
        }
        Some(peer) => {
            let check = workload.for_peer(peer, &history);
            drop(history);
            rlimit::setrlimit(rlimit::Resource::AS, PEER_BYTES, PEER_BYTES)?;
            let run = std::thread::Builder::new().stack_size(PEER_STACK);
            let run = run.spawn(move || time(|| Some(check())))?;
            run.join().map_err(|_| "the peer panicked")?
        }
    };
    let memory = resident("VmHWM:").zip(before).map(|(most, before)| most.saturating_sub(before));
    Ok(Cost { loading, checking, memory, is_valid })
}

/// What Rashomon says of a history.
fn judge(history: &History, model: &Model, limit: Duration) -> Option<bool> {
    match check(history, model, &Options { time: limit, ..Options::default() }) {
        Ok(Verdict::Valid(_)) => Some(true),
        Ok(Verdict::Invalid(_)) => Some(false),
        Ok(Verdict::Unknown(_)) | Err(_) => None,
    }
}

/// Fails unless every checker refuses a history that is wrong: the others could not be compared if
/// they were asked the wrong question.
pub(crate) fn try_all(workload: Workload) -> Result<(), Box<dyn Error>> {
    let history = workload.wrong()?;
    for tool in TOOLS {
        let is_refused = match tool {
            None => judge(&history, &workload.model().parse()?, Duration::MAX) == Some(false),
            Some(peer) => !workload.for_peer(peer, &history)(),
        };
        if !is_refused {
            return Err(format!("{} accepts a wrong history: {workload:?}", name(tool)).into());
        }
    }
    Ok(())
}

/// The shortest time of several, fewer if they take long.
fn time<T>(mut run: impl FnMut() -> T) -> (f64, T) {
    let (mut best, mut total) = (f64::INFINITY, 0.0);
    let mut rounds = 0;
    loop {
        let started = ProcessTime::now();
        let result = run();
        let seconds = started.elapsed().as_secs_f64();
        best = best.min(seconds);
        total += seconds;
        rounds += 1;
        if total > 1.0 || (rounds >= 3 && total > 0.1) {
            return (best, result);
        }
    }
}

/// Bytes by a name in what Linux says of this process.
fn resident(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes << 10)
}
