//! Climate: how unkind a simulated world is all along, beside the faults that strike at a time.
//!
//! A run is *swarm-tested* (Groce et al., "Swarm Testing", ISSTA 2012): its seed turns some kinds of
//! trouble off and weights the others, because a run with a little of everything hides what only
//! much of one thing, in the absence of another, brings out.

mod kinds;
mod measure;

use std::fmt;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::mishap::Mishaps;

pub use kinds::{Kind, Kinds, UnknownKind, UnsuitableKind};
pub use measure::{Chance, ClimateError, Latency};

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
    /// The chance that it is held for up to [`Climate::held_max`].
    pub holding: Chance,
    /// The longest time for which a message is held, in nanoseconds.
    pub held_max: u64,
    /// How many times as long as on the fastest link a message may be on its way on the slowest,
    /// each direction of a link by itself.
    pub uneven: u32,
    /// The chance that a node loses power while an fsync is under way, or just after.
    pub power_loss: Chance,
    /// How much faster or slower than the world's a node's clock runs at most, in parts per million.
    pub drift_ppm: u32,
    /// How often which mishap befalls a node.
    #[serde(skip_serializing_if = "Mishaps::is_empty")]
    pub every: Mishaps,
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
        if self.uneven > 1 {
            write!(f, "; some links up to {} times as slow", self.uneven)?;
        }
        if self.power_loss != Chance::NEVER {
            write!(f, "; power is lost in {} of fsyncs", self.power_loss)?;
        }
        self.every.fmt(f)
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
        held_max: 2_000 * MILLISECOND,
        uneven: 1,
        power_loss: Chance::NEVER,
        drift_ppm: 0,
        every: Mishaps::NONE,
    };

    /// The longest pause of a node, in nanoseconds: longer than an election takes.
    pub const PAUSE_MAX: u64 = 1_200 * MILLISECOND;
    /// The most that a clock may be fast or slow, in parts per million.
    pub const DRIFT_PPM_MAX: u32 = 500_000;

    /// Draws a climate with these kinds of trouble, each with a weight of its own. Where a store reads
    /// by leases it keeps what these assume of clocks.
    pub fn draw(kinds: &Kinds, leases: bool, rng: &mut ChaCha8Rng) -> Self {
        let mut climate = Climate::FAIR;
        climate.latency.spread = rng.random_range(100..4_000) * MICROSECOND;
        climate.fsync.spread = rng.random_range(200..4_000) * MICROSECOND;
        if kinds.0.contains(&Kind::Network) {
            climate.draw_network(rng);
        }
        if kinds.0.contains(&Kind::Kill) && rng.random_bool(0.5) {
            // From one in ten thousand to one in five, every scale alike.
            let scale = 1 << rng.random_range(0..11);
            climate.power_loss = Chance::in_10_000(scale * rng.random_range(1..=2));
        }
        if kinds.0.contains(&Kind::Disk) {
            climate.fsync.spread = rng.random_range(4_000..20_000) * MICROSECOND;
        }
        if kinds.0.contains(&Kind::Clock) {
            // Sometimes far beyond what is built: the nodes are told, so all that counts on clocks
            // has wide margins, and whoever lacks them is found out.
            climate.drift_ppm = match rng.random_range(0..3) {
                0 => Self::DRIFT_PPM_MAX,
                1 => rng.random_range(50_000..Self::DRIFT_PPM_MAX),
                _ => rng.random_range(1_000..50_000),
            };
        }
        climate.every = Mishaps::draw(kinds, leases, rng);
        climate
    }

    fn draw_network(&mut self, rng: &mut ChaCha8Rng) {
        // Nothing of it in a third of the runs, else up to a message in so many.
        let mut chance = |one_in: u16| match rng.random_range(0..3) {
            0 => Chance::NEVER,
            _ => Chance::in_10_000(rng.random_range(0..10_000 / one_in)),
        };
        (self.loss, self.duplication) = (chance(10), chance(10));
        self.holding = chance(20);
        // As long as an election takes, or much longer.
        self.held_max = [100, 400, 2_000][rng.random_range(0..3)] * MILLISECOND;
        if rng.random_bool(0.3) {
            // On different continents: a message may take as long as an election.
            self.latency.least = rng.random_range(1..40) * MILLISECOND;
            self.latency.spread = rng.random_range(5..80) * MILLISECOND;
        }
        if rng.random_bool(0.3) {
            self.uneven = rng.random_range(2..=20);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn climates_are_written_and_read() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..200 {
            let climate = Climate::draw(&Kinds(Kind::ALL.into()), false, &mut rng);
            let text = toml::to_string(&climate).expect("it is a table");
            assert_eq!(toml::from_str::<Climate>(&text), Ok(climate), "{text}");
        }
        let text = "latency = '1ms..2ms'\nloss = '2.5%'";
        let climate: Climate = toml::from_str(text).expect("what is not said is fair");
        assert_eq!(climate.latency.to_string(), "1000us..2000us");
        assert_eq!((climate.loss, climate.fsync), (Chance::in_10_000(250), Climate::FAIR.fsync));
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
}
