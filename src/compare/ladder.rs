//! The ladder: which promises were kept and broken, over all runs of a store.

use rashomon_checker::consistency::{Anomaly, Promise};
use serde::Serialize;

use crate::contract::{Before, Contract, Kept, LINEARIZABLE, Row};
use crate::report::{Coverage, Finding, OperationLine, Results};

/// The least history that shows a promise broken.
#[derive(Clone, Debug, Serialize)]
pub struct Example {
    /// The seed of the run.
    pub seed: u64,
    /// What happened.
    pub why: String,
    /// The operations that prove it.
    pub operations: Vec<OperationLine>,
    /// What the literature calls it, if it has a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anomaly: Option<Anomaly>,
    /// Where operations come before each other in a circle, that circle.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cycle: Vec<Before>,
    /// The whole explanation, where no order of all operations is the matter.
    #[serde(skip)]
    pub finding: Option<Finding>,
    /// What happened around them.
    #[serde(skip)]
    pub coverage: Coverage,
}

/// What may be said of a rate of which some trials are known: with 95 % confidence it is between
/// these.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// At least.
    pub low: f64,
    /// At most.
    pub high: f64,
}

impl Interval {
    /// Of so many trials in which something happened so often; `None` without trials. Where it never
    /// happened, or always, by the rule of three (Hanley and Lippman-Hand 1983); else Wilson's.
    pub fn of(happened: u64, trials: u64) -> Option<Self> {
        if trials == 0 {
            return None;
        }
        let n = trials as f64;
        if happened == 0 {
            return Some(Interval { low: 0.0, high: (3.0 / n).min(1.0) });
        }
        if happened == trials {
            return Some(Interval { low: (1.0 - 3.0 / n).max(0.0), high: 1.0 });
        }
        const Z: f64 = 1.96;
        let share = happened as f64 / n;
        let middle = share + Z * Z / (2.0 * n);
        let reach = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        Some(Interval { low: (middle - reach) / scale, high: (middle + reach) / scale })
    }
}

/// A promise over all runs.
#[derive(Clone, Debug, Serialize)]
pub struct Rung {
    /// Its name.
    pub name: &'static str,
    /// Whether the store makes it.
    pub promised: bool,
    /// In how many runs nothing speaks against it.
    pub held: u64,
    /// In how many it was broken.
    pub violated: u64,
    /// Of how many nobody can tell.
    pub unknown: u64,
    /// In which share of runs it is broken.
    pub broken_rate: Option<Interval>,
    /// Why nobody can tell, of the first of those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
    /// The least example of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<Example>,
}

impl Rung {
    /// What it comes to.
    pub fn kept(&self) -> Kept {
        match self {
            Rung { violated: 1.., .. } => Kept::Violated,
            Rung { held: 1.., .. } => Kept::Held,
            _ => Kept::Unknown,
        }
    }
}

/// All rungs of a store.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Ladder(pub Vec<Rung>);

impl Ladder {
    /// Without a run yet.
    pub fn new(contract: &Contract) -> Self {
        let rung = |name, promised| Rung {
            name,
            promised,
            held: 0,
            violated: 0,
            unknown: 0,
            broken_rate: None,
            doubt: None,
            example: None,
        };
        let others = Promise::ALL.map(|promise| {
            // One order of all operations has every other promise in it.
            let promised = contract.linearizable || contract.promises.contains(&promise);
            rung(promise.as_str(), promised)
        });
        Ladder([rung(LINEARIZABLE, contract.linearizable)].into_iter().chain(others).collect())
    }

    /// Adds a run.
    pub fn add(&mut self, results: &Results) {
        let strongest = results.promises.iter().find(|row| row.promise == LINEARIZABLE);
        let has_order = strongest.is_some_and(|row| row.verdict == Kept::Held);
        for rung in &mut self.0 {
            let row = results.promises.iter().find(|row| row.promise == rung.name);
            match row {
                Some(row) => rung.add(row, results),
                None if has_order => rung.held += 1,
                None => rung.unknown += 1,
            }
            rung.broken_rate = Interval::of(rung.violated, rung.held + rung.violated);
        }
    }

    /// The rung of this name.
    pub fn rung(&self, name: &str) -> Option<&Rung> {
        self.0.iter().find(|rung| rung.name == name)
    }
}

impl Rung {
    fn add(&mut self, row: &Row, results: &Results) {
        match row.verdict {
            Kept::Held => self.held += 1,
            Kept::Unknown => {
                self.unknown += 1;
                self.doubt = self.doubt.take().or_else(|| row.why.clone());
            }
            Kept::Violated => {
                self.violated += 1;
                let least = self.example.as_ref().map_or(usize::MAX, |it| it.operations.len());
                if row.operations.len() < least {
                    let finding = (self.name == LINEARIZABLE).then(|| results.finding.clone());
                    self.example = Some(Example {
                        seed: results.plan.seed,
                        why: row.why.clone().unwrap_or_default(),
                        operations: row.operations.clone(),
                        anomaly: row.anomaly,
                        cycle: row.cycle.clone(),
                        finding: finding.flatten(),
                        coverage: results.coverage.clone(),
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_wilson_s_and_at_the_ends_the_rule_of_three() {
        assert_eq!(Interval::of(0, 0), None);
        assert_eq!(Interval::of(0, 1), Some(Interval { low: 0.0, high: 1.0 }));
        assert_eq!(Interval::of(0, 300), Some(Interval { low: 0.0, high: 0.01 }));
        assert_eq!(Interval::of(300, 300), Some(Interval { low: 0.99, high: 1.0 }));
        let half = Interval::of(50, 100).expect("there are trials");
        assert!((half.low - 0.4038).abs() < 1e-3 && (half.high - 0.5962).abs() < 1e-3, "{half:?}");
    }

    /// The real share is in the interval in about 95 of 100 cases, whatever it is.
    #[test]
    fn intervals_cover_what_they_claim() {
        use rand::{RngExt, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let (mut covered, rounds) = (0, 4_000);
        for _ in 0..rounds {
            let share: f64 = rng.random_range(0.02..0.98);
            let trials = rng.random_range(10..200);
            let happened = (0..trials).filter(|_| rng.random_bool(share)).count() as u64;
            let interval = Interval::of(happened, trials).expect("there are trials");
            covered += u32::from(interval.low <= share && share <= interval.high);
        }
        assert!(covered >= rounds * 93 / 100, "{covered} of {rounds}");
    }
}
