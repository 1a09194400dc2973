//! Clocks of nodes: monotonic, each with an offset and a rate of its own.

use std::time::Duration;

use rashomon_stores::replica::Time;

/// A node's clock. It shows `offset` at the world's time zero and goes `ppm` millionths faster than
/// the world's time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    offset: u64,
    ppm: i64,
}

const MILLION: i128 = 1_000_000;

impl Clock {
    /// A clock that shows so many nanoseconds at time zero and goes so many millionths faster.
    pub(super) fn new(offset: u64, ppm: i64) -> Self {
        Clock { offset, ppm }
    }

    /// What it shows at a time of the world, in nanoseconds.
    pub(super) fn shows(self, world: u64) -> Time {
        let gained = i128::from(world) * i128::from(self.ppm) / MILLION;
        // A clock that is slow shows less, but never goes back: the rate is above -100 %.
        Duration::from_nanos((i128::from(self.offset) + i128::from(world) + gained) as u64)
    }

    /// The first time of the world at which it shows this or more.
    pub(super) fn when(self, shown: Time) -> u64 {
        let since = shown.as_nanos() as i128 - i128::from(self.offset);
        let guess = (since * MILLION / (MILLION + i128::from(self.ppm))).max(0) as u64;
        // Rounding is off by one at most, either way.
        let mut world = guess.saturating_sub(1);
        while self.shows(world) < shown {
            world += 1;
        }
        world
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn a_time_is_found_again_and_never_early() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..10_000 {
            let ppm = rng.random_range(-50_000..=50_000);
            let clock = Clock::new(rng.random_range(0..1 << 40), ppm);
            let shown = clock.shows(0) + Duration::from_nanos(rng.random_range(0..1 << 42));
            let world = clock.when(shown);
            assert!(clock.shows(world) >= shown);
            assert!(world == 0 || clock.shows(world - 1) < shown, "{clock:?} {shown:?}");
        }
    }

    #[test]
    fn what_is_past_is_now() {
        let clock = Clock::new(1_000, 0);
        assert_eq!(clock.when(Duration::from_nanos(400)), 0);
        assert_eq!(clock.when(Duration::from_nanos(1_400)), 400);
    }
}
