//! Causes in registers. Every argument rests on the *productions* of a value: the writes and
//! compare-and-sets that may have made it, and the initial value.

use rustc_hash::FxHashMap;

use super::cause::{Case, Cause, Finding, Role};
use crate::history::{NEVER, OpId, ValueId};
use crate::model::{Call, RegisterOperation};

use RegisterOperation::{Cas, CasMismatch, Read, ReadUnknown, Write};

type Op = Call<RegisterOperation>;

/// How many operations a proof may have.
const MAX_PROOF: usize = 6;

/// Rank of what was before the history.
const BEFORE: i64 = -1;

/// The cause of a violation in one register, if one can be proved.
pub(crate) fn diagnose(initial: ValueId, case: &Case<'_, RegisterOperation>) -> Option<Finding> {
    let (Read(wanted) | Cas(wanted, _)) = case.stuck.operation else { return None };
    let production = Production::of(wanted, initial, case);
    if production.count() == 0 {
        return Some(never_produced(wanted, case));
    }
    lost_update(wanted, &production, case)
        .or_else(|| stale(wanted, &production, case))
        .or_else(|| cycle(wanted, initial, case))
}

fn produces(operation: RegisterOperation) -> Option<ValueId> {
    match operation {
        Write(value) | Cas(_, value) => Some(value),
        Read(_) | ReadUnknown | CasMismatch(_) => None,
    }
}

fn needs(operation: RegisterOperation) -> Option<ValueId> {
    match operation {
        Read(value) | Cas(value, _) => Some(value),
        Write(_) | ReadUnknown | CasMismatch(_) => None,
    }
}

/// Everything that may have made one value before the stuck operation completed.
struct Production<'a> {
    initially: bool,
    producers: Vec<&'a Op>,
}

impl<'a> Production<'a> {
    fn of(value: ValueId, initial: ValueId, case: &Case<'a, RegisterOperation>) -> Self {
        let made = |call: &&Op| produces(call.operation) == Some(value) && call.id != case.stuck.id;
        let producers = case.calls.iter().filter(made).collect();
        Production { initially: value == initial, producers }
    }

    fn count(&self) -> usize {
        self.producers.len() + usize::from(self.initially)
    }

    /// A rank before which the value was certainly made for the last time, and the operations
    /// that show it.
    fn end(&self, value: ValueId, case: &Case<'a, RegisterOperation>) -> (i64, Vec<&'a Op>) {
        let last = self.producers.iter().copied().max_by_key(|producer| producer.ret);
        let end = last.map_or(BEFORE, |last| rank(last.ret));
        if self.count() > 1 {
            return (end, last.into_iter().collect());
        }
        // Made once only: who saw the value saw that it had been made.
        let saw = |call: &&Op| needs(call.operation) == Some(value) && call.id != case.stuck.id;
        let first = case.calls.iter().filter(saw).min_by_key(|call| call.ret);
        match first {
            Some(first) if rank(first.ret) < end => {
                (rank(first.ret), last.into_iter().chain([first]).collect())
            }
            _ => (end, last.into_iter().collect()),
        }
    }
}

fn rank(rank: u32) -> i64 {
    if rank == NEVER { i64::MAX } else { i64::from(rank) }
}

/// Nothing made the value in time: it failed, or it came later, or it never was.
fn never_produced(wanted: ValueId, case: &Case<'_, RegisterOperation>) -> Finding {
    let made = |call: &&Op| produces(call.operation) == Some(wanted);
    let failed = case.failed.iter().find(made);
    let later = case.all.iter().filter(made).find(|call| call.id != case.stuck.id);
    let (cause, producer) = match (failed, later) {
        (Some(failed), _) => (Cause::ReadOfFailedWrite, Some((failed.id, Role::Failed))),
        (None, Some(later)) => (Cause::ValueFromTheFuture, Some((later.id, Role::Later))),
        (None, None) => (Cause::ValueFromNowhere, None),
    };
    Finding::new(cause, producer, case.stuck.id)
}

/// More compare-and-sets took the value away than times it was made.
fn lost_update(
    wanted: ValueId,
    production: &Production<'_>,
    case: &Case<'_, RegisterOperation>,
) -> Option<Finding> {
    let takes = |call: &&Op| {
        matches!(call.operation, Cas(from, to) if from == wanted && to != wanted)
            && call.ret != NEVER
    };
    let takers: Vec<&Op> = case.calls.iter().filter(takes).collect();
    let made = production.producers.iter().map(|call| (call.id, Role::Made));
    let took = takers.iter().map(|call| (call.id, Role::Took));
    let small = production.producers.len() + takers.len() <= MAX_PROOF;
    (takers.len() > production.count() && takes(&case.stuck) && small)
        .then(|| Finding::new(Cause::LostUpdate, made.chain(took), case.stuck.id))
}

/// After the value was made for the last time, something showed that another had replaced it,
/// and was over before the stuck operation began.
fn stale(
    wanted: ValueId,
    production: &Production<'_>,
    case: &Case<'_, RegisterOperation>,
) -> Option<Finding> {
    let (end, shown_by) = production.end(wanted, case);
    let replaces = |call: &&Op| {
        let leaves_another = match call.operation {
            Read(value) | Write(value) | Cas(_, value) => value != wanted,
            CasMismatch(value) => value == wanted,
            ReadUnknown => false,
        };
        leaves_another && rank(call.call) > end && call.ret < case.stuck.call
    };
    // An update tells more than a read of it, and the latest lies closest to the stale answer.
    let telling = |call: &&Op| (produces(call.operation).is_some(), call.ret);
    let newer = case.calls.iter().filter(replaces).max_by_key(telling)?;
    let role = |call: &Op| match produces(call.operation) == Some(wanted) {
        true => Role::Made,
        false => Role::Saw,
    };
    let before = shown_by.into_iter().map(|call| (call.id, role(call)));
    let proof = before.chain([(newer.id, Role::Newer)]);
    Some(Finding::new(Cause::StaleRead, proof, case.stuck.id))
}

/// The time in which a value that was made once must have been the state: everything about it
/// happened in one stretch (Gibbons & Korach's zones).
#[derive(Clone, Copy, Default)]
struct Zone<'a> {
    productions: usize,
    /// The operation that returned first, and the one that was invoked last.
    first_return: Option<&'a Op>,
    last_call: Option<&'a Op>,
}

impl<'a> Zone<'a> {
    fn include(&mut self, call: &'a Op) {
        if self.first_return.is_none_or(|first| call.ret < first.ret) {
            self.first_return = Some(call);
        }
        if self.last_call.is_none_or(|last| call.call > last.call) {
            self.last_call = Some(call);
        }
    }

    /// The operations that show that all of this zone comes before all of the other.
    fn before(&self, other: &Zone<'a>) -> Option<[&'a Op; 2]> {
        let (first, last) = (self.first_return?, other.last_call?);
        (first.ret < last.call).then_some([first, last])
    }
}

/// The stuck operation's value and another one, each made once, would each have to come first.
fn cycle(wanted: ValueId, initial: ValueId, case: &Case<'_, RegisterOperation>) -> Option<Finding> {
    let mut zones: FxHashMap<ValueId, Zone<'_>> = FxHashMap::default();
    let mut order: Vec<ValueId> = Vec::new();
    for call in case.calls {
        if let Some(value) = produces(call.operation) {
            let zone = zones.entry(value).or_default();
            zone.productions += 1;
            order.push(value);
            if call.ret != NEVER {
                zone.include(call);
            }
        }
        if let Some(value) = needs(call.operation)
            && call.ret != NEVER
        {
            zones.entry(value).or_default().include(call);
        }
    }
    let once =
        |value: ValueId| zones.get(&value).filter(|zone| zone.productions == 1 && value != initial);
    let zone = once(wanted)?;
    order.iter().filter(|&&value| value != wanted).find_map(|&value| {
        let other = once(value)?;
        let (first, second) = (zone.before(other)?, other.before(zone)?);
        let mut proof: Vec<(OpId, Role)> = Vec::new();
        for call in first.into_iter().chain(second) {
            if proof.iter().all(|&(id, _)| id != call.id) {
                let concerns = |value| {
                    [produces(call.operation), needs(call.operation)].contains(&Some(value))
                };
                let role = if concerns(wanted) { Role::Saw } else { Role::Other };
                proof.push((call.id, role));
            }
        }
        Some(Finding::new(Cause::OrderCycle, proof, case.stuck.id))
    })
}
