//! The recorder: one clock, one file, every event as it happens.
//!
//! Time and position are taken under one lock, so the order of the lines is the order of the
//! times. Each event is one `write` to the file: a killed harness loses at most the line it was
//! writing, which `rashomon check` reports as a warning.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rashomon_checker::history::{Event, EventType, Process, Value, jsonl};

/// What is to be recorded; index and time are the recorder's to give.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Who acts.
    pub process: Process,
    /// Invocation or completion.
    pub kind: EventType,
    /// The function.
    pub f: &'static str,
    /// The object, where there are several.
    pub key: Option<Value>,
    /// Argument or result.
    pub value: Value,
    /// The node asked.
    pub node: Option<Arc<str>>,
    /// Why it failed, or why nobody knows.
    pub error: Option<Value>,
}

impl Entry {
    /// The event at a place and a time, in nanoseconds since the run began.
    pub(crate) fn event(self, index: u64, time: u64) -> Event {
        Event {
            index,
            time: Some(time),
            process: self.process,
            kind: self.kind,
            f: Arc::from(self.f),
            key: self.key,
            value: self.value,
            node: self.node,
            error: self.error,
            line: 0,
        }
    }
}

/// Appends events to a history file.
#[derive(Debug)]
pub struct Recorder {
    began: Instant,
    tape: Mutex<Tape>,
}

#[derive(Debug)]
struct Tape {
    file: File,
    next_index: u64,
    line: Vec<u8>,
    failure: Option<io::Error>,
}

impl Recorder {
    /// Starts an empty history at `path`; its clock starts now.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = File::create(path)?;
        let tape = Tape { file, next_index: 0, line: Vec::with_capacity(256), failure: None };
        Ok(Recorder { began: Instant::now(), tape: Mutex::new(tape) })
    }

    /// The instant that is time zero of this history.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// Records one event and returns its time, in nanoseconds since the run began.
    ///
    /// A client records its invocation before it sends and its completion after it has the
    /// answer, so that the true moment lies between the two. A write that fails (a full disk) is
    /// kept and reported by [`Recorder::finish`]: the clients must not stop in mid-operation.
    pub fn record(&self, entry: Entry) -> u64 {
        let mut tape = self.tape.lock().expect("a recorder that panicked has lost its history");
        let time =
            u64::try_from(self.began.elapsed().as_nanos()).expect("runs end within 584 years");
        let event = entry.event(tape.next_index, time);
        tape.next_index += 1;
        tape.append(&event);
        time
    }

    /// The first error met while writing, if any.
    ///
    /// # Errors
    /// The first write that failed.
    pub fn finish(&self) -> io::Result<()> {
        let mut tape = self.tape.lock().expect("a recorder that panicked has lost its history");
        match tape.failure.take() {
            Some(failure) => Err(failure),
            None => tape.file.sync_data(),
        }
    }
}

impl Tape {
    fn append(&mut self, event: &Event) {
        self.line.clear();
        let written = jsonl::write_event(&mut self.line, event)
            .and_then(|()| self.file.write_all(&self.line));
        if let Err(error) = written {
            self.failure.get_or_insert(error);
        }
    }
}
