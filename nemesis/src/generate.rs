//! Generators: schedules drawn from a seed, out of packages of faults.
//!
//! Packages are Jepsen's (`jepsen.nemesis.combined`): a name for faults that belong together, each
//! with what undoes it. Where Jepsen draws every fault alike, these are biased: what breaks a
//! replicated store is mostly the loss of its leader, so at least every other strike takes it.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::ailment::{Ailment, Part, Percent};
use crate::ending::Ending;
use crate::fault::{Fault, Partition};
use crate::nodes::{Node, NodeSet, Pick};
use crate::schedule::{Schedule, Step};
use crate::text::{Cursor, ParseError, text_form};
use crate::trouble::{Rate, Trouble};

/// Faults that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Package {
    /// Cuts of the network, each healed.
    Partition,
    /// Kills of processes, each followed by a restart.
    Kill,
    /// Processes that stand still, or lack time or memory, and go on.
    Pause,
    /// Clocks that leap or go wrong, and then run true.
    Clock,
    /// Disks that are slow or full or fail, and then well; and power that goes.
    Disk,
    /// Links that are slow, narrow, lossy or broken, and then as good as before.
    Link,
    /// Nodes that are stopped in order: one or all, one after the other, or one again and again.
    Restart,
    /// Members that come and go, and leadership handed over; then another one joins.
    Membership,
}

impl Package {
    /// Every package.
    pub const ALL: [Package; 8] = [
        Package::Partition,
        Package::Kill,
        Package::Pause,
        Package::Clock,
        Package::Disk,
        Package::Link,
        Package::Restart,
        Package::Membership,
    ];

    /// Its name: `partition`, `kill`, `pause`, `clock`, `disk`, `link`, `restart`, `membership`.
    pub fn name(self) -> &'static str {
        match self {
            Package::Partition => "partition",
            Package::Kill => "kill",
            Package::Pause => "pause",
            Package::Clock => "clock",
            Package::Disk => "disk",
            Package::Link => "link",
            Package::Restart => "restart",
            Package::Membership => "membership",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Package::ALL.into_iter().find(|package| package.name() == name)
    }

    /// The package that a fault belongs to, if it strikes live runs.
    pub fn of(fault: &Fault) -> Option<Self> {
        match fault {
            Fault::Link(trouble, _) if trouble.closes() => Some(Package::Partition),
            Fault::Link(..) => Some(Package::Link),
            Fault::End(Ending::Kill, _) => Some(Package::Kill),
            Fault::End(Ending::Stop, _) => Some(Package::Restart),
            Fault::End(Ending::Unplug, _) => Some(Package::Disk),
            Fault::Ail(ailment, _) => Some(match ailment.part() {
                Part::Process => Package::Pause,
                Part::Clock => Package::Clock,
                Part::Disk => Package::Disk,
            }),
            fault if fault.is_order() => Some(Package::Membership),
            _ => None,
        }
    }

    /// What mends any strike of it.
    pub fn mend(self) -> Fault {
        match self {
            Package::Partition | Package::Link => Fault::Heal,
            Package::Kill | Package::Restart => Fault::Restart(None),
            Package::Pause => Fault::Cure(Part::Process),
            Package::Clock => Fault::Cure(Part::Clock),
            Package::Disk => Fault::Cure(Part::Disk),
            Package::Membership => Fault::Add(None),
        }
    }

    /// The strike that takes the leader.
    pub fn leader_strike(self) -> Fault {
        match self {
            Package::Partition => Fault::cut(Partition::both(Pick::Leader, Pick::Rest)),
            Package::Kill => Fault::kill(Pick::Leader),
            Package::Pause => Fault::Ail(Ailment::Pause, Pick::Leader.into()),
            Package::Clock => Fault::Ail(drift(25), Pick::Leader.into()),
            Package::Disk => Fault::Ail(STALL, Pick::Leader.into()),
            Package::Link => slow(Partition::both(Pick::Leader, Pick::Rest), SLOW),
            Package::Restart => Fault::End(Ending::Stop, Pick::Leader.into()),
            Package::Membership => Fault::Retire(Pick::Leader.into()),
        }
    }

    /// Strikes of every other kind, for a cluster of this size.
    fn other_strikes(self, nodes: u16, rng: &mut ChaCha8Rng) -> Vec<Strike> {
        let mut strikes: Vec<Strike> = self.other_faults(nodes).into_iter().map(at_once).collect();
        if self == Package::Disk {
            let picks = [Pick::Leader, Pick::Random(1), Pick::Minority, Pick::Everyone];
            strikes.extend(picks.map(power_cut));
            strikes.extend([Pick::Leader, Pick::Everyone].map(power_cut_in_a_stall));
        }
        if self == Package::Membership {
            strikes.extend(changes_that_meet());
        }
        if self == Package::Restart {
            strikes.push(rolling_restart(nodes));
            strikes.push(crash_loop(Node(rng.random_range(1..=nodes.max(1)))));
        }
        strikes
    }

    /// Strikes of every other kind that are a single fault.
    fn other_faults(self, nodes: u16) -> Vec<Fault> {
        // As many as may go with the leader for it to stand in a minority.
        let followers = (nodes.saturating_sub(1) / 2).saturating_sub(1);
        match self {
            Package::Partition => {
                let mut partitions = vec![
                    Partition::one_way(Pick::Leader, Pick::Rest),
                    Partition::one_way(Pick::Rest, Pick::Leader),
                    Partition::both(Pick::Random(1), Pick::Rest),
                    Partition::both(Pick::Minority, Pick::Rest),
                ];
                if followers > 0 {
                    let minority = NodeSet(vec![Pick::Leader, Pick::Random(followers)]);
                    partitions.push(Partition::both(minority, Pick::Rest));
                }
                if nodes > 3 {
                    partitions.extend([Partition::Ring, Partition::Bridge]);
                }
                partitions.into_iter().map(Fault::cut).collect()
            }
            Package::Kill => vec![
                Fault::kill(Pick::Random(1)),
                Fault::kill(Pick::Minority),
                Fault::kill(Pick::Everyone),
            ],
            Package::Pause => vec![
                Fault::Ail(Ailment::Pause, Pick::Random(1).into()),
                Fault::Ail(Ailment::Pause, Pick::Minority.into()),
                Fault::Ail(Ailment::Pause, Pick::Everyone.into()),
                Fault::Ail(Ailment::Throttle(Percent(10)), Pick::Leader.into()),
                Fault::Ail(Ailment::Throttle(Percent(30)), Pick::Everyone.into()),
            ],
            Package::Clock => vec![
                Fault::Ail(drift(400), Pick::Random(1).into()),
                Fault::Ail(drift(50), Pick::Minority.into()),
                Fault::Ail(Ailment::Strobe(STROBE), Pick::Leader.into()),
                Fault::Ail(Ailment::Leap(LEAP), Pick::Random(1).into()),
                Fault::Ail(Ailment::Leap(LEAP), Pick::Everyone.into()),
            ],
            Package::Disk => vec![
                Fault::Ail(STALL, Pick::Minority.into()),
                Fault::Ail(STALL, Pick::Everyone.into()),
                Fault::Ail(Ailment::Fill, Pick::Random(1).into()),
                Fault::Ail(Ailment::Fill, Pick::Leader.into()),
                Fault::Ail(Ailment::Balk, Pick::Leader.into()),
                Fault::Ail(Ailment::Balk, Pick::Minority.into()),
            ],
            Package::Link => vec![
                slow(Partition::one_way(Pick::Rest, Pick::Leader), SLOW),
                slow(Partition::both(Pick::Random(1), Pick::Rest), 2 * SLOW),
                slow(Partition::both(Pick::Everyone, Pick::Everyone), SLOW / 2),
                Fault::Link(Trouble::Lose(LOSS), Partition::both(Pick::Leader, Pick::Rest)),
                Fault::Link(Trouble::Lose(LOSS), Partition::both(Pick::Everyone, Pick::Everyone)),
                Fault::Link(Trouble::Limit(NARROW), Partition::one_way(Pick::Leader, Pick::Rest)),
                Fault::Link(Trouble::Reset, Partition::both(Pick::Everyone, Pick::Everyone)),
                Fault::Link(Trouble::Strand, Partition::both(Pick::Leader, Pick::Rest)),
            ],
            Package::Restart => [Pick::Random(1), Pick::Minority, Pick::Everyone]
                .map(|pick| Fault::End(Ending::Stop, pick.into()))
                .into(),
            Package::Membership => vec![
                Fault::Retire(Pick::Random(1).into()),
                Fault::Remove(Pick::Leader.into()),
                Fault::Remove(Pick::Random(1).into()),
                Fault::Transfer(Pick::Random(1).into()),
            ],
        }
    }
}

/// Faults of one strike, each after so great a part of the strike's time.
pub(crate) type Strike = Vec<(f64, Fault)>;

fn at_once(fault: Fault) -> Strike {
    vec![(0.0, fault)]
}

/// Every node is stopped and started again, one after the other, as by somebody who installs a new
/// version.
fn rolling_restart(nodes: u16) -> Strike {
    let turn = 1.0 / f64::from(nodes.max(1));
    let turns = Node::first(nodes).zip((0_u16..).map(f64::from));
    turns
        .flat_map(|(node, number)| {
            let set = NodeSet::from(Pick::Node(node));
            let stop = Fault::End(Ending::Stop, set.clone());
            [(number * turn, stop), ((number + 0.5) * turn, Fault::Restart(Some(set)))]
        })
        .collect()
}

/// Several changes of members close together, or one that meets a new leader.
fn changes_that_meet() -> [Strike; 3] {
    let remove = |pick: Pick| Fault::Remove(pick.into());
    let lead = Fault::Transfer(Pick::Random(1).into());
    [
        vec![(0.0, Fault::Add(None)), (0.0, Fault::Retire(Pick::Leader.into()))],
        vec![(0.0, lead), (0.0, remove(Pick::Random(1)))],
        vec![(0.0, remove(Pick::Random(2))), (0.01, Fault::Add(None))],
    ]
}

/// The power goes, and comes back in the middle of the strike.
fn power_cut(whom: Pick) -> Strike {
    let cut = Fault::End(Ending::Unplug, whom.into());
    vec![(0.0, cut), (0.5, Fault::Restart(None))]
}

/// The power goes when much is written and not synced, because disks are slow.
fn power_cut_in_a_stall(whom: Pick) -> Strike {
    let mut strike = vec![(0.0, Fault::Ail(STALL, Pick::Everyone.into()))];
    strike.extend(power_cut(whom).into_iter().map(|(at, fault)| (0.3 + at, fault)));
    strike
}

/// A node crashes again and again, soon after it has come up.
fn crash_loop(node: Node) -> Strike {
    const CRASHES: u8 = 5;
    let set = NodeSet::from(Pick::Node(node));
    let crashes = (0..CRASHES).map(|crash| f64::from(crash) / f64::from(CRASHES));
    let up = 0.3 / f64::from(CRASHES);
    crashes
        .flat_map(|at| {
            [(at, Fault::kill(set.clone())), (at + up, Fault::Restart(Some(set.clone())))]
        })
        .collect()
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How long a strobing clock is fast, and then slow: about as long as leases and elections.
const STROBE: Duration = Duration::from_millis(200);

/// How far a clock leaps: longer than an election takes.
const LEAP: Duration = Duration::from_secs(3);
/// How much longer a write takes on a slow disk: so long that a leader hardly makes progress, and is
/// none the less alive.
const STALL: Ailment = Ailment::Stall(Duration::from_millis(120));

/// How many messages a bad link loses: most get through, and elections are called all the same.
const LOSS: Percent = Percent(30);
/// What a narrow link carries in a second: enough for heartbeats, and not for all that is replicated.
const NARROW: Rate = Rate(20_000);

/// How much longer messages take on a slow link: about as long as a node waits for word from its leader.
const SLOW: Duration = Duration::from_millis(100);

fn drift(percent: u16) -> Ailment {
    Ailment::Drift(Percent(percent))
}

fn slow(links: Partition, by: Duration) -> Fault {
    Fault::Link(Trouble::Slow(by), links)
}

/// A choice of packages, written `partition,kill`, or `none`, or `all`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Packages(pub BTreeSet<Package>);

impl Packages {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        if cursor.take("none") {
            return Ok(Packages::default());
        }
        if cursor.take("all") {
            return Ok(Packages(Package::ALL.into()));
        }
        const EXPECTED: &str = "`partition`, `kill`, `pause`, `clock`, `disk`, `link`, `restart`, \
                                `membership`, `all` or `none`";
        let mut packages = BTreeSet::new();
        loop {
            packages.insert(cursor.word(EXPECTED, Package::from_name)?);
            if !cursor.take(",") {
                return Ok(Packages(packages));
            }
        }
    }
}

impl fmt::Display for Packages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        let names: Vec<&str> = self.0.iter().map(|package| package.name()).collect();
        f.write_str(&names.join(","))
    }
}

text_form!(Packages);

/// Time before the first strike, for a first leader and something written under it.
const LEAD: Duration = Duration::from_millis(1200);
/// Time after the last fault is mended, for the cluster to come together again.
const TAIL: Duration = Duration::from_millis(2500);
/// A strike and the calm after it last between these: long enough for a new leader to be elected
/// and read from while the fault lasts.
const ROUND: (Duration, Duration) = (Duration::from_millis(2800), Duration::from_millis(4200));

impl Schedule {
    /// A schedule of strikes from these packages, each mended before the next, for a run of this
    /// length on this many nodes.
    ///
    /// The first strike of every package takes the leader, and so does at least every other one
    /// after it, counted from the start. The packages take turns, in an order drawn anew each time round. Everything is
    /// mended before the run's last part. Equal arguments give the same schedule, byte for byte.
    pub fn generate(packages: &Packages, seed: u64, run: Duration, nodes: u16) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut decks: Vec<Deck> = packages.0.iter().map(|package| Deck::new(*package)).collect();
        let mut steps = Vec::new();
        for (index, (strike, mend)) in rounds(run, decks.len(), &mut rng).into_iter().enumerate() {
            let turn = index % decks.len();
            // The first time round they come in their own order, partitions first.
            if turn == 0 && index > 0 {
                decks.shuffle(&mut rng);
            }
            let deck = &mut decks[turn];
            for (part, fault) in deck.draw(nodes, &mut rng) {
                let at = strike + hundredths((mend - strike).mul_f64(part));
                steps.push(Step::at(at, fault));
            }
            steps.push(Step::at(mend, deck.package.mend()));
        }
        Schedule::new(seed, steps)
    }
}

/// When to strike and when to mend, round by round: the time between lead and tail in equal rounds,
/// each with its strike somewhere inside, and at least one for every package. A run too short for
/// one round has everything shortened alike; strikes shorter than a hundredth of a second are none.
fn rounds(run: Duration, packages: usize, rng: &mut ChaCha8Rng) -> Vec<(Duration, Duration)> {
    if packages == 0 {
        return Vec::new();
    }
    let shortest = LEAD + ROUND.1 + TAIL;
    let scale = (run.as_secs_f64() / shortest.as_secs_f64()).min(1.0);
    let lead = LEAD.mul_f64(scale);
    let window = run.saturating_sub(lead + TAIL.mul_f64(scale));
    let fitting = |round: Duration| window.as_secs_f64() / round.as_secs_f64();
    let wanted = fitting(rng.random_range(ROUND.0..=ROUND.1)).round();
    let count = wanted.min(fitting(ROUND.0).floor()).max(packages as f64);
    let length = window.div_f64(count);
    (0..count as u32)
        .map(|round| {
            let start = lead + length * round;
            let strike = start + length.mul_f64(rng.random_range(0.05..0.15));
            let mend = start + length.mul_f64(rng.random_range(0.75..0.88));
            (hundredths(strike), hundredths(mend))
        })
        .filter(|(strike, mend)| strike < mend)
        .collect()
}

/// Cut down to hundredths of a second, to be read more easily.
fn hundredths(time: Duration) -> Duration {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(millis - millis % 10)
}

/// How often a strike takes another target than the leader, when the leader had its share.
const OTHERS: f64 = 0.7;

/// One package's strikes.
#[derive(Debug)]
pub(crate) struct Deck {
    package: Package,
    /// How many more strikes took the leader than did not; never less than none.
    lead: usize,
    /// The last strike that did not take the leader, not to be drawn twice running.
    last: Option<Strike>,
}

impl Deck {
    pub(crate) fn new(package: Package) -> Self {
        Deck { package, lead: 0, last: None }
    }

    pub(crate) fn package(&self) -> Package {
        self.package
    }

    pub(crate) fn draw(&mut self, nodes: u16, rng: &mut ChaCha8Rng) -> Strike {
        let mut others = self.package.other_strikes(nodes, rng);
        others.retain(|strike| Some(strike) != self.last.as_ref());
        let other = others.choose(rng).filter(|_| rng.random_bool(OTHERS));
        match other.filter(|_| self.lead > 0) {
            Some(strike) => {
                self.lead -= 1;
                self.last = Some(strike.clone());
                strike.clone()
            }
            None => {
                self.lead += 1;
                at_once(self.package.leader_strike())
            }
        }
    }
}
