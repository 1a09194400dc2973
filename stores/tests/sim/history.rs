//! What clients saw, and whether one order explains it.
//!
//! All writes append unique numbers, so a list that is read is itself the order of the writes
//! before the read. That makes linearizability easy to decide: give each operation a *level*, the
//! length of the list that it made or saw; then an operation which begins after another has ended
//! must not have a lower level, and a higher one if it is an append.

use std::collections::{BTreeMap, BTreeSet};

use rashomon_stores::kv::Key;
use rashomon_stores::replica::Time;

/// What a client does to a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Read,
    Append(i64),
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A list was read.
    Read(Vec<i64>),
    /// The number was appended.
    Appended,
    /// Nothing has happened nor will.
    Failed,
    /// Nobody knows.
    Unknown,
}

/// A call with its interval.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) key: Key,
    pub(crate) call: Call,
    pub(crate) began: Time,
    pub(crate) ended: Option<Time>,
    pub(crate) outcome: Outcome,
}

/// The calls in the order in which they began.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    operations: Vec<Operation>,
    numbers: i64,
}

impl History {
    /// A number that was never appended before.
    pub(crate) fn next_number(&mut self) -> i64 {
        self.numbers += 1;
        self.numbers
    }

    pub(crate) fn invoke(&mut self, key: Key, call: Call, began: Time) -> usize {
        let outcome = Outcome::Unknown;
        self.operations.push(Operation { key, call, began, ended: None, outcome });
        self.operations.len() - 1
    }

    pub(crate) fn complete(&mut self, operation: usize, outcome: Outcome, at: Time) {
        let operation = &mut self.operations[operation];
        if outcome != Outcome::Unknown {
            operation.ended = Some(at);
        }
        operation.outcome = outcome;
    }

    pub(crate) fn key(&self, operation: usize) -> Key {
        self.operations[operation].key.clone()
    }

    pub(crate) fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Decides whether the history is linearizable, given the list that each key holds in the end.
    pub(crate) fn check(&self, finally: &BTreeMap<Key, Vec<i64>>) -> Result<(), String> {
        for (key, list) in finally {
            let operations: Vec<&Operation> =
                self.operations.iter().filter(|operation| operation.key == *key).collect();
            check_key(&operations, list).map_err(|why| format!("{key}: {why}"))?;
        }
        Ok(())
    }
}

fn check_key(operations: &[&Operation], finally: &[i64]) -> Result<(), String> {
    let mut places = BTreeMap::new();
    for (position, number) in finally.iter().enumerate() {
        if places.insert(*number, position + 1).is_some() {
            return Err(format!("{number} was appended twice"));
        }
    }
    let mut levels = Vec::new();
    let mut appended = BTreeSet::new();
    for operation in operations {
        let level = match (operation.call, &operation.outcome) {
            (Call::Append(number), outcome) => {
                appended.insert(number);
                match (places.get(&number), outcome) {
                    (Some(_), Outcome::Failed) => {
                        return Err(format!("{number} is there, but its append failed"));
                    }
                    (None, Outcome::Appended) => return Err(format!("{number} was lost")),
                    (Some(place), _) => *place,
                    (None, _) => continue,
                }
            }
            (Call::Read, Outcome::Read(list)) if finally.starts_with(list) => list.len(),
            (Call::Read, Outcome::Read(list)) => {
                return Err(format!("a read saw {list:?}, which is no beginning of {finally:?}"));
            }
            (Call::Read, _) => continue,
        };
        levels.push((*operation, level));
    }
    if let Some(number) = places.keys().find(|number| !appended.contains(*number)) {
        return Err(format!("{number} is there, but nobody appended it"));
    }
    check_levels(&levels)
}

/// Levels must not go back in real time. Operations come in the order in which they began.
fn check_levels(levels: &[(&Operation, usize)]) -> Result<(), String> {
    let mut ended: Vec<_> =
        levels.iter().filter_map(|(op, level)| Some((op.ended?, *level, *op))).collect();
    ended.sort_by_key(|(at, ..)| *at);
    let mut ended = ended.into_iter().peekable();
    let mut highest: Option<(usize, &Operation)> = None;
    for (operation, level) in levels {
        while let Some((_, level, before)) = ended.next_if(|(at, ..)| *at < operation.began) {
            if highest.is_none_or(|(highest, _)| level > highest) {
                highest = Some((level, before));
            }
        }
        let least = |highest: usize| match operation.call {
            Call::Read => highest,
            Call::Append(_) => highest + 1,
        };
        if let Some((highest, before)) = highest
            && *level < least(highest)
        {
            return Err(format!("{operation:?} comes too late after {before:?}"));
        }
    }
    Ok(())
}
