//! What a node tells whoever watches: for logs, traces, coverage and invariants.

use std::fmt;
use std::sync::Arc;

use super::membership::{Configuration, Members};
use super::message::Ballot;
use crate::kv::Key;
use crate::replica::NodeId;

/// What a node tells whoever watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// It asks for promises.
    Prepared {
        /// The key.
        key: Key,
        /// Its ballot.
        ballot: Ballot,
    },
    /// It proposes a state.
    Proposed {
        /// The key.
        key: Key,
        /// Its ballot.
        ballot: Ballot,
        /// The ballot of the state that it began with.
        parent: Ballot,
        /// How many requests it carries out.
        requests: usize,
        /// Whether it did so without asking for promises first.
        at_once: bool,
    },
    /// Its proposal was chosen, as far as it can tell.
    Chosen {
        /// The key.
        key: Key,
        /// The ballot.
        ballot: Ballot,
    },
    /// It gives a proposal up, because others were promised more.
    Overtaken {
        /// The key.
        key: Key,
        /// Its ballot.
        ballot: Ballot,
        /// The ballot that came before it.
        by: Ballot,
        /// How often in a row that has happened.
        times: u32,
    },
    /// Requests for which no quorum was found in time.
    GaveUp {
        /// The key.
        key: Key,
        /// How many.
        requests: usize,
    },
    /// All acceptors hold the tombstone of a key, and nobody knows an older state of it: it is
    /// about to be erased.
    Collecting {
        /// The key.
        key: Key,
        /// The ballot of the tombstone.
        tombstone: Ballot,
    },
    /// No acceptor holds the tombstone any more.
    Collected {
        /// The key.
        key: Key,
        /// The ballot of the tombstone.
        tombstone: Ballot,
    },
    /// A tombstone was not collected: somebody was not there, or the key is in use.
    NotCollected {
        /// The key.
        key: Key,
    },
    /// It did not listen to a proposal that was made before a tombstone was collected.
    TooYoung {
        /// The key.
        key: Key,
        /// The proposer.
        from: NodeId,
    },
    /// It takes over a configuration.
    Configured {
        /// The configuration.
        configuration: Arc<Configuration>,
        /// Whether the node joins by it, and has forgotten what it held before.
        anew: bool,
    },
    /// It proposes every key once more, because the members change.
    Rescans {
        /// How many it knows of.
        keys: usize,
    },
    /// It refused a message that no correct node sends: the protocol is broken somewhere.
    Nonsense {
        /// Who sent it.
        from: NodeId,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::Prepared { key, ballot } => {
                write!(f, "prepares {key} at {ballot}", key = key.escape_debug())
            }
            Note::Proposed { key, ballot, parent, requests, at_once } => {
                let how = if *at_once { ", at once" } else { "" };
                write!(
                    f,
                    "proposes {key} at {ballot} after {parent} for {requests} requests{how}",
                    key = key.escape_debug()
                )
            }
            Note::Chosen { key, ballot } => {
                write!(f, "has {key} chosen at {ballot}", key = key.escape_debug())
            }
            Note::Overtaken { key, ballot, by, times } => {
                write!(
                    f,
                    "is overtaken with {key} at {ballot} by {by}, {times} times now",
                    key = key.escape_debug()
                )
            }
            Note::GaveUp { key, requests } => {
                write!(f, "gives up {requests} requests for {key}", key = key.escape_debug())
            }
            Note::Collecting { key, tombstone } => {
                write!(
                    f,
                    "begins to erase the tombstone of {key} at {tombstone}",
                    key = key.escape_debug()
                )
            }
            Note::Collected { key, tombstone } => {
                write!(
                    f,
                    "has erased the tombstone of {key} at {tombstone}",
                    key = key.escape_debug()
                )
            }
            Note::NotCollected { key } => {
                write!(f, "leaves the tombstone of {key} for now", key = key.escape_debug())
            }
            Note::TooYoung { key, from } => {
                write!(
                    f,
                    "does not listen to what {from} proposed for {key} long ago",
                    key = key.escape_debug()
                )
            }
            Note::Configured { configuration, anew } => {
                let how = if *anew { ", and begins anew" } else { "" };
                let nodes = |members: &Members| {
                    let names: Vec<String> =
                        members.nodes.keys().map(ToString::to_string).collect();
                    names.join(" ")
                };
                write!(
                    f,
                    "adopts configuration {}: {}",
                    configuration.epoch,
                    nodes(&configuration.members)
                )?;
                if let Some(next) = &configuration.next {
                    write!(f, ", to be {}", nodes(next))?;
                }
                f.write_str(how)
            }
            Note::Rescans { keys } => write!(f, "proposes {keys} keys again, as they are"),
            Note::Nonsense { from, why } => write!(f, "refuses a message of {from}: {why}"),
        }
    }
}
