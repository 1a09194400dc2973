//! Our own recordings: one JSON object on each line, one line for each event.
//!
//! ```json
//! {"index":0,"time":1200,"process":3,"type":"invoke","f":"write","key":"x","value":5,"node":"n1"}
//! ```
//!
//! A recorder appends a line at a time, so a killed one leaves at most one cut-off line at the
//! end. Lines are independent of each other, and so blocks of them are read in parallel.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use super::blocks::Events;
use super::error::count_newlines;
use super::event::{Event, EventType, Process};
use super::json::Json;
use super::serial;
use super::syntax::{Fault, FaultKind, MAX_DEPTH, Scratch, text};
use super::value::Value;

/// Writes an event as one line, in a single write.
///
/// Reading it back gives the same event (but for [`Event::line`], and for a key or error of
/// `Some(Nil)`, which mean and are read back as none).
///
/// # Errors
///
/// What the writer fails with, and [`io::ErrorKind::InvalidInput`] for a value nested too deeply
/// to be read back.
pub fn write_event(out: &mut (impl Write + ?Sized), event: &Event) -> io::Result<()> {
    let values = [Some(&event.value), event.key.as_ref(), event.error.as_ref()];
    // The object of the line itself is one level.
    if values.into_iter().flatten().any(|value| 1 + serial::depth(value) > MAX_DEPTH) {
        let message = format!("a value is nested more than {MAX_DEPTH} deep");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let mut line = Vec::with_capacity(160);
    serde_json::to_writer(&mut line, event)?;
    line.push(b'\n');
    out.write_all(&line)
}

/// How much of a file is split into lines before they are read: enough to keep all threads busy,
/// and little beside the events.
const BATCH_BYTES: usize = 32 << 20;
/// A thread's share is worth waking it up only from here on.
const FEWEST_LINES: usize = 512;

/// A line that is not blank.
#[derive(Clone, Copy, Debug)]
struct Line<'a> {
    bytes: &'a [u8],
    /// Where it begins in the file.
    offset: usize,
    /// Its number in the file, from 1.
    number: u32,
    /// Whether a newline ends it, so that it cannot be cut off.
    is_terminated: bool,
}

/// Reads a whole file.
pub(super) fn read(bytes: &[u8]) -> Result<Events, Fault> {
    let mut events = Events::default();
    let mut lines = Vec::new();
    let (mut start, mut number) = (0, 1);
    while start < bytes.len() {
        lines.clear();
        let batch_end = (start + BATCH_BYTES).min(bytes.len());
        while start < batch_end {
            let newline = memchr::memchr(b'\n', &bytes[start..]);
            let end = newline.map_or(bytes.len(), |length| start + length);
            let line = &bytes[start..end];
            if !line.trim_ascii_start().is_empty() {
                let is_terminated = newline.is_some();
                lines.push(Line { bytes: line, offset: start, number, is_terminated });
            }
            number = number.saturating_add(1);
            start = end + 1;
        }
        read_batch(&lines, &mut events)?;
    }
    Ok(events)
}

/// Reads lines in parallel, each event straight to its place.
fn read_batch(lines: &[Line<'_>], events: &mut Events) -> Result<(), Fault> {
    let first_fault: Mutex<Option<Fault>> = Mutex::new(None);
    let lacks_index = AtomicBool::new(false);
    let event = |scratch: &mut Scratch, line: &Line<'_>| match read_line(line, scratch) {
        Ok((event, has_index)) => {
            if !has_index {
                lacks_index.store(true, Ordering::Relaxed);
            }
            event
        }
        Err(fault) => {
            let mut first = first_fault.lock().unwrap_or_else(PoisonError::into_inner);
            if first.as_ref().is_none_or(|first| fault.at < first.at) {
                *first = Some(fault);
            }
            nothing()
        }
    };
    if lines.len() <= FEWEST_LINES {
        let mut scratch = Scratch::new();
        events.events.extend(lines.iter().map(|line| event(&mut scratch, line)));
    } else {
        let lines = lines.par_iter().with_min_len(FEWEST_LINES);
        events.events.par_extend(lines.map_init(Scratch::new, event));
    }
    events.lacks_index |= lacks_index.into_inner();
    let last = lines.last();
    match first_fault.into_inner().unwrap_or_else(PoisonError::into_inner) {
        None => Ok(()),
        Some(fault) => match last {
            Some(last) if is_cut_off(last, &fault) => {
                events.events.pop();
                events.cut_off = Some(last.number);
                Ok(())
            }
            _ => Err(fault),
        },
    }
}

/// Whether a fault is that of a last line which ends too early.
fn is_cut_off(last: &Line<'_>, fault: &Fault) -> bool {
    !last.is_terminated && fault.kind == FaultKind::End && fault.at >= last.offset
}

/// What stands in the place of an event that could not be read; it is never given out.
fn nothing() -> Event {
    Event {
        index: 0,
        time: None,
        process: Process::Client(0),
        kind: EventType::Info,
        f: Arc::from(""),
        key: None,
        value: Value::Nil,
        node: None,
        error: None,
        line: 0,
    }
}

/// The event on a line, and whether it has an index.
fn read_line(line: &Line<'_>, scratch: &mut Scratch) -> Result<(Event, bool), Fault> {
    let read = |scratch| {
        let mut json = Json::new(text(line.bytes, !line.is_terminated)?, scratch);
        json.skip_space();
        let start = json.cursor.at;
        let draft = json.event()?;
        json.end()?;
        draft.finish(line.number).map_err(|message| Fault::event(start, message))
    };
    read(scratch).map_err(|fault: Fault| fault.shifted(line.offset))
}

/// Reads a file that is one array of events, of any layout.
pub(super) fn read_array(text: &str) -> Result<Events, Fault> {
    let mut events = Events::default();
    let mut scratch = Scratch::new();
    let mut json = Json::new(text, &mut scratch);
    let (mut line, mut counted) = (1u32, 0);
    json.items(|json| {
        let at = json.cursor.at;
        line = line.saturating_add(count_newlines(&text.as_bytes()[counted..at]));
        counted = at;
        let event = json.event()?.finish(line).map_err(|message| Fault::event(at, message))?;
        events.push(event);
        Ok(())
    })?;
    json.end()?;
    Ok(events)
}
