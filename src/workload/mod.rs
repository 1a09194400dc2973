//! Workloads: what clients are asked to do, and how they learn from the answers.
//!
//! A workload is chosen so that its histories are cheap to judge: written values are unique, a key
//! is used for a few hundred operations and then left for a fresh one, and only a few keys are hot
//! at a time, so that clients meet each other on them.

mod append;
mod counter;
mod delete;
mod keys;
mod register;
pub mod script;
mod set;
mod text;

use rand_chacha::ChaCha8Rng;
use rashomon_checker::history::Value;

use crate::campaign::plan::WorkloadName;

pub use append::Append;
pub use counter::Counter;
pub use delete::Delete;
pub use register::Register;
pub use set::Set;
pub use text::RequestError;

/// One operation that a client is to perform.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The key it is on.
    pub key: String,
    /// What to do with it.
    pub action: Action,
}

/// What can be done with a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Read the value.
    Read,
    /// Replace the value.
    Write(i64),
    /// Replace the value `expected` by `new`, or do nothing.
    Cas {
        /// The value that must be there.
        expected: i64,
        /// The value that replaces it.
        new: i64,
    },
    /// Remove the value.
    Delete,
    /// Read the list.
    Get,
    /// Put one element at the end of the list.
    Append(i64),
    /// Read the elements of the set.
    Elements,
    /// Bring an element into the set.
    Add(i64),
    /// Read the counter.
    Count,
    /// Add to the counter.
    Increment(i64),
}

impl Action {
    /// The name in the history.
    pub fn f(&self) -> &'static str {
        match self {
            Action::Read | Action::Elements | Action::Count => "read",
            // It leaves nothing, which is a value like any other.
            Action::Write(_) | Action::Delete => "write",
            Action::Cas { .. } => "cas",
            Action::Get => "get",
            Action::Append(_) => "append",
            Action::Add(_) => "add",
            Action::Increment(_) => "increment",
        }
    }

    /// The argument in the history: `nil` for a read, `[expected new]` for a compare-and-set.
    pub fn argument(&self) -> Value {
        match *self {
            Action::Read | Action::Get | Action::Elements | Action::Count | Action::Delete => {
                Value::Nil
            }
            Action::Write(value)
            | Action::Append(value)
            | Action::Add(value)
            | Action::Increment(value) => Value::Int(value),
            Action::Cas { expected, new } => Value::list([Value::Int(expected), Value::Int(new)]),
        }
    }

    /// What reads a key that this is done with.
    pub fn reader(&self) -> Action {
        match self {
            Action::Read | Action::Write(_) | Action::Cas { .. } | Action::Delete => Action::Read,
            Action::Get | Action::Append(_) => Action::Get,
            Action::Elements | Action::Add(_) => Action::Elements,
            Action::Count | Action::Increment(_) => Action::Count,
        }
    }

    /// Whether the operation leaves the store as it was. An unsure read is a failed read: it
    /// constrains nothing.
    pub fn is_read(&self) -> bool {
        matches!(self, Action::Read | Action::Get | Action::Elements | Action::Count)
    }

    /// What a read that returned this saw: of a set without elements the store says that there is
    /// nothing, and of a counter that nobody has used.
    pub fn saw(&self, value: Value) -> Value {
        match (self, value) {
            (Action::Elements, Value::Nil) => Value::list([]),
            (Action::Count, Value::Nil) => Value::Int(0),
            (_, value) => value,
        }
    }
}

/// How an operation ended, as far as its client can know.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It happened; a read carries what it saw, anything else its argument.
    Ok(Value),
    /// It certainly did not happen.
    Fail(String),
    /// It may have happened, may still happen, or never.
    Info(String),
}

/// A source of operations that sees how they ended.
pub trait Workload: Send {
    /// The model that its histories are judged by.
    fn model(&self) -> &'static str;

    /// The next operation for a free client.
    fn next(&mut self, rng: &mut ChaCha8Rng) -> Request;

    /// Tells how an operation ended.
    fn observe(&mut self, request: &Request, outcome: &Outcome);

    /// Reads that show where the store ended up, for the time after all faults are healed.
    fn final_reads(&self) -> Vec<Request>;
}

impl WorkloadName {
    /// A fresh workload of this name.
    pub fn build(self) -> Box<dyn Workload> {
        match self {
            WorkloadName::Register => Box::new(Register::new()),
            WorkloadName::Append => Box::new(Append::new()),
            WorkloadName::Set => Box::new(Set::new()),
            WorkloadName::Delete => Box::new(Delete::new()),
            WorkloadName::Counter => Box::new(Counter::new()),
        }
    }
}
