//! What can be wrong with a recorded history, and where.
//!
//! Bad input is a user's problem to solve, so every error names the file, the line and, where one
//! can be blamed, the column, and says what to do next. A warning is something a reader could
//! repair by itself and will not hide.

use std::fmt;
use std::io;

use super::event::Process;
use super::format::Format;

/// A place in a file, for people: both numbers count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column in characters, where one can be blamed.
    pub column: Option<u32>,
}

impl Position {
    /// The place of a byte in a file.
    pub(super) fn of(bytes: &[u8], offset: usize) -> Self {
        let before = &bytes[..offset.min(bytes.len())];
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        // A byte that continues a character is none of its own.
        let is_character = |byte: &&u8| **byte & 0xC0 != 0x80;
        let column = before[line_start..].iter().filter(is_character).count();
        Position {
            line: line_of(bytes, offset),
            column: Some(u32::try_from(column + 1).unwrap_or(u32::MAX)),
        }
    }
}

/// The 1-based line that a byte is on.
pub(super) fn line_of(bytes: &[u8], offset: usize) -> u32 {
    count_newlines(&bytes[..offset.min(bytes.len())]).saturating_add(1)
}

/// How many newlines there are; no file has more than fit.
pub(super) fn count_newlines(bytes: &[u8]) -> u32 {
    u32::try_from(memchr::memchr_iter(b'\n', bytes).count()).unwrap_or(u32::MAX)
}

/// Why a history could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", Place { file, position: *position })]
pub struct ReadError {
    /// The file's name, as it was given.
    pub file: String,
    /// Where in the file, unless it is the file as a whole.
    pub position: Option<Position>,
    /// What is wrong; part of this error's own message, so no source of it.
    pub problem: Problem,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The file could not be read at all.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Bytes that are no text.
    #[error(
        "not a text file (a NUL byte, or bytes that are not UTF-8), and not our binary form; a \
         history is JSON lines, EDN, a Jepsen or Porcupine log, or history.rash, uncompressed"
    )]
    Binary,
    /// Not one event.
    #[error("there is no complete event in it; was anything recorded?")]
    Empty,
    /// Neither the content nor the name tells the format.
    #[error(
        "not a history in any known format ({}); name the format if it is one",
        Format::names()
    )]
    UnknownFormat,
    /// Text that is not what the format demands.
    #[error("not {format}: {message}")]
    Syntax {
        /// The format the file is being read as.
        format: Format,
        /// What was expected, and what was there.
        message: String,
    },
    /// A well-formed event that makes no sense.
    #[error("not an event: {0}")]
    Event(String),
    /// A block of our binary form that is not as it was written.
    #[error(
        "block {block}, at byte {offset}, is damaged ({what}); what comes before it is whole and \
         can be saved by cutting the file off there"
    )]
    Damaged {
        /// Which block, from 1.
        block: u64,
        /// Where it begins in the file, in bytes.
        offset: u64,
        /// What shows the damage.
        what: &'static str,
    },
    /// Our binary form, as only a later version of this program writes it.
    #[error("version {version} of the format, which only a newer rashomon can read")]
    Version {
        /// The version.
        version: u32,
    },
    /// Independent keys were asked for, and an operation has none.
    #[error("independent keys were asked for: {0}; read the file without them")]
    Keys(String),
}

/// What is wrong with a file that has yet to be named, and where.
pub(super) type Blame = (Option<Position>, Problem);

/// `file`, `file:line` or `file:line:column`.
struct Place<'a> {
    file: &'a str,
    position: Option<Position>,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.file)?;
        if let Some(Position { line, column }) = self.position {
            write!(f, ":{line}")?;
            if let Some(column) = column {
                write!(f, ":{column}")?;
            }
        }
        Ok(())
    }
}

/// Something odd about a file that did not stop it from being read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The last event stops in the middle, as a killed recorder leaves it; it was left out.
    CutOff {
        /// The line it starts on.
        line: u32,
    },
    /// The last block of our binary form stops in the middle, as a killed recorder leaves it; it
    /// was left out.
    Torn {
        /// Where it begins, in bytes.
        offset: u64,
        /// How much of it there is, in bytes.
        bytes: u64,
    },
    /// The last line of a log has no newline, so that nobody knows whether it is complete; it was
    /// taken as it is.
    Unterminated {
        /// The last line.
        line: u32,
    },
    /// Lines of a log that are not about operations; they were left out.
    Skipped {
        /// How many.
        lines: u32,
        /// The first of them.
        first: u32,
    },
    /// Somebody invokes and completes operations, but all processes have names.
    NoClients {
        /// The line of the first such event.
        line: u32,
        /// Its process.
        process: Process,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::CutOff { line } => write!(
                f,
                "line {line} is cut off and was left out; its recorder was probably killed"
            ),
            Warning::Torn { offset, bytes } => write!(
                f,
                "the last block, {bytes} bytes from byte {offset} on, is cut off and was left out; \
                 its recorder was probably killed"
            ),
            Warning::Unterminated { line } => write!(
                f,
                "line {line} is the last and has no newline; it was taken as complete, delete it \
                 if its recorder was killed"
            ),
            Warning::NoClients { line, process } => write!(
                f,
                "no process is a number, so no event counts as a client's; that of line {line} is \
                 called {:?}",
                process.to_string()
            ),
            Warning::Skipped { lines: 1, first } => {
                write!(f, "line {first} is not about an operation and was left out")
            }
            Warning::Skipped { lines, first } => write!(
                f,
                "{lines} lines are not about operations and were left out, the first is line {first}"
            ),
        }
    }
}
