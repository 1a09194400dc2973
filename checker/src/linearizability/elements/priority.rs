//! Priority queues: the most urgent first.
//!
//! Go through the items from the most urgent down. An item can be taken out at an instant at which
//! nothing more urgent is there; it is there from the completion of its putting in to the first
//! such instant, and what that adds to the time in which something more urgent is there for the
//! less urgent ones is unavoidable. An item for which there is no such instant proves that there is
//! no order. Who found the queue empty is the least urgent of all.
//!
//! The instants in which something more urgent is there only grow, so the next free one is found
//! with a union-find structure. That items can be judged by urgency one after the other is due to
//! Lee & Mathur, "Efficient decrease-and-conquer linearizability monitoring", OOPSLA 2025.

use super::items::{Items, NONE};
use crate::history::NEVER;
use crate::model::Priority;

/// Tells an order of the operations on these items; `false` if there is none.
pub(crate) fn order(priority: Priority, items: &Items<i64>, mut tell: impl FnMut(u32)) -> bool {
    let mut urgency: Vec<u32> = (0..items.list.len() as u32).collect();
    let value = |index: u32| items.list[index as usize].value;
    urgency.sort_unstable_by(|&one, &other| priority.compare(value(one), value(other)));
    let Some(plan) = Plan::new(items, &urgency) else { return false };
    let mut empties = items.empties.iter().zip(&plan.empty_at).peekable();
    for instant in 0..items.places {
        let mut next = plan.taken_at[instant as usize];
        while next != NONE {
            let item = &items.list[next as usize];
            if item.put_ret > instant {
                tell(item.put);
            }
            tell(item.take);
            next = plan.less_urgent[next as usize];
        }
        while let Some((empty, _)) = empties.next_if(|&(_, &at)| at == instant) {
            tell(empty.index);
        }
        if let Some(&item) = plan.put_at.get(instant as usize + 1)
            && item != NONE
        {
            tell(items.list[item as usize].put);
        }
    }
    true
}

/// When what happens. An instant is named after the place right before it.
struct Plan {
    /// The most urgent item that is taken out at an instant, and after each item the next one.
    taken_at: Vec<u32>,
    less_urgent: Vec<u32>,
    /// The item that is put in right before a place, if it is there at all from then on.
    put_at: Vec<u32>,
    /// At which instants the queue was found empty.
    empty_at: Vec<u32>,
}

impl Plan {
    /// The first instant for everything, the most urgent first; `None` if something has none.
    fn new(items: &Items<i64>, urgency: &[u32]) -> Option<Self> {
        let places = items.places as usize;
        let mut free = Instants::new(items.places);
        let mut taken = vec![NEVER; items.list.len()];
        let mut put_at = vec![NONE; places];
        for &index in urgency {
            let item = &items.list[index as usize];
            let instant = free.next(item.take_call);
            if instant >= item.take_ret && item.take_ret != NEVER {
                return None;
            }
            taken[index as usize] = instant;
            if item.put_ret <= instant {
                free.occupy(item.put_ret, instant);
                put_at[item.put_ret as usize] = index;
            }
        }
        let mut empty_at = Vec::with_capacity(items.empties.len());
        for empty in &items.empties {
            let instant = free.next(empty.call);
            if instant >= empty.ret {
                return None;
            }
            empty_at.push(instant);
        }
        let (mut taken_at, mut less_urgent) = (vec![NONE; places], vec![NONE; items.list.len()]);
        for &index in urgency.iter().rev() {
            if let Some(first) = taken_at.get_mut(taken[index as usize] as usize) {
                less_urgent[index as usize] = std::mem::replace(first, index);
            }
        }
        Some(Plan { taken_at, less_urgent, put_at, empty_at })
    }
}

/// Instants that become occupied one by one (Tarjan, "Efficiency of a good but not linear set union
/// algorithm", J. ACM 1975).
struct Instants {
    /// A later instant that may be free; itself if it is. The last one is after everything.
    next: Vec<u32>,
}

impl Instants {
    fn new(places: u32) -> Self {
        Instants { next: (0..=places).collect() }
    }

    /// The first free instant from this one on; [`NEVER`] if there is none.
    fn next(&mut self, instant: u32) -> u32 {
        let end = self.next.len() as u32 - 1;
        if instant >= end {
            return NEVER;
        }
        match self.find(instant) {
            free if free == end => NEVER,
            free => free,
        }
    }

    fn find(&mut self, mut instant: u32) -> u32 {
        while self.next[instant as usize] != instant {
            let next = self.next[instant as usize];
            self.next[instant as usize] = self.next[next as usize];
            instant = next;
        }
        instant
    }

    /// Occupies the instants from one on up to another, which stays as it is.
    fn occupy(&mut self, from: u32, until: u32) {
        let end = self.next.len() as u32 - 1;
        let mut instant = self.find(from);
        while instant < until.min(end) {
            self.next[instant as usize] = instant + 1;
            instant = self.find(instant);
        }
    }
}
