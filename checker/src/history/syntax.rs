//! What the parsers of JSON and EDN share: a cursor over text, faults that know whether the text
//! merely ended too early, and short strings that are allocated once.

use std::sync::Arc;

use rustc_hash::FxHasher;
use std::hash::Hasher;

use super::error::Problem;
use super::format::Format;
use super::value::Value;

/// How deeply values may be nested, so that no file can overflow the stack of who reads, compares
/// or drops them.
pub(super) const MAX_DEPTH: usize = 128;

/// Something that cannot be read as what it should be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The byte at which it shows, from the start of the parsed text.
    pub(super) at: usize,
    pub(super) kind: FaultKind,
    pub(super) message: String,
}

/// What to make of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// The text ends where more was needed: it may have been cut off.
    End,
    /// No continuation could repair it.
    Syntax,
    /// The syntax is right and the event is not.
    Event,
    /// Not text.
    Binary,
}

impl Fault {
    /// The same fault in a text that begins `offset` bytes earlier.
    pub(super) fn shifted(mut self, offset: usize) -> Self {
        self.at += offset;
        self
    }

    /// A well-formed event that is none.
    pub(super) fn event(at: usize, message: String) -> Self {
        Fault { at, kind: FaultKind::Event, message }
    }

    /// What is wrong with a file in this format.
    pub(super) fn problem(self, format: Format) -> Problem {
        match self.kind {
            FaultKind::Binary => Problem::Binary,
            FaultKind::Event => Problem::Event(self.message),
            FaultKind::End | FaultKind::Syntax => Problem::Syntax { format, message: self.message },
        }
    }
}

/// Bytes as text. Where the file may have been cut off at their end, half a character there is
/// left out: the event it stands in is not complete either.
pub(super) fn text(bytes: &[u8], may_be_cut: bool) -> Result<&str, Fault> {
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return Ok(text),
        Err(error) => error,
    };
    match std::str::from_utf8(&bytes[..error.valid_up_to()]) {
        Ok(valid) if may_be_cut && error.error_len().is_none() => Ok(valid),
        _ => Err(Fault {
            at: error.valid_up_to(),
            kind: FaultKind::Binary,
            message: "bytes that are not UTF-8".to_owned(),
        }),
    }
}

/// A position in text that only moves forward.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Cursor { text, at: 0 }
    }

    /// The next byte, if there is one.
    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The byte after the next.
    pub(super) fn peek_second(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at + 1).copied()
    }

    /// Takes the next byte if it is this one.
    #[inline]
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Takes bytes while they please, and gives what was taken. `wanted` must hold for all bytes
    /// of a non-ASCII character or for none.
    #[inline]
    pub(super) fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a str {
        let rest = &self.text.as_bytes()[self.at..];
        let length = rest.iter().position(|byte| !wanted(*byte));
        let start = self.at;
        self.at += length.unwrap_or(rest.len());
        &self.text[start..self.at]
    }

    /// A fault here: `expected` says what should have come.
    pub(super) fn expected(&self, expected: &str) -> Fault {
        let found = self.text.get(self.at..).and_then(|rest| rest.chars().next());
        let (kind, found) = match found {
            None => (FaultKind::End, "the end".to_owned()),
            Some('\0') => (FaultKind::Binary, "a NUL byte".to_owned()),
            Some(found) => (FaultKind::Syntax, format!("{found:?}")),
        };
        Fault { at: self.at, kind, message: format!("expected {expected}, found {found}") }
    }

    /// A fault at a given place that more text would not repair.
    pub(super) fn wrong(at: usize, message: impl Into<String>) -> Fault {
        Fault { at, kind: FaultKind::Syntax, message: message.into() }
    }

    /// Fails when a value is nested too deeply.
    pub(super) fn check_depth(&self, depth: usize) -> Result<(), Fault> {
        if depth > MAX_DEPTH {
            let message = format!("values are nested more than {MAX_DEPTH} deep");
            return Err(Cursor::wrong(self.at, message));
        }
        Ok(())
    }
}

/// What a parser keeps between events, so that a field costs no allocation of its own: the short
/// strings met lately, and a stack for the items of unfinished lists.
#[derive(Debug)]
pub(super) struct Scratch {
    texts: Box<[Option<Arc<str>>]>,
    pub(super) items: Vec<Value>,
}

/// Longer strings are rarely met twice.
const LONGEST_SHARED: usize = 32;
/// A power of two; the few words of a history hardly ever collide in it.
const SHARED_SLOTS: usize = 512;

impl Scratch {
    pub(super) fn new() -> Self {
        Scratch { texts: vec![None; SHARED_SLOTS].into_boxed_slice(), items: Vec::new() }
    }

    /// The string, shared with its last occurrence where that is remembered.
    pub(super) fn text(&mut self, text: &str) -> Arc<str> {
        if text.len() > LONGEST_SHARED {
            return Arc::from(text);
        }
        let mut hasher = FxHasher::default();
        hasher.write(text.as_bytes());
        let slot = (hasher.finish() >> 7) as usize % SHARED_SLOTS;
        match &self.texts[slot] {
            Some(known) if **known == *text => Arc::clone(known),
            _ => {
                let fresh: Arc<str> = Arc::from(text);
                self.texts[slot] = Some(Arc::clone(&fresh));
                fresh
            }
        }
    }

    /// The items above `base` as one list, in one allocation.
    pub(super) fn list(&mut self, base: usize) -> Value {
        Value::List(self.items.drain(base..).collect())
    }

    /// The items above `base` as a map of alternating keys and values.
    pub(super) fn map(&mut self, base: usize) -> Value {
        let mut items = self.items.drain(base..);
        let mut pairs = Vec::with_capacity(items.len() / 2);
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            pairs.push((key, value));
        }
        Value::map(pairs)
    }
}
