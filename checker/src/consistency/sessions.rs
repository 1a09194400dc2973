//! Session guarantees: what one process may rely on while others do what they like.
//!
//! Terry et al., "Session Guarantees for Weakly Consistent Replicated Data" (PDIS 1994); a session
//! is a process. Of registers they are demands on the order of values ([`registers`]); of values
//! side by side, on what is shown or was replaced; of collections, that elements stay in sight.

use rustc_hash::{FxHashMap, FxHashSet};

use super::causality::Causality;
use super::objects::{Kind, Object, Objects, Read};
use super::{Finding, Gathering, Options, Violation, registers};
use crate::history::{OpId, ValueId};

/// The four guarantees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guarantee {
    /// Read your writes.
    Ryw,
    /// Monotonic reads.
    Mr,
    /// Monotonic writes.
    Mw,
    /// Writes follow reads.
    Wfr,
}

pub(super) fn judge(objects: &Objects<'_>, guarantee: Guarantee, options: &Options) -> Finding {
    let mut gathering = Gathering::default();
    for object in &objects.all {
        let violation = match object.kind {
            Kind::Register => {
                registers::judge(objects, object, guarantee, options.clocks, &mut gathering)
            }
            Kind::Siblings | Kind::Collection { .. } => match guarantee {
                Guarantee::Ryw => stay_in_sight(objects, object, Seen::Written, &mut gathering),
                Guarantee::Mr => stay_in_sight(objects, object, Seen::Read, &mut gathering),
                // How the writes of a session lie is not to be seen where all are kept.
                Guarantee::Mw | Guarantee::Wfr => None,
            },
            // A sum does not tell what is in it.
            Kind::Counter => None,
            Kind::Other(ref why) => {
                gathering.doubt(|| format!("{}{why}", objects.prefix(object)));
                None
            }
        };
        if let Some(violation) = violation {
            return Finding::Violated(violation);
        }
    }
    gathering.finish()
}

/// What a process has written and seen so far.
#[derive(Debug, Default)]
struct Session {
    wrote: Vec<usize>,
    last_read: Option<usize>,
}

/// How a session came to know what must stay in its sight.
#[derive(Clone, Copy, Debug)]
enum Seen {
    Written,
    Read,
}

/// Where many values stand side by side, each must be seen again or have been replaced.
fn stay_in_sight(
    objects: &Objects<'_>,
    object: &Object<'_>,
    by: Seen,
    gathering: &mut Gathering,
) -> Option<Violation> {
    let sight = Sight::of(object);
    let writes = object.writes.iter().enumerate().map(|(at, it)| (it.span.call, true, at));
    let reads = object.reads.iter().enumerate().map(|(at, it)| (it.span.call, false, at));
    let mut deeds: Vec<(u32, bool, usize)> = writes.chain(reads).collect();
    deeds.sort_unstable();
    let mut sessions: FxHashMap<u64, Session> = FxHashMap::default();
    for (_, is_write, at) in deeds {
        if is_write {
            let write = &object.writes[at];
            if write.span.is_acknowledged && !write.is_delete() {
                sessions.entry(write.span.process).or_default().wrote.push(at);
            }
            continue;
        }
        let read = &object.reads[at];
        let session = sessions.entry(read.span.process).or_default();
        let missed = match by {
            Seen::Written => {
                gathering.tested += u64::from(!session.wrote.is_empty());
                let missed = sight.missed(object, read, session.wrote.iter().copied());
                missed.map(|write| (object.writes[write].span.id, write))
            }
            Seen::Read => {
                gathering.tested += u64::from(session.last_read.is_some());
                session.last_read.and_then(|last| {
                    let last = &object.reads[last];
                    let seen = last.seen.iter();
                    let seen = seen.filter_map(|it| object.writers(*it).first().copied());
                    Some((last.span.id, sight.missed(object, read, seen)?))
                })
            }
        };
        if let Some((first, write)) = missed {
            return Some(gone(objects, object, first, write, read));
        }
        session.last_read = Some(at);
    }
    None
}

/// How it is decided that something is out of sight.
enum Sight {
    /// It is not among the elements.
    Elements,
    /// It is not among the values, and neither is anything that may have replaced it.
    Values(Causality),
}

impl Sight {
    fn of(object: &Object<'_>) -> Self {
        match object.kind {
            Kind::Siblings => Sight::Values(Causality::of(object)),
            _ => Sight::Elements,
        }
    }

    /// The first of these writes of which a read sees nothing.
    fn missed(
        &self,
        object: &Object<'_>,
        read: &Read<'_>,
        mut writes: impl Iterator<Item = usize>,
    ) -> Option<usize> {
        match self {
            Sight::Elements => {
                let seen: FxHashSet<ValueId> = read.seen.iter().copied().collect();
                writes.find(|write| !seen.contains(&object.writes[*write].value))
            }
            Sight::Values(causality) => {
                writes.find(|write| !causality.covers(object, &read.seen, read.span.ret, *write))
            }
        }
    }
}

fn gone(
    objects: &Objects<'_>,
    object: &Object<'_>,
    first: OpId,
    write: usize,
    read: &Read<'_>,
) -> Violation {
    let write = &object.writes[write];
    let replaced = match object.kind {
        Kind::Siblings => ", nor anything whose writer may have seen it",
        _ => "",
    };
    let sentence = format!(
        "{}{} and then {}, where {} is not{replaced}",
        objects.prefix(object),
        objects.tell(first),
        objects.deed(read.span.id),
        objects.value(write.value),
    );
    Violation::new(sentence, vec![first, write.span.id, read.span.id])
}
