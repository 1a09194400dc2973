//! Values in bytes: a number that tells the kind and how much of it follows.

use std::sync::Arc;

use super::varint::{Cursor, Nonsense, put, unzigzag, zigzag};
use crate::history::Value;
use crate::history::syntax::MAX_DEPTH;

const INT: u64 = 0;
const WORD: u64 = 1;
const TEXT: u64 = 2;
const NUMBER: u64 = 3;
const LIST: u64 = 4;
const MAP: u64 = 5;

/// Appends a value.
pub(super) fn put_value(out: &mut Vec<u8>, value: &Value) {
    let head = |out: &mut Vec<u8>, kind: u64, much: u64| put(out, much << 3 | kind);
    match value {
        Value::Nil => head(out, WORD, 0),
        Value::Bool(truth) => head(out, WORD, 1 + u64::from(*truth)),
        Value::Int(int) if zigzag(*int) < 1 << 61 => head(out, INT, zigzag(*int)),
        Value::Int(int) => {
            head(out, WORD, 3);
            out.extend_from_slice(&int.to_le_bytes());
        }
        Value::Text(text) => {
            head(out, TEXT, text.len() as u64);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Number(spelling) => {
            head(out, NUMBER, spelling.len() as u64);
            out.extend_from_slice(spelling.as_bytes());
        }
        Value::List(items) => {
            head(out, LIST, items.len() as u64);
            items.iter().for_each(|item| put_value(out, item));
        }
        Value::Map(pairs) => {
            head(out, MAP, pairs.len() as u64);
            for (key, value) in pairs.iter() {
                put_value(out, key);
                put_value(out, value);
            }
        }
    }
}

/// Takes a value; `depth` is how many others it stands in.
pub(super) fn value(cursor: &mut Cursor<'_>, depth: usize) -> Result<Value, Nonsense> {
    if depth > MAX_DEPTH {
        return Err(Nonsense("values are nested too deeply"));
    }
    let head = cursor.number()?;
    let much = head >> 3;
    Ok(match head & 7 {
        INT => Value::Int(unzigzag(much)),
        WORD => match much {
            0 => Value::Nil,
            1 => Value::Bool(false),
            2 => Value::Bool(true),
            3 => {
                let mut bytes = [0; 8];
                for byte in &mut bytes {
                    *byte = cursor.byte()?;
                }
                Value::Int(i64::from_le_bytes(bytes))
            }
            _ => return Err(Nonsense("a value is of no known kind")),
        },
        TEXT => Value::Text(Arc::from(cursor.text(much)?)),
        NUMBER => Value::Number(Arc::from(cursor.text(much)?)),
        LIST => {
            let mut items = Vec::with_capacity(cursor.fitting(much)?);
            for _ in 0..much {
                items.push(value(cursor, depth + 1)?);
            }
            Value::List(items.into())
        }
        MAP => {
            let mut pairs = Vec::with_capacity(cursor.fitting(much)?);
            for _ in 0..much {
                pairs.push((value(cursor, depth + 1)?, value(cursor, depth + 1)?));
            }
            Value::map(pairs)
        }
        _ => return Err(Nonsense("a value is of no known kind")),
    })
}

/// How many bytes a value may well take.
pub(super) fn size(value: &Value) -> usize {
    match value {
        Value::Nil | Value::Bool(_) | Value::Int(_) => 4,
        Value::Text(text) | Value::Number(text) => 4 + text.len(),
        Value::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Map(pairs) => {
            1 + pairs.iter().map(|(key, value)| size(key) + size(value)).sum::<usize>()
        }
    }
}
