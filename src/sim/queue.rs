//! The event queue: what happens next is what has the least time and, of equal times, what was
//! scheduled first. That order is total, so a run never depends on how a heap breaks ties.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Events that are still to happen. They stay where they were put while the heap moves their small
/// keys around.
#[derive(Debug)]
pub(super) struct Queue<E> {
    /// Time in nanoseconds, position in the order of scheduling, place of the event.
    heap: BinaryHeap<Reverse<(u64, u64, u32)>>,
    events: Vec<Option<E>>,
    free: Vec<u32>,
    scheduled: u64,
}

impl<E> Queue<E> {
    /// An empty queue.
    pub(super) fn new() -> Self {
        Queue { heap: BinaryHeap::new(), events: Vec::new(), free: Vec::new(), scheduled: 0 }
    }

    /// Lets an event happen at a time, after everything else that does so far.
    pub(super) fn push(&mut self, time: u64, event: E) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            self.events.len() as u32 - 1
        });
        self.events[place as usize] = Some(event);
        self.heap.push(Reverse((time, self.scheduled, place)));
        self.scheduled += 1;
    }

    /// Takes the next event, if it happens before a time.
    pub(super) fn pop_before(&mut self, end: u64) -> Option<(u64, E)> {
        let Reverse((time, _, _)) = *self.heap.peek()?;
        if time >= end {
            return None;
        }
        let Reverse((_, _, place)) = self.heap.pop()?;
        self.free.push(place);
        self.events[place as usize].take().map(|event| (time, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_comes_first_and_then_the_order_of_scheduling() {
        let mut queue = Queue::new();
        for (time, event) in [(5, 'a'), (3, 'b'), (5, 'c'), (3, 'd'), (9, 'e')] {
            queue.push(time, event);
        }
        assert_eq!(queue.pop_before(9), Some((3, 'b')));
        queue.push(3, 'f');
        queue.push(5, 'g');
        let rest: String = std::iter::from_fn(|| queue.pop_before(9)).map(|(_, e)| e).collect();
        assert_eq!(rest, "dfacg");
        assert_eq!(queue.pop_before(10), Some((9, 'e')));
        assert_eq!(queue.pop_before(u64::MAX), None);
    }
}
