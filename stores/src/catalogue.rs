//! The stores and their planted bugs by name, for command lines and configuration files.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::raft;

/// A store that a node can run.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Store {
    /// Raft: one leader, a replicated log, linearizable reads and writes.
    #[default]
    Raft,
}

impl Store {
    /// Every store.
    pub const ALL: &[Store] = &[Store::Raft];

    /// The name on command lines and in configuration files.
    pub fn name(self) -> &'static str {
        match self {
            Store::Raft => "raft",
        }
    }

    /// The bugs that can be planted in this store.
    pub fn mutants(self) -> &'static [Mutant] {
        match self {
            Store::Raft => raft::mutants::TABLE,
        }
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Store {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        Store::ALL
            .iter()
            .copied()
            .find(|store| store.name() == name)
            .ok_or_else(|| UnknownName::new("store", name, Store::ALL.iter().map(|s| s.name())))
    }
}

/// A planted bug as the catalogue describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Mutant {
    /// The name by which it is switched on.
    pub name: &'static str,
    /// What the store does wrong.
    pub broken: &'static str,
    /// Where this was seen in the wild.
    pub wild: &'static str,
    /// What clients see of it.
    pub anomaly: &'static str,
    /// The fault that brings it out.
    pub fault: &'static str,
}

/// A name that is not in the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no {kind} called {name:?}; known: {known}")]
pub struct UnknownName {
    kind: &'static str,
    name: String,
    known: String,
}

impl UnknownName {
    pub(crate) fn new(
        kind: &'static str,
        name: &str,
        known: impl Iterator<Item = &'static str>,
    ) -> Self {
        let known = known.collect::<Vec<_>>().join(", ");
        UnknownName { kind, name: name.to_owned(), known }
    }
}
