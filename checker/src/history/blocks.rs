//! Reading a large file by blocks, in parallel, as if it had been read from top to bottom.
//!
//! Blocks begin where an event begins, lines are counted before anything is parsed, and the first
//! fault by position is the one reported: the result does not depend on the number of threads.

use std::ops::Range;

use rayon::prelude::*;

use super::error::{count_newlines, line_of};
use super::event::Event;
use super::syntax::{Fault, text};

/// Small enough to spread over threads, large enough that a thread's start does not show.
const BLOCK_BYTES: usize = 1 << 20;
/// Enough to keep all threads busy, and little beside the events.
const BATCH_BLOCKS: usize = 32;

/// A part of a file that holds whole events.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'a> {
    bytes: &'a [u8],
    /// Where it begins in the file.
    pub(super) offset: usize,
    /// The line it begins on.
    pub(super) line: u32,
    /// How many newlines are in it.
    pub(super) newlines: u32,
    /// Whether the file ends with it.
    pub(super) is_last: bool,
}

impl<'a> Block<'a> {
    /// The rest of a file, as one block.
    pub(super) fn rest(bytes: &'a [u8], offset: usize) -> Self {
        Block {
            bytes: &bytes[offset..],
            offset,
            line: line_of(bytes, offset),
            newlines: count_newlines(&bytes[offset..]),
            is_last: true,
        }
    }

    /// The block as text.
    pub(super) fn text(&self) -> Result<&'a str, Fault> {
        text(self.bytes, self.is_last).map_err(|fault| fault.shifted(self.offset))
    }
}

/// What was read from a block, or from all of them.
#[derive(Debug, Default)]
pub(super) struct Events {
    pub(super) events: Vec<Event>,
    /// Whether some event has no index of its own.
    pub(super) lacks_index: bool,
    /// The line of an event that the end of the file cut off.
    pub(super) cut_off: Option<u32>,
}

impl Events {
    pub(super) fn with_capacity(events: usize) -> Self {
        Events { events: Vec::with_capacity(events), ..Events::default() }
    }

    /// Takes an event, and whether it has an index of its own.
    pub(super) fn push(&mut self, (event, has_index): (Event, bool)) {
        self.events.push(event);
        self.lacks_index |= !has_index;
    }

    fn append(&mut self, mut later: Events) {
        self.events.append(&mut later.events);
        self.lacks_index |= later.lacks_index;
        self.cut_off = later.cut_off;
    }

    /// The events, numbered by position unless each has an index of its own.
    pub(super) fn numbered(mut self) -> Self {
        if self.lacks_index {
            for (index, event) in (0..).zip(&mut self.events) {
                event.index = index;
            }
        }
        self
    }
}

/// Splits a file, from `start` on, into blocks of about a megabyte; each but the first begins
/// after a newline with a rest that `begins_event`.
pub(super) fn split(
    bytes: &[u8],
    start: usize,
    begins_event: impl Fn(&[u8]) -> bool,
) -> Vec<Block<'_>> {
    let mut ranges = Vec::new();
    let mut from = start;
    while from < bytes.len() {
        let mut to = (from + BLOCK_BYTES).min(bytes.len());
        while let Some(newline) = memchr::memchr(b'\n', &bytes[to..]) {
            to += newline + 1;
            if begins_event(&bytes[to..]) {
                break;
            }
        }
        if !begins_event(&bytes[to..]) {
            to = bytes.len();
        }
        ranges.push(from..to);
        from = to;
    }
    let newlines: Vec<u32> =
        ranges.par_iter().map(|range| count_newlines(&bytes[range.clone()])).collect();
    let mut line = line_of(bytes, start);
    let block = |(range, newlines): (Range<usize>, u32)| {
        let block = Block {
            bytes: &bytes[range.clone()],
            offset: range.start,
            line,
            newlines,
            is_last: range.end == bytes.len(),
        };
        line = line.saturating_add(newlines);
        block
    };
    ranges.into_iter().zip(newlines).map(block).collect()
}

/// Reads all blocks and puts their events together.
pub(super) fn read_all<'a>(
    blocks: &[Block<'a>],
    read: impl Fn(&Block<'a>) -> Result<Events, Fault> + Send + Sync,
) -> Result<Events, Fault> {
    let mut all = Events::default();
    for batch in blocks.chunks(BATCH_BLOCKS) {
        let parts: Vec<_> = batch.par_iter().map(&read).collect();
        for part in parts {
            all.append(part?);
        }
    }
    Ok(all)
}
