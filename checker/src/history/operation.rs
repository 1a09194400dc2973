//! Operations: invocations paired with their completions, in columns.
//!
//! An operation is a closed interval between two points on one line of events; two operations are
//! ordered only where one's end lies strictly before the other's start (Herlihy & Wing, TOPLAS
//! 1990, section 2). The points are *ranks*: dense numbers, by time where every client event has
//! one and by line otherwise. Where times are equal, invocations rank before completions, so what
//! touches is concurrent: a clock too coarse to tell must not order anything.
//!
//! The layout is columnar and private; [`Operation`] is a view of one row.

use std::fmt;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::intern::{ValueId, ValueTable};
use super::{Event, EventType, Process, Value};

/// The end of an operation that has none: an `info` may still happen at any later time.
pub const NEVER: u32 = u32::MAX;

const NO_KEY: ValueId = ValueId(u32::MAX);
const NO_TIME: u64 = u64::MAX;
const NO_NODE: u16 = u16::MAX;
const NO_EVENT: u32 = u32::MAX;

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

/// Why events do not make a history.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// A completion of a process that has nothing pending.
    #[error(
        "{place}: process {process} completes ({kind}) `{f}`, but it has no operation pending; \
         an invocation is missing before it"
    )]
    NotInvoked {
        /// The completion.
        place: Place,
        /// The process.
        process: u64,
        /// `ok`, `fail` or `info`.
        kind: &'static str,
        /// The function.
        f: String,
    },
    /// A process invokes while its previous operation is pending.
    #[error(
        "{place}: process {process} invokes `{f}` while its operation of {since} is pending; \
         a process does one thing at a time"
    )]
    StillPending {
        /// The second invocation.
        place: Place,
        /// The process.
        process: u64,
        /// The function.
        f: String,
        /// The first invocation.
        since: Place,
    },
    /// A process acts again after an operation of unknown outcome.
    #[error(
        "{place}: process {process} is used again after its operation ended in doubt (info, {since}); \
         later operations need a new process number"
    )]
    UsedAfterInfo {
        /// The invocation.
        place: Place,
        /// The process.
        process: u64,
        /// The `info`.
        since: Place,
    },
    /// A completion of another function than was invoked.
    #[error(
        "{place}: process {process} completes `{completed}`, but it invoked `{invoked}` ({since})"
    )]
    OtherFunction {
        /// The completion.
        place: Place,
        /// The process.
        process: u64,
        /// The function at the completion.
        completed: String,
        /// The function at the invocation.
        invoked: String,
        /// The invocation.
        since: Place,
    },
    /// A completion on another key than was invoked.
    #[error(
        "{place}: process {process} completes an operation on key {completed}, \
         but it invoked one on key {invoked} ({since})"
    )]
    OtherKey {
        /// The completion.
        place: Place,
        /// The process.
        process: u64,
        /// The key at the completion.
        completed: Value,
        /// The key at the invocation.
        invoked: Value,
        /// The invocation.
        since: Place,
    },
    /// A completion with an earlier time than its invocation.
    #[error(
        "{place}: process {process} completes {behind} ns before it invoked ({since}); \
         times must come from one monotonic clock"
    )]
    TimeRunsBackwards {
        /// The completion.
        place: Place,
        /// The process.
        process: u64,
        /// How far the completion lies before the invocation.
        behind: u64,
        /// The invocation.
        since: Place,
    },
    /// More events, values or nodes than ids can number.
    #[error("the history is too long: more than {limit} {what}; split it by key or by time")]
    TooLong {
        /// What there is too much of.
        what: &'static str,
        /// How many fit.
        limit: u64,
    },
}

/// A recorded history, operation by operation.
#[derive(Clone, Debug)]
pub struct History {
    process: Vec<u32>,
    function: Vec<u16>,
    outcome: Vec<Outcome>,
    node: Vec<u16>,
    key: Vec<ValueId>,
    input: Vec<ValueId>,
    output: Vec<ValueId>,
    call: Vec<u32>,
    ret: Vec<u32>,
    call_time: Vec<u64>,
    return_time: Vec<u64>,
    call_place: Vec<Place>,
    return_place: Vec<Place>,
    errors: FxHashMap<u32, Value>,
    processes: Vec<u64>,
    functions: Vec<Arc<str>>,
    nodes: Vec<Arc<str>>,
    values: ValueTable,
    named: Vec<Event>,
    ranks: u32,
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
        let mut pairing = Pairing::new(events.len());
        for (position, event) in events.iter().enumerate() {
            let event_number = u32::try_from(position)
                .ok()
                .filter(|&number| number < NO_EVENT / 2)
                .ok_or(HistoryError::TooLong { what: "events", limit: u64::from(NO_EVENT / 2) })?;
            pairing.event(event, Place { line: event.line, event: event_number })?;
        }
        Ok(pairing.finish())
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.process.len()
    }

    /// Whether there is no operation at all.
    pub fn is_empty(&self) -> bool {
        self.process.is_empty()
    }

    /// All operations, in the order of their ids.
    pub fn operations(&self) -> impl ExactSizeIterator<Item = Operation<'_>> {
        (0..self.process.len() as u32).map(|id| Operation { history: self, id: OpId(id) })
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
        self.ranks
    }

    pub(crate) fn values(&self) -> &ValueTable {
        &self.values
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
        self.history.processes[self.history.process[self.row()] as usize]
    }

    /// The function: `read`, `write`, `cas`, …
    pub fn f(self) -> &'a str {
        &self.history.functions[usize::from(self.history.function[self.row()])]
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
        self.history.outcome[self.row()]
    }

    /// Rank of the invocation.
    pub fn call(self) -> u32 {
        self.history.call[self.row()]
    }

    /// Rank of the completion; [`NEVER`] for `info`.
    pub fn ret(self) -> u32 {
        self.history.ret[self.row()]
    }

    /// Nanoseconds from the start of the run to the invocation, where recorded.
    pub fn call_time(self) -> Option<u64> {
        known_time(self.history.call_time[self.row()])
    }

    /// Nanoseconds from the start of the run to the completion, also of an `info`, where recorded.
    pub fn return_time(self) -> Option<u64> {
        known_time(self.history.return_time[self.row()])
    }

    /// Where the invocation stands.
    pub fn call_place(self) -> Place {
        self.history.call_place[self.row()]
    }

    /// Where the completion stands, also of an `info`; `None` if there is none.
    pub fn return_place(self) -> Option<Place> {
        let place = self.history.return_place[self.row()];
        (place.event != NO_EVENT).then_some(place)
    }

    /// The node that was asked, where recorded.
    pub fn node(self) -> Option<&'a str> {
        self.history.nodes.get(usize::from(self.history.node[self.row()])).map(|node| &**node)
    }

    /// Why it failed, or why nobody knows, where recorded.
    pub fn error(self) -> Option<&'a Value> {
        self.history.errors.get(&self.id.0)
    }

    pub(crate) fn key_id(self) -> Option<ValueId> {
        let key = self.history.key[self.row()];
        (key != NO_KEY).then_some(key)
    }

    pub(crate) fn input_id(self) -> ValueId {
        self.history.input[self.row()]
    }

    pub(crate) fn output_id(self) -> ValueId {
        self.history.output[self.row()]
    }
}

fn known_time(time: u64) -> Option<u64> {
    (time != NO_TIME).then_some(time)
}

/// What a client process is doing.
#[derive(Clone, Copy)]
enum Activity {
    Idle,
    Pending(OpId),
    Ended(Place),
}

/// The history under construction.
struct Pairing {
    history: History,
    process_ids: FxHashMap<u64, u32>,
    function_ids: FxHashMap<Arc<str>, u16>,
    node_ids: FxHashMap<Arc<str>, u16>,
    activity: Vec<Activity>,
    timed: bool,
}

impl Pairing {
    fn new(events: usize) -> Self {
        let rows = events / 2 + 1;
        Pairing {
            history: History {
                process: Vec::with_capacity(rows),
                function: Vec::with_capacity(rows),
                outcome: Vec::with_capacity(rows),
                node: Vec::with_capacity(rows),
                key: Vec::with_capacity(rows),
                input: Vec::with_capacity(rows),
                output: Vec::with_capacity(rows),
                call: Vec::new(),
                ret: Vec::new(),
                call_time: Vec::with_capacity(rows),
                return_time: Vec::with_capacity(rows),
                call_place: Vec::with_capacity(rows),
                return_place: Vec::with_capacity(rows),
                errors: FxHashMap::default(),
                processes: Vec::new(),
                functions: Vec::new(),
                nodes: Vec::new(),
                values: ValueTable::new(),
                named: Vec::new(),
                ranks: 0,
            },
            process_ids: FxHashMap::default(),
            function_ids: FxHashMap::default(),
            node_ids: FxHashMap::default(),
            activity: Vec::new(),
            timed: true,
        }
    }

    fn event(&mut self, event: &Event, place: Place) -> Result<(), HistoryError> {
        let Process::Client(process) = event.process else {
            self.history.named.push(event.clone());
            return Ok(());
        };
        self.timed &= event.time.is_some();
        let row = *self.process_ids.entry(process).or_insert_with(|| {
            self.history.processes.push(process);
            self.activity.push(Activity::Idle);
            (self.activity.len() - 1) as u32
        });
        match (event.kind, self.activity[row as usize]) {
            (EventType::Invoke, Activity::Idle) => self.invoke(event, row, place),
            (EventType::Invoke, Activity::Pending(id)) => Err(HistoryError::StillPending {
                place,
                process,
                f: event.f.to_string(),
                since: self.history.operation(id).call_place(),
            }),
            (EventType::Invoke, Activity::Ended(since)) => {
                Err(HistoryError::UsedAfterInfo { place, process, since })
            }
            (_, Activity::Pending(id)) => self.complete(event, row, id, place),
            (kind, Activity::Idle | Activity::Ended(_)) => Err(HistoryError::NotInvoked {
                place,
                process,
                kind: kind.as_str(),
                f: event.f.to_string(),
            }),
        }
    }

    fn invoke(&mut self, event: &Event, process: u32, place: Place) -> Result<(), HistoryError> {
        let history = &mut self.history;
        let function =
            name_id(&event.f, &mut self.function_ids, &mut history.functions, "functions")?;
        let node = match &event.node {
            Some(node) => name_id(node, &mut self.node_ids, &mut history.nodes, "nodes")?,
            None => NO_NODE,
        };
        self.activity[process as usize] = Activity::Pending(OpId(history.process.len() as u32));
        history.process.push(process);
        history.function.push(function);
        history.outcome.push(Outcome::Info);
        history.node.push(node);
        history.key.push(event.key.as_ref().map_or(NO_KEY, |key| history.values.intern(key)));
        history.input.push(history.values.intern(&event.value));
        history.output.push(ValueId::NIL);
        history.call_time.push(event.time.unwrap_or(NO_TIME));
        history.return_time.push(NO_TIME);
        history.call_place.push(place);
        history.return_place.push(Place { line: 0, event: NO_EVENT });
        Ok(())
    }

    fn complete(
        &mut self,
        event: &Event,
        process: u32,
        id: OpId,
        place: Place,
    ) -> Result<(), HistoryError> {
        self.check_completion(event, id, place)?;
        let history = &mut self.history;
        let row = id.0 as usize;
        history.return_place[row] = place;
        history.return_time[row] = event.time.unwrap_or(NO_TIME);
        if let Some(error) = &event.error {
            history.errors.insert(id.0, error.clone());
        }
        if let (NO_NODE, Some(node)) = (history.node[row], &event.node) {
            history.node[row] = name_id(node, &mut self.node_ids, &mut history.nodes, "nodes")?;
        }
        let outcome = match event.kind {
            EventType::Ok => Outcome::Ok,
            EventType::Fail => Outcome::Fail,
            EventType::Info | EventType::Invoke => Outcome::Info,
        };
        history.outcome[row] = outcome;
        if outcome != Outcome::Info {
            // The value of an `info` is no result: at best it repeats the argument, and some
            // recorders put the error there.
            history.output[row] = history.values.intern(&event.value);
        }
        self.activity[process as usize] = match outcome {
            Outcome::Info => Activity::Ended(place),
            Outcome::Ok | Outcome::Fail => Activity::Idle,
        };
        Ok(())
    }

    fn check_completion(&self, event: &Event, id: OpId, place: Place) -> Result<(), HistoryError> {
        let invoked = self.history.operation(id);
        let (process, since) = (invoked.process(), invoked.call_place());
        if invoked.f() != &*event.f {
            return Err(HistoryError::OtherFunction {
                place,
                process,
                completed: event.f.to_string(),
                invoked: invoked.f().to_owned(),
                since,
            });
        }
        if let Some(completed) = &event.key
            && invoked.key().as_ref() != Some(completed)
        {
            let (completed, invoked) = (completed.clone(), invoked.key().unwrap_or_default());
            return Err(HistoryError::OtherKey { place, process, completed, invoked, since });
        }
        if let (Some(call), Some(ret)) = (invoked.call_time(), event.time)
            && ret < call
        {
            let behind = call - ret;
            return Err(HistoryError::TimeRunsBackwards { place, process, behind, since });
        }
        Ok(())
    }

    fn finish(mut self) -> History {
        self.rank();
        self.history
    }

    /// Gives every invocation and every certain completion its rank.
    fn rank(&mut self) {
        let history = &mut self.history;
        let rows = history.process.len();
        let mut points: Vec<(u64, bool, u32, u32)> = Vec::with_capacity(2 * rows);
        for row in 0..rows {
            let (call, ret) = (history.call_place[row].event, history.return_place[row].event);
            let time = |time: u64| if self.timed { time } else { 0 };
            // Without times the events' positions alone decide, and `false` ties nothing.
            points.push((time(history.call_time[row]), false, call, row as u32));
            if history.outcome[row] != Outcome::Info {
                points.push((time(history.return_time[row]), self.timed, ret, row as u32));
            }
        }
        points.sort_unstable();
        history.call = vec![NEVER; rows];
        history.ret = vec![NEVER; rows];
        for (rank, &(_, _, event, row)) in points.iter().enumerate() {
            let row = row as usize;
            let column = if history.call_place[row].event == event {
                &mut history.call
            } else {
                &mut history.ret
            };
            column[row] = rank as u32;
        }
        history.ranks = points.len() as u32;
    }
}

fn name_id(
    name: &Arc<str>,
    ids: &mut FxHashMap<Arc<str>, u16>,
    names: &mut Vec<Arc<str>>,
    what: &'static str,
) -> Result<u16, HistoryError> {
    if let Some(&id) = ids.get(name) {
        return Ok(id);
    }
    let limit = NO_NODE - 1;
    let id = u16::try_from(names.len())
        .ok()
        .filter(|&id| id <= limit)
        .ok_or(HistoryError::TooLong { what, limit: u64::from(limit) })?;
    names.push(Arc::clone(name));
    ids.insert(Arc::clone(name), id);
    Ok(id)
}
