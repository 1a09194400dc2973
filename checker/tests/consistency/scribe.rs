//! Histories written down operation by operation.

use std::sync::Arc;

use rashomon_checker::History;
use rashomon_checker::consistency::FINAL_READS;
use rashomon_checker::history::{Event, EventType, Process, Value};

/// One operation; times are in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Op {
    pub(crate) process: u64,
    pub(crate) node: &'static str,
    pub(crate) f: &'static str,
    pub(crate) key: &'static str,
    pub(crate) input: Value,
    pub(crate) output: Value,
    pub(crate) kind: EventType,
    /// Why it failed.
    pub(crate) error: Option<String>,
    pub(crate) call: u64,
    pub(crate) ret: u64,
}

pub(crate) const NODES: [&str; 3] = ["n1", "n2", "n3"];

/// A history of these operations, with the mark for final reads at a time if there is one. Times are
/// unique, so ranks are as times are.
pub(crate) fn history(ops: &[Op], end: Option<u64>) -> History {
    let mut events: Vec<Event> = Vec::new();
    for op in ops {
        let event = |time, kind, value: &Value, error: Option<&String>| Event {
            index: 0,
            time: Some(time),
            process: Process::Client(op.process),
            kind,
            f: Arc::from(op.f),
            key: Some(Value::text(op.key)),
            value: value.clone(),
            node: Some(Arc::from(op.node)),
            error: error.map(Value::text),
            line: 0,
        };
        events.push(event(op.call, EventType::Invoke, &op.input, None));
        let value = if op.kind == EventType::Ok { &op.output } else { &op.input };
        events.push(event(op.ret, op.kind, value, op.error.as_ref()));
    }
    events.extend(end.map(|time| Event {
        index: 0,
        time: Some(time),
        process: Process::Named(Arc::from("monitor")),
        kind: EventType::Info,
        f: Arc::from(FINAL_READS),
        key: None,
        value: Value::Nil,
        node: None,
        error: None,
        line: 0,
    }));
    events.sort_by_key(|event| event.time);
    for (index, event) in events.iter_mut().enumerate() {
        (event.index, event.line) = (index as u64, index as u32 + 1);
    }
    History::from_events(&events).expect("the operations of a process follow each other")
}
