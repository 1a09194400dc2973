//! Causes in a mutex.

use super::cause::{Case, Cause, Finding, Role};
use crate::history::NEVER;
use crate::model::{Call, MutexOperation};

/// The cause of a violation in a mutex, if one can be proved: two operations of a kind, with none
/// of the other kind that could lie between them.
pub(crate) fn diagnose(case: &Case<'_, MutexOperation>) -> Option<Finding> {
    let stuck = case.stuck;
    let kind = |kind: MutexOperation| case.calls.iter().filter(move |call| call.operation == kind);
    let (opposite, cause) = match stuck.operation {
        MutexOperation::Acquire => (MutexOperation::Release, Cause::TwoOwners),
        MutexOperation::Release => (MutexOperation::Acquire, Cause::NotHeld),
    };
    if cause == Cause::NotHeld && kind(opposite).next().is_none() {
        return Some(Finding::new(cause, [], stuck.id));
    }
    let alone = |same: &&Call<MutexOperation>| {
        let begun = same.call.min(stuck.call);
        same.id != stuck.id && same.ret != NEVER && kind(opposite).all(|call| call.ret < begun)
    };
    let same = kind(stuck.operation).filter(alone).max_by_key(|call| call.call)?;
    Some(Finding::new(cause, [(same.id, Role::Same)], stuck.id))
}
