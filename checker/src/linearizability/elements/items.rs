//! Containers: what all engines for queues, stacks and priority queues have in common.
//!
//! If each item is put in at most once, an operation that takes something out says which one put it
//! in, and a history is a list of items with two intervals each (Lee & Mathur, "Efficient
//! decrease-and-conquer linearizability monitoring", OOPSLA 2025). An item is *surely there* from
//! the completion of its putting in to the invocation of its taking out. Items are brought into a
//! form in which nothing is crashed any more:
//!
//! - What was put in and never taken out is taken out after everything else.
//! - Putting in completes when taking out does, at the latest, and taking out does not begin before
//!   putting in does.
//! - A crashed putting in that nobody took out did not happen.
//! - Crashed takers, who may have taken anything, are thought to take what the container would give
//!   them of all that nobody else takes. For a queue this is right whenever anything is; for the
//!   others it is a guess, and where neither the guess nor the certain part decides, they decline.

use std::collections::VecDeque;
use std::hash::Hash;

use rustc_hash::FxHashMap;

use super::line::{Event, line};
use super::within;
use crate::history::NEVER;
use crate::linearizability::{Budget, Outcome, Problem};
use crate::model::{Call, Container, ContainerOperation, Discipline};

use ContainerOperation::{Put, Take, TakeNothing, TakeUnknown};

/// What a check holds for each call: its events, its item as recorded and as brought into form, a
/// hash table, and the orders that an engine sorts the items into.
const BYTES_PER_CALL: usize = 96;

/// No operation.
pub(super) const NONE: u32 = u32::MAX;

/// An item that is put in once. Instants are places in the line of events; [`NEVER`] is after all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<T> {
    pub(super) value: T,
    /// Between these it is put in, and then it is surely there...
    pub(super) put_call: u32,
    pub(super) put_ret: u32,
    /// ...until it may be taken out, between these.
    pub(super) take_call: u32,
    pub(super) take_ret: u32,
    /// The operations; `NONE` if nobody takes it.
    pub(super) put: u32,
    pub(super) take: u32,
}

/// Somebody found the container empty between these.
#[derive(Clone, Copy, Debug)]
pub(super) struct Empty {
    pub(super) call: u32,
    pub(super) ret: u32,
    pub(super) index: u32,
}

/// What has to be put in order.
#[derive(Debug)]
pub struct Items<T> {
    /// By the invocation of their putting in.
    pub(super) list: Vec<Item<T>>,
    /// By invocation.
    pub(super) empties: Vec<Empty>,
    /// How many places the line has.
    pub(super) places: u32,
}

impl<T> Items<T> {
    /// The items by a place that each of them has for itself; those where it is [`NEVER`] last.
    pub(super) fn by(&self, place: impl Fn(&Item<T>) -> u32) -> Vec<u32> {
        let mut at = vec![NONE; self.places as usize];
        let mut last = Vec::new();
        for (item, index) in self.list.iter().zip(0..) {
            match place(item) {
                NEVER => last.push(index),
                place => at[place as usize] = index,
            }
        }
        at.retain(|&index| index != NONE);
        at.extend(last);
        at
    }
}

/// Decides a container; `None` if something is put in twice, if it was not empty at first, or if it
/// takes more than a guess to say what crashed takers took.
pub(crate) fn decide<D: Discipline>(
    problem: &Problem<'_, Container<D>>,
    budget: &Budget,
) -> Option<Outcome<VecDeque<D::Item>>> {
    if !problem.start.is_empty() {
        return None;
    }
    within(budget, problem.calls.len() * BYTES_PER_CALL, |meter| {
        let Some(recorded) = Recorded::read(problem.calls) else { return Ok(None) };
        let discipline = problem.specification.discipline();
        let mut order = Vec::with_capacity(problem.calls.len());
        let end = recorded.impossible;
        match recorded.judge(discipline, end, &mut order) {
            None => return Ok(None),
            Some(true) if end == NEVER => return Ok(Some(Ok(order))),
            Some(true) => return Ok(Some(Err(recorded.line[end as usize].call()))),
            Some(false) => {}
        }
        // Up to `good` there is an order, up to `bad` there is none.
        let (mut good, mut bad) = (0, end.min(recorded.line.len() as u32));
        while good + 1 < bad {
            meter.tick()?;
            let middle = good.midpoint(bad);
            match recorded.judge(discipline, middle, &mut order) {
                None => return Ok(None),
                Some(true) => good = middle,
                Some(false) => bad = middle,
            }
        }
        Ok(Some(Err(recorded.line[good as usize].call())))
    })
}

/// A container's history as it was recorded.
#[derive(Debug)]
struct Recorded<T> {
    line: Vec<Event>,
    /// By the invocation of their putting in.
    traffic: Vec<Traffic<T>>,
    empties: Vec<Empty>,
    /// The places where crashed takers begin.
    takers: Vec<u32>,
    /// The place of the first completion that is impossible by itself.
    impossible: u32,
}

/// What was recorded of one item: places in the line.
#[derive(Clone, Copy, Debug)]
struct Traffic<T> {
    value: T,
    put_call: u32,
    put_ret: u32,
    /// The taker who completes first.
    take_call: u32,
    take_ret: u32,
    /// Where any taker begins.
    first_take: u32,
}

impl<T: Copy + Eq + Hash> Recorded<T> {
    /// Reads a history; `None` if something is put in twice.
    fn read(calls: &[Call<ContainerOperation<T>>]) -> Option<Self> {
        let line = line(calls);
        let (mut begins, mut ends) = (vec![NEVER; calls.len()], vec![NEVER; calls.len()]);
        for (event, place) in line.iter().zip(0..) {
            let side = if event.is_return() { &mut ends } else { &mut begins };
            side[event.call() as usize] = place;
        }
        let mut recorded = Recorded {
            line,
            traffic: Vec::with_capacity(calls.len() / 2),
            empties: Vec::new(),
            takers: Vec::new(),
            impossible: NEVER,
        };
        let mut numbers = FxHashMap::with_capacity_and_hasher(calls.len() / 2, Default::default());
        for (call, (&put_call, &put_ret)) in calls.iter().zip(begins.iter().zip(&ends)) {
            let Put(value) = call.operation else { continue };
            if numbers.insert(value, recorded.traffic.len() as u32).is_some() {
                return None;
            }
            let (take_call, take_ret, first_take) = (NEVER, NEVER, NEVER);
            let traffic = Traffic { value, put_call, put_ret, take_call, take_ret, first_take };
            recorded.traffic.push(traffic);
        }
        for (index, call) in calls.iter().enumerate() {
            let (begin, end) = (begins[index], ends[index]);
            match &call.operation {
                Put(_) => {}
                Take(value) => match numbers.get(value) {
                    Some(&number) => recorded.take(number, begin, end),
                    None => recorded.impossible = recorded.impossible.min(end),
                },
                TakeNothing if end == NEVER => {}
                TakeNothing => {
                    recorded.empties.push(Empty { call: begin, ret: end, index: index as u32 });
                }
                TakeUnknown => recorded.takers.push(begin),
            }
        }
        Some(recorded)
    }

    /// Records a taker of an item; they come by invocation.
    fn take(&mut self, number: u32, call: u32, ret: u32) {
        let item = &mut self.traffic[number as usize];
        let mut refused = ret;
        if item.first_take == NEVER {
            item.first_take = call;
        }
        if item.take_call == NEVER || ret < item.take_ret {
            refused = item.take_ret;
            (item.take_call, item.take_ret) = (call, ret);
        }
        if item.take_ret < item.put_call {
            refused = item.take_ret;
        }
        self.impossible = self.impossible.min(refused);
    }

    /// Whether there is an order, told in `order`, of what lies before the place `end`; what
    /// completes later need not happen. `None` if that is hard to say.
    fn judge<D: Discipline<Item = T>>(
        &self,
        discipline: &D,
        end: u32,
        order: &mut Vec<u32>,
    ) -> Option<bool> {
        let mut has_order = |items: &Items<T>| {
            order.clear();
            discipline.order(items, |index| order.push(index))
        };
        let mut items = self.until(end);
        let takers = &self.takers[..self.takers.partition_point(|&place| place < end)];
        if takers.is_empty() || items.list.iter().all(|item| item.take_ret != NEVER) {
            return Some(has_order(&items));
        }
        if !D::TAKES_IN_ORDER && has_order(&items) {
            return Some(true);
        }
        // What may be taken later, but is not, may also be taken by somebody else.
        let mut certain = self.until(end);
        certain
            .list
            .retain(|item| item.take_ret != NEVER || D::TAKES_IN_ORDER && item.take == NONE);
        self.guess(discipline, takers, &mut items);
        if has_order(&items) {
            return Some(true);
        }
        self.guess(discipline, takers, &mut certain);
        if has_order(&certain) { None } else { Some(false) }
    }

    /// The items as they are before the place `end`.
    fn until(&self, end: u32) -> Items<T> {
        let begun = &self.traffic[..self.traffic.partition_point(|item| item.put_call < end)];
        let mut list = Vec::with_capacity(begun.len());
        for item in begun {
            let put_ret = if item.put_ret < end { item.put_ret } else { NEVER };
            let (take_call, take_ret) = match item {
                _ if item.take_ret < end => (item.take_call, item.take_ret),
                _ if item.first_take < end => (item.first_take, NEVER),
                _ => (NEVER, NEVER),
            };
            if put_ret == NEVER && take_ret == NEVER {
                continue;
            }
            list.push(Item {
                value: item.value,
                put_call: item.put_call,
                put_ret: put_ret.min(take_ret),
                take_call: take_call.max(item.put_call),
                take_ret,
                put: self.line[item.put_call as usize].call(),
                take: self.line.get(take_call as usize).map_or(NONE, |event| event.call()),
            });
        }
        let empties = self.empties.iter().filter(|empty| empty.ret < end).copied().collect();
        Items { list, empties, places: self.line.len() as u32 }
    }

    /// Lets crashed takers take what the container would give them, as soon as there is anything,
    /// of what nobody else takes.
    fn guess<D: Discipline<Item = T>>(&self, discipline: &D, takers: &[u32], items: &mut Items<T>) {
        let is_lost = |&index: &usize| items.list[index].take == NONE;
        let mut lost: Vec<usize> = (0..items.list.len()).filter(is_lost).collect();
        lost.sort_unstable_by_key(|&index| items.list[index].put_ret);
        let numbers: FxHashMap<T, usize> =
            lost.iter().map(|&index| (items.list[index].value, index)).collect();
        let arrival = |&index: &usize| (items.list[index].put_ret, items.list[index].value);
        let arrivals: Vec<(u32, T)> = lost.iter().map(arrival).collect();
        let mut give = |taker: u32, value: T| {
            let item = &mut items.list[numbers[&value]];
            item.take_call = taker.max(item.put_call);
            item.take = self.line[taker as usize].call();
        };
        let mut takers = takers.iter().copied().peekable();
        let (mut there, mut waiting) = (VecDeque::new(), VecDeque::new());
        for (place, value) in arrivals {
            while let Some(taker) = takers.next_if(|&taker| taker < place) {
                match there.pop_front() {
                    Some(value) => give(taker, value),
                    None => waiting.push_back(taker),
                }
            }
            discipline.put(&mut there, value);
            if let (Some(taker), Some(value)) = (waiting.pop_front(), there.front()) {
                give(taker, *value);
                there.pop_front();
            }
        }
        for (taker, value) in takers.zip(there) {
            give(taker, value);
        }
    }
}
