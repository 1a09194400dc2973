//! Events on their way from a file to a history: rows of numbers, and tables of what they mean.
//!
//! Readers fill a batch for each block of a file, in parallel, with tables of the block's own. Put
//! together in the order of the file, and translated into the tables of the whole, the rows become
//! events or operations. So nobody has to hold all events of a file to make a history of it.

use std::sync::Arc;

use super::event::{Event, EventType, Process};
use super::intern::{NameId, NameTable, Translation, ValueId, ValueTable};

/// Who acted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Actor {
    Client(u64),
    Named(NameId),
}

/// An [`Event`], with ids instead of names and values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) index: u64,
    pub(super) time: Option<u64>,
    pub(super) actor: Actor,
    pub(super) kind: EventType,
    pub(super) f: NameId,
    pub(super) node: Option<NameId>,
    /// [`ValueId::NIL`] for none.
    pub(super) key: ValueId,
    pub(super) value: ValueId,
    /// [`ValueId::NIL`] for none.
    pub(super) error: ValueId,
    pub(super) line: u32,
}

impl Row {
    /// The client's number, if a client acted.
    pub(super) fn client(&self) -> Option<u64> {
        match self.actor {
            Actor::Client(number) => Some(number),
            Actor::Named(_) => None,
        }
    }
}

/// What the ids in rows mean.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) names: NameTable,
    pub(super) values: ValueTable,
}

impl Tables {
    pub(super) fn new() -> Self {
        Tables { names: NameTable::default(), values: ValueTable::new() }
    }

    /// The row of an event.
    pub(super) fn row(&mut self, event: &Event) -> Row {
        Row {
            index: event.index,
            time: event.time,
            actor: match &event.process {
                Process::Client(number) => Actor::Client(*number),
                Process::Named(name) => Actor::Named(self.names.intern(name)),
            },
            kind: event.kind,
            f: self.names.intern(&event.f),
            node: event.node.as_ref().map(|node| self.names.intern(node)),
            key: event.key.as_ref().map_or(ValueId::NIL, |key| self.values.intern(key)),
            value: self.values.intern(&event.value),
            error: event.error.as_ref().map_or(ValueId::NIL, |error| self.values.intern(error)),
            line: event.line,
        }
    }

    /// The event of a row.
    pub(super) fn event(&self, row: &Row) -> Event {
        let present = |id: ValueId| (id != ValueId::NIL).then(|| self.values.get(id));
        Event {
            index: row.index,
            time: row.time,
            process: self.process(row.actor),
            kind: row.kind,
            f: Arc::clone(self.names.get(row.f)),
            key: present(row.key),
            value: self.values.get(row.value),
            node: row.node.map(|node| Arc::clone(self.names.get(node))),
            error: present(row.error),
            line: row.line,
        }
    }

    pub(super) fn process(&self, actor: Actor) -> Process {
        match actor {
            Actor::Client(number) => Process::Client(number),
            Actor::Named(name) => Process::Named(Arc::clone(self.names.get(name))),
        }
    }

    /// Takes over the tables of some rows, and has the rows refer to these tables instead.
    pub(super) fn absorb(&mut self, tables: Tables, rows: &mut [Row]) {
        let names: Vec<NameId> = tables.names.iter().map(|name| self.names.intern(name)).collect();
        let name = |id: NameId| names[id.0 as usize];
        let values: Translation = self.values.absorb(tables.values);
        for row in rows {
            if let Actor::Named(process) = &mut row.actor {
                *process = name(*process);
            }
            row.f = name(row.f);
            row.node = row.node.map(name);
            row.key = values.translate(row.key);
            row.value = values.translate(row.value);
            row.error = values.translate(row.error);
        }
    }
}

/// What was read from a part of a file.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) rows: Vec<Row>,
    pub(super) tables: Tables,
    /// Whether some event has no index of its own.
    pub(super) lacks_index: bool,
    /// The line of an event that the end of the file cut off.
    pub(super) cut_off: Option<u32>,
}

impl Batch {
    pub(super) fn with_capacity(rows: usize) -> Self {
        Batch {
            rows: Vec::with_capacity(rows),
            tables: Tables::new(),
            lacks_index: false,
            cut_off: None,
        }
    }

    /// Adds an event, and whether it has an index of its own.
    pub(super) fn push(&mut self, (event, has_index): (Event, bool)) {
        self.lacks_index |= !has_index;
        self.rows.push(self.tables.row(&event));
    }
}
