//! Our own recordings: one JSON object on each line, one line for each event.
//!
//! ```json
//! {"index":0,"time":1200,"process":3,"type":"invoke","f":"write","key":"x","value":5,"node":"n1"}
//! ```
//!
//! A recorder appends a line at a time, so a killed one leaves at most one cut-off line at the
//! end. Lines are independent of each other, and so blocks of them are read in parallel.

use std::io::{self, Read, Write};

use super::batch::Batch;
use super::blocks::{self, Block, Piece, Pieces};
use super::error::{Blame, Position, Problem, count_newlines};
use super::event::Event;
use super::format::Format;
use super::json::Json;
use super::plain::PlainLines;
use super::printing::too_deep;
use super::serial;
use super::syntax::{Fault, FaultKind, MAX_DEPTH, Scratch, text};

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
        return Err(too_deep());
    }
    let mut line = Vec::with_capacity(160);
    serde_json::to_writer(&mut line, event)?;
    line.push(b'\n');
    out.write_all(&line)
}

/// Reads a whole stream, and gives out its batches in order.
pub(super) fn read(stream: impl Read + Send, take: impl FnMut(Batch) + Send) -> Result<(), Blame> {
    let mut pieces = Pieces::new(stream);
    let next = |used| pieces.next(used).map_err(|error| (None, Problem::Io(error)));
    let parse = |piece: &Piece| {
        blocks::read_all(&piece.blocks, |block| read_block(piece, block)).map_err(|fault| {
            let mut position = Position::of(&piece.bytes, fault.at);
            position.line = position.line.saturating_add(piece.line - 1);
            (Some(position), fault.problem(Format::Jsonl))
        })
    };
    blocks::read_pieces(next, parse, take)
}

/// Reads a block of whole lines.
fn read_block(piece: &Piece, block: &Block) -> Result<Batch, Fault> {
    let bytes = &piece.bytes[block.range.clone()];
    let mut batch = Batch::with_capacity(block.newlines as usize + 1);
    let mut scratch = Scratch::new();
    let mut plain = PlainLines::default();
    let mut number = block.line.saturating_add(piece.line - 1);
    let mut start = 0;
    while start < bytes.len() {
        let newline = memchr::memchr(b'\n', &bytes[start..]);
        let end = newline.map_or(bytes.len(), |length| start + length);
        let line = &bytes[start..end];
        // A newline ends what cannot be cut off.
        let may_be_cut = newline.is_none();
        if let Some(row) = plain.row(line, number, &mut batch.tables) {
            batch.rows.push(row);
        } else if !line.trim_ascii_start().is_empty() {
            match read_line(line, may_be_cut, number, &mut scratch) {
                Ok(event) => batch.push(event),
                Err(fault) if may_be_cut && fault.kind == FaultKind::End => {
                    batch.cut_off = Some(number);
                }
                Err(fault) => return Err(fault.shifted(block.range.start + start)),
            }
        }
        number = number.saturating_add(1);
        start = end + 1;
    }
    Ok(batch)
}

/// The event on a line, and whether it has an index.
fn read_line(
    line: &[u8],
    may_be_cut: bool,
    number: u32,
    scratch: &mut Scratch,
) -> Result<(Event, bool), Fault> {
    let mut json = Json::new(text(line, may_be_cut)?, scratch);
    json.skip_space();
    let start = json.cursor.at;
    let draft = json.event()?;
    json.end()?;
    draft.finish(number).map_err(|message| Fault::event(start, message))
}

/// Reads a file that is one array of events, of any layout.
pub(super) fn read_array(text: &str) -> Result<Batch, Fault> {
    let mut batch = Batch::with_capacity(0);
    let mut scratch = Scratch::new();
    let mut json = Json::new(text, &mut scratch);
    let (mut line, mut counted) = (1u32, 0);
    json.items(|json| {
        let at = json.cursor.at;
        line = line.saturating_add(count_newlines(&text.as_bytes()[counted..at]));
        counted = at;
        let event = json.event()?.finish(line).map_err(|message| Fault::event(at, message))?;
        batch.push(event);
        Ok(())
    })?;
    json.end()?;
    Ok(batch)
}
