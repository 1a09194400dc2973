//! A stack: `push`, `pop`; last in, first out.
//!
//! ```json
//! {"process":0,"type":"invoke","f":"push","value":7}
//! {"process":0,"type":"ok","f":"push","value":7}
//! {"process":1,"type":"invoke","f":"pop","value":null}
//! {"process":1,"type":"ok","f":"pop","value":7}
//! ```
//!
//! A `pop` that is `ok` with `nil` found the stack empty.

use std::collections::VecDeque;

use super::Discipline;
use crate::history::{History, ValueId};
use crate::linearizability::{Items, order_stack};

/// Last in, first out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lifo;

impl Discipline for Lifo {
    type Item = ValueId;
    const MODEL: &'static str = "stack";
    const NAMES: [&'static str; 2] = ["push", "pop"];
    const KNOWN: &'static str = "push, pop";
    const EXPECTED: &'static str = "a value to push, not nil";
    const TAKES_IN_ORDER: bool = false;

    fn item(_history: &History, value: ValueId) -> Option<ValueId> {
        (value != ValueId::NIL).then_some(value)
    }

    fn describe(history: &History, item: ValueId) -> String {
        history.values().get(item).to_string()
    }

    fn put(&self, items: &mut VecDeque<ValueId>, item: ValueId) {
        items.push_front(item);
    }

    fn order(&self, items: &Items<ValueId>, tell: impl FnMut(u32)) -> bool {
        order_stack(items, tell)
    }
}
