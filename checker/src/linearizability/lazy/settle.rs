//! From searches to a verdict.
//!
//! That there is a story a search usually finds at once. That there is none it would have to see
//! by trying everything from the beginning on, although a violation is mostly a local affair. So a
//! search that does not come to an end is interrupted, and the neighbourhood of the furthest return
//! that it reached is looked at by itself: from some place before it, with any value that could
//! matter, and with everything pending there free to return and to take effect as it likes. If not
//! even that leads past some return, then no story does.
//!
//! Both kinds of search only bound the first return at which no story is left: it is no earlier
//! than the furthest that was reached, and no later than the furthest of those at which ways
//! ended. Searches for stories up to somewhere between narrow that down.

use rustc_hash::FxHashSet;

use super::action::Action;
use super::bit;
use super::plan::{Event, Plan};
use super::search::{Progress, Root, Search};
use super::story::story;
use super::window::Window;
use crate::history::{NEVER, ValueId};
use crate::linearizability::Outcome;
use crate::linearizability::budget::{Budget, Resource};

/// When a search is interrupted for the first time, and how far back the first look then goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Steps of the search for each event.
    pub(super) steps: u64,
    /// Events before the furthest return.
    pub(super) reach: usize,
}

impl Default for Patience {
    fn default() -> Self {
        Patience { steps: 4, reach: 32 }
    }
}

/// What is known of a horizon.
enum Found {
    /// There is a story up to it.
    Story(Vec<u32>),
    /// There is none; the first return at which none is left has a rank in this range.
    None { sound: u32, broken: u32 },
}

/// A budget that ran out, and the rank of the furthest return that was reached.
#[derive(Debug)]
pub(super) struct Exhausted {
    pub(super) resource: Resource,
    pub(super) reached: u32,
}

/// Decides, and finds the first return at which no story is left; a later one if the budget does
/// not last that long.
pub(super) fn settle(
    plan: &Plan,
    patience: Patience,
    budget: &Budget,
) -> Result<Outcome<ValueId>, Exhausted> {
    let (mut sound, mut broken) = match find(plan, NEVER, patience, budget)? {
        Found::Story(order) => return Ok(Outcome::Linearizable(order)),
        Found::None { sound, broken } => (sound, broken),
    };
    // Mostly the latest is the one.
    let mut horizon = broken;
    while sound < broken {
        match find(plan, horizon, patience, budget) {
            Ok(Found::Story(_)) => sound = horizon,
            Ok(Found::None { sound: further, broken: earlier }) => {
                (sound, broken) = (sound.max(further), earlier);
            }
            // That there is no story is certain.
            Err(Exhausted { .. }) => break,
        }
        horizon = broken - broken.saturating_sub(sound) / 2;
    }
    let stuck = plan.returning(broken).expect("what ends all ways is a return");
    Ok(Outcome::Violation { stuck, states: Vec::new() })
}

/// Searches for a story of everything before the horizon.
fn find(
    plan: &Plan,
    horizon: u32,
    patience: Patience,
    budget: &Budget,
) -> Result<Found, Exhausted> {
    let unstarted = |resource| Exhausted { resource, reached: 0 };
    let mut search = Search::new(plan, horizon, Root::beginning, budget).map_err(unstarted)?;
    let mut effort = patience.steps * plan.events.len() as u64;
    loop {
        let progress = search.run(effort);
        let (at, sound) = search.reached();
        let exhausted = |resource| Exhausted { resource, reached: sound };
        match progress.map_err(exhausted)? {
            Progress::Way => return Ok(Found::Story(story(plan, search.way()))),
            Progress::Nothing => return Ok(Found::None { sound, broken: search.end() }),
            Progress::Paused => {}
        }
        let mut reach = patience.reach;
        while let Some(from) = at.checked_sub(reach) {
            let root = |plan: &Plan| relaxed(plan, from);
            let mut nearby = Search::new(plan, horizon, root, budget).map_err(exhausted)?;
            if nearby.run(effort).map_err(exhausted)? == Progress::Nothing {
                return Ok(Found::None { sound, broken: nearby.end() });
            }
            reach *= 4;
        }
        effort *= 2;
    }
}

/// A root in the middle from which there is at least every way that begins at the beginning.
fn relaxed(plan: &Plan, from: usize) -> Root {
    let mut window = Window::new(plan);
    let mut pending = FxHashSet::default();
    for event in &plan.events[..from] {
        window.forward(plan);
        match *event {
            Event::Call(op) if plan.actions[op as usize] != Action::Nothing => {
                pending.insert(op);
            }
            Event::Return(op) => {
                pending.remove(&op);
            }
            Event::Call(_) | Event::Crash(_) | Event::Retire(_) => {}
        }
    }
    let mut configuration = vec![0; plan.widths.total()];
    for &op in &pending {
        let (word, bit) = bit(plan.places[op as usize]);
        configuration[word] |= bit;
    }
    let values = values_that_matter(plan, from, pending.into_iter());
    Root { window, values, configuration }
}

/// The values that somebody pending or begun soon could tell apart, and one that stands for all
/// others: nobody can find what was before a mutator that began later has returned.
fn values_that_matter(plan: &Plan, from: usize, pending: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut mentioned = vec![false; plan.values.len()];
    let mut mention = |op: u32| {
        let action = plan.actions[op as usize];
        for value in action.mentions().into_iter().flatten() {
            mentioned[value as usize] = true;
        }
    };
    pending.for_each(&mut mention);
    for kind in &plan.kinds {
        kind.members.iter().copied().for_each(&mut mention);
    }
    let mut overwritten = NEVER;
    for event in &plan.events[from..] {
        match *event {
            Event::Call(op) => {
                mention(op);
                if plan.actions[op as usize].produces().is_some() {
                    overwritten = overwritten.min(plan.returns[op as usize]);
                }
            }
            Event::Return(op) if plan.returns[op as usize] == overwritten => break,
            Event::Return(_) | Event::Crash(_) | Event::Retire(_) => {}
        }
    }
    let other = (0..plan.values.len()).find(|&value| !mentioned[value]);
    let values = (0..plan.values.len()).filter(|&value| mentioned[value] || other == Some(value));
    values.map(|value| value as u32).collect()
}
