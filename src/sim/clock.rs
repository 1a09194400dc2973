//! Clocks of nodes: monotonic, each with an offset and a rate of its own, which may change.

use std::time::Duration;

use rashomon_stores::replica::Time;

/// A node's clock. Since a time of the world, at which it showed some time, it goes `ppm` millionths
/// faster than the world's time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    since: u64,
    shown: u64,
    ppm: i64,
}

const MILLION: i128 = 1_000_000;

impl Clock {
    /// A clock that shows so many nanoseconds at time zero and goes so many millionths faster.
    pub(super) fn new(offset: u64, ppm: i64) -> Self {
        Clock { since: 0, shown: offset, ppm }
    }

    /// What it shows at a time of the world that is not before its latest change.
    pub(super) fn shows(self, world: u64) -> Time {
        Duration::from_nanos(self.nanoseconds(world))
    }

    fn nanoseconds(self, world: u64) -> u64 {
        let passed = i128::from(world - self.since);
        // A clock that is slow shows less, but never goes back: the rate is above -100 %.
        let gained = passed * i128::from(self.ppm) / MILLION;
        (i128::from(self.shown) + passed + gained) as u64
    }

    /// The first time of the world, from its latest change on, at which it shows this or more.
    pub(super) fn when(self, shown: Time) -> u64 {
        let left = shown.as_nanos() as i128 - i128::from(self.shown);
        let guess = (left * MILLION / (MILLION + i128::from(self.ppm))).max(0) as u64;
        // Rounding is off by one at most, either way.
        let mut world = self.since + guess.saturating_sub(1);
        while self.shows(world) < shown {
            world += 1;
        }
        world
    }

    /// Lets it leap forward by so many nanoseconds, now.
    pub(super) fn jump(&mut self, now: u64, by: u64) {
        self.change_rate(now, self.ppm);
        self.shown += by;
    }

    /// Lets it go so many millionths faster from now on.
    pub(super) fn change_rate(&mut self, now: u64, ppm: i64) {
        *self = Clock { since: now, shown: self.nanoseconds(now), ppm };
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
            let ppm = rng.random_range(-500_000..=500_000);
            let mut clock = Clock::new(rng.random_range(0..1 << 40), ppm);
            let changed = rng.random_range(0..2) * rng.random_range(0..1 << 40);
            clock.change_rate(changed, rng.random_range(-500_000..=500_000));
            let shown = clock.shows(changed) + Duration::from_nanos(rng.random_range(0..1 << 42));
            let world = clock.when(shown);
            assert!(clock.shows(world) >= shown);
            assert!(world == changed || clock.shows(world - 1) < shown, "{clock:?} {shown:?}");
        }
    }

    #[test]
    fn what_is_past_is_now() {
        let clock = Clock::new(1_000, 0);
        assert_eq!(clock.when(Duration::from_nanos(400)), 0);
        assert_eq!(clock.when(Duration::from_nanos(1_400)), 400);
    }

    #[test]
    fn a_clock_never_goes_back_and_leaps_as_far_as_it_is_told() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let (mut clock, mut now) = (Clock::new(5, 0), 0);
        for _ in 0..10_000 {
            let before = clock.shows(now);
            match rng.random_range(0..3) {
                0 => {
                    let by = rng.random_range(0..1 << 32);
                    clock.jump(now, by);
                    assert_eq!(clock.shows(now), before + Duration::from_nanos(by));
                }
                1 => {
                    clock.change_rate(now, rng.random_range(-999_999..=2_000_000));
                    assert_eq!(clock.shows(now), before, "only the rate changes");
                }
                _ => now += rng.random_range(0..1 << 20),
            }
            assert!(clock.shows(now) >= before);
        }
    }
}
