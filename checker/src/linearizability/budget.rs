//! Bounds on time and memory, shared by everything that works on one check.
//!
//! Deciding linearizability is NP-complete (Gibbons & Korach, SIAM J. Comput. 1997), so a search
//! needs an end that is not an answer. Time is one deadline for all parts; memory is one account
//! that every engine draws on before it grows.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Engine;

/// How many steps pass between two looks at the clock.
const TICKS_PER_LOOK: u32 = 1024;

/// What was not enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resource {
    /// The deadline passed.
    Time(Duration),
    /// The engines may not hold more bytes than this.
    Memory(usize),
    /// The only engine that was allowed cannot decide operations such as these.
    Engine(Engine),
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resource::Time(limit) => write!(f, "{} s of time", limit.as_secs_f64()),
            Resource::Memory(limit) => write!(f, "{} MiB of memory", limit >> 20),
            Resource::Engine(engine) => write!(f, "what the engine {engine} can do"),
        }
    }
}

/// The account of one check.
#[derive(Debug)]
pub struct Budget {
    time: Duration,
    deadline: Option<Instant>,
    memory: usize,
    held: AtomicUsize,
    peak: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(time: Duration, memory: usize) -> Self {
        let deadline = Instant::now().checked_add(time);
        let (held, peak) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Budget { time, deadline, memory, held, peak }
    }

    /// What one engine does on this account; what it holds is given back when the meter drops.
    pub(crate) fn meter(&self) -> Meter<'_> {
        Meter { budget: self, ticks: 0, held: 0 }
    }

    /// The most bytes that were held at one time.
    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    /// What is not enough once the deadline has passed.
    pub(crate) fn time_limit(&self) -> Resource {
        Resource::Time(self.time)
    }

    /// Whether the deadline has passed.
    pub(crate) fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// One engine's use of a [`Budget`].
#[derive(Debug)]
pub(crate) struct Meter<'a> {
    budget: &'a Budget,
    ticks: u32,
    held: usize,
}

impl Meter<'_> {
    /// Counts a step.
    ///
    /// # Errors
    ///
    /// [`Resource::Time`] once the deadline has passed; the first step looks at the clock.
    pub(crate) fn tick(&mut self) -> Result<(), Resource> {
        if self.ticks.is_multiple_of(TICKS_PER_LOOK) && self.budget.is_over() {
            return Err(self.budget.time_limit());
        }
        self.ticks = self.ticks.wrapping_add(1);
        Ok(())
    }

    /// Draws memory that is about to be allocated.
    ///
    /// # Errors
    ///
    /// [`Resource::Memory`] if the account does not cover it.
    pub(crate) fn draw(&mut self, bytes: usize) -> Result<(), Resource> {
        let before = self.budget.held.fetch_add(bytes, Ordering::Relaxed);
        self.held += bytes;
        match before.checked_add(bytes) {
            Some(held) if held <= self.budget.memory => {
                self.budget.peak.fetch_max(held, Ordering::Relaxed);
                Ok(())
            }
            _ => Err(Resource::Memory(self.budget.memory)),
        }
    }
}

impl Drop for Meter<'_> {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_one_account_and_comes_back() {
        let budget = Budget::new(Duration::from_secs(3600), 100);
        let mut first = budget.meter();
        assert_eq!(first.draw(60), Ok(()));
        assert_eq!(budget.meter().draw(60), Err(Resource::Memory(100)));
        drop(first);
        assert_eq!(budget.meter().draw(60), Ok(()));
    }

    #[test]
    fn a_passed_deadline_is_noticed_at_the_first_step() {
        let budget = Budget::new(Duration::ZERO, 100);
        assert_eq!(budget.meter().tick(), Err(Resource::Time(Duration::ZERO)));
    }
}
