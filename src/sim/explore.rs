//! Many seeds, on several threads, one run a thread: what is found, and what was really tested.
//!
//! Seeds are handed out in order, and what is told of an exploration depends on the seeds alone,
//! not on how many threads ran them: when it stops at the first violation, that is the violation
//! of the least seed, and seeds beyond it count for nothing even if they were run.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use serde::Serialize;

use super::system::{Stores, System};
use super::verdict::{Seed, SeedError, run_seed_of};
use super::{Hardship, Settings, Telling, Traffic};
use crate::contract::{self, Row};
use crate::report::VerdictWord;

/// What was really tested, summed over seeds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Seeds that were run.
    pub seeds: u64,
    /// Seeds without a violation, in which something was tested.
    pub valid: u64,
    /// Seeds with a violation.
    pub violations: u64,
    /// Seeds of which nothing can be said.
    pub unknown: u64,
    /// Promises that the store does not make, and how many seeds show that it does not keep them.
    pub unpromised: BTreeMap<&'static str, u64>,
    /// Operations.
    pub operations: u64,
    /// Operations that happened.
    pub ok: u64,
    /// Operations that certainly did not happen.
    pub fail: u64,
    /// Operations of unknown fate.
    pub info: u64,
    /// Operations that were under way while a fault stood.
    pub overlapping: u64,
    /// Faults by kind: how many struck, and how many of them bit.
    pub faults: BTreeMap<String, (u64, u64)>,
    /// What the network did.
    pub traffic: Traffic,
    /// What the nodes went through.
    pub hardship: Hardship,
    /// What was looked out for, and how often it was seen.
    pub sometimes: BTreeMap<&'static str, u64>,
    /// The worlds' time, in nanoseconds.
    pub virtual_ns: u64,
    /// Simulated events.
    pub events: u64,
}

impl Coverage {
    fn of(seed: &Seed) -> Self {
        let results = &seed.judged.results;
        let [operations, ok, fail, info] = results.totals().map(|count| count as u64);
        let is = |word: VerdictWord| u64::from(results.verdict == word);
        let mut faults: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for fault in &results.coverage.faults {
            let (struck, bit) = faults.entry(fault.kind.clone()).or_default();
            *struck += 1;
            *bit += u64::from(fault.bit);
        }
        let is_unkept = |row: &&Row| !row.promised && row.verdict == contract::Kept::Violated;
        let unkept = results.promises.iter().filter(is_unkept);
        Coverage {
            unpromised: unkept.map(|row| (row.promise, 1)).collect(),
            seeds: 1,
            valid: is(VerdictWord::Valid),
            violations: is(VerdictWord::Violation),
            unknown: is(VerdictWord::Unknown),
            operations,
            ok,
            fail,
            info,
            overlapping: results.coverage.overlapping as u64,
            faults,
            traffic: seed.recorded.traffic,
            hardship: seed.recorded.hardship,
            sometimes: seed.recorded.sightings.iter().copied().collect(),
            virtual_ns: seed.recorded.virtual_ns,
            events: seed.recorded.simulated,
        }
    }

    fn add(&mut self, other: Coverage) {
        self.seeds += other.seeds;
        self.valid += other.valid;
        self.violations += other.violations;
        self.unknown += other.unknown;
        for (promise, seeds) in other.unpromised {
            *self.unpromised.entry(promise).or_default() += seeds;
        }
        self.operations += other.operations;
        self.ok += other.ok;
        self.fail += other.fail;
        self.info += other.info;
        self.overlapping += other.overlapping;
        for (kind, (struck, bit)) in other.faults {
            let sum = self.faults.entry(kind).or_default();
            *sum = (sum.0 + struck, sum.1 + bit);
        }
        self.traffic.add(other.traffic);
        self.hardship.add(other.hardship);
        for (what, count) in other.sometimes {
            *self.sometimes.entry(what).or_default() += count;
        }
        self.virtual_ns += other.virtual_ns;
        self.events += other.events;
    }
}

/// What came out of many seeds.
#[derive(Debug, Default)]
pub struct Exploration {
    /// What was really tested.
    pub coverage: Coverage,
    /// The seeds with a violation, in order; one of them if it was stopped at the first.
    pub violations: Vec<u64>,
    /// The seeds of which nothing can be said, with why.
    pub unknown: Vec<(u64, String)>,
    /// The run of the least seed with a violation.
    pub first: Option<Box<Seed>>,
}

impl Exploration {
    /// Adds a run, under a number of its own: that of its seed, or of its place in a search.
    pub fn add(&mut self, number: u64, run: Seed) {
        let results = &run.judged.results;
        self.coverage.add(Coverage::of(&run));
        match results.verdict {
            VerdictWord::Unknown => self.unknown.push((number, results.why.clone())),
            VerdictWord::Violation => self.violations.push(number),
            VerdictWord::Valid => {}
        }
        if results.verdict == VerdictWord::Violation && self.first.is_none() {
            self.first = Some(Box::new(run));
        }
    }
}

/// How to go about it.
#[derive(Clone, Copy, Debug)]
pub struct Manner<'a> {
    /// How many threads run seeds.
    pub jobs: usize,
    /// Whether to go on after a violation.
    pub keep_going: bool,
    /// Turns true when it is to stop early.
    pub stop: &'a AtomicBool,
    /// Counts the seeds that were run, for whoever watches.
    pub done: &'a AtomicU64,
}

/// What is kept of a seed.
struct Kept {
    coverage: Coverage,
    unknown: Option<String>,
    violation: bool,
}

/// Runs seeds of a store of the project and sums up what came out.
///
/// # Errors
/// When a seed could not be run or judged, which would be a bug; that of the least such seed.
pub fn explore(
    settings: &Settings,
    seeds: RangeInclusive<u64>,
    manner: Manner<'_>,
) -> Result<Exploration, SeedError> {
    explore_of(&Stores, settings, seeds, manner)
}

/// [`explore`] for any system.
///
/// # Errors
/// As there.
pub fn explore_of(
    system: &dyn System,
    settings: &Settings,
    seeds: RangeInclusive<u64>,
    manner: Manner<'_>,
) -> Result<Exploration, SeedError> {
    let next = AtomicU64::new(*seeds.start());
    // Seeds beyond this one count for nothing.
    let last = AtomicU64::new(*seeds.end());
    let kept: Mutex<BTreeMap<u64, Result<Kept, SeedError>>> = Mutex::default();
    let first: Mutex<Option<Box<Seed>>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..manner.jobs {
            scope.spawn(|| {
                while !manner.stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > last.load(Ordering::Relaxed) {
                        return;
                    }
                    let result = run_seed_of(system, settings, seed, Telling::NOTHING);
                    let result = result.map(|run| keep(run, &first));
                    manner.done.fetch_add(1, Ordering::Relaxed);
                    let ends = match &result {
                        Ok(kept) => kept.violation && !manner.keep_going,
                        Err(_) => true,
                    };
                    if ends {
                        last.fetch_min(seed, Ordering::Relaxed);
                    }
                    let mut kept = kept.lock().expect("no thread panics with the lock held");
                    kept.insert(seed, result);
                }
            });
        }
    });
    let kept = kept.into_inner().expect("no thread has panicked");
    let first = first.into_inner().expect("no thread has panicked");
    let mut exploration = sum(kept, last.into_inner())?;
    exploration.first = first;
    Ok(exploration)
}

/// Keeps of a run what is to be summed up, and all of the violation with the least seed.
fn keep(run: Seed, first: &Mutex<Option<Box<Seed>>>) -> Kept {
    let (verdict, why) = (run.judged.results.verdict, &run.judged.results.why);
    let kept = Kept {
        coverage: Coverage::of(&run),
        unknown: (verdict == VerdictWord::Unknown).then(|| why.clone()),
        violation: verdict == VerdictWord::Violation,
    };
    if kept.violation {
        let mut first = first.lock().expect("no thread panics with the lock held");
        if first.as_ref().is_none_or(|known| run.seed < known.seed) {
            *first = Some(Box::new(run));
        }
    }
    kept
}

fn sum(kept: BTreeMap<u64, Result<Kept, SeedError>>, last: u64) -> Result<Exploration, SeedError> {
    let mut exploration = Exploration::default();
    for (seed, kept) in kept.into_iter().take_while(|(seed, _)| *seed <= last) {
        let kept = kept?;
        exploration.coverage.add(kept.coverage);
        exploration.unknown.extend(kept.unknown.map(|why| (seed, why)));
        if kept.violation {
            exploration.violations.push(seed);
        }
    }
    Ok(exploration)
}
