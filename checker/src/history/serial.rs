//! Values in serde's data model, and so in JSON: the form of our recordings and of results.
//!
//! Two maps with one field carry what JSON cannot say. `{"$number": "1/3"}` is a number with a
//! spelling that not every reader of JSON keeps, and `{"$map": [[k, v], …]}` is a map whose keys
//! are not all text, or one that looks like these two.

use std::fmt;
use std::sync::Arc;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::value::Value;

const NUMBER_TAG: &str = "$number";
const MAP_TAG: &str = "$map";

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Nil => serializer.serialize_unit(),
            Value::Bool(truth) => serializer.serialize_bool(*truth),
            Value::Int(int) => serializer.serialize_i64(*int),
            Value::Number(spelling) => serialize_number(spelling, serializer),
            Value::Text(text) => serializer.serialize_str(text),
            Value::List(items) => serializer.collect_seq(items.iter()),
            Value::Map(pairs) if needs_tag(pairs) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(MAP_TAG, &**pairs)?;
                map.end()
            }
            Value::Map(pairs) => {
                serializer.collect_map(pairs.iter().map(|(key, value)| (key, value)))
            }
        }
    }
}

/// A number as such only if serde_json, and so probably anyone, reads it back as it was spelt.
fn serialize_number<S: Serializer>(spelling: &str, serializer: S) -> Result<S::Ok, S::Error> {
    if let Ok(large) = spelling.parse::<u64>()
        && i64::try_from(large).is_err()
        && large.to_string() == spelling
    {
        return serializer.serialize_u64(large);
    }
    if let Ok(fraction) = serde_json::from_str(spelling)
        && spelling_of(fraction).as_deref() == Some(spelling)
    {
        return serializer.serialize_f64(fraction);
    }
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(NUMBER_TAG, spelling)?;
    map.end()
}

/// How JSON spells a fraction, if it can.
fn spelling_of(fraction: f64) -> Option<String> {
    serde_json::Number::from_f64(fraction).map(|number| number.to_string())
}

fn needs_tag(pairs: &[(Value, Value)]) -> bool {
    let looks_tagged = matches!(pairs, [(Value::Text(name), _)] if is_tag(name));
    looks_tagged || pairs.iter().any(|(key, _)| key.as_text().is_none())
}

fn is_tag(name: &str) -> bool {
    name == NUMBER_TAG || name == MAP_TAG
}

/// How many lists and objects a value's JSON nests.
pub(super) fn depth(value: &Value) -> usize {
    let deepest = |values: &mut dyn Iterator<Item = &Value>| values.map(depth).max().unwrap_or(0);
    match value {
        Value::List(items) => 1 + deepest(&mut items.iter()),
        // The object, the list of its entries, and each entry.
        Value::Map(pairs) if needs_tag(pairs) => {
            3 + deepest(&mut pairs.iter().flat_map(|(key, value)| [key, value]))
        }
        Value::Map(pairs) => 1 + deepest(&mut pairs.iter().map(|(_, value)| value)),
        // For a number that has to be tagged.
        Value::Number(_) => 1,
        _ => 0,
    }
}

/// The number or map that a map with a tag stands for; anything else is itself.
pub(super) fn untagged(map: Value) -> Value {
    let Value::Map(pairs) = &map else { return map };
    let [(Value::Text(tag), content)] = &**pairs else { return map };
    match (&**tag, content) {
        (NUMBER_TAG, Value::Text(spelling)) => Value::Number(Arc::clone(spelling)),
        (MAP_TAG, Value::List(entries)) => {
            let pair = |entry: &Value| match entry.as_list() {
                Some([key, value]) => Some((key.clone(), value.clone())),
                _ => None,
            };
            entries.iter().map(pair).collect::<Option<Vec<_>>>().map_or(map, Value::map)
        }
        _ => map,
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

/// Builds a value from whatever comes.
struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of a history")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E>(self, int: i64) -> Result<Value, E> {
        Ok(Value::Int(int))
    }

    fn visit_u64<E>(self, int: u64) -> Result<Value, E> {
        let huge = || Value::Number(Arc::from(int.to_string()));
        Ok(i64::try_from(int).map_or_else(|_| huge(), Value::Int))
    }

    fn visit_f64<E>(self, fraction: f64) -> Result<Value, E> {
        let spelling = spelling_of(fraction).unwrap_or_else(|| fraction.to_string());
        Ok(Value::Number(Arc::from(spelling)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        Ok(Value::list(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(untagged(Value::map(pairs)))
    }
}
