//! The corpus: cases that got into situations no case before had been in, and which of them to breed
//! from next.
//!
//! Cases of one seed are a *family*: they have the climate, the settings of the nodes and the operations
//! in common, and these decide for the most part how much happens in a second. Families are the
//! arms of a bandit (as seeds are in EcoFuzz: Yue et al., USENIX Security 2020): what one has yielded
//! for its time, beside what runs yielded then on average, says how much of the time it gets. A run
//! yields the more the rarer the situations are that it meets, as in AFLFast (Böhme et al.,
//! "Coverage-based Greybox Fuzzing as Markov Chain", CCS 2016); within a family a case is chosen for
//! those, too, and a short way to them is better than a long one, as in AFL.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::case::Case;
use crate::sim::situations::{ARRIVAL, KINDS, SITUATIONS, Situation};

/// How many of its situations a case is kept for: so many of the rarest of each kind. There are so
/// many states of nodes and of pairs that a rare one is mostly rare by chance; what all nodes are
/// together, and what happens close together, says more.
const MARKS: [usize; KINDS] = [1, 1, 6, 6, 6, 6];
/// From this kind on they count for what a run yields, for the same reason.
const TELLING: usize = 2;
/// The most families that are kept, and cases of each.
const FAMILIES: usize = 48;
const CASES: usize = 12;
/// How much the latest run of a family counts for what it yields.
const LATEST: f64 = 0.2;
/// How much the latest run counts for what runs yield on average.
const USUAL: f64 = 0.05;

/// A case that is kept.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The case.
    pub case: Case,
    /// The situations that it is kept for.
    marks: Vec<Situation>,
    /// How often it was bred from.
    bred: u32,
}

/// The cases of a seed.
#[derive(Clone, Debug)]
struct Family {
    /// What its whole runs yield of each kind for their time, beside what others do.
    yields: [f64; KINDS],
    /// How often it was drawn.
    drawn: u32,
    entries: Vec<Entry>,
}

impl Family {
    /// The more the more it yields of a kind, and the less the more often it was drawn: where all that
    /// a seed decides suits a bug, a few runs show it.
    fn worth(&self, kind: usize) -> f64 {
        self.yields[kind].powi(2) / f64::from(1 + self.drawn)
    }
}

/// The cases, and how often each situation was met.
#[derive(Clone, Debug)]
pub struct Corpus {
    families: BTreeMap<u64, Family>,
    /// In how many runs each situation was met.
    met: Vec<u32>,
    known: usize,
    /// What runs yield of each kind on average, for their time.
    usual: [f64; KINDS],
}

impl Default for Corpus {
    fn default() -> Self {
        Corpus {
            families: BTreeMap::new(),
            met: vec![0; SITUATIONS],
            known: 0,
            usual: [0.0; KINDS],
        }
    }
}

/// A case to breed from, and the moment that makes it worth that.
#[derive(Clone, Debug)]
pub(super) struct Parent {
    pub(super) case: Case,
    pub(super) moment: Duration,
}

impl Corpus {
    /// The cases, by their seeds, in the order in which they came.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.families.values().flat_map(|family| &family.entries)
    }

    /// How many situations were met.
    pub fn known(&self) -> usize {
        self.known
    }

    /// Learns of a run that took so many nanoseconds what it met, and keeps its case if some of that is
    /// new. Says how many are.
    pub(super) fn learn(
        &mut self,
        case: &Case,
        whole: bool,
        met: &[Situation],
        virtual_ns: u64,
    ) -> usize {
        let new = met.iter().filter(|it| self.met[it.number as usize] == 0).count();
        self.known += new;
        let mut gains = [0.0; KINDS];
        for situation in met {
            let count = &mut self.met[situation.number as usize];
            *count = count.saturating_add(1);
            gains[situation.kind()] += 1.0 / f64::from(*count);
        }
        let rates = gains.map(|gain| gain / (virtual_ns as f64 / 1e9).max(0.1));
        let family = match self.families.entry(case.seed) {
            btree_map::Entry::Occupied(family) if !whole => family.into_mut(),
            family => {
                let yields = compared(&mut self.usual, rates);
                let known =
                    family.or_insert_with(|| Family { yields, drawn: 0, entries: Vec::new() });
                for (known, latest) in known.yields.iter_mut().zip(yields) {
                    *known = mix(*known, latest, LATEST);
                }
                known
            }
        };
        if new > 0 || family.entries.is_empty() {
            let marks = marks(met, &self.met);
            family.entries.push(Entry { case: case.clone(), marks, bred: 0 });
        }
        self.forget(case.seed);
        new
    }

    /// Draws two families, each for what it yields of what is late or of how answers are given.
    pub(super) fn couple(&mut self, rng: &mut ChaCha8Rng) -> Option<(u64, u64)> {
        Some((self.family(ARRIVAL, rng)?, self.family(ARRIVAL, rng)?))
    }

    /// Draws a family: for what it yields of one kind of situation, this one or a later, drawn first.
    /// What a bug needs shows in one kind and not in another, and nobody knows in which.
    fn family(&mut self, least: usize, rng: &mut ChaCha8Rng) -> Option<u64> {
        let kind = rng.random_range(least..KINDS);
        let worth: Vec<f64> = self.families.values().map(|family| family.worth(kind)).collect();
        let (seed, family) = self.families.iter_mut().nth(weighted(&worth, rng)?)?;
        family.drawn += 1;
        Some(*seed)
    }

    /// Draws whom to breed from, and near which moment; nobody, if there is nobody.
    pub(super) fn choose(&mut self, rng: &mut ChaCha8Rng) -> Option<Parent> {
        let seed = self.family(TELLING, rng)?;
        let entries = &self.families[&seed].entries;
        let worth: Vec<f64> = entries.iter().map(|entry| self.worth(entry)).collect();
        let place = weighted(&worth, rng)?;
        let Entry { case, marks, .. } = &entries[place];
        let rarity: Vec<f64> = marks.iter().map(|mark| self.rarity(mark)).collect();
        let moment = weighted(&rarity, rng).map_or(0, |mark| marks[mark].at / 1_000);
        let parent = Parent { case: case.clone(), moment: Duration::from_micros(moment) };
        if let Some(family) = self.families.get_mut(&seed) {
            family.entries[place].bred += 1;
        }
        Some(parent)
    }

    /// The more the rarer what it met, the shorter the way to it, and the less it was bred from.
    fn worth(&self, entry: &Entry) -> f64 {
        let rarity: f64 = entry.marks.iter().map(|mark| self.rarity(mark)).sum();
        rarity / f64::from(1 + entry.bred)
    }

    fn rarity(&self, mark: &Situation) -> f64 {
        let met = f64::from(self.met[mark.number as usize].max(1));
        let way = 0.5 + mark.at as f64 / 1e9;
        1.0 / (met * way)
    }

    /// Leaves the least case of a family that is too large, and the least of too many families.
    fn forget(&mut self, seed: u64) {
        let least = |worth: Vec<f64>| {
            let places = 0..worth.len();
            places.min_by(|one, other| worth[*one].total_cmp(&worth[*other]))
        };
        let entries = &self.families[&seed].entries;
        if entries.len() > CASES {
            let place = least(entries.iter().map(|entry| self.worth(entry)).collect());
            if let (Some(place), Some(family)) = (place, self.families.get_mut(&seed)) {
                family.entries.remove(place);
            }
        }
        if self.families.len() > FAMILIES {
            let worth = |family: &Family| (TELLING..KINDS).map(|kind| family.worth(kind)).sum();
            let yields = self.families.values().map(worth).collect();
            let place = least(yields).and_then(|place| self.families.keys().nth(place).copied());
            place.map(|seed| self.families.remove(&seed));
        }
    }
}

/// The situations that a case is kept for.
fn marks(met: &[Situation], counts: &[u32]) -> Vec<Situation> {
    let mut sorted = met.to_vec();
    sorted.sort_by_key(|it| (counts[it.number as usize], it.at));
    let mut left = MARKS;
    sorted.retain(|it| {
        let left = &mut left[it.kind()];
        let keep = *left > 0;
        *left -= usize::from(keep);
        keep
    });
    sorted
}

/// What a run yields of each kind for its time, beside what is usual.
fn compared(usual: &mut [f64; KINDS], rates: [f64; KINDS]) -> [f64; KINDS] {
    std::array::from_fn(|kind| {
        let (usual, rate) = (&mut usual[kind], rates[kind]);
        *usual = if *usual > 0.0 { mix(*usual, rate, USUAL) } else { rate };
        rate / usual.max(f64::MIN_POSITIVE)
    })
}

fn mix(old: f64, new: f64, part: f64) -> f64 {
    old * (1.0 - part) + new * part
}

/// One of these, as likely as it weighs. Sums and a comparison of numbers: the same on any machine.
fn weighted(weights: &[f64], rng: &mut ChaCha8Rng) -> Option<usize> {
    let all: f64 = weights.iter().sum();
    let mut point = rng.random::<f64>() * all;
    let found = weights.iter().position(|weight| {
        point -= weight;
        point < 0.0
    });
    found.or(weights.len().checked_sub(1))
}
