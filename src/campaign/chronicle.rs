//! What was done to the cluster, as the history tells it.
//!
//! Faults and leader changes stand in the same file as the operations, under the named processes
//! `nemesis` and `monitor`. This module is both ends of that: it makes the entries, and reads them
//! back, so that a history alone says which faults bit and how many elections followed.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use rashomon_checker::consistency::FINAL_READS;
use rashomon_checker::history::{Event, EventType, Process, Value};
use rashomon_nemesis::Resolved;
use serde::Serialize;

use super::recorder::Entry;

/// A fault from strike to heal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FaultSpan {
    /// Number within the run, from 1.
    pub id: u64,
    /// The kind: `cut`, `kill`, or a mishap such as `pause`.
    pub kind: String,
    /// What the schedule asked for, such as `cut leader | rest`.
    pub asked: String,
    /// What it came to, in the same language: `cut n3 | n1, n2, n4, n5`.
    pub done: String,
    /// The same for people: `no messages between n3 (leader) and n1, n2, n4, n5`.
    pub sentence: String,
    /// When it struck, in nanoseconds since the run began.
    pub from_ns: u64,
    /// When it was undone; `None` if the history ends before.
    pub to_ns: Option<u64>,
    /// Whether it was observed to bite: a cut that no message ran into did not.
    pub bit: bool,
    /// When it was first observed to bite, in nanoseconds since the run began; not told of mishaps.
    pub bit_ns: Option<u64>,
    /// What was observed, such as `stopped 118 messages`.
    pub observed: String,
}

/// Somebody became leader.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LeaderChange {
    /// When it was noticed, in nanoseconds since the run began.
    pub time_ns: u64,
    /// The node, such as `n3`.
    pub node: String,
    /// Its term.
    pub term: u64,
}

/// Entry for a fault that has struck.
pub fn struck(id: u64, resolved: &Resolved) -> Entry {
    let value = map([
        ("fault", number(id)),
        ("asked", Value::text(resolved.asked.to_string())),
        ("done", Value::text(resolved.action.to_string())),
        ("sentence", Value::text(resolved.sentence())),
    ]);
    named("nemesis", resolved.asked.name(), value)
}

/// Entry for a mishap of this kind that befalls a node by itself.
pub fn befell(id: u64, kind: &'static str, node: impl Display, sentence: &str) -> Entry {
    let what = Value::text(format!("{kind} {node}"));
    let value = map([
        ("fault", number(id)),
        ("asked", what.clone()),
        ("done", what),
        ("sentence", Value::text(sentence)),
    ]);
    named("nemesis", kind, value)
}

/// Entry for a fault that is first seen to bite.
pub fn bit(id: u64) -> Entry {
    named("nemesis", "bite", map([("fault", number(id))]))
}

/// Entry for a fault that was undone, with what it was seen to do.
pub fn healed(id: u64, bit: bool, observed: &str) -> Entry {
    let value = map([
        ("fault", number(id)),
        ("bit", Value::Bool(bit)),
        ("observed", Value::text(observed)),
    ]);
    named("nemesis", "heal", value)
}

/// Entry for the beginning of the final reads: every fault is undone, and all clients are done.
pub fn final_reads() -> Entry {
    named("monitor", FINAL_READS, Value::Nil)
}

/// Entry for a new leader.
pub fn leads(node: &str, term: u64) -> Entry {
    named("monitor", "leader", map([("node", Value::text(node)), ("term", number(term))]))
}

/// Every fault in a history, in the order in which they struck.
pub fn faults(events: &[Event]) -> Vec<FaultSpan> {
    let mut spans: BTreeMap<u64, FaultSpan> = BTreeMap::new();
    for event in of(events, "nemesis") {
        let Some(id) = integer(&event.value, "fault") else { continue };
        match (&*event.f, spans.get_mut(&id)) {
            ("heal", Some(span)) => {
                span.to_ns = event.time;
                span.bit = field(&event.value, "bit") == Some(&Value::Bool(true));
                span.observed = text(&event.value, "observed");
            }
            ("bite", Some(span)) => (span.bit, span.bit_ns) = (true, event.time),
            ("heal" | "bite", None) => {}
            (kind, _) => {
                let span = FaultSpan {
                    id,
                    kind: kind.to_owned(),
                    asked: text(&event.value, "asked"),
                    done: text(&event.value, "done"),
                    sentence: text(&event.value, "sentence"),
                    from_ns: event.time.unwrap_or(0),
                    to_ns: None,
                    bit: false,
                    bit_ns: None,
                    observed: "not healed before the history ends".into(),
                };
                spans.insert(id, span);
            }
        }
    }
    spans.into_values().collect()
}

/// Every change of leader that was noticed, the first election included.
pub fn leader_changes(events: &[Event]) -> Vec<LeaderChange> {
    let changes = of(events, "monitor").filter(|event| &*event.f == "leader");
    changes
        .map(|event| LeaderChange {
            time_ns: event.time.unwrap_or(0),
            node: text(&event.value, "node"),
            term: integer(&event.value, "term").unwrap_or(0),
        })
        .collect()
}

fn of<'a>(events: &'a [Event], name: &str) -> impl Iterator<Item = &'a Event> {
    events
        .iter()
        .filter(move |event| matches!(&event.process, Process::Named(own) if &**own == name))
}

fn named(process: &str, f: &'static str, value: Value) -> Entry {
    Entry {
        process: Process::Named(Arc::from(process)),
        kind: EventType::Info,
        f,
        key: None,
        value,
        node: None,
        error: None,
    }
}

fn map<const N: usize>(pairs: [(&str, Value); N]) -> Value {
    Value::map(pairs.into_iter().map(|(key, value)| (Value::text(key), value)))
}

fn number(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let Value::Map(pairs) = value else { return None };
    pairs.iter().find(|(key, _)| key.as_text() == Some(name)).map(|(_, value)| value)
}

fn integer(value: &Value, name: &str) -> Option<u64> {
    field(value, name).and_then(Value::as_int).and_then(|int| u64::try_from(int).ok())
}

fn text(value: &Value, name: &str) -> String {
    field(value, name).and_then(Value::as_text).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(index: u64, entry: Entry) -> Event {
        Event {
            index,
            time: Some(index * 1_000),
            process: entry.process,
            kind: entry.kind,
            f: Arc::from(entry.f),
            key: entry.key,
            value: entry.value,
            node: entry.node,
            error: entry.error,
            line: 0,
        }
    }

    fn resolved(asked: &str, action: &str) -> Resolved {
        Resolved {
            asked: asked.parse().unwrap(),
            action: action.parse().unwrap(),
            leader: None,
            stand_in: None,
        }
    }

    #[test]
    fn what_is_told_is_read_back() {
        let events = [
            event(0, leads("n2", 1)),
            event(1, struck(1, &resolved("cut leader | rest", "cut n2 | n1, n3"))),
            event(2, bit(1)),
            event(3, healed(1, true, "stopped 12 messages")),
            event(4, struck(2, &resolved("kill random 1", "kill n1"))),
            event(5, befell(3, "pause", "n2", "n2 stands still for 300 ms")),
            event(6, healed(3, false, "0 inputs waited")),
            event(7, leads("n3", 2)),
        ];
        let faults = faults(&events);
        assert_eq!(faults.len(), 3);
        assert_eq!((faults[0].from_ns, faults[0].to_ns, faults[0].bit), (1_000, Some(3_000), true));
        assert_eq!((&*faults[0].kind, &*faults[0].done), ("cut", "cut n2 | n1, n3"));
        assert_eq!(faults[0].observed, "stopped 12 messages");
        assert_eq!((faults[0].bit_ns, faults[1].bit_ns), (Some(2_000), None));
        assert_eq!((faults[1].to_ns, faults[1].bit), (None, false));
        assert_eq!((&*faults[2].kind, &*faults[2].done), ("pause", "pause n2"));
        assert_eq!(
            (faults[2].from_ns, faults[2].to_ns, faults[2].bit),
            (5_000, Some(6_000), false)
        );
        let leaders = leader_changes(&events);
        assert_eq!(leaders.iter().map(|change| change.term).collect::<Vec<_>>(), [1, 2]);
    }
}
