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
    let rows = Cow::Borrowed(problem.calls);
    first_bad::outcome(Register::new(rows, *problem.start, budget))
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
    Find(usize),
    Make(usize),
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
        let slots = Slots::new(start, |visit| {
            (0..rows.len()).try_for_each(|index| {
                if let Some(call) = rows.get(index)? {
                    call.operation.needs().into_iter().for_each(&mut *visit);
                    call.operation.produces().into_iter().for_each(&mut *visit);
                }
                Ok(())
            })
        })?;
        Ok(Register { rows, start, slots, budget })
    }

    #[inline]
    fn deed(&self, operation: RegisterOperation) -> Deed {
        match operation {
            Read(value) => Deed::Find(self.slots.of(value)),
            Write(value) => Deed::Make(self.slots.of(value)),
            Cas(expected, new) if expected == new => Deed::Find(self.slots.of(new)),
            Cas(expected, new) => Deed::Replace([expected, new].map(|value| self.slots.of(value))),
            ReadUnknown => Deed::Nothing,
            CasMismatch(_) => Deed::Unsuitable,
        }
    }

    /// Visits the operations begun by the horizon, by invocation. Of those that are in doubt
    /// by then, only what may have made something.
    #[inline]
    fn each(
        &self,
        horizon: u32,
        mut visit: impl FnMut(Act) -> Result<(), Flaw>,
    ) -> Result<(), Flaw> {
        let mut latest = 0;
        for index in 0..self.rows.len() {
            let Some(Call { operation, call, ret, .. }) = self.rows.get(index)? else { continue };
            if call > horizon {
                break;
            }
            if call < latest {
                return Err(Flaw::Unsuitable);
            }
            latest = call;
            let ret = if ret > horizon { NEVER } else { ret };
            let deed = self.deed(operation);
            if ret != NEVER || matches!(deed, Deed::Make(_) | Deed::Replace(_)) {
                visit(Act { index: index as u32, deed, call, ret })?;
            }
        }
        Ok(())
    }

    /// Gathers the clusters and puts their chains on a line.
    fn gather(&self, horizon: u32, meter: &mut Meter<'_>) -> Result<(Clusters, Line), Flaw> {
        meter.tick()?;
        let mut clusters = Clusters::new(self.slots.len(), horizon, meter)?;
        let mut ranks = [NEVER, 0];
        self.each(horizon, |Act { deed, call, ret, .. }| {
            ranks = [ranks[0].min(call), call];
            match deed {
                Deed::Find(slot) => clusters.find(slot, call, ret),
                Deed::Make(slot) => clusters.make(slot, call, ret)?,
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
                Deed::Find(slot) => arrangement.place(act.index, slot, false),
                Deed::Make(slot) | Deed::Replace([_, slot]) => {
                    arrangement.place(act.index, slot, true);
                }
                Deed::Nothing | Deed::Unsuitable => idle.push(act.index),
            }
            Ok(())
        })?;
        match idle.is_empty() {
            true => Ok(arrangement.order()),
            false => self.with_idle(&arrangement.order(), &idle),
        }
    }

    /// Puts operations that say nothing about any value where they can stand.
    fn with_idle(&self, order: &[u32], idle: &[u32]) -> Result<Vec<u32>, Flaw> {
        let call = |index: u32| -> Result<u32, Flaw> {
            Ok(self.rows.get(index as usize)?.map_or(0, |row| row.call))
        };
        let (mut merged, mut now) = (Vec::with_capacity(order.len() + idle.len()), 0);
        let mut idle = idle.iter().copied().peekable();
        for &index in order {
            now = now.max(call(index)?);
            while let Some(&next) = idle.peek()
                && call(next)? < now
            {
                merged.push(next);
                idle.next();
            }
            merged.push(index);
        }
        merged.extend(idle);
        Ok(merged)
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
            if let Deed::Find(slot) | Deed::Make(slot) | Deed::Replace([_, slot]) = act.deed
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
