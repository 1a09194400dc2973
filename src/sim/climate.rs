//! Climate: how unkind a simulated world is all along, beside the faults that strike at a time.
//!
//! A run is *swarm-tested* (Groce et al., "Swarm Testing", ISSTA 2012): its seed turns some kinds of
//! trouble off and weights the others, because a run with a little of everything hides what only
//! much of one thing, in the absence of another, brings out.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use rashomon_nemesis::{
    Fault, Moment, NodeSet, Package, Packages, Partition, Pick, Schedule, Step as ScheduleStep,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Cuts of the network, and messages held until it heals.
    Partition,
    /// Crashes, each followed by a restart.
    Kill,
    /// Nodes that stand still for a while: a long collection of garbage, a stopped process.
    Pause,
    /// Messages lost, repeated, held for long.
    Network,
    /// Disks that take long to sync.
    Disk,
    /// Clocks that run fast or slow.
    Clock,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 6] =
        [Kind::Partition, Kind::Kill, Kind::Pause, Kind::Network, Kind::Disk, Kind::Clock];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Partition => "partition",
            Kind::Kill => "kill",
            Kind::Pause => "pause",
            Kind::Network => "network",
            Kind::Disk => "disk",
            Kind::Clock => "clock",
        }
    }

    fn package(self) -> Option<Package> {
        match self {
            Kind::Partition => Some(Package::Partition),
            Kind::Kill => Some(Package::Kill),
            _ => None,
        }
    }
}

/// A choice of kinds, written `partition,kill`, `all` or `none`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kinds(pub BTreeSet<Kind>);

/// A word that names no kind of trouble.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no kind of fault {0:?}; known: all, none, or of these with commas: partition, kill, \
     pause, network, disk, clock"
)]
pub struct UnknownKind(String);

impl FromStr for Kinds {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        match text {
            "all" => return Ok(Kinds(Kind::ALL.into())),
            "none" => return Ok(Kinds::default()),
            _ => {}
        }
        let known = |word: &str| Kind::ALL.into_iter().find(|kind| kind.name() == word.trim());
        let kind = |word: &str| known(word).ok_or_else(|| UnknownKind(word.to_owned()));
        Ok(Kinds(text.split(',').map(kind).collect::<Result<_, _>>()?))
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        if self.0.len() == Kind::ALL.len() {
            return f.write_str("all");
        }
        let names: Vec<&str> = self.0.iter().map(|kind| kind.name()).collect();
        f.write_str(&names.join(","))
    }
}

impl Kinds {
    /// Some of these, drawn so that every choice but none is as likely as any other.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> Self {
        if self.0.is_empty() {
            return Kinds::default();
        }
        loop {
            let drawn: BTreeSet<Kind> =
                self.0.iter().copied().filter(|_| rng.random_bool(0.5)).collect();
            if !drawn.is_empty() {
                return Kinds(drawn);
            }
        }
    }

    /// Those that a schedule has strikes for.
    pub fn packages(&self) -> Packages {
        Packages(self.0.iter().filter_map(|kind| kind.package()).collect())
    }
}

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

    /// Draws one. Each doubling of the spread is half as likely as the one before: a heavy tail
    /// made of whole numbers, because logarithms differ from machine to machine.
    pub(super) fn draw(self, rng: &mut ChaCha8Rng) -> u64 {
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
    pub(super) fn happens(self, bits: u16) -> bool {
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

/// How unkind the world is all along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Climate {
    /// How long a message is on its way.
    pub latency: Latency,
    /// How long an fsync takes.
    pub fsync: Latency,
    /// The chance that a message is lost.
    pub loss: Chance,
    /// The chance that it arrives twice.
    pub duplication: Chance,
    /// The chance that it is held for up to [`Climate::HELD_MAX`].
    pub holding: Chance,
    /// How much faster or slower than the world's a node's clock runs at most, in parts per million.
    pub drift_ppm: u32,
    /// Mean time between two pauses of a node, in nanoseconds; none if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause_every: Option<u64>,
}

impl fmt::Display for Climate {
    /// In a line: what is as in a fair climate is left out, but how fast messages and disks are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "messages take {}, fsyncs {}", self.latency, self.fsync)?;
        let chances = [(self.loss, "lost"), (self.duplication, "repeated"), (self.holding, "held")];
        for (chance, what) in chances {
            if chance != Chance::NEVER {
                write!(f, "; {chance} of messages {what}")?;
            }
        }
        if self.drift_ppm > 0 {
            write!(f, "; clocks up to {} ppm fast or slow", self.drift_ppm)?;
        }
        match self.pause_every {
            Some(every) => write!(f, "; a pause every {} ms", every / MILLISECOND),
            None => Ok(()),
        }
    }
}

impl Default for Climate {
    fn default() -> Self {
        Climate::FAIR
    }
}

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;

impl Climate {
    /// As in a quiet data centre; also what a run is healed to.
    pub const FAIR: Climate = Climate {
        latency: Latency { least: 150 * MICROSECOND, spread: 300 * MICROSECOND },
        fsync: Latency { least: 300 * MICROSECOND, spread: MILLISECOND },
        loss: Chance::NEVER,
        duplication: Chance::NEVER,
        holding: Chance::NEVER,
        drift_ppm: 0,
        pause_every: None,
    };

    /// The longest time for which a message is held, in nanoseconds.
    pub const HELD_MAX: u64 = 2_000 * MILLISECOND;
    /// The longest pause of a node, in nanoseconds: longer than an election takes.
    pub const PAUSE_MAX: u64 = 1_200 * MILLISECOND;

    /// Draws a climate with these kinds of trouble, each with a weight of its own.
    pub fn draw(kinds: &Kinds, rng: &mut ChaCha8Rng) -> Self {
        let mut climate = Climate::FAIR;
        climate.latency.spread = rng.random_range(100..4_000) * MICROSECOND;
        climate.fsync.spread = rng.random_range(200..4_000) * MICROSECOND;
        if kinds.0.contains(&Kind::Network) {
            // Nothing of it in a third of the runs, else up to a message in so many.
            let mut chance = |one_in: u16| match rng.random_range(0..3) {
                0 => Chance::NEVER,
                _ => Chance(rng.random_range(0..10_000 / one_in)),
            };
            climate.loss = chance(10);
            climate.duplication = chance(10);
            climate.holding = chance(40);
        }
        if kinds.0.contains(&Kind::Disk) {
            climate.fsync.spread = rng.random_range(4_000..20_000) * MICROSECOND;
        }
        if kinds.0.contains(&Kind::Clock) {
            climate.drift_ppm = rng.random_range(1_000..50_000);
        }
        if kinds.0.contains(&Kind::Pause) {
            climate.pause_every = Some(rng.random_range(1_500..15_000) * MILLISECOND);
        }
        climate
    }
}

/// When nothing strikes any more, before the end of a run.
const CALM: Duration = Duration::from_millis(1500);

/// The schedule of a simulated run: what a live run of this seed would get, and short strikes
/// between, up to one in two seconds of every package, that a live run has no time for.
pub fn schedule(packages: &Packages, run: Duration, nodes: u16, rng: &mut ChaCha8Rng) -> Schedule {
    let base = Schedule::generate(packages, rng.next_u64() >> 1, run, nodes);
    let mut steps = base.steps().to_vec();
    let latest = run.saturating_sub(CALM).as_millis() as u64 / 10;
    let strikes_max = run.as_secs() / 2;
    for package in &packages.0 {
        let strikes = rng.random_range(0..=strikes_max);
        let (first, last) = storm(latest, rng);
        for _ in 0..strikes {
            // In hundredths of a second, to be read more easily.
            let from = rng.random_range(first..=last);
            let to = from + rng.random_range(2..120);
            let at = |hundredths: u64| Duration::from_millis(hundredths * 10);
            let (strike, mend) = short_strike(*package, rng);
            steps.push(ScheduleStep { at: at(from), fault: strike });
            steps.push(ScheduleStep { at: at(to).min(run), fault: mend });
        }
    }
    Schedule::new(base.seed(), steps)
}

/// When short strikes may begin, in hundredths of a second: all along, or in a third of the runs all
/// within an eighth of it, where one falls into the recovery from another.
fn storm(latest: u64, rng: &mut ChaCha8Rng) -> (u64, u64) {
    let first = 20.min(latest);
    if rng.random_range(0..3) > 0 {
        return (first, latest);
    }
    let from = rng.random_range(first..=latest);
    (from, (from + latest / 8).min(latest))
}

fn short_strike(package: Package, rng: &mut ChaCha8Rng) -> (Fault, Fault) {
    let whom = |picks: &[Pick], rng: &mut ChaCha8Rng| *picks.choose(rng).expect("there are picks");
    match package {
        Package::Partition => {
            let one = whom(&[Pick::Leader, Pick::Random(1), Pick::Minority], rng);
            let partition = match rng.random_range(0..4) {
                0 => Partition::one_way(one, Pick::Rest),
                1 => Partition::one_way(Pick::Rest, one),
                _ => Partition::both(one, Pick::Rest),
            };
            let hold = rng.random_bool(0.3);
            (if hold { Fault::Hold(partition) } else { Fault::Cut(partition) }, Fault::Heal)
        }
        Package::Kill => {
            let picks =
                [Pick::Leader, Pick::Leader, Pick::Random(1), Pick::Majority, Pick::Everyone];
            (Fault::Kill(NodeSet::from(whom(&picks, rng))), Fault::Restart(None))
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn kinds_are_written_and_read() {
        for text in ["all", "none", "partition", "kill,clock"] {
            assert_eq!(text.parse::<Kinds>().map(|kinds| kinds.to_string()), Ok(text.into()));
        }
        assert_eq!("partition, kill".parse::<Kinds>().map(|kinds| kinds.0.len()), Ok(2));
        let error = "partition,floods".parse::<Kinds>().unwrap_err().to_string();
        assert!(error.contains("floods") && error.contains("network"), "{error}");
        assert!("".parse::<Kinds>().is_err());
    }

    #[test]
    fn climates_are_written_and_read() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..200 {
            let climate = Climate::draw(&Kinds(Kind::ALL.into()), &mut rng);
            let text = toml::to_string(&climate).expect("it is a table");
            assert_eq!(toml::from_str::<Climate>(&text), Ok(climate), "{text}");
        }
        let text = "latency = '1ms..2ms'\nloss = '2.5%'";
        let climate: Climate = toml::from_str(text).expect("what is not said is fair");
        assert_eq!(climate.latency.to_string(), "1000us..2000us");
        assert_eq!((climate.loss, climate.fsync), (Chance(250), Climate::FAIR.fsync));
        for text in [
            "loss = '2.555%'",
            "loss = '101%'",
            "loss = '2'",
            "latency = '2ms..1ms'",
            "latency = '1ms'",
            "latency = '1ms..9999m'",
            "rain = '2%'",
        ] {
            assert!(toml::from_str::<Climate>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_certain_happens_and_what_is_impossible_does_not() {
        assert!(Chance(10_000).happens(u16::MAX) && !Chance::NEVER.happens(0));
        let happened = (0..=u16::MAX).filter(|bits| Chance(250).happens(*bits)).count();
        assert_eq!(happened, 1_639, "2.5 % of 65,536");
    }

    #[test]
    fn every_choice_of_kinds_is_drawn_but_the_empty_one() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let three: Kinds = "partition,kill,disk".parse().unwrap();
        let drawn: BTreeSet<String> = (0..200).map(|_| three.draw(&mut rng).to_string()).collect();
        assert_eq!(drawn.len(), 7, "{drawn:?}");
        assert!(!drawn.contains("none"));
        assert_eq!(Kinds::default().draw(&mut rng), Kinds::default());
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

    #[test]
    fn schedules_are_sound_for_every_length_and_size() {
        let packages = Kinds(Kind::ALL.into()).packages();
        for seed in 0..200 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let run = Duration::from_millis(rng.random_range(1_000..30_000));
            let nodes = rng.random_range(1..=7);
            let schedule = schedule(&packages, run, nodes, &mut rng);
            assert_eq!(schedule.check(nodes), Ok(()));
            assert!(schedule.steps().iter().all(|step| step.at <= run), "{run:?}\n{schedule}");
            let read: Schedule = schedule.to_string().parse().expect("its text is read back");
            assert_eq!(read, schedule);
        }
    }
}
