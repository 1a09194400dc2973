//! Planted bugs: what a tester must be able to catch.
//!
//! Each is switched on by name and sits at one guarded place in the core, which asks
//! `options.bug == Some(Bug::...)`. The table describes them for people.

use std::str::FromStr;

use crate::catalogue::{Mutant, UnknownName};

/// A bug that can be planted in the Raft core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// See its entry in [`TABLE`].
    StaleRead,
}

/// Every bug with its name, in the order of [`TABLE`].
const BUGS: &[(&str, Bug)] = &[("stale-read", Bug::StaleRead)];

/// The catalogue.
pub const TABLE: &[Mutant] = &[Mutant {
    name: "stale-read",
    broken: "a leader answers reads from its own state without asking a quorum whether it still leads",
    wild: "etcd 0.4 and Consul 0.4 (Jepsen, 2014); d-engine#381",
    anomaly: "stale read: a deposed leader returns a value that was overwritten since",
    fault: "isolate the leader while clients stay attached to it",
}];

impl FromStr for Bug {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        BUGS.iter()
            .find(|(known, _)| *known == name)
            .map(|(_, bug)| *bug)
            .ok_or_else(|| UnknownName::new("Raft bug", name, BUGS.iter().map(|(known, _)| *known)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_is_in_the_catalogue() {
        let named: Vec<_> = BUGS.iter().map(|(name, _)| *name).collect();
        let described: Vec<_> = TABLE.iter().map(|mutant| mutant.name).collect();
        assert_eq!(named, described);
        assert!("no-such-bug".parse::<Bug>().is_err());
    }
}
