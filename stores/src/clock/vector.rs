//! Vector clocks, which are version vectors where they count changes instead of events.
//!
//! Colin Fidge, "Timestamps in Message-Passing Systems That Preserve the Partial Ordering", 1988;
//! Friedemann Mattern, "Virtual Time and Global States of Distributed Systems", 1989. One counter a
//! node: an event happened before another exactly if its vector is smaller, and two that neither
//! could have influenced are not comparable. Parker et al., "Detection of Mutual Inconsistency in
//! Distributed Systems", 1983, for the same numbers as the history of a datum.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::replica::NodeId;

/// How much of each node's doing is known; nothing of those that are not named. The order is that
/// of inclusion, so it is partial.
///
/// Its text, as which it travels: `n1:3,n2:5`, or nothing at all if it is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Vector(BTreeMap<NodeId, u64>);

impl Vector {
    /// A vector that knows nothing.
    pub fn new() -> Self {
        Vector::default()
    }

    /// How much of a node's doing is known: all up to this number.
    pub fn get(&self, node: NodeId) -> u64 {
        self.0.get(&node).copied().unwrap_or(0)
    }

    /// Counts an event of a node: what to do at each, the sending of a message and, after
    /// [`Vector::merge`], its receipt included.
    pub fn tick(&mut self, node: NodeId) -> u64 {
        let count = self.0.entry(node).or_insert(0);
        *count += 1;
        *count
    }

    /// Learns of a node's doing up to this number.
    pub fn learn(&mut self, node: NodeId, count: u64) {
        if count > self.get(node) {
            self.0.insert(node, count);
        }
    }

    /// Learns all that another knows.
    pub fn merge(&mut self, other: &Vector) {
        for (node, count) in &other.0 {
            self.learn(*node, *count);
        }
    }

    /// Whether it knows all that another knows: `other <= self`.
    pub fn covers(&self, other: &Vector) -> bool {
        other.0.iter().all(|(node, count)| self.get(*node) >= *count)
    }

    /// Whether neither knows all that the other knows.
    pub fn is_concurrent_with(&self, other: &Vector) -> bool {
        self.partial_cmp(other).is_none()
    }

    /// Whether it knows of nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The nodes it knows of, in order, each with how much.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, u64)> {
        self.0.iter().map(|(node, count)| (*node, *count))
    }
}

impl PartialOrd for Vector {
    fn partial_cmp(&self, other: &Vector) -> Option<Ordering> {
        match (self.covers(other), other.covers(self)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Greater),
            (false, true) => Some(Ordering::Less),
            (false, false) => None,
        }
    }
}

impl fmt::Display for Vector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (node, count)) in self.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{node}:{count}")?;
        }
        Ok(())
    }
}

impl From<Vector> for String {
    fn from(vector: Vector) -> String {
        vector.to_string()
    }
}

/// A text that is no vector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a version vector is like n1:3,n2:5, not {0:?}")]
pub struct NoVector(pub(crate) String);

impl FromStr for Vector {
    type Err = NoVector;

    fn from_str(text: &str) -> Result<Self, NoVector> {
        let entry = |entry: &str| {
            let (node, count) = entry.strip_prefix('n')?.split_once(':')?;
            let (node, count) = (node.parse().ok()?, count.parse().ok()?);
            (node > 0 && count > 0).then_some((NodeId(node), count))
        };
        if text.is_empty() {
            return Ok(Vector::new());
        }
        let entries: Option<BTreeMap<NodeId, u64>> = text.split(',').map(entry).collect();
        entries.map(Vector).ok_or_else(|| NoVector(text.to_owned()))
    }
}

impl TryFrom<String> for Vector {
    type Error = NoVector;

    fn try_from(text: String) -> Result<Self, NoVector> {
        text.parse()
    }
}
