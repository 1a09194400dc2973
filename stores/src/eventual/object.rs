//! What a replica holds of a key, and how two replicas' states of it become one.
//!
//! An object is the product of three parts, each a join-semilattice (Shapiro et al., "Conflict-Free
//! Replicated Data Types", SSS 2011), so states may be merged in any order and any number of times:
//!
//! - a register with *dotted version vectors*: every version has a dot, the number of the change that
//!   made it, and the object has one version vector of all changes that are behind its state. So a
//!   version is taken for overwritten exactly if somebody who knew of it wrote, and there is no false
//!   concurrency (Preguiça et al., "Dotted Version Vectors: Logical
//!   Clocks for Optimistic Replication", 2010; Almeida et al., "Scalable and Accurate Causality
//!   Tracking for Eventually Consistent Stores", DAIS 2014);
//! - a set that only grows;
//! - a counter, which each node's own tally of what was added and taken away makes up (a PN-counter).
//!
//! Dots are numbered by node, not by key, so a key that was collected and comes to life again has
//! dots that nobody takes for old ones.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use super::mutants::Bug;
use super::settings::Conflicts;
use crate::clock::dotted::{Dot, Dotted};
use crate::clock::hybrid::Stamp;
use crate::kv::{Context, Output, Value};
use crate::replica::NodeId;

/// A value that was written; null is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Version {
    /// The change that made it.
    pub dot: Dot,
    /// When, by the writer's hybrid logical clock.
    pub at: Stamp,
    /// The value.
    pub value: Value,
}

impl Version {
    /// The order of last writer wins.
    fn order(&self) -> (Stamp, NodeId) {
        (self.at, self.dot.node)
    }
}

/// A node's own part of a counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tally {
    /// All that was added there.
    pub added: u64,
    /// All that was taken away there.
    pub taken: u64,
}

/// By which rules states become one.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// What becomes of concurrent values.
    pub conflicts: Conflicts,
    /// A planted bug.
    pub bug: Option<Bug>,
}

/// What a write takes the place of, where siblings are kept.
#[derive(Clone, Copy, Debug)]
pub enum Replaced<'a> {
    /// Every version that its client has seen.
    Seen(&'a Dotted),
    /// This version, if there is one.
    Only(Option<Dot>),
}

/// The state of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Object {
    /// All changes that are behind it.
    pub seen: Dotted,
    /// The register's versions that nobody has overwritten, by dot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<Version>,
    /// The set.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub elements: BTreeSet<Value>,
    /// The counter.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tallies: BTreeMap<NodeId, Tally>,
}

impl Object {
    /// Takes in another state of the same key: afterwards it is the least that is behind both.
    pub fn merge(&mut self, other: &Object, rule: Rule) {
        match rule.conflicts {
            Conflicts::LastWriter => self.merge_latest(other, rule.bug),
            Conflicts::Siblings => self.merge_siblings(other, rule.bug),
        }
        self.merge_sets(other, rule.bug);
        self.merge_tallies(other, rule.bug);
        self.seen.merge(&other.seen);
    }

    fn merge_latest(&mut self, other: &Object, bug: Option<Bug>) {
        let Some(theirs) = other.versions.first() else { return };
        let wins = self.versions.first().is_none_or(|own| match bug {
            Some(Bug::TiesByArrival) => theirs.at > own.at,
            _ => theirs.order() > own.order(),
        });
        if wins {
            self.versions = vec![theirs.clone()];
        }
    }

    /// Keeps what both have, and what the other has not seen; what it has seen and does not have was
    /// overwritten.
    fn merge_siblings(&mut self, other: &Object, bug: Option<Bug>) {
        let has = |object: &Object, dot: Dot| object.versions.iter().any(|held| held.dot == dot);
        let mut versions: Vec<Version> = Vec::new();
        for (one, another) in [(&*self, other), (other, &*self)] {
            let kept = one
                .versions
                .iter()
                .filter(|version| has(another, version.dot) || !another.seen.contains(version.dot));
            versions.extend(kept.cloned());
        }
        versions.sort_by_key(|version| version.dot);
        versions.dedup_by_key(|version| version.dot);
        if bug == Some(Bug::SiblingDropped)
            && let Some(latest) = versions.iter().max_by_key(|version| version.order()).cloned()
        {
            versions = vec![latest];
        }
        self.versions = versions;
    }

    fn merge_sets(&mut self, other: &Object, bug: Option<Bug>) {
        if bug == Some(Bug::LargerSetWins) {
            if (other.elements.len(), &other.elements) > (self.elements.len(), &self.elements) {
                self.elements.clone_from(&other.elements);
            }
            return;
        }
        self.elements.extend(other.elements.iter().cloned());
    }

    fn merge_tallies(&mut self, other: &Object, bug: Option<Bug>) {
        if bug == Some(Bug::LargerSumWins) {
            if other.sum() > self.sum() {
                self.tallies.clone_from(&other.tallies);
            }
            return;
        }
        for (node, theirs) in &other.tallies {
            let own = self.tallies.entry(*node).or_default();
            own.added = own.added.max(theirs.added);
            own.taken = own.taken.max(theirs.taken);
        }
    }

    /// Writes a value, as a change of a node that has this state.
    pub fn write(&mut self, version: Version, replaced: Replaced<'_>, rule: Rule) {
        let dot = version.dot;
        match (rule.conflicts, replaced) {
            _ if rule.bug == Some(Bug::NothingReplaced) => {}
            (Conflicts::Siblings, Replaced::Seen(seen)) if rule.bug == Some(Bug::NodeReplaces) => {
                self.versions.clear();
                self.seen.merge(seen);
            }
            (Conflicts::Siblings, Replaced::Seen(seen)) => {
                self.versions.retain(|held| !seen.contains(held.dot));
                // What its client has seen elsewhere is overwritten there, too.
                self.seen.merge(seen);
            }
            (Conflicts::Siblings, Replaced::Only(dot)) => {
                self.versions.retain(|held| Some(held.dot) != dot);
            }
            // The node's clock is ahead of every stamp that the node has heard of, and its client.
            (Conflicts::LastWriter, replaced) => {
                self.versions.retain(|held| held.order() > version.order());
                if let Replaced::Seen(seen) = replaced {
                    self.seen.merge(seen);
                }
            }
        }
        if rule.conflicts == Conflicts::Siblings || self.versions.is_empty() {
            self.versions.push(version);
            self.versions.sort_by_key(|version| version.dot);
        }
        self.seen.learn(dot);
    }

    /// The version that was written last, by the clock: what a compare-and-set compares with.
    pub fn latest(&self) -> Option<&Version> {
        self.versions.iter().max_by_key(|version| version.order())
    }

    /// What a read of it returns.
    pub fn value(&self) -> Output {
        if !self.elements.is_empty() {
            return Output::Value(Value::list(self.elements.iter().cloned()));
        }
        if !self.tallies.is_empty() {
            return Output::Value(Value::Int(self.sum()));
        }
        let mut values: Vec<Value> = Vec::new();
        for version in &self.versions {
            if version.value != Value::Null && !values.contains(&version.value) {
                values.push(version.value.clone());
            }
        }
        match values.len() {
            0 => Output::Value(Value::Null),
            1 => Output::Value(values.remove(0)),
            _ => Output::Siblings(values),
        }
    }

    /// What the counter has come to; the nearest 64-bit integer, if that is none.
    pub fn sum(&self) -> i64 {
        let total: i128 = self
            .tallies
            .values()
            .map(|tally| i128::from(tally.added) - i128::from(tally.taken))
            .sum();
        i64::try_from(total).unwrap_or(if total < 0 { i64::MIN } else { i64::MAX })
    }

    /// What a client has seen that is told of this state.
    pub fn context(&self) -> Context {
        let latest = self.versions.iter().map(|version| version.at).max().unwrap_or_default();
        Context { seen: self.seen.clone(), latest }
    }

    /// Whether it is a set or a counter.
    pub fn is_grown(&self) -> bool {
        !self.elements.is_empty() || !self.tallies.is_empty()
    }

    /// Whether nothing but tombstones is left of it.
    pub fn is_dead(&self) -> bool {
        !self.is_grown() && self.versions.iter().all(|version| version.value == Value::Null)
    }

    /// A digest of the state of a key: equal where the states are, and else almost never.
    pub fn digest(&self, key: &str) -> u64 {
        let mut hasher = Fnv::default();
        key.hash(&mut hasher);
        self.hash(&mut hasher);
        hasher.finish()
    }
}

/// FNV-1a, with SplitMix64's last step to spread it: a hash without a seed, so that all processes of
/// one build agree.
#[derive(Debug)]
pub(super) struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::clock::hybrid::Clock;

    const REPLICAS: usize = 3;

    /// What happens to replicas, each with a clock of its own.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// A client writes at a replica, having read at another.
        Write(usize, usize, i64),
        Add(usize, i64),
        Count(usize, i64),
        /// The first hears the state of the second.
        Hear(usize, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let (at, from) = (0..REPLICAS, 0..REPLICAS);
        prop_oneof![
            (at.clone(), from.clone(), 0i64..3).prop_map(|(at, from, v)| Step::Write(at, from, v)),
            (at.clone(), 0i64..5).prop_map(|(at, element)| Step::Add(at, element)),
            (at.clone(), -3i64..3).prop_map(|(at, by)| Step::Count(at, by)),
            (at, from).prop_map(|(at, from)| Step::Hear(at, from)),
        ]
    }

    fn replicas(steps: &[Step], rule: Rule) -> Vec<Object> {
        let mut replicas = vec![Object::default(); REPLICAS];
        let mut clocks = [Clock::default(); REPLICAS];
        let mut counts = [0; REPLICAS];
        let dot = |at: usize, counts: &mut [u64; REPLICAS]| {
            counts[at] += 1;
            Dot { node: NodeId(at as u16 + 1), count: counts[at] }
        };
        for step in steps {
            match *step {
                Step::Write(at, from, value) => {
                    let read = replicas[from].context();
                    clocks[at].receive(Duration::ZERO, read.latest);
                    let stamp = clocks[at].tick(Duration::ZERO);
                    let dot = dot(at, &mut counts);
                    // Nothing is written where there was a 0: a tombstone.
                    let value = if value == 0 { Value::Null } else { Value::Int(value) };
                    let version = Version { dot, at: stamp, value };
                    replicas[at].write(version, Replaced::Seen(&read.seen), rule);
                }
                Step::Add(at, element) => {
                    let dot = dot(at, &mut counts);
                    replicas[at].elements.insert(Value::Int(element));
                    replicas[at].seen.learn(dot);
                }
                Step::Count(at, by) => {
                    let dot = dot(at, &mut counts);
                    let tally = replicas[at].tallies.entry(dot.node).or_default();
                    tally.added += by.max(0) as u64;
                    tally.taken += (-by).max(0) as u64;
                    replicas[at].seen.learn(dot);
                }
                Step::Hear(at, from) => {
                    let theirs = replicas[from].clone();
                    clocks[at].receive(Duration::ZERO, theirs.context().latest);
                    replicas[at].merge(&theirs, rule);
                }
            }
        }
        replicas
    }

    proptest! {
        /// In whatever order, however often and by way of whom states are heard: the same comes of
        /// them, and a state that has heard of another is not changed by it.
        #[test]
        fn merging_is_a_least_upper_bound(steps in vec(step(), 0..40), siblings in any::<bool>()) {
            let conflicts = if siblings { Conflicts::Siblings } else { Conflicts::LastWriter };
            let rule = Rule { conflicts, bug: None };
            let states = replicas(&steps, rule);
            let merged = |order: &[usize]| {
                let mut all = Object::default();
                order.iter().for_each(|number| all.merge(&states[*number], rule));
                all
            };
            let all = merged(&[0, 1, 2]);
            prop_assert_eq!(&all, &merged(&[2, 1, 0]));
            prop_assert_eq!(&all, &merged(&[1, 2, 1, 0, 0, 1]));
            let mut pair = states[1].clone();
            pair.merge(&states[2], rule);
            let mut nested = states[0].clone();
            nested.merge(&pair, rule);
            prop_assert_eq!(&all, &nested);
            for state in &states {
                let mut again = all.clone();
                again.merge(state, rule);
                prop_assert_eq!(&again, &all);
                prop_assert!(all.seen.covers(&state.seen));
            }
            prop_assert_eq!(all.digest("x"), nested.digest("x"));
            let json = serde_json::to_string(&all).expect("JSON");
            prop_assert_eq!(serde_json::from_str::<Object>(&json).expect("an object"), all);
        }
    }
}
