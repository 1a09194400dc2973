//! Strikes: the schedule of a simulated run.

use std::time::Duration;

use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use rashomon_nemesis::{
    Fault, NodeSet, Package, Packages, Partition, Pick, Schedule, Step as ScheduleStep,
};

/// When nothing strikes any more, before the end of a run.
const CALM: Duration = Duration::from_millis(1500);

/// The schedule of a simulated run: what a live run of this seed would get, and short strikes
/// between, up to one in two seconds of every package, that a live run has no time for.
pub(super) fn schedule(
    packages: &Packages,
    run: Duration,
    nodes: u16,
    rng: &mut ChaCha8Rng,
) -> Schedule {
    let base = Schedule::generate(packages, rng.next_u64() >> 1, run, nodes);
    let mut steps = base.steps().to_vec();
    let latest = latest(run);
    let strikes_max = run.as_secs() / 2;
    for package in &packages.0 {
        let strikes = rng.random_range(0..=strikes_max);
        let (first, last) = storm(latest, rng);
        for _ in 0..strikes {
            // In hundredths of a second, to be read more easily.
            let from = rng.random_range(first..=last);
            let to = from + rng.random_range(2..120);
            let at = |hundredths: u64| Duration::from_millis(hundredths * 10);
            let (strike, mend) = short_strike(*package, rng);
            steps.push(ScheduleStep { at: at(from), fault: strike });
            steps.push(ScheduleStep { at: at(to).min(run), fault: mend });
        }
    }
    Schedule::new(base.seed(), steps)
}

/// When the last short strike may begin, in hundredths of a second.
pub(super) fn latest(run: Duration) -> u64 {
    run.saturating_sub(CALM).as_millis() as u64 / 10
}

/// When short strikes may begin, in hundredths of a second: all along, or in a third of the runs all
/// within an eighth of it, where one falls into the recovery from another.
pub(super) fn storm(latest: u64, rng: &mut ChaCha8Rng) -> (u64, u64) {
    let first = 20.min(latest);
    if rng.random_range(0..3) > 0 {
        return (first, latest);
    }
    let from = rng.random_range(first..=latest);
    (from, (from + latest / 8).min(latest))
}

fn short_strike(package: Package, rng: &mut ChaCha8Rng) -> (Fault, Fault) {
    let whom = |picks: &[Pick], rng: &mut ChaCha8Rng| *picks.choose(rng).expect("there are picks");
    match package {
        Package::Partition => {
            let one = whom(&[Pick::Leader, Pick::Random(1), Pick::Minority], rng);
            let partition = match rng.random_range(0..4) {
                0 => Partition::one_way(one, Pick::Rest),
                1 => Partition::one_way(Pick::Rest, one),
                _ => Partition::both(one, Pick::Rest),
            };
            let hold = rng.random_bool(0.3);
            (if hold { Fault::Hold(partition) } else { Fault::Cut(partition) }, Fault::Heal)
        }
        Package::Kill => {
            let picks =
                [Pick::Leader, Pick::Leader, Pick::Random(1), Pick::Majority, Pick::Everyone];
            (Fault::Kill(NodeSet::from(whom(&picks, rng))), Fault::Restart(None))
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::sim::climate::{Kind, Kinds};

    #[test]
    fn schedules_are_sound_for_every_length_and_size() {
        let packages = Kinds(Kind::ALL.into()).packages();
        for seed in 0..200 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let run = Duration::from_millis(rng.random_range(1_000..30_000));
            let nodes = rng.random_range(1..=7);
            let schedule = schedule(&packages, run, nodes, &mut rng);
            assert_eq!(schedule.check(nodes), Ok(()));
            assert!(schedule.steps().iter().all(|step| step.at <= run), "{run:?}\n{schedule}");
            let read: Schedule = schedule.to_string().parse().expect("its text is read back");
            assert_eq!(read, schedule);
        }
    }
}
