//! JSON as histories need it: every number kept exactly, every line parsed where it lies.
//!
//! The grammar is RFC 8259's. Values come in the form that their `Serialize` writes.

use std::borrow::Cow;

use super::draft::Draft;
use super::serial::untagged;
use super::syntax::{Cursor, Fault, Scratch};
use super::value::Value;

/// A parser of JSON text.
#[derive(Debug)]
pub(super) struct Json<'a, 's> {
    pub(super) cursor: Cursor<'a>,
    scratch: &'s mut Scratch,
}

impl<'a, 's> Json<'a, 's> {
    pub(super) fn new(text: &'a str, scratch: &'s mut Scratch) -> Self {
        Json { cursor: Cursor::new(text), scratch }
    }

    #[inline]
    pub(super) fn skip_space(&mut self) {
        // Recorders write none.
        if self.cursor.peek().is_some_and(|byte| byte > b' ') {
            return;
        }
        self.cursor.take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    }

    /// An object's fields as those of an event.
    pub(super) fn event(&mut self) -> Result<Draft, Fault> {
        let mut draft = Draft::default();
        self.object(|json, name| {
            let start = json.cursor.at;
            let value = json.value(1)?;
            draft.set(name, value).map_err(|message| Fault::event(start, message))
        })?;
        Ok(draft)
    }

    /// Fails unless nothing but space is left.
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        self.skip_space();
        match self.cursor.peek() {
            None => Ok(()),
            Some(_) => Err(Cursor::wrong(self.cursor.at, "expected nothing more")),
        }
    }

    /// Any value; `depth` is how many lists and objects it stands in.
    pub(super) fn value(&mut self, depth: usize) -> Result<Value, Fault> {
        self.cursor.check_depth(depth)?;
        match self.cursor.peek() {
            Some(b'"') => {
                let text = self.string()?;
                Ok(Value::Text(self.scratch.text(&text)))
            }
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'[') => self.list(depth),
            Some(b'{') => self.map(depth),
            Some(b'n') => self.word("null", Value::Nil),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            _ => Err(self.cursor.expected("a value")),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Fault> {
        for byte in word.bytes() {
            if !self.cursor.eat(byte) {
                return Err(self.cursor.expected(word));
            }
        }
        Ok(value)
    }

    fn number(&mut self) -> Result<Value, Fault> {
        let start = self.cursor.at;
        let is_whole = self.number_grammar()?;
        let spelling = &self.cursor.text[start..self.cursor.at];
        if is_whole && let Ok(int) = spelling.parse() {
            return Ok(Value::Int(int));
        }
        Ok(Value::Number(self.scratch.text(spelling)))
    }

    /// Takes a number and says whether it has neither fraction nor exponent.
    fn number_grammar(&mut self) -> Result<bool, Fault> {
        let cursor = &mut self.cursor;
        cursor.eat(b'-');
        // A zero stands alone: 01 is two values, and so an error further on.
        if !cursor.eat(b'0') {
            digits(cursor)?;
        }
        let mut is_whole = true;
        if cursor.eat(b'.') {
            is_whole = false;
            digits(cursor)?;
        }
        if cursor.eat(b'e') || cursor.eat(b'E') {
            is_whole = false;
            let _sign = cursor.eat(b'+') || cursor.eat(b'-');
            digits(cursor)?;
        }
        Ok(is_whole)
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        let start = self.cursor.at;
        if !self.cursor.eat(b'"') {
            return Err(self.cursor.expected("a string"));
        }
        let mut is_plain = true;
        loop {
            self.cursor.take_while(|byte| byte != b'"' && byte != b'\\' && byte >= b' ');
            match self.cursor.peek() {
                Some(b'"') => break,
                Some(b'\\') if self.cursor.peek_second().is_some_and(|byte| byte.is_ascii()) => {
                    is_plain = false;
                    self.cursor.at += 2;
                }
                Some(b'\\') => {
                    self.cursor.at += 1;
                    return Err(self.cursor.expected("an escape"));
                }
                _ => return Err(self.cursor.expected("the rest of a string")),
            }
        }
        self.cursor.at += 1;
        let quoted = &self.cursor.text[start..self.cursor.at];
        if is_plain {
            return Ok(Cow::Borrowed(&quoted[1..quoted.len() - 1]));
        }
        let unescaped = serde_json::from_str(quoted);
        unescaped.map(Cow::Owned).map_err(|_| Cursor::wrong(start, "a string with a bad escape"))
    }

    fn list(&mut self, depth: usize) -> Result<Value, Fault> {
        let base = self.scratch.items.len();
        self.items(|json| {
            let item = json.value(depth + 1)?;
            json.scratch.items.push(item);
            Ok(())
        })?;
        Ok(self.scratch.list(base))
    }

    /// An array; `item` is called before each item, which it takes.
    pub(super) fn items(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.skip_space();
        if !self.cursor.eat(b'[') {
            return Err(self.cursor.expected("`[`"));
        }
        self.skip_space();
        if self.cursor.eat(b']') {
            return Ok(());
        }
        loop {
            self.skip_space();
            item(self)?;
            self.skip_space();
            if self.cursor.eat(b']') {
                return Ok(());
            }
            if !self.cursor.eat(b',') {
                return Err(self.cursor.expected("`,` or `]`"));
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, Fault> {
        let base = self.scratch.items.len();
        self.object(|json, name| {
            let key = Value::Text(json.scratch.text(name));
            let value = json.value(depth + 1)?;
            json.scratch.items.extend([key, value]);
            Ok(())
        })?;
        Ok(untagged(self.scratch.map(base)))
    }

    /// An object; `field` is called with each name, before its value, which it takes.
    fn object(
        &mut self,
        mut field: impl FnMut(&mut Self, &str) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if !self.cursor.eat(b'{') {
            return Err(self.cursor.expected("`{`"));
        }
        self.skip_space();
        if self.cursor.eat(b'}') {
            return Ok(());
        }
        loop {
            self.skip_space();
            let name = self.string()?;
            self.skip_space();
            if !self.cursor.eat(b':') {
                return Err(self.cursor.expected("`:`"));
            }
            self.skip_space();
            field(self, &name)?;
            self.skip_space();
            if self.cursor.eat(b'}') {
                return Ok(());
            }
            if !self.cursor.eat(b',') {
                return Err(self.cursor.expected("`,` or `}`"));
            }
        }
    }
}

fn digits(cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    match cursor.take_while(|byte| byte.is_ascii_digit()) {
        "" => Err(cursor.expected("a digit")),
        _ => Ok(()),
    }
}
