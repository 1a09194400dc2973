//! Which clock a history is drawn by: the recorded time, or, where events have none, their order.

use crate::report::OperationLine;

/// What the horizontal axis measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    /// Nanoseconds since the run began.
    Time,
    /// Ranks of events; faults, which are known by their time only, have no place then.
    Rank,
}

impl Clock {
    /// Time if every operation has one, rank otherwise: half a clock orders nothing.
    pub(super) fn of<'a>(mut operations: impl Iterator<Item = &'a OperationLine>) -> Self {
        let timed = |line: &OperationLine| {
            line.from_ns.is_some() && (line.to_ns.is_some() || line.ret.is_none())
        };
        if operations.all(timed) { Clock::Time } else { Clock::Rank }
    }

    /// When an operation was invoked.
    pub(super) fn from(self, line: &OperationLine) -> u64 {
        match self {
            Clock::Time => line.from_ns.unwrap_or(0),
            Clock::Rank => u64::from(line.call),
        }
    }

    /// When it returned; `None` if nobody knows.
    pub(super) fn to(self, line: &OperationLine) -> Option<u64> {
        match self {
            Clock::Time => line.to_ns,
            Clock::Rank => line.ret.map(u64::from),
        }
    }
}
