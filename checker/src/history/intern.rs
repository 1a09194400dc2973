//! Interned values and names: each distinct one is stored once and spoken of by a small number.
//!
//! The engines compare values far more often than they look inside them, so operations carry ids
//! and only explanations turn ids back into values. Small integers, which most histories consist
//! of, are their own ids and are in no table. Lists are stored as the ids of their items: a
//! thousand reads of the same growing list share them, and a model can look inside
//! `[expected new]` without touching a [`Value`].

use std::sync::Arc;

use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;

use super::Value;

/// A value of one [`History`](super::History): equal ids are equal values, and only within it.
///
/// Ids are no dense numbers: those from 2^31 on spell an integer out, the others count up from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub(crate) u32);

impl ValueId {
    /// [`Value::Nil`], in every history.
    pub const NIL: ValueId = ValueId(0);
    /// A value that the history never mentions, such as a model's initial value.
    pub(crate) const FOREIGN: ValueId = ValueId(u32::MAX);
    /// The integer 0; those above it follow, up to [`ValueId::FOREIGN`].
    const ZERO: u32 = 1 << 31;

    /// The id of an integer that is its own.
    #[inline]
    pub(super) fn of_int(int: i64) -> Option<Self> {
        let small = u32::try_from(int).ok().filter(|small| *small < u32::MAX - Self::ZERO);
        small.map(|small| ValueId(Self::ZERO + small))
    }

    /// The integer that this id spells out.
    #[inline]
    fn int(self) -> Option<i64> {
        let is_int = self.0 >= Self::ZERO && self != Self::FOREIGN;
        is_int.then(|| i64::from(self.0 - Self::ZERO))
    }
}

/// A value that is in a table.
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

impl Default for ValueTable {
    fn default() -> Self {
        ValueTable::new()
    }
}

impl ValueTable {
    pub(crate) fn new() -> Self {
        let mut data = IndexSet::default();
        data.insert(Datum::Atom(Value::Nil));
        ValueTable { data }
    }

    /// How many values are in the table.
    pub(super) fn len(&self) -> usize {
        self.data.len()
    }

    /// About how many bytes the table takes: an entry has a hash and a place in the index of the
    /// table, and a value what it owns.
    pub(super) fn bytes(&self) -> usize {
        let index = size_of::<u64>() + 2 * size_of::<usize>();
        let owned = |datum: &Datum| match datum {
            Datum::Atom(value) => value.bytes(),
            Datum::List(items) => size_of_val(&**items),
        };
        let entries = self.data.capacity() * (size_of::<Datum>() + index);
        entries + self.data.iter().map(owned).sum::<usize>()
    }

    pub(crate) fn intern(&mut self, value: &Value) -> ValueId {
        match value {
            Value::Nil => ValueId::NIL,
            Value::Int(int) => self.intern_int(*int),
            Value::List(items) => {
                let items = items.iter().map(|item| self.intern(item)).collect();
                self.insert(Datum::List(items))
            }
            atom => self.insert(Datum::Atom(atom.clone())),
        }
    }

    #[inline]
    pub(super) fn intern_int(&mut self, int: i64) -> ValueId {
        ValueId::of_int(int).unwrap_or_else(|| self.insert(Datum::Atom(Value::Int(int))))
    }

    fn insert(&mut self, datum: Datum) -> ValueId {
        ValueId(self.data.insert_full(datum).0 as u32)
    }

    /// Takes over all values of another table, and says which ids they have in this one.
    pub(super) fn absorb(&mut self, other: ValueTable) -> Translation {
        let mut ids = Translation { ids: Vec::with_capacity(other.len()) };
        for datum in other.data {
            let datum = match datum {
                // The items of a list were interned before it.
                Datum::List(items) => {
                    Datum::List(items.iter().map(|item| ids.translate(*item)).collect())
                }
                atom => atom,
            };
            let id = self.insert(datum);
            ids.ids.push(id);
        }
        ids
    }

    /// The id of a value, if the history mentions it or could without a table.
    pub(crate) fn find(&self, value: &Value) -> Option<ValueId> {
        let datum = match value {
            Value::List(items) => {
                Datum::List(items.iter().map(|item| self.find(item)).collect::<Option<_>>()?)
            }
            Value::Int(int) => match ValueId::of_int(*int) {
                Some(id) => return Some(id),
                None => Datum::Atom(Value::Int(*int)),
            },
            atom => Datum::Atom(atom.clone()),
        };
        self.data.get_index_of(&datum).map(|index| ValueId(index as u32))
    }

    /// The value behind an id; [`Value::Nil`] for [`ValueId::FOREIGN`].
    pub(crate) fn get(&self, id: ValueId) -> Value {
        if let Some(int) = id.int() {
            return Value::Int(int);
        }
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

    /// The value behind an id without building it; `None` for a list, and for an integer that is
    /// its own id.
    pub(crate) fn atom(&self, id: ValueId) -> Option<&Value> {
        match self.data.get_index(id.0 as usize) {
            Some(Datum::Atom(value)) => Some(value),
            _ => None,
        }
    }
}

/// What the ids of one table are in another.
#[derive(Debug)]
pub(super) struct Translation {
    ids: Vec<ValueId>,
}

impl Translation {
    #[inline]
    pub(super) fn translate(&self, id: ValueId) -> ValueId {
        // What is in no table means the same in all.
        self.ids.get(id.0 as usize).copied().unwrap_or(id)
    }
}

/// A name of one table: of a function, a node or a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct NameId(pub(super) u32);

/// All names of a history.
#[derive(Clone, Debug, Default)]
pub(super) struct NameTable {
    names: IndexSet<Arc<str>, FxBuildHasher>,
}

impl NameTable {
    pub(super) fn intern(&mut self, name: &Arc<str>) -> NameId {
        let known = self.names.get_index_of(name);
        let index = known.unwrap_or_else(|| self.names.insert_full(Arc::clone(name)).0);
        NameId(index as u32)
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<str>> {
        self.names.iter()
    }

    /// The name with an id of this table.
    pub(super) fn get(&self, id: NameId) -> &Arc<str> {
        &self.names[id.0 as usize]
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
        assert_eq!(table.find(&Value::Int(-7)), None);
        assert_eq!(table.intern(&Value::Nil), ValueId::NIL);
        assert_eq!(table.get(ValueId::FOREIGN), Value::Nil);
    }

    #[test]
    fn integers_of_any_size_have_ids_of_their_own() {
        let mut table = ValueTable::new();
        let edge = i64::from(u32::MAX - ValueId::ZERO);
        let ints = [0, 1, edge - 1, edge, edge + 1, -1, i64::MIN, i64::MAX];
        let ids = ints.map(|int| table.intern(&Value::Int(int)));
        for (int, id) in ints.into_iter().zip(ids) {
            assert_eq!(table.get(id), Value::Int(int));
            assert_eq!(ids.iter().filter(|other| **other == id).count(), 1);
            assert_ne!(id, ValueId::FOREIGN);
        }
        // All but the first three: those that no id spells out, and nil.
        assert_eq!(table.len(), ints.len() - 3 + 1);
    }

    #[test]
    fn a_table_takes_over_another() {
        let values = [
            Value::from("x"),
            Value::list([Value::Int(-3), Value::list([Value::from("x"), Value::Int(3)])]),
            Value::Nil,
            Value::Int(5),
        ];
        let mut all = ValueTable::new();
        all.intern(&Value::from("first"));
        let mut own = ValueTable::new();
        let ids: Vec<_> = values.iter().map(|value| own.intern(value)).collect();
        let translation = all.absorb(own);
        for (value, id) in values.iter().zip(ids) {
            let id = translation.translate(id);
            assert_eq!((all.get(id), all.find(value)), (value.clone(), Some(id)));
        }
    }
}
