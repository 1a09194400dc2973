//! Histories: events as recorded, operations as checked, and the formats both come in.

mod event;
mod value;

pub use event::{Event, EventType, Process};
pub use value::Value;
