//! Logs of Jepsen: one operation on a line, written for people.
//!
//! Jepsen's own `history.txt` is `process TAB type TAB f TAB value [TAB error]`, in EDN; its
//! `jepsen.log` has the same behind a time, a thread and `jepsen.util:`, among lines of others.
//! Porcupine's etcd recordings are such logs of 2014, behind `INFO  jepsen.util - `. There is
//! neither time nor index: the order of the lines is the order of the events.

use super::batch::Batch;
use super::draft::Draft;
use super::edn::Edn;
use super::error::Warning;
use super::event::Event;
use super::syntax::{Cursor, Fault, Scratch};
use super::value::Value;

/// What stands before every operation of Porcupine's recordings.
const ETCD_PREFIX: &str = "INFO  jepsen.util - ";
/// What a logger puts right before an operation.
const LOGGERS: [&str; 2] = ["jepsen.util - ", "jepsen.util: "];
const LEVELS: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];

/// What a line is about.
enum Line<'a> {
    Blank,
    /// An operation, and where in the line it begins.
    Operation(usize, &'a str),
    /// Something that another part of the program logged.
    Foreign,
    /// No line of a log, or the rest of a message that began above.
    Other,
}

impl<'a> Line<'a> {
    fn of(line: &'a str) -> Self {
        if line.is_empty() {
            return Line::Blank;
        }
        let logged = LOGGERS.iter().find_map(|logger| Some(line.find(logger)? + logger.len()));
        let (start, rest) = (logged.unwrap_or(0), &line[logged.unwrap_or(0)..]);
        if matches!(rest.split('\t').nth(1), Some(":invoke" | ":ok" | ":fail" | ":info")) {
            return Line::Operation(start, rest);
        }
        let mut words = line.split_ascii_whitespace().take(4);
        if logged.is_none() && words.any(|word| LEVELS.contains(&word)) {
            return Line::Foreign;
        }
        Line::Other
    }
}

/// Whether a text is a log, judged by its beginning; and if so, whether it is one of Porcupine's.
pub(super) fn recognise(head: &str) -> Option<bool> {
    let is_operation = |line: &&str| matches!(Line::of(line.trim_end()), Line::Operation(..));
    head.lines().find(is_operation).map(|line| line.starts_with(ETCD_PREFIX))
}

/// Reads a whole file, and says what is odd about it.
pub(super) fn read(text: &str) -> Result<(Batch, Vec<Warning>), Fault> {
    let mut batch = Batch::with_capacity(0);
    let mut scratch = Scratch::new();
    let mut skipped: Option<(u32, u32)> = None;
    let mut in_message = false;
    let mut unterminated = None;
    let mut offset = 0;
    for (number, line) in (1u32..).zip(text.split_inclusive('\n')) {
        let is_terminated = line.ends_with('\n');
        let content = line.trim_end();
        let is_foreign = match Line::of(content) {
            Line::Blank => in_message,
            Line::Operation(start, operation) => {
                match read_operation(operation, number, &mut scratch) {
                    Ok(event) => batch.push(event),
                    Err(_) if !is_terminated => batch.cut_off = Some(number),
                    Err(fault) => return Err(fault.shifted(offset + start)),
                }
                // Without its newline, a number may have lost digits; a bracket has lost nothing.
                let is_closed = content.ends_with([']', ')', '}', '"']);
                let is_whole = is_terminated || is_closed || batch.cut_off.is_some();
                unterminated = (!is_whole).then_some(Warning::Unterminated { line: number });
                false
            }
            Line::Foreign => true,
            Line::Other if in_message => true,
            Line::Other if !is_terminated => {
                batch.cut_off = Some(number);
                false
            }
            Line::Other => {
                let message = "expected a process, a type, an f and a value, with tabs between";
                return Err(Cursor::wrong(offset, message));
            }
        };
        if is_foreign && !content.is_empty() {
            let (lines, first) = skipped.unwrap_or((0, number));
            skipped = Some((lines + 1, first));
        }
        in_message = is_foreign;
        offset += line.len();
    }
    let skipped = skipped.map(|(lines, first)| Warning::Skipped { lines, first });
    Ok((batch, skipped.into_iter().chain(unterminated).collect()))
}

/// The event that a line tells, and that it has no index.
fn read_operation(text: &str, line: u32, scratch: &mut Scratch) -> Result<(Event, bool), Fault> {
    let mut draft = Draft::default();
    let mut edn = Edn::new(text, scratch);
    for name in ["process", "type", "f", "value"] {
        edn.skip(1)?;
        let start = edn.cursor.at;
        let value = edn.form(1)?;
        draft.set(name, value).map_err(|message| Fault::event(start, message))?;
    }
    edn.skip(1)?;
    let rest = &text[edn.cursor.at..];
    if !rest.is_empty() {
        draft.set("error", error(rest, scratch)).map_err(|message| Fault::event(0, message))?;
    }
    draft.finish(line).map_err(|message| Fault::event(0, message))
}

/// An error is a form if it is one, and otherwise whatever somebody wrote.
fn error(rest: &str, scratch: &mut Scratch) -> Value {
    let mut edn = Edn::new(rest, scratch);
    match edn.form(1) {
        Ok(form) if edn.cursor.at == rest.len() => form,
        _ => Value::text(rest),
    }
}
