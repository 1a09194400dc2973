//! An event while its fields are being read, whatever their order and syntax.
//!
//! The fields are Jepsen's (`:index :time :process :type :f :value :error`) and two of our own,
//! `key` and `node`; anything else a recorder wrote down is left alone.

use std::sync::Arc;

use super::event::{Event, EventType, Process};
use super::value::Value;

/// The fields met so far.
#[derive(Debug, Default)]
pub(super) struct Draft {
    index: Option<u64>,
    time: Option<u64>,
    process: Option<Process>,
    kind: Option<EventType>,
    f: Option<Arc<str>>,
    key: Option<Value>,
    value: Option<Value>,
    node: Option<Arc<str>>,
    error: Option<Value>,
}

impl Draft {
    /// Takes a field; the message says what is wrong with it.
    pub(super) fn set(&mut self, name: &str, value: Value) -> Result<(), String> {
        let met_before = match name {
            "index" => replace(&mut self.index, count(name, &value)?),
            "time" => replace(&mut self.time, count(name, &value)?),
            "process" => replace(&mut self.process, Some(process(&value)?)),
            "type" => replace(&mut self.kind, Some(kind(&value)?)),
            "f" => replace(&mut self.f, Some(function(value)?)),
            "key" => replace(&mut self.key, present(value)),
            "value" => replace(&mut self.value, Some(value)),
            "node" => replace(&mut self.node, present(value).map(name_of)),
            "error" => replace(&mut self.error, present(value)),
            _ => false,
        };
        if met_before {
            return Err(format!("it has two fields named {name}"));
        }
        Ok(())
    }

    /// The event, once all fields were met. Without an index of its own its index is 0, and the
    /// second result is false.
    pub(super) fn finish(self, line: u32) -> Result<(Event, bool), String> {
        let missing = |name: &str| format!("it has no field {name}");
        let event = Event {
            index: self.index.unwrap_or(0),
            time: self.time,
            process: self.process.ok_or_else(|| missing("process"))?,
            kind: self.kind.ok_or_else(|| missing("type"))?,
            f: self.f.ok_or_else(|| missing("f"))?,
            key: self.key,
            value: self.value.unwrap_or_default(),
            node: self.node,
            error: self.error,
            line,
        };
        Ok((event, self.index.is_some()))
    }
}

/// Sets a field, and says whether it was set before.
fn replace<T>(field: &mut Option<T>, value: Option<T>) -> bool {
    let met_before = field.is_some();
    *field = value;
    met_before
}

fn present(value: Value) -> Option<Value> {
    Some(value).filter(|value| !value.is_nil())
}

/// An index or a time. Jepsen writes -1 for one it does not have.
fn count(name: &str, value: &Value) -> Result<Option<u64>, String> {
    match value {
        Value::Nil => Ok(None),
        Value::Int(number) => Ok(u64::try_from(*number).ok()),
        Value::Number(spelling) => spelling.parse().map(Some).map_err(|_| whole(name, value)),
        _ => Err(whole(name, value)),
    }
}

fn whole(name: &str, value: &Value) -> String {
    format!("its {name} is {value}, which is no whole number from 0")
}

fn process(value: &Value) -> Result<Process, String> {
    let number = match value {
        Value::Text(name) => return Ok(Process::Named(Arc::clone(name))),
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::Number(spelling) => spelling.parse().ok(),
        _ => None,
    };
    number.map(Process::Client).ok_or_else(|| {
        format!("its process is {value}, which is neither a whole number from 0 nor a name")
    })
}

fn kind(value: &Value) -> Result<EventType, String> {
    let known = value.as_text().and_then(EventType::from_word);
    known.ok_or_else(|| format!("its type is {value}, which is none of invoke, ok, fail, info"))
}

fn function(value: Value) -> Result<Arc<str>, String> {
    match value {
        Value::Text(name) => Ok(name),
        _ => Err(format!("its f is {value}, which is no name")),
    }
}

/// The name of a node, which some recorders give as a number.
fn name_of(value: Value) -> Arc<str> {
    match value {
        Value::Text(name) => name,
        other => Arc::from(other.to_string()),
    }
}
