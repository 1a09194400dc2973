//! Stacks: last in, first out.
//!
//! Look at the spans for which items are surely there. Where they leave gaps, the stack may be empty,
//! and what lies between two gaps is a matter of its own. Between two gaps something is always
//! there, so something stands at the bottom all the time: an item whose putting in can come before
//! that of all others, and whose taking out after. If several can, it makes no difference which of
//! them does: what stood below all others may as well stand anywhere between. So put that item at
//! the bottom, take its span away, and look at the gaps that appear. If no item can be the bottom,
//! there is no order.
//!
//! An item that is never surely there can be put in and taken out at one instant, whatever there
//! is. Who found the stack empty must have done so in one of the first gaps.
//!
//! That the spans alone decide is due to Lee & Mathur, "Efficient decrease-and-conquer
//! linearizability monitoring", OOPSLA 2025.

use super::coverage::Coverage;
use super::items::{Empty, Items, NONE};
use crate::history::NEVER;

/// Tells an order of the operations on these items; `false` if there is none.
pub(crate) fn order<T>(items: &Items<T>, tell: impl FnMut(u32)) -> bool {
    let mut stack = Stack::new(items);
    let mut timing = Timing::new(items, tell);
    for first in 0..stack.spans.len() {
        while !stack.seen[first] {
            let start = stack.spans[first].put_ret;
            while let Some((end, take)) = stack.pop_before(start) {
                timing.take(end, take);
            }
            if stack.standing.is_empty() && !timing.found_empty_until(start) {
                return false;
            }
            match stack.push_bottom(first) {
                Some(put) => timing.put(start, put),
                None => return false,
            }
        }
    }
    while let Some((end, take)) = stack.pop_before(NEVER) {
        timing.take(end, take);
    }
    let is_empty = stack.standing.is_empty();
    timing.finish(is_empty)
}

/// An item that is surely there for some time.
#[derive(Clone, Copy, Debug)]
struct Span {
    put_ret: u32,
    take_ret: u32,
    put: u32,
    take: u32,
    /// The first end of a span after its beginning, and its own end, by number.
    from: u32,
    to: u32,
}

/// What is on the stack, and what will be.
struct Stack {
    /// By the completion of their putting in.
    spans: Vec<Span>,
    seen: Vec<bool>,
    /// The places at which spans end, and how many spans go on there.
    ends: Vec<u32>,
    coverage: Coverage,
    /// Spans by the invocation of their putting in, with that; those that have begun are gone.
    arrivals: std::iter::Peekable<std::vec::IntoIter<(u32, u32)>>,
    /// Spans that have begun to be put in and are not on the stack yet.
    pending: Vec<u32>,
    /// Spans on the stack, with the place after which they can go.
    standing: Vec<(u32, u32)>,
}

impl Stack {
    fn new<T>(items: &Items<T>) -> Self {
        let is_span = |&index: &u32| {
            let item = &items.list[index as usize];
            item.put_ret < item.take_call
        };
        let mut by_end = items.by(|item| item.take_call);
        by_end.retain(is_span);
        let take_call = |&index: &u32| items.list[index as usize].take_call;
        let ends: Vec<u32> = by_end.iter().map(take_call).take_while(|&end| end != NEVER).collect();
        let mut number = vec![NONE; items.list.len()];
        let mut spans = Vec::with_capacity(by_end.len());
        let mut from = 0;
        for index in items.by(|item| item.put_ret).into_iter().filter(is_span) {
            let item = &items.list[index as usize];
            from += ends[from..].iter().take_while(|&&end| end < item.put_ret).count();
            number[index as usize] = spans.len() as u32;
            let (put_ret, take_ret, put, take) = (item.put_ret, item.take_ret, item.put, item.take);
            spans.push(Span { put_ret, take_ret, put, take, from: from as u32, to: 0 });
        }
        for (&index, end) in by_end.iter().zip(0..) {
            spans[number[index as usize] as usize].to = ends.len().min(end) as u32;
        }
        let arrivals = items.list.iter().zip(number).filter(|&(_, number)| number != NONE);
        let arrivals: Vec<_> = arrivals.map(|(item, number)| (item.put_call, number)).collect();
        Stack {
            seen: vec![false; spans.len()],
            coverage: Coverage::new(&counts(&spans, ends.len())),
            spans,
            ends,
            arrivals: arrivals.into_iter().peekable(),
            pending: Vec::new(),
            standing: Vec::new(),
        }
    }

    /// Takes off the top if it goes before this place: where it goes, and the operation.
    fn pop_before(&mut self, place: u32) -> Option<(u32, u32)> {
        let (span, end) = self.standing.pop_if(|&mut (_, end)| end < place)?;
        Some((end, self.spans[span as usize].take))
    }

    /// Puts on what can stand below all that follows up to the next gap, beginning with the span
    /// `first`: the operation, or `None` if nothing can.
    fn push_bottom(&mut self, first: usize) -> Option<u32> {
        let Span { put_ret: start, from, .. } = self.spans[first];
        while let Some((_, span)) = self.arrivals.next_if(|&(call, _)| call < start) {
            self.pending.push(span);
        }
        let gap = self.coverage.next_free(from as usize);
        let end = gap.map_or(NEVER, |point| self.ends[point]);
        let spans = &self.spans;
        let begins = |&(_, &span): &(usize, &u32)| spans[span as usize].put_ret < end;
        let candidates = self.pending.iter().enumerate().filter(begins);
        let (place, &bottom) =
            candidates.max_by_key(|&(_, &span)| spans[span as usize].take_ret)?;
        let span = self.spans[bottom as usize];
        if span.take_ret <= end && span.take_ret != NEVER {
            return None;
        }
        self.pending.swap_remove(place);
        self.seen[bottom as usize] = true;
        self.coverage.uncover(span.from as usize..span.to as usize);
        self.standing.push((bottom, end));
        Some(span.put)
    }
}

/// How many spans go on at each end.
fn counts(spans: &[Span], ends: usize) -> Vec<u32> {
    let mut counts = vec![0_i32; ends + 1];
    for span in spans {
        counts[span.from as usize] += 1;
        counts[span.to as usize] -= 1;
    }
    let mut count = 0;
    let running = counts[..ends].iter().map(|change| {
        count += change;
        count as u32
    });
    running.collect()
}

/// Puts what happens outside the stack where it belongs: items that are gone at once, and those
/// who found the stack empty.
struct Timing<F> {
    tell: F,
    /// Where an item can come and go at once, with its two operations.
    passing: std::iter::Peekable<std::vec::IntoIter<(u32, u32, u32)>>,
    empties: std::iter::Peekable<std::vec::IntoIter<Empty>>,
    /// The place after which the last item went.
    last_end: u32,
}

impl<F: FnMut(u32)> Timing<F> {
    fn new<T>(items: &Items<T>, tell: F) -> Self {
        let mut passing: Vec<_> = items
            .list
            .iter()
            .filter(|item| item.take_call < item.put_ret)
            .map(|item| (item.take_call, item.put, item.take))
            .collect();
        passing.sort_unstable();
        Timing {
            tell,
            passing: passing.into_iter().peekable(),
            empties: items.empties.clone().into_iter().peekable(),
            last_end: 0,
        }
    }

    /// Lets pass what can come and go before this place.
    fn pass_until(&mut self, place: u32) {
        while let Some((_, put, take)) = self.passing.next_if(|&(at, ..)| at < place) {
            (self.tell)(put);
            (self.tell)(take);
        }
    }

    /// Puts something on the stack right before this place.
    fn put(&mut self, place: u32, put: u32) {
        self.pass_until(place);
        (self.tell)(put);
    }

    /// Takes something off the stack right after this place.
    fn take(&mut self, place: u32, take: u32) {
        self.pass_until(place);
        (self.tell)(take);
        self.last_end = place;
    }

    /// Lets those find the stack empty who can do so by this place, in a gap in which it is;
    /// `false` if for somebody it is too late.
    fn found_empty_until(&mut self, place: u32) -> bool {
        while let Some(empty) = self.empties.next_if(|empty| empty.call < place) {
            let instant = empty.call.max(self.last_end);
            if empty.ret <= instant {
                return false;
            }
            self.pass_until(instant + 1);
            (self.tell)(empty.index);
        }
        true
    }

    /// Tells the rest; `false` if somebody is left who found the stack empty, and it is not.
    fn finish(mut self, is_empty: bool) -> bool {
        let all_found = match is_empty {
            true => self.found_empty_until(NEVER),
            false => self.empties.peek().is_none(),
        };
        self.pass_until(NEVER);
        all_found
    }
}
