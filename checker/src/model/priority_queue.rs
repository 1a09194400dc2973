//! A priority queue: `insert`, `poll`; the smallest comes out first, as in Java's and Python's, or
//! the greatest, as in Rust's and C++'s: `priority-queue(max)`.
//!
//! ```json
//! {"process":0,"type":"invoke","f":"insert","value":7}
//! {"process":0,"type":"ok","f":"insert","value":7}
//! {"process":1,"type":"invoke","f":"poll","value":null}
//! {"process":1,"type":"ok","f":"poll","value":7}
//! ```
//!
//! What is put in is an integer, and is its own priority. A `poll` that is `ok` with `nil` found
//! the queue empty.

use std::cmp::Ordering;
use std::collections::VecDeque;

use super::Discipline;
use crate::history::{History, ValueId};
use crate::linearizability::{Items, order_priority_queue};

/// Which integer comes out first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Priority {
    /// The smallest.
    #[default]
    Min,
    /// The greatest.
    Max,
}

impl Priority {
    /// Less is what comes out before.
    pub(crate) fn compare(self, one: i64, other: i64) -> Ordering {
        match self {
            Priority::Min => one.cmp(&other),
            Priority::Max => other.cmp(&one),
        }
    }
}

impl Discipline for Priority {
    type Item = i64;
    const MODEL: &'static str = "priority-queue";
    const NAMES: [&'static str; 2] = ["insert", "poll"];
    const KNOWN: &'static str = "insert, poll";
    const EXPECTED: &'static str = "an integer, which is its own priority";
    const TAKES_IN_ORDER: bool = false;

    fn item(history: &History, value: ValueId) -> Option<i64> {
        history.values().get(value).as_int()
    }

    fn describe(_history: &History, item: i64) -> String {
        item.to_string()
    }

    fn put(&self, items: &mut VecDeque<i64>, item: i64) {
        let place = items.partition_point(|&other| self.compare(other, item) != Ordering::Greater);
        items.insert(place, item);
    }

    fn order(&self, items: &Items<i64>, tell: impl FnMut(u32)) -> bool {
        order_priority_queue(*self, items, tell)
    }
}
