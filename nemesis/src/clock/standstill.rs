//! A standstill: every thread of a process has stopped, at a place where it may be rewritten.

use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use procfs::process::Process;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{ClockError, denied, failed};

/// How long threads may take to stop. Generous: a loaded machine lets them wait before they notice.
const LIMIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_micros(200);

/// The process goes on when this is dropped, unless it stood still before.
#[derive(Debug)]
pub(super) struct Standstill {
    handle: Option<OwnedFd>,
}

impl Standstill {
    /// Stops a process so that no thread stands at one of these addresses.
    pub(super) fn of(
        pid: u32,
        process: &Process,
        sensitive: &[Range<u64>],
    ) -> Result<Self, ClockError> {
        let began = Instant::now();
        loop {
            let standstill = Self::begin(pid, process)?;
            while !still(pid, process)? {
                if began.elapsed() > LIMIT {
                    return Err(ClockError::Restless { pid, limit: LIMIT });
                }
                thread::sleep(POLL);
            }
            let ours = |counter: &u64| sensitive.iter().any(|range| range.contains(counter));
            if !counters(pid, process)?.iter().any(ours) {
                return Ok(standstill);
            }
            // It goes on, and leaves the place by itself; one that stood still before never will.
            if standstill.handle.is_none() || began.elapsed() > LIMIT {
                return Err(ClockError::Restless { pid, limit: LIMIT });
            }
            drop(standstill);
            thread::sleep(POLL);
        }
    }

    fn begin(pid: u32, process: &Process) -> Result<Self, ClockError> {
        // Not by its number: a handle never comes to mean another process.
        let number = Pid::from_raw(process.pid()).ok_or(ClockError::Gone { pid })?;
        let handle = pidfd_open(number, PidfdFlags::empty());
        let handle = handle.map_err(|error| denied(pid, error.into()))?;
        // It still has its number, so the handle is its own.
        let state = process.stat().map_err(|error| failed(pid, error))?.state;
        match state {
            'T' => return Ok(Standstill { handle: None }),
            'Z' | 'X' => return Err(ClockError::Gone { pid }),
            _ => {}
        }
        let sent = pidfd_send_signal(&handle, Signal::STOP);
        sent.map_err(|error| denied(pid, error.into()))?;
        Ok(Standstill { handle: Some(handle) })
    }
}

impl Drop for Standstill {
    fn drop(&mut self) {
        if let Some(handle) = &self.handle {
            // If it has ended meanwhile, there is nobody to go on.
            let _ = pidfd_send_signal(handle, Signal::CONT);
        }
    }
}

/// Whether every thread has stopped, or is in the kernel and stops before it leaves it.
fn still(pid: u32, process: &Process) -> Result<bool, ClockError> {
    for task in process.tasks().map_err(|error| failed(pid, error))? {
        // A thread that ended meanwhile does not move either.
        let Ok(stat) = task.and_then(|task| task.stat()) else { continue };
        if !matches!(stat.state, 'T' | 't' | 'D' | 'Z' | 'X' | 'x') {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Where every thread stands: the last word of `/proc/PID/task/TID/syscall` (proc_pid_syscall(5)), in a
/// system call or not.
fn counters(pid: u32, process: &Process) -> Result<Vec<u64>, ClockError> {
    let mut counters = Vec::new();
    for task in process.tasks().map_err(|error| failed(pid, error))? {
        let Ok(task) = task else { continue };
        let file = process.open_relative(format!("task/{}/syscall", task.tid));
        let Ok(text) = file.map(io::read_to_string) else { continue };
        let text = text.map_err(|error| denied(pid, error))?;
        let word = text.split_whitespace().next_back().and_then(|word| word.strip_prefix("0x"));
        counters.extend(word.and_then(|word| u64::from_str_radix(word, 16).ok()));
    }
    Ok(counters)
}
