//! No lost acknowledged write, and no resurrection of what was deleted: what the final reads show.
//!
//! **Registers.** A write may rightly be gone if another one replaced it. Which of two replaced the
//! other is for the store to decide unless it is certain ([`versions`](super::versions)); a write
//! that ended before another began is certainly older only if the store orders writes as they
//! happen, or by clocks that are less far apart than the two writes. So: an acknowledged write is
//! lost if whatever every node shows in the end was brought by writes that are certainly older than
//! it. Last-write-wins with clocks that drift freely may lose it and be within its rights, and then
//! only what a compare-and-set had replaced, or the absence of any value, proves a loss. (Kingsbury,
//! "The trouble with timestamps", 2013.)
//!
//! **Values side by side.** A value is replaced only by whoever had seen it (Dynamo, section 4.4):
//! so an acknowledged value is lost if no node shows it, or anything whose writer may have seen it,
//! and no such writer deleted the key.
//!
//! **Collections and counters.** Every acknowledged element is in; a sum is between what was
//! certainly added and what may have been.
//!
//! A delete that is lost in this way is a *resurrection*: Riak's doomstones and Cassandra's
//! tombstones collected too early.

use std::collections::BTreeSet;

use rustc_hash::FxHashSet;

use super::causality::{Causality, Contexts, unique};
use super::convergence::no_end;
use super::objects::{Kind, Object, Objects, Read, Write};
use super::versions::Versions;
use super::{Finding, Gathering, Options, Violation};
use crate::history::{OpId, ValueId};

/// Which writes are asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// Those that brought something.
    Writes,
    /// Those that removed.
    Deletes,
}

pub(super) fn judge(objects: &Objects<'_>, of: Of, options: &Options) -> Finding {
    if !objects.has_end {
        return no_end();
    }
    let mut gathering = Gathering::default();
    let mut has_reads = false;
    for object in &objects.all {
        let last = object.last_reads();
        if last.is_empty() {
            continue;
        }
        has_reads = true;
        if let Some(why) = object.puzzle() {
            gathering.doubt(|| format!("{}{why}", objects.prefix(object)));
            continue;
        }
        let case = Case { objects, object, last: &last, of };
        gathering.tested += object.writes.iter().filter(|it| case.counts(it)).count() as u64;
        let violation = match (&object.kind, of) {
            (Kind::Register, _) => case.register(options),
            (Kind::Siblings, Of::Writes) => case.side_by_side(),
            (Kind::Siblings, Of::Deletes) => case.deleted_by_who_had_seen(),
            (Kind::Collection { .. }, Of::Writes) => case.elements(),
            (Kind::Counter, Of::Writes) => case.sum(),
            _ => None,
        };
        if let Some(violation) = violation {
            return Finding::Violated(violation);
        }
    }
    if !has_reads {
        gathering.doubt(|| "no key was read in the end".to_owned());
    }
    gathering.finish()
}

/// One object that was read in the end.
struct Case<'a, 'h> {
    objects: &'a Objects<'h>,
    object: &'a Object<'h>,
    last: &'a [&'a Read<'h>],
    of: Of,
}

impl Case<'_, '_> {
    /// Whether a write is asked about, and had ended before all final reads.
    fn counts(&self, write: &Write<'_>) -> bool {
        let span = write.span;
        span.is_acknowledged
            && write.is_delete() == (self.of == Of::Deletes)
            && self.last.iter().all(|read| span.ret < read.span.call)
    }

    fn register(&self, options: &Options) -> Option<Violation> {
        let mut versions = Versions::of(self.object);
        versions.order_by_clock(self.objects, options.clocks);
        // What is certainly newer than all that every final read may have seen.
        let asked = self.object.writes.iter().enumerate().filter(|(_, it)| self.counts(it));
        let mut lost: FxHashSet<usize> = asked.map(|(at, _)| at).collect();
        let mut candidates = BTreeSet::new();
        for read in self.last {
            let writers = self.object.writers(read.value());
            if writers.is_empty() && !read.seen.is_empty() {
                // A value from nowhere, which says nothing of age.
                return None;
            }
            candidates.extend(writers);
        }
        for &candidate in &candidates {
            if lost.is_empty() {
                return None;
            }
            let newer: FxHashSet<usize> = versions.after(candidate).into_iter().collect();
            lost.retain(|write| *write != candidate && newer.contains(write));
        }
        let lost = lost.into_iter().min()?;
        let write = &self.object.writes[lost];
        let shown = self.shown();
        let why = match self.of {
            Of::Writes => "which is older",
            Of::Deletes => "which was there before and is back",
        };
        let nothing = self.last.iter().all(|read| read.seen.is_empty());
        let why = if nothing { String::new() } else { format!(", {why}") };
        let mut proof = vec![write.span.id];
        for read in self.last {
            proof.push(read.span.id);
            let writers = self.object.writers(read.value()).iter();
            proof.extend(writers.map(|write| self.object.writes[*write].span.id));
        }
        Some(self.gone(write, &format!(", but in the end {shown}{why}"), proof))
    }

    fn side_by_side(&self) -> Option<Violation> {
        let causality = Causality::of(self.object);
        let lost = self.object.writes.iter().enumerate().find(|(at, write)| {
            let covers =
                |read: &&&Read<'_>| causality.covers(self.object, &read.seen, read.span.ret, *at);
            self.counts(write) && !self.last.iter().any(|read| covers(&read))
        });
        let (_, write) = lost?;
        let why = format!(", but in the end {}, written by nobody who had seen it", self.shown());
        let mut proof = vec![write.span.id];
        proof.extend(self.last.iter().map(|read| read.span.id));
        Some(self.gone(write, &why, proof))
    }

    fn deleted_by_who_had_seen(&self) -> Option<Violation> {
        let contexts = Contexts::of(self.object);
        let shown = self.last.iter().flat_map(|read| read.seen.iter());
        let first = shown.filter_map(|value| unique(self.object, *value)).min()?;
        let deletes = self.object.writes.iter().enumerate().filter(|(_, it)| self.counts(it));
        for (at, delete) in deletes {
            for (old, by) in contexts.replaced(at, first) {
                let value = self.object.writes[old].value;
                let shows = |read: &&&Read<'_>| {
                    read.seen.contains(&value) && unique(self.object, value).is_some()
                };
                if let Some(read) = self.last.iter().find(|read| shows(read)) {
                    let ids = [old, by, at].map(|write| self.object.writes[write].span.id);
                    let mut proof = ids.to_vec();
                    proof.push(read.span.id);
                    let back = self.objects.value(value);
                    let why = format!(
                        " having seen {back}, but in the end {back} is back: {}",
                        self.objects.tell(read.span.id)
                    );
                    return Some(self.gone(delete, &why, proof));
                }
            }
        }
        None
    }

    fn elements(&self) -> Option<Violation> {
        let shown: FxHashSet<ValueId> =
            self.last.iter().flat_map(|read| read.seen.iter().copied()).collect();
        let mut writes = self.object.writes.iter();
        let write = writes.find(|write| self.counts(write) && !shown.contains(&write.value))?;
        let mut proof = vec![write.span.id];
        proof.extend(self.last.iter().map(|read| read.span.id));
        Some(self.gone(write, ", but it is nowhere in the end", proof))
    }

    fn sum(&self) -> Option<Violation> {
        let (mut least, mut most) = (0, 0);
        for write in &self.object.writes {
            let is_certain = self.counts(write);
            least += if is_certain { write.amount } else { write.amount.min(0) };
            most += if is_certain { write.amount } else { write.amount.max(0) };
        }
        if self.last.iter().any(|read| (least..=most).contains(&read.number)) {
            return None;
        }
        let read = self.last.first()?;
        let sentence = format!(
            "{}in the end {}, but what was added comes to between {least} and {most}",
            self.objects.prefix(self.object),
            self.objects.tell(read.span.id),
        );
        Some(Violation::new(sentence, vec![read.span.id]))
    }

    /// What the final reads saw: `n1, n2 show 4`.
    fn shown(&self) -> String {
        let mut told: Vec<(String, Vec<&str>)> = Vec::new();
        for read in self.last {
            let values = read.seen.iter().map(|value| self.objects.value(*value));
            let values = values.collect::<Vec<_>>().join(" and ");
            let values = if values.is_empty() { "nothing".to_owned() } else { values };
            let node = read.node.unwrap_or("the store");
            match told.iter_mut().find(|(known, _)| *known == values) {
                Some((_, nodes)) => nodes.push(node),
                None => told.push((values, vec![node])),
            }
        }
        let clause = |(values, nodes): (String, Vec<&str>)| {
            let verb = if nodes.len() == 1 { "shows" } else { "show" };
            format!("{} {verb} {values}", nodes.join(", "))
        };
        told.into_iter().map(clause).collect::<Vec<_>>().join(" and ")
    }

    fn gone(&self, write: &Write<'_>, why: &str, proof: Vec<OpId>) -> Violation {
        let (prefix, what) = (self.objects.prefix(self.object), self.objects.tell(write.span.id));
        Violation::new(format!("{prefix}{what}{why}"), proof)
    }
}
