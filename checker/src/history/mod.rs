//! Histories: events as recorded, operations as checked, and the formats both come in.

mod event;
mod intern;
mod operation;
mod value;

pub use event::{Event, EventType, Process};
pub use intern::ValueId;
pub use operation::{History, HistoryError, NEVER, OpId, Operation, Outcome, Place};
pub use value::Value;
