//! From the mutators that the search chose to the whole order.
//!
//! Everything else has its place by itself: a read stands as soon as the value agrees with it, and
//! a write that did not take effect as itself right before the first write that does while it is
//! pending, or where the register holds its value already.

use super::action::Action;
use super::plan::{Event, Plan, START};
use super::search::Taken;
use super::window::Window;
use super::{bit, ones};

/// An order of the operations, as indices into the calls.
pub(super) fn story(plan: &Plan, taken: &[Taken]) -> Vec<u32> {
    let mut story = Story {
        plan,
        window: Window::new(plan),
        is_taken: vec![false; plan.actions.len()],
        placed: vec![0; plan.widths.slots],
        order: Vec::with_capacity(plan.actions.len()),
    };
    for step in taken {
        story.is_taken[step.op as usize] = true;
    }
    let mut value = START;
    let mut steps = taken.iter().peekable();
    for at in 0..plan.events.len() {
        while let Some(step) = steps.next_if(|step| step.at as usize == at) {
            value = story.take(step.op, value);
        }
        story.pass(at, value);
    }
    story.order
}

struct Story<'a> {
    plan: &'a Plan,
    window: Window,
    is_taken: Vec<bool>,
    /// Pending operations that are in the order.
    placed: Vec<u64>,
    order: Vec<u32>,
}

impl Story<'_> {
    /// Lets a mutator take effect, and whoever waited for that.
    fn take(&mut self, op: u32, value: u32) -> u32 {
        let action = self.plan.actions[op as usize];
        let Some(next) = action.apply(value) else { return value };
        if let Action::Write(_) = action {
            for word in 0..self.placed.len() {
                self.place(self.window.writes(word), word);
            }
        }
        self.order.push(op);
        for word in 0..self.placed.len() {
            self.place(self.window.content_with(next, word), word);
        }
        next
    }

    /// Places those of these operations that have no place of their own.
    fn place(&mut self, slots: u64, word: usize) {
        for slot in ones(slots & !self.placed[word], word) {
            let op = self.window.owner(slot);
            if !self.is_taken[op as usize] {
                self.order.push(op);
                self.placed[word] |= bit(slot).1;
            }
        }
    }

    /// Passes an event.
    fn pass(&mut self, at: usize, value: u32) {
        self.window.forward(self.plan);
        match self.plan.events[at] {
            Event::Call(op) if self.plan.actions[op as usize] == Action::Nothing => {
                self.order.push(op);
            }
            Event::Call(op) => {
                if self.plan.actions[op as usize].is_content_with(value) {
                    let (word, bit) = bit(self.plan.places[op as usize]);
                    self.place(bit, word);
                }
            }
            Event::Return(op) => {
                let (word, bit) = bit(self.plan.places[op as usize]);
                self.placed[word] &= !bit;
            }
            Event::Crash(_) | Event::Retire(_) => {}
        }
    }
}
