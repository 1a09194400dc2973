//! Churn: members that come and go during a run, and leadership handed over.
//!
//! Most bugs in changes of membership need two of them close together, or one that meets a change of
//! leader or a cut (Ongaro, "bug in single-server membership changes", raft-dev, 2015); so they come
//! in bursts as other short strikes do, what is removed is often the leader, and where there are
//! cuts some come with a change.

use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rashomon_nemesis::{Fault, NodeSet, Partition, Pick, Schedule, Step};

use super::strikes;

/// What happens together: steps whose times count from its beginning.
type Burst = Vec<Step>;

/// A fault so many hundredths of a second after the beginning of its burst.
fn after(hundredths: u64, fault: Fault) -> Step {
    Step::at(Duration::from_millis(hundredths * 10), fault)
}

/// The schedule with changes of membership among its steps, up to one a second, for a run of so
/// many nodes at first, of which one leads or none.
pub(super) fn with_churn(
    schedule: &Schedule,
    run: Duration,
    (nodes, leads): (u16, bool),
    cuts: bool,
    rng: &mut ChaCha8Rng,
) -> Schedule {
    // In half of the runs nothing else strikes, and bursts come one after the other: they need their
    // cuts as they are.
    let alone = cuts && rng.random_bool(0.5);
    let mut steps = if alone { Vec::new() } else { schedule.steps().to_vec() };
    let latest = strikes::latest(run);
    let changes =
        if alone { run.as_secs() / 3 } else { rng.random_range(1..=run.as_secs().max(1)) };
    let (first, last) = strikes::storm(latest, rng);
    for number in 0..changes {
        let in_turn = (60 + number * 300).min(latest);
        let at = if alone { in_turn } else { rng.random_range(first..=last) };
        // Halves that are majorities of their own need an even number to begin with.
        let halves = alone && nodes.is_multiple_of(2) && rng.random_bool(0.6);
        let burst = match rng.random_range(0..16) {
            _ if halves => changes_of_two_leaders(nodes, rng),
            0..2 => vec![after(0, Fault::Add(None))],
            2..4 => vec![after(0, Fault::Remove(whom(rng)))],
            4..6 => vec![after(0, Fault::Retire(whom(rng)))],
            6..8 => {
                let gap = rng.random_range(0..60);
                vec![after(0, Fault::Add(None)), after(gap, Fault::Retire(whom(rng)))]
            }
            8..10 if cuts && leads => handover_in_a_cut(rng),
            10..14 if cuts => changes_of_two_leaders(nodes, rng),
            14 if cuts => changes_in_a_minority(nodes, rng),
            15 if cuts => removed_leader_in_company(rng),
            _ if leads => vec![after(0, handover())],
            // Where nobody leads, two orders that meet.
            _ => vec![
                after(0, Fault::Remove(whom(rng))),
                after(rng.random_range(0..30), Fault::Add(None)),
            ],
        };
        let start = Duration::from_millis(at * 10);
        steps.extend(burst.into_iter().map(|step| Step { at: (start + step.at).min(run), ..step }));
    }
    Schedule::new(schedule.seed(), steps)
}

fn whom(rng: &mut ChaCha8Rng) -> NodeSet {
    let picks = [Pick::Leader, Pick::Leader, Pick::Random(1), Pick::Random(1), Pick::Random(2)];
    picks[rng.random_range(0..picks.len())].into()
}

fn handover() -> Fault {
    Fault::Transfer(Pick::Random(1).into())
}

/// Leadership handed over when the leader hears nobody any more, or followers hear it late.
fn handover_in_a_cut(rng: &mut ChaCha8Rng) -> Burst {
    let trouble = match rng.random_range(0..3) {
        0 => return vec![after(0, handover())],
        1 => Fault::cut(Partition::one_way(Pick::Rest, Pick::Leader)),
        _ => Fault::hold(Partition::one_way(Pick::Leader, Pick::Minority)),
    };
    vec![after(0, trouble), after(0, handover()), after(rng.random_range(20..150), Fault::Heal)]
}

/// A change that only an isolated leader knows, another by its successor, and a cut through the
/// middle when that one has just been elected.
fn changes_of_two_leaders(nodes: u16, rng: &mut ChaCha8Rng) -> Burst {
    let half = NodeSet(vec![Pick::Leader, Pick::Random((nodes / 2).saturating_sub(1).max(1))]);
    let middle = match rng.random_bool(0.8) {
        true => Partition::one_way(Pick::Rest, half),
        false => Partition::both(half, Pick::Rest),
    };
    let armed = Duration::from_millis(rng.random_range(10..60));
    let delay = Duration::from_micros(1 << rng.random_range(0..16));
    let end = rng.random_range(120..220);
    vec![
        after(0, Fault::cut(Partition::both(Pick::Leader, Pick::Rest))),
        after(0, Fault::Remove(Pick::Random(1).into())),
        after(rng.random_range(1..4), Fault::Remove(Pick::Leader.into())),
        Step::upon_leader(armed, delay, Fault::Heal),
        Step::upon_leader(armed, delay, Fault::cut(middle)),
        after(end, Fault::Heal),
        // As many as before, for what comes next.
        after(end + 10, Fault::Add(None)),
        after(end + 11, Fault::Add(None)),
    ]
}

/// Several changes ordered from a leader that has lost its majority.
fn changes_in_a_minority(nodes: u16, rng: &mut ChaCha8Rng) -> Burst {
    let minority = NodeSet(vec![Pick::Leader, Pick::Random((nodes / 2).saturating_sub(1).max(1))]);
    vec![
        after(0, Fault::cut(Partition::both(minority, Pick::Rest))),
        after(0, Fault::Remove(Pick::Random(2).into())),
        after(rng.random_range(80..250), Fault::Heal),
    ]
}

/// A leader removed and left running, and cut off with some of the others.
fn removed_leader_in_company(rng: &mut ChaCha8Rng) -> Burst {
    let company = NodeSet(vec![Pick::Leader, Pick::Random(rng.random_range(1..3))]);
    let cut = rng.random_range(1..30);
    vec![
        after(0, Fault::Remove(Pick::Leader.into())),
        after(cut, Fault::cut(Partition::both(company, Pick::Rest))),
        after(cut + rng.random_range(80..250), Fault::Heal),
    ]
}

/// Whether a schedule changes who belongs to the cluster.
pub(super) fn changes_members(schedule: &Schedule) -> bool {
    let changes =
        |step: &Step| matches!(step.fault, Fault::Add(_) | Fault::Remove(_) | Fault::Retire(_));
    schedule.steps().iter().any(changes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng;

    use super::*;

    #[test]
    fn bursts_are_sound_for_every_length_and_size() {
        let mut written = BTreeSet::new();
        for seed in 0..300 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let run = Duration::from_millis(rng.random_range(1_000..30_000));
            let nodes = rng.random_range(1..=7);
            let (cuts, leads) = (rng.random(), rng.random());
            let schedule = with_churn(&Schedule::default(), run, (nodes, leads), cuts, &mut rng);
            assert_eq!(schedule.check(nodes), Ok(()));
            assert!(schedule.steps().iter().all(|step| step.at <= run), "{run:?}\n{schedule}");
            let read: Schedule = schedule.to_string().parse().expect("its text is read back");
            assert_eq!(read, schedule);
            let names = schedule.steps().iter().map(|step| step.fault.name());
            let names: BTreeSet<&str> = names.collect();
            assert!(cuts || !names.contains("cut") && !names.contains("hold"), "{schedule}");
            written.extend(names);
        }
        let all = ["add", "cut", "heal", "hold", "remove", "retire", "transfer"];
        assert_eq!(written.into_iter().collect::<Vec<_>>(), all);
    }
}
