//! Mishaps: what befalls one node by itself, now and then, at times that nobody plans.
//!
//! The faults of a schedule are done *to* a cluster; these happen *within* a node: a virtual machine
//! is suspended, a clock is corrected, a disk is full. The kinds are those of Jepsen's nemeses
//! (pause, clock bump and strobe, full disk) and of FoundationDB's simulation, and what Ganesan et al. did to disks ("Redundancy Does Not Imply Fault
//! Tolerance", FAST 2017). A [`Climate`] says how
//! often each befalls a node; the world draws when, and for how long, from the run's seed.
//!
//! [`Climate`]: super::climate::Climate

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rashomon_nemesis::Moment;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::climate::{Kind, Kinds};

/// Something that befalls a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mishap {
    /// The node stands still for a while: a long collection of garbage, a stopped process.
    Pause,
    /// Its clock leaps forward, as after a virtual machine was suspended. Never back: the clock that
    /// a core sees is monotonic.
    ClockJump,
    /// For a while its clock changes its rate again and again.
    ClockStrobe,
    /// For a while every step takes it long, so that its inputs queue up: a machine shared with
    /// others, a processor that is too hot.
    SlowCpu,
    /// An fsync fails. Nobody knows then what is on the disk, so its host stops the node, as the seam
    /// demands; a supervisor starts it again (Rebello et al., "Can Applications Recover from fsync
    /// Failures?", ATC 2020).
    FsyncFailure,
    /// For a while its disk is full: every write fails in the same way, also after a new start.
    FullDisk,
    /// A record on its disk is damaged. The host's checksums show that at the next start, and the node
    /// stays down for good: one that forgets must not come back under its old name (Alagappan et al.,
    /// "Protocol-Aware Recovery for Consensus-Based Storage", FAST 2018).
    BitRot,
}

impl Mishap {
    /// Every one, in the order of their numbers.
    pub const ALL: [Mishap; 7] = [
        Mishap::Pause,
        Mishap::ClockJump,
        Mishap::ClockStrobe,
        Mishap::SlowCpu,
        Mishap::FsyncFailure,
        Mishap::FullDisk,
        Mishap::BitRot,
    ];

    /// Its name in scenarios and histories.
    pub fn name(self) -> &'static str {
        match self {
            Mishap::Pause => "pause",
            Mishap::ClockJump => "clock-jump",
            Mishap::ClockStrobe => "clock-strobe",
            Mishap::SlowCpu => "slow-cpu",
            Mishap::FsyncFailure => "fsync-failure",
            Mishap::FullDisk => "full-disk",
            Mishap::BitRot => "bit-rot",
        }
    }

    /// The kind of trouble that it is a part of.
    pub fn kind(self) -> Kind {
        match self {
            Mishap::Pause => Kind::Pause,
            Mishap::ClockJump | Mishap::ClockStrobe => Kind::Clock,
            Mishap::SlowCpu => Kind::Cpu,
            Mishap::FsyncFailure | Mishap::FullDisk | Mishap::BitRot => Kind::Disk,
        }
    }

    /// The mean times between two at a node that seeds draw from, in milliseconds.
    fn periods(self) -> Range<u64> {
        match self {
            Mishap::Pause | Mishap::ClockJump | Mishap::ClockStrobe | Mishap::SlowCpu => {
                1_500..15_000
            }
            Mishap::FsyncFailure | Mishap::FullDisk => 5_000..40_000,
            // A node that is lost is lost for the rest of the run.
            Mishap::BitRot => 10_000..60_000,
        }
    }

    /// Whether it breaks what leases assume (Ongaro §6.4.1: a bound on how much clocks drift), so that
    /// a store that reads by them need not be linearizable.
    pub fn breaks_leases(self) -> bool {
        self == Mishap::ClockJump
    }
}

const MILLISECOND: u64 = 1_000_000;

/// How often each mishap befalls a node: the mean time between two of them; never if there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mishaps([Option<u64>; Mishap::ALL.len()]);

/// A text that says nothing about mishaps.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MishapError {
    /// There is no such mishap.
    #[error("there is no mishap {0:?}; known: {known}", known = known())]
    Unknown(String),
    /// It is no time between two.
    #[error("{0:?} is no time between two mishaps; write it as `2.5s`, from 1ms to an hour")]
    Time(String),
}

fn known() -> String {
    Mishap::ALL.map(Mishap::name).join(", ")
}

impl Mishaps {
    /// None at all.
    pub const NONE: Mishaps = Mishaps([None; Mishap::ALL.len()]);

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }

    /// The mean time between two of these at a node, in nanoseconds.
    pub fn every(&self, mishap: Mishap) -> Option<u64> {
        self.0[mishap as usize]
    }

    /// Sets the mean time between two of these, in nanoseconds.
    pub fn set(&mut self, mishap: Mishap, every: Option<u64>) {
        self.0[mishap as usize] = every;
    }

    /// Draws how often which mishap of these kinds befalls a node. Of a kind with several some are left
    /// out; where a store reads by leases so is what breaks them, and where members come and go so is
    /// what loses nodes for good.
    pub fn draw(kinds: &Kinds, leases: bool, rng: &mut ChaCha8Rng) -> Self {
        let mut mishaps = Mishaps::NONE;
        for mishap in Mishap::ALL {
            // Members that go would leave a minority of them sound.
            let is_unbearable = match mishap {
                Mishap::BitRot => kinds.0.contains(&Kind::Membership),
                _ => leases && mishap.breaks_leases(),
            };
            let suits = kinds.0.contains(&mishap.kind()) && !is_unbearable;
            let is_whole_kind = matches!(mishap, Mishap::Pause | Mishap::SlowCpu);
            if suits && (is_whole_kind || rng.random_bool(0.6)) {
                mishaps.set(mishap, Some(rng.random_range(mishap.periods()) * MILLISECOND));
            }
        }
        mishaps
    }

    fn present(&self) -> impl Iterator<Item = (Mishap, u64)> {
        Mishap::ALL.into_iter().filter_map(|mishap| Some((mishap, self.every(mishap)?)))
    }
}

impl fmt::Display for Mishaps {
    /// As the end of a sentence on the climate: `; a pause every 2300 ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.present().try_for_each(|(mishap, every)| {
            write!(f, "; a {} every {} ms", mishap.name(), every / MILLISECOND)
        })
    }
}

impl Serialize for Mishaps {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = |every| Moment(Duration::from_nanos(every));
        serializer.collect_map(self.present().map(|(mishap, every)| (mishap.name(), time(every))))
    }
}

impl<'de> Deserialize<'de> for Mishaps {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut mishaps = Mishaps::NONE;
        for (name, time) in BTreeMap::<String, String>::deserialize(deserializer)? {
            let mishap = name.parse::<Mishap>().map_err(serde::de::Error::custom)?;
            mishaps.set(mishap, Some(period(&time).map_err(serde::de::Error::custom)?));
        }
        Ok(mishaps)
    }
}

impl FromStr for Mishap {
    type Err = MishapError;

    fn from_str(text: &str) -> Result<Self, MishapError> {
        let found = Mishap::ALL.into_iter().find(|mishap| mishap.name() == text);
        found.ok_or_else(|| MishapError::Unknown(text.to_owned()))
    }
}

fn period(text: &str) -> Result<u64, MishapError> {
    const LONGEST: u64 = 3_600_000 * MILLISECOND;
    let time = text.parse::<Moment>().ok().and_then(|time| u64::try_from(time.0.as_nanos()).ok());
    time.filter(|time| (MILLISECOND..=LONGEST).contains(time))
        .ok_or_else(|| MishapError::Time(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn what_a_store_cannot_bear_is_left_out() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut count = |kinds: &str, leases, mishap| {
            let kinds: Kinds = kinds.parse().expect("there are such kinds");
            let mut drawn = || Mishaps::draw(&kinds, leases, &mut rng).every(mishap);
            (0..50).filter(|_| drawn().is_some()).count()
        };
        assert_eq!(count("all", true, Mishap::ClockJump), 0);
        assert!((20..45).contains(&count("all", false, Mishap::ClockJump)));
        assert_eq!(count("disk,membership", false, Mishap::BitRot), 0);
        assert!((20..45).contains(&count("disk,kill", false, Mishap::BitRot)));
    }

    #[test]
    fn mishaps_are_written_and_read() {
        let mut mishaps = Mishaps::NONE;
        for (number, mishap) in (1..).zip(Mishap::ALL) {
            assert_eq!(mishap.name().parse(), Ok(mishap));
            mishaps.set(mishap, Some(number * 1_100 * MILLISECOND));
            let text = toml::to_string(&mishaps).expect("it is a table");
            assert_eq!(toml::from_str::<Mishaps>(&text), Ok(mishaps), "{text}");
        }
        for (text, word) in [
            ("flood = '1s'", "clock-jump"),
            ("pause = '0s'", "from 1ms"),
            ("pause = '2h'", "from 1ms"),
            ("pause = 5", "string"),
        ] {
            let error = toml::from_str::<Mishaps>(text).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
