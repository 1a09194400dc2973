//! Troubles: what is wrong with links between nodes, whichever these are.
//!
//! The kinds are those of Jepsen's partitioner and of Toxiproxy's toxics. Which links have them is
//! said by a partition of the schedule, and by a grudge once it is resolved.

use std::fmt;
use std::time::Duration;

use crate::ailment::Percent;
use crate::text::{Cursor, ParseError, display_time};

/// Something that is wrong with a link, until the network heals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// Messages are lost; adds to what else is wrong.
    Cut,
    /// Messages wait, and arrive when the network heals.
    Hold,
    /// Messages take about so much longer: between half and one and a half times as much.
    Slow(Duration),
    /// Messages are lost with this chance, up to 100 %. TCP sends again what is lost, after a while, so
    /// that they come late, or their connection breaks.
    Lose(Percent),
    /// No more than this passes; at a low rate messages drip.
    Limit(Rate),
    /// The next message breaks off in the middle: its connection is reset.
    Reset,
    /// The connections that are open now lead nowhere, and the sender is not told: half-open ones. It
    /// may open others.
    Strand,
}

/// Bytes a second; at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rate(pub(crate) u32);

impl Rate {
    /// So many bytes a second, unless that is none.
    pub fn new(bytes_per_second: u32) -> Option<Self> {
        (bytes_per_second > 0).then_some(Rate(bytes_per_second))
    }

    /// How many bytes a second.
    pub fn get(self) -> u32 {
        self.0
    }

    /// How long so many bytes take.
    pub fn time_of(self, bytes: usize) -> Duration {
        Duration::from_secs_f64(bytes as f64 / f64::from(self.0))
    }

    /// How many bytes pass in a time, one at least.
    pub fn bytes_within(self, time: Duration) -> usize {
        ((f64::from(self.0) * time.as_secs_f64()) as usize).max(1)
    }

    fn from_word(word: &str) -> Option<Self> {
        let number = word.strip_suffix("B/s")?;
        let (digits, unit) = match number.strip_suffix(['k', 'M']) {
            Some(digits) => (digits, if number.ends_with('k') { 1000 } else { 1_000_000 }),
            None => (number, 1),
        };
        let digits_only = digits.bytes().all(|byte| byte.is_ascii_digit());
        let number: u32 = digits.parse().ok().filter(|_| digits_only)?;
        number.checked_mul(unit).and_then(Rate::new)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes % 1_000_000 == 0 => write!(f, "{}MB/s", bytes / 1_000_000),
            bytes if bytes % 1000 == 0 => write!(f, "{}kB/s", bytes / 1000),
            bytes => write!(f, "{bytes}B/s"),
        }
    }
}

impl Trouble {
    /// The verbs of all troubles.
    pub(crate) const NAMES: [&str; 7] = ["cut", "hold", "slow", "lose", "limit", "reset", "strand"];

    /// Its verb.
    pub fn name(self) -> &'static str {
        match self {
            Trouble::Cut => "cut",
            Trouble::Hold => "hold",
            Trouble::Slow(_) => "slow",
            Trouble::Lose(_) => "lose",
            Trouble::Limit(_) => "limit",
            Trouble::Reset => "reset",
            Trouble::Strand => "strand",
        }
    }

    /// Whether nothing passes a link with it.
    pub fn closes(self) -> bool {
        matches!(self, Trouble::Cut | Trouble::Hold)
    }

    /// What is wrong on the links that are named after it, for a person.
    pub(crate) fn sentence(self) -> String {
        match self {
            Trouble::Cut => "no messages".to_owned(),
            Trouble::Hold => "messages held".to_owned(),
            Trouble::Slow(by) => format!("messages take {} longer", display_time(by)),
            Trouble::Lose(chance) => format!("{chance} of messages lost"),
            Trouble::Limit(rate) => format!("no more than {rate}"),
            Trouble::Reset => "the next message breaks off".to_owned(),
            Trouble::Strand => "open connections lead nowhere".to_owned(),
        }
    }

    /// What follows the links: by how much.
    pub(crate) fn parse(verb: &str, cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        Ok(match verb {
            "hold" => Trouble::Hold,
            "slow" => Trouble::Slow(cursor.by()?),
            "lose" => Trouble::Lose(cursor.at_percent(100)?),
            "limit" => {
                cursor.word("`to` and a rate, as in `to 10kB/s`", |word| {
                    (word == "to").then_some(())
                })?;
                Trouble::Limit(
                    cursor.word("a rate such as `500B/s`, `10kB/s` or `2MB/s`", Rate::from_word)?,
                )
            }
            "reset" => Trouble::Reset,
            "strand" => Trouble::Strand,
            _ => Trouble::Cut,
        })
    }

    /// By how much: what follows the links.
    pub(crate) fn write(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Slow(by) => write!(f, " by {}", display_time(by)),
            Trouble::Lose(chance) => write!(f, " at {chance}"),
            Trouble::Limit(rate) => write!(f, " to {rate}"),
            Trouble::Cut | Trouble::Hold | Trouble::Reset | Trouble::Strand => Ok(()),
        }
    }
}
