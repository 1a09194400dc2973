//! The kinds of violation that have a name.
//!
//! A name is given only where the operations at hand prove it; everything else is
//! [`Cause::NoOrder`], and the minimal sub-history has to speak for itself.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::history::OpId;
use crate::model::Call;

/// What kind of violation it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Cause {
    /// A value was returned that nobody wrote.
    ValueFromNowhere,
    /// A value was returned before anybody began to write it.
    ValueFromTheFuture,
    /// A value was returned whose only writes certainly failed.
    ReadOfFailedWrite,
    /// A value was returned although another had replaced it before, for good.
    StaleRead,
    /// An acknowledged update is gone: a later operation saw the state without it.
    LostUpdate,
    /// An update took effect more often than it was made.
    DuplicateEffect,
    /// Two updates took effect in another order than they were made in.
    OutOfOrder,
    /// Two values would each have to come before the other.
    OrderCycle,
    /// A lock was granted twice with no release between.
    TwoOwners,
    /// A lock was released that nobody could hold.
    NotHeld,
    /// No order fits, for no simpler reason.
    NoOrder,
}

impl Cause {
    /// The short name used in reports and data: `stale-read`, `lost-update`, …
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::ValueFromNowhere => "value-from-nowhere",
            Cause::ValueFromTheFuture => "value-from-the-future",
            Cause::ReadOfFailedWrite => "read-of-failed-write",
            Cause::StaleRead => "stale-read",
            Cause::LostUpdate => "lost-update",
            Cause::DuplicateEffect => "duplicate-effect",
            Cause::OutOfOrder => "out-of-order",
            Cause::OrderCycle => "order-cycle",
            Cause::TwoOwners => "two-owners",
            Cause::NotHeld => "not-held",
            Cause::NoOrder => "no-order",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The operations from which a cause may be proved.
#[derive(Debug)]
pub struct Case<'a, O> {
    /// Everything invoked before the stuck operation completed, by invocation; what was pending
    /// then never returns.
    pub calls: &'a [Call<O>],
    /// Everything, also what came later.
    pub all: &'a [Call<O>],
    /// What certainly did not happen.
    pub failed: &'a [Call<O>],
    /// The operation that cannot be placed.
    pub stuck: &'a Call<O>,
    /// Whether the calls begin at the beginning; otherwise at some instant at which it is certain how
    /// things stood, with at most one operation before that which brings that about.
    pub whole: bool,
}

/// What an operation contributes to a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Role {
    /// The operation that cannot be placed.
    Unplaced,
    /// It made what the unplaced operation saw, and was the last that could have.
    Made,
    /// It saw the same, and so shows that it had been made by then.
    Saw,
    /// It replaced what had been made earlier, and so shows that nobody saw that any more.
    Cleared,
    /// It replaced what the unplaced operation saw, or saw something newer.
    Newer,
    /// It too found the value that the unplaced operation found, and took it away.
    Took,
    /// It is an update that the unplaced operation did not see.
    Missed,
    /// It tried to make what the unplaced operation saw, and failed.
    Failed,
    /// It made what the unplaced operation saw, but began only later.
    Later,
    /// It did the same as the unplaced operation, which can be done only once at a time.
    Same,
    /// It is the other side: of a value that must come both before and after, or of a pair.
    Other,
}

impl Role {
    /// The name, as it stands in data: `unplaced`, `made`, `newer`, …
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Unplaced => "unplaced",
            Role::Made => "made",
            Role::Saw => "saw",
            Role::Cleared => "cleared",
            Role::Newer => "newer",
            Role::Took => "took",
            Role::Missed => "missed",
            Role::Failed => "failed",
            Role::Later => "later",
            Role::Same => "same",
            Role::Other => "other",
        }
    }
}

/// One operation of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The operation.
    pub operation: OpId,
    /// What it contributes.
    pub role: Role,
}

/// A proven cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub cause: Cause,
    /// What proves it.
    pub proof: Vec<Evidence>,
}

impl Finding {
    /// A cause with the operations that prove it beside the unplaced one.
    pub(super) fn new(
        cause: Cause,
        evidence: impl IntoIterator<Item = (OpId, Role)>,
        unplaced: OpId,
    ) -> Self {
        let evidence = evidence.into_iter().filter(|&(id, _)| id != unplaced);
        let proof = evidence.chain([(unplaced, Role::Unplaced)]);
        Finding {
            cause,
            proof: proof.map(|(operation, role)| Evidence { operation, role }).collect(),
        }
    }
}
