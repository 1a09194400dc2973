//! Swarm testing: which faults a run has, and how much of each, is drawn too.
//!
//! Groce, Zhang, Eide, Chen and Regehr, "Swarm Testing" (ISSTA 2012): a run with a little of everything
//! hides what only much of one thing, in the absence of another, brings out; so every run leaves some
//! features out. Here the features are packages of faults: a [`Mixture`] says which of them a run has,
//! how likely each is to strike next, and how long strikes and the calm between them last.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::generate::{Deck, Package, Packages};
use crate::schedule::{Schedule, Step};
use crate::text::{Cursor, ParseError, display_time, text_form};

/// What a run's faults are drawn from; printed and read as `kill 3, pause 1; for 0.8s, calm 1.5s`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mixture {
    /// The packages that there are, each with its weight: of strikes, so many fall to it.
    pub weights: BTreeMap<Package, u8>,
    /// How long a strike lasts, on average.
    pub strike: Duration,
    /// How long it is calm then, on average.
    pub calm: Duration,
}

/// The heaviest that a package is.
const WEIGHT_MAX: u8 = 8;

/// How long strikes and calms are on average, in milliseconds: from less than an election takes to
/// several of them.
const TIMES: [u64; 5] = [150, 400, 1_000, 2_500, 5_000];

/// Time before the first strike, for a first leader and something written under it.
const LEAD: Duration = Duration::from_millis(1000);

/// Time after the last mend, for the cluster to come together again.
const TAIL: Duration = Duration::from_millis(1500);

impl Mixture {
    /// The mixture of a seed: every package is in it with a chance of a half, one at least, and weighs
    /// 1, 2, 4 or 8.
    pub fn draw(packages: &Packages, seed: u64) -> Self {
        let mut rng = stream(seed, MIXTURE);
        let weight = |rng: &mut ChaCha8Rng| 1 << rng.random_range(0..=WEIGHT_MAX.ilog2());
        let mut weights: BTreeMap<Package, u8> = BTreeMap::new();
        for package in &packages.0 {
            if rng.random() {
                weights.insert(*package, weight(&mut rng));
            }
        }
        if let (true, false) = (weights.is_empty(), packages.0.is_empty()) {
            let place = rng.random_range(0..packages.0.len());
            let one = packages.0.iter().nth(place).copied();
            weights.extend(one.map(|package| (package, weight(&mut rng))));
        }
        let mut time = || Duration::from_millis(TIMES[rng.random_range(0..TIMES.len())]);
        Mixture { weights, strike: time(), calm: time() }
    }

    /// The packages that are in it.
    pub fn packages(&self) -> Packages {
        Packages(self.weights.keys().copied().collect())
    }

    /// A schedule of this mixture for a run of this length on this many nodes: strikes from now this
    /// and now that package, each mended, mostly before the next. Every other strike of a package takes the leader,
    /// as in [`Schedule::generate`]. Equal arguments give the same schedule, byte for byte.
    pub fn schedule(&self, seed: u64, run: Duration, nodes: u16) -> Schedule {
        let mut rng = stream(seed, STRIKES);
        let mut decks: Vec<(Deck, u8)> =
            self.weights.iter().map(|(package, weight)| (Deck::new(*package), *weight)).collect();
        let scale = (run.as_secs_f64() / (LEAD + 2 * TAIL).as_secs_f64()).min(1.0);
        let end = run.saturating_sub(TAIL.mul_f64(scale));
        let mut at = around(LEAD.mul_f64(scale), &mut rng);
        let mut steps = Vec::new();
        while at < end && !decks.is_empty() {
            let deck = weighted(&mut decks, &mut rng);
            let mended = (at + around(self.strike, &mut rng)).min(end);
            let (package, length) = (deck.package(), mended - at);
            for (part, fault) in deck.draw(nodes, &mut rng) {
                steps.push(Step::at(at + tens(length.mul_f64(part)), fault));
            }
            steps.push(Step::at(mended, package.mend()));
            // Now and then the next strike falls into this one.
            let calm = around(self.calm, &mut rng);
            at = if rng.random_range(0..4) == 0 { at + calm } else { mended + calm };
        }
        Schedule::new(seed, steps)
    }

    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        let mut weights = BTreeMap::new();
        while !cursor.take("none") {
            let package = cursor.word("a package such as `kill`, or `none`", Package::from_name)?;
            let in_bounds = |weight: &u8| (1..=WEIGHT_MAX).contains(weight);
            let weight = cursor
                .word("a weight from `1` to `8`", |word| word.parse().ok().filter(in_bounds))?;
            weights.insert(package, weight);
            if !cursor.take(",") {
                break;
            }
        }
        let mut expect =
            |word: &'static str| cursor.word(word, |found| (found == word).then_some(()));
        expect(";")?;
        expect("for")?;
        let strike = cursor.time()?;
        let mut expect =
            |word: &'static str| cursor.word(word, |found| (found == word).then_some(()));
        expect(",")?;
        expect("calm")?;
        Ok(Mixture { weights, strike, calm: cursor.time()? })
    }
}

/// The streams of the seed; schedules leave what they leave open to others.
const MIXTURE: u64 = u64::MAX;
const STRIKES: u64 = u64::MAX - 1;

fn stream(seed: u64, number: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number);
    rng
}

/// Between half and one and a half times as long.
fn around(time: Duration, rng: &mut ChaCha8Rng) -> Duration {
    tens(time.mul_f64(rng.random_range(0.5..1.5)))
}

/// Cut down to hundredths of a second, to be read more easily; one at least.
fn tens(time: Duration) -> Duration {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis((millis - millis % 10).max(10))
}

fn weighted<'a>(decks: &'a mut [(Deck, u8)], rng: &mut ChaCha8Rng) -> &'a mut Deck {
    let all: u32 = decks.iter().map(|(_, weight)| u32::from(*weight)).sum();
    let mut point = rng.random_range(0..all);
    let hit = |(_, weight): &(Deck, u8)| {
        let hit = point < u32::from(*weight);
        point = point.saturating_sub(u32::from(*weight));
        hit
    };
    let place = decks.iter().position(hit).unwrap_or_default();
    &mut decks[place].0
}

impl fmt::Display for Mixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weights: Vec<String> =
            self.weights.iter().map(|(package, weight)| format!("{package} {weight}")).collect();
        let weights = if weights.is_empty() { "none".to_owned() } else { weights.join(", ") };
        let (strike, calm) = (display_time(self.strike), display_time(self.calm));
        write!(f, "{weights}; for {strike}, calm {calm}")
    }
}

text_form!(Mixture);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn mixtures_and_their_schedules_are_sound_and_read_back() {
        let all = Packages(Package::ALL.into());
        let mut choices = BTreeSet::new();
        for seed in 0..500 {
            let mixture = Mixture::draw(&all, seed);
            assert!(!mixture.weights.is_empty());
            assert_eq!(mixture.to_string().parse(), Ok(mixture.clone()), "{mixture}");
            choices.insert(mixture.packages().to_string());
            let run = Duration::from_millis(500 + seed * 60);
            let nodes = 1 + (seed % 7) as u16;
            let schedule = mixture.schedule(seed, run, nodes);
            assert_eq!(schedule, mixture.schedule(seed, run, nodes));
            assert_eq!(schedule.check(nodes), Ok(()));
            assert_eq!(schedule.to_string().parse(), Ok(schedule.clone()));
            let steps = schedule.steps();
            assert!(!steps.is_empty() && steps.iter().all(|step| step.at <= run), "{schedule}");
            let drawn = steps.iter().filter_map(|step| Package::of(&step.fault));
            // A node that crashes again and again is killed, too.
            let loops = mixture.weights.contains_key(&Package::Restart);
            let is_in = |package: &Package| {
                mixture.weights.contains_key(package) || loops && *package == Package::Kill
            };
            assert!(drawn.into_iter().all(|package| is_in(&package)), "{mixture}\n{schedule}");
        }
        assert!(choices.len() > 100, "{}", choices.len());
        assert!(Mixture::draw(&Packages::default(), 1).weights.is_empty());
    }

    #[test]
    fn weights_are_kept_to() {
        let mixture: Mixture = "partition 8, kill 1; for 0.15s, calm 0.15s".parse().expect("one");
        let schedule = mixture.schedule(5, Duration::from_secs(600), 5);
        let count = |package| {
            let strikes = schedule.steps().iter().filter(|step| step.fault.is_strike());
            strikes.filter(|step| Package::of(&step.fault) == Some(package)).count()
        };
        let (cuts, kills) = (count(Package::Partition), count(Package::Kill));
        assert!(kills > 50 && cuts > 5 * kills && cuts < 12 * kills, "{cuts} and {kills}");
    }

    #[test]
    fn what_is_no_mixture_says_where() {
        for text in
            ["", "kill", "kill 9; for 1s, calm 1s", "floods 1; for 1s, calm 1s", "kill 1; for 1s"]
        {
            assert!(text.parse::<Mixture>().is_err(), "{text}");
        }
    }
}
