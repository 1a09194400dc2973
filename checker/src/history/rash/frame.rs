//! Finding blocks in a stream, and telling whole ones from torn and damaged ones.

use std::io::{self, Read};

use super::varint::Nonsense;
use super::{END, MAGIC, VERSION, block};
use crate::history::batch::Batch;
use crate::history::error::{Problem, Warning};
use crate::history::format::Format;

/// The length of the file's header, and of a block's.
pub(super) const HEADER: usize = 16;

/// The header of a file.
pub(super) fn file_header() -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    let checksum = crc32fast::hash(&header[..12]);
    header[12..].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// The header of the block with this number, if its payload is not too long.
pub(super) fn block_header(number: u64, payload: &[u8], events: u32) -> Option<[u8; HEADER]> {
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(&u32::try_from(payload.len()).ok()?.to_le_bytes());
    header[4..8].copy_from_slice(&events.to_le_bytes());
    header[8..12].copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
    let checksum = header_checksum(&header, number);
    header[12..].copy_from_slice(&checksum.to_le_bytes());
    Some(header)
}

/// Also of the block's number: a block that is lost or out of place is noticed.
fn header_checksum(header: &[u8; HEADER], number: u64) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header[..12]);
    hasher.update(&number.to_le_bytes());
    hasher.finalize()
}

fn word(header: &[u8; HEADER], at: usize) -> u32 {
    u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

/// A block whose checksums are right.
#[derive(Debug)]
pub(super) struct Frame {
    payload: Vec<u8>,
    events: u32,
    number: u64,
    offset: u64,
}

impl Frame {
    /// Its events.
    pub(super) fn decode(&self) -> Result<Batch, Problem> {
        let damaged = |Nonsense(what)| damaged(self.number, self.offset, what);
        block::decode(&self.payload, self.events).map_err(damaged)
    }
}

fn damaged(number: u64, offset: u64, what: &'static str) -> Problem {
    Problem::Damaged { block: number + 1, offset, what }
}

/// The blocks of a stream.
#[derive(Debug)]
pub(super) struct Frames<R> {
    reader: R,
    /// How many whole blocks there were.
    number: u64,
    /// Where the last of them ended.
    offset: u64,
    /// How many bytes of a torn block follow.
    torn: Option<u64>,
}

impl<R: Read> Frames<R> {
    /// Takes the header of a file.
    pub(super) fn new(mut reader: R) -> Result<Self, Problem> {
        let mut header = [0; HEADER];
        let length = fill(&mut reader, &mut header)?;
        if !header.starts_with(&MAGIC) {
            let message = "it does not begin as such a file does".to_owned();
            return Err(Problem::Syntax { format: Format::Rash, message });
        }
        if length < HEADER {
            return Err(Problem::Empty);
        }
        if crc32fast::hash(&header[..12]) != word(&header, 12) {
            return Err(Problem::Syntax {
                format: Format::Rash,
                message: "the first 16 bytes are damaged".to_owned(),
            });
        }
        match word(&header, 8) {
            VERSION => Ok(Frames { reader, number: 0, offset: HEADER as u64, torn: None }),
            version => Err(Problem::Version { version }),
        }
    }

    /// The next block; none at the end, and none where the rest is torn.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, Problem> {
        if self.torn.is_some() {
            return Ok(None);
        }
        let mut header = [0; HEADER];
        match fill(&mut self.reader, &mut header)? {
            0 => return Ok(None),
            HEADER => {}
            length => return Ok(self.tear(length as u64)),
        }
        if header_checksum(&header, self.number) != word(&header, 12) {
            // A header at the very end is torn, whatever it says.
            return match zeros(&mut self.reader)? {
                Some(zeros) => Ok(self.tear(HEADER as u64 + zeros)),
                None => {
                    Err(damaged(self.number, self.offset, "the checksum of its header is wrong"))
                }
            };
        }
        let length = word(&header, 0);
        let mut payload = Vec::new();
        (&mut self.reader).take(u64::from(length)).read_to_end(&mut payload)?;
        let whole = (HEADER + payload.len()) as u64;
        if payload.len() < length as usize {
            return Ok(self.tear(whole));
        }
        if crc32fast::hash(&payload) != word(&header, 8) {
            if payload.last() == Some(&0)
                && let Some(zeros) = zeros(&mut self.reader)?
            {
                return Ok(self.tear(whole + zeros));
            }
            return Err(damaged(self.number, self.offset, "its checksum is wrong"));
        }
        let (number, offset) = (self.number, self.offset);
        self.number += 1;
        self.offset += whole;
        Ok(Some(Frame { payload, events: word(&header, 4), number, offset }))
    }

    fn tear(&mut self, bytes: u64) -> Option<Frame> {
        self.torn = Some(bytes);
        None
    }

    /// A warning if the end of the stream is torn.
    pub(super) fn torn(&self) -> Option<Warning> {
        self.torn.map(|bytes| Warning::Torn { offset: self.offset, bytes })
    }

    /// How many whole blocks there were, and where the last of them ended.
    pub(super) fn position(&self) -> (u64, u64) {
        (self.number, self.offset)
    }
}

/// Reads until a buffer is full or there is nothing more; says how much there was.
fn fill(reader: &mut impl Read, mut buffer: &mut [u8]) -> io::Result<usize> {
    let wanted = buffer.len();
    while !buffer.is_empty() {
        match reader.read(buffer) {
            Ok(0) => break,
            Ok(length) => buffer = &mut buffer[length..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(wanted - buffer.len())
}

/// How many zeros a stream ends with, if there is nothing else in it.
fn zeros(reader: &mut impl Read) -> io::Result<Option<u64>> {
    let mut buffer = [0; 4096];
    let mut count = 0;
    loop {
        match fill(reader, &mut buffer)? {
            0 => return Ok(Some(count)),
            length if buffer[..length].iter().all(|byte| *byte == 0) => count += length as u64,
            _ => return Ok(None),
        }
    }
}

// A block that the file system filled up with zeros does not end as a whole one does.
const _: () = assert!(END != 0);
