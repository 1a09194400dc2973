//! Convergence: when everything is healed and all is quiet, every node gives the same answer.
//!
//! Burckhardt, "Principles of Eventual Consistency" (2014), chapter 5: whoever has seen the same
//! updates answers the same (strong convergence), and in the end everybody has seen them all
//! (eventual visibility). Of that a history shows the final reads: of each key and node the last.

use std::borrow::Cow;

use super::objects::{Kind, Object, Objects, Read};
use super::{Finding, Gathering, Violation};
use crate::history::{OpId, ValueId};

pub(super) fn judge(objects: &Objects<'_>) -> Finding {
    if !objects.has_end {
        return no_end();
    }
    let mut gathering = Gathering::default();
    for object in &objects.all {
        let reads = object.last_reads();
        if reads.len() < 2 {
            continue;
        }
        if let Some(why) = object.puzzle() {
            gathering.doubt(|| format!("{}{why}", objects.prefix(object)));
            continue;
        }
        gathering.tested += reads.len() as u64;
        if let Some(violation) = differ(objects, object, &reads) {
            return Finding::Violated(violation);
        }
    }
    if gathering.tested == 0 {
        gathering.doubt(|| "no key was read at two nodes in the end".to_owned());
    }
    gathering.finish()
}

/// The answer of whoever needs final reads and finds none.
pub(super) fn no_end() -> Finding {
    let mark = super::FINAL_READS;
    Finding::Unknown { why: format!("the history has no final reads: no event `{mark}`") }
}

fn differ(objects: &Objects<'_>, object: &Object<'_>, reads: &[&Read<'_>]) -> Option<Violation> {
    // Each answer with the nodes that gave it.
    let mut answers: Vec<(Answer<'_>, Vec<&Read<'_>>)> = Vec::new();
    for read in reads {
        let answer = answer(object, read);
        match answers.iter_mut().find(|(known, _)| *known == answer) {
            Some((_, nodes)) => nodes.push(read),
            None => answers.push((answer, vec![read])),
        }
    }
    if answers.len() < 2 {
        return None;
    }
    let told = answers.iter().map(|(_, reads)| {
        let nodes: Vec<&str> = reads.iter().map(|read| read.node.unwrap_or("?")).collect();
        let answers = if nodes.len() == 1 { "answers" } else { "answer" };
        let operation = objects.history.operation(reads[0].span.id);
        let place = operation.return_place().unwrap_or(operation.call_place());
        format!("{} {answers} {} ({place})", nodes.join(", "), operation.output())
    });
    let told = told.collect::<Vec<_>>().join(", but ");
    let proof: Vec<OpId> = answers.iter().map(|(_, reads)| reads[0].span.id).collect();
    Some(Violation::new(format!("{}in the end {told}", objects.prefix(object)), proof))
}

/// What counts of an answer: of a set not the order.
type Answer<'a> = (Cow<'a, [ValueId]>, i128);

fn answer<'a>(object: &Object<'_>, read: &'a Read<'_>) -> Answer<'a> {
    let mut seen = Cow::Borrowed(&*read.seen);
    if let Kind::Siblings | Kind::Collection { is_ordered: false } = object.kind {
        seen.to_mut().sort_unstable();
    }
    (seen, read.number)
}
