//! Jepsen's and Knossos's histories: maps in EDN, as a stream, in one vector or in one list.
//!
//! Jepsen prints a stream with one map on each line, Knossos's examples are one vector or list.
//! Large files are read by blocks, in parallel, where that gives the same.

use super::batch::Batch;
use super::blocks::{self, Block};
use super::edn::{Edn, is_space};
use super::error::count_newlines;
use super::syntax::{Cursor, Fault, Scratch};

/// The characters of a text but for space and comments, to see how it begins.
pub(super) fn significant(text: &str) -> impl Iterator<Item = char> + '_ {
    let lines = text.lines().map(|line| line.trim_start().split(';').next().unwrap_or_default());
    lines.flat_map(str::chars).filter(|character| !character.is_whitespace() && *character != ',')
}

/// Reads a whole file.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Batch>, Fault> {
    let (start, close) = head(bytes);
    let blocks = blocks::split(bytes, start, |rest| {
        let rest = rest.strip_prefix(b" ").unwrap_or(rest);
        matches!(rest.first(), Some(b'{' | b'#'))
    });
    // A block that is complete in itself begins and ends between two events, whatever stands
    // before it. So if all are, this is what reading from top to bottom gives; if one is not
    // (a newline inside a string, say), reading from top to bottom tells.
    if blocks.len() > 1
        && let Ok(batches) =
            blocks::read_all(&blocks, |block| read_block(bytes, block, start, close))
    {
        return Ok(batches);
    }
    Ok(vec![read_block(bytes, &Block::rest(bytes, start), start, close)?])
}

/// Where the events begin, and which bracket ends them if they stand in a vector or list.
fn head(bytes: &[u8]) -> (usize, Option<u8>) {
    let mut at = 0;
    loop {
        match bytes.get(at) {
            Some(b';') => at += memchr::memchr(b'\n', &bytes[at..]).unwrap_or(bytes.len() - at),
            Some(byte) if is_space(*byte) => at += 1,
            Some(b'[') => return (at + 1, Some(b']')),
            Some(b'(') => return (at + 1, Some(b')')),
            _ => return (0, None),
        }
    }
}

/// Reads a block of whole events; `close` is the bracket that must end the last block, and `start`
/// where it was opened.
fn read_block(file: &[u8], block: &Block, start: usize, close: Option<u8>) -> Result<Batch, Fault> {
    let text = block.text(file)?;
    let shifted = |fault: Fault| fault.shifted(block.range.start);
    let mut batch = Batch::with_capacity(block.newlines as usize + 1);
    let mut scratch = Scratch::new();
    let mut edn = Edn::new(text, &mut scratch);
    let (mut line, mut counted) = (block.line, 0);
    loop {
        edn.skip(0).map_err(shifted)?;
        let at = edn.cursor.at;
        line = line.saturating_add(count_newlines(&text.as_bytes()[counted..at]));
        counted = at;
        match edn.cursor.peek() {
            None if block.is_last && close.is_some() => {
                let open = if close == Some(b']') { '[' } else { '(' };
                return Err(Cursor::wrong(start - 1, format!("this `{open}` is never closed")));
            }
            None => return Ok(batch),
            Some(byte) if block.is_last && close == Some(byte) => {
                edn.cursor.at += 1;
                edn.skip(0).map_err(shifted)?;
                return match edn.cursor.peek() {
                    None => Ok(batch),
                    Some(_) => Err(shifted(edn.cursor.expected("nothing after the last bracket"))),
                };
            }
            Some(_) => {}
        }
        match edn.event() {
            Ok(draft) => batch
                .push(draft.finish(line).map_err(|message| shifted(Fault::event(at, message)))?),
            // Also a word that makes no sense may be the beginning of one that does.
            Err(_) if edn.cursor.at == text.len() && block.is_last && close.is_none() => {
                return cut_off(batch, line, &text[at..], block.range.start + at);
            }
            Err(fault) => return Err(shifted(fault)),
        }
    }
}

/// What to do with an event that never ends. If a line after its first begins another, a bracket
/// is missing here, and the end of the file has nothing to do with it.
fn cut_off(mut batch: Batch, line: u32, rest: &str, at: usize) -> Result<Batch, Fault> {
    if rest.contains("\n{") || rest.contains("\n#") {
        return Err(Cursor::wrong(at, "a map that is never closed begins here"));
    }
    batch.cut_off = Some(line);
    Ok(batch)
}
