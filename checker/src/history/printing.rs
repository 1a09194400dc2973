//! Events as EDN, the way Jepsen prints them: a map on each line.
//!
//! Functions and names of processes are keywords where they can be, all other text is strings, so
//! that a reader which tells the two apart finds what it expects.

use std::io::{self, Write};

use super::edn::is_spelt;
use super::event::{Event, Process};
use super::syntax::MAX_DEPTH;
use super::value::Value;

/// Writes an event as one line.
///
/// A number that EDN has no spelling for becomes text.
pub(super) fn write_edn(out: &mut impl Write, event: &Event) -> io::Result<()> {
    let values = [Some(&event.value), event.key.as_ref(), event.error.as_ref()];
    // The map of the line itself is one level.
    if values.into_iter().flatten().any(|value| 1 + value.depth() > MAX_DEPTH) {
        return Err(too_deep());
    }
    let mut line = Vec::with_capacity(160);
    write!(line, "{{:index {}", event.index)?;
    if let Some(time) = event.time {
        write!(line, ", :time {time}")?;
    }
    line.write_all(b", :process ")?;
    match &event.process {
        Process::Client(number) => write!(line, "{number}")?,
        Process::Named(name) => print_name(&mut line, name)?,
    }
    write!(line, ", :type :{}, :f ", event.kind.as_str())?;
    print_name(&mut line, &event.f)?;
    if let Some(key) = &event.key {
        line.write_all(b", :key ")?;
        print(&mut line, key)?;
    }
    line.write_all(b", :value ")?;
    print(&mut line, &event.value)?;
    if let Some(node) = &event.node {
        line.write_all(b", :node ")?;
        print_text(&mut line, node)?;
    }
    if let Some(error) = &event.error {
        line.write_all(b", :error ")?;
        print(&mut line, error)?;
    }
    line.write_all(b"}\n")?;
    out.write_all(&line)
}

/// The error for a value that no reader of texts would take.
pub(super) fn too_deep() -> io::Error {
    let message = format!("a value is nested more than {MAX_DEPTH} deep");
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

fn print(out: &mut Vec<u8>, value: &Value) -> io::Result<()> {
    match value {
        Value::Nil => out.write_all(b"nil"),
        Value::Bool(truth) => write!(out, "{truth}"),
        Value::Int(int) => write!(out, "{int}"),
        Value::Number(spelling) if is_spelt(spelling) => out.write_all(spelling.as_bytes()),
        Value::Number(text) | Value::Text(text) => print_text(out, text),
        Value::List(items) => {
            out.write_all(b"[")?;
            for (position, item) in items.iter().enumerate() {
                out.write_all(if position == 0 { b"" } else { b" " })?;
                print(out, item)?;
            }
            out.write_all(b"]")
        }
        Value::Map(pairs) => {
            out.write_all(b"{")?;
            for (position, (key, value)) in pairs.iter().enumerate() {
                out.write_all(if position == 0 { b"" } else { b", " })?;
                print(out, key)?;
                out.write_all(b" ")?;
                print(out, value)?;
            }
            out.write_all(b"}")
        }
    }
}

/// A keyword if everyone would read it as such.
fn print_name(out: &mut Vec<u8>, name: &str) -> io::Result<()> {
    let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.?!*+<>=".contains(&byte);
    let is_keyword = name.bytes().all(may_stand) && name.starts_with(|c: char| c.is_alphabetic());
    if is_keyword { write!(out, ":{name}") } else { print_text(out, name) }
}

fn print_text(out: &mut Vec<u8>, text: &str) -> io::Result<()> {
    out.write_all(b"\"")?;
    for character in text.chars() {
        match character {
            '"' | '\\' => write!(out, "\\{character}")?,
            '\n' => out.write_all(b"\\n")?,
            '\t' => out.write_all(b"\\t")?,
            '\r' => out.write_all(b"\\r")?,
            control if control.is_control() => write!(out, "\\u{:04x}", u32::from(control))?,
            other => write!(out, "{other}")?,
        }
    }
    out.write_all(b"\"")
}
