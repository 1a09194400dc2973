//! Guided search: schedules bred to reach situations that no run before was in.
//!
//! A greybox fuzzer over schedules of faults, after AFL (Zalewski) and Mallory (Meng et al., "Greybox
//! Fuzzing of Distributed Systems", CCS 2023). Runs are drawn from seeds as ever; those that get into
//! new [`situations`](super::situations) are kept in a corpus, and others bred from them, or crossed: the
//! seed of one with the schedule of another. As a run is the same until something about it is changed,
//! every child goes its parent's way up to the moment that was worth keeping, and only then another: other faults, another luck, and soon an end, for what
//! a run does long after is no more likely to be interesting than any other run. (Snapshot fuzzers, such
//! as Nyx-Net, return to such a moment by restoring a machine, and BUGGIFY of FoundationDB's simulation draws
//! which rare things happen anew for every run.)
//!
//! One master seed decides all of it. Runs are made in rounds of a fixed size: the cases of a round are
//! drawn before any is run, and what is learnt is learnt in their order. So the number of threads makes
//! no difference but to the time it takes.

mod case;
mod corpus;

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rashomon_nemesis::{Breeder, Package};
use rashomon_stores::catalogue::Store;
use rashomon_stores::raft::ReadMode;
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;

use super::climate::Kind;
use super::explore::Exploration;
use super::luck::Luck;
use super::system::System;
use super::verdict::{Seed, SeedError, run_scenario};
use super::{Settings, Telling};
pub use case::Case;
use corpus::Parent;
pub use corpus::{Corpus, Entry};

/// How far to search, and how.
#[derive(Clone, Copy, Debug)]
pub struct Bounds<'a> {
    /// Decides all of it.
    pub master: u64,
    /// The most runs.
    pub runs: u64,
    /// The most time of the worlds, in nanoseconds: the last run may end after it.
    pub virtual_ns: u64,
    /// How many threads make runs.
    pub jobs: usize,
    /// Turns true when the search is to stop early.
    pub stop: &'a AtomicBool,
    /// Counts the runs, for whoever watches.
    pub done: &'a AtomicU64,
}

impl<'a> Bounds<'a> {
    /// As many runs as there are seeds, of which the first is the master seed; on one thread.
    pub fn of(seeds: &RangeInclusive<u64>, stop: &'a AtomicBool, done: &'a AtomicU64) -> Self {
        let runs = (seeds.end() - seeds.start()).saturating_add(1);
        Bounds { master: *seeds.start(), runs, virtual_ns: u64::MAX, jobs: 1, stop, done }
    }
}

/// What a search came to.
#[derive(Debug)]
pub struct Explored {
    /// What was really tested. Violations go by the numbers of runs, from 1.
    pub exploration: Exploration,
    /// What was learnt.
    pub corpus: Corpus,
    /// How many runs were bred.
    pub bred: u64,
}

/// Searches for violations, beginning with these cases; to the first, or on and on.
///
/// # Errors
/// When a run cannot be simulated or judged, which would be a bug.
pub fn explore(
    system: &dyn System,
    settings: &Settings,
    bounds: Bounds<'_>,
    known: Vec<Case>,
    keep_going: bool,
) -> Result<Explored, SeedError> {
    let (mut exploration, mut bred) = (Exploration::default(), 0);
    let mut search = Search::new(settings, bounds.master);
    search.search(system, bounds, known, |step| {
        bred += u64::from(matches!(step.origin, Origin::Crossed | Origin::Bred));
        exploration.add(step.number, step.run);
        !keep_going && !exploration.violations.is_empty()
    })?;
    Ok(Explored { exploration, corpus: search.corpus, bred })
}

/// Where a case comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From whoever began the search.
    Given,
    /// Drawn from a new seed.
    Fresh,
    /// The seed of one family with the schedule of another, or of the same, and another luck.
    Crossed,
    /// Bred from a case that was kept.
    Bred,
}

/// A run of the search.
#[derive(Debug)]
pub struct Step {
    /// Its number, from 1.
    pub number: u64,
    /// What was run.
    pub case: Case,
    /// Where it comes from.
    pub origin: Origin,
    /// How many situations it met that no run before had.
    pub new: usize,
    /// The run, with its verdict.
    pub run: Seed,
}

/// A search under way.
#[derive(Debug)]
pub struct Search<'a> {
    settings: &'a Settings,
    rng: ChaCha8Rng,
    /// What was learnt so far.
    pub corpus: Corpus,
    packages: Vec<Package>,
    leads: bool,
    runs: u64,
    virtual_ns: u64,
}

/// How many runs there are in a round.
const ROUND: u64 = 8;

impl<'a> Search<'a> {
    /// A search that knows nothing yet.
    pub fn new(settings: &'a Settings, master: u64) -> Self {
        let leases = settings.reads == ReadMode::Lease;
        let packages = |kind: &Kind| match kind {
            Kind::Partition => vec![Package::Partition],
            Kind::Kill => vec![Package::Kill, Package::Restart],
            Kind::Pause => vec![Package::Pause],
            Kind::Network => vec![Package::Link],
            Kind::Disk => vec![Package::Disk],
            // Leases count on what nodes are told of their clocks.
            Kind::Clock if !leases => vec![Package::Clock],
            Kind::Clock | Kind::Cpu | Kind::Membership => Vec::new(),
        };
        let alone = settings.nodes < 2;
        let fits =
            |package: &Package| !alone || !matches!(package, Package::Partition | Package::Link);
        Search {
            settings,
            rng: ChaCha8Rng::seed_from_u64(master),
            corpus: Corpus::default(),
            packages: settings.nemesis.0.iter().flat_map(packages).filter(fits).collect(),
            leads: settings.store.parse().is_ok_and(Store::has_leader),
            runs: 0,
            virtual_ns: 0,
        }
    }

    /// Begins with these cases in place of the first that would be drawn.
    ///
    /// Searches on until `see` says that it is enough; it sees every run, in order.
    ///
    /// # Errors
    /// When a run cannot be simulated or judged.
    pub fn search(
        &mut self,
        system: &dyn System,
        bounds: Bounds<'_>,
        mut known: Vec<Case>,
        mut see: impl FnMut(Step) -> bool,
    ) -> Result<(), SeedError> {
        let pool = ThreadPoolBuilder::new().num_threads(bounds.jobs).build();
        let pool = pool.expect("threads can be started");
        known.reverse();
        while !bounds.stop.load(Ordering::Relaxed) {
            let size = ROUND.min(bounds.runs - self.runs);
            if size == 0 || self.virtual_ns >= bounds.virtual_ns {
                break;
            }
            let cases: Vec<(Case, Origin)> = (0..size)
                .map(|_| known.pop().map_or_else(|| self.draw(), |case| (case, Origin::Given)))
                .collect();
            let run = |(case, _): &(Case, Origin)| {
                let run = run_scenario(system, case.scenario(self.settings), Telling::SITUATIONS);
                bounds.done.fetch_add(1, Ordering::Relaxed);
                run
            };
            let runs: Vec<_> = pool.install(|| cases.par_iter().map(run).collect());
            for ((case, origin), run) in cases.into_iter().zip(runs) {
                let mut run = run?;
                run.judged.results.reproduce = case.command(self.settings);
                self.runs += 1;
                self.virtual_ns += run.recorded.virtual_ns;
                let (met, virtual_ns) = (&run.recorded.situations, run.recorded.virtual_ns);
                let new = self.corpus.learn(&case, origin != Origin::Bred, met, virtual_ns);
                if see(Step { number: self.runs, case, origin, new, run }) {
                    return Ok(());
                }
                if self.virtual_ns >= bounds.virtual_ns {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The next case.
    fn draw(&mut self) -> (Case, Origin) {
        let way = self.rng.random::<f64>();
        let bred = if way < FRESH {
            None
        } else if way < FRESH + CROSSED {
            self.cross().map(|case| (case, Origin::Crossed))
        } else {
            let parent = self.corpus.choose(&mut self.rng);
            parent.map(|parent| (self.breed(&parent), Origin::Bred))
        };
        bred.filter(|(case, _)| case.scenario(self.settings).check().is_ok())
            .unwrap_or_else(|| (self.fresh(), Origin::Fresh))
    }

    /// The seed of one family with the schedule of another, and another luck. A bug that needs both a
    /// climate and a schedule is far more likely where each has shown what is rare.
    fn cross(&mut self) -> Option<Case> {
        let (seed, other) = self.corpus.couple(&mut self.rng)?;
        let luck = Luck::default().changed(Duration::ZERO, self.rng.random::<u32>().into());
        let schedule = Case::fresh(other, self.settings).schedule;
        Some(Case { luck, schedule, ..Case::fresh(seed, self.settings) })
    }

    fn fresh(&mut self) -> Case {
        // Numbers that can be read.
        Case::fresh(self.rng.random::<u32>().into(), self.settings)
    }

    /// A child that goes its parent's way to a moment, or nearly, and then its own.
    fn breed(&mut self, parent: &Parent) -> Case {
        let Parent { case, moment } = parent;
        let rng = &mut self.rng;
        // Mostly just before: what led to the situation may have been under way.
        let back = Duration::from_millis([0, 1, 5, 20, 60, 200][rng.random_range(0..6)]);
        let from = moment.saturating_sub(back);
        let rest = Duration::from_millis([400, 700, 1_200, 2_000, 3_500][rng.random_range(0..5)]);
        // To tenths of a second, to be read more easily.
        let end = Duration::from_millis(((*moment + rest).as_millis() as u64).div_ceil(100) * 100);
        let time_limit = end.clamp(Duration::from_secs(1), self.settings.time_limit);
        let breeder = Breeder {
            packages: self.packages.clone(),
            orders: case.changes_members(),
            nodes: self.settings.nodes,
            leads: self.leads,
            from: from.min(time_limit),
            end: time_limit,
        };
        let way = rng.random_range(0..10);
        let schedule = match way {
            0..3 => breeder.cut(&case.schedule),
            3..8 => breeder.mutate(&case.schedule, rng),
            8 => {
                let other = self.corpus.choose(rng);
                let other = other.unwrap_or_else(|| parent.clone());
                breeder.splice(&case.schedule, &other.case.schedule, other.moment)
            }
            _ => {
                let other = Case::fresh(rng.random::<u32>().into(), self.settings);
                breeder.splice(&case.schedule, &other.schedule, from)
            }
        };
        let lucky = way < 3 || self.rng.random_bool(0.3);
        let luck = match lucky {
            true => case.luck.changed(from, self.rng.random::<u32>().into()),
            false => Luck(case.luck.before(time_limit).0),
        };
        Case { seed: case.seed, time_limit, luck, schedule }
    }
}

/// How many runs are drawn from new seeds, and how many from two families: each over a third of the
/// time, because those that are bred are shorter.
const FRESH: f64 = 0.25;
const CROSSED: f64 = 0.3;
