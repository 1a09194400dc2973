//! Cases: what a guided search breeds. A seed's scenario with another schedule, another end, and
//! changes of luck; each is a command, and a file.

use std::time::Duration;

use rashomon_nemesis::{Fault, Moment, Schedule, Step};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::sim::luck::Luck;
use crate::sim::{Scenario, Settings};

/// A run to be made. Its text form is TOML.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Draws what the schedule does not say: climate, settings of the nodes, operations.
    pub seed: u64,
    /// When the clients end their work.
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    pub time_limit: Duration,
    /// From when on chance is drawn from other seeds.
    #[serde(default, skip_serializing_if = "Luck::is_even")]
    pub luck: Luck,
    /// Which fault strikes when.
    pub schedule: Schedule,
}

impl Case {
    /// What a seed draws.
    pub fn fresh(seed: u64, settings: &Settings) -> Self {
        let Scenario { time_limit, schedule, .. } = Scenario::generate(seed, settings);
        Case { seed, time_limit, luck: Luck::default(), schedule }
    }

    /// The scenario that it stands for.
    pub fn scenario(&self, settings: &Settings) -> Scenario {
        let scenario = Scenario::generate(self.seed, &self.settings(settings));
        Scenario { luck: self.luck.clone(), ..scenario }
    }

    /// The command that makes this run, without any search.
    pub fn command(&self, settings: &Settings) -> String {
        let command = self.settings(settings).command(self.seed);
        if self.luck.is_even() { command } else { format!("{command} --luck '{}'", self.luck) }
    }

    /// Whether members come and go: what else may go wrong depends on that.
    pub(super) fn changes_members(&self) -> bool {
        let changes =
            |step: &Step| matches!(step.fault, Fault::Add(_) | Fault::Remove(_) | Fault::Retire(_));
        self.schedule.steps().iter().any(changes)
    }

    fn settings(&self, settings: &Settings) -> Settings {
        let (schedule, time_limit) = (Some(self.schedule.clone()), self.time_limit);
        Settings { schedule, time_limit, ..settings.clone() }
    }
}

fn write_time<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    Moment(*time).serialize(serializer)
}

fn read_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Moment::deserialize(deserializer).map(|moment| moment.0)
}
