//! Vector clocks (Fidge 1988, Mattern 1989), some sessions at a time.
//!
//! The clock of a node says of each session how much of it comes before the node; a second one says
//! from where on the session comes after it. Every question that the rungs ask is about one session's
//! entry of such clocks, so the sessions are taken in blocks and the clocks of a block forgotten:
//! memory grows with the nodes alone, however many sessions there are.

use std::ops::Range;

use super::order::Forced;
use super::trace::Trace;

/// How many sessions are looked at together.
const BLOCK: usize = 32;

/// The clocks of all nodes, as to a block of sessions.
#[derive(Debug)]
pub(super) struct Clocks {
    pub(super) sessions: Range<usize>,
    seen: Vec<u32>,
    next: Vec<u32>,
}

impl Clocks {
    /// How many nodes of a session come before this node, itself included.
    pub(super) fn seen(&self, node: u32, session: usize) -> u32 {
        self.seen[self.at(node, session)]
    }

    /// The place of the first node of a session that comes after this node, or is it; `u32::MAX` if
    /// none does.
    pub(super) fn next(&self, node: u32, session: usize) -> u32 {
        self.next[self.at(node, session)]
    }

    fn at(&self, node: u32, session: usize) -> usize {
        node as usize * self.sessions.len() + session - self.sessions.start
    }
}

/// Visits the clocks of all sessions, block by block. The nodes are sorted so that whatever comes
/// before one stands before it.
pub(super) fn visit(
    trace: &Trace,
    sorted: &[u32],
    forced: &[Forced],
    mut visit: impl FnMut(&Clocks),
) {
    let mut by_end: Vec<Forced> = forced.to_vec();
    by_end.sort_by_key(|edge| edge.to);
    let into = |node: u32| {
        let from = by_end.partition_point(|edge| edge.to < node);
        by_end[from..].iter().take_while(move |edge| edge.to == node).map(|edge| edge.from)
    };
    for first in (0..trace.sessions()).step_by(BLOCK) {
        let sessions = first..trace.sessions().min(first + BLOCK);
        let width = sessions.len();
        let mut clocks = Clocks {
            sessions,
            seen: vec![0; trace.len() * width],
            next: vec![u32::MAX; trace.len() * width],
        };
        for &node in sorted {
            let own = trace.node(node);
            if clocks.sessions.contains(&(own.session as usize)) {
                let at = clocks.at(node, own.session as usize);
                (clocks.seen[at], clocks.next[at]) = (own.place + 1, own.place);
            }
            let causes = trace.before(node).into_iter().chain(trace.source(node)).chain(into(node));
            for cause in causes {
                join(&mut clocks.seen, width, node, cause, u32::max);
            }
        }
        for &node in sorted.iter().rev() {
            let causes = trace.before(node).into_iter().chain(trace.source(node)).chain(into(node));
            for cause in causes {
                join(&mut clocks.next, width, cause, node, u32::min);
            }
        }
        visit(&clocks);
    }
}

fn join(clocks: &mut [u32], width: usize, into: u32, from: u32, by: impl Fn(u32, u32) -> u32) {
    let (into, from) = (into as usize * width, from as usize * width);
    for column in 0..width {
        clocks[into + column] = by(clocks[into + column], clocks[from + column]);
    }
}
