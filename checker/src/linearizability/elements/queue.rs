//! Queues: first in, first out.
//!
//! Items come out in the order in which they went in, so there is one order of items for both. It
//! exists unless there are two items of which one was put in before the other began to be, and
//! taken out after it; and is found by walking along two lines of events at once, that of putting
//! in and that of taking out (Lee & Mathur, "Efficient decrease-and-conquer linearizability
//! monitoring", OOPSLA 2025). Each walk stops at the completion of an item that is not in the order
//! yet; an item that both have seen begin is next.
//!
//! Who found the queue empty needs an instant at which nothing was surely there. What was put in by
//! then is taken out by then, and the rest comes after; so such instants cut the items into
//! sections that follow each other.

use super::items::{Item, Items, NONE};

/// Tells an order of the operations on these items; `false` if there is none.
pub(crate) fn order<T>(items: &Items<T>, mut tell: impl FnMut(u32)) -> bool {
    let Some(cuts) = cuts(items) else { return false };
    let Some(order) = order_of_items(items, &sections(items, &cuts)) else { return false };
    let mut order = &order[..];
    for (instant, empty) in cuts {
        let here = order.partition_point(|&index| items.list[index as usize].put_ret <= instant);
        let (section, rest) = order.split_at(here);
        interleave(items, section, &mut tell);
        tell(empty);
        order = rest;
    }
    interleave(items, order, &mut tell);
    true
}

/// For each who found the queue empty, the first instant at which it can have been, right after
/// some place; `None` if there is none for somebody.
fn cuts<T>(items: &Items<T>) -> Option<Vec<(u32, u32)>> {
    let mut cuts = Vec::with_capacity(items.empties.len());
    if items.empties.is_empty() {
        return Some(cuts);
    }
    let by_put_ret = items.by(|item| item.put_ret);
    let mut arrivals = by_put_ret.iter().map(|&index| &items.list[index as usize]).peekable();
    // Until when something is there of what was put in so far, and the instant in question.
    let (mut until, mut instant) = (0, 0);
    for empty in &items.empties {
        instant = empty.call.max(instant);
        while let Some(item) = arrivals.next_if(|item| item.put_ret <= instant) {
            until = item.take_call.max(until);
            instant = until.max(instant);
        }
        if instant >= empty.ret {
            return None;
        }
        cuts.push((instant, empty.index));
    }
    Some(cuts)
}

/// How many cuts each item comes after.
fn sections<T>(items: &Items<T>, cuts: &[(u32, u32)]) -> Vec<u32> {
    let section = |item: &Item<T>| cuts.partition_point(|&(instant, _)| instant < item.put_ret);
    items.list.iter().map(|item| section(item) as u32).collect()
}

/// One line of events: where each item begins and where it completes, by section and place.
struct Walk<'a, T> {
    items: &'a Items<T>,
    sections: &'a [u32],
    begin: fn(&Item<T>) -> u32,
    end: fn(&Item<T>) -> u32,
    begins: Vec<u32>,
    ends: Vec<u32>,
    begun: usize,
    ended: usize,
}

impl<'a, T> Walk<'a, T> {
    fn new(
        items: &'a Items<T>,
        sections: &'a [u32],
        begin: fn(&Item<T>) -> u32,
        end: fn(&Item<T>) -> u32,
    ) -> Self {
        let by = |place: fn(&Item<T>) -> u32| {
            let mut order = items.by(place);
            if !items.empties.is_empty() {
                // Stable: within a section it is the place that counts.
                order.sort_by_key(|&index| sections[index as usize]);
            }
            order
        };
        let (begins, ends) = (by(begin), by(end));
        Walk { items, sections, begin, end, begins, ends, begun: 0, ended: 0 }
    }

    fn key(&self, index: u32, place: fn(&Item<T>) -> u32) -> (u32, u32) {
        (self.sections[index as usize], place(&self.items.list[index as usize]))
    }

    /// Sees items begin up to the completion of one that both walks have not seen yet, which is
    /// what `seen` counts. `false` if there is nothing new.
    fn advance(&mut self, seen: &mut [u8], order: &mut Vec<u32>) -> bool {
        let before = self.begun;
        let is_done = |index: &u32| seen[*index as usize] == 2;
        self.ended += self.ends[self.ended..].iter().take_while(|index| is_done(index)).count();
        let stop = self.ends.get(self.ended).map(|&index| self.key(index, self.end));
        while let Some(&index) = self.begins.get(self.begun)
            // Both are the same only at the end of all.
            && stop.is_some_and(|stop| self.key(index, self.begin) <= stop)
        {
            seen[index as usize] += 1;
            if seen[index as usize] == 2 {
                order.push(index);
            }
            self.begun += 1;
        }
        self.begun > before
    }
}

/// The items in the order in which they go in and come out.
fn order_of_items<T>(items: &Items<T>, sections: &[u32]) -> Option<Vec<u32>> {
    let mut puts = Walk::new(items, sections, |item| item.put_call, |item| item.put_ret);
    let mut takes = Walk::new(items, sections, |item| item.take_call, |item| item.take_ret);
    let mut seen = vec![0; items.list.len()];
    let mut order = Vec::with_capacity(items.list.len());
    while puts.advance(&mut seen, &mut order) | takes.advance(&mut seen, &mut order) {}
    (order.len() == items.list.len()).then_some(order)
}

/// Tells the operations on items in this order, each as early as can be.
fn interleave<T>(items: &Items<T>, order: &[u32], tell: &mut impl FnMut(u32)) {
    let item = |index: &u32| &items.list[*index as usize];
    let mut puts = order.iter().map(item).enumerate().peekable();
    let (mut put_at, mut taken_at) = (0, 0);
    for (number, next) in order.iter().map(item).enumerate() {
        taken_at = next.take_call.max(taken_at);
        while let Some((_, newcomer)) = puts
            .next_if(|(put, newcomer)| *put <= number || newcomer.put_call.max(put_at) <= taken_at)
        {
            put_at = newcomer.put_call.max(put_at);
            tell(newcomer.put);
        }
        if next.take == NONE {
            // By now everything has been put in, and what comes next stays there.
            return;
        }
        tell(next.take);
    }
}
