//! Reading a history of any known format.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::blocks::{Block, Events};
use super::error::{Position, Problem, ReadError, Warning};
use super::event::{Event, EventType, Process};
use super::syntax::{Fault, FaultKind};
use super::{jepsen, jsonl, keys, log};

/// The formats a history can come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Our own: one JSON object on each line.
    Jsonl,
    /// The same objects in one JSON array, as elle-cli takes them.
    Json,
    /// Jepsen's and Knossos's maps: a stream, a vector or a list.
    Edn,
    /// Porcupine's key-value recordings: EDN maps that have a `:key`.
    PorcupineKv,
    /// Porcupine's recordings of etcd: lines of an old Jepsen's log.
    PorcupineEtcd,
    /// Jepsen's `history.txt` and `jepsen.log`.
    JepsenLog,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 6] = [
        Format::Jsonl,
        Format::Json,
        Format::Edn,
        Format::PorcupineKv,
        Format::PorcupineEtcd,
        Format::JepsenLog,
    ];

    /// The name, as it is typed and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Jsonl => "jsonl",
            Format::Json => "json",
            Format::Edn => "edn",
            Format::PorcupineKv => "porcupine-kv",
            Format::PorcupineEtcd => "porcupine-etcd",
            Format::JepsenLog => "jepsen-log",
        }
    }

    /// All names, for messages.
    pub(super) fn names() -> String {
        Self::ALL.map(Format::as_str).join(", ")
    }

    /// The format that a file's content shows.
    fn of_content(bytes: &[u8]) -> Option<Self> {
        let head = String::from_utf8_lossy(&bytes[..bytes.len().min(HEAD_BYTES)]);
        if let Some(is_porcupine) = log::recognise(&head) {
            return Some(if is_porcupine { Format::PorcupineEtcd } else { Format::JepsenLog });
        }
        let opening: String = jepsen::significant(&head).take(3).collect();
        match opening.as_bytes() {
            [b'{', b'"', ..] => Some(Format::Jsonl),
            [b'[', b'{', b'"'] => Some(Format::Json),
            [b'{' | b'(' | b'[' | b'#', ..] => Some(Format::Edn),
            _ => None,
        }
    }

    /// The format that a file's name suggests, for files that begin like none.
    fn of_name(name: &str) -> Option<Self> {
        match Path::new(name).extension()?.to_str()? {
            "jsonl" | "ndjson" => Some(Format::Jsonl),
            "json" => Some(Format::Json),
            "edn" => Some(Format::Edn),
            _ => None,
        }
    }
}

/// How much of a file is looked at to find its format.
const HEAD_BYTES: usize = 64 << 10;

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that is no format's.
#[derive(Debug, thiserror::Error)]
#[error("no format is called {name:?}; they are {}", Format::names())]
pub struct UnknownFormat {
    name: String,
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let named = Self::ALL.into_iter().find(|format| format.as_str() == name);
        named.ok_or_else(|| UnknownFormat { name: name.to_owned() })
    }
}

/// A history as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// All events, in the order of the file.
    pub events: Vec<Event>,
    /// The format they were in.
    pub format: Format,
    /// What was odd about the file.
    pub warnings: Vec<Warning>,
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
    let bytes = std::fs::read(path).map_err(|error| ReadError {
        file: name.clone(),
        position: None,
        problem: Problem::Io(error),
    })?;
    read_bytes_with(&bytes, &name, options)
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
    let bytes = bytes.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(bytes);
    let fail = |position, problem| ReadError { file: name.to_owned(), position, problem };
    let found = options.format.or_else(|| Format::of_content(bytes));
    let Some(format) = found.or_else(|| Format::of_name(name)) else {
        let problem = unknown(bytes);
        return Err(fail(None, problem));
    };
    let blame = |fault: Fault| {
        let problem = problem(fault.kind, format, fault.message);
        fail(Some(Position::of(bytes, fault.at)), problem)
    };
    let (events, mut warnings) = parse(bytes, format).map_err(blame)?;
    let Events { mut events, cut_off, .. } = events.numbered();
    if events.is_empty() {
        return Err(fail(None, Problem::Empty));
    }
    warnings.extend(cut_off.map(|line| Warning::CutOff { line }));
    warnings.extend(no_clients(&events));
    let format = match (options.format, format) {
        (None, Format::Edn) if are_keyed(&events) => Format::PorcupineKv,
        _ => format,
    };
    let is_jepsens = !matches!(format, Format::Jsonl | Format::Json);
    if is_jepsens {
        keys::settle_errors(&mut events);
    }
    if options.keyed.unwrap_or_else(|| is_jepsens && keys::are_evident(&events)) {
        keys::lift(&mut events).map_err(|(line, message)| {
            fail(Some(Position { line, column: None }), Problem::Keys(message))
        })?;
    }
    Ok(Recording { events, format, warnings })
}

/// What to say of bytes that begin like no format.
fn unknown(bytes: &[u8]) -> Problem {
    let head = &bytes[..bytes.len().min(HEAD_BYTES)];
    let is_text = match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    if !is_text || head.contains(&0) {
        Problem::Binary
    } else if head.trim_ascii().is_empty() {
        Problem::Empty
    } else {
        Problem::UnknownFormat
    }
}

fn problem(kind: FaultKind, format: Format, message: String) -> Problem {
    match kind {
        FaultKind::Binary => Problem::Binary,
        FaultKind::Event => Problem::Event(message),
        FaultKind::End | FaultKind::Syntax => Problem::Syntax { format, message },
    }
}

fn parse(bytes: &[u8], format: Format) -> Result<(Events, Vec<Warning>), Fault> {
    match format {
        Format::Jsonl => Ok((jsonl::read(bytes)?, Vec::new())),
        Format::Json => Ok((jsonl::read_array(Block::rest(bytes, 0).text()?)?, Vec::new())),
        Format::Edn | Format::PorcupineKv => Ok((jepsen::read(bytes)?, Vec::new())),
        Format::PorcupineEtcd | Format::JepsenLog => log::read(Block::rest(bytes, 0).text()?),
    }
}

/// A warning if there seem to be clients, but none that counts as one.
fn no_clients(events: &[Event]) -> Option<Warning> {
    if events.iter().any(is_of_client) {
        return None;
    }
    let acting = events.iter().find(|event| event.kind != EventType::Info)?;
    Some(Warning::NoClients { line: acting.line, process: acting.process.clone() })
}

fn is_of_client(event: &Event) -> bool {
    matches!(event.process, Process::Client(_))
}

/// Whether every client's event has a key of its own.
fn are_keyed(events: &[Event]) -> bool {
    let mut clients = events.iter().filter(|event| is_of_client(event)).peekable();
    clients.peek().is_some() && clients.all(|event| event.key.is_some())
}
