//! An object of two states that each operation either needs or flips: a mutex, an element of a set.
//!
//! Walk along the events and change the state only where a completion demands it. Which operation
//! changes it then is a matter of deadlines: of those pending that can, the one that must complete
//! first, crashed ones last; two that do the same may swap places. Whoever only needs a state is
//! served whenever it comes about while he waits.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::line::line;
use super::within;
use crate::history::NEVER;
use crate::linearizability::{Budget, Outcome, Problem};
use crate::model::{Call, Mutex, MutexOperation, Set, SetOperation};

/// What an operation does to the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// Finds it so.
    Find(bool),
    /// Finds it otherwise, and makes it so.
    Flip(bool),
}

/// Decides a mutex, whatever happened to it.
pub(crate) fn decide_mutex(problem: &Problem<'_, Mutex>, budget: &Budget) -> Option<Outcome<bool>> {
    let act = |call: &Call<MutexOperation>| match call.operation {
        MutexOperation::Acquire => Act::Flip(true),
        MutexOperation::Release => Act::Flip(false),
    };
    decide(problem.calls, *problem.start, act, budget)
}

/// Decides an element of a set; `None` where somebody does not say whether he changed anything,
/// unless he crashed: then it only matters if he did.
pub(crate) fn decide_set(problem: &Problem<'_, Set>, budget: &Budget) -> Option<Outcome<bool>> {
    let silent = |call: &Call<SetOperation>| {
        matches!(call.operation, SetOperation::Made(_)) && call.ret != NEVER
    };
    if problem.calls.iter().any(silent) {
        return None;
    }
    let act = |call: &Call<SetOperation>| match call.operation {
        SetOperation::Found(there) => Act::Find(there),
        SetOperation::Changed(there) | SetOperation::Made(there) => Act::Flip(there),
    };
    decide(problem.calls, *problem.start, act, budget)
}

fn decide<O>(
    calls: &[Call<O>],
    start: bool,
    act: impl Fn(&Call<O>) -> Act,
    budget: &Budget,
) -> Option<Outcome<bool>> {
    // Two events, a place in the order, and at worst a place in a heap.
    let bytes = calls.len() * (2 * size_of::<u32>() + size_of::<u32>() + size_of::<(u32, u32)>());
    within(budget, bytes, |meter| {
        let mut toggle = Toggle::new(start, calls.len());
        for event in line(calls) {
            meter.tick()?;
            let index = event.call();
            let call = &calls[index as usize];
            if !event.is_return() {
                toggle.begin(index, act(call), call.ret);
            } else if !toggle.end(index) {
                return Ok(Some(Err(index)));
            }
        }
        Ok(Some(Ok(toggle.order)))
    })
}

/// Where the walk is.
struct Toggle {
    state: bool,
    /// Pending operations that bring about the one state or the other, by completion.
    flips: [BinaryHeap<Reverse<(u32, u32)>>; 2],
    /// Pending operations that wait for the one state or the other.
    waiting: [Vec<u32>; 2],
    done: Vec<bool>,
    order: Vec<u32>,
}

impl Toggle {
    fn new(state: bool, calls: usize) -> Self {
        Toggle {
            state,
            flips: [BinaryHeap::new(), BinaryHeap::new()],
            waiting: [Vec::new(), Vec::new()],
            done: vec![false; calls],
            order: Vec::with_capacity(calls),
        }
    }

    fn place(&mut self, index: u32) {
        self.done[index as usize] = true;
        self.order.push(index);
    }

    fn begin(&mut self, index: u32, act: Act, ret: u32) {
        match act {
            Act::Find(_) if ret == NEVER => {}
            Act::Find(state) if state == self.state => self.place(index),
            Act::Find(state) => self.waiting[usize::from(state)].push(index),
            Act::Flip(to) => self.flips[usize::from(to)].push(Reverse((ret, index))),
        }
    }

    /// Sees to it that an operation that completes has taken effect; `false` if it cannot have.
    fn end(&mut self, index: u32) -> bool {
        // One flip serves whoever waits, and at most two come to the turn of a flip: nobody with an
        // earlier deadline is left.
        while !self.done[index as usize] {
            if !self.flip() {
                return false;
            }
        }
        true
    }

    fn flip(&mut self) -> bool {
        let to = usize::from(!self.state);
        let Some(Reverse((_, index))) = self.flips[to].pop() else { return false };
        self.state = !self.state;
        self.place(index);
        for waiter in std::mem::take(&mut self.waiting[to]) {
            self.place(waiter);
        }
        true
    }
}
