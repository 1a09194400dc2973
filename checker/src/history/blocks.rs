//! Reading a large file by blocks, in parallel, as if it had been read from top to bottom.
//!
//! Blocks begin where an event begins, and the first fault by position is the one reported: the
//! result does not depend on the number of threads. A stream is read by pieces of many blocks:
//! while one is parsed, the batches of the piece before it are put together, and the next is
//! fetched.

use std::io::{self, Read};
use std::ops::Range;

use rayon::prelude::*;

use super::batch::Batch;
use super::error::{count_newlines, line_of};
use super::syntax::{Fault, text};

/// Small enough to spread over threads, large enough that a thread's start does not show.
const BLOCK_BYTES: usize = 1 << 19;
/// Enough to keep all threads busy, and little beside a large history.
const PIECE_BYTES: usize = 32 * BLOCK_BYTES;

/// A part of a file that holds whole events.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// Where it lies.
    pub(super) range: Range<usize>,
    /// The line it begins on.
    pub(super) line: u32,
    /// How many newlines are in it.
    pub(super) newlines: u32,
    /// Whether the file ends with it.
    pub(super) is_last: bool,
}

impl Block {
    /// The rest of a file, as one block.
    pub(super) fn rest(file: &[u8], start: usize) -> Self {
        Block {
            range: start..file.len(),
            line: line_of(file, start),
            newlines: count_newlines(&file[start..]),
            is_last: true,
        }
    }

    /// The block as text.
    pub(super) fn text<'a>(&self, file: &'a [u8]) -> Result<&'a str, Fault> {
        text(&file[self.range.clone()], self.is_last)
            .map_err(|fault| fault.shifted(self.range.start))
    }
}

/// Splits a file, from `start` on, into blocks of about half a megabyte; each but the first begins
/// after a newline with a rest that `begins_event`.
pub(super) fn split(file: &[u8], start: usize, begins_event: impl Fn(&[u8]) -> bool) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut line = line_of(file, start);
    let mut from = start;
    while from < file.len() {
        let mut to = (from + BLOCK_BYTES).min(file.len());
        while let Some(newline) = memchr::memchr(b'\n', &file[to..]) {
            to += newline + 1;
            if begins_event(&file[to..]) {
                break;
            }
        }
        if !begins_event(&file[to..]) {
            to = file.len();
        }
        let newlines = count_newlines(&file[from..to]);
        blocks.push(Block { range: from..to, line, newlines, is_last: to == file.len() });
        line = line.saturating_add(newlines);
        from = to;
    }
    blocks
}

/// Reads all blocks in parallel; the batches come in the order of the blocks.
pub(super) fn read_all<B: Sync, E: Send>(
    blocks: &[B],
    read: impl Fn(&B) -> Result<Batch, E> + Send + Sync,
) -> Result<Vec<Batch>, E> {
    let parts: Vec<_> = blocks.par_iter().map(read).collect();
    // Of several faults the first.
    parts.into_iter().collect()
}

/// A part of a stream that ends with a line.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) bytes: Vec<u8>,
    /// The line it begins on.
    pub(super) line: u32,
    /// Its parts, counting lines from its own first as line 1.
    pub(super) blocks: Vec<Block>,
}

/// A stream in pieces of about sixteen megabytes.
#[derive(Debug)]
pub(super) struct Pieces<R> {
    reader: R,
    /// What comes before the rest of the stream; it holds no newline.
    rest: Vec<u8>,
    /// The line that begins with it.
    line: u32,
    has_ended: bool,
}

impl<R: Read> Pieces<R> {
    pub(super) fn new(reader: R) -> Self {
        Pieces { reader, rest: Vec::new(), line: 1, has_ended: false }
    }

    /// The next piece, in the room of one that is not needed any more. Only the last may end
    /// without a newline.
    pub(super) fn next(&mut self, used: Option<Piece>) -> io::Result<Option<Piece>> {
        let mut bytes = used.map_or_else(Vec::new, |piece| piece.bytes);
        bytes.clear();
        bytes.reserve(self.rest.len() + PIECE_BYTES);
        bytes.append(&mut self.rest);
        while !self.has_ended {
            let known = bytes.len();
            let read = (&mut self.reader).take(PIECE_BYTES as u64).read_to_end(&mut bytes)?;
            self.has_ended = read < PIECE_BYTES;
            let newline = memchr::memrchr(b'\n', &bytes[known..]);
            if let (Some(newline), false) = (newline, self.has_ended) {
                self.rest = bytes.split_off(known + newline + 1);
                break;
            }
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        let blocks = split(&bytes, 0, |_| true);
        let line = self.line;
        let newlines = blocks.iter().map(|block| block.newlines);
        self.line = newlines.fold(line, u32::saturating_add);
        Ok(Some(Piece { bytes, line, blocks }))
    }
}

/// Reads pieces one after the other, each in parallel, and takes their batches in order.
///
/// `next` gives the next piece, and may use what is left of one that was parsed.
pub(super) fn read_pieces<P: Send + Sync, E: Send>(
    mut next: impl FnMut(Option<P>) -> Result<Option<P>, E> + Send,
    parse: impl Fn(&P) -> Result<Vec<Batch>, E> + Sync,
    mut take: impl FnMut(Batch) + Send,
) -> Result<(), E> {
    let mut ready: Vec<Batch> = Vec::new();
    let (mut piece, mut used) = (next(None)?, None);
    while let Some(current) = piece {
        let advance = || {
            ready.drain(..).for_each(&mut take);
            next(used.take())
        };
        let (parsed, following) = rayon::join(|| parse(&current), advance);
        ready = parsed?;
        piece = following?;
        used = Some(current);
    }
    ready.into_iter().for_each(take);
    Ok(())
}
