//! The short way for lines as we write them ourselves.
//!
//! Nearly every line of a large recording has its fields in our order, no space, and nothing in it
//! but digits and short plain words, so that it can be compared rather than parsed. Any other line
//! goes the long way, through [`Json`](super::json::Json); what both understand, they understand
//! alike.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::batch::{Actor, Row, Tables};
use super::event::EventType;
use super::intern::{NameId, ValueId};
use super::value::Value;

/// Reads plain lines, and remembers the texts in them.
#[derive(Debug, Default)]
pub(super) struct PlainLines {
    texts: FxHashMap<Box<[u8]>, ValueId>,
    names: FxHashMap<Box<[u8]>, NameId>,
}

/// Longer texts are rarely met twice.
const LONGEST: usize = 32;
/// A number of so many digits fits.
const MOST_DIGITS: usize = 18;

impl PlainLines {
    /// The row of a line, if it is plain.
    #[inline]
    pub(super) fn row(&mut self, line: &[u8], number: u32, tables: &mut Tables) -> Option<Row> {
        let rest = &mut { line };
        literal(rest, b"{\"index\":")?;
        let index = digits(rest)?;
        let time = match literal(rest, b",\"time\":") {
            Some(()) => Some(digits(rest)?),
            None => None,
        };
        literal(rest, b",\"process\":")?;
        let client = digits(rest)?;
        literal(rest, b",\"type\":")?;
        let kind = kind(word(rest)?)?;
        literal(rest, b",\"f\":")?;
        let f = self.name(word(rest)?, tables);
        let key = match literal(rest, b",\"key\":") {
            Some(()) => self.value(rest, tables)?,
            None => ValueId::NIL,
        };
        literal(rest, b",\"value\":")?;
        let value = self.value(rest, tables)?;
        let node = match literal(rest, b",\"node\":") {
            Some(()) => Some(self.name(word(rest)?, tables)),
            None => None,
        };
        (*rest == b"}").then_some(Row {
            index,
            time,
            actor: Actor::Client(client),
            kind,
            f,
            node,
            key,
            value,
            error: ValueId::NIL,
            line: number,
        })
    }

    fn name(&mut self, word: &[u8], tables: &mut Tables) -> NameId {
        if let Some(known) = self.names.get(word) {
            return *known;
        }
        let id = tables.names.intern(&text(word));
        self.names.insert(word.into(), id);
        id
    }

    /// A small value at the beginning, which is taken.
    #[inline]
    fn value(&mut self, rest: &mut &[u8], tables: &mut Tables) -> Option<ValueId> {
        match rest.first()? {
            b'0'..=b'9' => Some(tables.values.intern_int(digits(rest)? as i64)),
            b'"' => {
                let word = word(rest)?;
                if let Some(known) = self.texts.get(word) {
                    return Some(*known);
                }
                let id = tables.values.intern(&Value::Text(text(word)));
                self.texts.insert(word.into(), id);
                Some(id)
            }
            b'n' => literal(rest, b"null").map(|()| ValueId::NIL),
            b't' => literal(rest, b"true").map(|()| tables.values.intern(&Value::Bool(true))),
            b'f' => literal(rest, b"false").map(|()| tables.values.intern(&Value::Bool(false))),
            _ => None,
        }
    }
}

fn text(word: &[u8]) -> Arc<str> {
    Arc::from(String::from_utf8_lossy(word))
}

/// Takes these bytes from the beginning, if they are there.
#[inline]
fn literal(rest: &mut &[u8], expected: &[u8]) -> Option<()> {
    *rest = rest.strip_prefix(expected)?;
    Some(())
}

/// Takes a whole number that is surely one: it has few digits, no zero before others, and ends
/// where a field does.
#[inline]
fn digits(rest: &mut &[u8]) -> Option<u64> {
    let (mut number, mut length) = (0u64, 0);
    while let Some(digit @ b'0'..=b'9') = rest.get(length).copied() {
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        length += 1;
    }
    let has_leading_zero = length > 1 && rest[0] == b'0';
    let ends = matches!(rest.get(length), Some(b',' | b'}'));
    *rest = &rest[length..];
    (ends && (1..=MOST_DIGITS).contains(&length) && !has_leading_zero).then_some(number)
}

/// Takes a short text in quotes, of printable ASCII without escapes.
#[inline]
fn word<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let inside = rest.strip_prefix(b"\"")?;
    let length = inside.iter().take(LONGEST + 1).position(|byte| *byte == b'"')?;
    let (word, after) = inside.split_at(length);
    *rest = &after[1..];
    word.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'\\').then_some(word)
}

fn kind(word: &[u8]) -> Option<EventType> {
    match word {
        b"invoke" => Some(EventType::Invoke),
        b"ok" => Some(EventType::Ok),
        b"fail" => Some(EventType::Fail),
        b"info" => Some(EventType::Info),
        _ => None,
    }
}
