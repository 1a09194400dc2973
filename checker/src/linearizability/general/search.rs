//! The depth-first search itself.

use super::memo::{Configuration, Inserted, Memo};
use super::places::{ALL, Groups, Places};
use super::steps::Steps;
use super::timeline::{Event, Facts, Timeline, Window, has, ones, set};
use crate::history::NEVER;
use crate::linearizability::budget::{Budget, Meter, Resource};
use crate::linearizability::{Outcome, Problem};
use crate::model::Specification;

/// Decides whether one legal order explains these operations. With `prune`, the specification may
/// name crashed operations that make no difference; without, the states of a violation are
/// complete.
pub(crate) fn decide<S: Specification>(
    problem: &Problem<'_, S>,
    budget: &Budget,
    prune: bool,
) -> Outcome<S::State> {
    if budget.is_over() {
        return Outcome::Exhausted { resource: budget.time_limit(), reached: None };
    }
    let mut search = Search::new(problem, budget, prune);
    match search.run() {
        Ok(true) => Outcome::Linearizable(search.order),
        Ok(false) => search.violation(),
        Err(resource) => Outcome::Exhausted { resource, reached: search.furthest },
    }
}

/// Where an object can stand at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing<State> {
    /// The state.
    pub(crate) state: State,
    /// The operations pending there that have taken effect and return later, as indices.
    pub(crate) effective: Vec<u32>,
    /// One order that leads there, as indices.
    pub(crate) order: Vec<u32>,
}

/// All ways to stand right before `rank`, with nothing done sooner than it had to be: whatever
/// follows some order of what was before also follows one of these.
pub(crate) fn standings<S: Specification>(
    problem: &Problem<'_, S>,
    rank: u32,
    budget: &Budget,
) -> Result<Vec<Standing<S::State>>, Resource> {
    if budget.is_over() {
        return Err(budget.time_limit());
    }
    let calls = &problem.calls[..problem.calls.partition_point(|call| call.call < rank)];
    let mut search = Search::new(&Problem { calls, ..*problem }, budget, false);
    search.end = search.timeline.place(rank, calls);
    search.collect = true;
    search.run()?;
    let standing = |end: &End| Standing {
        state: search.steps.state(end.state).clone(),
        effective: end.effective.clone(),
        order: end.order.clone(),
    };
    Ok(search.ends.iter().map(standing).collect())
}

/// No operation, no state, no frame.
const NONE: u32 = u32::MAX;

/// A configuration on the way from the root to where the search is.
#[derive(Debug)]
struct Frame {
    /// The place: a return of an operation that has not taken effect.
    at: u32,
    returning: u32,
    state: u32,
    /// How long the order was.
    order: u32,
    /// The operation that was linearized to get here without passing an event, and the state
    /// before it; `NONE` if this is the first configuration at this place.
    via: u32,
    before: u32,
    /// Where its candidates begin on the shared stack.
    candidates: u32,
    stage: Stage,
    /// As it is known.
    entry: u32,
    /// The groups that are to blame for what failed from here so far.
    blame: Groups,
    /// Whether something was left out because an earlier configuration at this place covers it.
    is_cut: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The returning operation itself comes first.
    Returning,
    /// Then the others that are pending; they are not listed yet.
    Unlisted,
    /// They are listed on the stack of candidates.
    Listed,
}

/// What the search found at the end of the line.
#[derive(Debug)]
struct End {
    state: u32,
    effective: Vec<u32>,
    order: Vec<u32>,
}

struct Search<'a, S: Specification> {
    facts: Facts<'a, S>,
    /// What operations touch, if that is known and not every way counts.
    places: Option<Places>,
    timeline: Timeline,
    window: Window,
    steps: Steps<'a, S>,
    memo: Memo,
    meter: Meter<'a>,
    frames: Vec<Frame>,
    /// The bit sets of the frames, one after the other.
    masks: Vec<u64>,
    candidates: Vec<u32>,
    /// Operations in the order in which they took effect, up to here.
    order: Vec<u32>,
    /// Which pending operations took effect, here.
    mask: Vec<u64>,
    state: u32,
    /// The operation whose return is the furthest place reached, and that place.
    furthest: Option<u32>,
    furthest_at: u32,
    /// Where the line ends.
    end: usize,
    /// Whether to look for every way to the end instead of one, and what was found there.
    collect: bool,
    ends: Vec<End>,
    scratch: [Vec<u64>; 2],
    /// Where in the order each operation stood last.
    habits: Vec<u32>,
}

impl<'a, S: Specification> Search<'a, S> {
    fn new(problem: &Problem<'a, S>, budget: &'a Budget, prune: bool) -> Self {
        let &Problem { specification, start, calls } = problem;
        let mut skip = match prune {
            true => specification.unneeded(calls),
            false => vec![false; calls.len()],
        };
        for (skip, call) in skip.iter_mut().zip(calls) {
            *skip |= call.ret == NEVER && specification.is_read(&call.operation);
        }
        let timeline = Timeline::new(calls, &skip);
        let words = timeline.words();
        Search {
            facts: Facts { specification, calls },
            places: if prune { Places::new(specification, calls) } else { None },
            window: Window::new(&timeline),
            steps: Steps::new(specification, start.clone(), calls),
            memo: Memo::new(words),
            meter: budget.meter(),
            frames: Vec::new(),
            masks: Vec::new(),
            candidates: Vec::new(),
            order: Vec::with_capacity(calls.len()),
            mask: vec![0; words],
            state: Steps::<S>::START,
            furthest: None,
            furthest_at: 0,
            end: timeline.len(),
            collect: false,
            ends: Vec::new(),
            scratch: [vec![0; words], vec![0; words]],
            habits: vec![NONE; calls.len()],
            timeline,
        }
    }

    /// Searches for a way to the end of the line; `false` if there is none.
    fn run(&mut self) -> Result<bool, Resource> {
        // What an event costs before anything is searched: itself, half a slot, class and order.
        self.meter.draw(self.timeline.len() * size_of::<[u64; 2]>())?;
        if self.advance(NONE, NONE)? {
            return Ok(true);
        }
        while !self.frames.is_empty() {
            self.meter.tick()?;
            let Some(op) = self.next_candidate()? else {
                self.pop();
                continue;
            };
            if self.linearize(op)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Passes all events that ask for nothing; `true` at the end of the line, otherwise there is a
    /// new frame or the configuration is known.
    fn advance(&mut self, mut via: u32, before: u32) -> Result<bool, Resource> {
        while self.window.at() < self.end {
            match self.timeline.event(self.window.at()) {
                Event::Call(op) => {
                    self.window.forward(&self.timeline, &self.facts);
                    let slot = self.timeline.slot(op);
                    if has(&self.window.reads, slot) {
                        self.answer(op)?;
                    }
                }
                Event::Return(op) => {
                    let slot = self.timeline.slot(op);
                    if !has(&self.mask, slot) {
                        self.arrive(op, via, before)?;
                        return Ok(false);
                    }
                    set(&mut self.mask, slot, false);
                    self.window.forward(&self.timeline, &self.facts);
                }
            }
            via = NONE;
        }
        if self.collect {
            self.collect_end();
        }
        Ok(!self.collect)
    }

    /// Notes where the search stands.
    fn collect_end(&mut self) {
        let mut effective = Vec::new();
        for (word, &mask) in self.mask.iter().enumerate() {
            let slots = ones(mask & !self.window.crashed[word], word);
            effective.extend(slots.map(|slot| self.window.owner(slot)));
        }
        effective.sort_unstable();
        let is_known = |end: &End| end.state == self.state && end.effective == effective;
        if !self.ends.iter().any(is_known) {
            self.ends.push(End { state: self.state, effective, order: self.order.clone() });
        }
    }

    /// Answers a pending read if it agrees with the state.
    fn answer(&mut self, op: u32) -> Result<bool, Resource> {
        let agrees = self.steps.step(self.state, op, &mut self.meter)?.is_some();
        if agrees {
            set(&mut self.mask, self.timeline.slot(op), true);
            self.order.push(op);
        }
        Ok(agrees)
    }

    /// Makes the configuration here, before the return of an operation that has not taken effect,
    /// a frame unless it is known.
    fn arrive(&mut self, returning: u32, via: u32, before: u32) -> Result<(), Resource> {
        let at = self.window.at() as u32;
        let [exact, good] = &mut self.scratch;
        for word in 0..self.mask.len() {
            let (mask, crashed) = (self.mask[word], self.window.crashed[word]);
            let reads = self.window.reads[word];
            exact[word] = mask & !crashed & !reads;
            good[word] = mask & reads | !mask & crashed;
        }
        let configuration = Configuration { at, state: self.state, exact, good };
        let entry = match self.memo.insert(&configuration, &mut self.meter)? {
            Inserted::New(entry) => entry,
            Inserted::Known(blame) => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.blame |= blame;
                }
                return Ok(());
            }
        };
        if self.furthest.is_none() || self.furthest_at < at {
            (self.furthest, self.furthest_at) = (Some(returning), at);
        }
        if self.frames.len() == self.frames.capacity() {
            let frame = size_of::<Frame>() + self.mask.len() * size_of::<u64>();
            self.meter.draw(self.frames.len().max(16) * frame)?;
        }
        self.masks.extend_from_slice(&self.mask);
        self.frames.push(Frame {
            at,
            returning,
            state: self.state,
            order: self.order.len() as u32,
            via,
            before,
            candidates: self.candidates.len() as u32,
            stage: Stage::Returning,
            entry,
            blame: self.group(returning),
            is_cut: false,
        });
        Ok(())
    }

    /// The group of an operation; all if none are known.
    fn group(&self, op: u32) -> Groups {
        self.places.as_ref().map_or(ALL, |places| places.group(op))
    }

    /// Gives up the last frame, and those before it that have nothing to do with why it failed.
    fn pop(&mut self) {
        let Some(mut last) = self.frames.pop() else { return };
        let blame = last.blame;
        loop {
            // What is left out counts only for the configuration that covers it.
            self.memo.blame(last.entry, if last.is_cut { ALL } else { blame });
            self.candidates.truncate(last.candidates as usize);
            match self.frames.last_mut() {
                Some(frame)
                    if self
                        .places
                        .as_ref()
                        .is_some_and(|places| places.group(frame.returning) & blame == 0) => {}
                Some(frame) => {
                    frame.blame |= blame;
                    break;
                }
                None => break,
            }
            match self.frames.pop() {
                Some(frame) => last = Frame { is_cut: false, ..frame },
                None => break,
            }
        }
        self.masks.truncate(self.frames.len() * self.mask.len());
    }

    /// The operation to try next from the last frame.
    fn next_candidate(&mut self) -> Result<Option<u32>, Resource> {
        let Some(frame) = self.frames.last_mut() else { return Ok(None) };
        let op = frame.returning;
        if frame.stage == Stage::Returning {
            frame.stage = Stage::Unlisted;
            if self.stood_before(op) || self.is_lost_after(op)? {
                self.restore();
                self.list_candidates(true)?;
            } else if self.is_worth_returning(op)? {
                return Ok(Some(op));
            }
        }
        if self.frames.last().is_some_and(|frame| frame.stage == Stage::Unlisted) {
            self.restore();
            self.list_candidates(false)?;
        }
        let Some(frame) = self.frames.last() else { return Ok(None) };
        let listed = self.candidates.len() > frame.candidates as usize;
        Ok(listed.then(|| self.candidates.pop()).flatten())
    }

    /// Goes back to the configuration of the last frame.
    fn restore(&mut self) {
        if let Some(frame) = self.frames.last() {
            self.window.rewind(frame.at as usize, &self.timeline, &self.facts);
            self.state = frame.state;
            self.order.truncate(frame.order as usize);
            let masks = self.masks.len() - self.mask.len();
            self.mask.copy_from_slice(&self.masks[masks..]);
        }
    }

    /// Whether linearizing the returning operation now is possible and not covered elsewhere.
    fn is_worth_returning(&mut self, op: u32) -> Result<bool, Resource> {
        let Some(frame) = self.frames.last() else { return Ok(false) };
        let (state, via, before) = (frame.state, frame.via, frame.before);
        let Some(after) = self.steps.step(state, op, &mut self.meter)? else { return Ok(false) };
        if via == NONE {
            return Ok(true);
        }
        let Some(without) = self.steps.step(before, op, &mut self.meter)? else { return Ok(true) };
        let in_vain = self.facts.is_crashed(via) && without == after;
        let is_covered = in_vain || self.steps.step(without, via, &mut self.meter)? == Some(after);
        if is_covered {
            self.cut();
        }
        Ok(!is_covered)
    }

    /// Notes that something was left out from the last frame that an earlier one covers.
    fn cut(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.is_cut = true;
        }
    }

    /// Puts the other pending operations that are possible here on the stack, the best last:
    /// those that stood first when the search was here before, then those that lose least of the
    /// state, that let the returning operation follow, and that return first. The returning
    /// operation is one of them if it was not tried before.
    fn list_candidates(&mut self, with_returning: bool) -> Result<(), Resource> {
        let Some(frame) = self.frames.last_mut() else { return Ok(()) };
        frame.stage = Stage::Listed;
        let (state, returning) = (frame.state, frame.returning);
        let mut ranked = Vec::new();
        if with_returning && self.is_worth_returning(returning)? {
            let lost = self.lost_after(state, returning)?;
            ranked.push((self.habits[returning as usize], lost, false, 0, returning));
        }
        let returning_class = self.steps.class(returning);
        for (class, ret, op, after) in self.possible()? {
            // The returning operation is the first to return of its own class.
            if class != returning_class {
                let follows = self.steps.step(after, returning, &mut self.meter)?.is_some();
                let lost = self.facts.specification.lost(self.steps.state(after));
                ranked.push((self.habits[op as usize], lost, !follows, ret, op));
            }
        }
        ranked.sort_unstable();
        self.candidates.extend(ranked.into_iter().rev().map(|(.., op)| op));
        Ok(())
    }

    /// The other pending operations that are possible in the last frame and have to do with the
    /// returning one, each with its class, its return, and the state after it; of equal operations,
    /// the one that must return first, and of crashed ones the first invoked.
    fn possible(&mut self) -> Result<Vec<(u32, u32, u32, u32)>, Resource> {
        let Some(frame) = self.frames.last() else { return Ok(Vec::new()) };
        let (state, returning) = (frame.state, frame.returning);
        let (via, before) = (frame.via, frame.before);
        let mut possible = Vec::new();
        let related = match &self.places {
            Some(places) => places.related(returning, &self.window, &self.mask),
            None => self.window.pending.clone(),
        };
        for (word, related) in related.into_iter().enumerate() {
            let open = related & !self.window.reads[word] & !self.mask[word];
            for slot in ones(open, word) {
                let op = self.window.owner(slot);
                let Some(after) = self.steps.step(state, op, &mut self.meter)? else { continue };
                let in_vain = via != NONE
                    && self.facts.is_crashed(via)
                    && self.steps.step(before, op, &mut self.meter)? == Some(after);
                if in_vain {
                    self.cut();
                } else if op != returning {
                    let ret = self.facts.calls[op as usize].ret;
                    possible.push((self.steps.class(op), ret, op, after));
                }
            }
        }
        possible.sort_unstable();
        possible.dedup_by_key(|&mut (class, ..)| class);
        Ok(possible)
    }

    /// How much of the state is lost after an operation, if it is possible.
    fn lost_after(&mut self, state: u32, op: u32) -> Result<usize, Resource> {
        let after = self.steps.step(state, op, &mut self.meter)?.unwrap_or(state);
        Ok(self.facts.specification.lost(self.steps.state(after)))
    }

    /// Whether the returning operation loses some of the state, so that another should come first.
    fn is_lost_after(&mut self, op: u32) -> Result<bool, Resource> {
        let lost = self.facts.specification.lost(self.steps.state(self.state));
        Ok(self.lost_after(self.state, op)? > lost)
    }

    /// Whether a pending operation stood before this one when both were placed last. The way back
    /// from a dead end undoes what was not to blame; it is to be done again as it was.
    fn stood_before(&self, returning: u32) -> bool {
        let Some(places) = &self.places else { return false };
        let related = places.related(returning, &self.window, &self.mask);
        let limit = self.habits[returning as usize];
        let mut slots = related
            .into_iter()
            .enumerate()
            .flat_map(|(word, slots)| ones(slots & !self.window.reads[word], word));
        slots.any(|slot| self.habits[self.window.owner(slot) as usize] < limit)
    }

    /// Lets an operation take effect in the configuration of the last frame and goes on from
    /// there; `true` at the end of the line.
    fn linearize(&mut self, op: u32) -> Result<bool, Resource> {
        self.restore();
        let before = self.state;
        let Some(after) = self.steps.step(before, op, &mut self.meter)? else { return Ok(false) };
        self.state = after;
        set(&mut self.mask, self.timeline.slot(op), true);
        if self.places.is_some() {
            self.habits[op as usize] = self.order.len() as u32;
        }
        self.order.push(op);
        let mut answered = false;
        for word in 0..self.mask.len() {
            for slot in ones(self.window.reads[word] & !self.mask[word], word) {
                answered |= self.answer(self.window.owner(slot))?;
            }
        }
        // What follows may only be compared with a world without this operation if it alone
        // makes the difference: no read was answered by it.
        if answered { self.advance(NONE, NONE) } else { self.advance(op, before) }
    }

    /// What to say after everything was tried.
    fn violation(&self) -> Outcome<S::State> {
        let Some(stuck) = self.furthest else { return Outcome::Linearizable(Vec::new()) };
        let states = self.memo.states_at(self.furthest_at);
        let states = states.into_iter().map(|state| self.steps.state(state).clone()).collect();
        Outcome::Violation { stuck, states }
    }
}
