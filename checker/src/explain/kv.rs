//! Causes in a key-value store with appends: what a get returned, against what had been appended
//! and what other gets had seen, as long as no put interferes.

use super::cause::{Case, Cause, Finding, Role};
use super::register;
use crate::history::{NEVER, OpId, ValueId};
use crate::model::{Call, Content, KvOperation, RegisterOperation};

use KvOperation::{Append, Get, Put};

type Op = Call<KvOperation>;

/// How many appends of one item a proof may list.
const MAX_COPIES: usize = 5;

/// The cause of a violation in one key, if one can be proved.
pub(crate) fn diagnose(case: &Case<'_, KvOperation>) -> Option<Finding> {
    let Get(got) = &case.stuck.operation else { return None };
    // What made a value may lie before any other beginning.
    case.whole.then_some(())?;
    match got {
        Content::Unseen => None,
        Content::Whole(_) => as_register(case),
        Content::Text(_) => lost_append(got, case).or_else(|| not_an_extension(got, case)),
        Content::List(items) => item_from_nowhere(items, case)
            .or_else(|| duplicate(items, case))
            .or_else(|| lost_append(got, case))
            .or_else(|| not_an_extension(got, case))
            .or_else(|| swapped(items, case)),
    }
}

/// A key that nothing is appended to is a register.
fn as_register(case: &Case<'_, KvOperation>) -> Option<Finding> {
    let translate = |call: &Op| {
        let operation = match call.operation {
            Get(Content::Whole(value)) => RegisterOperation::Read(value),
            Put(Content::Whole(value)) => RegisterOperation::Write(value),
            _ => return None,
        };
        Some(Call { id: call.id, operation, call: call.call, ret: call.ret })
    };
    let all = |calls: &[Op]| calls.iter().filter_map(translate).collect::<Vec<_>>();
    let (calls, every, failed) = (all(case.calls), all(case.all), all(case.failed));
    let stuck = translate(case.stuck)?;
    let whole = case.whole;
    let case = Case { calls: &calls, all: &every, failed: &failed, stuck: &stuck, whole };
    register::diagnose(ValueId::NIL, &case)
}

/// Whether no put can take effect between an operation invoked at `from` and the stuck one.
fn undisturbed(from: u32, case: &Case<'_, KvOperation>) -> bool {
    case.calls.iter().all(|call| !matches!(call.operation, Put(_)) || call.ret < from)
}

fn written(call: &Op) -> Option<&Content> {
    match &call.operation {
        Put(content) | Append(content) => Some(content),
        Get(_) => None,
    }
}

fn copies(content: &Content, item: ValueId) -> usize {
    match content {
        Content::List(items) => items.iter().filter(|&&other| other == item).count(),
        Content::Whole(_) | Content::Text(_) | Content::Unseen => 0,
    }
}

fn writes(call: &Op, item: ValueId) -> bool {
    written(call).is_some_and(|content| copies(content, item) > 0)
}

/// An item that nobody had appended.
fn item_from_nowhere(items: &[ValueId], case: &Case<'_, KvOperation>) -> Option<Finding> {
    let made = |item: ValueId| case.calls.iter().any(|call| writes(call, item));
    let item = *items.iter().find(|&&item| !made(item))?;
    let writer = |calls: &[Op]| calls.iter().find(|call| writes(call, item)).map(|call| call.id);
    let (cause, writer) = match (writer(case.failed), writer(case.all)) {
        (Some(failed), _) => (Cause::ReadOfFailedWrite, Some((failed, Role::Failed))),
        (None, Some(later)) => (Cause::ValueFromTheFuture, Some((later, Role::Later))),
        (None, None) => (Cause::ValueFromNowhere, None),
    };
    Some(Finding::new(cause, writer, case.stuck.id))
}

/// An item that is there more often than it was ever written.
fn duplicate(items: &[ValueId], case: &Case<'_, KvOperation>) -> Option<Finding> {
    let got = Content::List(items.into());
    let made =
        |item| case.calls.iter().filter_map(written).map(|content| copies(content, item)).sum();
    let item = *items.iter().find(|&&item| copies(&got, item) > made(item))?;
    let writers = case.calls.iter().filter(|call| writes(call, item));
    let proof: Vec<(OpId, Role)> = writers.map(|call| (call.id, Role::Made)).collect();
    (proof.len() <= MAX_COPIES).then(|| Finding::new(Cause::DuplicateEffect, proof, case.stuck.id))
}

/// An append that was complete before the get began, and is not there.
fn lost_append(got: &Content, case: &Case<'_, KvOperation>) -> Option<Finding> {
    let is_lost = |call: &&Op| match &call.operation {
        Append(content) => {
            call.ret < case.stuck.call && !got.contains(content) && undisturbed(call.call, case)
        }
        Get(_) | Put(_) => false,
    };
    let lost = case.calls.iter().find(is_lost)?;
    let seen = case.all.iter().find(|call| match (&call.operation, written(lost)) {
        (Get(other), Some(content)) => call.ret != NEVER && other.contains(content),
        _ => false,
    });
    let cause = if seen.is_some() { Cause::StaleRead } else { Cause::LostUpdate };
    Some(Finding::new(cause, [(lost.id, Role::Missed)], case.stuck.id))
}

/// An earlier get returned something that this one does not begin with.
fn not_an_extension(got: &Content, case: &Case<'_, KvOperation>) -> Option<Finding> {
    let contradicts = |call: &&Op| match &call.operation {
        Get(seen) => {
            call.ret < case.stuck.call && !got.starts_with(seen) && undisturbed(call.call, case)
        }
        Put(_) | Append(_) => false,
    };
    let earlier = case.calls.iter().filter(contradicts).max_by_key(|call| call.ret)?;
    let Get(seen) = &earlier.operation else { return None };
    let cause = match (seen.starts_with(got), seen, got) {
        (true, ..) => Cause::StaleRead,
        (false, Content::List(seen), Content::List(got))
            if seen.iter().all(|x| got.contains(x)) =>
        {
            Cause::OutOfOrder
        }
        _ => Cause::LostUpdate,
    };
    Some(Finding::new(cause, [(earlier.id, Role::Newer)], case.stuck.id))
}

/// Two items in the other order than they were appended in.
fn swapped(items: &[ValueId], case: &Case<'_, KvOperation>) -> Option<Finding> {
    let appended_once = |&item: &ValueId| {
        let mut writers = case.calls.iter().filter(|call| writes(call, item));
        let only = writers.next()?;
        let once = writers.next().is_none() && matches!(only.operation, Append(_));
        (once && copies(&Content::List(items.into()), item) == 1).then_some(only)
    };
    let appends: Vec<&Op> = items.iter().filter_map(appended_once).collect();
    // Of what stands earlier in the list, the append that was invoked last is the one to beat.
    let mut latest: Option<&Op> = None;
    for append in appends {
        match latest {
            Some(earlier) if append.ret < earlier.call => {
                let proof = [(append.id, Role::Made), (earlier.id, Role::Made)];
                return Some(Finding::new(Cause::OutOfOrder, proof, case.stuck.id));
            }
            Some(earlier) if earlier.call >= append.call => {}
            _ => latest = Some(append),
        }
    }
    None
}
