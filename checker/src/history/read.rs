//! Reading a history of any known format: as events, or straight as operations.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::assembly::{Assembled, Assembly, Look, Operations, Sink, Visit};
use super::batch::Batch;
use super::blocks::Block;
use super::error::{Blame, Position, Problem, ReadError, Warning};
use super::event::Event;
use super::format::{Format, HEAD_BYTES};
use super::keys::Keys;
use super::operation::History;
use super::pairing::HistoryError;
use super::syntax::Fault;
use super::{jepsen, jsonl, log, rash};

/// A history as it was read, event by event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// All events, in the order of the file.
    pub events: Vec<Event>,
    /// The format they were in.
    pub format: Format,
    /// What was odd about the file.
    pub warnings: Vec<Warning>,
}

/// A history as it was read, operation by operation.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The operations.
    pub history: History,
    /// The format they were in.
    pub format: Format,
    /// What was odd about the file.
    pub warnings: Vec<Warning>,
}

/// Why there is no history of a file.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Its events make no history.
    #[error("{file}: {error}")]
    History {
        /// The file's name, as it was given.
        file: String,
        /// What is wrong; part of this error's own message, so no source of it.
        error: HistoryError,
    },
}

/// What a reader may be told.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOptions {
    /// The format; found from the content when not told.
    pub format: Option<Format>,
    /// Whether client values are Jepsen's independent `[key value]`. When not told, they are
    /// lifted if evident: in Jepsen's formats, every invocation is a pair, every completion has
    /// its invocation's key, each `cas` holds a pair inside the pair, and some read was invoked
    /// with `[key nil]`, which a read of a single object never is.
    pub keyed: Option<bool>,
}

/// Reads the operations of a file, without ever holding all of its events: for large histories,
/// and for whoever only checks them. Of JSON lines and the binary form, only a small part of the
/// file is held at a time; other formats take the room of the file, and of half as much for rows.
///
/// # Errors
///
/// [`LoadError::Read`] as [`read_file_with`], and [`LoadError::History`] as
/// [`History::from_events`].
pub fn load_file(path: &Path, options: ReadOptions) -> Result<Loaded, LoadError> {
    let name = path.display().to_string();
    load_reader(open(path, &name)?, &name, options)
}

/// Reads the operations of a stream; `name` is for messages, and its extension a hint of last
/// resort.
///
/// # Errors
///
/// As [`load_file`].
pub fn load_reader(
    stream: impl Read + Send,
    name: &str,
    options: ReadOptions,
) -> Result<Loaded, LoadError> {
    let (assembled, format) = assemble(stream, name, options, Operations::default())?;
    let history = assembled.whole;
    let history = history.map_err(|error| LoadError::History { file: name.to_owned(), error })?;
    Ok(Loaded { history, format, warnings: assembled.warnings })
}

/// What is known of a file whose events were given away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visited {
    /// The format they were in.
    pub format: Format,
    /// What was odd about the file.
    pub warnings: Vec<Warning>,
}

/// Reads a file and gives its events to `take`, some at a time, in their order, until it fails;
/// they are those of [`read_file_with`], but need not all be held. The file is read twice: nothing
/// is given away of one that cannot be read to its end.
///
/// # Errors
///
/// As [`read_file_with`], and what `take` fails with.
pub fn visit_file<E: From<ReadError> + Send>(
    path: &Path,
    options: ReadOptions,
    take: impl FnMut(&[Event]) -> Result<(), E> + Send,
) -> Result<Visited, E> {
    let name = path.display().to_string();
    let (looked, _) = assemble(open(path, &name)?, &name, options, Look)?;
    let is_numbered = looked.whole;
    let visit = Visit { take, is_numbered, events: 0, error: None };
    let (assembled, format) = assemble(open(path, &name)?, &name, options, visit)?;
    assembled.whole?;
    Ok(Visited { format, warnings: assembled.warnings })
}

/// Reads a history from a file.
///
/// # Errors
///
/// [`ReadError`] when it cannot be read, is in no known format, is malformed, or has no events.
pub fn read_file(path: &Path) -> Result<Recording, ReadError> {
    read_file_with(path, ReadOptions::default())
}

/// Reads a history from a file, as told.
///
/// # Errors
///
/// As [`read_file`], and when keys were told and are not there.
pub fn read_file_with(path: &Path, options: ReadOptions) -> Result<Recording, ReadError> {
    let name = path.display().to_string();
    record(open(path, &name)?, &name, options)
}

/// Reads a history from memory; `name` is for messages, and its extension a hint of last resort.
///
/// # Errors
///
/// As [`read_file`].
pub fn read_bytes(
    bytes: &[u8],
    name: &str,
    format: Option<Format>,
) -> Result<Recording, ReadError> {
    read_bytes_with(bytes, name, ReadOptions { format, keyed: None })
}

/// Reads a history from memory, as told.
///
/// # Errors
///
/// As [`read_file_with`].
pub fn read_bytes_with(
    bytes: &[u8],
    name: &str,
    options: ReadOptions,
) -> Result<Recording, ReadError> {
    record(bytes, name, options)
}

fn open(path: &Path, name: &str) -> Result<File, ReadError> {
    File::open(path).map_err(|error| ReadError {
        file: name.to_owned(),
        position: None,
        problem: Problem::Io(error),
    })
}

fn record(
    stream: impl Read + Send,
    name: &str,
    options: ReadOptions,
) -> Result<Recording, ReadError> {
    let (assembled, format) = assemble(stream, name, options, Vec::new())?;
    Ok(Recording { events: assembled.whole, format, warnings: assembled.warnings })
}

/// Reads a stream, and says in which format it is.
fn assemble<S: Sink>(
    stream: impl Read + Send,
    name: &str,
    options: ReadOptions,
    sink: S,
) -> Result<(Assembled<S::Whole>, Format), ReadError> {
    let blamed =
        |(position, problem): Blame| ReadError { file: name.to_owned(), position, problem };
    let (head, rest) = behead(stream).map_err(|error| blamed((None, Problem::Io(error))))?;
    let format = match options.format {
        Some(format) => format,
        None => Format::find(&head, name).map_err(|problem| blamed((None, problem)))?,
    };
    let stream = head.as_slice().chain(rest);
    let mut assembly = Assembly::new(Keys::new(format.is_jepsens(), options.keyed), sink);
    let mut warnings = parse(stream, format, &mut assembly).map_err(blamed)?;
    let mut assembled = assembly.finish().map_err(blamed)?;
    warnings.append(&mut assembled.warnings);
    assembled.warnings = warnings;
    let format = match (options.format, format) {
        (None, Format::Edn) if assembled.is_keyed => Format::PorcupineKv,
        _ => format,
    };
    Ok((assembled, format))
}

/// Takes from a stream what shows its format. What marks the order of bytes is no part of it.
fn behead<R: Read>(mut stream: R) -> io::Result<(Vec<u8>, R)> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    stream.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    if head.starts_with("\u{FEFF}".as_bytes()) {
        head.drain(.."\u{FEFF}".len());
    }
    Ok((head, stream))
}

/// Reads a stream in a format into an assembly, and says what is odd about it.
fn parse<S: Sink>(
    mut stream: impl Read + Send,
    format: Format,
    assembly: &mut Assembly<S>,
) -> Result<Vec<Warning>, Blame> {
    let take = |batch| assembly.take(batch);
    match format {
        Format::Jsonl => jsonl::read(stream, take).map(|()| Vec::new()),
        Format::Rash => rash::read(stream, take).map(Vec::from_iter),
        Format::Json
        | Format::Edn
        | Format::PorcupineKv
        | Format::PorcupineEtcd
        | Format::JepsenLog => {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).map_err(|error| (None, Problem::Io(error)))?;
            let (batches, warnings) = parse_whole(&bytes, format)
                .map_err(|fault| (Some(Position::of(&bytes, fault.at)), fault.problem(format)))?;
            batches.into_iter().for_each(take);
            Ok(warnings)
        }
    }
}

/// Reads a file in a format that shows only as a whole.
fn parse_whole(bytes: &[u8], format: Format) -> Result<(Vec<Batch>, Vec<Warning>), Fault> {
    let text = || Block::rest(bytes, 0).text(bytes);
    match format {
        Format::PorcupineEtcd | Format::JepsenLog => {
            let (batch, warnings) = log::read(text()?)?;
            Ok((vec![batch], warnings))
        }
        Format::Json => Ok((vec![jsonl::read_array(text()?)?], Vec::new())),
        _ => Ok((jepsen::read(bytes)?, Vec::new())),
    }
}
