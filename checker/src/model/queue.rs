//! A queue: `enqueue`, `dequeue`; first in, first out.
//!
//! ```json
//! {"process":0,"type":"invoke","f":"enqueue","value":7}
//! {"process":0,"type":"ok","f":"enqueue","value":7}
//! {"process":1,"type":"invoke","f":"dequeue","value":null}
//! {"process":1,"type":"ok","f":"dequeue","value":7}
//! ```
//!
//! A `dequeue` that is `ok` with `nil` found the queue empty. These are Jepsen's names.

use std::collections::VecDeque;

use super::Discipline;
use crate::history::{History, ValueId};
use crate::linearizability::{Items, order_queue};

/// First in, first out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fifo;

impl Discipline for Fifo {
    type Item = ValueId;
    const MODEL: &'static str = "queue";
    const NAMES: [&'static str; 2] = ["enqueue", "dequeue"];
    const KNOWN: &'static str = "enqueue, dequeue";
    const EXPECTED: &'static str = "a value to enqueue, not nil";
    /// What comes out next was put in first and is the most urgent to be gone.
    const TAKES_IN_ORDER: bool = true;

    fn item(_history: &History, value: ValueId) -> Option<ValueId> {
        (value != ValueId::NIL).then_some(value)
    }

    fn describe(history: &History, item: ValueId) -> String {
        history.values().get(item).to_string()
    }

    fn put(&self, items: &mut VecDeque<ValueId>, item: ValueId) {
        items.push_back(item);
    }

    fn order(&self, items: &Items<ValueId>, tell: impl FnMut(u32)) -> bool {
        order_queue(items, tell)
    }
}
