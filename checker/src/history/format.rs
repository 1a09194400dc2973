//! The formats of histories, and how a file shows which it is in.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::error::Problem;
use super::{jepsen, log, rash};

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
    /// Our own compact binary form.
    Rash,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 7] = [
        Format::Jsonl,
        Format::Json,
        Format::Edn,
        Format::PorcupineKv,
        Format::PorcupineEtcd,
        Format::JepsenLog,
        Format::Rash,
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
            Format::Rash => "rash",
        }
    }

    /// All names, for messages.
    pub(super) fn names() -> String {
        Self::ALL.map(Format::as_str).join(", ")
    }

    /// The format that a file's beginning shows, or else its name suggests.
    pub(super) fn find(head: &[u8], name: &str) -> Result<Self, Problem> {
        let found = Self::of_content(head).or_else(|| Self::of_path(Path::new(name)));
        found.ok_or_else(|| unknown(head))
    }

    /// Whether it is one of those that Jepsen and its relatives write.
    pub(super) fn is_jepsens(self) -> bool {
        match self {
            Format::Jsonl | Format::Json | Format::Rash => false,
            Format::Edn | Format::PorcupineKv | Format::PorcupineEtcd | Format::JepsenLog => true,
        }
    }

    fn of_content(head: &[u8]) -> Option<Self> {
        if head.starts_with(&rash::MAGIC) {
            return Some(Format::Rash);
        }
        let head = String::from_utf8_lossy(head);
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

    /// The format that a file's name suggests.
    pub fn of_path(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "jsonl" | "ndjson" => Some(Format::Jsonl),
            "json" => Some(Format::Json),
            "edn" => Some(Format::Edn),
            "rash" => Some(Format::Rash),
            _ => None,
        }
    }
}

/// How much of a file is looked at to find its format.
pub(super) const HEAD_BYTES: usize = 64 << 10;

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

/// What to say of bytes that begin like no format.
fn unknown(head: &[u8]) -> Problem {
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
