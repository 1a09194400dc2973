//! Putting together what was read from the parts of a file, in the order of the file.

use super::batch::{Batch, Row, Tables};
use super::error::{Blame, Position, Problem, Warning};
use super::event::{Event, EventType};
use super::intern::ValueId;
use super::keys::Keys;
use super::operation::History;
use super::pairing::{HistoryError, Pairing};

/// What rows become.
pub(super) trait Sink: Send {
    /// What there is in the end.
    type Whole;

    /// Takes the next rows of a file.
    fn take(&mut self, rows: &[Row], tables: &Tables);

    /// The whole; `lacks_index` if positions are to be the indices of the events.
    fn finish(self, tables: Tables, lacks_index: bool) -> Self::Whole;
}

impl Sink for Vec<Event> {
    type Whole = Vec<Event>;

    fn take(&mut self, rows: &[Row], tables: &Tables) {
        self.extend(rows.iter().map(|row| tables.event(row)));
    }

    fn finish(mut self, _: Tables, lacks_index: bool) -> Vec<Event> {
        if lacks_index {
            for (index, event) in (0..).zip(&mut self) {
                event.index = index;
            }
        }
        self
    }
}

/// Pairs rows as far as they make sense. Whether the rest of the file can be read is to be known
/// before anybody hears that they do not.
#[derive(Debug, Default)]
pub(super) struct Operations {
    pairing: Pairing,
    error: Option<HistoryError>,
}

impl Sink for Operations {
    type Whole = Result<History, HistoryError>;

    fn take(&mut self, rows: &[Row], tables: &Tables) {
        if self.error.is_none() {
            self.error = rows.iter().find_map(|row| self.pairing.row(row, tables).err());
        }
    }

    fn finish(mut self, tables: Tables, lacks_index: bool) -> Self::Whole {
        if let Some(error) = self.error {
            return Err(error);
        }
        if lacks_index {
            self.pairing.number_named();
        }
        Ok(self.pairing.finish(tables))
    }
}

/// Only looks whether positions are to be the indices of the events.
#[derive(Debug)]
pub(super) struct Look;

impl Sink for Look {
    type Whole = bool;

    fn take(&mut self, _: &[Row], _: &Tables) {}

    fn finish(self, _: Tables, lacks_index: bool) -> bool {
        lacks_index
    }
}

/// Gives events away as they come, some at a time.
#[derive(Debug)]
pub(super) struct Visit<F, E> {
    pub(super) take: F,
    /// Whether positions are to be the indices of the events.
    pub(super) is_numbered: bool,
    pub(super) events: u64,
    /// Why nobody takes any more.
    pub(super) error: Option<E>,
}

impl<F, E> Sink for Visit<F, E>
where
    F: FnMut(&[Event]) -> Result<(), E> + Send,
    E: Send,
{
    type Whole = Result<(), E>;

    fn take(&mut self, rows: &[Row], tables: &Tables) {
        if self.error.is_some() {
            return;
        }
        let mut events: Vec<Event> = rows.iter().map(|row| tables.event(row)).collect();
        if self.is_numbered {
            for (index, event) in (self.events..).zip(&mut events) {
                event.index = index;
            }
        }
        self.events += events.len() as u64;
        self.error = (self.take)(&events).err();
    }

    fn finish(self, _: Tables, _: bool) -> Result<(), E> {
        self.error.map_or(Ok(()), Err)
    }
}

/// A file being put together.
#[derive(Debug)]
pub(super) struct Assembly<S> {
    tables: Tables,
    sink: S,
    keys: Keys,
    lacks_index: bool,
    cut_off: Option<u32>,
    is_empty: bool,
    has_clients: bool,
    has_unkeyed: bool,
    /// The first row of somebody who does something.
    acting: Option<Row>,
}

/// A file as it was put together.
#[derive(Debug)]
pub(super) struct Assembled<W> {
    pub(super) whole: W,
    /// Whether every client's event has a key of its own.
    pub(super) is_keyed: bool,
    pub(super) warnings: Vec<Warning>,
}

impl<S: Sink> Assembly<S> {
    pub(super) fn new(keys: Keys, sink: S) -> Self {
        Assembly {
            tables: Tables::new(),
            sink,
            keys,
            lacks_index: false,
            cut_off: None,
            is_empty: true,
            has_clients: false,
            has_unkeyed: false,
            acting: None,
        }
    }

    /// Takes the next part of the file.
    pub(super) fn take(&mut self, batch: Batch) {
        let Batch { mut rows, tables, lacks_index, cut_off } = batch;
        self.tables.absorb(tables, &mut rows);
        rows.iter().for_each(|row| self.look_at(row));
        self.lacks_index |= lacks_index;
        self.cut_off = cut_off;
        self.keys.settle(&mut rows, &self.tables);
        self.sink.take(&rows, &self.tables);
    }

    fn look_at(&mut self, row: &Row) {
        self.is_empty = false;
        if row.client().is_some() {
            self.has_clients = true;
            self.has_unkeyed |= row.key == ValueId::NIL;
        } else if self.acting.is_none() && row.kind != EventType::Info {
            self.acting = Some(*row);
        }
    }

    /// The whole, once all parts were taken.
    pub(super) fn finish(mut self) -> Result<Assembled<S::Whole>, Blame> {
        if self.is_empty {
            return Err((None, Problem::Empty));
        }
        let held = self.keys.finish(&self.tables).map_err(|(line, message)| {
            // The binary form has no lines.
            let position = (line > 0).then_some(Position { line, column: None });
            (position, Problem::Keys(message))
        })?;
        self.sink.take(&held, &self.tables);
        let cut_off = self.cut_off.map(|line| Warning::CutOff { line });
        let acting = self.acting.filter(|_| !self.has_clients).map(|row| Warning::NoClients {
            line: row.line,
            process: self.tables.process(row.actor),
        });
        Ok(Assembled {
            whole: self.sink.finish(self.tables, self.lacks_index),
            is_keyed: self.has_clients && !self.has_unkeyed,
            warnings: cut_off.into_iter().chain(acting).collect(),
        })
    }
}
