//! Forgetting deleted keys for good, so that they never come back.
//!
//! A deleted key has to be remembered (as a tombstone), or a node that has not heard of its deletion
//! would bring it back. Cassandra and Riak forget it after a grace period, and it does come back if a
//! node, or a message, has been away for longer. Here the first member asks all others whether they
//! have the very state in which only tombstones are left; when every one has said so it waits for
//! the grace, and then all forget it. From then on only a message from before could bring it back;
//! such a message is older than the grace by the clock of every node that has forgotten, because
//! clocks are put forward by what is heard, and it is not taken.
//!
//! The price: as long as a node is away, its peers keep their tombstones.

use std::time::Duration;

use super::message::Body;
use super::mutants::Bug;
use super::object::Object;
use super::{Eventual, Nodes};
use crate::kv::Key;
use crate::replica::{Effects, NodeId, Time};

/// How many deleted keys are asked about at a time.
const BATCH: usize = 64;

/// Who has not said so is asked again after so many times the wait before something is sent again.
const PATIENCE: u32 = 5;

/// A deleted key.
#[derive(Clone, Debug)]
pub(super) struct Grave {
    /// The digest of its state.
    digest: u64,
    /// Who has said to have the same.
    same: Nodes,
    /// When the last one said so; for a bug, when it was deleted.
    since: Time,
    /// When they were asked last.
    asked: Option<Time>,
}

impl Eventual {
    /// Notes whether a key is deleted, when its state changes.
    pub(super) fn bury(&mut self, key: &Key, object: &Object, digest: u64) {
        if object.is_dead() && (self.digs() || self.bug(Bug::HastyGrave)) {
            let grave = Grave { digest, same: Nodes::new(), since: self.now, asked: None };
            self.graves.insert(key.clone(), grave);
        } else {
            self.graves.remove(key);
        }
    }

    /// Whether this is the member that sees to the forgetting: the first.
    fn digs(&self) -> bool {
        self.others.iter().all(|other| self.id < *other)
    }

    /// Asks about deleted keys, and forgets those that all have had for long enough.
    pub(super) fn dig(&mut self, out: &mut Effects<Self>) {
        let (all, hasty) = (self.others.len(), self.bug(Bug::HastyGrave));
        let grace = if hasty { Duration::from_millis(200) } else { self.options.grace };
        let (now, again) = (self.now, self.options.resend_after * PATIENCE);
        let (mut asked, mut due) = (Vec::new(), Vec::new());
        for (key, grave) in &mut self.graves {
            if hasty || grave.same.len() == all {
                if grave.since + grace <= now && due.len() < BATCH {
                    due.push((key.clone(), grave.digest));
                }
            } else if grave.asked.is_none_or(|asked| asked + again <= now) && asked.len() < BATCH {
                grave.asked = Some(now);
                asked.push((key.clone(), grave.digest));
            }
        }
        for (key, digest) in asked {
            self.broadcast(&Body::Dead { key, digest }, out);
        }
        for (key, digest) in due {
            self.forget(&key, out);
            if !hasty {
                self.broadcast(&Body::Collect { key, digest }, out);
            }
        }
    }

    /// Hears that a peer has the same state of a deleted key.
    pub(super) fn on_is_dead(&mut self, from: NodeId, key: &Key, digest: u64) {
        if let Some(grave) = self.graves.get_mut(key)
            && grave.digest == digest
            && grave.same.insert(from)
        {
            grave.since = self.now;
        }
    }
}
