//! Text on its way into HTML. Histories carry whatever clients wrote and stores answered, so
//! everything that is not markup of our own passes through one of the two functions here.

use std::fmt::{self, Display, Write};

use serde::Serialize;

/// A value as HTML text, also inside a quoted attribute.
pub(super) fn text<T: Display>(value: T) -> Text<T> {
    Text(value)
}

/// See [`text`].
pub(super) struct Text<T>(T);

impl<T: Display> Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| match c {
            '&' => self.0.write_str("&amp;"),
            '<' => self.0.write_str("&lt;"),
            '>' => self.0.write_str("&gt;"),
            '"' => self.0.write_str("&quot;"),
            '\'' => self.0.write_str("&#39;"),
            c => self.0.write_char(seen(c)),
        })
    }
}

/// A text without what would act rather than be seen.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(seen).collect()
}

/// A character, or the sign for one that cannot be shown: control characters are not allowed in
/// HTML, and those that turn the direction of writing would rearrange the words around a value.
fn seen(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

/// A value as JSON that may stand in a `<script>` element: serde_json prints `</script>` as it is,
/// and a value with that in it would end the element. JSON has `<` in strings only, where it may
/// as well be spelt as an escape.
pub(super) fn json<T: Serialize>(value: &T) -> String {
    let json = serde_json::to_string(value).expect("keys are strings");
    json.replace('<', "\\u003c")
}

/// A text cut to a number of characters, with an ellipsis where something is missing.
pub(super) fn clip(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text() {
        let hostile = "</script><img src=x onerror='a'>&\"\u{0}";
        let escaped = text(hostile).to_string();
        assert_eq!(
            escaped,
            "&lt;/script&gt;&lt;img src=x onerror=&#39;a&#39;&gt;&amp;&quot;\u{fffd}"
        );
        assert_eq!(text(1.5).to_string(), "1.5");
        assert_eq!(text("a\u{202e}b\n\u{7}").to_string(), "a\u{fffd}b\n\u{fffd}");
        assert_eq!(plain("<\u{202e}\u{2066}>"), "<\u{fffd}\u{fffd}>");
    }

    #[test]
    fn json_cannot_end_its_element_and_reads_back() {
        let hostile = ["</script>", "<!--", "]]>", "\u{2028}", "\"\\"];
        let json = json(&hostile);
        assert!(!json.contains('<'), "{json}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&json).unwrap(), hostile);
    }

    #[test]
    fn clipping_counts_characters() {
        assert_eq!(clip("größer", 6), "größer");
        assert_eq!(clip("größer", 4), "grö…");
        assert_eq!(clip("", 4), "");
    }
}
