//! Kinds of trouble, and which of them a run has.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rashomon_nemesis::{Package, Packages};
use rashomon_stores::catalogue::Store;

/// A kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Cuts of the network, and messages held until it heals.
    Partition,
    /// Crashes, each followed by a restart.
    Kill,
    /// Nodes that stand still for a while: a long collection of garbage, a stopped process.
    Pause,
    /// Messages lost, repeated, held for long.
    Network,
    /// Disks that take long to sync, fail to, are full, or lose what they hold.
    Disk,
    /// Clocks that run fast or slow, leap ahead, or change their rates.
    Clock,
    /// Processors that take long for every step.
    Cpu,
    /// Members that come and go, and leadership handed over.
    Membership,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 8] = [
        Kind::Partition,
        Kind::Kill,
        Kind::Pause,
        Kind::Network,
        Kind::Disk,
        Kind::Clock,
        Kind::Cpu,
        Kind::Membership,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Partition => "partition",
            Kind::Kill => "kill",
            Kind::Pause => "pause",
            Kind::Network => "network",
            Kind::Disk => "disk",
            Kind::Clock => "clock",
            Kind::Cpu => "cpu",
            Kind::Membership => "membership",
        }
    }

    /// Whether it can strike a cluster of this store.
    fn suits(self, store: Store) -> bool {
        match self {
            Kind::Partition => !store.is_alone(),
            Kind::Membership => store.changes_members(),
            _ => true,
        }
    }

    fn package(self) -> Option<Package> {
        match self {
            Kind::Partition => Some(Package::Partition),
            Kind::Kill => Some(Package::Kill),
            _ => None,
        }
    }
}

/// A choice of kinds, written `partition,kill`, `all` or `none`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kinds(pub BTreeSet<Kind>);

/// A word that names no kind of trouble.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no kind of fault {0:?}; known: all, none, or of these with commas: partition, kill, \
     pause, network, disk, clock, cpu, membership"
)]
pub struct UnknownKind(String);

/// A kind of trouble that a store cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cluster of the store {store} cannot have the fault {}", kind.name())]
pub struct UnsuitableKind {
    store: Store,
    kind: Kind,
}

impl FromStr for Kinds {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        match text {
            "all" => return Ok(Kinds(Kind::ALL.into())),
            "none" => return Ok(Kinds::default()),
            _ => {}
        }
        let known = |word: &str| Kind::ALL.into_iter().find(|kind| kind.name() == word.trim());
        let kind = |word: &str| known(word).ok_or_else(|| UnknownKind(word.to_owned()));
        Ok(Kinds(text.split(',').map(kind).collect::<Result<_, _>>()?))
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        if self.0.len() == Kind::ALL.len() {
            return f.write_str("all");
        }
        let names: Vec<&str> = self.0.iter().map(|kind| kind.name()).collect();
        f.write_str(&names.join(","))
    }
}

impl Kinds {
    /// Some of these: all in a quarter of the draws, else any choice but none, each as likely as any
    /// other.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> Self {
        if self.0.is_empty() {
            return Kinds::default();
        }
        if rng.random_range(0..4) == 0 {
            return self.clone();
        }
        loop {
            let drawn: BTreeSet<Kind> =
                self.0.iter().copied().filter(|_| rng.random_bool(0.5)).collect();
            if !drawn.is_empty() {
                return Kinds(drawn);
            }
        }
    }

    /// These kinds for a store: of all those that it can have.
    ///
    /// # Errors
    /// When it cannot have one of them, and not all were asked for.
    pub fn suiting(mut self, store: Store) -> Result<Self, UnsuitableKind> {
        let is_all = self.0.len() == Kind::ALL.len();
        match self.0.iter().find(|kind| !kind.suits(store)) {
            Some(kind) if !is_all => Err(UnsuitableKind { store, kind: *kind }),
            _ => {
                self.0.retain(|kind| kind.suits(store));
                Ok(self)
            }
        }
    }

    /// Those that a schedule has strikes for.
    pub fn packages(&self) -> Packages {
        Packages(self.0.iter().filter_map(|kind| kind.package()).collect())
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn kinds_are_written_and_read() {
        for text in ["all", "none", "partition", "kill,clock"] {
            assert_eq!(text.parse::<Kinds>().map(|kinds| kinds.to_string()), Ok(text.into()));
        }
        assert_eq!("partition, kill".parse::<Kinds>().map(|kinds| kinds.0.len()), Ok(2));
        let error = "partition,floods".parse::<Kinds>().unwrap_err().to_string();
        assert!(error.contains("floods") && error.contains("network"), "{error}");
        assert!("".parse::<Kinds>().is_err());
    }

    #[test]
    fn what_a_store_cannot_have_is_left_out_of_all_and_refused_by_name() {
        let kinds = |text: &str| text.parse::<Kinds>().expect("they are known");
        let suiting = |text, store| kinds(text).suiting(store).map(|kinds| kinds.to_string());
        assert_eq!(suiting("all", Store::Raft), Ok("all".into()));
        assert_eq!(suiting("all", Store::Single), Ok("kill,pause,network,disk,clock,cpu".into()));
        assert_eq!(suiting("kill", Store::Single), Ok("kill".into()));
        let error = suiting("kill,partition", Store::Single).unwrap_err().to_string();
        assert!(error.contains("single") && error.contains("partition"), "{error}");
        assert!(suiting("membership", Store::Single).is_err());
    }

    #[test]
    fn every_choice_of_kinds_is_drawn_but_the_empty_one() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let three: Kinds = "partition,kill,disk".parse().unwrap();
        let drawn: BTreeSet<String> = (0..200).map(|_| three.draw(&mut rng).to_string()).collect();
        assert_eq!(drawn.len(), 7, "{drawn:?}");
        assert!(!drawn.contains("none"));
        assert_eq!(Kinds::default().draw(&mut rng), Kinds::default());
    }
}
