//! Registers: unique writes, reads, and compare-and-sets from a value seen lately.
//!
//! Every write and every compare-and-set brings a value of its own, so that a read tells which
//! operation it saw: the structure that makes a history cheap to judge (Gibbons and Korach,
//! "Testing Shared Memories", SIAM J. Comput. 1997).

use std::collections::BTreeMap;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::keys::{self, Keys};
use super::{Action, Outcome, Request, Workload};

/// The `register` workload.
#[derive(Debug)]
pub struct Register {
    keys: Keys,
    next_value: i64,
    /// What was last known to be in a key: the best guess for a compare-and-set.
    seen: BTreeMap<String, i64>,
}

impl Register {
    /// Starts with keys `x0`, `x1`, … and values `1`, `2`, …
    pub fn new() -> Self {
        Self::with_keys(4, 150)
    }

    /// The same with so many keys at a time, each for so many operations.
    pub(super) fn with_keys(hot: u32, operations_per_key: u32) -> Self {
        Register { keys: Keys::new(hot, operations_per_key), next_value: 1, seen: BTreeMap::new() }
    }

    fn fresh_value(&mut self) -> i64 {
        let value = self.next_value;
        self.next_value += 1;
        value
    }
}

impl Default for Register {
    fn default() -> Self {
        Self::new()
    }
}

impl Workload for Register {
    fn model(&self) -> &'static str {
        "cas-register"
    }

    fn next(&mut self, rng: &mut ChaCha8Rng) -> Request {
        let key = keys::name(self.keys.pick(rng));
        let seen = self.seen.get(&key).copied();
        let action = match (rng.random_range(0..100), seen) {
            (0..50, _) => Action::Read,
            (80.., Some(expected)) => Action::Cas { expected, new: self.fresh_value() },
            _ => Action::Write(self.fresh_value()),
        };
        Request { key, action }
    }

    fn observe(&mut self, request: &Request, outcome: &Outcome) {
        let Outcome::Ok(result) = outcome else { return };
        let now = match request.action {
            Action::Write(value) => Some(value),
            Action::Cas { new, .. } => Some(new),
            _ => result.as_int(),
        };
        if let Some(now) = now {
            self.seen.insert(request.key.clone(), now);
        }
    }

    fn final_reads(&self) -> Vec<Request> {
        self.keys.reads(&Action::Read)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng;
    use rashomon_checker::history::Value;

    use super::*;

    #[test]
    fn written_values_are_unique_and_operations_mixed() {
        let mut workload = Register::new();
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut values = BTreeSet::new();
        let (mut reads, mut cas) = (0, 0);
        for _ in 0..2_000 {
            let request = workload.next(&mut rng);
            match request.action {
                Action::Write(value) => assert!(values.insert(value)),
                Action::Cas { new, .. } => {
                    cas += 1;
                    assert!(values.insert(new));
                }
                _ => reads += 1,
            }
            workload.observe(&request, &Outcome::Ok(Value::Nil));
        }
        assert!((800..1_200).contains(&reads), "{reads} reads");
        assert!((250..550).contains(&cas), "{cas} cas");
    }

    #[test]
    fn a_key_is_left_after_its_share_of_operations() {
        let mut workload = Register::new();
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut uses: BTreeMap<String, u32> = BTreeMap::new();
        for _ in 0..3_000 {
            *uses.entry(workload.next(&mut rng).key).or_default() += 1;
        }
        assert!(uses.len() >= 15, "{uses:?}");
        assert!(uses.values().all(|&uses| uses <= 150), "{uses:?}");
    }

    #[test]
    fn the_same_seed_asks_for_the_same_operations() {
        let run = || {
            let mut workload = Register::new();
            let mut rng = ChaCha8Rng::seed_from_u64(42);
            (0..500).map(|_| workload.next(&mut rng)).collect::<Vec<_>>()
        };
        assert_eq!(run(), run());
    }
}
