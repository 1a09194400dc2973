//! What is known before the search: the line of events, where each operation stands in the bit
//! sets while it is pending, and until when values are needed.

use rustc_hash::FxHashMap;

use super::WORD;
use super::action::{Action, Values};
use super::antichain::Widths;
use super::needs::last_needs;
use super::spent::{Counter, Layout};
use crate::history::{NEVER, ValueId};
use crate::linearizability::budget::{Meter, Resource};
use crate::model::{Call, RegisterOperation};

/// What happens at one place of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// An operation begins that completes; one that agrees with everything has no return.
    Call(u32),
    /// An operation ends.
    Return(u32),
    /// An operation of this kind begins that never ends.
    Crash(u32),
    /// From here on nobody needs what the crashed operations of this kind would leave.
    Retire(u32),
}

/// Crashed operations that do the same.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) action: Action,
    /// By invocation.
    pub(super) members: Vec<u32>,
    pub(super) counter: Counter,
}

/// What is still to begin of one value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ahead {
    /// The first return among the completed operations to come that need it.
    pub(super) need: u32,
    /// The first invocation of an operation that needs it.
    pub(super) observer: u32,
    /// The first invocation of a mutator that leaves it.
    pub(super) source: u32,
}

impl Ahead {
    const NOTHING: Ahead = Ahead { need: NEVER, observer: NEVER, source: NEVER };
}

/// One part, ready to be searched.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) events: Vec<Event>,
    /// What each operation does, by its index among the calls.
    pub(super) actions: Vec<Action>,
    /// When each operation begins and returns.
    pub(super) calls: Vec<u32>,
    pub(super) returns: Vec<u32>,
    /// The slot of a completed operation, the kind of a crashed one.
    pub(super) places: Vec<u32>,
    pub(super) kinds: Vec<Kind>,
    /// Kinds of crashed mutators by the value that they leave, and of crashed compare-and-sets by
    /// the value that they expect.
    pub(super) crashed_sources: Vec<Vec<u32>>,
    pub(super) crashed_cas: Vec<Vec<u32>>,
    /// What is ahead of each value at first, and of the values of each operation once it has begun.
    pub(super) outlook: Vec<Ahead>,
    pub(super) ahead: Vec<Ahead>,
    /// The first invocation of a failed compare-and-set: at first, and after each of them.
    pub(super) mismatch: u32,
    /// From when on nobody can have found what a write left: the first return among mutators that
    /// began after it returned.
    pub(super) overwritten: Vec<u32>,
    /// The last return that needs a value.
    pub(super) last_needs: Vec<u32>,
    pub(super) values: Values,
    pub(super) widths: Widths,
    pub(super) spare: Vec<u64>,
}

/// The number of the value that a register starts with.
pub(super) const START: u32 = 0;

impl Plan {
    /// Prepares these operations (by invocation), or `None` if one is not of a register.
    pub(super) fn new<O>(
        start: ValueId,
        calls: &[Call<O>],
        as_register: impl Fn(&O) -> Option<RegisterOperation>,
        meter: &mut Meter<'_>,
    ) -> Result<Option<Plan>, Resource> {
        // Two events, at first with their ranks, an action, its ends, and what is ahead of it.
        meter.draw(calls.len() * 96)?;
        let mut values = Values::default();
        values.number(start);
        let mut actions = Vec::with_capacity(calls.len());
        for call in calls {
            let Some(operation) = as_register(&call.operation) else { return Ok(None) };
            actions.push(values.action(operation));
        }
        // Its number, what is ahead of it, when it is needed, and the crashed operations on it.
        meter.draw(values.len() * 96)?;
        let returns: Vec<u32> = calls.iter().map(|call| call.ret).collect();
        let of = |is_crashed: bool| {
            let both = actions.iter().copied().zip(returns.iter().copied());
            both.filter(move |&(_, ret)| (ret == NEVER) == is_crashed)
        };
        let last_needs = last_needs(values.len(), of(false), of(true).map(|(action, _)| action));
        let mut plan = Plan {
            events: Vec::with_capacity(2 * calls.len()),
            places: vec![0; calls.len()],
            kinds: Vec::new(),
            crashed_sources: vec![Vec::new(); values.len()],
            crashed_cas: vec![Vec::new(); values.len()],
            outlook: vec![Ahead::NOTHING; values.len()],
            ahead: vec![Ahead::NOTHING; calls.len()],
            mismatch: NEVER,
            overwritten: vec![NEVER; calls.len()],
            widths: Widths { slots: 0, spent: 0 },
            spare: Vec::new(),
            calls: calls.iter().map(|call| call.call).collect(),
            actions,
            returns,
            last_needs,
            values,
        };
        plan.sort_crashed(calls);
        plan.look_ahead(calls);
        plan.lay_out(calls);
        plan.look_for_overwriting();
        Ok(Some(plan))
    }

    /// Whether a mutator that never returns could make a difference.
    fn is_needed<O>(&self, op: u32, calls: &[Call<O>]) -> bool {
        let action = self.actions[op as usize];
        action.produces().is_some_and(|value| self.last_need(value) > calls[op as usize].call)
    }

    /// The last return that needs a value.
    pub(super) fn last_need(&self, value: u32) -> u32 {
        self.last_needs[value as usize]
    }

    /// The operation that returns at a rank.
    pub(super) fn returning(&self, rank: u32) -> Option<u32> {
        let op = self.returns.iter().position(|&ret| ret == rank && ret != NEVER);
        op.map(|op| op as u32)
    }

    pub(super) fn is_crashed(&self, op: u32) -> bool {
        self.returns[op as usize] == NEVER
    }

    /// Groups the crashed operations by what they do, and leaves out those without consequence.
    fn sort_crashed<O>(&mut self, calls: &[Call<O>]) {
        let mut numbers: FxHashMap<Action, u32> = FxHashMap::default();
        for op in 0..calls.len() as u32 {
            if !self.is_crashed(op) || !self.is_needed(op, calls) {
                continue;
            }
            let action = self.actions[op as usize];
            let kind = *numbers.entry(action).or_insert_with(|| {
                let number = self.kinds.len() as u32;
                if let Some(value) = action.produces() {
                    self.crashed_sources[value as usize].push(number);
                }
                if let Some(value) = action.needs() {
                    self.crashed_cas[value as usize].push(number);
                }
                self.kinds.push(Kind { action, members: Vec::new(), counter: Counter::default() });
                number
            });
            self.kinds[kind as usize].members.push(op);
            self.places[op as usize] = kind;
        }
    }

    /// Notes, from the last operation to the first, what is still to come of each value.
    fn look_ahead<O>(&mut self, calls: &[Call<O>]) {
        for op in (0..calls.len() as u32).rev() {
            let (action, index) = (self.actions[op as usize], op as usize);
            let is_crashed = self.is_crashed(op);
            if let Action::Mismatch(_) = action {
                self.ahead[index].observer = self.mismatch;
                self.mismatch = calls[index].call;
            }
            let counts = !is_crashed || self.is_needed(op, calls);
            if let Some(value) = action.needs().filter(|_| counts) {
                let outlook = &mut self.outlook[value as usize];
                self.ahead[index] = *outlook;
                outlook.observer = calls[index].call;
                if !is_crashed {
                    outlook.need = outlook.need.min(self.returns[index]);
                }
            }
            if let Some(value) = action.produces().filter(|_| counts) {
                let source = &mut self.outlook[value as usize].source;
                self.ahead[index].source = *source;
                *source = calls[index].call;
            }
        }
    }

    /// Notes, from the last event to the first, until when what each write left may be found.
    fn look_for_overwriting(&mut self) {
        let mut first = NEVER;
        for &event in self.events.iter().rev() {
            match event {
                Event::Call(op) if self.actions[op as usize].produces().is_some() => {
                    first = first.min(self.returns[op as usize]);
                }
                Event::Return(op) => self.overwritten[op as usize] = first,
                Event::Call(_) | Event::Crash(_) | Event::Retire(_) => {}
            }
        }
    }

    /// Puts the events in order, and gives slots and counters to operations while they need them.
    fn lay_out<O>(&mut self, calls: &[Call<O>]) {
        let mut points: Vec<(u32, Event)> = Vec::with_capacity(2 * calls.len());
        for (call, op) in calls.iter().zip(0..) {
            let action = self.actions[op as usize];
            match (self.is_crashed(op), action) {
                (false, Action::Nothing) => points.push((call.call, Event::Call(op))),
                (false, _) => {
                    points.push((call.call, Event::Call(op)));
                    points.push((call.ret, Event::Return(op)));
                }
                (true, _) if self.is_needed(op, calls) => {
                    points.push((call.call, Event::Crash(self.places[op as usize])));
                }
                (true, _) => {}
            }
        }
        for (kind, number) in self.kinds.iter().zip(0..) {
            if let Some(value) = kind.action.produces() {
                points.push((self.last_need(value), Event::Retire(number)));
            }
        }
        // Stable, so that a kind retires after the return that was the last to need it.
        points.sort_by_key(|&(rank, _)| rank);
        let (mut free, mut used) = (Vec::new(), 0);
        let (mut layout, mut begun) = (Layout::default(), vec![0; self.kinds.len()]);
        for &(_, event) in &points {
            match event {
                Event::Call(op) if self.actions[op as usize] == Action::Nothing => {}
                Event::Call(op) => {
                    self.places[op as usize] = free.pop().unwrap_or_else(|| {
                        used += 1;
                        used - 1
                    });
                }
                Event::Return(op) => free.push(self.places[op as usize]),
                Event::Crash(kind) => {
                    let Kind { members, counter, .. } = &mut self.kinds[kind as usize];
                    if begun[kind as usize] == 0 {
                        *counter = layout.allocate(members.len() as u32);
                    }
                    begun[kind as usize] += 1;
                }
                Event::Retire(kind) => layout.release(self.kinds[kind as usize].counter),
            }
        }
        self.spare = layout.into_spare_bits();
        let slots = (used as usize).div_ceil(WORD).max(1);
        self.widths = Widths { slots, spent: self.spare.len() };
        self.events = points.into_iter().map(|(_, event)| event).collect();
    }
}
