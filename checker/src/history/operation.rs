//! Operations: invocations paired with their completions, in columns.
//!
//! An operation is a closed interval between two points on one line of events; two operations are
//! ordered only where one's end lies strictly before the other's start (Herlihy & Wing, TOPLAS
//! 1990, section 2). The points are *ranks*: dense numbers, by time where every client event has
//! one and by line otherwise. Where times are equal, invocations rank before completions, so what
//! touches is concurrent: a clock too coarse to tell must not order anything.
//!
//! The layout is columnar and private, and takes 37 bytes an operation where nothing is odd;
//! [`Operation`] is a view of one row.

use std::fmt;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::batch::Tables;
use super::intern::{ValueId, ValueTable};
use super::pairing::{HistoryError, Pairing};
use super::timeline::{Lines, Ranks, Times};
use super::{Event, Value};

/// The end of an operation that has none: an `info` may still happen at any later time.
pub const NEVER: u32 = u32::MAX;

/// In the column of nodes: none is known.
pub(super) const NO_NODE: u16 = u16::MAX;

/// An operation of one [`History`]: dense from 0, in the order of the invocations' lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OpId(pub u32);

/// What is known of an operation in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It happened.
    Ok,
    /// It certainly did not happen.
    Fail,
    /// Nobody knows: it may happen at any later time, or never.
    Info,
}

/// Where an event stands: its line in a file, or its place in the recording if it came from none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// 1-based line in the file, 0 if there is no file.
    pub line: u32,
    /// 0-based position among the events of the history.
    pub event: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "event {}", self.event),
            line => write!(f, "line {line}"),
        }
    }
}

/// A recorded history, operation by operation.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub(super) columns: Columns,
    /// The completion events of those that ended in doubt; they have no rank.
    pub(super) ended_in_doubt: FxHashMap<u32, u32>,
    pub(super) errors: FxHashMap<u32, ValueId>,
    /// Who answered, where that is another node than was asked.
    pub(super) answered: FxHashMap<u32, u16>,
    pub(super) lines: Lines,
    pub(super) times: Times,
    pub(super) ranks: Ranks,
    pub(super) processes: Vec<u64>,
    pub(super) functions: Vec<Arc<str>>,
    pub(super) nodes: Vec<Arc<str>>,
    pub(super) values: ValueTable,
    pub(super) named: Vec<Event>,
}

/// One row for each operation.
#[derive(Clone, Debug, Default)]
pub(super) struct Columns {
    /// A position in [`History::processes`].
    pub(super) process: Vec<u32>,
    /// A position in [`History::functions`].
    pub(super) function: Vec<u16>,
    pub(super) outcome: Vec<Outcome>,
    /// A position in [`History::nodes`], or [`NO_NODE`].
    pub(super) node: Vec<u16>,
    /// [`ValueId::NIL`] for none.
    pub(super) key: Vec<ValueId>,
    pub(super) input: Vec<ValueId>,
    pub(super) output: Vec<ValueId>,
    pub(super) call: Vec<u32>,
    pub(super) ret: Vec<u32>,
}

impl Columns {
    /// Forgets room that is not needed.
    pub(super) fn shrink(&mut self) {
        self.process.shrink_to_fit();
        self.function.shrink_to_fit();
        self.outcome.shrink_to_fit();
        self.node.shrink_to_fit();
        for values in [&mut self.key, &mut self.input, &mut self.output] {
            values.shrink_to_fit();
        }
        self.call.shrink_to_fit();
        self.ret.shrink_to_fit();
    }

    fn bytes(&self) -> usize {
        let values = self.key.capacity() + self.input.capacity() + self.output.capacity();
        let numbers = self.process.capacity() + self.call.capacity() + self.ret.capacity();
        let short = self.function.capacity() + self.node.capacity();
        values * size_of::<ValueId>()
            + numbers * size_of::<u32>()
            + short * size_of::<u16>()
            + self.outcome.capacity() * size_of::<Outcome>()
    }
}

impl History {
    /// Pairs invocations with completions, process by process, in the order of the events.
    ///
    /// An invocation without a completion is `info`. Nothing is dropped: failed operations stay
    /// visible, though they constrain nothing, and events of named processes are kept apart in
    /// [`History::named_events`].
    ///
    /// # Errors
    ///
    /// [`HistoryError`] if a process does what no process can; the error names the line.
    pub fn from_events(events: &[Event]) -> Result<Self, HistoryError> {
        let mut tables = Tables::new();
        let mut pairing = Pairing::default();
        for event in events {
            let row = tables.row(event);
            pairing.row(&row, &tables)?;
        }
        Ok(pairing.finish(tables))
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.columns.process.len()
    }

    /// Whether there is no operation at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All operations, in the order of their ids.
    pub fn operations(&self) -> impl ExactSizeIterator<Item = Operation<'_>> {
        (0..self.len() as u32).map(|id| Operation { history: self, id: OpId(id) })
    }

    /// One operation.
    ///
    /// # Panics
    ///
    /// If the id is of another history and out of range.
    pub fn operation(&self, id: OpId) -> Operation<'_> {
        assert!((id.0 as usize) < self.len(), "no operation {} in this history", id.0);
        Operation { history: self, id }
    }

    /// The names of all functions invoked, in the order of their first use.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.functions.iter().map(|name| &**name)
    }

    /// What named processes such as the nemesis said, in the order of the lines.
    pub fn named_events(&self) -> &[Event] {
        &self.named
    }

    /// One more than the last rank: ranks are dense from 0.
    pub fn ranks(&self) -> u32 {
        self.ranks.len()
    }

    /// How many bytes the history takes in memory: its columns and values, without the events of
    /// named processes. What lies in hash tables is estimated.
    pub fn bytes(&self) -> usize {
        let doubts = self.ended_in_doubt.capacity() * size_of::<(u32, u32)>();
        let errors = self.errors.capacity() * size_of::<(u32, ValueId)>();
        let answered = self.answered.capacity() * size_of::<(u32, u16)>();
        let timeline = self.lines.bytes() + self.times.bytes() + self.ranks.bytes();
        let processes = self.processes.capacity() * size_of::<u64>();
        self.columns.bytes()
            + self.values.bytes()
            + timeline
            + processes
            + doubts
            + errors
            + answered
    }

    pub(crate) fn values(&self) -> &ValueTable {
        &self.values
    }

    /// Where an event stands.
    pub(super) fn place(&self, event: u32) -> Place {
        Place { line: self.lines.get(event), event }
    }
}

/// A view of one operation of a [`History`].
#[derive(Clone, Copy, Debug)]
pub struct Operation<'a> {
    history: &'a History,
    id: OpId,
}

impl<'a> Operation<'a> {
    fn row(self) -> usize {
        self.id.0 as usize
    }

    /// Its id.
    pub fn id(self) -> OpId {
        self.id
    }

    /// The client process.
    pub fn process(self) -> u64 {
        self.history.processes[self.history.columns.process[self.row()] as usize]
    }

    /// The function: `read`, `write`, `cas`, …
    pub fn f(self) -> &'a str {
        &self.history.functions[usize::from(self.history.columns.function[self.row()])]
    }

    /// The position of the function among [`History::functions`].
    #[inline]
    pub(crate) fn function_id(self) -> usize {
        usize::from(self.history.columns.function[self.row()])
    }

    /// The object, where the history has several.
    pub fn key(self) -> Option<Value> {
        self.key_id().map(|key| self.history.values.get(key))
    }

    /// The value at the invocation: the argument.
    pub fn input(self) -> Value {
        self.history.values.get(self.input_id())
    }

    /// The value at the completion: the result. `Nil` unless the outcome is known.
    pub fn output(self) -> Value {
        self.history.values.get(self.output_id())
    }

    /// Whether it happened.
    pub fn outcome(self) -> Outcome {
        self.history.columns.outcome[self.row()]
    }

    /// Rank of the invocation.
    pub fn call(self) -> u32 {
        self.history.columns.call[self.row()]
    }

    /// Rank of the completion; [`NEVER`] for `info`.
    pub fn ret(self) -> u32 {
        self.history.columns.ret[self.row()]
    }

    /// Nanoseconds from the start of the run to the invocation, where recorded.
    pub fn call_time(self) -> Option<u64> {
        self.history.times.get(self.history.ranks.event(self.call()))
    }

    /// Nanoseconds from the start of the run to the completion, also of an `info`, where recorded.
    pub fn return_time(self) -> Option<u64> {
        self.return_event().and_then(|event| self.history.times.get(event))
    }

    /// Where the invocation stands.
    pub fn call_place(self) -> Place {
        self.history.place(self.history.ranks.event(self.call()))
    }

    /// Where the completion stands, also of an `info`; `None` if there is none.
    pub fn return_place(self) -> Option<Place> {
        self.return_event().map(|event| self.history.place(event))
    }

    /// The node that was asked, where recorded.
    pub fn node(self) -> Option<&'a str> {
        self.history
            .nodes
            .get(usize::from(self.history.columns.node[self.row()]))
            .map(|node| &**node)
    }

    /// The node whose answer ended it, where recorded: the one that was asked, or one that it sent
    /// the client to.
    pub fn answered_by(self) -> Option<&'a str> {
        match self.history.answered.get(&self.id.0) {
            Some(node) => self.history.nodes.get(usize::from(*node)).map(|node| &**node),
            None => self.node(),
        }
    }

    /// Why it failed, or why nobody knows, where recorded.
    pub fn error(self) -> Option<Value> {
        self.history.errors.get(&self.id.0).map(|error| self.history.values.get(*error))
    }

    /// The event of the completion, also of an `info`.
    fn return_event(self) -> Option<u32> {
        match self.ret() {
            NEVER => self.history.ended_in_doubt.get(&self.id.0).copied(),
            rank => Some(self.history.ranks.event(rank)),
        }
    }

    pub(crate) fn key_id(self) -> Option<ValueId> {
        let key = self.history.columns.key[self.row()];
        (key != ValueId::NIL).then_some(key)
    }

    pub(crate) fn input_id(self) -> ValueId {
        self.history.columns.input[self.row()]
    }

    pub(crate) fn output_id(self) -> ValueId {
        self.history.columns.output[self.row()]
    }
}
