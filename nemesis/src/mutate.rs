//! Mutation: schedules bred from schedules.
//!
//! A fuzzer's mutations (Zalewski, AFL; for schedules of faults Meng et al., "Greybox Fuzzing of
//! Distributed Systems", CCS 2023): a step is moved, repeated, left out, aimed at other nodes or made
//! another fault; a new one is put in; the end of one schedule follows the beginning of another. What
//! comes out is a schedule like any other: it can be printed and read, and names no node that it
//! could not have named before.
//!
//! Changes fall near a moment that somebody found worth a second look, and never before it: so a
//! simulated run goes the same way to that moment.

use std::time::Duration;

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use crate::ailment::{Ailment, Percent};
use crate::ending::Ending;
use crate::fault::{Fault, Partition};
use crate::generate::Package;
use crate::nodes::{NodeSet, Pick};
use crate::schedule::{Schedule, Step, Trigger};
use crate::trouble::{Rate, Trouble};

/// What a mutation may put in, and where.
#[derive(Clone, Debug)]
pub struct Breeder {
    /// Faults of these packages.
    pub packages: Vec<Package>,
    /// Whether members may come and go.
    pub orders: bool,
    /// The number of nodes at first: others are named only if they are added before.
    pub nodes: u16,
    /// Whether a node leads: then a fault may wait for another to.
    pub leads: bool,
    /// Nothing is changed before this.
    pub from: Duration,
    /// Nothing strikes after this.
    pub end: Duration,
}

/// Schedules grow to so many steps by mutation, and not further.
const STEPS_MAX: usize = 400;

impl Breeder {
    /// The schedule with one to four changes, drawn from `rng`. Steps after the end are left out.
    pub fn mutate(&self, schedule: &Schedule, rng: &mut ChaCha8Rng) -> Schedule {
        let (mut steps, mut late) = self.parted(schedule);
        for _ in 0..1 << rng.random_range(0..3) {
            self.change(&mut late, rng);
        }
        late.retain(|step| step.at <= self.end);
        late.truncate(STEPS_MAX.saturating_sub(steps.len()));
        steps.extend(late);
        Schedule::new(schedule.seed(), steps).sound(self.nodes)
    }

    /// The beginning of one schedule, and then what follows a moment in another; without orders where
    /// there may be none.
    pub fn splice(&self, schedule: &Schedule, other: &Schedule, moment: Duration) -> Schedule {
        let (mut steps, _) = self.parted(schedule);
        let follows = other.steps().iter().filter(|step| step.at >= moment);
        let moved = follows.map(|step| {
            let at = self.from.saturating_add(step.at - moment);
            Step { at, ..step.clone() }
        });
        let fits = |step: &Step| step.at <= self.end && (self.orders || !step.fault.is_order());
        let room = STEPS_MAX.saturating_sub(steps.len());
        steps.extend(moved.filter(fits).take(room));
        Schedule::new(schedule.seed(), steps).sound(self.nodes)
    }

    /// The schedule as it is, but for what is after the end.
    pub fn cut(&self, schedule: &Schedule) -> Schedule {
        let in_time = schedule.steps().iter().filter(|step| step.at <= self.end);
        Schedule::new(schedule.seed(), in_time.cloned().collect())
    }

    /// What stays, and what may change.
    fn parted(&self, schedule: &Schedule) -> (Vec<Step>, Vec<Step>) {
        let in_time = schedule.steps().iter().filter(|step| step.at <= self.end);
        in_time.cloned().partition(|step| step.at < self.from)
    }

    fn change(&self, steps: &mut Vec<Step>, rng: &mut ChaCha8Rng) {
        let chosen = nearest(steps.len(), rng);
        match (rng.random_range(0..8), chosen) {
            (0, Some(place)) => steps[place].at = self.moved(steps[place].at, rng),
            (1, Some(place)) => {
                steps.remove(place);
            }
            (2, Some(place)) => {
                let again = Step { at: self.moved(steps[place].at, rng), ..steps[place].clone() };
                steps.push(again);
            }
            (3, Some(place)) => self.alter(&mut steps[place], rng),
            _ => self.insert(steps, rng),
        }
        steps.sort_by_key(|step| step.at);
    }

    /// A time near another, on any scale, within bounds.
    fn moved(&self, at: Duration, rng: &mut ChaCha8Rng) -> Duration {
        let by = span(rng);
        let to = if rng.random() { at.saturating_add(by) } else { at.saturating_sub(by) };
        to.clamp(self.from, self.end.max(self.from))
    }

    /// Another delay, or another fault in its place: mostly of its own package, so other nodes or
    /// another measure.
    fn alter(&self, step: &mut Step, rng: &mut ChaCha8Rng) {
        match (&mut step.trigger, rng.random_range(0..3)) {
            (Some(Trigger::LeaderChange(delay)), 0) => *delay = span(rng),
            (Some(Trigger::Operations(count)), 0) => {
                *count = count.saturating_add(rng.random_range(1..20));
            }
            _ => {
                let own = Package::of(&step.fault).filter(|_| step.fault.is_strike());
                let own = own.filter(|own| self.packages.contains(own));
                step.fault = match own.filter(|_| rng.random_bool(0.7)) {
                    Some(package) => strike(package, rng),
                    None => self.any(rng),
                };
            }
        }
    }

    /// Puts one to three new steps in, soon after the beginning and soon after each other: strikes,
    /// each mended a while later, or not.
    fn insert(&self, steps: &mut Vec<Step>, rng: &mut ChaCha8Rng) {
        let mut at = self.from;
        for _ in 0..rng.random_range(1..=3) {
            at = at.saturating_add(span(rng));
            if at > self.end {
                return;
            }
            let fault = self.any(rng);
            let mend = mend(&fault);
            let trigger = match self.leads && rng.random_range(0..5) == 0 {
                true => Some(Trigger::LeaderChange(span(rng))),
                false => None,
            };
            steps.push(Step { at, trigger, fault });
            let mended = at + span(rng);
            if let Some(mend) = mend.filter(|_| mended <= self.end && rng.random_bool(0.7)) {
                steps.push(Step::at(mended, mend));
            }
        }
    }

    /// Any strike, now and then what mends, or an order.
    fn any(&self, rng: &mut ChaCha8Rng) -> Fault {
        let Some(package) = self.packages.choose(rng) else {
            return if self.orders { order(rng) } else { Fault::Heal };
        };
        match rng.random_range(0..8) {
            0 => package.mend(),
            1 | 2 if self.orders => order(rng),
            _ => strike(*package, rng),
        }
    }
}

/// What mends a strike.
fn mend(fault: &Fault) -> Option<Fault> {
    match fault {
        Fault::End(..) => Some(Fault::Restart(None)),
        _ => Package::of(fault).filter(|_| fault.is_strike()).map(Package::mend),
    }
}

/// One of so many, the first more likely than the last.
fn nearest(count: usize, rng: &mut ChaCha8Rng) -> Option<usize> {
    let last = count.checked_sub(1)?;
    let bound = rng.random_range(0..=last);
    Some(rng.random_range(0..=bound))
}

/// From about 60 microseconds to a second, every scale alike.
fn span(rng: &mut ChaCha8Rng) -> Duration {
    let micros = 1 << rng.random_range(6..20);
    Duration::from_micros(rng.random_range(micros..2 * micros))
}

fn order(rng: &mut ChaCha8Rng) -> Fault {
    let whom: NodeSet = [Pick::Leader, Pick::Random(1)][rng.random_range(0..2)].into();
    match rng.random_range(0..5) {
        0 => Fault::Remove(whom),
        1 => Fault::Retire(whom),
        2 => Fault::Transfer(Pick::Random(1).into()),
        _ => Fault::Add(None),
    }
}

/// A strike of a package, on any nodes and by any measure.
fn strike(package: Package, rng: &mut ChaCha8Rng) -> Fault {
    let amount = |rng: &mut ChaCha8Rng| Duration::from_millis(1 << rng.random_range(2..12));
    match package {
        Package::Partition if rng.random_bool(0.3) => Fault::Link(Trouble::Hold, partition(rng)),
        Package::Partition => Fault::cut(partition(rng)),
        Package::Link => Fault::Link(trouble(rng), partition(rng)),
        Package::Kill => Fault::kill(some(rng)),
        Package::Membership => order(rng),
        Package::Restart => Fault::End(Ending::Stop, some(rng)),
        Package::Pause if rng.random_range(0..4) == 0 => {
            Fault::Ail(Ailment::Throttle(Percent(1 << rng.random_range(0..6))), some(rng))
        }
        Package::Pause => Fault::Ail(Ailment::Pause, some(rng)),
        Package::Clock if rng.random_range(0..4) == 0 => {
            Fault::Ail(Ailment::Strobe(amount(rng)), some(rng))
        }
        Package::Clock if rng.random() => Fault::Ail(Ailment::Leap(amount(rng)), some(rng)),
        Package::Clock => {
            let rate = [10, 50, 80, 120, 200, 1000][rng.random_range(0..6)];
            Fault::Ail(Ailment::Drift(Percent(rate)), some(rng))
        }
        Package::Disk => match rng.random_range(0..6) {
            0 => Fault::Ail(Ailment::Fill, some(rng)),
            1 => Fault::Ail(Ailment::Balk, some(rng)),
            2 => Fault::End(Ending::Unplug, some(rng)),
            _ => Fault::Ail(Ailment::Stall(amount(rng)), some(rng)),
        },
    }
}

/// What is wrong with links that are not closed, by any measure.
fn trouble(rng: &mut ChaCha8Rng) -> Trouble {
    match rng.random_range(0..8) {
        0 => Trouble::Reset,
        1 => Trouble::Strand,
        2 => Trouble::Limit(Rate(1000 << rng.random_range(0..8))),
        3 | 4 => Trouble::Lose(Percent([5, 20, 50, 80][rng.random_range(0..4)])),
        _ => Trouble::Slow(Duration::from_millis(1 << rng.random_range(0..11))),
    }
}

/// Some nodes; mostly one.
fn some(rng: &mut ChaCha8Rng) -> NodeSet {
    use Pick::{Everyone, Leader, Majority, Minority, Random};
    let picks =
        [Leader, Leader, Leader, Random(1), Random(1), Random(1), Minority, Majority, Everyone];
    match rng.random_range(0..10) {
        0 => NodeSet(vec![Leader, Random(1)]),
        _ => picks[rng.random_range(0..picks.len())].into(),
    }
}

fn partition(rng: &mut ChaCha8Rng) -> Partition {
    use Pick::{Leader, Random, Rest};
    let one: NodeSet = [Leader, Leader, Random(1), Pick::Minority][rng.random_range(0..4)].into();
    match rng.random_range(0..12) {
        0 | 1 => Partition::one_way(one, Rest),
        2 | 3 => Partition::one_way(Rest, one),
        4 | 5 => Partition::both(Leader, Random(1)),
        6 => Partition::one_way(Leader, Random(1)),
        7 => Partition::one_way(Random(1), Leader),
        8 => Partition::both(NodeSet(vec![Leader, Random(1)]), Rest),
        9 => [Partition::Ring, Partition::Bridge][rng.random_range(0..2)].clone(),
        _ => Partition::both(one, Rest),
    }
}
