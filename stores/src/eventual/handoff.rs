//! Hinted handoff: what peers have not confirmed is kept in mind, and sent again when they are heard.
//!
//! Dynamo, §4.6, in the form that Cassandra gave it: every node is a replica of every key, so the
//! hint stays with the node that took the write, and no other takes it in the place of the one that
//! is away. A hint is only a key: what is sent is the state of that time, which has what was missed
//! in it. Hints are not on the disk; a node that crashes leaves the rest to anti-entropy.

use std::collections::BTreeMap;
use std::time::Duration;

use super::message::Body;
use super::mutants::Bug;
use super::object::{Object, Replaced, Version};
use super::{Eventual, Note};
use crate::kv::Key;
use crate::replica::{Effects, NodeId, Time};

/// How many keys are handed off to a peer at a time.
const BATCH: usize = 64;

/// A peer is there that was heard within so many times the wait before something is sent again.
const THERE: u32 = 5;

/// What peers have not confirmed.
#[derive(Clone, Debug, Default)]
pub(super) struct Hints {
    /// When each key was sent last.
    keys: BTreeMap<NodeId, BTreeMap<Key, Time>>,
    /// When each peer was last heard.
    heard: BTreeMap<NodeId, Time>,
}

impl Hints {
    /// Notes that a peer is there.
    pub(super) fn heard(&mut self, peer: NodeId, now: Time) {
        self.heard.insert(peer, now);
    }

    /// Notes that a key was sent to a peer.
    fn sent(&mut self, peer: NodeId, key: &Key, now: Time, max: usize) {
        let keys = self.keys.entry(peer).or_default();
        if keys.len() < max || keys.contains_key(key) {
            keys.insert(key.clone(), now);
        }
    }

    /// Notes that a peer has all that this node has of a key.
    pub(super) fn confirmed(&mut self, peer: NodeId, key: &Key) {
        if let Some(keys) = self.keys.get_mut(&peer) {
            keys.remove(key);
        }
    }

    /// What was sent to a peer this long ago and not confirmed, if the peer is there.
    fn due(&self, peer: NodeId, now: Time, after: Duration) -> Vec<Key> {
        let heard = self.heard.get(&peer).is_some_and(|heard| now < *heard + after * THERE);
        let keys = self.keys.get(&peer).filter(|_| heard);
        let due = keys.into_iter().flatten().filter(|(_, sent)| **sent + after <= now);
        due.take(BATCH).map(|(key, _)| key.clone()).collect()
    }
}

impl Eventual {
    /// Tells every other node the state of a key, and keeps in mind that it has to be confirmed.
    pub(super) fn replicate(&mut self, key: &Key, object: &Object, out: &mut Effects<Self>) {
        let body = Body::Store { key: key.clone(), object: object.clone() };
        self.broadcast(&body, out);
        if self.options.settings.handoff {
            for peer in &self.others {
                self.hints.sent(*peer, key, self.now, self.options.hints_max);
            }
        }
    }

    /// Sends again what peers that are there have not confirmed.
    pub(super) fn hand_off(&mut self, out: &mut Effects<Self>) {
        for peer in self.others.clone() {
            let due = self.hints.due(peer, self.now, self.options.resend_after);
            if due.is_empty() {
                continue;
            }
            out.note(Note::HandedOff { to: peer, keys: due.len() });
            for key in due {
                if self.bug(Bug::HintRestamped) {
                    self.write_again(&key, out);
                }
                let object = self.object(&key);
                self.hints.sent(peer, &key, self.now, self.options.hints_max);
                self.send(peer, Body::Store { key, object }, out);
            }
        }
    }

    /// The bug of a handoff that is taken for a new write.
    fn write_again(&mut self, key: &Key, out: &mut Effects<Self>) {
        let Some(value) = self.held(key).and_then(Object::latest).map(|last| last.value.clone())
        else {
            return;
        };
        self.change(
            key,
            |object, dot, at, rule| {
                let seen = object.seen.clone();
                object.write(Version { dot, at, value }, Replaced::Seen(&seen), rule);
            },
            out,
        );
    }
}
