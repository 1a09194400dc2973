//! Contestants: stores with their settings, by name.

use std::fmt;
use std::str::FromStr;

use rashomon_stores::catalogue::Store;
use rashomon_stores::raft::ReadMode;
use serde::{Serialize, Serializer};

use crate::contract::Contract;

/// A store with its settings. Its name is that of the store, and says how Raft answers reads if not
/// as usual, as in `raft:reads=local`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contestant {
    /// The store.
    pub store: Store,
    /// How it answers reads.
    pub reads: ReadMode,
}

const READS: &str = "reads=";

impl Contestant {
    /// What it is held to, if not to the contract of its store.
    pub fn contract(self) -> Option<Contract> {
        (self.reads == ReadMode::Local).then(Contract::of_local_reads)
    }

    /// How many of so many nodes it runs on.
    pub fn nodes(self, asked: u16) -> u16 {
        if self.store.is_alone() { 1 } else { asked }
    }
}

impl fmt::Display for Contestant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reads = match self.reads {
            reads if reads == ReadMode::default() => String::new(),
            reads => format!(":{READS}{reads}"),
        };
        f.pad(&format!("{}{reads}", self.store))
    }
}

impl FromStr for Contestant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (store, reads) = match text.split_once(&format!(":{READS}")) {
            Some((store, reads)) => (store, reads.parse().map_err(|error| format!("{error}"))?),
            None => (text, ReadMode::default()),
        };
        let store: Store = store.parse().map_err(|error| format!("{error}"))?;
        if reads != ReadMode::default() && !store.chooses_reads() {
            return Err(format!("the store {store} reads in one way only"));
        }
        Ok(Contestant { store, reads })
    }
}

impl Serialize for Contestant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_and_read() {
        for name in ["raft", "raft:reads=local", "eventual:siblings,r=2,w=2", "single"] {
            let contestant: Contestant = name.parse().expect(name);
            assert_eq!(contestant.to_string(), name);
        }
        for name in ["rafts", "raft:reads=never", "paxos:reads=local", "", "raft:reads="] {
            assert!(name.parse::<Contestant>().is_err(), "{name}");
        }
    }

    #[test]
    fn reads_of_old_states_are_held_to_what_they_can_keep() {
        let of = |name: &str| name.parse::<Contestant>().expect(name).contract();
        assert_eq!(of("raft:reads=lease"), None);
        let local = of("raft:reads=local").expect("a contract of its own");
        assert!(!local.linearizable && local.promises.contains(&"convergence".parse().unwrap()));
    }
}
