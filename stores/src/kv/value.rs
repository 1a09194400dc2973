//! The values that the store keeps: the part of JSON that means the same everywhere.
//!
//! Numbers are 64-bit integers only. Fractions would have to survive every trip between text and
//! binary on every replica bit for bit, and a store that is tested for equality of what was
//! written and read has no use for a number that may come back as its neighbour.

use std::fmt;
use std::sync::Arc;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value of the store. On the wire and on disk it is plain JSON. Cloning is cheap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Value {
    /// No value: what a key that was never written, or was deleted, reads as.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// Text.
    Text(Arc<str>),
    /// A sequence of values.
    List(Arc<Vec<Value>>),
}

impl Value {
    /// Text from a string slice.
    pub fn text(text: &str) -> Self {
        Value::Text(Arc::from(text))
    }

    /// A list of values.
    pub fn list(items: impl IntoIterator<Item = Value>) -> Self {
        Value::List(Arc::new(items.into_iter().collect()))
    }

    /// What the value is, for messages: `text`, `an integer`, ...
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Int(_) => "an integer",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
        }
    }

    /// How deeply lists are nested: 0 for everything that is not a list.
    pub fn depth(&self) -> usize {
        match self {
            Value::List(items) => 1 + items.iter().map(Value::depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// Its size in bytes for the purpose of limits: 8, and what a text or a list holds.
    pub fn size(&self) -> usize {
        const ITSELF: usize = 8;
        match self {
            Value::Null | Value::Bool(_) | Value::Int(_) => ITSELF,
            Value::Text(text) => ITSELF + text.len(),
            Value::List(items) => ITSELF + items.iter().map(Value::size).sum::<usize>(),
        }
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Self {
        Value::Int(int)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::text(text)
    }
}

impl fmt::Display for Value {
    /// The value as JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        f.write_str(&json)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(truth) => serializer.serialize_bool(*truth),
            Value::Int(int) => serializer.serialize_i64(*int),
            Value::Text(text) => serializer.serialize_str(text),
            Value::List(items) => items.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, a boolean, a 64-bit integer, text, or a list of these")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E: Error>(self, int: i64) -> Result<Value, E> {
        Ok(Value::Int(int))
    }

    fn visit_u64<E: Error>(self, int: u64) -> Result<Value, E> {
        i64::try_from(int)
            .map(Value::Int)
            .map_err(|_| E::custom(format!("the integer {int} does not fit into 64 bits")))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::list(list))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_survives_a_round_trip() {
        for json in ["null", "true", "-9223372036854775808", "\"a\\nb\"", "[1,[\"x\",null],[]]"] {
            let value: Value = serde_json::from_str(json).expect(json);
            assert_eq!(value.to_string(), json);
        }
    }

    #[test]
    fn what_could_change_on_the_way_is_refused() {
        for json in ["1.5", "1e3", "9223372036854775808", "18446744073709551616", "{\"a\":1}"] {
            let result = serde_json::from_str::<Value>(json);
            assert!(result.is_err(), "{json} was taken for {result:?}");
        }
    }
}
