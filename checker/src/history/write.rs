//! Writing a history in any of the formats that can hold one.

use std::io::{self, Write};

use super::event::Event;
use super::format::Format;
use super::{jsonl, printing, rash};

impl Format {
    /// Those that can be written. The others have neither times nor keys, or are a way of using
    /// one of these.
    pub const WRITABLE: [Format; 4] = [Format::Jsonl, Format::Json, Format::Edn, Format::Rash];
}

/// Writes events in a format.
#[derive(Debug)]
pub struct Writer<W> {
    kind: Kind<W>,
}

#[derive(Debug)]
enum Kind<W> {
    Jsonl(W),
    Json { out: W, is_empty: bool },
    Edn(W),
    Rash(rash::Writer<W>),
}

impl<W: Write> Writer<W> {
    /// Begins a file.
    ///
    /// # Errors
    ///
    /// What the writer fails with, and [`io::ErrorKind::Unsupported`] for a format that is not
    /// [`Format::WRITABLE`].
    pub fn new(out: W, format: Format) -> io::Result<Self> {
        let kind = match format {
            Format::Jsonl => Kind::Jsonl(out),
            Format::Json => Kind::Json { out, is_empty: true },
            Format::Edn => Kind::Edn(out),
            Format::Rash => Kind::Rash(rash::Writer::new(out)?),
            Format::PorcupineKv | Format::PorcupineEtcd | Format::JepsenLog => {
                let names = Format::WRITABLE.map(Format::as_str).join(", ");
                let message = format!("{format} cannot be written; choose one of {names}");
                return Err(io::Error::new(io::ErrorKind::Unsupported, message));
            }
        };
        Ok(Writer { kind })
    }

    /// Adds an event. Reading it back gives the same event, but for [`Event::line`], for a key or
    /// error of `Some(Nil)`, which mean and are read back as none, and for what EDN leaves to its
    /// readers: a number in a spelling it does not have becomes text, the text of an operation
    /// that did not succeed is taken for the error, and lists of two may be taken for keys.
    ///
    /// # Errors
    ///
    /// What the writer fails with, and [`io::ErrorKind::InvalidInput`] for a value nested too
    /// deeply to be read back.
    pub fn write_event(&mut self, event: &Event) -> io::Result<()> {
        match &mut self.kind {
            Kind::Jsonl(out) => jsonl::write_event(out, event),
            Kind::Json { out, is_empty } => {
                let mut line = vec![if *is_empty { b'[' } else { b',' }];
                jsonl::write_event(&mut line, event)?;
                *is_empty = false;
                out.write_all(&line)
            }
            Kind::Edn(out) => printing::write_edn(out, event),
            Kind::Rash(writer) => writer.write_event(event),
        }
    }

    /// Ends the file, and gives the writer back.
    ///
    /// # Errors
    ///
    /// What the writer fails with.
    pub fn finish(self) -> io::Result<W> {
        match self.kind {
            Kind::Jsonl(out) | Kind::Edn(out) => Ok(out),
            Kind::Json { mut out, is_empty } => {
                out.write_all(if is_empty { b"[]\n" } else { b"]\n" })?;
                Ok(out)
            }
            Kind::Rash(writer) => writer.finish(),
        }
    }
}
