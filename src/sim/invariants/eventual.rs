//! What must hold of an eventual store in every state it can reach, whatever its clients see.
//!
//! - *Dots name changes* (Almeida et al. 2014): what is told of a change is the same everywhere and
//!   for ever, and a state has seen all that it consists of.
//! - *Told from the disk*: what a node has confirmed to another is on its disk (Dynamo, §4.5: a write
//!   counts the nodes that have it).

use std::collections::BTreeMap;

use rashomon_stores::clock::dotted::Dot;
use rashomon_stores::clock::hybrid::Stamp;
use rashomon_stores::eventual::message::{Body, Message};
use rashomon_stores::eventual::{Conflicts, Eventual, Note, Record, Settings, slot};
use rashomon_stores::kv::{Key, Value};
use rashomon_stores::replica::NodeId;

use crate::sim::witness::{Breach, Promise, Records, Witness};

/// The witness of an eventual store.
#[derive(Debug)]
pub struct EventualWitness {
    settings: Settings,
    /// What other nodes than its own had of each change first.
    changes: BTreeMap<Dot, (Key, Stamp, Value)>,
    sightings: Sightings,
}

/// What a run should reach sometimes.
#[derive(Debug, Default)]
struct Sightings {
    siblings: u64,
    too_old: u64,
    given_up: u64,
    repaired: u64,
    handed_off: u64,
    differences: u64,
    collected: u64,
    confirmed: u64,
}

impl EventualWitness {
    /// Watches a store with these settings.
    pub fn new(settings: Settings) -> Self {
        EventualWitness { settings, changes: BTreeMap::new(), sightings: Sightings::default() }
    }

    fn look_at(&mut self, node: NodeId, core: &Eventual) -> Result<(), Breach> {
        let breach = |what: String| Err(Breach::new("dots name changes", what));
        for (key, object) in core.objects() {
            let versions = &object.versions;
            if self.settings.conflicts == Conflicts::LastWriter && versions.len() > 1 {
                return breach(format!("{node} keeps {versions:?} for {key}"));
            }
            for version in versions {
                let dot = version.dot;
                if !object.seen.contains(dot) {
                    return breach(format!("{node} has not seen {dot:?} and has it for {key}"));
                }
                // What its own node has may be lost in a crash, and be made again as another.
                if dot.node == node {
                    continue;
                }
                let told = (key, &version.at, &version.value);
                match self.changes.get(&dot) {
                    Some((key, at, value)) if told == (key, at, value) => {}
                    Some(first) => {
                        let what = format!("{node} has {told:?} for {dot:?}, which is {first:?}");
                        return breach(what);
                    }
                    None => {
                        let (key, version) = (key.clone(), version.clone());
                        self.changes.insert(dot, (key, version.at, version.value));
                    }
                }
            }
        }
        Ok(())
    }
}

impl Witness<Eventual> for EventualWitness {
    fn noted(&mut self, node: NodeId, note: &Note, _: &Eventual) -> Result<(), Breach> {
        let seen = &mut self.sightings;
        match note {
            Note::Siblings { .. } => seen.siblings += 1,
            Note::TooOld { .. } => seen.too_old += 1,
            Note::GivenUp { .. } => seen.given_up += 1,
            Note::Repaired { .. } => seen.repaired += 1,
            Note::HandedOff { keys, .. } => seen.handed_off += *keys as u64,
            Note::Differs { keys, .. } => seen.differences += *keys as u64,
            Note::Collected { .. } => seen.collected += 1,
            Note::Nonsense { from, why } => {
                return Err(Breach::new("sense", format!("{node} from {from}: {why}")));
            }
        }
        Ok(())
    }

    fn stepped(&mut self, _: NodeId, _: &Eventual) -> Result<(), Breach> {
        Ok(())
    }

    fn is_promise(message: &Message) -> bool {
        matches!(message.body, Body::Stored { .. })
    }

    fn promised(
        &mut self,
        promise: &Promise<Message>,
        core: &Eventual,
        disk: &Records<Eventual>,
    ) -> Result<(), Breach> {
        let Body::Stored { key, seen } = &promise.message.body else { return Ok(()) };
        self.sightings.confirmed += 1;
        let has = match disk.get(&slot(key)) {
            Some(Record::Object(object)) => object.seen.covers(seen),
            // What was collected since is nowhere; what is not on the disk yet is in memory.
            _ => seen.is_empty() || core.objects().all(|(held, _)| held != key),
        };
        if has {
            return Ok(());
        }
        let from = promise.from;
        let what = format!("{from} has confirmed {seen} of {key}, and it is not on its disk");
        Err(Breach::new("told from the disk", what))
    }

    fn crashed(&mut self, _: NodeId) {}

    fn glanced(&mut self, cores: &[(NodeId, &Eventual)], _: bool) -> Result<(), Breach> {
        cores.iter().try_for_each(|(node, core)| self.look_at(*node, core))
    }

    fn sightings(&self) -> Vec<(&'static str, u64)> {
        let seen = &self.sightings;
        vec![
            ("concurrent values kept", seen.siblings),
            ("messages too old to be taken", seen.too_old),
            ("requests given up", seen.given_up),
            ("reads that repaired", seen.repaired),
            ("keys handed off", seen.handed_off),
            ("differences found", seen.differences),
            ("deleted keys collected", seen.collected),
            ("states confirmed", seen.confirmed),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rashomon_stores::clock::dotted::Dotted;
    use rashomon_stores::eventual::Options;
    use rashomon_stores::eventual::object::{Object, Version};
    use rashomon_stores::replica::{Effects, Replica, Setup};

    use super::*;

    const KEY: &str = "x";

    /// What a node's disk holds of the key after the first change of the third node, which wrote this.
    fn disk(value: i64, seen: bool) -> Records<Eventual> {
        let dot = Dot { node: NodeId(3), count: 1 };
        let version = Version { dot, at: Stamp::default(), value: value.into() };
        let mut object = Object { versions: vec![version], ..Object::default() };
        if seen {
            object.seen.add(dot);
        }
        [(slot(&KEY.into()), Record::Object(object))].into()
    }

    fn core(id: u16, disk: Records<Eventual>) -> Eventual {
        let setup = Setup { id: NodeId(id), members: (1..4).map(NodeId).collect(), seed: 1 };
        let (disk, mut out) = (disk.into_iter().collect(), Effects::default());
        Eventual::recover(setup, Options::default(), disk, Duration::ZERO, &mut out)
            .expect("a sound disk")
    }

    fn glanced(witness: &mut EventualWitness, id: u16, value: i64, seen: bool) -> bool {
        let core = core(id, disk(value, seen));
        witness.glanced(&[(NodeId(id), &core)], false).is_ok()
    }

    #[test]
    fn a_change_that_is_not_the_same_everywhere_or_was_not_seen_is_noticed() {
        let mut witness = EventualWitness::new(Settings::DEFAULT);
        assert!(glanced(&mut witness, 3, 7, true), "it may yet be lost at its own node");
        assert!(glanced(&mut witness, 1, 5, true));
        assert!(glanced(&mut witness, 2, 5, true));
        assert!(glanced(&mut witness, 1, 5, true));
        assert!(!glanced(&mut witness, 2, 6, true), "the other has 5");
        assert!(!glanced(&mut witness, 2, 5, false));
    }

    #[test]
    fn what_is_confirmed_and_not_on_the_disk_is_noticed() {
        let mut seen = Dotted::default();
        let mut confirms = |count: u64, disk: &Records<Eventual>| {
            seen.add(Dot { node: NodeId(3), count });
            let body = Body::Stored { key: KEY.into(), seen: seen.clone() };
            let message = Message { at: Stamp::default(), body };
            let promise = Promise { from: NodeId(1), to: NodeId(2), message };
            let mut witness = EventualWitness::new(Settings::DEFAULT);
            witness.promised(&promise, &core(1, self::disk(5, true)), disk).is_ok()
        };
        assert!(confirms(1, &disk(5, true)));
        assert!(!confirms(1, &disk(5, false)), "its state is older than that");
        assert!(!confirms(1, &Records::<Eventual>::new()), "it is in memory only");
        assert!(!confirms(2, &disk(5, true)));
    }
}
