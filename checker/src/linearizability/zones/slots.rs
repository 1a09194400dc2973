//! A slot in a table for each value, without a hash where ids lie close together.

use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;

use super::Flaw;
use super::rows::Rows;
use crate::history::ValueId;
use crate::model::RegisterOperation;

/// How many slots there may be for each operation.
const MAX_SPREAD: usize = 4;

/// The slot of the initial value.
pub(super) const START: u32 = 0;

/// Which value has which slot.
#[derive(Debug)]
pub(super) enum Slots {
    /// Ids follow each other: the initial value comes first, then the least other one.
    Near {
        /// The initial value.
        start: ValueId,
        /// The least id of another value.
        least: u32,
        /// How many slots there are.
        count: usize,
    },
    /// Ids are far apart; these are in use.
    Far(IndexSet<ValueId, FxBuildHasher>),
}

impl Slots {
    /// Slots for the initial value and those of these operations.
    pub(super) fn new(start: ValueId, rows: &impl Rows) -> Result<Self, Flaw> {
        let (mut least, mut most) = (u32::MAX, 0);
        each_value(rows, |value| {
            if value != start {
                (least, most) = (least.min(value.0), most.max(value.0));
            }
        })?;
        let count = (most + 1).saturating_sub(least) as usize + 1;
        if count / MAX_SPREAD <= rows.len() {
            return Ok(Slots::Near { start, least, count });
        }
        let mut values = IndexSet::from_iter([start]);
        each_value(rows, |value| {
            values.insert(value);
        })?;
        Ok(Slots::Far(values))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Slots::Near { count, .. } => *count,
            Slots::Far(values) => values.len(),
        }
    }

    /// The slot of a value.
    #[inline]
    pub(super) fn of(&self, value: ValueId) -> usize {
        match self {
            Slots::Near { start, .. } if value == *start => START as usize,
            Slots::Near { least, .. } => (value.0 - least + 1) as usize,
            Slots::Far(values) => values.get_index_of(&value).unwrap_or_default(),
        }
    }

    /// The value of a slot.
    pub(super) fn value(&self, slot: usize) -> ValueId {
        match self {
            Slots::Near { start, .. } if slot == START as usize => *start,
            Slots::Near { least, .. } => ValueId(least + slot as u32 - 1),
            Slots::Far(values) => values[slot],
        }
    }
}

/// Visits the values that operations find or make, as often as they do.
#[inline]
fn each_value(rows: &impl Rows, mut visit: impl FnMut(ValueId)) -> Result<(), Flaw> {
    rows.each(|_, call| {
        match call.operation {
            RegisterOperation::Read(value) | RegisterOperation::Write(value) => visit(value),
            RegisterOperation::Cas(expected, new) => {
                [expected, new].into_iter().for_each(&mut visit);
            }
            RegisterOperation::CasMismatch(_) | RegisterOperation::ReadUnknown => {}
        }
        Ok(())
    })
}
