//! Causes in a mutex.

use super::cause::{Case, Cause, Finding, Role};
use crate::history::NEVER;
use crate::model::{Call, MutexOperation};

/// How many operations a proof may have.
const MAX_PROOF: usize = 6;

/// The cause of a violation in a mutex, if one can be proved: two operations of a kind, with none
/// of the other kind that could lie between them, or in all more of a kind than can alternate with
/// the other.
pub(crate) fn diagnose(case: &Case<'_, MutexOperation>) -> Option<Finding> {
    let stuck = case.stuck;
    let kind = |kind: MutexOperation| case.calls.iter().filter(move |call| call.operation == kind);
    let (opposite, cause, allowed) = match stuck.operation {
        MutexOperation::Acquire => (MutexOperation::Release, Cause::TwoOwners, 1),
        MutexOperation::Release => (MutexOperation::Acquire, Cause::NotHeld, 0),
    };
    let alone = |same: &&Call<MutexOperation>| {
        let begun = same.call.min(stuck.call);
        same.id != stuck.id && same.ret != NEVER && kind(opposite).all(|call| call.ret < begun)
    };
    let certain = || kind(stuck.operation).filter(|call| call.ret != NEVER);
    let too_many = || certain().count() > kind(opposite).count() + allowed;
    if let Some(same) = certain().filter(alone).max_by_key(|call| call.call) {
        return Some(Finding::new(cause, [(same.id, Role::Same)], stuck.id));
    }
    let all = certain().map(|call| (call.id, Role::Same));
    let all = all.chain(kind(opposite).map(|call| (call.id, Role::Other)));
    let small = certain().count() + kind(opposite).count() <= MAX_PROOF;
    (small && too_many()).then(|| Finding::new(cause, all, stuck.id))
}
