//! Strikes: the schedule of a simulated run.

use std::time::Duration;

use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use rashomon_nemesis::{
    Fault, NodeSet, Package, Packages, Partition, Pick, Schedule, Step as ScheduleStep,
};

/// When nothing strikes any more, before the end of a run.
const CALM: Duration = Duration::from_millis(1500);

/// The schedule of a simulated run: what a live run of this seed would get, and strikes that a live
/// run has no time for, which are either short ones, up to one in two seconds of every package, or
/// a drumroll; or, in half of the runs, nothing but sieges, or ambushes where somebody leads.
pub(super) fn schedule(
    packages: &Packages,
    run: Duration,
    (nodes, leads): (u16, bool),
    rng: &mut ChaCha8Rng,
) -> Schedule {
    let base = Schedule::generate(packages, rng.next_u64() >> 1, run, nodes);
    let mut steps = base.steps().to_vec();
    let packages: Vec<Package> = packages.0.iter().copied().collect();
    let end = run.saturating_sub(CALM).as_millis() as u64;
    match rng.random_range(0..4) {
        0 => packages.iter().for_each(|package| short_strikes(*package, run, rng, &mut steps)),
        1 => drumroll(&packages, end, rng, &mut steps),
        3 if leads => steps = ambushes(&packages, end, rng),
        _ => steps = sieges(&packages, end, rng),
    }
    steps.retain(|step| step.at <= run);
    Schedule::new(base.seed(), steps)
}

/// When the last short strike may begin, in hundredths of a second.
pub(super) fn latest(run: Duration) -> u64 {
    run.saturating_sub(CALM).as_millis() as u64 / 10
}

fn short_strikes(
    package: Package,
    run: Duration,
    rng: &mut ChaCha8Rng,
    steps: &mut Vec<ScheduleStep>,
) {
    let latest = latest(run);
    let strikes = rng.random_range(0..=run.as_secs() / 2);
    let (first, last) = storm(latest, rng);
    for _ in 0..strikes {
        // In hundredths of a second, to be read more easily.
        let from = rng.random_range(first..=last);
        let to = from + rng.random_range(2..120);
        let at = |hundredths: u64| Duration::from_millis(hundredths * 10);
        steps.push(ScheduleStep::at(at(from), strike(package, rng)));
        steps.push(ScheduleStep::at(at(to).min(run), package.mend()));
    }
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

/// Blow upon blow, as close together as the steps of an election or as elections, so that one leader
/// after another is struck in the middle of what it does: cut off before its first entry is
/// anywhere else, back when the next one has just won. Then all is mended, and clients have time to see
/// what came of it.
fn drumroll(packages: &[Package], end: u64, rng: &mut ChaCha8Rng, steps: &mut Vec<ScheduleStep>) {
    let mut at = 200;
    while !packages.is_empty() && at < end {
        let mut push = |at, fault| steps.push(ScheduleStep::at(Duration::from_millis(at), fault));
        // The mean time between two blows, in milliseconds.
        let beat = [10, 40, 120, 400][rng.random_range(0..4)];
        let rest = at + rng.random_range(100..2_000);
        while at < rest {
            let package = packages[rng.random_range(0..packages.len())];
            // Mostly both, at once: the fault moves on.
            let blow = rng.random_range(0..6);
            if blow > 0 {
                push(at, package.mend());
            }
            if blow < 5 {
                push(at, strike(package, rng));
            }
            at += rng.random_range(1..=2 * beat);
        }
        packages.iter().for_each(|package| push(at, package.mend()));
        at += rng.random_range(50..1_200);
    }
}

/// One blow at a time, which lasts as long as a few elections: a leader that is cut off goes on
/// believing what it believes, another one works, and clients of both have the time to see it. In
/// half of the runs short blows of other packages fall into that time, as crashes that are over
/// before anybody misses the node.
fn sieges(packages: &[Package], end: u64, rng: &mut ChaCha8Rng) -> Vec<ScheduleStep> {
    let mut steps = Vec::new();
    let sorties = rng.random_bool(0.5);
    let mut at = rng.random_range(200..1_000);
    while !packages.is_empty() && at < end {
        let mut push = |at, fault| steps.push(ScheduleStep::at(Duration::from_millis(at), fault));
        let package = packages[rng.random_range(0..packages.len())];
        let relief = at + rng.random_range(200..1_600);
        match package {
            Package::Partition => {
                for (gap, fault) in siege(packages.contains(&Package::Kill), rng) {
                    at += gap;
                    push(at, fault);
                }
            }
            _ => push(at, strike(package, rng)),
        }
        for other in packages.iter().filter(|other| sorties && **other != package) {
            while at < relief {
                push(at, sortie(*other, rng));
                at += 1 << rng.random_range(1..9);
                push(at, other.mend());
                at += 1 << rng.random_range(1..10);
            }
        }
        at = at.max(relief);
        push(at, package.mend());
        at += rng.random_range(100..1_000);
    }
    steps
}

/// How a network is besieged: the leader is cut off, or misses one of the others, which stands for
/// election again and again, or first the one and then everybody; or answers to it are held up
/// before it is cut off, so that they reach it when it leads no more. With crashes, one may
/// fall on the very moment at which the leader is cut off, so that who misses it since before meets
/// somebody who has just begun anew. Each fault comes so many milliseconds after the one before.
fn siege(crashes: bool, rng: &mut ChaCha8Rng) -> Vec<(u64, Fault)> {
    let (long, short) = (1 << rng.random_range(4..10), 1 << rng.random_range(1..7));
    let isolated = || Fault::cut(Partition::both(Pick::Leader, Pick::Rest));
    let missed = || Fault::cut(Partition::both(Pick::Leader, Pick::Random(1)));
    match rng.random_range(0..7) {
        0 | 1 => vec![(0, isolated())],
        2 => vec![(0, missed())],
        3 => vec![
            (0, Fault::hold(Partition::one_way(Pick::Rest, Pick::Leader))),
            (long, Fault::cut(Partition::one_way(Pick::Leader, Pick::Rest))),
        ],
        4 | 5 if crashes => vec![
            (0, missed()),
            (long, isolated()),
            (0, Fault::kill(Pick::Random(1))),
            (short, Fault::Restart(None)),
        ],
        4 => vec![(0, missed()), (long, isolated())],
        _ => vec![(0, strike(Package::Partition, rng))],
    }
}

/// A short blow during a siege: mostly of one node, because the others are busy with the siege.
fn sortie(package: Package, rng: &mut ChaCha8Rng) -> Fault {
    match package {
        Package::Kill if rng.random_bool(0.5) => Fault::kill(Pick::Random(1)),
        _ => strike(package, rng),
    }
}

/// Every blow waits for a leader and falls when that one has just been elected: before or after its
/// first entry is with a majority, and after it had a moment to work, in turn. So several leaders
/// are struck in a row, at places that blows by the clock hit by luck only.
fn ambushes(packages: &[Package], end: u64, rng: &mut ChaCha8Rng) -> Vec<ScheduleStep> {
    let mut steps = Vec::new();
    let mut at = 0;
    while !packages.is_empty() && at < end {
        // What begins with this is over after so many leaders, and a moment for clients to look.
        let plain = rng.random_bool(0.5);
        let beat = [20, 60, 200, 500][rng.random_range(0..4)];
        for _ in 0..rng.random_range(1..6) {
            let package = packages[rng.random_range(0..packages.len())];
            let delay = Duration::from_micros(1 << rng.random_range(0..18));
            let armed = Duration::from_millis(at);
            let mut push = |fault| steps.push(ScheduleStep::upon_leader(armed, delay, fault));
            push(package.mend());
            push(match package {
                Package::Partition if plain => {
                    Fault::cut(Partition::both(Pick::Leader, Pick::Rest))
                }
                _ => strike(package, rng),
            });
            at += rng.random_range(beat / 2..2 * beat);
        }
        at += rng.random_range(0..1_000);
        let relief = Duration::from_millis(at);
        steps.extend(packages.iter().map(|package| ScheduleStep::at(relief, package.mend())));
        at += rng.random_range(50..1_000);
    }
    steps
}

fn strike(package: Package, rng: &mut ChaCha8Rng) -> Fault {
    match package {
        Package::Partition => {
            let partition = partition(rng);
            if rng.random_bool(0.3) { Fault::hold(partition) } else { Fault::cut(partition) }
        }
        Package::Kill => {
            const PICKS: [Pick; 6] = [
                Pick::Leader,
                Pick::Leader,
                Pick::Random(1),
                Pick::Random(1),
                Pick::Majority,
                Pick::Everyone,
            ];
            Fault::kill(PICKS[rng.random_range(0..PICKS.len())])
        }
        // What ails a node or a link befalls it by itself in simulated runs, at times that nobody plans.
        _ => package.leader_strike(),
    }
}

fn partition(rng: &mut ChaCha8Rng) -> Partition {
    let one = [Pick::Leader, Pick::Leader, Pick::Random(1), Pick::Minority];
    let one = NodeSet::from(one[rng.random_range(0..one.len())]);
    match rng.random_range(0..12) {
        0 => Partition::one_way(one, Pick::Rest),
        1 => Partition::one_way(Pick::Rest, one),
        // A single link: who misses the leader still meets everybody else.
        2 | 3 => Partition::both(Pick::Leader, Pick::Random(1)),
        4 => Partition::one_way(Pick::Leader, Pick::Random(1)),
        5 => Partition::both(NodeSet(vec![Pick::Leader, Pick::Random(1)]), Pick::Rest),
        6 => Partition::Ring,
        _ => Partition::both(one, Pick::Rest),
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
            let schedule = schedule(&packages, run, (nodes, rng.random()), &mut rng);
            assert_eq!(schedule.check(nodes), Ok(()));
            assert!(schedule.steps().iter().all(|step| step.at <= run), "{run:?}\n{schedule}");
            let read: Schedule = schedule.to_string().parse().expect("its text is read back");
            assert_eq!(read, schedule);
        }
    }
}
