//! Causes in registers. Every argument rests on the *productions* of a value: the writes and
//! compare-and-sets that may have made it, and the initial value.

use rustc_hash::{FxHashMap, FxHashSet};

use super::cause::{Case, Cause, Finding, Role};
use crate::history::{NEVER, OpId, ValueId};
use crate::model::{Call, RegisterOperation};

use RegisterOperation::{Cas, CasMismatch, Read, ReadUnknown, Write};

type Op = Call<RegisterOperation>;

/// How many operations a proof may have.
const MAX_PROOF: usize = 6;

/// How many updates, and how many other operations, are tried as the one that shows staleness.
const MAX_WITNESSES: usize = 64;

/// The cause of a violation in one register, if one can be proved.
pub(crate) fn diagnose(initial: ValueId, case: &Case<'_, RegisterOperation>) -> Option<Finding> {
    let (Read(wanted) | Cas(wanted, _)) = case.stuck.operation else { return None };
    // What made a value may lie before any other beginning.
    case.whole.then_some(())?;
    let production = Production::of(wanted, initial, case);
    if production.count() == 0 {
        return Some(never_produced(wanted, case));
    }
    lost_update(wanted, &production, case)
        .or_else(|| stale(wanted, &production, case))
        .or_else(|| cycle(wanted, initial, case))
}

/// Everything that may have made one value before the stuck operation completed.
struct Production<'a> {
    initially: bool,
    producers: Vec<&'a Op>,
}

impl<'a> Production<'a> {
    fn of(value: ValueId, initial: ValueId, case: &Case<'a, RegisterOperation>) -> Self {
        let made =
            |call: &&Op| call.operation.produces() == Some(value) && call.id != case.stuck.id;
        let producers = case.calls.iter().filter(made).collect();
        Production { initially: value == initial, producers }
    }

    fn count(&self) -> usize {
        self.producers.len() + usize::from(self.initially)
    }

    /// A production that may seem to come after `newer` but came before: it is the only one that
    /// some operation can have seen, which was over before `newer` began or is that itself.
    fn used_up(
        &self,
        newer: &'a Op,
        value: ValueId,
        case: &Case<'a, RegisterOperation>,
    ) -> Option<UsedUp<'a>> {
        let mut open = self.producers.iter().filter(|producer| producer.ret > newer.call);
        let (producer, None) = (*open.next()?, open.next()) else { return None };
        let in_time = |call: &&Op| call.ret < newer.call || call.id == newer.id;
        let needs_it = |call: &&Op| call.operation.needs() == Some(value);
        let early = case.calls.iter().rev().filter(|call| call.id != case.stuck.id);
        let mut saw = early.filter(in_time).filter(needs_it).take(MAX_WITNESSES);
        saw.find_map(|saw| {
            let cleared = last_cleared(saw, case);
            let is_only = self.is_only_source(producer, saw, cleared);
            is_only.then_some(UsedUp { producer, saw, cleared })
        })
    }

    /// Whether an operation can only have seen what this producer made: all others were over
    /// before `cleared` replaced what they had made, or began too late.
    fn is_only_source(&self, producer: &Op, saw: &Op, cleared: Option<&Op>) -> bool {
        let over = |other: &Op| cleared.is_some_and(|cleared| other.ret < cleared.call);
        let others =
            self.producers.iter().filter(|other| ![producer.id, saw.id].contains(&other.id));
        let mut open = others.filter(|other| other.call < saw.ret && !over(other));
        open.next().is_none() && (!self.initially || cleared.is_some())
    }
}

/// The update that began last of those that were over before an operation began.
fn last_cleared<'a>(saw: &Op, case: &Case<'a, RegisterOperation>) -> Option<&'a Op> {
    let updates = case.calls.iter().rev().filter(|call| call.operation.produces().is_some());
    updates.into_iter().find(|update| update.ret < saw.call)
}

/// A production that is over, although it need not have returned.
#[derive(Clone, Copy)]
struct UsedUp<'a> {
    producer: &'a Op,
    /// The operation that saw what it made.
    saw: &'a Op,
    /// The update that had replaced whatever else that could have seen.
    cleared: Option<&'a Op>,
}

/// Nothing made the value in time: it failed, or it came later, or it never was.
fn never_produced(wanted: ValueId, case: &Case<'_, RegisterOperation>) -> Finding {
    let made = |call: &&Op| call.operation.produces() == Some(wanted);
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

/// Something showed that another value had replaced this one, was over before the stuck operation
/// began, and nothing that can have happened since brings the value back.
fn stale(
    wanted: ValueId,
    production: &Production<'_>,
    case: &Case<'_, RegisterOperation>,
) -> Option<Finding> {
    // What began last leaves the least room; an update tells more than a read of it.
    let latest = |is_update: bool| {
        let calls = case.calls.iter().rev().filter(move |call| call.ret < case.stuck.call);
        let fitting = move |call: &&Op| call.operation.produces().is_some() == is_update;
        calls.filter(fitting).take(MAX_WITNESSES)
    };
    latest(true).chain(latest(false)).find_map(|newer| {
        let value = leaves(newer, wanted)?;
        let used_up = production.used_up(newer, wanted, case);
        let producer = used_up.map(|used_up| used_up.producer.id);
        if can_follow(wanted, newer, value, producer, case) {
            return None;
        }
        let over = |call: &&&Op| call.ret < newer.call || Some(call.id) == producer;
        let made = production.producers.iter().filter(over).max_by_key(|call| call.ret);
        let made = made.map(|call| (call.id, Role::Made));
        let cleared = used_up.and_then(|used_up| used_up.cleared);
        let cleared = cleared.map(|call| (call.id, Role::Cleared));
        let saw = used_up.map(|used_up| used_up.saw).filter(|saw| saw.id != newer.id);
        let saw = saw.map(|call| (call.id, Role::Saw));
        let proof = cleared.into_iter().chain(made).chain(saw).chain([(newer.id, Role::Newer)]);
        Some(Finding::new(Cause::StaleRead, proof, case.stuck.id))
    })
}

/// The value that is certainly there after the operation, if it is another than this: an unknown
/// one if only that much is known.
fn leaves(call: &Op, wanted: ValueId) -> Option<Option<ValueId>> {
    match call.operation {
        Read(value) | Write(value) | Cas(_, value) => (value != wanted).then_some(Some(value)),
        CasMismatch(value) => (value == wanted).then_some(None),
        ReadUnknown => None,
    }
}

/// Whether the wanted value can come about after `newer` left `value`: by a write that may take
/// effect after it, or along a chain of such compare-and-sets.
fn can_follow(
    wanted: ValueId,
    newer: &Op,
    value: Option<ValueId>,
    used_up: Option<OpId>,
    case: &Case<'_, RegisterOperation>,
) -> bool {
    let possible = |call: &&Op| {
        call.ret > newer.call
            && ![newer.id, case.stuck.id].contains(&call.id)
            && Some(call.id) != used_up
    };
    let mut possible: Vec<&Op> = case.calls.iter().filter(possible).collect();
    let mut values: FxHashSet<ValueId> = value.into_iter().collect();
    loop {
        let before = possible.len();
        possible.retain(|call| {
            let enabled = match call.operation {
                // After a mismatch any value but one may have been there.
                Cas(expected, _) => value.is_none() || values.contains(&expected),
                Write(_) => true,
                Read(_) | ReadUnknown | CasMismatch(_) => return false,
            };
            if enabled {
                values.extend(call.operation.produces());
            }
            !enabled
        });
        if values.contains(&wanted) || possible.len() == before {
            return values.contains(&wanted);
        }
    }
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
        if let Some(value) = call.operation.produces() {
            let zone = zones.entry(value).or_default();
            zone.productions += 1;
            order.push(value);
            if call.ret != NEVER {
                zone.include(call);
            }
        }
        if let Some(value) = call.operation.needs()
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
                    [call.operation.produces(), call.operation.needs()].contains(&Some(value))
                };
                let role = if concerns(wanted) { Role::Saw } else { Role::Other };
                proof.push((call.id, role));
            }
        }
        Some(Finding::new(Cause::OrderCycle, proof, case.stuck.id))
    })
}
