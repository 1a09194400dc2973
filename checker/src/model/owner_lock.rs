//! A lock that knows who holds it: `acquire`, `release` and `renew`, each by the process that does
//! it; not reentrant.
//!
//! ```json
//! {"process":0,"type":"invoke","f":"acquire","value":null}
//! {"process":0,"type":"ok","f":"acquire","value":null}
//! {"process":0,"type":"invoke","f":"release","value":null}
//! {"process":0,"type":"ok","f":"release","value":null}
//! ```
//!
//! Only its holder can release the lock or renew it. `renew` changes nothing: that it was `ok`
//! shows that the process held the lock all the time.
//!
//! A *lease* is the same lock with a term. From the moment at which its holder no longer relies on
//! it, by his own clock, it may be free at any later time, or never: that is a `release` of unknown
//! outcome. Record the end of a term so, as a `release` that ends as `info`, and the lock model
//! judges leases.

use super::{ModelError, Part, Specification, by_key, part, unknown};
use crate::history::{History, Operation, Outcome};
use crate::linearizability::{self, Budget, Engine, Problem, decide_owner_lock};

/// The lock.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnerLock;

/// An operation on the lock, with the process that did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OwnerLockOperation {
    /// Took it while it was free.
    Acquire(u64),
    /// Held it and kept it.
    Renew(u64),
    /// Held it and freed it.
    Release(u64),
}

use OwnerLockOperation::{Acquire, Release, Renew};

impl OwnerLockOperation {
    /// The process.
    pub(crate) fn owner(self) -> u64 {
        match self {
            Acquire(owner) | Renew(owner) | Release(owner) => owner,
        }
    }
}

pub(super) fn parts(history: &History) -> Result<Vec<Part<OwnerLock>>, ModelError> {
    by_key(history)
        .into_iter()
        .map(|(key, ids)| part(history, key, &ids, OwnerLock, |_, operation| decode(operation)))
        .collect()
}

fn decode(operation: Operation<'_>) -> Result<Option<OwnerLockOperation>, ModelError> {
    let owner = operation.process();
    match operation.f() {
        "acquire" => Ok(Some(Acquire(owner))),
        "renew" => Ok((operation.outcome() == Outcome::Ok).then_some(Renew(owner))),
        "release" => Ok(Some(Release(owner))),
        _ => Err(unknown(operation, "owner-lock", "acquire, renew, release")),
    }
}

impl Specification for OwnerLock {
    type Operation = OwnerLockOperation;
    /// The process that holds it.
    type State = Option<u64>;

    fn init(&self) -> Option<u64> {
        None
    }

    fn step(&self, holder: &Option<u64>, operation: &OwnerLockOperation) -> Option<Option<u64>> {
        match *operation {
            Acquire(owner) => holder.is_none().then_some(Some(owner)),
            Renew(owner) => (*holder == Some(owner)).then_some(*holder),
            Release(owner) => (*holder == Some(owner)).then_some(None),
        }
    }

    fn is_read(&self, operation: &OwnerLockOperation) -> bool {
        matches!(operation, Renew(_))
    }

    fn overwrites(&self, operation: &OwnerLockOperation) -> bool {
        matches!(operation, Acquire(_) | Release(_))
    }

    fn observes(&self, observer: &OwnerLockOperation, mutator: &OwnerLockOperation) -> bool {
        match (mutator, observer) {
            (Acquire(owner), Renew(other) | Release(other)) => owner == other,
            (Release(_), Acquire(_)) => true,
            _ => false,
        }
    }

    const ENGINES: &'static [Engine] = &[Engine::Elements];

    fn decide_with(
        _engine: Engine,
        problem: &Problem<'_, Self>,
        budget: &Budget,
    ) -> Option<linearizability::Outcome<Option<u64>>> {
        decide_owner_lock(problem, budget)
    }

    fn describe(&self, _history: &History, holder: &Option<u64>) -> String {
        match holder {
            Some(owner) => format!("held by process {owner}"),
            None => "free".to_owned(),
        }
    }
}
