//! Churn: members that come and go during a run, and leadership handed over.
//!
//! Most bugs in changes of membership need two of them close together, or one that meets a change of
//! leader (Ongaro, "bug in single-server membership changes", raft-dev, 2015); so they come in
//! bursts as other short strikes do, and what is removed is often the leader.

use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rashomon_nemesis::{Fault, NodeSet, Pick, Schedule, Step};

use super::strikes;

/// The schedule with changes of membership among its steps, up to one a second.
pub(super) fn with_churn(schedule: &Schedule, run: Duration, rng: &mut ChaCha8Rng) -> Schedule {
    let mut steps = schedule.steps().to_vec();
    let latest = strikes::latest(run);
    let changes = rng.random_range(1..=run.as_secs().max(1));
    let (first, last) = strikes::storm(latest, rng);
    for _ in 0..changes {
        let at = rng.random_range(first..=last);
        let step = |hundredths: u64, fault| {
            let at = Duration::from_millis(hundredths * 10);
            Step { at: at.min(run), fault }
        };
        match rng.random_range(0..10) {
            0..2 => steps.push(step(at, Fault::Add(None))),
            2..4 => steps.push(step(at, Fault::Remove(whom(rng)))),
            4..6 => steps.push(step(at, Fault::Retire(whom(rng)))),
            6..8 => {
                // One in the place of another.
                steps.push(step(at, Fault::Add(None)));
                steps.push(step(at + rng.random_range(0..60), Fault::Retire(whom(rng))));
            }
            _ => steps.push(step(at, Fault::Transfer(Pick::Random(1).into()))),
        }
    }
    Schedule::new(schedule.seed(), steps)
}

fn whom(rng: &mut ChaCha8Rng) -> NodeSet {
    let picks = [Pick::Leader, Pick::Leader, Pick::Random(1), Pick::Random(1), Pick::Random(2)];
    picks[rng.random_range(0..picks.len())].into()
}

/// Whether a schedule changes who belongs to the cluster.
pub(super) fn changes_members(schedule: &Schedule) -> bool {
    let changes =
        |step: &Step| matches!(step.fault, Fault::Add(_) | Fault::Remove(_) | Fault::Retire(_));
    schedule.steps().iter().any(changes)
}
