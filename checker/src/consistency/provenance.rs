//! No values from nowhere: every value that a read returns was brought by a write that did not fail
//! and had begun before the read was over.
//!
//! The weakest thing a store can promise: Adya's G1a (no aborted reads) for single operations, and
//! no *thin air read* (Bouajjani et al., "On Verifying Causal Consistency", POPL 2017).

use super::objects::{Kind, Object, Objects, Read, Write};
use super::{Finding, Gathering, Violation};
use crate::history::ValueId;

pub(super) fn judge(objects: &Objects<'_>) -> Finding {
    let mut gathering = Gathering::default();
    for object in &objects.all {
        if let Some(why) = object.puzzle() {
            gathering.doubt(|| format!("{}{why}", objects.prefix(object)));
        }
        for read in &object.reads {
            gathering.tested += 1;
            let violation = match object.kind {
                Kind::Counter => count(objects, object, read),
                _ => read.seen.iter().find_map(|value| trace(objects, object, read, *value)),
            };
            if let Some(violation) = violation {
                return Finding::Violated(violation);
            }
        }
    }
    gathering.finish()
}

/// Where a value that was read does not come from.
fn trace(
    objects: &Objects<'_>,
    object: &Object<'_>,
    read: &Read<'_>,
    value: ValueId,
) -> Option<Violation> {
    let writes = object.writers(value).iter().map(|place| &object.writes[*place]);
    let mut writes = writes.peekable();
    let later = writes.peek().copied();
    if writes.any(|write| write.span.call < read.span.ret) {
        return None;
    }
    let failed: Option<&Write<'_>> = object.failed.iter().find(|write| write.value == value);
    let (what, value) = (objects.tell(read.span.id), objects.value(value));
    let prefix = objects.prefix(object);
    let mut proof = vec![read.span.id];
    let why = match (later, failed) {
        (Some(later), _) => {
            proof.push(later.span.id);
            format!("but only after that {}", objects.tell(later.span.id))
        }
        (None, Some(failed)) => {
            proof.push(failed.span.id);
            let place = objects.history.operation(failed.span.id).call_place();
            format!("but {value} was never written, the attempt of {place} had failed")
        }
        (None, None) => format!("but nobody ever wrote {value}"),
    };
    Some(Violation::new(format!("{prefix}{what}, {why}"), proof))
}

/// A counter cannot be beyond what all additions together could bring about.
fn count(objects: &Objects<'_>, object: &Object<'_>, read: &Read<'_>) -> Option<Violation> {
    let begun = object.writes.iter().filter(|write| write.span.call < read.span.ret);
    let (mut least, mut most) = (0, 0);
    for write in begun {
        least += write.amount.min(0);
        most += write.amount.max(0);
    }
    if (least..=most).contains(&read.number) {
        return None;
    }
    let (what, prefix) = (objects.tell(read.span.id), objects.prefix(object));
    let sentence =
        format!("{prefix}{what}, but what was added by then comes to between {least} and {most}");
    Some(Violation::new(sentence, vec![read.span.id]))
}
