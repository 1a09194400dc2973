//! Pairing: from events, one by one, to operations.
//!
//! A process does one thing at a time, so what it is doing is all there is to remember.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::batch::{Row, Tables};
use super::event::EventType;
use super::intern::{NameId, ValueId};
use super::operation::{History, NEVER, NO_NODE, OpId, Outcome, Place};
use super::value::Value;

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

/// What a client process is doing.
#[derive(Clone, Copy, Debug)]
enum Activity {
    Idle,
    Pending {
        id: OpId,
        event: u32,
        time: Option<u64>,
    },
    /// In doubt, at this event.
    Ended(u32),
}

/// A history under construction.
#[derive(Debug, Default)]
pub(super) struct Pairing {
    history: History,
    processes: Processes,
    activity: Vec<Activity>,
    functions: Shortened,
    nodes: Shortened,
    /// Positions of the named events.
    named: Vec<u32>,
    clock: Clock,
}

impl Pairing {
    /// Takes the next event; after an error there must be no more.
    #[inline]
    pub(super) fn row(&mut self, row: &Row, tables: &Tables) -> Result<(), HistoryError> {
        let history = &mut self.history;
        let event = history.ranks.events();
        if event >= MOST_EVENTS {
            return Err(too_long("events", MOST_EVENTS));
        }
        if tables.values.len() as u64 > u64::from(MOST_VALUES) {
            return Err(too_long("values", MOST_VALUES));
        }
        history.lines.push(row.line);
        history.times.push(row.time);
        let Some(process) = row.client() else {
            history.ranks.skip();
            history.named.push(tables.event(row));
            self.named.push(event);
            return Ok(());
        };
        let id = self.processes.id(process, &mut history.processes);
        if id as usize == self.activity.len() {
            self.activity.push(Activity::Idle);
        }
        match (row.kind, self.activity[id as usize]) {
            (EventType::Invoke, Activity::Idle) => self.invoke(row, id, event, tables),
            (EventType::Invoke, Activity::Pending { event: since, .. }) => {
                Err(HistoryError::StillPending {
                    place: self.history.place(event),
                    process,
                    f: tables.names.get(row.f).to_string(),
                    since: self.history.place(since),
                })
            }
            (EventType::Invoke, Activity::Ended(since)) => Err(HistoryError::UsedAfterInfo {
                place: self.history.place(event),
                process,
                since: self.history.place(since),
            }),
            (_, Activity::Pending { id: operation, event: since, time }) => {
                self.check_completion(row, event, operation, (since, time), tables)?;
                self.complete(row, id, event, operation, tables)
            }
            (kind, Activity::Idle | Activity::Ended(_)) => Err(HistoryError::NotInvoked {
                place: self.history.place(event),
                process,
                kind: kind.as_str(),
                f: tables.names.get(row.f).to_string(),
            }),
        }
    }

    fn invoke(
        &mut self,
        row: &Row,
        process: u32,
        event: u32,
        tables: &Tables,
    ) -> Result<(), HistoryError> {
        let history = &mut self.history;
        let function = self.functions.id(row.f, tables, &mut history.functions, "functions")?;
        let node = match row.node {
            Some(node) => self.nodes.id(node, tables, &mut history.nodes, "nodes")?,
            None => NO_NODE,
        };
        let id = OpId(history.len() as u32);
        self.activity[process as usize] = Activity::Pending { id, event, time: row.time };
        self.clock.tick(row.time, false);
        let columns = &mut history.columns;
        columns.process.push(process);
        columns.function.push(function);
        columns.outcome.push(Outcome::Info);
        columns.node.push(node);
        columns.key.push(row.key);
        columns.input.push(row.value);
        columns.output.push(ValueId::NIL);
        columns.call.push(history.ranks.push());
        columns.ret.push(NEVER);
        Ok(())
    }

    fn complete(
        &mut self,
        row: &Row,
        process: u32,
        event: u32,
        id: OpId,
        tables: &Tables,
    ) -> Result<(), HistoryError> {
        let history = &mut self.history;
        let columns = &mut history.columns;
        let operation = id.0 as usize;
        if row.error != ValueId::NIL {
            history.errors.insert(id.0, row.error);
        }
        if let Some(node) = row.node {
            let node = self.nodes.id(node, tables, &mut history.nodes, "nodes")?;
            match columns.node[operation] {
                NO_NODE => columns.node[operation] = node,
                asked if asked == node => {}
                _ => {
                    history.answered.insert(id.0, node);
                }
            }
        }
        let outcome = match row.kind {
            EventType::Ok => Outcome::Ok,
            EventType::Fail => Outcome::Fail,
            EventType::Info | EventType::Invoke => Outcome::Info,
        };
        columns.outcome[operation] = outcome;
        if outcome == Outcome::Info {
            // The value of an `info` is no result: at best it repeats the argument, and some
            // recorders put the error there.
            self.clock.is_complete &= row.time.is_some();
            history.ranks.skip();
            history.ended_in_doubt.insert(id.0, event);
            self.activity[process as usize] = Activity::Ended(event);
        } else {
            self.clock.tick(row.time, true);
            columns.output[operation] = row.value;
            columns.ret[operation] = history.ranks.push();
            self.activity[process as usize] = Activity::Idle;
        }
        Ok(())
    }

    fn check_completion(
        &self,
        row: &Row,
        event: u32,
        id: OpId,
        (since, call_time): (u32, Option<u64>),
        tables: &Tables,
    ) -> Result<(), HistoryError> {
        let history = &self.history;
        let operation = id.0 as usize;
        let place = || history.place(event);
        let process = || history.operation(id).process();
        let since = || history.place(since);
        let key = history.columns.key[operation];
        if self.functions.known(row.f) != Some(history.columns.function[operation]) {
            return Err(HistoryError::OtherFunction {
                place: place(),
                process: process(),
                completed: tables.names.get(row.f).to_string(),
                invoked: history.operation(id).f().to_owned(),
                since: since(),
            });
        }
        if row.key != ValueId::NIL && row.key != key {
            return Err(HistoryError::OtherKey {
                place: place(),
                process: process(),
                completed: tables.values.get(row.key),
                invoked: tables.values.get(key),
                since: since(),
            });
        }
        if let (Some(call), Some(ret)) = (call_time, row.time)
            && ret < call
        {
            return Err(HistoryError::TimeRunsBackwards {
                place: place(),
                process: process(),
                behind: call - ret,
                since: since(),
            });
        }
        Ok(())
    }

    /// The history, once all events were taken, with the tables that their rows refer to.
    pub(super) fn finish(mut self, tables: Tables) -> History {
        if self.clock.is_complete && !self.clock.is_in_order {
            self.rank_by_time();
        }
        self.history.values = tables.values;
        self.history.columns.shrink();
        self.history.times.shrink();
        self.history
    }

    /// Numbers the named events by their positions, as those of a file where some have no index.
    pub(super) fn number_named(&mut self) {
        for (event, position) in self.history.named.iter_mut().zip(&self.named) {
            event.index = u64::from(*position);
        }
    }

    /// Gives every invocation and every certain completion its rank by time.
    fn rank_by_time(&mut self) {
        let history = &mut self.history;
        let mut is_return = vec![false; history.ranks.len() as usize];
        for &ret in history.columns.ret.iter().filter(|ret| **ret != NEVER) {
            is_return[ret as usize] = true;
        }
        let time = |rank: u32| history.times.get(history.ranks.event(rank));
        let times: Vec<_> = (0..history.ranks.len()).map(|rank| time(rank).unwrap_or(0)).collect();
        let key = |rank: u32| (times[rank as usize], is_return[rank as usize]);
        let ranks = history.ranks.sort_by_key(key);
        for rank in history.columns.call.iter_mut().chain(&mut history.columns.ret) {
            // What never returned still has no rank.
            *rank = ranks.get(*rank as usize).copied().unwrap_or(NEVER);
        }
    }
}

/// More events than ranks and ids can number. A row adds few values, a batch of rows not nearly as
/// many as lie between this and the ids of integers.
const MOST_EVENTS: u32 = u32::MAX / 2;
const MOST_VALUES: u32 = 1 << 30;

fn too_long(what: &'static str, limit: u32) -> HistoryError {
    HistoryError::TooLong { what, limit: u64::from(limit) }
}

/// Whether times are there, and in the order of the events.
#[derive(Debug)]
struct Clock {
    is_complete: bool,
    is_in_order: bool,
    last: (u64, bool),
}

impl Default for Clock {
    fn default() -> Self {
        Clock { is_complete: true, is_in_order: true, last: (0, false) }
    }
}

impl Clock {
    /// Takes the time of an event that has a rank.
    fn tick(&mut self, time: Option<u64>, is_return: bool) {
        let Some(time) = time else {
            self.is_complete = false;
            return;
        };
        let point = (time, is_return);
        self.is_in_order &= self.last <= point;
        self.last = point;
    }
}

/// Dense numbers for the processes.
#[derive(Debug, Default)]
struct Processes {
    /// For those with small numbers; [`NEVER`] for none.
    small: Vec<u32>,
    large: FxHashMap<u64, u32>,
}

/// A table for all smaller numbers is worth its room.
const SMALL_PROCESS: u64 = 1 << 20;

impl Processes {
    fn id(&mut self, process: u64, processes: &mut Vec<u64>) -> u32 {
        let id = if process < SMALL_PROCESS {
            let process = process as usize;
            if process >= self.small.len() {
                self.small.resize(process + 1, NEVER);
            }
            &mut self.small[process]
        } else {
            self.large.entry(process).or_insert(NEVER)
        };
        if *id == NEVER {
            *id = processes.len() as u32;
            processes.push(process);
        }
        *id
    }
}

/// Small numbers for the few names that a column uses.
#[derive(Debug, Default)]
struct Shortened {
    /// By id of the name; [`NO_NODE`] for none.
    ids: Vec<u16>,
}

impl Shortened {
    /// The number of a name, if it has one.
    fn known(&self, name: NameId) -> Option<u16> {
        self.ids.get(name.0 as usize).copied().filter(|id| *id != NO_NODE)
    }

    /// The number of a name: its position among `names`, of which it may become one.
    fn id(
        &mut self,
        name: NameId,
        tables: &Tables,
        names: &mut Vec<Arc<str>>,
        what: &'static str,
    ) -> Result<u16, HistoryError> {
        if let Some(id) = self.known(name) {
            return Ok(id);
        }
        let id = u16::try_from(names.len()).ok().filter(|id| *id != NO_NODE);
        let id = id.ok_or_else(|| too_long(what, u32::from(NO_NODE)))?;
        if self.ids.len() <= name.0 as usize {
            self.ids.resize(tables.names.len(), NO_NODE);
        }
        self.ids[name.0 as usize] = id;
        names.push(Arc::clone(tables.names.get(name)));
        Ok(id)
    }
}
