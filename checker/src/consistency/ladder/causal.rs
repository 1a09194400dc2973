//! Causal consistency, plain (CC) and convergent (CCv).
//!
//! Bouajjani, Enea, Guerraoui & Hamza, "On Verifying Causal Consistency" (POPL 2017), section 5: with
//! unique values a history is causally consistent if and only if it has none of a few bad patterns in
//! the causal order *co* = (session order ∪ reads-from)⁺. For convergence there is one more: a cycle
//! of *co* and the *conflict* order, which puts a write before another one of the same key if some
//! read knew of the first and saw the second.
//!
//! Of the writes of one session that a read knew, all before the last are before the last, so one of
//! each session is enough: O(n·k) for n operations of k sessions (Liu et al., AWDIT, PLDI 2025).

use super::clocks::{self, Clocks};
use super::order::{Forced, Order};
use super::trace::{Act, Source, Trace};
use super::{Anomaly, Broken};

/// The causal order, and what it says.
#[derive(Debug)]
pub(super) struct Causal {
    order: Order,
    /// The nodes in an order that agrees with it; empty if there is none.
    pub(super) sorted: Vec<u32>,
    /// Why the history is not causally consistent.
    pub(super) broken: Option<Broken>,
    /// The conflict order where it does not follow from the causal one.
    pub(super) conflicts: Vec<Forced>,
}

/// A read that did not see what it should have: the earliest is told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Missed {
    call: u32,
    read: u32,
    newer: u32,
    /// What it saw instead; nothing before everything else.
    older: Option<u32>,
}

impl Causal {
    pub(super) fn of(trace: &Trace) -> Self {
        let order = Order::of(trace, |_| true, |_| true, &[]);
        let Some(sorted) = order.sorted() else {
            let broken =
                order.cycle().map(|cycle| Broken::cycle(&order, cycle, Some(Anomaly::CyclicCO)));
            return Causal { order, sorted: Vec::new(), broken, conflicts: Vec::new() };
        };
        let (mut missed, mut conflicts): (Option<Missed>, _) = (None, Vec::new());
        clocks::visit(trace, &sorted, &[], |clocks| {
            for read in 0..trace.len() as u32 {
                let Some(found) = look(trace, clocks, read, &mut conflicts) else { continue };
                missed = Some(missed.map_or(found, |missed| missed.min(found)));
            }
        });
        let broken = missed.map(|missed| told(&order, missed));
        Causal { order, sorted, broken, conflicts }
    }

    /// Why the history is not convergent, if it is causally consistent.
    pub(super) fn convergence(&self) -> Option<Broken> {
        if self.conflicts.is_empty() {
            return None;
        }
        let mut order = self.order.clone();
        order.force(&self.conflicts);
        if order.sorted().is_some() {
            return None;
        }
        let cycle = order.cycle()?;
        Some(Broken::cycle(&order, cycle, Some(Anomaly::CyclicCF)))
    }
}

/// Whether a read knew of something newer than it saw, in the sessions of these clocks.
fn look(trace: &Trace, clocks: &Clocks, read: u32, conflicts: &mut Vec<Forced>) -> Option<Missed> {
    let node = trace.node(read);
    let Act::Read(source) = node.act else { return None };
    let mut missed = None;
    for (session, writes) in trace.writers_in(node.object, &clocks.sessions) {
        let known = clocks.seen(read, *session as usize);
        let before = writes.partition_point(|write| trace.node(*write).place < known);
        let Some(newer) = before.checked_sub(1).map(|last| writes[last]) else { continue };
        let place = trace.node(newer).place;
        let older = match source {
            Source::Initial => None,
            Source::Of(seen) if seen == newer => continue,
            Source::Of(seen) if clocks.next(seen, *session as usize) <= place => Some(seen),
            Source::Of(seen) => {
                if clocks.seen(seen, *session as usize) <= place {
                    conflicts.push(Forced::knew(newer, seen, read, 1));
                }
                continue;
            }
        };
        let found = Missed { call: node.call, read, newer, older };
        missed = Some(missed.map_or(found, |missed: Missed| missed.min(found)));
    }
    missed
}

fn told(order: &Order, missed: Missed) -> Broken {
    let Missed { read, newer, older, .. } = missed;
    let path = order.path(newer, read, u32::MAX).unwrap_or_default();
    match older {
        None => Broken::missed(order, None, read, newer, path, Some(Anomaly::WriteCOInitRead)),
        Some(older) => {
            let older = (older, order.path(older, newer, u32::MAX).unwrap_or_default());
            Broken::missed(order, Some(older), read, newer, path, Some(Anomaly::WriteCORead))
        }
    }
}
