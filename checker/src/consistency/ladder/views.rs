//! One view for each session: PRAM, and causal memory (CM).
//!
//! In both every session has an order of its own of all writes and its own reads. PRAM ("pipelined
//! RAM", Lipton & Sandberg 1988) keeps in it what each session did in its order; causal memory
//! (Ahamad et al., "Causal memory: definitions, implementation, and programming", Distributed
//! Computing 1995) keeps the causal order. There is such an order if and only if this ends without a
//! cycle: whenever some write comes before a read of the session that saw another one, it comes
//! before that one as well (Bouajjani et al., POPL 2017, section 5.3, *happened-before*; Wei et al.,
//! "Verifying Pipelined-RAM Consistency over Read/Write Traces of Data Replicas", TPDS 2016).
//!
//! All that the rule asks of a node is the first place in the session that it comes before. These
//! labels only ever sink, so they are corrected as edges are found. Of each key the reads of the
//! session are last sights of writes, one after the other, and an edge to the next of them implies
//! those to the others: a write needs one edge. O(n) for a session where labels seldom sink, so
//! O(n·k) for k sessions.

use super::order::{Forced, Order};
use super::trace::{Act, Source, Trace};
use super::{Anomaly, Broken};

/// What a session's order must heed of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// The order of each session: PRAM.
    Sessions,
    /// And what they read from each other: causal memory.
    Causality,
}

const NONE: u32 = u32::MAX;

/// The first session without an order, and why it has none.
pub(super) fn judge(trace: &Trace, of: Of) -> Option<Broken> {
    let mut view = View::new(trace, of);
    (0..trace.sessions()).find_map(|session| view.judge(session))
}

/// The view of one session at a time.
struct View<'a> {
    trace: &'a Trace,
    of: Of,
    session: usize,
    /// Of each node the first place of the session that it comes before.
    first: Vec<u32>,
    /// The nodes with such a place.
    reached: Vec<u32>,
    next: Vec<u32>,
    /// Of each write the one that it must come before, of the same key.
    over: Vec<u32>,
    /// Of each write those that must come before it: where they begin among the links.
    behind: Vec<u32>,
    links: Vec<[u32; 2]>,
    /// Of each key the writes that the session saw, by the place where it last did.
    sights: Vec<Vec<(u32, u32)>>,
    /// Of each key the last place where the session saw what was there at first.
    blank: Vec<u32>,
    forced: Vec<Forced>,
}

/// A session read what was there at first, after a write.
struct Missed {
    read: u32,
    newer: u32,
}

impl<'a> View<'a> {
    fn new(trace: &'a Trace, of: Of) -> Self {
        let (nodes, objects) = (trace.len(), trace.objects());
        View {
            trace,
            of,
            session: 0,
            first: vec![NONE; nodes],
            reached: Vec::new(),
            next: Vec::new(),
            over: vec![NONE; nodes],
            behind: vec![NONE; nodes],
            links: Vec::new(),
            sights: vec![Vec::new(); objects],
            blank: vec![NONE; objects],
            forced: Vec::new(),
        }
    }

    fn judge(&mut self, session: usize) -> Option<Broken> {
        let trace = self.trace;
        if trace.session(session).all(|node| trace.is_write(node)) {
            return None;
        }
        self.session = session;
        self.look_back();
        let missed = trace.session(session).find_map(|node| self.reach(node));
        let broken = match missed {
            Some(missed) => Some(self.missed(&missed)),
            None if self.is_cyclic() => self.cycle(),
            None => None,
        };
        self.forget();
        broken
    }

    fn forget(&mut self) {
        for node in self.reached.drain(..) {
            for of in [&mut self.first, &mut self.over, &mut self.behind] {
                of[node as usize] = NONE;
            }
        }
        for node in self.trace.session(self.session) {
            let object = self.trace.node(node).object as usize;
            self.sights[object].clear();
            self.blank[object] = NONE;
        }
        self.next.clear();
        self.links.clear();
        self.forced.clear();
    }

    /// When the session last saw what.
    fn look_back(&mut self) {
        for node in self.trace.session(self.session).rev() {
            let own = self.trace.node(node);
            let object = own.object as usize;
            match own.act {
                Act::Read(Source::Of(write)) if self.behind[write as usize] == NONE => {
                    // For now, a mark that it was seen later on.
                    self.behind[write as usize] = 0;
                    self.sights[object].push((own.place, write));
                }
                Act::Read(Source::Initial) if self.blank[object] == NONE => {
                    self.blank[object] = own.place;
                }
                _ => {}
            }
        }
        for node in self.trace.session(self.session) {
            if let Some(write) = self.trace.source(node) {
                self.behind[write as usize] = NONE;
            }
            let sights = &mut self.sights[self.trace.node(node).object as usize];
            // The first node of each key turns them round.
            if sights.first().map(|sight| sight.0) > sights.last().map(|sight| sight.0) {
                sights.reverse();
            }
        }
    }

    /// The session does this, and so comes after all that comes before it.
    fn reach(&mut self, node: u32) -> Option<Missed> {
        self.sink(node, self.trace.node(node).place);
        while let Some(node) = self.next.pop() {
            let place = self.first[node as usize];
            let source = self.trace.source(node).filter(|_| self.is_heeded(node));
            for cause in self.trace.before(node).into_iter().chain(source) {
                self.sink(cause, place);
            }
            let mut link = self.behind[node as usize];
            while link != NONE {
                let [write, next] = self.links[link as usize];
                self.sink(write, place);
                link = next;
            }
            if self.trace.is_write(node) {
                let missed = self.put(node);
                if missed.is_some() {
                    return missed;
                }
            }
        }
        None
    }

    /// Whether it matters what a read saw.
    fn is_heeded(&self, read: u32) -> bool {
        self.of == Of::Causality || self.trace.node(read).session as usize == self.session
    }

    fn sink(&mut self, node: u32, place: u32) {
        let first = &mut self.first[node as usize];
        if *first == NONE {
            self.reached.push(node);
        }
        if place < *first {
            *first = place;
            self.next.push(node);
        }
    }

    /// A write comes before the next one of its key that the session saw.
    fn put(&mut self, write: u32) -> Option<Missed> {
        let (place, object) = (self.first[write as usize], self.trace.node(write).object as usize);
        let start = self.trace.session(self.session).start;
        let blank = self.blank[object];
        if blank != NONE && place <= blank {
            return Some(Missed { read: start + blank, newer: write });
        }
        let sights = &self.sights[object];
        let from = sights.partition_point(|(last, _)| *last < place);
        let next = sights[from..].iter().find(|(_, seen)| *seen != write);
        let &(last, seen) = next?;
        if std::mem::replace(&mut self.over[write as usize], seen) != seen {
            let stage = self.forced.len() as u32 + 1;
            self.forced.push(Forced::knew(write, seen, start + last, stage));
            let link = self.links.len() as u32;
            self.links.push([write, std::mem::replace(&mut self.behind[seen as usize], link)]);
        }
        let least = self.first[seen as usize];
        self.sink(write, least.min(place));
        None
    }

    /// Whether no order is left: nodes are taken away that nothing comes before (Kahn 1962).
    fn is_cyclic(&mut self) -> bool {
        let mut waits: Vec<u32> = vec![0; self.first.len()];
        for &node in &self.reached {
            for after in self.successors(node).into_iter().flatten() {
                waits[after as usize] += 1;
            }
            for &read in self.trace.readers(node) {
                waits[read as usize] += u32::from(self.is_reached(read));
            }
        }
        let is_free = |node: &u32| waits[*node as usize] == 0;
        let mut free: Vec<u32> = self.reached.iter().copied().filter(is_free).collect();
        let mut left = self.reached.len();
        let mut release = |node: u32, free: &mut Vec<u32>| {
            waits[node as usize] -= 1;
            if waits[node as usize] == 0 {
                free.push(node);
            }
        };
        while let Some(node) = free.pop() {
            left -= 1;
            for after in self.successors(node).into_iter().flatten() {
                release(after, &mut free);
            }
            for &read in self.trace.readers(node) {
                if self.is_reached(read) {
                    release(read, &mut free);
                }
            }
        }
        left > 0
    }

    /// What comes next in the session of a node, and the write that a write must come before.
    fn successors(&self, node: u32) -> [Option<u32>; 2] {
        let after = self.trace.after(node).filter(|after| self.first[*after as usize] != NONE);
        let over = Some(self.over[node as usize]).filter(|over| *over != NONE);
        [after, over]
    }

    /// Whether it is part of the view what a read saw.
    fn is_reached(&self, read: u32) -> bool {
        self.first[read as usize] != NONE && self.is_heeded(read)
    }

    fn order(&self) -> Order {
        // The session itself may not have been reached to its end.
        let is_own = |node: u32| self.trace.node(node).session as usize == self.session;
        let is_in = |node: u32| self.first[node as usize] != NONE || is_own(node);
        Order::of(self.trace, is_in, |read| self.is_heeded(read), &self.forced)
    }

    fn named(&self, anomaly: Anomaly) -> Option<Anomaly> {
        (self.of == Of::Causality).then_some(anomaly)
    }

    fn missed(&self, missed: &Missed) -> Broken {
        let (order, &Missed { read, newer }) = (self.order(), missed);
        let path = order.path(newer, read, u32::MAX).unwrap_or_default();
        Broken::missed(&order, None, read, newer, path, self.named(Anomaly::WriteHBInitRead))
    }

    fn cycle(&self) -> Option<Broken> {
        let order = self.order();
        let cycle = order.cycle()?;
        Some(Broken::cycle(&order, cycle, self.named(Anomaly::CyclicHB)))
    }
}
