//! How long things take and how often they happen, as texts that people write.

use std::fmt;
use std::str::FromStr;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rashomon_nemesis::Moment;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{MICROSECOND, MILLISECOND};

/// How long something takes, written `150us..450us`: never less than `least`, usually up to `spread` more, seldom many
/// times that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// The least, in nanoseconds.
    pub least: u64,
    /// The usual spread, in nanoseconds.
    pub spread: u64,
}

impl Latency {
    /// How often the spread may double.
    const DOUBLINGS: u32 = 5;
    /// The longest that can be asked for, in nanoseconds.
    const LONGEST: u64 = 3_600 * 1_000 * MILLISECOND;

    /// At most that of a short way.
    pub(in crate::sim) fn near(self) -> Self {
        let least = self.least.min(150 * MICROSECOND);
        Latency { least, spread: self.spread.min(4 * MILLISECOND) }
    }

    /// Draws one. Each doubling of the spread is half as likely as the one before: a heavy tail
    /// made of whole numbers, because logarithms differ from machine to machine.
    pub(in crate::sim) fn draw(self, rng: &mut ChaCha8Rng) -> u64 {
        let bits = rng.next_u64();
        let doublings = (bits >> 32).trailing_zeros().min(Self::DOUBLINGS);
        let within = ((bits & 0xffff_ffff) * self.spread) >> 32;
        self.least + (within << doublings)
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", microseconds(self.least), microseconds(self.least + self.spread))
    }
}

/// Latencies are whole microseconds wherever they are drawn or read.
fn microseconds(nanoseconds: u64) -> String {
    format!("{}us", nanoseconds / MICROSECOND)
}

impl FromStr for Latency {
    type Err = ClimateError;

    fn from_str(text: &str) -> Result<Self, ClimateError> {
        let error = || ClimateError::Latency(text.to_owned());
        let (least, most) = text.split_once("..").ok_or_else(error)?;
        let read = |text: &str| -> Option<u64> {
            let time: Moment = text.parse().ok()?;
            u64::try_from(time.0.as_nanos()).ok().filter(|time| time % MICROSECOND == 0)
        };
        let (least, most) = (read(least).ok_or_else(error)?, read(most).ok_or_else(error)?);
        // So that even the longest can be counted in nanoseconds.
        if most > Self::LONGEST {
            return Err(error());
        }
        let spread = most.checked_sub(least).ok_or_else(error)?;
        Ok(Latency { least, spread })
    }
}

/// How often something happens: so many times in ten thousand, written `2.5%`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chance(u16);

impl Chance {
    /// It never happens.
    pub const NEVER: Chance = Chance(0);

    /// So many times in ten thousand, which is the most.
    pub fn in_10_000(times: u16) -> Self {
        Chance(times.min(10_000))
    }

    /// Whether it happens, if these bits are drawn.
    pub(in crate::sim) fn happens(self, bits: u16) -> bool {
        // All bits are less than 65,536, so that what has a chance of 100 % always happens.
        u32::from(bits) * 10_000 < u32::from(self.0) << 16
    }
}

impl fmt::Display for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:02}", self.0 / 100, self.0 % 100);
        write!(f, "{}%", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl FromStr for Chance {
    type Err = ClimateError;

    fn from_str(text: &str) -> Result<Self, ClimateError> {
        let read = || {
            let (whole, fraction) = {
                let number = text.strip_suffix('%')?;
                number.split_once('.').unwrap_or((number, "0"))
            };
            let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            if !digits(whole) || !digits(fraction) || fraction.len() > 2 {
                return None;
            }
            let hundredths: u16 = format!("{fraction:0<2}").parse().ok()?;
            let times = whole.parse::<u16>().ok()?.checked_mul(100)?.checked_add(hundredths)?;
            (times <= 10_000).then_some(Chance(times))
        };
        read().ok_or_else(|| ClimateError::Chance(text.to_owned()))
    }
}

/// A text that is no part of a climate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClimateError {
    /// It is no latency.
    #[error("{0:?} is no latency; write it as `150us..2ms`, in whole microseconds, up to an hour")]
    Latency(String),
    /// It is no chance.
    #[error("{0:?} is no chance; write it as `2.5%`, with two decimals at most")]
    Chance(String),
}

/// serde, as their text.
macro_rules! as_text {
    ($type:ty) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

as_text!(Latency);
as_text!(Chance);

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn what_is_certain_happens_and_what_is_impossible_does_not() {
        assert!(Chance(10_000).happens(u16::MAX) && !Chance::NEVER.happens(0));
        let happened = (0..=u16::MAX).filter(|bits| Chance(250).happens(*bits)).count();
        assert_eq!(happened, 1_639, "2.5 % of 65,536");
    }

    #[test]
    fn latencies_have_a_floor_and_a_tail() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let latency = Latency { least: 1_000, spread: 1_000 };
        let mut drawn: Vec<u64> = (0..10_000).map(|_| latency.draw(&mut rng)).collect();
        drawn.sort_unstable();
        assert!(drawn[0] >= 1_000 && drawn[9_999] < 1_000 + (1_000 << Latency::DOUBLINGS));
        assert!((1_500..2_200).contains(&drawn[5_000]), "the median is {}", drawn[5_000]);
        assert!(drawn[9_900] > 5_000, "one in a hundred takes {}", drawn[9_900]);
    }
}
