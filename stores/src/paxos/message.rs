//! Ballots, and what nodes say to each other.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::collect::Grave;
use super::membership::Configuration;
use crate::kv::{Key, Register};
use crate::replica::NodeId;

/// The number of a configuration; see `membership`.
pub type Epoch = u64;

/// The number of a proposal (§2.2): ordered by counter, then by node, so that no two nodes ever
/// have the same. Before all counts the configuration, so that a later one overtakes whatever is
/// still proposed in an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ballot {
    /// The configuration of the node that proposes.
    pub epoch: Epoch,
    /// Grows with every proposal of a node.
    pub counter: u64,
    /// The node that proposes.
    pub node: NodeId,
}

impl Ballot {
    /// Before the first.
    pub const NONE: Ballot = Ballot { epoch: 0, counter: 0, node: NodeId(0) };

    /// No counter and no epoch may be greater, so that there is always room for the next.
    pub const COUNTER_MAX: u64 = u64::MAX / 2;

    /// Before the first of a configuration.
    pub fn first(epoch: Epoch) -> Self {
        Ballot { epoch, ..Ballot::NONE }
    }
}

impl Default for Ballot {
    fn default() -> Self {
        Ballot::NONE
    }
}

impl fmt::Display for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.epoch > 0 {
            write!(f, "{}:", self.epoch)?;
        }
        write!(f, "{}.{}", self.counter, self.node)
    }
}

/// How often a proposer has helped to collect a tombstone; see `collect`.
pub type Age = u64;

/// What a message says, and of which key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The key.
    pub key: Key,
    /// What it says of it.
    pub body: Body,
}

/// What is said of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// A proposer asks for the value, and that no lower ballot be accepted any more (phase 1).
    Prepare {
        /// Its ballot.
        ballot: Ballot,
        /// Its age.
        age: Age,
    },
    /// An acceptor promises that.
    Promise {
        /// The ballot of the prepare.
        ballot: Ballot,
        /// The highest ballot that it has accepted.
        accepted: Ballot,
        /// What it accepted then.
        state: Arc<Register>,
    },
    /// A proposer asks to accept a state (phase 2).
    Accept {
        /// Its ballot.
        ballot: Ballot,
        /// Its age.
        age: Age,
        /// The state.
        state: Arc<Register>,
        /// A prepare for this ballot, on the same way (§2.2.1, one-round-trip optimisation).
        next: Option<Ballot>,
    },
    /// An acceptor has accepted.
    Accepted {
        /// The ballot.
        ballot: Ballot,
    },
    /// An acceptor has promised a higher ballot than that of a prepare or an accept.
    Conflict {
        /// The ballot of the prepare or accept.
        ballot: Ballot,
        /// What it has promised.
        promised: Ballot,
    },
    /// An acceptor does not listen to a prepare or an accept from before a tombstone was collected.
    TooYoung {
        /// The ballot of the prepare or accept.
        ballot: Ballot,
    },
    /// Whoever collects a tombstone asks a proposer to forget what it knows of the key.
    Retire {
        /// The ballot at which all acceptors hold the tombstone.
        tombstone: Ballot,
    },
    /// A proposer has done that.
    Retired {
        /// The ballot of the tombstone.
        tombstone: Ballot,
        /// Its age from now on.
        age: Age,
    },
    /// Whoever collects a tombstone asks an acceptor to erase it.
    Erase {
        /// The ballot of the tombstone.
        tombstone: Ballot,
        /// The least age at which each proposer is to be listened to from now on.
        ages: BTreeMap<NodeId, Age>,
    },
    /// An acceptor has erased it, or had before.
    Erased {
        /// The ballot of the tombstone.
        tombstone: Ballot,
    },
    /// The key has been used since, and must not be collected.
    InUse {
        /// The ballot of the tombstone.
        tombstone: Ballot,
    },
    /// This configuration was chosen.
    Adopt {
        /// The configuration.
        configuration: Arc<Configuration>,
    },
    /// The sender knows of no later configuration than this one.
    Behind {
        /// Its number.
        epoch: Epoch,
    },
    /// Whoever changes the members asks an acceptor for its keys.
    List {
        /// The configuration in which they are proposed again.
        epoch: Epoch,
        /// Those that come after this one in order.
        after: Option<Key>,
    },
    /// An acceptor tells them.
    Listed {
        /// The configuration.
        epoch: Epoch,
        /// The key that was asked for.
        after: Option<Key>,
        /// The keys that come next.
        keys: Vec<Key>,
        /// Whether there are more.
        more: bool,
    },
    /// Whoever changes the members tells one that joins what was done to keys that are gone.
    Inherit {
        /// The configuration.
        epoch: Epoch,
        /// The graves, by client.
        graves: Vec<(Arc<str>, Grave)>,
    },
    /// The one that joins has them on its disk.
    Inherited {
        /// The configuration.
        epoch: Epoch,
    },
}

impl Body {
    /// The ballots that it speaks of.
    fn ballots(&self) -> [Ballot; 2] {
        match self {
            Body::Prepare { ballot, .. }
            | Body::Accepted { ballot }
            | Body::TooYoung { ballot } => [*ballot, Ballot::NONE],
            Body::Promise { ballot, accepted, .. } => [*ballot, *accepted],
            Body::Accept { ballot, next, .. } => [*ballot, next.unwrap_or_default()],
            Body::Conflict { ballot, promised } => [*ballot, *promised],
            Body::Retire { tombstone }
            | Body::Retired { tombstone, .. }
            | Body::Erase { tombstone, .. }
            | Body::Erased { tombstone }
            | Body::InUse { tombstone } => [*tombstone, Ballot::NONE],
            Body::Adopt { configuration } => [Ballot::first(configuration.epoch), Ballot::NONE],
            Body::Behind { epoch }
            | Body::List { epoch, .. }
            | Body::Listed { epoch, .. }
            | Body::Inherit { epoch, .. }
            | Body::Inherited { epoch } => [Ballot::first(*epoch), Ballot::NONE],
        }
    }

    /// The configuration in which it means anything, unless it is about configurations themselves.
    pub(super) fn epoch(&self) -> Option<Epoch> {
        match self {
            Body::Adopt { .. } | Body::Behind { .. } => None,
            _ => Some(self.ballots()[0].epoch),
        }
    }

    /// Whether it asks for something, and is no answer.
    pub(super) fn asks(&self) -> bool {
        matches!(
            self,
            Body::Prepare { .. }
                | Body::Accept { .. }
                | Body::Retire { .. }
                | Body::Erase { .. }
                | Body::List { .. }
                | Body::Inherit { .. }
        )
    }

    /// What no correct node says, if it is that.
    pub(super) fn nonsense(&self) -> Option<&'static str> {
        let beyond = |ballot: &Ballot| ballot.epoch.max(ballot.counter) > Ballot::COUNTER_MAX;
        if self.ballots().iter().any(beyond) {
            return Some("a ballot beyond all bounds");
        }
        match self {
            Body::Accept { ballot, next: Some(next), .. } if next <= ballot => {
                Some("a next ballot that is no later")
            }
            Body::Promise { ballot, accepted, .. } if accepted > ballot => {
                Some("a promise behind what was accepted")
            }
            _ => None,
        }
    }
}
