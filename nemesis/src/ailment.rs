//! Ailments: what befalls a node whose process lives on. It stands still, its clock is wrong, its disk
//! is slow or full.
//!
//! The kinds are Jepsen's (`hammer-time`, `clock-nemesis`, `faketime`) and those of Ganesan et al.,
//! "Redundancy Does Not Imply Fault Tolerance" (FAST 2017). Nothing of the machine is touched: a
//! process is stopped by a signal, and clock and disk are those that the node itself sees.

use std::fmt;
use std::time::Duration;

use crate::nodes::NodeSet;
use crate::text::{Cursor, ParseError, display_time};

/// Something that befalls a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ailment {
    /// It stands still.
    Pause,
    /// It gets this share of the processor's time, less than all of it: it stands still again and again.
    Throttle(Percent),
    /// It gets no more memory than it has: it ends when it needs some.
    Squeeze,
    /// Its clock leaps ahead by so much, and then goes on as before. Never back: the clock that a
    /// protocol sees is monotonic.
    Leap(Duration),
    /// Its clock goes at this many per cent of the right rate.
    Drift(Percent),
    /// Its clock goes at 190 % and at 10 % of the right rate by turns, each for so long.
    Strobe(Duration),
    /// Everything it writes takes so much longer to be durable.
    Stall(Duration),
    /// Its disk is full: the next write fails, and the node stops.
    Fill,
    /// The next sync of its disk fails, and the node stops; what was to be synced may be lost.
    Balk,
}

/// Hundredths; from 1 to 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Percent(pub(crate) u16);

impl Percent {
    /// The right rate.
    pub const WHOLE: Percent = Percent(100);

    /// So many hundredths, if that is neither none nor more than a thousand.
    pub fn new(hundredths: u16) -> Option<Self> {
        (1..=1000).contains(&hundredths).then_some(Percent(hundredths))
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        word.strip_suffix('%')?.parse().ok().and_then(Percent::new)
    }

    /// How many hundredths.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// The part of a node that is not well, and that can be cured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// Its process: it goes on, with all the time and memory that it needs.
    Process,
    /// Its clock: it runs true again, from where it is.
    Clock,
    /// Its disk: it is as fast as it was, and has room.
    Disk,
}

impl Part {
    /// All of them.
    pub const ALL: [Part; 3] = [Part::Process, Part::Clock, Part::Disk];

    /// The verb by which it is cured: `resume`, `steady`, `clear`.
    pub fn cure(self) -> &'static str {
        match self {
            Part::Process => "resume",
            Part::Clock => "steady",
            Part::Disk => "clear",
        }
    }

    /// What is so once it is cured, for a person.
    pub(crate) fn cured(self) -> &'static str {
        match self {
            Part::Process => "all go on",
            Part::Clock => "all clocks run true again",
            Part::Disk => "all disks are well again",
        }
    }
}

impl Ailment {
    /// The verbs of all ailments.
    pub(crate) const NAMES: [&str; 9] =
        ["pause", "throttle", "squeeze", "leap", "drift", "strobe", "stall", "fill", "balk"];

    /// Its verb.
    pub fn name(self) -> &'static str {
        match self {
            Ailment::Pause => "pause",
            Ailment::Throttle(_) => "throttle",
            Ailment::Squeeze => "squeeze",
            Ailment::Leap(_) => "leap",
            Ailment::Drift(_) => "drift",
            Ailment::Strobe(_) => "strobe",
            Ailment::Stall(_) => "stall",
            Ailment::Fill => "fill",
            Ailment::Balk => "balk",
        }
    }

    /// What is not well.
    pub fn part(self) -> Part {
        match self {
            Ailment::Pause | Ailment::Throttle(_) | Ailment::Squeeze => Part::Process,
            Ailment::Leap(_) | Ailment::Drift(_) | Ailment::Strobe(_) => Part::Clock,
            Ailment::Stall(_) | Ailment::Fill | Ailment::Balk => Part::Disk,
        }
    }

    /// Whether it does nothing until its node needs what it lacks, and then ends it.
    pub fn starves(self) -> bool {
        matches!(self, Ailment::Squeeze | Ailment::Fill | Ailment::Balk)
    }

    /// What befalls these, for a person.
    pub(crate) fn sentence(self, names: &str) -> String {
        match self {
            Ailment::Pause => format!("{names} paused"),
            Ailment::Throttle(share) => format!("{names} get {share} of the processor's time"),
            Ailment::Squeeze => format!("{names} get no more memory"),
            Ailment::Leap(by) => format!("clocks of {names} leap ahead by {}", display_time(by)),
            Ailment::Drift(rate) => format!("clocks of {names} go at {rate}"),
            Ailment::Strobe(by) => {
                format!("clocks of {names} are fast and slow by turns of {}", display_time(by))
            }
            Ailment::Stall(by) => {
                format!("disks of {names} take {} longer", display_time(by))
            }
            Ailment::Fill => format!("disks of {names} are full"),
            Ailment::Balk => format!("disks of {names} fail to sync"),
        }
    }

    /// What follows the verb: whom it befalls, and by how much.
    pub(crate) fn parse(
        verb: &str,
        cursor: &mut Cursor<'_>,
    ) -> Result<(Self, NodeSet), ParseError> {
        let set = NodeSet::parse(cursor)?;
        let ailment = match verb {
            "leap" => Ailment::Leap(cursor.by()?),
            "stall" => Ailment::Stall(cursor.by()?),
            "drift" => Ailment::Drift(cursor.at_percent(1000)?),
            "strobe" => Ailment::Strobe(cursor.turns()?),
            "throttle" => Ailment::Throttle(cursor.at_percent(99)?),
            "squeeze" => Ailment::Squeeze,
            "fill" => Ailment::Fill,
            "balk" => Ailment::Balk,
            _ => Ailment::Pause,
        };
        Ok((ailment, set))
    }

    /// Whom it befalls, and by how much: what follows the verb.
    pub(crate) fn write(self, set: &NodeSet, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {set}")?;
        match self {
            Ailment::Leap(by) | Ailment::Stall(by) => write!(f, " by {}", display_time(by)),
            Ailment::Drift(rate) | Ailment::Throttle(rate) => write!(f, " at {rate}"),
            Ailment::Strobe(turn) => write!(f, " every {}", display_time(turn)),
            Ailment::Pause | Ailment::Squeeze | Ailment::Fill | Ailment::Balk => Ok(()),
        }
    }
}
