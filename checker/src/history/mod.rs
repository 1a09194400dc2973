//! Histories: events as recorded, operations as checked, and the formats both come in.

mod blocks;
mod draft;
mod edn;
mod error;
mod event;
mod intern;
mod jepsen;
mod json;
pub mod jsonl;
mod keys;
mod log;
mod operation;
mod read;
mod serial;
mod syntax;
mod value;

pub use error::{Position, Problem, ReadError, Warning};
pub use event::{Event, EventType, Process};
pub use intern::ValueId;
pub use operation::{History, HistoryError, NEVER, OpId, Operation, Outcome, Place};
pub use read::{
    Format, ReadOptions, Recording, UnknownFormat, read_bytes, read_bytes_with, read_file,
    read_file_with,
};
pub use value::Value;
