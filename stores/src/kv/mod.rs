//! The replicated state machine: a map from keys to values, with client sessions.
//!
//! Every replica applies the same commands in the same order and must arrive at the same state and
//! the same outputs, so everything here is total and deterministic: a command that makes no sense
//! has an output that says so, and changes nothing.

mod context;
mod register;
mod session;
mod value;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use context::{Context, NoContext};
pub use register::{KEY_SESSIONS_MAX, Register};
pub use session::{Lookup, SESSIONS_MAX, Session, Sessions};
pub use value::Value;

/// The size in bytes that a value may grow to by appending; see [`Value::size`].
pub const APPENDED_MAX: usize = 1 << 20;

/// A key.
pub type Key = Arc<str>;

/// A change to one key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Op {
    /// Set the value. Putting null is the same as deleting.
    Put {
        /// The key.
        key: Key,
        /// Its new value.
        value: Value,
    },
    /// Set the value if it is the expected one; an absent key has the value null.
    Cas {
        /// The key.
        key: Key,
        /// What its value must be.
        expected: Value,
        /// Its value from then on.
        new: Value,
    },
    /// Add to the end: text to text, any value to a list. An absent key becomes the text, or a list
    /// of the one value if it is not text.
    Append {
        /// The key.
        key: Key,
        /// What to add.
        value: Value,
    },
    /// Remove the key.
    Delete {
        /// The key.
        key: Key,
    },
    /// Bring a value into a set, unless it is there. A set reads as the list of its elements in
    /// order; an absent key is the empty one.
    Add {
        /// The key.
        key: Key,
        /// What to bring in.
        element: Value,
    },
    /// Add to a counter. It reads as an integer; an absent key has the value 0.
    Increment {
        /// The key.
        key: Key,
        /// By how much; less than nothing takes away.
        by: i64,
    },
}

impl Op {
    /// The key that it changes.
    pub fn key(&self) -> &Key {
        match self {
            Op::Put { key, .. }
            | Op::Cas { key, .. }
            | Op::Append { key, .. }
            | Op::Delete { key }
            | Op::Add { key, .. }
            | Op::Increment { key, .. } => key,
        }
    }

    /// Its size in bytes, roughly, for limits: the key, and the values that it brings.
    pub fn size(&self) -> usize {
        let brought = match self {
            Op::Put { value, .. } | Op::Append { value, .. } | Op::Add { element: value, .. } => {
                value.size()
            }
            Op::Cas { expected, new, .. } => expected.size() + new.size(),
            Op::Delete { .. } => 0,
            Op::Increment { .. } => size_of::<i64>(),
        };
        self.key().len() + brought
    }
}

/// A change and, if the client wants it to take effect once however often it is sent, who it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Command {
    /// Which command of which client this is.
    pub session: Option<Session>,
    /// What to do.
    pub op: Op,
}

/// What came out of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// It was done.
    Done,
    /// The value that was read.
    Value(Value),
    /// A compare-and-set was decided.
    Cas {
        /// Whether the value was the expected one and has been set.
        applied: bool,
        /// The value before.
        current: Value,
    },
    /// The command made no sense here, and nothing was changed.
    Rejected(Rejection),
    /// The values that were read, which were written without knowing of each other: at least two.
    Siblings(Vec<Value>),
    /// What came out, and what the client has seen of the key by now: the context of its next
    /// request for it. Stores that have no single order of writes answer like this.
    Causal {
        /// The context.
        context: Context,
        /// What came out.
        output: Box<Output>,
    },
}

/// Why a command was not executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    /// The value cannot be appended to what is there.
    #[error("cannot append {appended} to {current}")]
    TypeMismatch {
        /// The kind of value that was to be appended.
        appended: String,
        /// The kind of value that is there.
        current: String,
    },
    /// The value would become larger than [`APPENDED_MAX`].
    #[error("the value would grow beyond {APPENDED_MAX} bytes")]
    TooLarge,
    /// The counter would leave the 64-bit integers.
    #[error("the counter would not fit into 64 bits")]
    Overflow,
    /// The client has executed a later command since; what became of this one is forgotten.
    #[error("the session has already executed command {last}, which is later than this one")]
    StaleSequence {
        /// The number of the later one.
        last: u64,
    },
}

/// The state: what every replica builds from the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    map: BTreeMap<Key, Value>,
    sessions: Sessions,
}

impl Store {
    /// The value of a key; null if it is absent.
    pub fn get(&self, key: &str) -> Value {
        self.map.get(key).cloned().unwrap_or_default()
    }

    /// The keys that are present, with their values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Value)> {
        self.map.iter()
    }

    /// Executes a command, once per session and sequence number.
    pub fn apply(&mut self, command: &Command) -> Output {
        let Some(session) = &command.session else {
            return self.execute(&command.op);
        };
        if let Some(answer) = self.sessions.look_up(session).answer() {
            return answer;
        }
        let output = self.execute(&command.op);
        self.sessions.remember(session, output.clone());
        output
    }

    /// Forgets which commands were executed.
    pub(crate) fn forget_sessions(&mut self) {
        self.sessions = Sessions::default();
    }

    fn execute(&mut self, op: &Op) -> Output {
        let key = op.key();
        let (changed, output) = change(self.map.get(key).unwrap_or(&Value::Null), op);
        match changed {
            // Null and absent are one, so that a cas cannot tell them apart either.
            Some(Value::Null) => drop(self.map.remove(key)),
            Some(value) => drop(self.map.insert(key.clone(), value)),
            None => {}
        }
        output
    }
}

/// What a change makes of a value, if it changes it, and what its client is told.
fn change(current: &Value, op: &Op) -> (Option<Value>, Output) {
    match op {
        Op::Put { value, .. } => (Some(value.clone()), Output::Done),
        Op::Delete { .. } => (Some(Value::Null), Output::Done),
        Op::Cas { expected, new, .. } => {
            let applied = current == expected;
            (applied.then(|| new.clone()), Output::Cas { applied, current: current.clone() })
        }
        Op::Append { value, .. } => grown(appended(current.clone(), value)),
        Op::Add { element, .. } => grown(added(current.clone(), element)),
        Op::Increment { by, .. } => grown(incremented(current.clone(), *by)),
    }
}

/// What becomes of a value that was made from the one before, if it could be.
fn grown(made: Result<Value, Rejection>) -> (Option<Value>, Output) {
    match made {
        Ok(larger) if larger.size() > APPENDED_MAX => (None, Output::Rejected(Rejection::TooLarge)),
        Ok(larger) => (Some(larger), Output::Done),
        Err(rejection) => (None, Output::Rejected(rejection)),
    }
}

/// What an append makes of the current value.
///
/// # Errors
/// When the two do not go together.
pub(crate) fn appended(current: Value, value: &Value) -> Result<Value, Rejection> {
    match (current, value) {
        (Value::Null, Value::Text(text)) => Ok(Value::Text(text.clone())),
        (Value::Null, other) => Ok(Value::list([other.clone()])),
        (Value::Text(text), Value::Text(more)) => Ok(Value::Text(format!("{text}{more}").into())),
        (Value::List(mut items), other) => {
            Arc::make_mut(&mut items).push(other.clone());
            Ok(Value::List(items))
        }
        (current, other) => Err(mismatch(&current, other)),
    }
}

fn added(current: Value, element: &Value) -> Result<Value, Rejection> {
    let mut items = match current {
        Value::Null => Arc::default(),
        Value::List(items) => items,
        other => return Err(mismatch(&other, element)),
    };
    // A list that appends have made need not be in order: no binary search.
    if !items.contains(element) {
        let place = items.iter().position(|item| item > element).unwrap_or(items.len());
        Arc::make_mut(&mut items).insert(place, element.clone());
    }
    Ok(Value::List(items))
}

fn incremented(current: Value, by: i64) -> Result<Value, Rejection> {
    match current {
        Value::Null => Ok(Value::Int(by)),
        Value::Int(sum) => sum.checked_add(by).map(Value::Int).ok_or(Rejection::Overflow),
        other => Err(mismatch(&other, &Value::Int(by))),
    }
}

/// Why two values do not go together.
pub(crate) fn mismatch(current: &Value, added: &Value) -> Rejection {
    let (appended, current) = (added.kind().to_owned(), current.kind().to_owned());
    Rejection::TypeMismatch { appended, current }
}
