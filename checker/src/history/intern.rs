//! Interned values: each distinct value of a history is stored once and spoken of by a small number.
//!
//! The engines compare values far more often than they look inside them, so operations carry ids
//! and only explanations turn ids back into values. Lists are stored as the ids of their items:
//! a thousand reads of the same growing list share them, and a model can look inside
//! `[expected new]` without touching a [`Value`].

use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;

use super::Value;

/// A value of one [`History`](super::History): equal ids are equal values, and only within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub(crate) u32);

impl ValueId {
    /// [`Value::Nil`], in every history.
    pub const NIL: ValueId = ValueId(0);
    /// A value that the history never mentions, such as a model's initial value.
    pub(crate) const FOREIGN: ValueId = ValueId(u32::MAX);
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Datum {
    Atom(Value),
    List(Box<[ValueId]>),
}

/// All values of a history.
#[derive(Clone, Debug)]
pub(crate) struct ValueTable {
    data: IndexSet<Datum, FxBuildHasher>,
}

impl ValueTable {
    pub(crate) fn new() -> Self {
        let mut data = IndexSet::default();
        data.insert(Datum::Atom(Value::Nil));
        ValueTable { data }
    }

    pub(crate) fn intern(&mut self, value: &Value) -> ValueId {
        let datum = match value {
            Value::Nil => return ValueId::NIL,
            Value::List(items) => Datum::List(items.iter().map(|item| self.intern(item)).collect()),
            atom => Datum::Atom(atom.clone()),
        };
        ValueId(self.data.insert_full(datum).0 as u32)
    }

    /// The id of a value, if the history mentions it.
    pub(crate) fn find(&self, value: &Value) -> Option<ValueId> {
        let datum = match value {
            Value::List(items) => {
                Datum::List(items.iter().map(|item| self.find(item)).collect::<Option<_>>()?)
            }
            atom => Datum::Atom(atom.clone()),
        };
        self.data.get_index_of(&datum).map(|index| ValueId(index as u32))
    }

    /// The value behind an id; [`Value::Nil`] for [`ValueId::FOREIGN`].
    pub(crate) fn get(&self, id: ValueId) -> Value {
        match self.data.get_index(id.0 as usize) {
            Some(Datum::Atom(value)) => value.clone(),
            Some(Datum::List(items)) => Value::list(items.iter().map(|&item| self.get(item))),
            None => Value::Nil,
        }
    }

    /// The items of a list, by id; `None` for anything that is no list.
    pub(crate) fn items(&self, id: ValueId) -> Option<&[ValueId]> {
        match self.data.get_index(id.0 as usize) {
            Some(Datum::List(items)) => Some(items),
            _ => None,
        }
    }

    /// The value behind an id without building it, unless it is a list.
    pub(crate) fn atom(&self, id: ValueId) -> Option<&Value> {
        match self.data.get_index(id.0 as usize) {
            Some(Datum::Atom(value)) => Some(value),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_an_id_and_come_back_unchanged() {
        let mut table = ValueTable::new();
        let pair = Value::list([Value::Int(0), Value::list([Value::from("x"), Value::Nil])]);
        let id = table.intern(&pair);
        assert_eq!(table.intern(&pair.clone()), id);
        assert_eq!(table.find(&pair), Some(id));
        assert_eq!(table.get(id), pair);
        let zero = table.find(&Value::Int(0)).expect("an item of an interned list");
        assert_eq!(table.items(id).map(|items| items[0]), Some(zero));
        assert_eq!(table.find(&Value::Int(7)), None);
        assert_eq!(table.intern(&Value::Nil), ValueId::NIL);
        assert_eq!(table.get(ValueId::FOREIGN), Value::Nil);
    }
}
