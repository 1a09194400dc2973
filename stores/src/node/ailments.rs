//! What befalls a node from outside while it runs: its clock goes wrong, its disk is slow or full or
//! fails, its power goes.
//!
//! Nothing of the machine is touched. The node reads time, and writes to its disk, by way of what
//! is here, and whoever started it tells it over its standard input what is to be wrong, a line
//! each:
//!
//! | line | what it does |
//! |---|---|
//! | `leap NS` | the clock leaps ahead by so many nanoseconds |
//! | `rate PERCENT` | the clock goes at so many hundredths of the right rate |
//! | `strobe NS` | it goes at 190 and at 10 hundredths by turns, each so many nanoseconds long |
//! | `stall NS` | every write takes so many nanoseconds longer to be durable |
//! | `fill` | the disk is full: the next write fails, and the node stops |
//! | `balk SEED` | the next sync of the disk fails, and the node stops |
//! | `room` | the disk has room again, and syncs |
//! | `meet N ADDRESS` | node N, which is new, is reached there |
//! | `unplug SEED` | the power goes: what is not synced is lost, or as much of it as the seed decides |
//!
//! The clock is still monotonic: nothing makes it go back.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::time::Instant;

use super::volatile::{Loss, VolatileFile};
use crate::replica::{NodeId, Time};

/// Something that befalls a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ailment {
    /// Its clock leaps ahead.
    Leap(Duration),
    /// Its clock goes at so many hundredths of the right rate.
    Rate(u32),
    /// Its clock is fast and slow by turns of so long, a microsecond at least.
    Strobe(Duration),
    /// Its writes take so much longer to be durable.
    Stall(Duration),
    /// Its disk is full, or has room again and syncs.
    Full(bool),
    /// The next sync of its disk fails; the seed decides what of it is on the disk all the same.
    Balk(u64),
    /// Its power goes; the seed decides what of that which is not synced is lost.
    Unplug(u64),
    /// No ailment, but word of a node that was not there before: where it is reached.
    Meet(NodeId, SocketAddr),
}

/// A line that says nothing of what befalls a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is nothing that could befall a node: say `leap NS`, `rate PERCENT`, `strobe NS`, `stall NS`, `fill`, `balk SEED`, `room`, `unplug SEED` or `meet N ADDRESS`"
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
            ("strobe", _) => match nanoseconds()? {
                turn if turn >= Duration::from_micros(1) => Ok(Ailment::Strobe(turn)),
                _ => Err(none()),
            },
            ("rate", _) => match number.parse() {
                Ok(rate @ 1..=1000) => Ok(Ailment::Rate(rate)),
                _ => Err(none()),
            },
            ("meet", whom) => {
                let (node, address) = whom.split_once(' ').ok_or_else(none)?;
                let node = NodeId(node.parse().map_err(|_| none())?);
                Ok(Ailment::Meet(node, address.parse().map_err(|_| none())?))
            }
            ("balk", seed) => seed.parse().map(Ailment::Balk).map_err(|_| none()),
            ("unplug", seed) => seed.parse().map(Ailment::Unplug).map_err(|_| none()),
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
    pub(super) met: Met,
}

/// Where nodes are reached that the node was told of while it runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Met(Arc<Mutex<BTreeMap<NodeId, SocketAddr>>>);

impl Met {
    /// Where a node is reached, if that was said.
    pub(super) fn address(&self, node: NodeId) -> Option<String> {
        let met = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        met.get(&node).map(|address| format!("http://{address}"))
    }

    fn meet(&self, node: NodeId, address: SocketAddr) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(node, address);
    }
}

/// What is wrong with a disk.
#[derive(Debug, Default)]
pub(super) struct Disk {
    stall_ns: AtomicU64,
    full: AtomicBool,
    /// The seed of what a sync loses that fails, if the next one does.
    balk: Mutex<Option<u64>>,
    /// The file that is lost in part when the power goes, once there is one.
    file: OnceLock<Weak<VolatileFile>>,
}

impl Disk {
    /// Whether there is room.
    pub(super) fn has_room(&self) -> bool {
        !self.full.load(Ordering::Relaxed)
    }

    /// Takes its time over one of so many steps by which something becomes durable.
    pub(super) fn linger(&self, steps: u32) {
        let stall = Duration::from_nanos(self.stall_ns.load(Ordering::Relaxed));
        if !stall.is_zero() {
            std::thread::sleep(stall / steps);
        }
    }

    /// Lets the next sync fail, or not.
    pub(super) fn balk(&self, seed: Option<u64>) {
        *self.balk.lock().unwrap_or_else(PoisonError::into_inner) = seed;
    }

    /// Whether this sync fails: the seed of what it loses.
    pub(super) fn balks(&self) -> Option<u64> {
        self.balk.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What is on it.
    pub(super) fn holds(&self, file: &Arc<VolatileFile>) {
        // One node opens one file, once.
        let _ = self.file.set(Arc::downgrade(file));
    }

    fn unplug(&self, seed: u64) {
        let file = self.file.get().and_then(Weak::upgrade);
        match file.map(|file| file.lose_power(seed)) {
            Some(Ok(Loss { unsynced, lost })) => {
                tracing::info!("lost {lost} of {unsynced} unsynced writes");
            }
            Some(Err(error)) => tracing::error!("what was not synced could not be lost: {error}"),
            None => {}
        }
    }
}

/// What a clock showed at a moment, and how fast it goes since.
#[derive(Clone, Copy, Debug)]
struct Reading {
    at: Instant,
    shown: Duration,
    pace: Pace,
}

/// How fast a clock goes.
#[derive(Clone, Copy, Debug)]
enum Pace {
    /// At so many hundredths of the right rate.
    Even(u32),
    /// At 190 hundredths for so many nanoseconds and then at 10 for as many, again and again: right on
    /// the whole.
    Strobe(u64),
}

impl Pace {
    /// How much the clock gains in a time since it goes so.
    fn gains(self, passed: Duration) -> Duration {
        match self {
            Pace::Even(rate) => passed * rate / 100,
            Pace::Strobe(turn) => {
                let (round, passed) = (2 * u128::from(turn), passed.as_nanos());
                let within = passed % round;
                let (fast, slow) = (within.min(round / 2), within.saturating_sub(round / 2));
                nanoseconds(passed - within + (fast * 190 + slow * 10) / 100)
            }
        }
    }

    /// After what time it has gained so much, or a little more.
    fn takes(self, gain: Duration) -> Duration {
        let takes = match self {
            Pace::Even(rate) => gain.saturating_mul(100) / rate,
            Pace::Strobe(turn) => {
                let (round, gain) = (2 * u128::from(turn), gain.as_nanos());
                let within = gain % round;
                let fast = u128::from(turn) * 190 / 100;
                let (fast, slow) = (within.min(fast), within.saturating_sub(fast));
                nanoseconds(gain - within + fast * 100 / 190 + slow * 10)
            }
        };
        // Rounded up twice, so that it never is too early.
        takes + Duration::from_nanos(12)
    }
}

fn nanoseconds(count: u128) -> Duration {
    Duration::from_nanos(u64::try_from(count).unwrap_or(u64::MAX))
}

impl Reading {
    fn shows(self, at: Instant) -> Time {
        self.shown + self.pace.gains(at.saturating_duration_since(self.at))
    }

    /// Lets it leap, or go at another pace from now on.
    fn turn(&mut self, at: Instant, ailment: Ailment) {
        *self = Reading { at, shown: self.shows(at), pace: self.pace };
        match ailment {
            Ailment::Leap(by) => self.shown += by,
            Ailment::Rate(rate) => self.pace = Pace::Even(rate),
            Ailment::Strobe(turn) => {
                self.pace = Pace::Strobe(u64::try_from(turn.as_nanos()).unwrap_or(u64::MAX / 4));
            }
            _ => {}
        }
    }

    /// When it shows a time, or did.
    fn when(self, shown: Time) -> Instant {
        let left = self.pace.takes(shown.saturating_sub(self.shown));
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
        let pace = Pace::Even(100);
        let clock = watch::Sender::new(Reading { at: Instant::now(), shown, pace });
        Ailments { clock, disk: Arc::default(), met: Met::default() }
    }
}

impl Ailments {
    /// Lets something befall the node. When this returns from an [`Ailment::Unplug`], what is lost is
    /// lost, and the node will never again find anything durable; its process is to end at once.
    pub fn befall(&self, ailment: Ailment) {
        match ailment {
            Ailment::Leap(_) | Ailment::Rate(_) | Ailment::Strobe(_) => {
                self.clock.send_modify(|reading| reading.turn(Instant::now(), ailment));
            }
            Ailment::Stall(by) => {
                let nanoseconds = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
                self.disk.stall_ns.store(nanoseconds, Ordering::Relaxed);
            }
            Ailment::Full(full) => {
                self.disk.full.store(full, Ordering::Relaxed);
                self.disk.balk(None);
            }
            Ailment::Balk(seed) => self.disk.balk(Some(seed)),
            Ailment::Unplug(seed) => self.disk.unplug(seed),
            Ailment::Meet(node, address) => self.met.meet(node, address),
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
            ("strobe 200000000", Ailment::Strobe(ns(200_000_000))),
            ("stall 7", Ailment::Stall(ns(7))),
            ("fill", Ailment::Full(true)),
            ("room", Ailment::Full(false)),
            ("balk 3", Ailment::Balk(3)),
            ("unplug 18446744073709551615", Ailment::Unplug(u64::MAX)),
            ("meet 6 127.0.0.1:4006", Ailment::Meet(NodeId(6), ([127, 0, 0, 1], 4006).into())),
        ] {
            assert_eq!(line.parse(), Ok(ailment));
        }
        for line in [
            "",
            "leap",
            "leap -1",
            "leap 1 2",
            "rate 0",
            "rate 1001",
            "strobe 0",
            "fill now",
            "unplug",
            "meet 6",
            "meet 6 here",
            "sleep 1",
        ] {
            assert!(line.parse::<Ailment>().is_err(), "{line}");
        }
    }

    #[test]
    fn a_clock_leaps_and_drifts_and_never_goes_back() {
        let (second, began) = (Duration::from_secs(1), Instant::now());
        let pace = Pace::Even(100);
        let mut reading = Reading { at: began, shown: 100 * second, pace };
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
        turn(&mut reading, 8, 111, Ailment::Strobe(5 * second));
        // A round is fast for five seconds and slow for as many.
        turn(&mut reading, 18, 121, Ailment::Strobe(10 * second));
        turn(&mut reading, 28, 140, Ailment::Rate(100));
    }

    #[test]
    fn a_deadline_is_never_told_too_early_and_hardly_too_late() {
        let at = Instant::now();
        let even = [1, 33, 100, 137, 1000].map(|rate| (Pace::Even(rate), rate.min(100)));
        let strobes = [1_000, 77_777, 200_000_000].map(|turn| (Pace::Strobe(turn), 10));
        for (pace, slowest) in even.into_iter().chain(strobes) {
            for ahead in [0, 1, 999, 1_000_003, 7_000_000_001] {
                let reading = Reading { at, shown: Duration::from_secs(9), pace };
                let deadline = reading.shown + Duration::from_nanos(ahead);
                let when = reading.when(deadline);
                assert!(reading.shows(when) >= deadline, "{pace:?} {ahead}");
                let most = Duration::from_nanos(ahead * 100 / u64::from(slowest) + 12);
                assert!(when - at <= most, "{pace:?} {ahead}");
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
        assert!(ailments.disk.has_room());
        ailments.befall(Ailment::Full(true));
        assert!(!ailments.disk.has_room());
        ailments.befall(Ailment::Full(false));
        assert!(ailments.disk.has_room());
    }
}
