//! Registers with compare-and-set.

use std::borrow::Cow;

use petgraph::unionfind::UnionFind;

use super::clusters::{Arrangement, Clusters};
use super::first_bad::{self, Prefixes};
use super::rows::{Columns, Rows};
use super::slots::Slots;
use super::sweep::Line;
use super::{Contradiction, Flaw};
use crate::history::{NEVER, ValueId};
use crate::linearizability::budget::Meter;
use crate::linearizability::{Budget, Outcome, Problem};
use crate::model::{Call, CasRegister, RegisterOperation};

use RegisterOperation::{Cas, CasMismatch, Read, ReadUnknown, Write};

type Decoded<'a> = Cow<'a, [Call<RegisterOperation>]>;

/// Decides a register if each of its values has one maker.
pub(crate) fn decide(
    problem: &Problem<'_, CasRegister>,
    budget: &Budget,
) -> Option<Outcome<ValueId>> {
    decide_calls(problem.calls, *problem.start, budget)
}

/// Decides the operations of a register.
pub(super) fn decide_calls(
    calls: &[Call<RegisterOperation>],
    start: ValueId,
    budget: &Budget,
) -> Option<Outcome<ValueId>> {
    first_bad::outcome(Register::new(Cow::Borrowed(calls), start, budget))
}

/// An order of the operations of a register, by their indices, straight from a history.
pub(crate) fn order_columns(
    columns: Columns<'_>,
    start: ValueId,
    budget: &Budget,
) -> Option<Vec<u32>> {
    Register::new(columns, start, budget).and_then(|register| register.order()).ok()
}

/// The operations of a register, with a slot for each value.
pub(super) struct Register<'a, R> {
    rows: R,
    start: ValueId,
    slots: Slots,
    budget: &'a Budget,
}

/// What an operation does to values, by slot.
enum Deed {
    /// It made the value, or found it.
    Touch(usize, bool),
    Replace([usize; 2]),
    /// It only has to stand somewhere.
    Nothing,
    Unsuitable,
}

/// An operation by its index, with its interval as known by some horizon.
struct Act {
    index: u32,
    deed: Deed,
    call: u32,
    ret: u32,
}

impl<'a, R: Rows> Register<'a, R> {
    pub(super) fn new(rows: R, start: ValueId, budget: &'a Budget) -> Result<Self, Flaw> {
        let slots = Slots::new(start, &rows)?;
        Ok(Register { rows, start, slots, budget })
    }

    #[inline(always)]
    fn deed(&self, operation: RegisterOperation) -> Deed {
        match operation {
            Read(value) | Write(value) => {
                Deed::Touch(self.slots.of(value), matches!(operation, Write(_)))
            }
            Cas(expected, new) if expected == new => Deed::Touch(self.slots.of(new), false),
            Cas(expected, new) => Deed::Replace([expected, new].map(|value| self.slots.of(value))),
            ReadUnknown => Deed::Nothing,
            CasMismatch(_) => Deed::Unsuitable,
        }
    }

    /// Visits the operations begun by the horizon, by invocation. Of those that are in doubt
    /// by then, only what may have made something.
    #[inline(always)]
    fn each(
        &self,
        horizon: u32,
        mut visit: impl FnMut(Act) -> Result<(), Flaw>,
    ) -> Result<(), Flaw> {
        let mut latest = 0;
        self.rows.each(|index, Call { operation, call, ret, .. }| {
            if call > horizon {
                return Ok(());
            }
            if call < latest {
                return Err(Flaw::Unsuitable);
            }
            latest = call;
            let ret = if ret > horizon { NEVER } else { ret };
            let deed = self.deed(operation);
            if ret == NEVER && !matches!(deed, Deed::Touch(_, true) | Deed::Replace(_)) {
                return Ok(());
            }
            visit(Act { index, deed, call, ret })
        })
    }

    /// Gathers the clusters and puts their chains on a line.
    fn gather(&self, horizon: u32, meter: &mut Meter<'_>) -> Result<(Clusters, Line), Flaw> {
        meter.tick()?;
        let mut clusters = Clusters::new(self.slots.len(), horizon, meter)?;
        let mut ranks = [NEVER, 0];
        self.each(horizon, |Act { deed, call, ret, .. }| {
            ranks = [ranks[0].min(call), call];
            match deed {
                Deed::Touch(slot, made) => clusters.touch(slot, made, call, ret)?,
                Deed::Replace(slots) => clusters.replace(slots, call, ret, meter)?,
                Deed::Nothing => {}
                Deed::Unsuitable => return Err(Flaw::Unsuitable),
            }
            Ok(())
        })?;
        let line = clusters.join(ranks, meter)?;
        Ok((clusters, line))
    }

    fn arrange(&self, horizon: u32, meter: &mut Meter<'_>) -> Result<Arrangement, Flaw> {
        let (clusters, line) = self.gather(horizon, meter)?;
        clusters.arrange(line)
    }

    /// An order of the operations, by their indices.
    pub(super) fn order(&self) -> Result<Vec<u32>, Flaw> {
        let mut meter = self.budget.meter();
        let mut arrangement = self.arrange(NEVER, &mut meter)?;
        let mut idle = Vec::new();
        self.each(NEVER, |act| {
            match act.deed {
                Deed::Touch(slot, made) => arrangement.place(act.index, slot, made),
                Deed::Replace([_, slot]) => arrangement.place(act.index, slot, true),
                Deed::Nothing | Deed::Unsuitable => idle.push(act.index),
            }
            Ok(())
        })?;
        let order = arrangement.order();
        Ok(if idle.is_empty() { order } else { self.with_idle(&order, &idle) })
    }

    /// Puts operations that say nothing about any value where they can stand.
    fn with_idle(&self, order: &[u32], idle: &[u32]) -> Vec<u32> {
        let (mut merged, mut now) = (Vec::with_capacity(order.len() + idle.len()), 0);
        let mut idle = idle.iter().copied().peekable();
        for &index in order {
            now = now.max(self.rows.call(index));
            while let Some(idle) = idle.next_if(|&idle| self.rows.call(idle) < now) {
                merged.push(idle);
            }
            merged.push(index);
        }
        merged.extend(idle);
        merged
    }
}

impl Prefixes for Register<'_, Decoded<'_>> {
    type State = ValueId;

    fn order(&self) -> Result<Vec<u32>, Flaw> {
        Register::order(self)
    }

    fn judge(&self, horizon: u32) -> Result<(), Flaw> {
        self.arrange(horizon, &mut self.budget.meter()).map(|_| ())
    }

    /// A cluster can only be left out with all of its chain, whatever that might be.
    fn core(&self, contradiction: Contradiction) -> Result<Self, Flaw> {
        let Contradiction { clusters, by } = contradiction;
        let mut chains = UnionFind::<u32>::new(self.slots.len());
        self.each(by, |act| {
            if let Deed::Replace([found, made]) = act.deed {
                chains.union(found as u32, made as u32);
            }
            Ok(())
        })?;
        let involved = clusters.map(|cluster| chains.find(cluster));
        let mut calls = Vec::new();
        self.each(by, |act| {
            if let Deed::Touch(slot, _) | Deed::Replace([_, slot]) = act.deed
                && involved.contains(&chains.find(slot as u32))
            {
                calls.push(self.rows[act.index as usize]);
            }
            Ok(())
        })?;
        Register::new(Cow::Owned(calls), self.start, self.budget)
    }

    fn completing_at(&self, rank: u32) -> Option<u32> {
        self.rows.iter().position(|call| call.ret == rank).map(|index| index as u32)
    }

    fn states(&self, horizon: u32) -> Result<Vec<ValueId>, Flaw> {
        let mut meter = self.budget.meter();
        let (clusters, _) = self.gather(horizon, &mut meter)?;
        Ok(clusters.ends().into_iter().map(|slot| self.slots.value(slot as usize)).collect())
    }
}
