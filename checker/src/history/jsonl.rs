//! Our own recordings: one JSON object on each line, one line for each event.
//!
//! ```json
//! {"index":0,"time":1200,"process":3,"type":"invoke","f":"write","key":"x","value":5,"node":"n1"}
//! ```
//!
//! A recorder appends a line at a time, so a killed one leaves at most one cut-off line at the
//! end. Lines are independent of each other, and so blocks of them are read in parallel.

use std::io::{self, Write};

use super::blocks::{self, Block, Events};
use super::error::count_newlines;
use super::event::Event;
use super::json::Json;
use super::serial;
use super::syntax::{Fault, FaultKind, MAX_DEPTH, Scratch};

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

/// Reads a whole file.
pub(super) fn read(bytes: &[u8]) -> Result<Events, Fault> {
    blocks::read_all(&blocks::split(bytes, 0, |_| true), read_block)
}

/// Reads a block of whole lines.
fn read_block(block: &Block<'_>) -> Result<Events, Fault> {
    let text = block.text()?;
    let mut events = Events::with_capacity(block.newlines as usize + 1);
    let mut scratch = Scratch::new();
    let mut start = 0;
    for (number, line) in (block.line..).zip(text.split('\n')) {
        match read_line(line, number, &mut scratch) {
            Ok(None) => {}
            Ok(Some(event)) => events.push(event),
            Err(fault) => {
                // Only the last line of a file can be cut off: every other has its newline.
                let is_last = block.is_last && start + line.len() == text.len();
                if !is_last || fault.kind != FaultKind::End {
                    return Err(fault.shifted(block.offset + start));
                }
                events.cut_off = Some(number);
            }
        }
        start += line.len() + 1;
    }
    Ok(events)
}

/// The event on a line, unless the line is blank; and whether it has an index.
fn read_line(
    line: &str,
    number: u32,
    scratch: &mut Scratch,
) -> Result<Option<(Event, bool)>, Fault> {
    let mut json = Json::new(line, scratch);
    json.skip_space();
    let start = json.cursor.at;
    if start == line.len() {
        return Ok(None);
    }
    let draft = json.event()?;
    json.end()?;
    draft.finish(number).map(Some).map_err(|message| Fault::event(start, message))
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
