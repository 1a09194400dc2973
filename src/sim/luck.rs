//! Changes of luck: a run that is another one from some time on.
//!
//! All that is left to chance in a simulated run is drawn from its seed. A scenario may say that from
//! a time on it is drawn from other seeds: the run is the same until then, to the last event, and takes
//! another course after it. So whoever has found the way to a rare situation goes it again, and looks
//! what else can come of it (as fuzzers do that begin from a snapshot; here the way is run again).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rashomon_nemesis::Moment;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// From when on chance is drawn from which seed, in order of time; written `1.2s 77, 3s 5`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Luck(pub Vec<(Duration, u64)>);

/// A text that says nothing about luck.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no change of luck; write times and seeds in order of time, as in `1.2s 77, 3s 5`"
)]
pub struct LuckError(String);

impl Luck {
    /// Whether it never changes.
    pub fn is_even(&self) -> bool {
        self.0.is_empty()
    }

    /// The same until a time, and then drawn from a seed.
    pub fn changed(&self, from: Duration, seed: u64) -> Self {
        let mut luck = self.before(from);
        luck.0.push((from, seed));
        luck
    }

    /// Only the changes before a time.
    pub fn before(&self, end: Duration) -> Self {
        Luck(self.0.iter().copied().filter(|(from, _)| *from < end).collect())
    }
}

impl fmt::Display for Luck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (from, seed)) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{} {seed}", Moment(*from))?;
        }
        Ok(())
    }
}

impl FromStr for Luck {
    type Err = LuckError;

    fn from_str(text: &str) -> Result<Self, LuckError> {
        let error = || LuckError(text.to_owned());
        let change = |change: &str| {
            let (from, seed) = change.trim().split_once(' ')?;
            Some((from.parse::<Moment>().ok()?.0, seed.trim().parse().ok()?))
        };
        let changes: Vec<(Duration, u64)> =
            text.split(',').map(change).collect::<Option<_>>().ok_or_else(error)?;
        if changes.is_sorted() { Ok(Luck(changes)) } else { Err(error()) }
    }
}

impl Serialize for Luck {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Luck {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luck_is_written_and_read() {
        let luck: Luck = "1.2s 77, 3s 5".parse().expect("it is luck");
        assert_eq!(luck.to_string(), "1.2s 77, 3s 5");
        let changed = luck.changed(Duration::from_secs(2), 9);
        assert_eq!(changed.to_string(), "1.2s 77, 2s 9");
        for text in ["", "1s", "7", "1s 7,", "2s 1, 1s 2", "1s x"] {
            assert!(text.parse::<Luck>().is_err(), "{text}");
        }
    }
}
