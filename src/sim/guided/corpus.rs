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
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::case::Case;
use crate::sim::situations::{KINDS, SITUATIONS, Situation};

/// How many of its situations a case is kept for: so many of the rarest of each kind. There are so
/// many states of nodes and of pairs that a rare one is mostly rare by chance; what all nodes are
/// together, and what happens close together, says more.
const MARKS: [usize; KINDS] = [1, 1, 6, 6];
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
    /// What its runs yield for their time, beside what others do.
    yields: f64,
    entries: Vec<Entry>,
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
    pub(super) fn learn(&mut self, case: &Case, met: &[Situation], virtual_ns: u64) -> usize {
        let new = met.iter().filter(|it| self.met[it.number as usize] == 0).count();
        self.known += new;
        let mut gains = [0.0; KINDS];
        for situation in met {
            let count = &mut self.met[situation.number as usize];
            *count = count.saturating_add(1);
            gains[situation.kind()] += 1.0 / f64::from(*count);
        }
        let yields = self.compared(gains.map(|gain| gain / (virtual_ns as f64 / 1e9).max(0.1)));
        let family = self.families.entry(case.seed);
        let family = family
            .and_modify(|family| family.yields = mix(family.yields, yields, LATEST))
            .or_insert_with(|| Family { yields, entries: Vec::new() });
        if new > 0 || family.entries.is_empty() {
            let marks = marks(met, &self.met);
            family.entries.push(Entry { case: case.clone(), marks, bred: 0 });
        }
        self.forget(case.seed);
        new
    }

    /// What a run yields for its time, beside what is usual: those kinds of situation that count do so
    /// alike, however many there are of each.
    fn compared(&mut self, rates: [f64; KINDS]) -> f64 {
        let mut sum = 0.0;
        for (usual, rate) in self.usual.iter_mut().zip(rates).skip(TELLING) {
            *usual = if *usual > 0.0 { mix(*usual, rate, USUAL) } else { rate };
            sum += rate / usual.max(f64::MIN_POSITIVE);
        }
        sum / (KINDS - TELLING) as f64
    }

    /// Draws whom to breed from, and near which moment; nobody, if there is nobody.
    pub(super) fn choose(&mut self, rng: &mut ChaCha8Rng) -> Option<Parent> {
        let seeds: Vec<u64> = self.families.keys().copied().collect();
        let yields = self.families.values().map(|family| family.yields * family.yields);
        let seed = seeds[weighted(&yields.collect::<Vec<_>>(), rng)?];
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
            let yields = self.families.values().map(|family| family.yields).collect();
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
