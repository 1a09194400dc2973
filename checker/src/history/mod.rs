//! Histories: events as recorded, operations as checked, and the formats both come in.

mod assembly;
mod batch;
mod blocks;
mod draft;
mod edn;
mod error;
mod event;
mod format;
mod intern;
mod jepsen;
mod json;
pub mod jsonl;
mod keys;
mod log;
mod operation;
mod pairing;
mod plain;
mod printing;
pub mod rash;
mod read;
mod serial;
mod syntax;
mod timeline;
mod value;
mod write;

pub use error::{Position, Problem, ReadError, Warning};
pub use event::{Event, EventType, Process};
pub use format::{Format, UnknownFormat};
pub use intern::ValueId;
pub use operation::{History, NEVER, OpId, Operation, Outcome, Place};
pub use pairing::HistoryError;
pub use read::{
    LoadError, Loaded, ReadOptions, Recording, Visited, load_file, load_reader, read_bytes,
    read_bytes_with, read_file, read_file_with, visit_file,
};
pub use value::Value;
pub use write::Writer;
