//! `history.rash`: histories in a compact binary form, about a tenth of the size of JSON lines.
//!
//! A file is a header and blocks. Every block stands for itself: it has a checksum, and a
//! dictionary of its own, so that blocks can be read in parallel, more can be appended at any
//! time, and whatever becomes of a file, the blocks before stay readable. The columns of a block
//! are coded the way column stores do it (Abadi, Madden & Ferreira, "Integrating compression and
//! execution in column-oriented database systems", SIGMOD 2006): by dictionary, by difference
//! from the row before, and once if all rows agree.
//!
//! All fixed numbers are little-endian; a *number* is a base-128 varint (LEB128) of at most 64
//! bits; a *text* is its length in bytes as a number, and UTF-8.
//!
//! ```text
//! file     := header block*
//! header   := 89 52 41 53 48 0D 0A 1A, version: u32 = 1, CRC-32 of these twelve bytes
//! block    := payload length: u32, events: u32, CRC-32 of the payload,
//!             CRC-32 of these twelve bytes and of the block's number: u64, from 0;
//!             payload
//! payload  := names values columns A5
//! names    := how many, texts                                   functions, nodes, named processes
//! values   := how many, values
//! value    := a number n, by n mod 8, with m = n div 8
//!             0: the integer whose zigzag is m        3: a number's spelling: m bytes
//!             1: nil, false, true for m = 0, 1, 2;    4: a list of m values
//!                an integer of 64 bits for m = 3      5: a map of m pairs of values
//!             2: a text of m bytes
//! columns  := what index untimed time process key value node error
//! what     := a number for each event: 8 × name + 4 if the process has a name
//!             + 0, 1, 2, 3 for invoke, ok, fail, info
//! others   := 0 and one number that is every event's, or 1 and a number for each event
//! ```
//!
//! `index` and `time` are the zigzag of the difference from the event before (from -1 and 0 at the
//! beginning of a block); `untimed` is 1 where there is no time, and `time` leaves such events out;
//! `process` is a client's number or a name's; `node` is 0 or one more than a name's. In `key`,
//! `value` and `error` an even number is twice the zigzag of an integer, and an odd number is
//! 2 × i + 1 for nil (i = 0) or the i-th of the values, counting from 1.
//!
//! A recorder that is killed leaves a last block that is too short, or one that the file system
//! filled up with zeros; as the last byte of a block is never zero, that can be told from damage.
//! Such a block is left out with a warning. Damage anywhere is an error that names the block.

mod block;
mod frame;
mod value;
mod varint;
mod writer;

use std::io::Read;

use super::batch::Batch;
use super::blocks;
use super::error::{Blame, Problem, Warning};
use frame::{Frame, Frames};

pub use writer::Writer;

/// What a file begins with: no text, and nothing that survives a change of line ends.
pub(super) const MAGIC: [u8; 8] = *b"\x89RASH\r\n\x1a";
/// The only version of the format so far.
const VERSION: u32 = 1;
/// The last byte of each block.
const END: u8 = 0xA5;
/// Enough to keep each thread busy, and little beside a large history.
const BLOCKS_A_THREAD: usize = 2;

/// Reads a whole stream, and gives out its batches in order; says if its end is missing.
pub(super) fn read(
    stream: impl Read + Send,
    take: impl FnMut(Batch) + Send,
) -> Result<Option<Warning>, Blame> {
    let blame = |problem: Problem| (None, problem);
    let mut frames = Frames::new(stream).map_err(blame)?;
    let at_once = BLOCKS_A_THREAD * rayon::current_num_threads();
    let next = |_| {
        let mut some = Vec::with_capacity(at_once);
        while some.len() < at_once
            && let Some(frame) = frames.next().map_err(blame)?
        {
            some.push(frame);
        }
        Ok((!some.is_empty()).then_some(some))
    };
    let parse = |some: &Vec<Frame>| blocks::read_all(some, Frame::decode).map_err(blame);
    blocks::read_pieces(next, parse, take)?;
    Ok(frames.torn())
}
