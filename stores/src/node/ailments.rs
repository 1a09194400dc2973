//! What befalls a node from outside while it runs: its clock goes wrong, its disk is slow or full.
//!
//! Nothing of the machine is touched. The node reads time, and writes to its disk, by way of what
//! is here, and whoever started it tells it over its standard input what is to be wrong, a line
//! each:
//!
//! | line | what it does |
//! |---|---|
//! | `leap NS` | the clock leaps ahead by so many nanoseconds |
//! | `rate PERCENT` | the clock goes at so many hundredths of the right rate |
//! | `stall NS` | every write takes so many nanoseconds longer to be durable |
//! | `fill` | the disk is full: the next write fails, and the node stops |
//! | `room` | the disk has room again |
//!
//! The clock is still monotonic: nothing makes it go back.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::replica::Time;

/// Something that befalls a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ailment {
    /// Its clock leaps ahead.
    Leap(Duration),
    /// Its clock goes at so many hundredths of the right rate.
    Rate(u32),
    /// Its writes take so much longer to be durable.
    Stall(Duration),
    /// Its disk is full, or has room again.
    Full(bool),
}

/// A line that says nothing of what befalls a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is nothing that could befall a node: say `leap NS`, `rate PERCENT`, `stall NS`, `fill` or `room`"
)]
pub struct NoAilment(String);

impl FromStr for Ailment {
    type Err = NoAilment;

    fn from_str(line: &str) -> Result<Self, NoAilment> {
        let none = || NoAilment(line.to_owned());
        let (verb, number) = line.split_once(' ').unwrap_or((line, ""));
        let nanoseconds = || number.parse().map(Duration::from_nanos).map_err(|_| none());
        match (verb, number) {
            ("leap", _) => Ok(Ailment::Leap(nanoseconds()?)),
            ("stall", _) => Ok(Ailment::Stall(nanoseconds()?)),
            ("rate", _) => match number.parse() {
                Ok(rate @ 1..=1000) => Ok(Ailment::Rate(rate)),
                _ => Err(none()),
            },
            ("fill", "") => Ok(Ailment::Full(true)),
            ("room", "") => Ok(Ailment::Full(false)),
            _ => Err(none()),
        }
    }
}

/// A node's clock and disk, as wrong as they are made.
#[derive(Clone, Debug)]
pub struct Ailments {
    clock: watch::Sender<Reading>,
    pub(super) disk: Arc<Disk>,
}

/// What is wrong with a disk.
#[derive(Debug, Default)]
pub(super) struct Disk {
    stall_ns: AtomicU64,
    full: AtomicBool,
}

impl Disk {
    /// Whether there is room; if so, takes as long as it takes.
    pub(super) fn write(&self) -> bool {
        let stall = Duration::from_nanos(self.stall_ns.load(Ordering::Relaxed));
        if !stall.is_zero() {
            std::thread::sleep(stall);
        }
        !self.full.load(Ordering::Relaxed)
    }
}

/// What a clock showed at a moment, and how fast it goes since.
#[derive(Clone, Copy, Debug)]
struct Reading {
    at: Instant,
    shown: Duration,
    /// Hundredths of the right rate.
    rate: u32,
}

impl Reading {
    fn shows(self, at: Instant) -> Time {
        self.shown + at.saturating_duration_since(self.at) * self.rate / 100
    }

    /// Lets it leap, or go at another rate from now on.
    fn turn(&mut self, at: Instant, ailment: Ailment) {
        *self = Reading { at, shown: self.shows(at), rate: self.rate };
        match ailment {
            Ailment::Leap(by) => self.shown += by,
            Ailment::Rate(rate) => self.rate = rate,
            Ailment::Stall(_) | Ailment::Full(_) => {}
        }
    }

    /// When it shows a time, or did.
    fn when(self, shown: Time) -> Instant {
        let left = shown.saturating_sub(self.shown);
        // Rounded up, so that it never is too early.
        let left = left.saturating_mul(100) / self.rate + Duration::from_nanos(1);
        // A deadline that is too far away for the system's clock is as good as none.
        self.at.checked_add(left).unwrap_or(self.at + Duration::from_secs(3600))
    }
}

impl Default for Ailments {
    /// Nothing is wrong. The clock begins with the time of day, so that a store that orders writes
    /// by clocks orders those of different nodes and incarnations about as people would.
    fn default() -> Self {
        // Before 1970 there is no telling, and no need to.
        let shown = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let clock = watch::Sender::new(Reading { at: Instant::now(), shown, rate: 100 });
        Ailments { clock, disk: Arc::default() }
    }
}

impl Ailments {
    /// Lets something befall the node.
    pub fn befall(&self, ailment: Ailment) {
        match ailment {
            Ailment::Leap(_) | Ailment::Rate(_) => {
                self.clock.send_modify(|reading| reading.turn(Instant::now(), ailment));
            }
            Ailment::Stall(by) => {
                let nanoseconds = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
                self.disk.stall_ns.store(nanoseconds, Ordering::Relaxed);
            }
            Ailment::Full(full) => self.disk.full.store(full, Ordering::Relaxed),
        }
    }

    pub(super) fn clock(&self) -> Clock {
        Clock(self.clock.subscribe())
    }
}

/// The node's clock, for whoever reads it.
#[derive(Clone, Debug)]
pub(super) struct Clock(watch::Receiver<Reading>);

impl Clock {
    pub(super) fn now(&self) -> Time {
        self.0.borrow().shows(Instant::now())
    }

    /// When it will show a time, or did, as it goes now.
    pub(super) fn instant(&self, shown: Time) -> Instant {
        self.0.borrow().when(shown)
    }

    /// Waits until it is turned: what was said of deadlines then no longer holds.
    pub(super) async fn turned(&mut self) {
        if self.0.changed().await.is_err() {
            // Nobody can turn it any more.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_nonsense_is_refused() {
        let ns = Duration::from_nanos;
        for (line, ailment) in [
            ("leap 3000000000", Ailment::Leap(ns(3_000_000_000))),
            ("rate 150", Ailment::Rate(150)),
            ("stall 7", Ailment::Stall(ns(7))),
            ("fill", Ailment::Full(true)),
            ("room", Ailment::Full(false)),
        ] {
            assert_eq!(line.parse(), Ok(ailment));
        }
        for line in
            ["", "leap", "leap -1", "leap 1 2", "rate 0", "rate 1001", "fill now", "sleep 1"]
        {
            assert!(line.parse::<Ailment>().is_err(), "{line}");
        }
    }

    #[test]
    fn a_clock_leaps_and_drifts_and_never_goes_back() {
        let (second, began) = (Duration::from_secs(1), Instant::now());
        let mut reading = Reading { at: began, shown: 100 * second, rate: 100 };
        let turn = |reading: &mut Reading, after: u32, shown: u32, ailment| {
            let at = began + after * second;
            assert_eq!(reading.shows(at), shown * second, "before {ailment:?}");
            reading.turn(at, ailment);
        };
        turn(&mut reading, 1, 101, Ailment::Leap(5 * second));
        turn(&mut reading, 1, 106, Ailment::Rate(200));
        turn(&mut reading, 2, 108, Ailment::Rate(25));
        turn(&mut reading, 6, 109, Ailment::Rate(100));
        turn(&mut reading, 7, 110, Ailment::Full(true));
        turn(&mut reading, 8, 111, Ailment::Rate(100));
    }

    #[test]
    fn a_deadline_is_never_told_too_early_and_hardly_too_late() {
        let at = Instant::now();
        for rate in [1, 33, 100, 137, 1000] {
            for ahead in [0, 1, 999, 1_000_003, 7_000_000_001] {
                let reading = Reading { at, shown: Duration::from_secs(9), rate };
                let deadline = reading.shown + Duration::from_nanos(ahead);
                let when = reading.when(deadline);
                assert!(reading.shows(when) >= deadline, "{rate} {ahead}");
                let most = Duration::from_nanos(ahead * 100 / u64::from(rate) + 2);
                assert!(when - at <= most, "{rate} {ahead}");
            }
        }
    }

    #[tokio::test]
    async fn whoever_waits_for_a_deadline_hears_that_the_clock_was_turned() {
        let ailments = Ailments::default();
        let mut clock = ailments.clock();
        let before = clock.now();
        ailments.befall(Ailment::Leap(Duration::from_secs(3600)));
        clock.turned().await;
        assert!(clock.now() >= before + Duration::from_secs(3600));
    }

    #[test]
    fn a_full_disk_refuses_until_it_has_room() {
        let ailments = Ailments::default();
        assert!(ailments.disk.write());
        ailments.befall(Ailment::Full(true));
        assert!(!ailments.disk.write());
        ailments.befall(Ailment::Full(false));
        assert!(ailments.disk.write());
    }
}
