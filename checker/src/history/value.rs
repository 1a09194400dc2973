//! Values as histories carry them: what was written, read, expected, or said about an error.
//!
//! One small algebra covers JSON, EDN and our own recordings. Equality is structural, so two
//! readers that meet the same history in two formats build the same values.

use std::fmt;
use std::sync::Arc;

/// A datum in a history: an operation's argument or result, a key, an error.
///
/// `Nil` is the absence of a value (`null`, `nil`); what that means (a missing key, a read whose
/// result is not known yet) is for the model to say.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Value {
    /// No value: JSON `null`, EDN `nil`.
    #[default]
    Nil,
    /// A truth value.
    Bool(bool),
    /// An integer; numbers that do not fit are kept as [`Value::Number`].
    Int(i64),
    /// A number that is not an `i64` (a fraction, a huge integer), as it was spelt.
    Number(Arc<str>),
    /// Text. EDN keywords and symbols are text without the leading colon.
    Text(Arc<str>),
    /// An ordered sequence: JSON arrays, EDN vectors and lists; and EDN sets, sorted.
    List(Arc<[Value]>),
    /// Pairs sorted by key, so that equal maps are equal values: JSON objects, EDN maps. Build it
    /// with [`Value::map`].
    Map(Arc<[(Value, Value)]>),
}

impl Value {
    /// Text from anything that can be read as a string slice.
    pub fn text(text: impl AsRef<str>) -> Self {
        Value::Text(Arc::from(text.as_ref()))
    }

    /// A list of values.
    pub fn list(items: impl IntoIterator<Item = Value>) -> Self {
        Value::List(items.into_iter().collect())
    }

    /// A map of these pairs, in any order.
    pub fn map(pairs: impl IntoIterator<Item = (Value, Value)>) -> Self {
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        pairs.sort_by(|(left, _), (right, _)| left.cmp(right));
        Value::Map(pairs.into())
    }

    /// What it is called where it names something, such as a key: text without quotes.
    pub fn name(&self) -> String {
        self.as_text().map_or_else(|| self.to_string(), str::to_owned)
    }

    /// How many bytes it owns, itself not counted.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Value::Nil | Value::Bool(_) | Value::Int(_) => 0,
            Value::Number(text) | Value::Text(text) => text.len(),
            Value::List(items) => {
                size_of_val(&**items) + items.iter().map(Value::bytes).sum::<usize>()
            }
            Value::Map(pairs) => {
                let owned = pairs.iter().map(|(key, value)| key.bytes() + value.bytes());
                size_of_val(&**pairs) + owned.sum::<usize>()
            }
        }
    }

    /// Whether this is [`Value::Nil`].
    pub fn is_nil(&self) -> bool {
        matches!(self, Value::Nil)
    }

    /// The integer, if it is one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(int) => Some(*int),
            _ => None,
        }
    }

    /// The text, if it is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// How many lists and maps are nested in it.
    pub(super) fn depth(&self) -> usize {
        let around = |values: &mut dyn Iterator<Item = &Value>| {
            1 + values.map(Value::depth).max().unwrap_or(0)
        };
        match self {
            Value::List(items) => around(&mut items.iter()),
            Value::Map(pairs) => around(&mut pairs.iter().flat_map(|(key, value)| [key, value])),
            _ => 0,
        }
    }

    /// The items, if it is a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(items) => Some(items),
            _ => None,
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

/// The short human form used in sentences and timelines: `nil`, `3`, `"x"`, `[0 3]`, `{a 1}`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Nil => f.write_str("nil"),
            Value::Bool(truth) => write!(f, "{truth}"),
            Value::Int(int) => write!(f, "{int}"),
            Value::Number(spelling) => f.write_str(spelling),
            Value::Text(text) => write!(f, "{text:?}"),
            Value::List(items) => {
                f.write_str("[")?;
                for (position, item) in items.iter().enumerate() {
                    let gap = if position == 0 { "" } else { " " };
                    write!(f, "{gap}{item}")?;
                }
                f.write_str("]")
            }
            Value::Map(pairs) => {
                f.write_str("{")?;
                for (position, (key, value)) in pairs.iter().enumerate() {
                    let gap = if position == 0 { "" } else { ", " };
                    write!(f, "{gap}{key} {value}")?;
                }
                f.write_str("}")
            }
        }
    }
}
