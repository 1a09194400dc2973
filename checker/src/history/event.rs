//! Events: one line of a history each, with Jepsen's meaning.
//!
//! A client's operation is an *invoke* followed by at most one completion of the same process:
//! *ok* happened, *fail* certainly did not happen, *info* may have happened at any time after its
//! invocation, or never; the process of an *info* is never used again. Named processes (the
//! nemesis) only tell what was done to the cluster; they are no operations.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::value::Value;

/// Who acted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Process {
    /// A client process: at most one operation at a time.
    Client(u64),
    /// Something that is no client, such as `nemesis`.
    Named(Arc<str>),
}

impl Process {
    /// The process that injects faults.
    pub fn nemesis() -> Self {
        Process::Named(Arc::from("nemesis"))
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Process::Client(number) => write!(f, "{number}"),
            Process::Named(name) => f.write_str(name),
        }
    }
}

/// What a line says about its operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventType {
    /// The client is about to send.
    Invoke,
    /// It happened.
    Ok,
    /// It certainly did not happen.
    Fail,
    /// Nobody knows: it may happen at any later time, or never.
    Info,
}

impl EventType {
    /// The word used in every format: `invoke`, `ok`, `fail`, `info`.
    pub fn as_str(self) -> &'static str {
        match self {
            EventType::Invoke => "invoke",
            EventType::Ok => "ok",
            EventType::Fail => "fail",
            EventType::Info => "info",
        }
    }

    /// The type with this name.
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [EventType::Invoke, EventType::Ok, EventType::Fail, EventType::Info];
        all.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// One line of a history. Serialised, it is a line of our own recordings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Position in the recording, dense from 0 in our own histories.
    pub index: u64,
    /// Nanoseconds since the run began, on one monotonic clock; `None` where a format has none,
    /// and then the order of the lines is the order of the events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<u64>,
    /// Who acted.
    pub process: Process,
    /// Invocation or completion.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// The function: `read`, `write`, `cas`, `append`, `partition`, …
    pub f: Arc<str>,
    /// The object the operation is on, where the history has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Value>,
    /// Argument at the invocation, result at the completion. A read is `nil` until it is answered;
    /// a compare-and-set is `[expected new]`.
    pub value: Value,
    /// The node that was asked, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<Arc<str>>,
    /// Why it failed, or why nobody knows. `Some(Nil)` means the same as `None`, as in `key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
    /// 1-based line in the file it was read from; 0 for an event that was never in a file.
    #[serde(skip)]
    pub line: u32,
}
