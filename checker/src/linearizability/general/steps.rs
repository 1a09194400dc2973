//! Interned states and operations, and each step of the model at most once (after Knossos's
//! `memo`): the search moves between numbers.

use indexmap::{IndexMap, IndexSet};
use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::linearizability::budget::{Meter, Resource};
use crate::model::{Call, Specification};

const IMPOSSIBLE: u32 = u32::MAX;

/// The steps of one specification over the operations of one part.
#[derive(Debug)]
pub(super) struct Steps<'a, S: Specification> {
    specification: &'a S,
    /// Equal operations share a class.
    class: Vec<u32>,
    operations: Vec<&'a S::Operation>,
    states: IndexSet<S::State, FxBuildHasher>,
    known: FxHashMap<(u32, u32), u32>,
}

impl<'a, S: Specification> Steps<'a, S> {
    pub(super) fn new(
        specification: &'a S,
        start: S::State,
        calls: &'a [Call<S::Operation>],
    ) -> Self {
        let mut classes: IndexMap<&S::Operation, (), FxBuildHasher> = IndexMap::default();
        let class = calls.iter().map(|call| classes.insert_full(&call.operation, ()).0 as u32);
        let class = class.collect();
        Steps {
            specification,
            class,
            operations: classes.into_keys().collect(),
            states: IndexSet::from_iter([start]),
            known: FxHashMap::default(),
        }
    }

    /// The number of the state to start from.
    pub(super) const START: u32 = 0;

    /// Equal for equal operations.
    pub(super) fn class(&self, op: u32) -> u32 {
        self.class[op as usize]
    }

    /// The state with this number.
    pub(super) fn state(&self, number: u32) -> &S::State {
        &self.states[number as usize]
    }

    /// The state after an operation, if it is possible.
    pub(super) fn step(
        &mut self,
        state: u32,
        op: u32,
        meter: &mut Meter<'_>,
    ) -> Result<Option<u32>, Resource> {
        let class = self.class(op);
        let next = match self.known.get(&(state, class)) {
            Some(&next) => next,
            None => {
                let operation = self.operations[class as usize];
                let next = match self.specification.step(&self.states[state as usize], operation) {
                    Some(next) => self.intern(next, meter)?,
                    None => IMPOSSIBLE,
                };
                // A hash table entry of 12 bytes with its control byte, at its average load.
                meter.draw(24)?;
                self.known.insert((state, class), next);
                next
            }
        };
        Ok((next != IMPOSSIBLE).then_some(next))
    }

    fn intern(&mut self, state: S::State, meter: &mut Meter<'_>) -> Result<u32, Resource> {
        if let Some(number) = self.states.get_index_of(&state) {
            return Ok(number as u32);
        }
        // The state, its hash and its index.
        meter.draw(self.specification.size(&state) + 2 * size_of::<usize>())?;
        Ok(self.states.insert_full(state).0 as u32)
    }
}
