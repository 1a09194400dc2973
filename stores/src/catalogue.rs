//! The stores and their planted bugs by name, for command lines and configuration files.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{eventual, paxos, raft};

/// A store that a node can run.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(into = "String", try_from = "String")]
pub enum Store {
    /// Raft: one leader, a replicated log, linearizable reads and writes.
    #[default]
    Raft,
    /// CASPaxos: a register for every key, any node proposes, linearizable reads and writes.
    Paxos(paxos::Settings),
    /// One node, and nobody to agree with: the baseline.
    Single,
    /// No leader, and no single order: every node takes every request, and tells the others.
    Eventual(eventual::Settings),
}

impl Store {
    /// Every store; those that have settings, with the usual ones.
    pub const ALL: &[Store] = &[
        Store::Raft,
        Store::Paxos(paxos::Settings::DEFAULT),
        Store::Single,
        Store::Eventual(eventual::Settings::DEFAULT),
    ];

    /// The name on command lines and in configuration files, without the settings.
    pub fn name(self) -> &'static str {
        match self {
            Store::Raft => "raft",
            Store::Paxos(_) => "paxos",
            Store::Single => "single",
            Store::Eventual(_) => "eventual",
        }
    }

    /// Whether it runs on one node, for good: then nothing between nodes can go wrong.
    pub fn is_alone(self) -> bool {
        match self {
            Store::Single => true,
            Store::Raft | Store::Paxos(_) | Store::Eventual(_) => false,
        }
    }

    /// Whether it takes orders about its members.
    pub fn changes_members(self) -> bool {
        match self {
            Store::Raft => true,
            // Sizes of which both are given meet for few numbers of nodes.
            Store::Paxos(settings) => settings.prepare.is_none() || settings.accept.is_none(),
            Store::Single | Store::Eventual(_) => false,
        }
    }

    /// Whether it takes orders to hand leadership over.
    pub fn hands_over(self) -> bool {
        self == Store::Raft
    }

    /// Whether a command that is sent again under its session takes effect once.
    pub fn executes_once(self) -> bool {
        match self {
            Store::Raft | Store::Paxos(_) | Store::Single => true,
            Store::Eventual(_) => false,
        }
    }

    /// Whether values can be appended to what a key holds.
    pub fn appends(self) -> bool {
        !matches!(self, Store::Eventual(_))
    }

    /// The store in which a mutant is looked for: this one, with the settings that bring it out.
    pub fn hunted_with(self, mutant: &Mutant) -> Store {
        match self {
            Store::Eventual(_) => Store::Eventual(eventual::mutants::hunted_in(mutant.name)),
            other => other,
        }
    }

    /// The schedule of faults under which a mutant is looked for, where those that are drawn bring it
    /// out too seldom.
    pub fn hunted_under(self, mutant: &Mutant) -> Option<&'static str> {
        match self {
            Store::Raft => raft::mutants::schedule(mutant.name),
            _ => None,
        }
    }

    /// Whether what it has acknowledged outlives the loss of the disks of a minority of so many nodes.
    pub fn outlives_disks(self, nodes: u16) -> bool {
        match self {
            Store::Eventual(settings) => settings.writes > nodes.saturating_sub(1) / 2,
            Store::Paxos(settings) => settings.quorums(usize::from(nodes)).is_ok_and(|quorums| {
                let lost = usize::from(nodes.saturating_sub(1) / 2);
                quorums.accept.min(quorums.prepare) > lost
                    && quorums.accept.max(quorums.prepare) <= usize::from(nodes) - lost
            }),
            _ => true,
        }
    }

    /// Checks that it can run on so many nodes.
    ///
    /// # Errors
    /// When its settings ask for more, or for quorums that need not meet.
    pub fn check_nodes(self, nodes: usize) -> Result<(), UnfitNodes> {
        match self {
            Store::Eventual(settings) => Ok(settings.check(nodes)?),
            Store::Paxos(settings) => Ok(settings.quorums(nodes).map(drop)?),
            Store::Raft | Store::Single => Ok(()),
        }
    }

    /// Whether one of its nodes leads the others, now this one and now that.
    pub fn has_leader(self) -> bool {
        match self {
            Store::Raft => true,
            Store::Paxos(_) | Store::Single | Store::Eventual(_) => false,
        }
    }

    /// Whether it can be told how to answer reads.
    pub fn chooses_reads(self) -> bool {
        match self {
            Store::Raft => true,
            Store::Paxos(_) | Store::Single | Store::Eventual(_) => false,
        }
    }

    /// The bugs that can be planted in this store, and the controls.
    pub fn mutants(self) -> Box<dyn Iterator<Item = &'static Mutant>> {
        match self {
            Store::Raft => Box::new(raft::mutants::table()),
            Store::Paxos(_) => Box::new(paxos::mutants::table()),
            Store::Single => Box::new(std::iter::empty()),
            Store::Eventual(_) => Box::new(eventual::mutants::table()),
        }
    }

    /// Checks that a bug, if one is named, is one that can be planted in this store.
    ///
    /// # Errors
    /// When it is not.
    pub fn check_bug(self, bug: Option<&str>) -> Result<(), UnknownName> {
        match bug {
            Some(name) if !self.mutants().any(|known| known.name == name) => {
                Err(self.unknown_bug(name))
            }
            _ => Ok(()),
        }
    }

    /// Says that it has no bug of this name, and which it has.
    pub(crate) fn unknown_bug(self, name: &str) -> UnknownName {
        let kind = match self {
            Store::Raft => "Raft bug",
            Store::Paxos(_) => "Paxos bug",
            Store::Single => "bug of a single node",
            Store::Eventual(_) => "bug of the eventual store",
        };
        UnknownName::new(kind, name, self.mutants().map(|known| known.name))
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Store::Eventual(settings) if *settings != eventual::Settings::DEFAULT => {
                write!(f, ":{settings}")
            }
            Store::Paxos(settings) if *settings != paxos::Settings::DEFAULT => {
                write!(f, ":{settings}")
            }
            _ => Ok(()),
        }
    }
}

impl From<Store> for String {
    fn from(store: Store) -> String {
        store.to_string()
    }
}

impl TryFrom<String> for Store {
    type Error = UnknownName;

    fn try_from(text: String) -> Result<Self, UnknownName> {
        text.parse()
    }
}

impl FromStr for Store {
    type Err = UnknownName;

    /// A name; after a colon the settings of a store that has any, as in `eventual:r=2,w=2`.
    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let (name, settings) = match text.split_once(':') {
            Some((name, settings)) => (name, Some(settings)),
            None => (text, None),
        };
        let store = Store::ALL.iter().copied().find(|store| store.name() == name);
        match (store, settings) {
            (Some(store), None) => Ok(store),
            (Some(Store::Paxos(_)), Some(settings)) => Ok(Store::Paxos(settings.parse()?)),
            (Some(Store::Eventual(_)), Some(settings)) => Ok(Store::Eventual(settings.parse()?)),
            _ => Err(UnknownName::new("store", text, Store::ALL.iter().map(|s| s.name()))),
        }
    }
}

/// A planted bug as the catalogue describes it; or a control, which only looks like one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Mutant {
    /// The name by which it is switched on.
    pub name: &'static str,
    /// The part of the protocol it is in.
    pub area: Area,
    /// What the store does otherwise than it should, or than one would expect.
    pub broken: &'static str,
    /// Where this was seen in the wild, or which rule it breaks.
    pub wild: &'static str,
    /// What it comes to.
    pub shows: Shows,
    /// The fault that brings it out; for a control, the one that should.
    pub fault: &'static str,
    /// Where to look for it.
    pub hunt: Hunt,
}

impl Mutant {
    /// Whether nothing is wrong, so that whoever reports it is wrong.
    pub fn is_control(&self) -> bool {
        matches!(self.shows, Shows::Nothing(_))
    }
}

/// The part of a protocol that a mutant is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Area {
    /// Who leads, and in which term.
    Elections,
    /// Appending, matching, committing.
    Replication,
    /// What survives a crash.
    Durability,
    /// Commands that take effect once, and what their clients are told.
    Sessions,
    /// Reads by a quorum, or by nobody's leave.
    Reads,
    /// What takes the place of the log.
    Snapshots,
    /// Reads by the clock.
    Leases,
    /// Who belongs to the cluster, and leadership that is handed over.
    Membership,
    /// Who may propose what: ballots, promises, quorums.
    Proposals,
    /// Which write came before which.
    Causality,
    /// What brings nodes together that have parted.
    Repair,
    /// What becomes of deleted keys.
    Deletion,
}

impl Area {
    /// The name in lists.
    pub fn name(self) -> &'static str {
        match self {
            Area::Elections => "elections",
            Area::Replication => "replication",
            Area::Durability => "durability",
            Area::Sessions => "sessions",
            Area::Reads => "reads",
            Area::Snapshots => "snapshots",
            Area::Leases => "leases",
            Area::Membership => "membership",
            Area::Proposals => "proposals",
            Area::Causality => "causality",
            Area::Repair => "repair",
            Area::Deletion => "deletion",
        }
    }
}

/// What a mutant comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shows {
    /// Clients see this anomaly, so a verdict on what they saw must find it.
    Anomaly(&'static str),
    /// Clients see that this promise of the store is broken, by its name: `convergence`,
    /// `no-lost-writes`, …
    Broken(&'static str),
    /// A promise is broken of which clients see nothing: this one.
    Invariant(&'static str),
    /// Nothing is wrong: a control, right for this reason.
    Nothing(&'static str),
}

/// The setting in which a mutant is looked for: what whoever tests the store is best asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Hunt {
    /// What clients do, by the name of the workload.
    pub workload: &'static str,
    /// Kinds of fault, with commas.
    pub nemesis: &'static str,
    /// Number of nodes.
    pub nodes: u16,
    /// How reads are answered: `read-index` or `lease`.
    pub reads: &'static str,
}

impl Hunt {
    /// Everything that can go wrong, and registers: for what is found anywhere.
    pub const ANYWHERE: Hunt =
        Hunt { workload: "register", nemesis: "all", nodes: 5, reads: "read-index" };
}

/// A store cannot run on so many nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnfitNodes {
    /// Its settings ask for more.
    #[error(transparent)]
    TooMany(#[from] eventual::settings::TooMany),
    /// Its quorums need not meet, or cannot be reached.
    #[error(transparent)]
    Quorums(#[from] paxos::QuorumError),
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
        let known = if known.is_empty() { "none".to_owned() } else { known };
        UnknownName { kind, name: name.to_owned(), known }
    }
}

/// What the catalogues of all stores have to stand up to.
#[cfg(test)]
pub(crate) mod checks {
    use std::collections::BTreeSet;

    use super::*;

    /// `StaleRead` as `stale-read`.
    fn dashed(bug: impl fmt::Debug) -> String {
        let mut name = String::new();
        for letter in format!("{bug:?}").chars() {
            if letter.is_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.extend(letter.to_lowercase());
        }
        name
    }

    /// Every bug is found by a name of its own, which is that of its variant; every entry says all;
    /// and there are at least so many mutants and controls.
    pub(crate) fn catalogue_is_sound<B>(
        entries: impl Iterator<Item = (B, Mutant)>,
        least: (usize, usize),
    ) where
        B: FromStr<Err = UnknownName> + fmt::Debug + PartialEq,
    {
        let (mut names, mut controls) = (BTreeSet::new(), 0);
        for (bug, mutant) in entries {
            assert_eq!(mutant.name, dashed(&bug));
            assert_eq!(mutant.name.parse(), Ok(bug));
            assert!(names.insert(mutant.name), "{} is there twice", mutant.name);
            controls += usize::from(mutant.is_control());
            let shows = match mutant.shows {
                Shows::Anomaly(what)
                | Shows::Broken(what)
                | Shows::Invariant(what)
                | Shows::Nothing(what) => what,
            };
            for text in [mutant.broken, mutant.wild, shows, mutant.fault] {
                assert!(text.len() > 2 && !text.ends_with('.'), "{}: {text:?}", mutant.name);
            }
        }
        let count = (names.len() - controls, controls);
        assert!(count.0 >= least.0 && count.1 >= least.1, "{count:?}");
        assert!("no-such-bug".parse::<B>().is_err());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_are_read_and_said_with_their_settings() {
        for store in Store::ALL {
            assert_eq!(store.to_string().parse(), Ok(*store));
            assert_eq!(store.to_string(), store.name());
        }
        let quorums = "eventual:siblings,r=2,w=2";
        assert_eq!(quorums.parse::<Store>().map(|store| store.to_string()), Ok(quorums.into()));
        let uneven = "paxos:prepare=4,accept=2";
        assert_eq!(uneven.parse::<Store>().map(|store| store.to_string()), Ok(uneven.into()));
        let uneven: Store = uneven.parse().expect("a store");
        assert!(uneven.check_nodes(5).is_ok() && uneven.check_nodes(6).is_err());
        assert!(!uneven.changes_members() && Store::ALL[1].changes_members());
        assert!(!uneven.outlives_disks(5) && Store::ALL[1].outlives_disks(5));
        let json =
            serde_json::to_string(&quorums.parse::<Store>().expect("a store")).expect("JSON");
        assert_eq!(json, format!("{quorums:?}"));
        assert_eq!(
            "eventual:lww".parse::<Store>().map(|store| store.to_string()),
            Ok("eventual".into())
        );
        for text in ["rafts", "raft:fast", "eventual:", "eventual:r=0", ":siblings", "paxos:r=1"] {
            assert!(text.parse::<Store>().is_err(), "{text}");
        }
    }
}
