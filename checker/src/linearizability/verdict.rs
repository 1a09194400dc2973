//! What may be asked of a check, and what it answers.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Engine, Outcome, Resource, Witness};
use crate::explain::Explanation;
use crate::history::{History, Place, Value};
use crate::model::{Part, Specification};

/// What a check may spend, and how it is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Time for the verdict. Parts that are not decided by then are unknown.
    pub time: Duration,
    /// Bytes that all engines together may hold, beside the history itself.
    pub memory: usize,
    /// Time for the explanation of a violation; when it is over, the smallest sub-history found so
    /// far stands.
    pub explanation_time: Duration,
    /// The only engine to use, where it is not to be chosen part by part. What it cannot decide is
    /// unknown.
    pub engine: Option<Engine>,
    /// Whether each key is decided by itself. Without, the keys of a history are one object with
    /// many states, which only the general engine decides; the verdict is the same, by locality.
    pub partition: bool,
}

impl Default for Options {
    /// A minute, 2 GiB, ten seconds for the explanation, and each key by itself.
    fn default() -> Self {
        Options {
            time: Duration::from_secs(60),
            memory: 2 << 30,
            explanation_time: Duration::from_secs(10),
            engine: None,
            partition: true,
        }
    }
}

/// What came out of a check.
///
/// As data it is one object: `verdict` is `valid`, `violation` or `unknown`, beside the fields of
/// the [`Witness`], the [`Explanation`] or the [`Bound`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub enum Verdict {
    /// One order explains the history; here it is.
    Valid(Witness),
    /// No order does; this is why.
    #[serde(rename = "violation")]
    Invalid(Box<Explanation>),
    /// A bound was hit before the answer was found.
    Unknown(Bound),
}

/// A verdict, and how it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examined {
    /// The verdict.
    pub verdict: Verdict,
    /// How many objects the history was split into.
    pub parts: usize,
    /// How many of them each engine decided, or tried to; only those that were used.
    pub engines: BTreeMap<Engine, usize>,
    /// The most bytes that all engines together held at one time, beside the history itself.
    pub memory: usize,
}

/// Where a check ended without an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// What was not enough.
    pub resource: Resource,
    /// The object of the first undecided part; `None` if the history has only one.
    pub key: Option<String>,
    /// How many operations that part has.
    pub operations: usize,
    /// How many of them were invoked before the furthest completion that some order explains.
    pub reached: usize,
    /// Where that completion stands; `None` if nothing was explained.
    pub place: Option<Place>,
    /// How many parts are undecided.
    pub undecided: usize,
    /// How many parts there are.
    pub parts: usize,
}

impl Bound {
    /// The bound that was hit first in the order of the parts, if one was hit.
    pub(super) fn of<S: Specification>(
        history: &History,
        parts: &[Part<S>],
        outcomes: &[Outcome<S::State>],
    ) -> Option<Bound> {
        let exhausted = |(part, outcome)| match outcome {
            &Outcome::Exhausted { resource, reached } => Some((part, resource, reached)),
            Outcome::Linearizable(_) | Outcome::Violation { .. } => None,
        };
        let mut undecided = parts.iter().zip(outcomes).filter_map(exhausted);
        let (part, resource, reached): (&Part<S>, _, Option<u32>) = undecided.next()?;
        let furthest = reached.map(|index| &part.calls[index as usize]);
        Some(Bound {
            resource,
            key: part.key.as_ref().map(Value::name),
            operations: part.calls.len(),
            reached: furthest
                .map_or(0, |last| part.calls.partition_point(|call| call.call < last.ret)),
            place: furthest.and_then(|last| history.operation(last.id).return_place()),
            undecided: 1 + undecided.count(),
            parts: parts.len(),
        })
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "undecided within {}", self.resource)?;
        if let Some(key) = &self.key {
            write!(f, " on key {key}")?;
        }
        write!(f, ": {} of {} operations explained", self.reached, self.operations)?;
        if let Some(place) = self.place {
            write!(f, ", up to {place}")?;
        }
        if self.undecided > 1 {
            write!(f, " ({} of {} keys undecided)", self.undecided, self.parts)?;
        }
        let advice = match self.resource {
            Resource::Time(_) => "raise the time limit of the check, or split the history",
            Resource::Memory(_) => "raise the memory limit of the check, or split the history",
            Resource::Engine(_) => "let the check choose its engines",
        };
        write!(f, "; {advice}")
    }
}
