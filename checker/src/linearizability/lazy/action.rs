//! What operations ask of a register, over values that are numbered within one part.

use rustc_hash::FxHashMap;

use crate::history::ValueId;
use crate::model::RegisterOperation;

/// An operation on a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Action {
    /// Agrees with every value.
    Nothing,
    /// Agrees with this value.
    Read(u32),
    /// Agrees with every value but this.
    Mismatch(u32),
    /// Sets the value.
    Write(u32),
    /// Replaces the first value by the second, another one.
    Cas(u32, u32),
}

impl Action {
    /// Whether the operation has nothing left to do once the register holds this value: a read that
    /// agrees with it, or a write that would not change it.
    pub(super) fn is_content_with(self, value: u32) -> bool {
        match self {
            Action::Nothing => true,
            Action::Read(agreed) | Action::Write(agreed) => agreed == value,
            Action::Mismatch(other) => other != value,
            Action::Cas(..) => false,
        }
    }

    /// The value after a mutator that takes effect at this value, if it can.
    pub(super) fn apply(self, value: u32) -> Option<u32> {
        match self {
            Action::Write(new) => Some(new),
            Action::Cas(expected, new) => (expected == value).then_some(new),
            Action::Nothing | Action::Read(_) | Action::Mismatch(_) => None,
        }
    }

    /// The value that a mutator leaves.
    pub(super) fn produces(self) -> Option<u32> {
        match self {
            Action::Write(new) | Action::Cas(_, new) => Some(new),
            Action::Nothing | Action::Read(_) | Action::Mismatch(_) => None,
        }
    }

    /// The values that it speaks of.
    pub(super) fn mentions(self) -> [Option<u32>; 2] {
        match self {
            Action::Nothing => [None, None],
            Action::Read(value) | Action::Mismatch(value) | Action::Write(value) => {
                [Some(value), None]
            }
            Action::Cas(expected, new) => [Some(expected), Some(new)],
        }
    }

    /// The one value that the operation must find.
    pub(super) fn needs(self) -> Option<u32> {
        match self {
            Action::Read(value) | Action::Cas(value, _) => Some(value),
            Action::Nothing | Action::Mismatch(_) | Action::Write(_) => None,
        }
    }

    /// Whether the operation can take effect, or agrees, at this value.
    pub(super) fn is_possible_at(self, value: u32) -> bool {
        self.is_content_with(value) || self.apply(value).is_some()
    }
}

/// The values of one part, numbered from 0.
#[derive(Debug, Default)]
pub(super) struct Values {
    numbers: FxHashMap<ValueId, u32>,
}

impl Values {
    pub(super) fn number(&mut self, value: ValueId) -> u32 {
        let next = self.numbers.len() as u32;
        *self.numbers.entry(value).or_insert(next)
    }

    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// What an operation does. A compare-and-set that sets what it found is a read.
    pub(super) fn action(&mut self, operation: RegisterOperation) -> Action {
        match operation {
            RegisterOperation::ReadUnknown => Action::Nothing,
            RegisterOperation::Read(value) => Action::Read(self.number(value)),
            RegisterOperation::CasMismatch(value) => Action::Mismatch(self.number(value)),
            RegisterOperation::Write(value) => Action::Write(self.number(value)),
            RegisterOperation::Cas(expected, new) if expected == new => {
                Action::Read(self.number(expected))
            }
            RegisterOperation::Cas(expected, new) => {
                Action::Cas(self.number(expected), self.number(new))
            }
        }
    }
}
