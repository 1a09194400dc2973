//! EDN, the notation of Clojure's data, as histories need it.
//!
//! The grammar is that of <https://github.com/edn-format/edn>, with what Clojure prints beyond it:
//! ratios, hexadecimal integers, `##Inf`, namespaced maps. Values lose what histories make no use
//! of: keywords, symbols and characters become text, lists and vectors become lists, sets become
//! sorted lists, and of a tagged literal only the literal is kept.

use super::draft::Draft;
use super::syntax::{Cursor, Fault, Scratch};
use super::value::Value;

/// A parser of EDN text.
#[derive(Debug)]
pub(super) struct Edn<'a, 's> {
    pub(super) cursor: Cursor<'a>,
    scratch: &'s mut Scratch,
}

/// Commas are space.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b',' | b'\t' | b'\n' | b'\r' | 0x0C)
}

fn ends_token(byte: u8) -> bool {
    is_space(byte) || matches!(byte, b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'"' | b';')
}

impl<'a, 's> Edn<'a, 's> {
    pub(super) fn new(text: &'a str, scratch: &'s mut Scratch) -> Self {
        Edn { cursor: Cursor::new(text), scratch }
    }

    /// Skips space, commas, comments and discarded forms.
    pub(super) fn skip(&mut self, depth: usize) -> Result<(), Fault> {
        loop {
            self.cursor.take_while(is_space);
            match (self.cursor.peek(), self.cursor.peek_second()) {
                (Some(b';'), _) => {
                    self.cursor.take_while(|byte| byte != b'\n');
                }
                (Some(b'#'), Some(b'_')) => {
                    self.cursor.at += 2;
                    self.form(depth + 1)?;
                }
                _ => return Ok(()),
            }
        }
    }

    /// A map's entries as the fields of an event.
    pub(super) fn event(&mut self) -> Result<Draft, Fault> {
        // Newer Jepsens print records: #jepsen.history.Op{…}.
        while self.cursor.peek() == Some(b'#') {
            self.tag()?;
            self.skip(1)?;
        }
        let mut draft = Draft::default();
        if !self.cursor.eat(b'{') {
            return Err(self.cursor.expected("a map"));
        }
        loop {
            self.skip(1)?;
            if self.cursor.eat(b'}') {
                return Ok(draft);
            }
            let name = self.form(1)?;
            self.skip(1)?;
            let start = self.cursor.at;
            let value = self.form(1)?;
            if let Some(name) = name.as_text() {
                draft.set(name, value).map_err(|message| Fault::event(start, message))?;
            }
        }
    }

    /// Any form; `depth` is how many others it stands in.
    pub(super) fn form(&mut self, depth: usize) -> Result<Value, Fault> {
        self.cursor.check_depth(depth)?;
        self.skip(depth)?;
        match self.cursor.peek() {
            Some(b'"') => self.string(),
            Some(b'\\') => self.character(),
            Some(b'[') => self.sequence(b']', depth),
            Some(b'(') => self.sequence(b')', depth),
            Some(b'{') => self.map(depth),
            Some(b'#') => self.dispatch(depth),
            Some(b':') => self.keyword(),
            Some(b'0'..=b'9') => self.number(),
            Some(b'+' | b'-') if self.cursor.peek_second().is_some_and(|b| b.is_ascii_digit()) => {
                self.number()
            }
            None | Some(b')' | b']' | b'}' | b'^' | b'@' | b'`' | b'~' | b'\'' | 0) => {
                Err(self.cursor.expected("a value"))
            }
            Some(_) => self.symbol(),
        }
    }

    fn token(&mut self) -> &'a str {
        self.cursor.take_while(|byte| !ends_token(byte))
    }

    fn symbol(&mut self) -> Result<Value, Fault> {
        Ok(match self.token() {
            "nil" => Value::Nil,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            symbol => Value::Text(self.scratch.text(symbol)),
        })
    }

    fn keyword(&mut self) -> Result<Value, Fault> {
        self.cursor.at += 1;
        match self.token() {
            "" => Err(self.cursor.expected("a keyword's name")),
            name => Ok(Value::Text(self.scratch.text(name))),
        }
    }

    fn number(&mut self) -> Result<Value, Fault> {
        let start = self.cursor.at;
        let token = self.token();
        number(token)
            .map(|number| match number {
                Number::Int(int) => Value::Int(int),
                Number::Spelt(spelling) => Value::Number(self.scratch.text(spelling)),
            })
            .ok_or_else(|| Cursor::wrong(start, format!("{token:?} is no number")))
    }

    fn string(&mut self) -> Result<Value, Fault> {
        self.cursor.at += 1;
        let plain = self.cursor.take_while(|byte| byte != b'"' && byte != b'\\');
        if self.cursor.eat(b'"') {
            return Ok(Value::Text(self.scratch.text(plain)));
        }
        let mut text = plain.to_owned();
        while !self.cursor.eat(b'"') {
            if self.cursor.eat(b'\\') {
                text.push(self.escape()?);
            } else if self.cursor.peek().is_none() {
                return Err(self.cursor.expected("the rest of a string"));
            }
            text.push_str(self.cursor.take_while(|byte| byte != b'"' && byte != b'\\'));
        }
        Ok(Value::Text(self.scratch.text(&text)))
    }

    /// What follows a backslash in a string.
    fn escape(&mut self) -> Result<char, Fault> {
        let plain = match self.cursor.peek() {
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'n') => '\n',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{C}',
            Some(b'\\') => '\\',
            Some(b'"') => '"',
            Some(b'u') => {
                self.cursor.at += 1;
                return self.utf16();
            }
            Some(b'0'..=b'7') => return self.octal(),
            _ => return Err(self.cursor.expected("an escape")),
        };
        self.cursor.at += 1;
        Ok(plain)
    }

    /// Four hexadecimal digits, or twice four with `\u` between them for a surrogate pair.
    fn utf16(&mut self) -> Result<char, Fault> {
        let start = self.cursor.at;
        let first = self.utf16_unit()?;
        let mut units = vec![first];
        if (0xD800..0xDC00).contains(&first) {
            for byte in [b'\\', b'u'] {
                if !self.cursor.eat(byte) {
                    return Err(self.cursor.expected("the second half of a surrogate pair"));
                }
            }
            units.push(self.utf16_unit()?);
        }
        let mut characters = char::decode_utf16(units);
        match characters.next() {
            Some(Ok(character)) => Ok(character),
            _ => Err(Cursor::wrong(start, "half a surrogate pair is no character")),
        }
    }

    fn utf16_unit(&mut self) -> Result<u16, Fault> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.cursor.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.cursor.expected("a hexadecimal digit"));
            };
            unit = unit * 16 + digit as u16;
            self.cursor.at += 1;
        }
        Ok(unit)
    }

    /// One to three octal digits.
    fn octal(&mut self) -> Result<char, Fault> {
        let mut code = 0;
        for _ in 0..3 {
            match self.cursor.peek() {
                Some(digit @ b'0'..=b'7') if code < 0o40 => code = code * 8 + (digit - b'0'),
                _ => break,
            }
            self.cursor.at += 1;
        }
        Ok(char::from(code))
    }

    /// `\a`, `\newline`, `\u0041`, `\o101`.
    fn character(&mut self) -> Result<Value, Fault> {
        let start = self.cursor.at;
        self.cursor.at += 1;
        // The first character belongs to it even if it would end a token: `\(` and `\;`.
        let first = self.cursor.text[self.cursor.at..].chars().next();
        let Some(first) = first else {
            return Err(self.cursor.expected("a character"));
        };
        let name_start = self.cursor.at;
        self.cursor.at += first.len_utf8();
        self.token();
        let name = &self.cursor.text[name_start..self.cursor.at];
        let character = match name {
            "newline" => Some('\n'),
            "space" => Some(' '),
            "tab" => Some('\t'),
            "return" => Some('\r'),
            "backspace" => Some('\u{8}'),
            "formfeed" => Some('\u{C}'),
            _ if name.len() == first.len_utf8() => Some(first),
            _ => match (first, &name[first.len_utf8()..]) {
                ('u', digits) => u32::from_str_radix(digits, 16).ok().and_then(char::from_u32),
                ('o', digits) => u32::from_str_radix(digits, 8).ok().and_then(char::from_u32),
                _ => None,
            },
        };
        match character {
            Some(character) => {
                Ok(Value::Text(self.scratch.text(character.encode_utf8(&mut [0; 4]))))
            }
            None => Err(Cursor::wrong(start, format!("{name:?} is no character"))),
        }
    }

    fn sequence(&mut self, close: u8, depth: usize) -> Result<Value, Fault> {
        let base = self.scratch.items.len();
        self.items(close, depth)?;
        Ok(self.scratch.list(base))
    }

    fn map(&mut self, depth: usize) -> Result<Value, Fault> {
        let start = self.cursor.at;
        let base = self.scratch.items.len();
        self.items(b'}', depth)?;
        if (self.scratch.items.len() - base) % 2 == 1 {
            return Err(Cursor::wrong(start, "a map with a key that has no value"));
        }
        Ok(self.scratch.map(base))
    }

    /// An opening bracket, and forms up to the closing one.
    fn items(&mut self, close: u8, depth: usize) -> Result<(), Fault> {
        self.cursor.at += 1;
        loop {
            self.skip(depth)?;
            if self.cursor.eat(close) {
                return Ok(());
            }
            if self.cursor.peek().is_none() {
                return Err(self.cursor.expected(&format!("`{}`", char::from(close))));
            }
            let item = self.form(depth + 1)?;
            self.scratch.items.push(item);
        }
    }

    /// What begins with `#`: sets, symbolic numbers, namespaced maps and tagged literals.
    fn dispatch(&mut self, depth: usize) -> Result<Value, Fault> {
        let start = self.cursor.at;
        match self.cursor.peek_second() {
            Some(b'{') => {
                self.cursor.at += 1;
                let base = self.scratch.items.len();
                self.items(b'}', depth)?;
                self.scratch.items[base..].sort();
                Ok(self.scratch.list(base))
            }
            Some(b'#') => match self.token() {
                number @ ("##Inf" | "##-Inf" | "##NaN") => {
                    Ok(Value::Number(self.scratch.text(number)))
                }
                other => Err(Cursor::wrong(start, format!("{other:?} is no number"))),
            },
            _ => {
                let tag = self.tag()?;
                let form = self.form(depth + 1)?;
                Ok(tag.strip_prefix(':').map_or(form.clone(), |space| in_namespace(space, form)))
            }
        }
    }

    /// A `#` and the tag that follows it.
    fn tag(&mut self) -> Result<&'a str, Fault> {
        self.cursor.at += 1;
        match self.cursor.peek() {
            Some(byte) if byte.is_ascii_alphabetic() || byte == b':' => Ok(self.token()),
            _ => Err(self.cursor.expected("a tag")),
        }
    }
}

/// `#:space{:a 1}` is `{:space/a 1}`.
fn in_namespace(space: &str, form: Value) -> Value {
    let Value::Map(pairs) = &form else { return form };
    let qualified = |(key, value): &(Value, Value)| {
        let key = match key.as_text() {
            Some(name) if !name.contains('/') => Value::text(format!("{space}/{name}")),
            _ => key.clone(),
        };
        (key, value.clone())
    };
    Value::map(pairs.iter().map(qualified))
}

/// Whether a number that is no `i64` is spelt so that it comes back as it is.
pub(super) fn is_spelt(spelling: &str) -> bool {
    let is_symbolic = matches!(spelling, "##Inf" | "##-Inf" | "##NaN");
    is_symbolic || matches!(number(spelling), Some(Number::Spelt(read)) if read == spelling)
}

/// A number in EDN.
enum Number<'a> {
    Int(i64),
    Spelt(&'a str),
}

/// A token as a number; `N` (any size) is dropped, `M` (exact) and ratios stay as they are spelt.
fn number(token: &str) -> Option<Number<'_>> {
    let unsigned = token.trim_start_matches(['+', '-']);
    if let Some(digits) = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X")) {
        let digits = digits.strip_suffix('N').unwrap_or(digits);
        let magnitude = u128::from_str_radix(digits, 16).ok()?;
        let magnitude = i128::try_from(magnitude).ok()?;
        let int = if token.starts_with('-') { -magnitude } else { magnitude };
        return Some(i64::try_from(int).map_or(Number::Spelt(token), Number::Int));
    }
    let spelling = token.strip_prefix('+').unwrap_or(token);
    let whole = spelling.strip_suffix('N').unwrap_or(spelling);
    if is_digits(whole.strip_prefix('-').unwrap_or(whole)) {
        let has_leading_zero =
            unsigned.starts_with('0') && unsigned.trim_end_matches('N').len() > 1;
        // In Clojure 010 is eight; EDN forbids it, and guessing would change values.
        return (!has_leading_zero)
            .then(|| whole.parse().map_or(Number::Spelt(whole), Number::Int));
    }
    let is_ratio = |(above, below): (&str, &str)| is_digits(above) && is_digits(below);
    let is_spelt = unsigned.split_once('/').map_or_else(|| is_decimal(unsigned), is_ratio);
    is_spelt.then_some(Number::Spelt(spelling))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `1.5`, `1.`, `1e-9`, `1.5M`.
fn is_decimal(unsigned: &str) -> bool {
    let unsigned = unsigned.strip_suffix('M').unwrap_or(unsigned);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    is_digits(whole)
        && (fraction.is_empty() || is_digits(fraction))
        && exponent
            .is_none_or(|digits| is_digits(digits.strip_prefix(['+', '-']).unwrap_or(digits)))
}
