//! A history of registers as sessions that read and write: what the rungs are defined on.
//!
//! Every operation becomes a node, a compare-and-set two, a read and then a write. A read knows its
//! source, the one write of the value that it returned: where values are unique this *reads-from*
//! relation is part of the history, and most rungs can be decided in polynomial time (Bouajjani et
//! al., POPL 2017, section 5; Gibbons & Korach 1997 for why not otherwise). What has no certain
//! source is left out and remembered: leaving out reads never makes a violation, so one
//! that is found is one, and otherwise the answer is unknown.
//!
//! A write of unknown fate is there if somebody saw it. It is the last of its session.

use std::ops::Range;

use rustc_hash::{FxHashMap, FxHashSet};

use super::super::objects::{Kind, Object, Objects, Span, Write};
use crate::history::{OpId, ValueId};

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// It was there at first.
    Initial,
    /// From this node.
    Of(u32),
}

/// What a node does to its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Read(Source),
    Write,
}

/// A step of a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) id: OpId,
    pub(super) call: u32,
    pub(super) ret: u32,
    pub(super) object: u32,
    pub(super) session: u32,
    /// Its number within the session.
    pub(super) place: u32,
    pub(super) act: Act,
}

/// The registers of a history, session by session.
#[derive(Debug)]
pub(super) struct Trace {
    /// The nodes of one session after the other, each in its order.
    pub(super) nodes: Vec<Node>,
    /// Where each session begins, and the end.
    starts: Vec<u32>,
    /// The reads of each node, where they begin among all that have a source.
    readers_at: Vec<u32>,
    readers: Vec<u32>,
    /// Of each object the sessions that write it, each with its writes.
    writers: Vec<Vec<(u32, Vec<u32>)>>,
    /// A read of what nobody wrote.
    pub(super) thin_air: Option<OpId>,
    /// Of each write of unknown fate that is here somebody who saw it.
    seen_by: FxHashMap<OpId, OpId>,
    /// What is no register and not here.
    pub(super) foreign: Option<String>,
    /// A read that may have several sources.
    pub(super) doubt: Option<String>,
    /// How many reads have a certain source.
    pub(super) reads: u64,
}

/// A step before it has its place.
#[derive(Clone, Copy)]
struct Step {
    span: Span,
    object: u32,
    act: Deed,
}

/// What a step does, by the object's own numbers.
#[derive(Clone, Copy)]
enum Deed {
    Read(Origin),
    Write(usize),
}

/// Where a value comes from, by the object's own numbers.
#[derive(Clone, Copy)]
enum Origin {
    Initial,
    Of(usize),
}

/// What may have brought a value.
enum Candidates {
    None,
    One(Origin),
    /// Several; this is the likeliest.
    Many(Origin),
}

/// How reads with several sources are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ambiguous {
    /// They are left out: what is broken then is broken.
    LeftOut,
    /// As reads of the likeliest source: what is held then is held.
    Guessed,
}

/// What a look until some rank may have seen; nobody sees what he is about to write.
fn candidates(
    object: &Object<'_>,
    initial: Option<ValueId>,
    value: ValueId,
    until: u32,
    but: Option<usize>,
) -> Candidates {
    let is_initial = value == ValueId::NIL || Some(value) == initial;
    let mut writers = object.writers(value).iter().copied().filter(|write| Some(*write) != but);
    match (is_initial, writers.next(), writers.next()) {
        (false, None, _) => Candidates::None,
        (true, None, _) => Candidates::One(Origin::Initial),
        (false, Some(write), None) => Candidates::One(Origin::Of(write)),
        (_, Some(first), _) => {
            let writers = object.writers(value).iter().copied().filter(|it| Some(*it) != but);
            let mut begun = writers.filter(|write| object.writes[*write].span.call < until);
            let otherwise = if is_initial { Origin::Initial } else { Origin::Of(first) };
            Candidates::Many(begun.next_back().map_or(otherwise, Origin::Of))
        }
    }
}

impl Trace {
    pub(super) fn of(
        objects: &Objects<'_>,
        initial: Option<ValueId>,
        ambiguous: Ambiguous,
    ) -> Self {
        let mut gathering = Gathering {
            objects,
            initial,
            ambiguous,
            foreign: None,
            steps: Vec::new(),
            doubt: None,
            thin_air: None,
            seen_by: FxHashMap::default(),
        };
        for (number, object) in objects.all.iter().enumerate() {
            match &object.kind {
                Kind::Register => gathering.register(number, object),
                _ => gathering.pass_over(object),
            }
        }
        let Gathering { steps, foreign, doubt, thin_air, seen_by, .. } = gathering;
        let mut trace = Trace::arrange(objects, steps);
        (trace.doubt, trace.thin_air) = (doubt, thin_air.map(|(_, id)| id));
        (trace.seen_by, trace.foreign) = (seen_by, foreign);
        trace
    }

    fn arrange(objects: &Objects<'_>, mut steps: Vec<Step>) -> Self {
        // The read of a compare-and-set comes before its write: the sort is stable.
        steps.sort_by_key(|step| (step.span.process, step.span.call));
        let (mut starts, mut process) = (Vec::new(), None);
        let mut places: Vec<Vec<u32>> =
            objects.all.iter().map(|object| vec![u32::MAX; object.writes.len()]).collect();
        for (number, step) in (0u32..).zip(&steps) {
            if process.replace(step.span.process) != Some(step.span.process) {
                starts.push(number);
            }
            if let Deed::Write(write) = step.act {
                places[step.object as usize][write] = number;
            }
        }
        let mut nodes = Vec::with_capacity(steps.len());
        let mut session = 0;
        for (number, step) in (0u32..).zip(&steps) {
            while starts.get(session + 1).is_some_and(|start| *start <= number) {
                session += 1;
            }
            let act = match step.act {
                Deed::Write(_) => Act::Write,
                Deed::Read(Origin::Initial) => Act::Read(Source::Initial),
                Deed::Read(Origin::Of(write)) => {
                    Act::Read(Source::Of(places[step.object as usize][write]))
                }
            };
            let Span { id, call, ret, .. } = step.span;
            let (object, place) = (step.object, number - starts[session]);
            nodes.push(Node { id, call, ret, object, session: session as u32, place, act });
        }
        starts.push(nodes.len() as u32);
        Trace::index(nodes, starts, objects.all.len())
    }

    fn index(nodes: Vec<Node>, starts: Vec<u32>, objects: usize) -> Self {
        let mut writers: Vec<Vec<(u32, Vec<u32>)>> = vec![Vec::new(); objects];
        let mut readers_at = vec![0; nodes.len() + 1];
        let mut reads = 0;
        for (number, node) in (0u32..).zip(&nodes) {
            match node.act {
                Act::Write => {
                    let sessions = &mut writers[node.object as usize];
                    match sessions.last_mut().filter(|(session, _)| *session == node.session) {
                        Some((_, writes)) => writes.push(number),
                        None => sessions.push((node.session, vec![number])),
                    }
                }
                Act::Read(source) => {
                    reads += 1;
                    if let Source::Of(write) = source {
                        readers_at[write as usize + 1] += 1;
                    }
                }
            }
        }
        for place in 0..nodes.len() {
            readers_at[place + 1] += readers_at[place];
        }
        let mut next = readers_at.clone();
        let mut readers = vec![0; readers_at[nodes.len()] as usize];
        for (number, node) in (0u32..).zip(&nodes) {
            if let Act::Read(Source::Of(write)) = node.act {
                readers[next[write as usize] as usize] = number;
                next[write as usize] += 1;
            }
        }
        Trace {
            nodes,
            starts,
            readers_at,
            readers,
            writers,
            thin_air: None,
            seen_by: FxHashMap::default(),
            foreign: None,
            doubt: None,
            reads,
        }
    }

    /// Some operations, with those who saw them where nobody else knows that they happened.
    pub(super) fn witnessed(&self, ids: impl IntoIterator<Item = OpId>) -> Vec<OpId> {
        let mut all: FxHashSet<OpId> = FxHashSet::default();
        let mut next: Vec<OpId> = ids.into_iter().collect();
        while let Some(id) = next.pop() {
            if all.insert(id) {
                next.extend(self.seen_by.get(&id));
            }
        }
        all.into_iter().collect()
    }

    /// The same without some operations, among them all that read what others of them wrote.
    pub(super) fn without(&self, gone: &FxHashSet<OpId>) -> Self {
        let mut places = vec![u32::MAX; self.len()];
        let (mut nodes, mut starts) = (Vec::new(), Vec::new());
        for session in 0..self.sessions() {
            let start = nodes.len() as u32;
            for node in self.session(session) {
                if !gone.contains(&self.node(node).id) {
                    let (place, session) = (nodes.len() as u32 - start, starts.len() as u32);
                    places[node as usize] = nodes.len() as u32;
                    nodes.push(Node { place, session, ..*self.node(node) });
                }
            }
            if nodes.len() as u32 > start {
                starts.push(start);
            }
        }
        for node in &mut nodes {
            if let Act::Read(Source::Of(write)) = &mut node.act {
                *write = places[*write as usize];
            }
        }
        starts.push(nodes.len() as u32);
        Trace::index(nodes, starts, self.objects())
    }

    /// Leaves out an operation and, if it wrote, all that saw what is gone then.
    pub(super) fn leave_out(&self, id: OpId, gone: &mut FxHashSet<OpId>) {
        let mut next = vec![id];
        while let Some(id) = next.pop() {
            if gone.insert(id) {
                let own = (0..self.len() as u32).filter(|node| self.node(*node).id == id);
                let readers = own.flat_map(|node| self.readers(node));
                next.extend(readers.map(|read| self.node(*read).id));
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn node(&self, node: u32) -> &Node {
        &self.nodes[node as usize]
    }

    pub(super) fn objects(&self) -> usize {
        self.writers.len()
    }

    pub(super) fn sessions(&self) -> usize {
        self.starts.len() - 1
    }

    /// The nodes of a session, in its order.
    pub(super) fn session(&self, session: usize) -> Range<u32> {
        self.starts[session]..self.starts[session + 1]
    }

    /// The node that a session did right before this one.
    pub(super) fn before(&self, node: u32) -> Option<u32> {
        (self.node(node).place > 0).then(|| node - 1)
    }

    /// The node that a session did right after this one.
    pub(super) fn after(&self, node: u32) -> Option<u32> {
        let session = self.node(node).session as usize;
        Some(node + 1).filter(|next| *next < self.starts[session + 1])
    }

    /// The reads that saw a write.
    pub(super) fn readers(&self, write: u32) -> &[u32] {
        let [from, to] = [0, 1].map(|next| self.readers_at[write as usize + next] as usize);
        &self.readers[from..to]
    }

    /// The write that a read saw.
    pub(super) fn source(&self, node: u32) -> Option<u32> {
        match self.node(node).act {
            Act::Read(Source::Of(write)) => Some(write),
            _ => None,
        }
    }

    /// The sessions among these that write an object, each with its writes.
    pub(super) fn writers_in(&self, object: u32, sessions: &Range<usize>) -> &[(u32, Vec<u32>)] {
        let all = &self.writers[object as usize];
        let [from, to] = [sessions.start, sessions.end]
            .map(|end| all.partition_point(|(session, _)| (*session as usize) < end));
        &all[from..to]
    }

    pub(super) fn is_write(&self, node: u32) -> bool {
        self.node(node).act == Act::Write
    }

    /// The other half of a compare-and-set, if this is the read of one.
    pub(super) fn written_with(&self, node: u32) -> Option<u32> {
        let next = self.after(node)?;
        (self.node(next).id == self.node(node).id).then_some(next)
    }

    /// The other half of a compare-and-set, if this is the write of one.
    pub(super) fn read_with(&self, node: u32) -> Option<u32> {
        let before = self.before(node)?;
        (self.node(before).id == self.node(node).id).then_some(before)
    }
}

/// Collects the steps of all objects.
struct Gathering<'a, 'h> {
    objects: &'a Objects<'h>,
    initial: Option<ValueId>,
    ambiguous: Ambiguous,
    foreign: Option<String>,
    steps: Vec<Step>,
    doubt: Option<String>,
    /// The first, by invocation.
    thin_air: Option<(u32, OpId)>,
    seen_by: FxHashMap<OpId, OpId>,
}

impl Gathering<'_, '_> {
    fn register(&mut self, number: usize, object: &Object<'_>) {
        for read in &object.reads {
            self.read(number, object, read.span, read.value(), None);
        }
        for write in self.happened(object) {
            let span = object.writes[write].span;
            if let Some(found) = object.writes[write].found {
                self.read(number, object, span, found, Some(write));
            }
            self.steps.push(Step { span, object: number as u32, act: Deed::Write(write) });
        }
    }

    /// The acknowledged writes, and those of unknown fate that somebody saw.
    fn happened(&mut self, object: &Object<'_>) -> Vec<usize> {
        let mut happened: FxHashSet<usize> = FxHashSet::default();
        let (initial, guesses) = (self.initial, self.ambiguous == Ambiguous::Guessed);
        let seen = |value, until, but| match candidates(object, initial, value, until, but) {
            Candidates::One(Origin::Of(write)) => Some(write),
            Candidates::Many(Origin::Of(write)) if guesses => Some(write),
            _ => None,
        };
        let acknowledged = |write: &usize| object.writes[*write].span.is_acknowledged;
        let certain = (0..object.writes.len()).filter(acknowledged).map(|write| (write, None));
        let by_reads = object.reads.iter();
        let by_reads = by_reads.filter_map(|read| {
            let Span { id, ret, .. } = read.span;
            Some((seen(read.value(), ret, None)?, Some(id)))
        });
        let mut next: Vec<(usize, Option<OpId>)> = certain.chain(by_reads).collect();
        while let Some((write, by)) = next.pop() {
            if happened.insert(write) {
                let Write { span, found, .. } = object.writes[write];
                if let Some(by) = by.filter(|_| !span.is_acknowledged) {
                    self.seen_by.insert(span.id, by);
                }
                let found = found.and_then(|found| seen(found, span.ret, Some(write)));
                next.extend(found.map(|found| (found, Some(span.id))));
            }
        }
        let mut happened: Vec<usize> = happened.into_iter().collect();
        happened.sort_unstable();
        happened
    }

    fn read(
        &mut self,
        number: usize,
        object: &Object<'_>,
        span: Span,
        value: ValueId,
        but: Option<usize>,
    ) {
        match candidates(object, self.initial, value, span.ret, but) {
            Candidates::One(origin) => {
                self.steps.push(Step { span, object: number as u32, act: Deed::Read(origin) });
            }
            Candidates::None => {
                let first = self.thin_air.is_none_or(|(call, ..)| span.call < call);
                if first {
                    self.thin_air = Some((span.call, span.id));
                }
            }
            Candidates::Many(origin) => {
                if self.ambiguous == Ambiguous::Guessed {
                    self.steps.push(Step { span, object: number as u32, act: Deed::Read(origin) });
                }
                let objects = self.objects;
                self.doubt.get_or_insert_with(|| {
                    let (prefix, told) = (objects.prefix(object), objects.tell(span.id));
                    match value {
                        ValueId::NIL => {
                            format!("{prefix}{told}, which it was at first and after a delete")
                        }
                        _ => format!("{prefix}{told}, which was written more than once"),
                    }
                });
            }
        }
    }

    fn pass_over(&mut self, object: &Object<'_>) {
        let objects = self.objects;
        self.foreign.get_or_insert_with(|| object.no_register(objects));
    }
}
