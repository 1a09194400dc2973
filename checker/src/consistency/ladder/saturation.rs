//! What every sequential order must heed, as far as it can be told without a search.
//!
//! Two rules, until nothing follows any more. Whoever saw one write and came after another has the
//! other one before it; and whoever saw a write comes before all that come after that write. Most
//! violations show as a cycle, and what was found leads the search (Zennou et al., "Gradual
//! Consistency Checking", CAV 2019). A compare-and-set is one step here, so nothing comes between its
//! read and its write.

use super::Broken;
use super::clocks::{self, Clocks};
use super::order::{Forced, Order};
use super::trace::{Act, Source, Trace};

/// How often the rules are applied at most; what is not found by then is left to the search.
const ROUNDS: u32 = 16;
/// How many edges are kept at most.
const EDGES: usize = 4_000_000;

/// What follows, or why nothing can. The nodes are sorted so as to agree with the causal order.
pub(super) fn saturate(trace: &Trace, sorted: &[u32]) -> Result<Vec<Forced>, Broken> {
    let mut forced: Vec<Forced> = Vec::new();
    let mut sorted = sorted.to_vec();
    for round in 1..=ROUNDS {
        let mut rules = Rules { trace, round, found: Vec::new(), missed: None };
        clocks::visit(trace, &sorted, &forced, |clocks| rules.apply(clocks));
        let Rules { found, missed, .. } = rules;
        if missed.is_none() && (found.is_empty() || forced.len() + found.len() > EDGES) {
            break;
        }
        if let Some((_, read, newer)) = missed {
            let order = Order::of(trace, |_| true, |_| true, &forced);
            let path = order.path(newer, read, u32::MAX).unwrap_or_default();
            return Err(Broken::missed(&order, None, read, newer, path, None));
        }
        forced.extend(found);
        let order = Order::of(trace, |_| true, |_| true, &forced);
        match order.sorted() {
            Some(next) => sorted = next,
            None => {
                let cycle = order.cycle().unwrap_or_default();
                return Err(Broken::cycle(&order, cycle, None));
            }
        }
    }
    Ok(forced)
}

struct Rules<'a> {
    trace: &'a Trace,
    round: u32,
    found: Vec<Forced>,
    /// By invocation the first read of what was there at first that comes after a write.
    missed: Option<(u32, u32, u32)>,
}

impl Rules<'_> {
    fn apply(&mut self, clocks: &Clocks) {
        for read in 0..self.trace.len() as u32 {
            let node = self.trace.node(read);
            let Act::Read(source) = node.act else { continue };
            for (session, writes) in self.trace.writers_in(node.object, &clocks.sessions) {
                let session = *session as usize;
                let known = clocks.seen(read, session);
                let before = writes.partition_point(|it| self.trace.node(*it).place < known);
                if let Some(last) = before.checked_sub(1) {
                    self.before(clocks, session, read, writes[last], source);
                }
                let from = match source {
                    Source::Initial => 0,
                    Source::Of(write) => clocks.next(write, session),
                };
                let after = writes.partition_point(|it| self.trace.node(*it).place < from);
                let mut after = writes[after..].iter().filter(|it| Source::Of(**it) != source);
                if let Some(write) = after.next() {
                    self.after(clocks, session, read, *write, source);
                }
            }
        }
    }

    /// A write comes before the read, so before what that saw.
    fn before(&mut self, clocks: &Clocks, session: usize, read: u32, write: u32, source: Source) {
        let place = self.trace.node(write).place;
        match source {
            Source::Initial => {
                let found = (self.trace.node(read).call, read, write);
                self.missed = Some(self.missed.map_or(found, |missed| missed.min(found)));
            }
            Source::Of(seen) if seen != write && clocks.seen(seen, session) <= place => {
                let to = self.trace.read_with(seen).unwrap_or(seen);
                let (because, stage) = ([write, read], self.round);
                self.found.push(Forced { from: write, to, by: read, because, stage });
            }
            Source::Of(_) => {}
        }
    }

    /// A write comes after what the read saw, so after the read.
    fn after(&mut self, clocks: &Clocks, session: usize, read: u32, write: u32, source: Source) {
        let own = self.trace.written_with(read);
        let place = self.trace.node(write).place;
        let from = own.unwrap_or(read);
        if own == Some(write) || clocks.next(from, session) <= place {
            return;
        }
        let to = self.trace.read_with(write).unwrap_or(write);
        let because = match source {
            Source::Initial => [write, write],
            Source::Of(seen) => [seen, write],
        };
        self.found.push(Forced { from, to, by: read, because, stage: self.round });
    }
}
