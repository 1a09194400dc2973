//! Operations as explanations show them: everything a reader needs, without the history.

use serde::{Deserialize, Serialize};

use crate::history::{OpId, Operation, Outcome, Place};

/// An operation, told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationRecord {
    /// The operation.
    pub id: OpId,
    /// The client process.
    pub process: u64,
    /// The function.
    pub f: String,
    /// The object, where the history has several.
    pub key: Option<String>,
    /// The argument.
    pub input: String,
    /// The result; `nil` if it is not known.
    pub output: String,
    /// Whether it happened.
    pub outcome: Outcome,
    /// Where the invocation stands.
    pub call: Place,
    /// Where the completion stands.
    pub ret: Option<Place>,
    /// When it was invoked, in nanoseconds from the start of the run.
    pub call_time: Option<u64>,
    /// When it completed, in nanoseconds from the start of the run.
    pub return_time: Option<u64>,
    /// The node that was asked.
    pub node: Option<String>,
}

impl OperationRecord {
    pub(super) fn new(operation: Operation<'_>) -> Self {
        OperationRecord {
            id: operation.id(),
            process: operation.process(),
            f: operation.f().to_owned(),
            key: operation.key().map(|key| key.name()),
            input: operation.input().to_string(),
            output: operation.output().to_string(),
            outcome: operation.outcome(),
            call: operation.call_place(),
            ret: operation.return_place(),
            call_time: operation.call_time(),
            return_time: operation.return_time(),
            node: operation.node().map(str::to_owned),
        }
    }
}

/// How many characters of a value a sentence or a list of states shows.
const MAX_SHOWN: usize = 80;

/// A long value with its middle left out.
pub(super) fn shortened(text: &str) -> String {
    let length = text.chars().count();
    if length <= MAX_SHOWN {
        return text.to_owned();
    }
    let end = MAX_SHOWN / 2;
    let head: String = text.chars().take(end).collect();
    let tail: String = text.chars().skip(length - end).collect();
    format!("{head}…{tail} ({length} characters)")
}
