//! A key-value store, one key at a time: `get`, `put`, `append` (the labs of MIT 6.824, and
//! append-only lists).
//!
//! Stores differ in what `append` makes of a key that holds nothing. What the gets of a key
//! returned settles it: if one of them returned a list, the key holds lists and a single value `x`
//! means `[x]`; otherwise appends join text, and a number means its digits. Where nothing is ever
//! appended, values stay whole and are compared as they are. A key that holds nothing reads as
//! `nil`, `""` or `[]`, which all mean the same.

use std::sync::Arc;

use super::{Call, ModelError, Part, RegisterOperation, Specification, by_key, part, unknown};
use crate::explain::{self, Case, Finding};
use crate::history::{History, NEVER, OpId, Operation, Outcome, Value, ValueId};
use crate::linearizability::{self, Budget, Engine, Problem};

/// One key.
#[derive(Clone, Debug)]
pub struct Kv {
    holds: Holds,
    /// If focused: what gets returned, sorted, without what another one begins with.
    seen: Option<Arc<[Content]>>,
}

/// What appends make of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Whole,
    Text,
    List,
}

/// What a key holds; nothing is empty text, the empty list, or `nil`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Content {
    /// A value that nothing is appended to.
    Whole(ValueId),
    /// Joined text.
    Text(Arc<str>),
    /// A list of values.
    List(Arc<[ValueId]>),
    /// Something that no get returned, and that nothing appended makes into what one returned.
    Unseen,
}

/// An operation on a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KvOperation {
    /// Returned this.
    Get(Content),
    /// Set it.
    Put(Content),
    /// Added this at the end.
    Append(Content),
}

use KvOperation::{Append, Get, Put};

pub(super) fn parts(history: &History) -> Result<Vec<Part<Kv>>, ModelError> {
    by_key(history)
        .into_iter()
        .map(|(key, ids)| {
            let specification = Kv { holds: holds(history, &ids), seen: None };
            part(history, key, &ids, specification, |kv, operation| kv.decode(history, operation))
        })
        .collect()
}

fn is_get(operation: Operation<'_>) -> bool {
    matches!(operation.f(), "get" | "read" | "r")
}

fn holds(history: &History, ids: &[OpId]) -> Holds {
    let operations = || ids.iter().map(|&id| history.operation(id));
    if !operations().any(|operation| operation.f() == "append") {
        return Holds::Whole;
    }
    let is_list = |operation: Operation<'_>| {
        let value = match is_get(operation) {
            true => operation.output_id(),
            false if operation.f() == "append" => return false,
            false => operation.input_id(),
        };
        history.values().items(value).is_some()
    };
    if operations().any(is_list) { Holds::List } else { Holds::Text }
}

impl Kv {
    fn decode(
        &self,
        history: &History,
        operation: Operation<'_>,
    ) -> Result<Option<KvOperation>, ModelError> {
        let input = || operation.input_id();
        match operation.f() {
            _ if is_get(operation) => Ok(match operation.outcome() {
                Outcome::Info => None,
                Outcome::Ok | Outcome::Fail => {
                    Some(Get(self.content(history, operation.output_id())))
                }
            }),
            "put" | "write" | "w" => Ok(Some(Put(self.content(history, input())))),
            "append" => Ok(Some(Append(match self.holds {
                // What is appended is one item, also if it is a list.
                Holds::List => Content::List(Arc::from([input()])),
                Holds::Text | Holds::Whole => self.content(history, input()),
            }))),
            _ => Err(unknown(operation, "kv", "get, put, append")),
        }
    }

    fn content(&self, history: &History, value: ValueId) -> Content {
        let values = history.values();
        let empty = match values.atom(value) {
            Some(Value::Nil) => true,
            Some(Value::Text(text)) => text.is_empty(),
            Some(_) => false,
            None => values.items(value).is_some_and(<[ValueId]>::is_empty),
        };
        match self.holds {
            _ if empty => self.init(),
            Holds::Whole => Content::Whole(value),
            Holds::Text => Content::Text(match values.get(value) {
                Value::Text(text) => text,
                other => Arc::from(other.to_string()),
            }),
            Holds::List => Content::List(match values.items(value) {
                Some(items) => Arc::from(items),
                None => Arc::from([value]),
            }),
        }
    }
}

/// What completed gets returned, sorted, without what another one begins with.
fn maximal_gets(calls: &[Call<KvOperation>]) -> Arc<[Content]> {
    let got = |call: &Call<KvOperation>| match &call.operation {
        Get(content) if call.ret != NEVER => Some(content.clone()),
        Get(_) | Put(_) | Append(_) => None,
    };
    let mut gets: Vec<Content> = calls.iter().filter_map(got).collect();
    gets.sort_unstable();
    // In this order, whatever begins with a content directly follows it.
    gets.dedup_by(|later, earlier| {
        let continues = later.starts_with(earlier);
        if continues {
            std::mem::swap(later, earlier);
        }
        continues
    });
    gets.into()
}

impl Kv {
    /// Whether some get returned something that begins with `start` and goes on with `more`; always
    /// if this is not focused.
    fn may_be_seen(&self, start: &Content, more: &Content) -> bool {
        let Some(seen) = &self.seen else { return true };
        let first = seen.partition_point(|content| content < start);
        let mut begun = seen[first..].iter().take_while(|content| content.starts_with(start));
        begun.any(|content| content.continues(start, more))
    }
}

impl KvOperation {
    /// The same on a register, where values are whole.
    fn as_register(&self) -> Option<RegisterOperation> {
        match *self {
            Get(Content::Whole(value)) => Some(RegisterOperation::Read(value)),
            Put(Content::Whole(value)) => Some(RegisterOperation::Write(value)),
            _ => None,
        }
    }
}

impl Content {
    /// Whether what follows `start`, with which this begins, begins with `more`.
    fn continues(&self, start: &Content, more: &Content) -> bool {
        match (self, start, more) {
            (Content::Text(text), Content::Text(start), Content::Text(more)) => {
                text[start.len()..].starts_with(&**more)
            }
            (Content::List(list), Content::List(start), Content::List(more)) => {
                list[start.len()..].starts_with(more)
            }
            _ => false,
        }
    }

    fn join(&self, more: &Content) -> Content {
        match (self, more) {
            (Content::Text(text), Content::Text(more)) => {
                Content::Text([&**text, more].concat().into())
            }
            (Content::List(list), Content::List(more)) => {
                Content::List([&**list, more].concat().into())
            }
            (Content::Unseen, _) => Content::Unseen,
            // A part holds one kind; whole values are never joined.
            (_, more) => more.clone(),
        }
    }

    pub(crate) fn starts_with(&self, start: &Content) -> bool {
        match (self, start) {
            (Content::Text(text), Content::Text(start)) => text.starts_with(&**start),
            (Content::List(list), Content::List(start)) => list.starts_with(start),
            (whole, start) => whole == start,
        }
    }

    pub(crate) fn contains(&self, part: &Content) -> bool {
        match (self, part) {
            (Content::Text(text), Content::Text(part)) => text.contains(&**part),
            (Content::List(list), Content::List(part)) => {
                part.iter().all(|item| list.contains(item))
            }
            (whole, part) => whole == part,
        }
    }
}

impl Specification for Kv {
    type Operation = KvOperation;
    type State = Content;

    fn init(&self) -> Content {
        match self.holds {
            Holds::Whole => Content::Whole(ValueId::NIL),
            Holds::Text => Content::Text(Arc::from("")),
            Holds::List => Content::List(Arc::from([])),
        }
    }

    fn step(&self, state: &Content, operation: &KvOperation) -> Option<Content> {
        let nothing = self.init();
        match operation {
            Get(content) => (state == content).then(|| state.clone()),
            Put(content) if !self.may_be_seen(&nothing, content) => Some(Content::Unseen),
            Put(content) => Some(content.clone()),
            Append(content) if !self.may_be_seen(state, content) => Some(Content::Unseen),
            Append(content) => Some(state.join(content)),
        }
    }

    /// All contents that no get can ever return again are as good as one.
    fn focus(&self, calls: &[Call<KvOperation>]) -> Option<Self> {
        let seen = (self.holds != Holds::Whole).then(|| maximal_gets(calls))?;
        Some(Kv { holds: self.holds, seen: Some(seen) })
    }

    fn lost(&self, state: &Content) -> usize {
        usize::from(*state == Content::Unseen)
    }

    fn is_read(&self, operation: &KvOperation) -> bool {
        matches!(operation, Get(_))
    }

    fn overwrites(&self, operation: &KvOperation) -> bool {
        matches!(operation, Put(_))
    }

    /// A get that follows a put begins with what was put; one that follows an append contains it.
    fn observes(&self, observer: &KvOperation, mutator: &KvOperation) -> bool {
        match (observer, mutator) {
            (Get(got), Put(put)) => got.starts_with(put),
            (Get(got), Append(appended)) => got.contains(appended),
            _ => false,
        }
    }

    /// A crashed put or append that no get can have seen changes nothing: between it and the next
    /// put there is no get.
    fn unneeded(&self, calls: &[Call<KvOperation>]) -> Vec<bool> {
        let gets: Vec<KvOperation> = match self.holds {
            Holds::Whole => calls.iter().map(|call| call.operation.clone()).collect(),
            // What is in a content is also in what begins with it.
            Holds::Text | Holds::List => maximal_gets(calls).iter().cloned().map(Get).collect(),
        };
        let seen = |operation| gets.iter().any(|get| self.observes(get, operation));
        calls.iter().map(|call| call.ret == NEVER && !seen(&call.operation)).collect()
    }

    const ENGINES: &'static [Engine] = &[Engine::Zones, Engine::Lazy];

    fn decide_with(
        engine: Engine,
        problem: &Problem<'_, Self>,
        budget: &Budget,
    ) -> Option<linearizability::Outcome<Content>> {
        match engine {
            Engine::Zones => linearizability::decide_kv(problem, budget),
            Engine::Lazy => {
                let &Content::Whole(start) = problem.start else { return None };
                let as_register = KvOperation::as_register;
                let decided =
                    linearizability::decide_lazily(start, problem.calls, as_register, budget)?;
                Some(decided.map_states(Content::Whole))
            }
            Engine::Elements | Engine::General => None,
        }
    }

    fn diagnose(&self, case: &Case<'_, KvOperation>) -> Option<Finding> {
        explain::diagnose_kv(case)
    }

    fn size(&self, state: &Content) -> usize {
        let owned = match state {
            Content::Whole(_) | Content::Unseen => 0,
            Content::Text(text) => text.len(),
            Content::List(items) => size_of_val::<[ValueId]>(items),
        };
        size_of::<Content>() + owned
    }

    fn describe(&self, history: &History, state: &Content) -> String {
        match state {
            Content::Whole(value) => history.values().get(*value).to_string(),
            Content::Text(text) => format!("{text:?}"),
            Content::List(items) => {
                Value::list(items.iter().map(|&item| history.values().get(item))).to_string()
            }
            Content::Unseen => "something that no get returned".to_owned(),
        }
    }
}
