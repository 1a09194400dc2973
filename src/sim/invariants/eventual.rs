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
                let told = (key.clone(), version.at, version.value.clone());
                let first = self.changes.entry(dot).or_insert_with(|| told.clone());
                if *first != told {
                    return breach(format!("{node} has {told:?} for {dot:?}, which is {first:?}"));
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
