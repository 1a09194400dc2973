//! Session guarantees of registers, as demands on the order of their values.
//!
//! What a process saw and wrote of a key, one after the other, gives one edge for each guarantee:
//! wrote *a*, then read *b* (read your writes); read *a*, then read *b* (monotonic reads); wrote
//! *a*, then wrote *b* (monotonic writes); read *a*, then wrote *b* (writes follow reads): in each
//! case *b* is not older than *a*. A guarantee alone holds if its own edges leave an order. For the
//! last two the order must also end with what is left in the end, since nothing else shows it.
//!
//! A read whose value was written more than once has several sources. It is judged alone then: it
//! is a violation if each of them is certainly too old.

use petgraph::graph::NodeIndex;
use rustc_hash::FxHashMap;

use super::objects::{Object, Objects, Read, Span};
use super::sessions::Guarantee;
use super::versions::{Step, Version, Versions, Why};
use super::{Clocks, Gathering, Violation};
use crate::history::{OpId, ValueId};

/// Where a value that was read comes from.
#[derive(Clone, Debug)]
enum Source {
    /// From here, a node of the graph.
    Known(NodeIndex),
    /// From one of these writes, or from before all writes.
    OneOf(Vec<usize>),
    /// From nowhere, which another promise forbids.
    Nowhere,
}

fn source(object: &Object<'_>, versions: &Versions<'_, '_>, read: &Read<'_>) -> Source {
    let value = read.value();
    let writers = object.writers(value).iter().copied();
    let begun: Vec<usize> =
        writers.filter(|write| object.writes[*write].span.call < read.span.ret).collect();
    match (value, begun.as_slice()) {
        (ValueId::NIL, []) => Source::Known(versions.initial()),
        (ValueId::NIL, _) => Source::OneOf(begun),
        (_, []) => Source::Nowhere,
        (_, [write]) => Source::Known(versions.node(*write)),
        (_, _) => Source::OneOf(begun),
    }
}

/// What a session did to the key, in its order.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Wrote(usize),
    Read(usize),
}

fn sessions(object: &Object<'_>) -> Vec<Vec<Deed>> {
    let mut sessions: FxHashMap<u64, Vec<(u32, Deed)>> = FxHashMap::default();
    let mut take = |span: Span, deed| {
        sessions.entry(span.process).or_default().push((span.call, deed));
    };
    for (at, write) in object.writes.iter().enumerate() {
        take(write.span, Deed::Wrote(at));
    }
    for (at, read) in object.reads.iter().enumerate() {
        take(read.span, Deed::Read(at));
    }
    let mut sessions: Vec<Vec<(u32, Deed)>> = sessions.into_values().collect();
    sessions.iter_mut().for_each(|deeds| deeds.sort_unstable_by_key(|(call, _)| *call));
    sessions.sort_unstable_by_key(|deeds| deeds[0].0);
    let deeds = |deeds: Vec<(u32, Deed)>| deeds.into_iter().map(|(_, deed)| deed).collect();
    sessions.into_iter().map(deeds).collect()
}

/// Judges one guarantee of a register.
pub(super) fn judge(
    objects: &Objects<'_>,
    object: &Object<'_>,
    guarantee: Guarantee,
    clocks: Clocks,
    gathering: &mut Gathering,
) -> Option<Violation> {
    let mut court = Court {
        objects,
        object,
        versions: Versions::of(object),
        clocks,
        tested: 0,
        ambiguous: None,
        alone: None,
    };
    match guarantee {
        Guarantee::Ryw | Guarantee::Mr => court.versions.order_by_clock(objects, clocks),
        Guarantee::Mw | Guarantee::Wfr => court.end_with_what_is_left(),
    }
    if court.versions.is_cyclic() {
        // No order is left whatever sessions demand: another promise is broken, not this one.
        return None;
    }
    for deeds in sessions(object) {
        court.demand(guarantee, &deeds);
    }
    gathering.tested += court.tested;
    if court.alone.is_some() {
        return court.alone;
    }
    if let Some(cycle) = court.versions.cycle() {
        return Some(court.tell(&cycle));
    }
    if let Some(read) = court.ambiguous {
        let what = objects.tell(read);
        gathering.doubt(|| {
            format!("{}{what}, which was written more than once", objects.prefix(object))
        });
    }
    None
}

struct Court<'a, 'h> {
    objects: &'a Objects<'h>,
    object: &'a Object<'h>,
    versions: Versions<'a, 'h>,
    clocks: Clocks,
    tested: u64,
    /// A read of a value that was written more than once.
    ambiguous: Option<OpId>,
    /// A read that is impossible by itself.
    alone: Option<Violation>,
}

impl Court<'_, '_> {
    fn demand(&mut self, guarantee: Guarantee, deeds: &[Deed]) {
        match guarantee {
            Guarantee::Ryw => self.read_your_writes(deeds),
            Guarantee::Mr => self.monotonic_reads(deeds),
            Guarantee::Mw => self.chained(deeds, true),
            Guarantee::Wfr => self.chained(deeds, false),
        }
    }

    /// Every earlier write of one's own comes before what is read, unless it is what is read.
    fn read_your_writes(&mut self, deeds: &[Deed]) {
        // The own writes so far, and after each of them a link that all of them lead to.
        let mut own: Vec<(usize, NodeIndex)> = Vec::new();
        for deed in deeds {
            match *deed {
                Deed::Wrote(write) if self.object.writes[write].span.is_acknowledged => {
                    let link = self.versions.link();
                    let did = Why::Did(self.object.writes[write].span.id);
                    self.versions.connect(self.versions.node(write), link, did);
                    if let Some((_, before)) = own.last() {
                        self.versions.connect(*before, link, Why::Chain);
                    }
                    own.push((write, link));
                }
                Deed::Wrote(_) => {}
                Deed::Read(read) => self.read_after(&own, &self.object.reads[read]),
            }
        }
    }

    fn read_after(&mut self, own: &[(usize, NodeIndex)], read: &Read<'_>) {
        let Some((last, link)) = own.last() else { return };
        self.tested += 1;
        let id = |write: usize| self.object.writes[write].span.id;
        match self.source(read) {
            Source::Nowhere => {}
            Source::OneOf(writes) => self.judge_alone(&writes, *last, id(*last), read),
            Source::Known(node) => {
                // What is one's own and read is mostly recent.
                let is_it = |(write, _): &(usize, NodeIndex)| self.versions.node(*write) == node;
                let writers = self.object.writers(read.value()).iter();
                let mut processes = writers.map(|write| self.object.writes[*write].span.process);
                let is_own = processes.any(|process| process == read.span.process);
                let at = if is_own { own.iter().rposition(is_it) } else { None };
                let Some(at) = at else {
                    let why = Why::Session(id(*last), read.span.id);
                    self.versions.demand(*link, node, why);
                    return;
                };
                if let Some(before) = at.checked_sub(1) {
                    let why = Why::Session(id(own[before].0), read.span.id);
                    self.versions.demand(own[before].1, node, why);
                }
                for (later, _) in &own[at + 1..] {
                    let why = Why::Session(id(*later), read.span.id);
                    self.versions.demand(self.versions.node(*later), node, why);
                }
            }
        }
    }

    /// What was read before comes before what is read.
    fn monotonic_reads(&mut self, deeds: &[Deed]) {
        let mut before: Option<(NodeIndex, OpId)> = None;
        for deed in deeds {
            let Deed::Read(read) = *deed else { continue };
            let read = &self.object.reads[read];
            let source = self.source(read);
            self.tested += u64::from(before.is_some());
            match (source, before) {
                (Source::Known(node), Some((older, first))) if older != node => {
                    self.versions.demand(older, node, Why::Session(first, read.span.id));
                    before = Some((node, read.span.id));
                }
                (Source::Known(node), _) => before = Some((node, read.span.id)),
                (Source::OneOf(writes), Some((older, first))) => {
                    if let Some(older) = self.versions.write(older) {
                        self.judge_alone(&writes, older, first, read);
                    }
                }
                (Source::OneOf(_) | Source::Nowhere, _) => {}
            }
        }
    }

    /// What was written, or read, before a write comes before it.
    fn chained(&mut self, deeds: &[Deed], writes: bool) {
        let mut before: Option<(NodeIndex, OpId)> = None;
        for deed in deeds {
            let earlier = match *deed {
                Deed::Wrote(write) => {
                    let (node, id) = (self.versions.node(write), self.object.writes[write].span.id);
                    if let Some((link, first)) = before {
                        self.tested += 1;
                        self.versions.demand(link, node, Why::Session(first, id));
                    }
                    (writes && self.object.writes[write].span.is_acknowledged).then_some((node, id))
                }
                Deed::Read(read) if !writes => {
                    let read = &self.object.reads[read];
                    match self.source(read) {
                        Source::Known(node) => Some((node, read.span.id)),
                        Source::OneOf(_) | Source::Nowhere => None,
                    }
                }
                Deed::Read(_) => None,
            };
            if let Some((node, id)) = earlier {
                let link = self.versions.link();
                self.versions.connect(node, link, Why::Did(id));
                if let Some((chain, _)) = before {
                    self.versions.connect(chain, link, Why::Chain);
                }
                before = Some((link, id));
            }
        }
    }

    /// If all final reads agree, what they saw is the newest of all that was acknowledged before.
    fn end_with_what_is_left(&mut self) {
        let last = self.object.last_reads();
        let Some(first) = last.first() else { return };
        if last.iter().any(|read| read.value() != first.value()) {
            return;
        }
        let Source::Known(left) = self.source(first) else { return };
        if left == self.versions.initial() {
            return;
        }
        for (at, write) in self.object.writes.iter().enumerate() {
            let node = self.versions.node(at);
            if write.span.is_acknowledged && write.span.ret < first.span.call && node != left {
                self.versions.connect(node, left, Why::Left(first.span.id));
            }
        }
    }

    fn source(&mut self, read: &Read<'_>) -> Source {
        let source = source(self.object, &self.versions, read);
        if let (Source::OneOf(_), true) = (&source, read.value() != ValueId::NIL) {
            self.ambiguous.get_or_insert(read.span.id);
        }
        source
    }

    /// A read of which only candidates are known, after something that it must not be older than.
    fn judge_alone(&mut self, candidates: &[usize], than: usize, seen_by: OpId, read: &Read<'_>) {
        let (objects, object) = (self.objects, self.object);
        let newer = &object.writes[than];
        let is_older = |write: &usize| object.writes[*write].is_older(newer, objects, self.clocks);
        if self.alone.is_some() || !candidates.iter().all(is_older) {
            return;
        }
        let begun = objects.history.operation(newer.span.id).call_place();
        let sentence = format!(
            "{}{} and then {}, but whoever may have brought that was done before {} was begun ({begun})",
            objects.prefix(object),
            objects.tell(seen_by),
            objects.deed(read.span.id),
            objects.value(newer.value),
        );
        let mut proof = vec![seen_by, read.span.id, newer.span.id];
        proof.extend(candidates.iter().map(|write| object.writes[*write].span.id));
        self.alone = Some(Violation::new(sentence, proof));
    }

    /// A cycle in words: what a session did, and why that cannot be.
    fn tell(&self, cycle: &[Step]) -> Violation {
        let mut proof = Vec::new();
        let clauses: Vec<String> = cycle.iter().map(|step| self.clause(step, &mut proof)).collect();
        let sentence = match clauses.as_slice() {
            [demand, others @ ..] if !others.is_empty() => {
                format!("{demand}, but {}", others.join(", and "))
            }
            clauses => clauses.join(", but "),
        };
        Violation::new(format!("{}{sentence}", self.objects.prefix(self.object)), proof)
    }

    fn clause(&self, step: &Step, proof: &mut Vec<OpId>) -> String {
        let name = |version| match version {
            Version::Of(write) => self.objects.value(self.object.writes[write].value),
            Version::Initial | Version::Link => "nothing".to_owned(),
        };
        for version in [step.older, step.newer] {
            if let Version::Of(write) = version {
                proof.push(self.object.writes[write].span.id);
            }
        }
        let (older, newer) = (name(step.older), name(step.newer));
        match step.why {
            Why::Session(first, second) => {
                proof.extend([first, second]);
                format!("{} and then {}", self.objects.tell(first), self.objects.deed(second))
            }
            Why::Left(read) => {
                proof.push(read);
                format!("{newer} is left in the end, not {older}")
            }
            Why::Replaced => format!("{newer} replaced {older}"),
            Why::Clock => format!("{older} was written before {newer} was begun"),
            Why::First | Why::Chain | Why::Did(_) => format!("{older} is older than {newer}"),
        }
    }
}
