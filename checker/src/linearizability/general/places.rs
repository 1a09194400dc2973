//! Which operations have to do with one another, and who is to blame for a dead end.
//!
//! Operations that touch no common place of the state are independent: they may swap places
//! without anybody noticing (Mazurkiewicz, "Trace theory", 1987). Two reductions follow.
//!
//! - *Only what is related.* Before a returning operation, only those pending operations need to
//!   take effect that share a place with it, or with one that does, and so on; all others can as
//!   well follow it (the persistent sets of Godefroid, "Partial-order methods for the verification
//!   of concurrent systems", 1996). Pending reads relate as well: of two mutators at two places, a
//!   read of both may need the one before the other.
//! - *Back to who is to blame* (conflict-directed backjumping: Prosser, "Hybrid algorithms for the
//!   constraint satisfaction problem", 1993). Operations fall into groups that never share a place.
//!   If everything failed that was tried from a configuration, the groups of the operations that
//!   could not be placed are to blame; a choice in another group would have changed nothing.

use rustc_hash::FxHashMap;

use super::timeline::{Window, has, ones, set};
use crate::model::{Call, Specification};

/// A set of groups; beyond its bits, several groups count as one.
pub(super) type Groups = u32;

/// All groups there are.
pub(super) const ALL: Groups = Groups::MAX;

/// The places that operations touch.
#[derive(Debug)]
pub(super) struct Places {
    /// The places of all operations, one after the other, and where those of each begin.
    touched: Vec<u32>,
    first: Vec<u32>,
    /// The group of each operation, as a set of one.
    groups: Vec<Groups>,
}

impl Places {
    /// The places of these operations, or `None` if one of them touches all, or none of them
    /// shares nothing with others.
    pub(super) fn new<S: Specification>(
        specification: &S,
        calls: &[Call<S::Operation>],
    ) -> Option<Self> {
        let mut numbers: FxHashMap<u64, u32> = FxHashMap::default();
        let (mut touched, mut first) = (Vec::new(), vec![0]);
        for call in calls {
            for place in specification.places(&call.operation)? {
                let next = numbers.len() as u32;
                touched.push(*numbers.entry(place).or_insert(next));
            }
            first.push(touched.len() as u32);
        }
        let mut places = Places { touched, first, groups: Vec::new() };
        places.groups = places.find_groups(calls.len(), numbers.len());
        (numbers.len() > 1).then_some(places)
    }

    /// Joins the places that one operation touches, for each operation (union-find).
    fn find_groups(&self, operations: usize, places: usize) -> Vec<Groups> {
        let mut parent: Vec<u32> = (0..places as u32).collect();
        let root = |parent: &mut [u32], mut place: u32| {
            while parent[place as usize] != place {
                parent[place as usize] = parent[parent[place as usize] as usize];
                place = parent[place as usize];
            }
            place
        };
        for op in 0..operations as u32 {
            if let [one, others @ ..] = self.of(op) {
                for other in others {
                    let (one, other) = (root(&mut parent, *one), root(&mut parent, *other));
                    parent[other as usize] = one;
                }
            }
        }
        let group = |op: u32| {
            self.of(op).first().map_or(0, |&place| 1 << (root(&mut parent, place) % Groups::BITS))
        };
        (0..operations as u32).map(group).collect()
    }

    /// The places of an operation.
    fn of(&self, op: u32) -> &[u32] {
        &self.touched[self.first[op as usize] as usize..self.first[op as usize + 1] as usize]
    }

    /// The group of an operation.
    pub(super) fn group(&self, op: u32) -> Groups {
        self.groups[op as usize]
    }

    /// The slots of the operations pending without effect that are related to this one.
    pub(super) fn related(&self, op: u32, window: &Window, mask: &[u64]) -> Vec<u64> {
        let mut related = vec![0; mask.len()];
        let mut places = self.of(op).to_vec();
        let mut is_growing = true;
        while std::mem::take(&mut is_growing) {
            for word in 0..mask.len() {
                for slot in ones(window.pending[word] & !mask[word] & !related[word], word) {
                    let touched = self.of(window.owner(slot));
                    if !has(&related, slot) && touched.iter().any(|place| places.contains(place)) {
                        set(&mut related, slot, true);
                        is_growing |= touched.len() > 1;
                        let new = touched.iter().filter(|place| !places.contains(place));
                        let new: Vec<u32> = new.copied().collect();
                        places.extend(new);
                    }
                }
            }
        }
        related
    }
}
