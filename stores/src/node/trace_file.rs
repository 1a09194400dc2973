//! The trace of a live node: a file to which each event is written before anything it tells of leaves
//! the node; see [`crate::observe::trace`].

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::observe::trace::{NoEvent, Tracer, read};
use crate::replica::NodeId;

/// Why a node cannot be traced; it stops, because a trace with gaps would be a wrong one.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file cannot be read or written.
    #[error("cannot write the trace to {}", .0.display())]
    Write(PathBuf, #[source] io::Error),
    /// The file holds something else.
    #[error("{} is no trace to go on with; name another file, or remove it", .0.display())]
    NoTrace(PathBuf, #[source] NoEvent),
}

/// The file.
#[derive(Debug)]
pub(super) struct TraceFile {
    path: PathBuf,
    file: File,
}

impl TraceFile {
    /// Begins a trace, or goes on with that of earlier incarnations; of a last line that a crash cut
    /// off, nothing is left.
    pub(super) fn open(path: &Path, node: NodeId) -> Result<(Self, Tracer), TraceError> {
        let failed = |why| TraceError::Write(path.to_owned(), why);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
        let earlier = fs::read(path).map_err(failed)?;
        let earlier = read(&earlier).map_err(|why| TraceError::NoTrace(path.to_owned(), why))?;
        file.set_len(earlier.whole as u64).map_err(failed)?;
        let tracer = Tracer::resume(node, &earlier.events);
        Ok((TraceFile { path: path.to_owned(), file }, tracer))
    }

    /// Writes lines down.
    pub(super) fn write(&mut self, lines: &[u8]) -> Result<(), TraceError> {
        let written = self.file.write_all(lines);
        written.map_err(|why| TraceError::Write(self.path.clone(), why))
    }
}
