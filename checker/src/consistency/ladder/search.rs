//! The search for one order of all operations: sequential consistency, "how to make a multiprocessor
//! computer that correctly executes multiprocess programs" (Lamport 1979).
//!
//! To decide it is NP-complete even where it is known who read from whom (Gibbons & Korach, "Testing
//! Shared Memories", SIAM J. Comput. 1997, section 3), so the search is bounded. It goes through
//! positions in the sessions. A read that sees what is there is done at once: that is never wrong. A
//! write must wait until all are done that see what it replaces; of those that can come next the one
//! that was begun first is tried first. What led nowhere is remembered.

use std::collections::BTreeSet;
use std::ops::Bound;

use rustc_hash::FxHashSet;

use super::order::Forced;
use super::trace::{Act, Source, Trace};

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Order,
    NoOrder,
    /// Not within the bound.
    Nothing,
}

/// How many bytes of dead ends are remembered.
const MEMORY: usize = 256 << 20;

const NONE: u32 = u32::MAX;

/// Looks for an order in so many steps.
pub(super) fn search(trace: &Trace, forced: &[Forced], steps: usize) -> Found {
    let mut state = State::new(trace, forced);
    let mut dead: FxHashSet<Box<[u32]>> = FxHashSet::default();
    let mut room = MEMORY / (4 * (trace.sessions() + trace.objects()) + 64);
    // What can be undone, and the last that was tried, of every choice on the way.
    let mut choices: Vec<(usize, Option<Front>)> = vec![(0, None)];
    (0..trace.sessions()).for_each(|session| state.read_on(session));
    for _ in 0..steps {
        if state.left == 0 {
            return Found::Order;
        }
        let Some((_, last)) = choices.last_mut() else { return Found::NoOrder };
        let is_new = last.is_some() || dead.is_empty() || !dead.contains(&state.key());
        let next = if is_new { state.next(*last) } else { None };
        match next {
            Some(front) => {
                *last = Some(front);
                choices.push((state.done.len(), None));
                state.write(front.1 as usize);
            }
            None => {
                if is_new && room > 0 {
                    room -= 1;
                    dead.insert(state.key());
                }
                let undo = choices.pop().map_or(0, |(done, _)| done);
                state.undo(undo);
            }
        }
    }
    Found::Nothing
}

/// A session that is about to write: when, and which.
type Front = (u32, u32);

/// What one step changed.
struct Done {
    session: u32,
    /// The value that was there before, if it was replaced.
    replaced: Option<u32>,
}

struct State<'a> {
    trace: &'a Trace,
    /// By node, so that those before one can be found.
    forced: Vec<(u32, u32)>,
    places: Vec<u32>,
    /// Of each key the last write.
    current: Vec<u32>,
    /// Of each write, and of what was there at first of each key, how many have yet to read it.
    unread: Vec<u32>,
    unread_at_first: Vec<u32>,
    fronts: BTreeSet<Front>,
    done: Vec<Done>,
    left: usize,
    /// Sessions whose next step may be a read that can be done.
    ready: Vec<u32>,
}

impl<'a> State<'a> {
    fn new(trace: &'a Trace, forced: &[Forced]) -> Self {
        let mut unread = vec![0; trace.len()];
        let mut unread_at_first = vec![0; trace.objects()];
        for node in &trace.nodes {
            match node.act {
                Act::Read(Source::Of(write)) => unread[write as usize] += 1,
                Act::Read(Source::Initial) => unread_at_first[node.object as usize] += 1,
                Act::Write => {}
            }
        }
        let mut forced: Vec<(u32, u32)> = forced.iter().map(|it| (it.to, it.from)).collect();
        forced.sort_unstable();
        forced.dedup();
        State {
            trace,
            forced,
            places: vec![0; trace.sessions()],
            current: vec![NONE; trace.objects()],
            unread,
            unread_at_first,
            fronts: BTreeSet::new(),
            done: Vec::new(),
            left: trace.len(),
            ready: Vec::new(),
        }
    }

    /// Where the sessions are and what the keys hold: all that the future depends on.
    fn key(&self) -> Box<[u32]> {
        self.places.iter().chain(&self.current).copied().collect()
    }

    /// The next step of a session.
    fn front(&self, session: usize) -> Option<u32> {
        let nodes = self.trace.session(session);
        Some(nodes.start + self.places[session]).filter(|node| *node < nodes.end)
    }

    /// The session as one that is about to write, if it is.
    fn writing(&self, session: usize) -> Option<Front> {
        let node = self.front(session)?;
        let writes = self.trace.is_write(node) || self.trace.written_with(node).is_some();
        writes.then(|| (self.trace.node(node).call, session as u32))
    }

    fn holds(&self, object: u32) -> u32 {
        self.current[object as usize]
    }

    fn unread_mut(&mut self, object: u32, write: u32) -> &mut u32 {
        match write {
            NONE => &mut self.unread_at_first[object as usize],
            write => &mut self.unread[write as usize],
        }
    }

    fn sees(&self, read: u32) -> bool {
        let node = self.trace.node(read);
        match node.act {
            Act::Read(Source::Initial) => self.holds(node.object) == NONE,
            Act::Read(Source::Of(write)) => self.holds(node.object) == write,
            Act::Write => false,
        }
    }

    /// The first session after this one that can write.
    fn next(&mut self, after: Option<Front>) -> Option<Front> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let fronts = self.fronts.range((from, Bound::Unbounded));
        fronts.copied().find(|front| self.can_write(front.1 as usize))
    }

    fn can_write(&self, session: usize) -> bool {
        let Some(node) = self.front(session) else { return false };
        let replaces = !self.trace.is_write(node);
        let object = self.trace.node(node).object;
        let unread = match self.holds(object) {
            NONE => self.unread_at_first[object as usize],
            write => self.unread[write as usize],
        };
        let from = self.forced.partition_point(|(to, _)| *to < node);
        let mut forced = self.forced[from..].iter().take_while(|(to, _)| *to == node);
        (!replaces || self.sees(node))
            && unread == u32::from(replaces)
            && forced.all(|(_, before)| self.is_done(*before))
    }

    fn is_done(&self, node: u32) -> bool {
        let node = self.trace.node(node);
        node.place < self.places[node.session as usize]
    }

    /// The session writes, and whoever can reads.
    fn write(&mut self, session: usize) {
        let Some(mut node) = self.front(session) else { return };
        self.fronts.remove(&(self.trace.node(node).call, session as u32));
        if !self.trace.is_write(node) {
            self.read(session, node);
            node += 1;
        }
        let object = self.trace.node(node).object as usize;
        let replaced = Some(std::mem::replace(&mut self.current[object], node));
        self.step(Done { session: session as u32, replaced });
        let readers = self.trace.readers(node).iter();
        self.ready.extend(readers.map(|read| self.trace.node(*read).session));
        self.ready.push(session as u32);
        while let Some(session) = self.ready.pop() {
            self.read_on(session as usize);
        }
    }

    /// All reads of a session that can be done, up to where it can not go on or is about to write.
    fn read_on(&mut self, session: usize) {
        while let Some(node) = self.front(session) {
            if let Some(front) = self.writing(session) {
                self.fronts.insert(front);
                return;
            }
            if !self.sees(node) {
                return;
            }
            self.read(session, node);
        }
    }

    fn read(&mut self, session: usize, node: u32) {
        let object = self.trace.node(node).object;
        *self.unread_mut(object, self.holds(object)) -= 1;
        self.step(Done { session: session as u32, replaced: None });
    }

    fn step(&mut self, done: Done) {
        self.places[done.session as usize] += 1;
        self.left -= 1;
        self.done.push(done);
    }

    fn undo(&mut self, to: usize) {
        while self.done.len() > to {
            let Some(Done { session, replaced }) = self.done.pop() else { return };
            let session = session as usize;
            if let Some(front) = self.writing(session) {
                self.fronts.remove(&front);
            }
            self.places[session] -= 1;
            self.left += 1;
            let node = self.trace.session(session).start + self.places[session];
            let object = self.trace.node(node).object;
            match replaced {
                Some(replaced) => self.current[object as usize] = replaced,
                None => *self.unread_mut(object, self.holds(object)) += 1,
            }
            if let Some(front) = self.writing(session) {
                self.fronts.insert(front);
            }
        }
    }
}
