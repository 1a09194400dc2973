//! Writing events into blocks.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use super::block;
use super::frame::{Frames, block_header, file_header};
use super::value::size;
use crate::history::batch::Batch;
use crate::history::error::Problem;
use crate::history::event::Event;
use crate::history::printing::too_deep;
use crate::history::syntax::MAX_DEPTH;

/// Enough that a block's dictionary does not weigh, and few enough to spread over threads.
const MOST_EVENTS: usize = 16 << 10;
/// A block with large values is written before it becomes one itself.
const MOST_BYTES: usize = 4 << 20;

/// Writes events as `history.rash`.
///
/// Events are kept until there are enough for a block. Whoever wants them to survive what may
/// happen to the process calls [`Writer::end_block`]; and at the end, [`Writer::finish`].
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    batch: Batch,
    /// How many bytes the batch may well take.
    bytes: usize,
    /// The number of the next block.
    number: u64,
}

impl<W: Write> Writer<W> {
    /// Begins a file.
    ///
    /// # Errors
    ///
    /// What the writer fails with.
    pub fn new(mut out: W) -> io::Result<Self> {
        out.write_all(&file_header())?;
        Ok(Writer::at(out, 0))
    }

    fn at(out: W, number: u64) -> Self {
        Writer { out, batch: Batch::with_capacity(0), bytes: 0, number }
    }

    /// Adds an event. Reading it back gives the same event, but for [`Event::line`], and for a key
    /// or error of `Some(Nil)`, which mean and are read back as none.
    ///
    /// # Errors
    ///
    /// What the writer fails with, and [`io::ErrorKind::InvalidInput`] for a value nested too
    /// deeply to be read back.
    pub fn write_event(&mut self, event: &Event) -> io::Result<()> {
        let values = [Some(&event.value), event.key.as_ref(), event.error.as_ref()];
        for value in values.into_iter().flatten() {
            if value.depth() > MAX_DEPTH {
                return Err(too_deep());
            }
            self.bytes += size(value);
        }
        let row = self.batch.tables.row(event);
        self.batch.rows.push(row);
        if self.batch.rows.len() >= MOST_EVENTS || self.bytes >= MOST_BYTES {
            self.end_block()?;
        }
        Ok(())
    }

    /// Writes what was kept as a block, in a single write.
    ///
    /// # Errors
    ///
    /// What the writer fails with, and [`io::ErrorKind::InvalidInput`] for events that take more
    /// than four gigabytes.
    pub fn end_block(&mut self) -> io::Result<()> {
        if self.batch.rows.is_empty() {
            return Ok(());
        }
        let batch = std::mem::replace(&mut self.batch, Batch::with_capacity(0));
        self.bytes = 0;
        let payload = block::encode(&batch);
        let header =
            block_header(self.number, &payload, batch.rows.len() as u32).ok_or_else(|| {
                let message = "a value takes more than four gigabytes";
                io::Error::new(io::ErrorKind::InvalidInput, message)
            })?;
        self.out.write_all(&[&header, &payload[..]].concat())?;
        self.number += 1;
        self.out.flush()
    }

    /// Writes what was kept, and gives the writer back.
    ///
    /// # Errors
    ///
    /// As [`Writer::end_block`].
    pub fn finish(mut self) -> io::Result<W> {
        self.end_block()?;
        Ok(self.out)
    }
}

impl Writer<File> {
    /// Goes on with a file, which must be open for reading and writing, after its last whole
    /// block; says how many bytes of a torn one were cut off.
    ///
    /// # Errors
    ///
    /// What the file fails with, and [`io::ErrorKind::InvalidData`] if it is damaged or no such
    /// file.
    pub fn append(mut file: File) -> io::Result<(Self, u64)> {
        file.seek(SeekFrom::Start(0))?;
        let failed = |problem| match problem {
            Problem::Io(error) => error,
            other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
        };
        let mut frames = Frames::new(io::BufReader::new(&file)).map_err(failed)?;
        while frames.next().map_err(failed)?.is_some() {}
        let (number, end) = frames.position();
        let torn = file.metadata()?.len() - end;
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
        Ok((Writer::at(file, number), torn))
    }
}
