//! Planted bugs of the eventual store, and controls; each names the promise that it breaks.
//!
//! This store never promised that there is one order of all operations, so that there is none shows
//! nothing. What it promises is in `docs/eventual.md`: that its nodes converge, that no acknowledged
//! write is lost but to one that knew of it (or, where the last writer wins, came after it), that
//! sessions see what they have seen, that quorums that overlap read what was written, and that what
//! is deleted stays deleted.

mod causality;
mod controls;
mod repair;
mod replies;

use std::str::FromStr;

use super::Eventual;
use super::settings::{Conflicts, Settings};
use crate::catalogue::{Mutant, Store, UnknownName};

/// A bug that can be planted in the core, or a control; its entry in [`table`] has the same name, in
/// lower case and with dashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Stamps writes with a node's own clock alone.
    WallClock,
    /// Lets whichever arrived first win where two stamps are the same, as coarse ones are.
    TiesByArrival,
    /// Keeps one of several concurrent values where all are to be kept.
    SiblingDropped,
    /// Lets a write take the place of all that its node has, not of what its client has seen.
    NodeReplaces,
    /// Lets a write take the place of nothing.
    NothingReplaced,
    /// Numbers its changes from 1 again after a restart.
    CountForgotten,
    /// Keeps the larger of two sets.
    LargerSetWins,
    /// Keeps the larger of two counters.
    LargerSumWins,
    /// Leaves no tombstone where something was deleted.
    NoTombstones,
    /// Forgets tombstones after a time, whoever has seen them.
    HastyGrave,
    /// Never compares some of the leaves of its tree.
    LeafSkipped,
    /// Hands off with a new stamp what it has kept for a peer.
    HintRestamped,
    /// Acknowledges before the disk has it.
    AckBeforeDisk,
    /// Counts the nodes that it sent a write to, not those that have it.
    SentIsStored,
    /// Waits for the answers to a read, and returns its own copy.
    OwnCopyRead,
    /// Does not look at what a client has seen.
    TokenIgnored,
    /// A control: everything is said twice.
    SaidTwice,
    /// A control: nodes compare what they have ten times as seldom.
    SeldomExchange,
    /// A control: every read tells every node what it found.
    RepairsAll,
}

/// A bug, the kind of store in which it is hunted, and its entry in the catalogue.
type Entry = (Bug, Settings, Mutant);

const LWW: Settings = Settings::DEFAULT;
const SIBLINGS: Settings = Settings { conflicts: Conflicts::Siblings, ..LWW };
const SESSIONS: Settings = Settings { sessions: true, ..LWW };
/// Quorums that overlap on three nodes.
const QUORUMS: Settings = Settings { reads: 2, writes: 2, ..SIBLINGS };

const AREAS: &[&[Entry]] = &[causality::TABLE, repair::TABLE, replies::TABLE, controls::TABLE];

fn entries() -> impl Iterator<Item = &'static Entry> {
    AREAS.iter().copied().flatten()
}

/// The catalogue: the mutants by area, then the controls.
pub fn table() -> impl Iterator<Item = &'static Mutant> {
    entries().map(|(_, _, mutant)| mutant)
}

/// The kind of store in which a mutant is hunted; the usual one for a name that there is none of.
pub fn hunted_in(name: &str) -> Settings {
    let entry = entries().find(|(_, _, mutant)| mutant.name == name);
    entry.map_or(Settings::DEFAULT, |(_, settings, _)| *settings)
}

impl FromStr for Bug {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        entries()
            .find(|(_, _, mutant)| mutant.name == name)
            .map(|(bug, _, _)| *bug)
            .ok_or_else(|| Store::Eventual(Settings::DEFAULT).unknown_bug(name))
    }
}

impl Eventual {
    /// Whether this bug is planted.
    pub(super) fn bug(&self, bug: Bug) -> bool {
        self.options.bug == Some(bug)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_sound() {
        let all = entries().map(|(bug, _, mutant)| (*bug, *mutant));
        crate::catalogue::checks::catalogue_is_sound(all, (10, 2));
        for (_, settings, mutant) in entries() {
            assert!(settings.check(usize::from(mutant.hunt.nodes)).is_ok(), "{}", mutant.name);
        }
    }
}
