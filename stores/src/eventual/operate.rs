//! What a command makes of the state of a key, at the node that was asked.
//!
//! Nobody is asked for leave, so only what depends on no other state keeps its promise here: put,
//! delete, add and increment. A compare-and-set looks at this node's state and writes what follows
//! from it: two nodes may do so at the same time, and then both have succeeded. Where siblings are
//! kept, it takes the place of the version that it compared with only, the latest, so nothing is
//! lost that it has not looked at; where the last writer wins, one of two is. An append would lose
//! what others append at the same time, and is refused: a set is what can be added to here.

use super::object::{Object, Replaced, Version};
use super::settings::Conflicts;
use super::{Changed, Eventual};
use crate::clock::dotted::Dotted;
use crate::kv::{self, APPENDED_MAX, Context, Key, Op, Output, Rejection, Value};
use crate::replica::{Effects, Refusal};

/// More siblings than these a write that replaces none may not add to.
pub(super) const SIBLINGS_MAX: usize = 128;

/// What came out of a command.
#[derive(Debug)]
pub(super) struct Operated {
    /// What its client is told.
    pub(super) output: Output,
    /// What its client has seen by that.
    pub(super) context: Context,
    /// The state that is to be told to the other nodes, if there is one.
    pub(super) object: Option<Object>,
}

impl Operated {
    /// A change was made, and its client has seen that one: not what else its node has.
    fn changed(output: Output, changed: Changed) -> Self {
        let mut context = Context { seen: Dotted::default(), latest: changed.at };
        context.seen.add(changed.dot);
        Operated { output, context, object: Some(changed.object) }
    }

    /// Nothing was changed. That is no read: who is refused does not thereby mean to overwrite.
    fn unchanged(output: Output) -> Self {
        Operated { output, context: Context::default(), object: None }
    }
}

impl Eventual {
    /// Carries a command out here.
    ///
    /// # Errors
    /// When it was not begun, and never will be.
    pub(super) fn operate(
        &mut self,
        op: &Op,
        context: Option<&Context>,
        out: &mut Effects<Self>,
    ) -> Result<Operated, Refusal> {
        let own = self.object(op.key());
        if own.is_grown() && !matches!(op, Op::Add { .. } | Op::Increment { .. }) {
            let why = "the key is a set or a counter, which is only added to".into();
            return Err(Refusal::Inapplicable { why });
        }
        let settings = self.options.settings;
        let counts = settings.sessions || settings.conflicts == Conflicts::Siblings;
        let seen = context.filter(|_| counts).map(|context| context.seen.clone());
        let seen = seen.unwrap_or_default();
        Ok(match op {
            Op::Put { key, value } => self.set(key, value, &seen, out)?,
            Op::Delete { key } => self.set(key, &Value::Null, &seen, out)?,
            Op::Cas { key, expected, new } => {
                let current = latest_value(&own);
                let applied = current == *expected;
                let output = Output::Cas { applied, current };
                match applied {
                    true => Operated::changed(output, self.follow(key, &own, new.clone(), out)),
                    false => Operated::unchanged(output),
                }
            }
            Op::Append { .. } => {
                let why = "appending takes one order of writes, which this store does not have; \
                           add to a set"
                    .into();
                return Err(Refusal::Inapplicable { why });
            }
            Op::Add { key, element } => self.add(key, own, element, out),
            Op::Increment { key, by } => self.increment(key, &own, *by, out),
        })
    }

    /// Writes a value in the place of those that its client has seen, or, where the last writer
    /// wins, of any.
    fn set(
        &mut self,
        key: &Key,
        value: &Value,
        seen: &Dotted,
        out: &mut Effects<Self>,
    ) -> Result<Operated, Refusal> {
        let crowded = self.held(key).is_some_and(|own| own.versions.len() >= SIBLINGS_MAX);
        if crowded && seen.is_empty() {
            let why = format!(
                "the key has {SIBLINGS_MAX} concurrent values; read it, and write with the context"
            );
            return Err(Refusal::Inapplicable { why });
        }
        let changed = self.change(
            key,
            |object, dot, at, rule| {
                let version = Version { dot, at, value: value.clone() };
                object.write(version, Replaced::Seen(seen), rule);
            },
            out,
        );
        Ok(Operated::changed(Output::Done, changed))
    }

    /// Writes a value that follows from the latest one, in its place.
    fn follow(
        &mut self,
        key: &Key,
        own: &Object,
        value: Value,
        out: &mut Effects<Self>,
    ) -> Changed {
        let only = own.latest().map(|version| version.dot);
        self.change(
            key,
            |object, dot, at, rule| {
                object.write(Version { dot, at, value }, Replaced::Only(only), rule);
            },
            out,
        )
    }

    fn add(
        &mut self,
        key: &Key,
        own: Object,
        element: &Value,
        out: &mut Effects<Self>,
    ) -> Operated {
        if own.elements.contains(element) {
            // Others may not have it yet.
            let context = own.context();
            return Operated { output: Output::Done, context, object: Some(own) };
        }
        if let Some(rejection) = mismatch(&own, element, !own.tallies.is_empty()) {
            return Operated::unchanged(Output::Rejected(rejection));
        }
        let size: usize = own.elements.iter().map(Value::size).sum();
        if size + element.size() > APPENDED_MAX {
            return Operated::unchanged(Output::Rejected(Rejection::TooLarge));
        }
        let grown = self.change(
            key,
            |object, _, _, _| {
                object.elements.insert(element.clone());
            },
            out,
        );
        Operated::changed(Output::Done, grown)
    }

    fn increment(&mut self, key: &Key, own: &Object, by: i64, out: &mut Effects<Self>) -> Operated {
        if let Some(rejection) = mismatch(own, &Value::Int(by), !own.elements.is_empty()) {
            return Operated::unchanged(Output::Rejected(rejection));
        }
        let mut tally = own.tallies.get(&self.id).copied().unwrap_or_default();
        let part = if by < 0 { &mut tally.taken } else { &mut tally.added };
        let Some(more) = part.checked_add(by.unsigned_abs()) else {
            return Operated::unchanged(Output::Rejected(Rejection::Overflow));
        };
        *part = more;
        let grown = self.change(
            key,
            |object, dot, _, _| {
                object.tallies.insert(dot.node, tally);
            },
            out,
        );
        Operated::changed(Output::Done, grown)
    }
}

fn latest_value(object: &Object) -> Value {
    object.latest().map(|version| version.value.clone()).unwrap_or_default()
}

/// Why a value cannot be added to what is there: a register with a value, or the `other` of set and
/// counter.
fn mismatch(own: &Object, added: &Value, other: bool) -> Option<Rejection> {
    let current = match own.value() {
        Output::Value(value) => value,
        _ => latest_value(own),
    };
    (other || !own.is_dead() && !own.is_grown()).then(|| kv::mismatch(&current, added))
}
