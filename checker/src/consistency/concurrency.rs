//! No false concurrency: a value is not shown beside another one whose writer had seen it.
//!
//! A store that keeps values side by side does so where their writers knew nothing of each other
//! (Dynamo, section 4.4). One that also keeps what was replaced makes its clients reconcile for
//! ever, and the lists grow (*sibling explosion*, known from Riak). What a writer certainly had seen
//! is what the latest read of its process had returned: clients hand back the context of that read.

use super::causality::{Contexts, unique};
use super::objects::{Kind, Object, Objects, Read};
use super::{Finding, Gathering, Violation};

pub(super) fn judge(objects: &Objects<'_>) -> Finding {
    let mut gathering = Gathering::default();
    for object in &objects.all {
        if object.kind != Kind::Siblings {
            continue;
        }
        let contexts = Contexts::of(object);
        for read in object.reads.iter().filter(|read| read.seen.len() > 1) {
            gathering.tested += 1;
            if let Some(violation) = beside(objects, object, &contexts, read) {
                return Finding::Violated(violation);
            }
        }
    }
    gathering.finish()
}

fn beside(
    objects: &Objects<'_>,
    object: &Object<'_>,
    contexts: &Contexts,
    read: &Read<'_>,
) -> Option<Violation> {
    let shown: Vec<usize> = read.seen.iter().filter_map(|value| unique(object, *value)).collect();
    let first = shown.iter().copied().min().unwrap_or(0);
    for &new in &shown {
        let replaced = contexts.replaced(new, first);
        let Some(&(old, by)) = replaced.iter().find(|(old, _)| shown.contains(old)) else {
            continue;
        };
        let [old_value, new_value] = [old, new].map(|it| objects.value(object.writes[it].value));
        let replacer = objects.tell(object.writes[by].span.id);
        let sentence = format!(
            "{}{} side by side, but whoever brought {new_value} had replaced {old_value}: {replacer} \
             having read {old_value}",
            objects.prefix(object),
            objects.tell(read.span.id),
        );
        let ids = [old, by, new].map(|write| object.writes[write].span.id);
        let mut proof = ids.to_vec();
        proof.push(read.span.id);
        return Some(Violation::new(sentence, proof));
    }
    None
}
