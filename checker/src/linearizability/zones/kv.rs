//! Keys with appends. What a key held is a chain: a put, or the start, and then one append after
//! the other; and every get shows how far its chain had come. So all gets of one chain must be
//! beginnings of the longest, and what that consists of tells the order of the appends.
//!
//! What no get shows may have taken effect between any two chains: it is a chain of its own.

use std::borrow::Cow;

use petgraph::unionfind::UnionFind;

use super::clusters::{Arrangement, Clusters};
use super::first_bad::{self, Prefixes};
use super::slots::START;
use super::sweep::Line;
use super::tokens::{Tokens, length};
use super::{Contradiction, Flaw, register};
use crate::history::{NEVER, ValueId};
use crate::linearizability::budget::Meter;
use crate::linearizability::{Budget, Outcome, Problem};
use crate::model::{Call, Content, Kv, KvOperation, RegisterOperation};

use KvOperation::{Append, Get, Put};

type Op = Call<KvOperation>;

/// Decides a key if whatever gets show of it was written once.
pub(crate) fn decide(problem: &Problem<'_, Kv>, budget: &Budget) -> Option<Outcome<Content>> {
    match *problem.start {
        Content::Unseen => None,
        Content::Whole(start) => decide_whole(problem.calls, start, budget),
        Content::Text(_) | Content::List(_) => {
            let calls = Cow::Borrowed(problem.calls);
            first_bad::outcome(Chains::new(calls, problem.start, budget))
        }
    }
}

/// A key that nothing is appended to is a register.
fn decide_whole(calls: &[Op], start: ValueId, budget: &Budget) -> Option<Outcome<Content>> {
    let translate = |call: &Op| {
        let operation = match call.operation {
            Get(Content::Whole(value)) => RegisterOperation::Read(value),
            Put(Content::Whole(value)) => RegisterOperation::Write(value),
            _ => return None,
        };
        Some(Call { id: call.id, operation, call: call.call, ret: call.ret })
    };
    let calls: Vec<_> = calls.iter().map(translate).collect::<Option<_>>()?;
    Some(match register::decide_calls(&calls, start, budget)? {
        Outcome::Linearizable(order) => Outcome::Linearizable(order),
        Outcome::Violation { stuck, states } => {
            let states = states.into_iter().map(Content::Whole).collect();
            Outcome::Violation { stuck, states }
        }
        Outcome::Exhausted { resource, reached } => Outcome::Exhausted { resource, reached },
    })
}

/// The operations on one key. Whoever writes has a slot: what the key held from then on.
struct Chains<'a> {
    calls: Cow<'a, [Op]>,
    start: &'a Content,
    /// The slots of those who write.
    slots: Vec<u32>,
    tokens: Tokens,
    budget: &'a Budget,
}

/// No slot, and no operation.
const NONE: u32 = u32::MAX;

/// What gets had shown by some horizon.
struct Shown {
    /// What each get found.
    slots: Vec<u32>,
    /// The order of slots in each chain, with the get that showed it.
    links: Vec<([u32; 2], u32)>,
}

impl<'a> Chains<'a> {
    fn new(calls: Cow<'a, [Op]>, start: &'a Content, budget: &'a Budget) -> Result<Self, Flaw> {
        // A piece with its slot, twice, and the slots of calls.
        budget.meter().draw(calls.len() * 64)?;
        let tokens = Tokens::new(start, &calls)?;
        let mut writers = START;
        let slot = |call: &Op| match call.operation {
            Get(_) => NONE,
            Put(_) | Append(_) => {
                writers += 1;
                writers
            }
        };
        let slots = calls.iter().map(slot).collect();
        Ok(Chains { calls, start, slots, tokens, budget })
    }

    /// The operations begun by the horizon, by invocation, with their completions as known then.
    fn begun(&self, horizon: u32) -> impl Iterator<Item = (usize, &Op, u32)> {
        let begun = self.calls.iter().enumerate().take_while(move |(_, op)| op.call <= horizon);
        begun.map(move |(index, op)| (index, op, if op.ret > horizon { NEVER } else { op.ret }))
    }

    /// The gets completed by the horizon, with what they returned.
    fn gets(&self, horizon: u32) -> impl Iterator<Item = (usize, &Content)> {
        self.begun(horizon).filter_map(|(index, op, ret)| match &op.operation {
            Get(content) if ret != NEVER => Some((index, content)),
            Get(_) | Put(_) | Append(_) => None,
        })
    }

    /// A get and another one, or itself, that cannot both be right.
    fn contradiction(&self, get: usize, other: usize, by: u32) -> Flaw {
        let clusters = [get, other].map(|get| (self.tokens.slots() + get) as u32);
        Flaw::Contradiction(Contradiction { clusters, by })
    }

    /// Takes apart what gets returned.
    fn shown(&self, horizon: u32) -> Result<Shown, Flaw> {
        let mut roots = vec![START; self.calls.len()];
        // For each root the get that shows most of its chain.
        let mut longest = vec![NONE; self.tokens.slots()];
        for (index, content) in self.gets(horizon) {
            let root = self.tokens.root(content)?;
            let (root, _) = root.ok_or_else(|| self.contradiction(index, index, horizon))?;
            roots[index] = root;
            let longest = &mut longest[root as usize];
            let Some(known) = self.content(*longest) else {
                *longest = index as u32;
                continue;
            };
            let (shorter, longer) = match length(known) < length(content) {
                true => (known, content),
                false => (content, known),
            };
            if !longer.starts_with(shorter) {
                return Err(self.contradiction(index, *longest as usize, horizon));
            }
            if length(known) < length(content) {
                *longest = index as u32;
            }
        }
        self.take_apart(&roots, &longest, horizon)
    }

    fn content(&self, get: u32) -> Option<&Content> {
        match &self.calls.get(get as usize)?.operation {
            Get(content) => Some(content),
            Put(_) | Append(_) => None,
        }
    }

    /// Reads the chains off the longest gets, and finds the place of every other one.
    fn take_apart(&self, roots: &[u32], longest: &[u32], horizon: u32) -> Result<Shown, Flaw> {
        let mut links = Vec::new();
        // For each root, where its chain begins in the list of all ends, which has the length of
        // the content up to each slot.
        let mut first = vec![0; longest.len() + 1];
        let mut ends: Vec<(usize, u32)> = Vec::new();
        for (root, &get) in (START..).zip(longest) {
            if let Some(content) = self.content(get) {
                let malformed = || self.contradiction(get as usize, get as usize, horizon);
                let (_, mut end) = self.tokens.root(content)?.ok_or_else(malformed)?;
                let mut found = root;
                ends.push((end, root));
                while end < length(content) {
                    let next = self.tokens.appended(content, end)?.ok_or_else(malformed)?;
                    links.push(([found, next.0], get));
                    (found, end) = next;
                    ends.push((end, found));
                }
            }
            first[root as usize + 1] = ends.len();
        }
        let mut slots = vec![START; self.calls.len()];
        for (index, content) in self.gets(horizon) {
            let root = roots[index] as usize;
            let chain = &ends[first[root]..first[root + 1]];
            let place = chain.binary_search_by_key(&length(content), |&(end, _)| end);
            let other = longest[root] as usize;
            let place = place.map_err(|_| self.contradiction(index, other, horizon))?;
            slots[index] = chain[place].1;
        }
        Ok(Shown { slots, links })
    }

    /// Gathers the clusters and puts their chains on a line.
    fn gather(&self, horizon: u32, meter: &mut Meter<'_>) -> Result<(Clusters, Line, Shown), Flaw> {
        meter.tick()?;
        meter.draw(self.calls.len() * size_of::<[u32; 10]>())?;
        let shown = self.shown(horizon)?;
        let mut clusters = Clusters::new(self.tokens.slots(), horizon, meter)?;
        let mut ranks = [NEVER, 0];
        for (index, op, ret) in self.begun(horizon) {
            ranks = [ranks[0].min(op.call), op.call];
            match self.slots[index] {
                NONE if ret == NEVER => {}
                NONE => clusters.touch(shown.slots[index] as usize, false, op.call, ret)?,
                slot => clusters.touch(slot as usize, true, op.call, ret)?,
            }
        }
        for &([found, made], get) in &shown.links {
            // Nobody had begun to append it, or it was there twice.
            if !clusters.is_free(made) {
                return Err(self.contradiction(get as usize, get as usize, horizon));
            }
            clusters.link([found, made], meter)?;
        }
        let line = clusters.join(ranks, meter)?;
        Ok((clusters, line, shown))
    }

    fn arrange(&self, horizon: u32, meter: &mut Meter<'_>) -> Result<(Arrangement, Shown), Flaw> {
        let (clusters, line, shown) = self.gather(horizon, meter)?;
        Ok((clusters.arrange(line)?, shown))
    }
}

impl Prefixes for Chains<'_> {
    type State = Content;

    fn order(&self) -> Result<Vec<u32>, Flaw> {
        let mut meter = self.budget.meter();
        let (mut arrangement, shown) = self.arrange(NEVER, &mut meter)?;
        for (index, _, ret) in self.begun(NEVER) {
            match self.slots[index] {
                NONE if ret == NEVER => {}
                NONE => arrangement.place(index as u32, shown.slots[index] as usize, false),
                slot => arrangement.place(index as u32, slot as usize, true),
            }
        }
        Ok(arrangement.order())
    }

    fn judge(&self, horizon: u32) -> Result<(), Flaw> {
        self.arrange(horizon, &mut self.budget.meter()).map(|_| ())
    }

    /// Gets can only be left out with everything that they show, and that only with all gets that
    /// show it.
    fn core(&self, contradiction: Contradiction) -> Result<Self, Flaw> {
        let Contradiction { clusters, by } = contradiction;
        let slots = self.tokens.slots();
        let mut together = UnionFind::<u32>::new(slots + self.calls.len());
        for (index, content) in self.gets(by) {
            let get = (slots + index) as u32;
            let mut next = self.tokens.root(content)?;
            while let Some((slot, end)) = next {
                together.union(get, slot);
                next = self.tokens.appended(content, end)?;
            }
        }
        let involved = clusters.map(|cluster| together.find(cluster));
        let calls = self.begun(by).filter(|&(index, _, ret)| {
            let element = match self.slots[index] {
                NONE if ret == NEVER => return false,
                NONE => (slots + index) as u32,
                slot => slot,
            };
            involved.contains(&together.find(element))
        });
        let calls: Vec<Op> = calls.map(|(_, op, _)| op.clone()).collect();
        Chains::new(Cow::Owned(calls), self.start, self.budget)
    }

    fn completing_at(&self, rank: u32) -> Option<u32> {
        self.calls.iter().position(|call| call.ret == rank).map(|index| index as u32)
    }

    /// What no get shows may have been appended to this or to that: there is no telling.
    fn states(&self, _horizon: u32) -> Result<Vec<Content>, Flaw> {
        Ok(Vec::new())
    }
}
