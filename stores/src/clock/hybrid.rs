//! Hybrid logical clocks: stamps that respect causes and effects and stay close to physical time.
//!
//! Kulkarni, Demirbas, Madappa, Avva, Leone, "Logical Physical Clocks and Consistent Snapshots in
//! Globally Distributed Databases" (OPODIS 2014), figure 5. A stamp is the largest physical time
//! heard of, and a counter of the events since that would otherwise have the same. So it is at
//! most as far ahead of a node's own physical clock as the fastest clock it has heard of, and it
//! never goes back, also when a physical clock does.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The time of an event; ordered by physical time, then by counter. Its text: `NANOSECONDS.COUNTER`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct Stamp {
    /// The largest physical time that was known, in nanoseconds (the paper's *l*).
    pub physical: u64,
    /// Which event of that time it is (the paper's *c*).
    pub logical: u32,
}

impl Stamp {
    /// Its physical part.
    pub fn time(self) -> Duration {
        Duration::from_nanos(self.physical)
    }

    /// The least stamp after it.
    fn next(self) -> Stamp {
        match self.logical.checked_add(1) {
            Some(logical) => Stamp { logical, ..self },
            // Four thousand million events within a nanosecond: the next one has come.
            None => Stamp { physical: self.physical.saturating_add(1), logical: 0 },
        }
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.physical, self.logical)
    }
}

/// A text that is no stamp.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hybrid time stamp is like 1500000000.3, not {0:?}")]
pub struct NoStamp(String);

impl FromStr for Stamp {
    type Err = NoStamp;

    fn from_str(text: &str) -> Result<Self, NoStamp> {
        let parts = text.split_once('.');
        let stamp = parts.and_then(|(physical, logical)| {
            Some(Stamp { physical: physical.parse().ok()?, logical: logical.parse().ok()? })
        });
        stamp.ok_or_else(|| NoStamp(text.to_owned()))
    }
}

/// The clock of one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    last: Stamp,
}

impl Clock {
    /// A clock that goes on after a stamp, such as the last one that a restarted node has on its
    /// disk.
    pub fn after(last: Stamp) -> Self {
        Clock { last }
    }

    /// The last stamp that it gave or heard of.
    pub fn last(&self) -> Stamp {
        self.last
    }

    /// The stamp of an event of this node's own, such as the sending of a message, at a time of its
    /// physical clock.
    pub fn tick(&mut self, now: Duration) -> Stamp {
        let now = Stamp { physical: nanoseconds(now), logical: 0 };
        self.last = now.max(self.last.next());
        self.last
    }

    /// The stamp of the receipt of a message that was sent at `sent`.
    pub fn receive(&mut self, now: Duration, sent: Stamp) -> Stamp {
        self.last = self.last.max(sent);
        self.tick(now)
    }
}

/// As nanoseconds, which are enough for 584 years.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
