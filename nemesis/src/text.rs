//! Reading the text form of faults and schedules: words and signs with their place, times, and
//! errors that say where, what was expected and what stood there.
//!
//! The language is small enough for a hand-written descent over tokens; what it must do well is
//! point at the column where a person went wrong.

use std::fmt;
use std::time::Duration;

use crate::ailment::Percent;

/// Why a text is no schedule, fault or node set, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: expected {expected}, found {found}")]
pub struct ParseError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What could have stood here.
    pub expected: String,
    /// What stood here instead.
    pub found: String,
}

/// One word or sign and where it stands.
#[derive(Clone, Copy, Debug)]
struct Token<'a> {
    text: &'a str,
    line: usize,
    column: usize,
}

/// Two characters before one, so that `->` is never read as a word.
const SIGNS: [&str; 4] = ["->", "|", ",", ";"];

/// Splits a text into words, signs and line ends; `#` starts a comment up to the line's end.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut end = (1, 1);
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        if index > 0 {
            tokens.push(Token { text: "\n", line: end.0, column: end.1 });
        }
        let mut column = 1;
        let mut rest = line.split('#').next().unwrap_or("");
        while let Some(first) = rest.chars().next() {
            let length = if first.is_whitespace() { first.len_utf8() } else { token_length(rest) };
            let (token, after) = rest.split_at(length);
            if !first.is_whitespace() {
                tokens.push(Token { text: token, line: line_number, column });
            }
            column += token.chars().count();
            rest = after;
        }
        end = (line_number, column);
    }
    tokens.push(Token { text: "", line: end.0, column: end.1 });
    tokens
}

/// Bytes of the token a text begins with; the text does not begin with white space.
fn token_length(text: &str) -> usize {
    if let Some(sign) = SIGNS.iter().find(|sign| text.starts_with(**sign)) {
        return sign.len();
    }
    text.char_indices()
        .skip(1)
        .find(|(at, c)| c.is_whitespace() || SIGNS.iter().any(|sign| text[*at..].starts_with(sign)))
        .map_or(text.len(), |(at, _)| at)
}

/// A place in a text, and the ways to go on from there.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    tokens: Vec<Token<'a>>,
    next: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Cursor { tokens: tokens(text), next: 0 }
    }

    fn token(&self) -> Token<'a> {
        // The last token is the end of the text, and nothing moves past it.
        self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    /// The next word or sign; empty at the end of the text.
    pub(crate) fn peek(&self) -> &'a str {
        self.token().text
    }

    /// Takes what comes next, whatever it is.
    pub(crate) fn advance(&mut self) {
        self.next = (self.next + 1).min(self.tokens.len() - 1);
    }

    /// Takes `text` if it comes next.
    pub(crate) fn take(&mut self, text: &str) -> bool {
        let found = self.peek() == text;
        if found {
            self.advance();
        }
        found
    }

    /// Takes the next word if `read` can make something of it.
    pub(crate) fn word<T>(
        &mut self,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, ParseError> {
        let value = read(self.peek()).ok_or_else(|| self.error(expected))?;
        self.advance();
        Ok(value)
    }

    /// A whole number.
    pub(crate) fn number<T: std::str::FromStr>(&mut self, expected: &str) -> Result<T, ParseError> {
        let digits_only = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        self.word(expected, |text| digits_only(text).then(|| text.parse().ok()).flatten())
    }

    /// A time such as `3.2s`, `350ms`, `150us`, `2m`; the unit may stand apart.
    pub(crate) fn time(&mut self) -> Result<Duration, ParseError> {
        const EXPECTED: &str = "a time such as `3.2s`, `350ms` or `2m`";
        let text = self.peek();
        let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
        let (number, unit) = text.split_at(unit_at);
        if unit.is_empty() && !number.is_empty() {
            let unit = self.tokens.get(self.next + 1).map_or("", |token| token.text);
            let time = duration(number, unit).ok_or_else(|| self.error(EXPECTED))?;
            self.advance();
            self.advance();
            return Ok(time);
        }
        self.word(EXPECTED, |_| duration(number, unit))
    }

    /// `by` and a time.
    pub(crate) fn by(&mut self) -> Result<Duration, ParseError> {
        self.word("`by` and a time, as in `by 3s`", |word| (word == "by").then_some(()))?;
        self.time()
    }

    /// `every` and a time that is some.
    pub(crate) fn turns(&mut self) -> Result<Duration, ParseError> {
        self.word("`every` and a time, as in `every 200ms`", |word| {
            (word == "every").then_some(())
        })?;
        let error = self.error("a time of a millisecond at least");
        self.time().and_then(|time| if time.as_millis() > 0 { Ok(time) } else { Err(error) })
    }

    /// `at` and so many per cent, up to `most`.
    pub(crate) fn at_percent(&mut self, most: u16) -> Result<Percent, ParseError> {
        self.word("`at` and per cent, as in `at 50%`", |word| (word == "at").then_some(()))?;
        self.word(&format!("per cent from `1%` to `{most}%`"), |word| {
            Percent::from_word(word).filter(|percent| percent.get() <= most)
        })
    }

    /// Nothing more may follow.
    pub(crate) fn end(&mut self, expected: &str) -> Result<(), ParseError> {
        if self.peek().is_empty() { Ok(()) } else { Err(self.error(expected)) }
    }

    /// An error at the next token.
    pub(crate) fn error(&self, expected: &str) -> ParseError {
        let token = self.token();
        ParseError {
            line: token.line,
            column: token.column,
            expected: expected.to_owned(),
            found: quoted(token.text),
        }
    }
}

/// A token for a message: hostile or very long ones are escaped and cut short.
fn quoted(text: &str) -> String {
    const LONGEST: usize = 40;
    match text {
        "" => "the end".to_owned(),
        "\n" => "the end of the line".to_owned(),
        _ => {
            let start: String = text.chars().take(LONGEST).collect();
            let more = if start.len() < text.len() { "…" } else { "" };
            format!("`{}{more}`", start.escape_debug())
        }
    }
}

/// A decimal number of a unit, exactly; `None` if it is neither or finer than a nanosecond.
fn duration(number: &str, unit: &str) -> Option<Duration> {
    const SECOND: u128 = 1_000_000_000;
    let unit: u128 = match unit {
        "us" => SECOND / 1_000_000,
        "ms" => SECOND / 1000,
        "s" => SECOND,
        "m" => 60 * SECOND,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let scale = 10u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let scaled = format!("{whole}{fraction}").parse::<u128>().ok()?.checked_mul(unit)?;
    if scaled % scale != 0 {
        return None;
    }
    let nanoseconds = scaled / scale;
    let seconds = u64::try_from(nanoseconds / SECOND).ok()?;
    Some(Duration::new(seconds, u32::try_from(nanoseconds % SECOND).ok()?))
}

/// A time as [`Cursor::time`] reads it: seconds, with as many decimals as it takes.
pub(crate) fn display_time(time: Duration) -> String {
    let text = format!("{}.{:09}", time.as_secs(), time.subsec_nanos());
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A time as it stands in schedules and scenarios: `3.2s`, `350ms`, `150us`, `2m`; printed in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Moment(pub Duration);

impl Moment {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        cursor.time().map(Moment)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&display_time(self.0))
    }
}

text_form!(Moment);

/// Implements `FromStr` over a `parse(&mut Cursor)` function, and serde as that text.
macro_rules! text_form {
    ($type:ty) => {
        impl std::str::FromStr for $type {
            type Err = $crate::text::ParseError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let mut cursor = $crate::text::Cursor::new(text);
                let value = Self::parse(&mut cursor)?;
                cursor.end("nothing more")?;
                Ok(value)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use text_form;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_exact() {
        let read = |text: &str| Cursor::new(text).time().map_err(|error| error.to_string());
        assert_eq!(read("3.2s"), Ok(Duration::from_millis(3200)));
        assert_eq!(read("3.2 s"), Ok(Duration::from_millis(3200)));
        assert_eq!(read("350ms"), Ok(Duration::from_millis(350)));
        assert_eq!(read("150us"), Ok(Duration::from_micros(150)));
        assert_eq!(read("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(read("0.000000001s"), Ok(Duration::from_nanos(1)));
        for bad in ["", "s", "3", "3.s", ".5s", "-1s", "1e3s", "3h", "0.0000000001s", "3,2s"] {
            assert!(read(bad).is_err(), "{bad:?} was read as a time");
        }
        let huge = "9".repeat(200) + "s";
        assert!(read(&huge).is_err());
    }

    #[test]
    fn places_count_characters() {
        let mut cursor = Cursor::new("a # é comment\n  é->b");
        for expected in ["a", "\n", "é", "->"] {
            assert_eq!(cursor.peek(), expected);
            cursor.advance();
        }
        let error = cursor.error("something else");
        assert_eq!((error.line, error.column), (2, 6));
        assert_eq!(error.to_string(), "line 2, column 6: expected something else, found `b`");
    }

    proptest! {
        #[test]
        fn any_time_survives_its_text(seconds: u64, nanoseconds in 0u32..1_000_000_000) {
            let time = Duration::new(seconds, nanoseconds);
            let text = display_time(time);
            prop_assert_eq!(Cursor::new(&text).time(), Ok(time));
        }

        #[test]
        fn no_text_breaks_the_tokens(text in "\\PC*|[ -~\\n]*") {
            let mut cursor = Cursor::new(&text);
            let mut steps = 0;
            while !cursor.peek().is_empty() {
                cursor.advance();
                steps += 1;
            }
            prop_assert!(steps <= text.chars().count());
        }
    }
}
