//! Disks of foreign processes: a data directory that can lose power, hang, fill up or turn read-only, and
//! fsyncs that take long, fail or lie. All of it needs root or, for fsyncs, leave to trace the process.
//!
//! A [`Volume`] is a file system of its own, ext4 in a file, so that what befalls it befalls nobody else. The
//! faults are those of Pillai et al., "All File Systems Are Not Created Equal" (OSDI 2014), and of Rebello
//! et al., "Can Applications Recover from fsync Failures?" (ATC 2020). [`Fsyncs`] stands between a running process
//! and the kernel as a debugger does, by `strace`.

mod fsyncs;
mod tool;
mod volume;

use std::io;
use std::path::PathBuf;

use crate::leases::LeaseError;

pub use fsyncs::{Fsyncs, Mishap};
pub use volume::Volume;
pub(crate) use volume::{release, thaw};

/// Why a disk could not be broken, or not be mended.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Only root may.
    #[error("{what} needs root")]
    Root {
        /// What was to be done.
        what: &'static str,
    },
    /// A program of the system's is not there.
    #[error("there is no {program}: install the package {package}")]
    Missing {
        /// The program.
        program: String,
        /// What Debian calls the package that has it.
        package: &'static str,
    },
    /// A program of the system's failed.
    #[error("`{command}` failed: {said}")]
    Tool {
        /// Its command line.
        command: String,
        /// What it said, or how it ended.
        said: String,
    },
    /// A file, or the file system that it is in.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A process is not being traced, though it was to be.
    #[error("process {pid} cannot be traced: {why}")]
    Untraced {
        /// Its number.
        pid: u32,
        /// What was seen.
        why: String,
    },
    /// It cannot be written down what is to be undone.
    #[error(transparent)]
    Lease(#[from] LeaseError),
}
