//! Which key comes next: a few hot ones, each left for a fresh one when it has been used enough.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{Action, Request};

/// A rotating set of keys.
#[derive(Debug)]
pub(super) struct Keys {
    hot: Vec<Key>,
    next: u32,
    operations_per_key: u32,
}

#[derive(Debug)]
struct Key {
    number: u32,
    left: u32,
}

impl Keys {
    /// `hot` keys at a time, each for `operations_per_key` operations.
    pub(super) fn new(hot: u32, operations_per_key: u32) -> Self {
        // The first keys end at different times, so that they are not all replaced at once.
        let key = |number| Key { number, left: operations_per_key * (number + 1) / hot };
        Keys { hot: (0..hot).map(key).collect(), next: hot, operations_per_key }
    }

    /// A key for the next operation.
    pub(super) fn pick(&mut self, rng: &mut ChaCha8Rng) -> u32 {
        let slot = rng.random_range(0..self.hot.len());
        let key = &mut self.hot[slot];
        if key.left == 0 {
            *key = Key { number: self.next, left: self.operations_per_key };
            self.next += 1;
        }
        key.left -= 1;
        key.number
    }

    /// A read of every key that was ever in use.
    pub(super) fn reads(&self, read: &Action) -> Vec<Request> {
        let of_key = |number| Request { key: name(number), action: read.clone() };
        (0..self.next).map(of_key).collect()
    }
}

/// The name of a key in the store and in the history.
pub(super) fn name(number: u32) -> String {
    format!("x{number}")
}
