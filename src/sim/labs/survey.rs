//! One test under many seeds.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use rashomon_stores::raft::mutants::Bug;
use rayon::prelude::*;

use super::{Bound, Failure, Outcome, Test};

/// What came out of a test under many seeds.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// How many seeds there were.
    pub seeds: u64,
    /// The seeds under which it failed, with what it found, in order.
    pub failures: Vec<(u64, Failure)>,
    /// The most calls of any seed.
    pub calls_max: u64,
    /// The longest virtual time of any seed, in seconds.
    pub seconds_max: f64,
    /// The virtual time of all seeds together, in seconds.
    pub seconds: f64,
    /// The worst of each count that has a bound.
    pub worst: Vec<Bound>,
}

impl Test {
    /// Runs it under many seeds, on all processors. What comes out does not depend on how many
    /// there are.
    pub fn survey(&self, seeds: RangeInclusive<u64>, bug: Option<Bug>) -> Survey {
        let run = |seed| (seed, self.run(seed, bug));
        let results: Vec<_> = seeds.into_par_iter().map(run).collect();
        let mut survey = Survey { seeds: results.len() as u64, ..Survey::default() };
        let mut worst = BTreeMap::new();
        for (seed, result) in results {
            match result {
                Ok(outcome) => survey.add(&outcome, &mut worst),
                Err(failure) => survey.failures.push((seed, failure)),
            }
        }
        survey.worst = worst.into_values().collect();
        survey
    }
}

impl Survey {
    fn add(&mut self, outcome: &Outcome, worst: &mut BTreeMap<&'static str, Bound>) {
        let seconds = outcome.virtual_time.as_secs_f64();
        self.calls_max = self.calls_max.max(outcome.calls);
        self.seconds_max = self.seconds_max.max(seconds);
        self.seconds += seconds;
        for bound in &outcome.bounds {
            let known = worst.entry(bound.what).or_insert(*bound);
            // Bounds may differ between seeds: the worst is what comes closest to its own.
            if bound.count * known.bound > known.count * bound.bound {
                *known = *bound;
            }
        }
    }
}
