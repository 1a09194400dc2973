//! What a simulated run is made of, on the command line of every command that simulates.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use rashomon_nemesis::Schedule;
use rashomon_stores::catalogue::Store;
use rashomon_stores::raft::ReadMode;

use crate::campaign::plan::WorkloadName;
use crate::cli::test::rate;
use crate::cli::{duration, store};
use crate::sim::climate::{Kinds, UnknownKind};
use crate::sim::luck::Luck;
use crate::sim::{Scenario, Settings};

/// What a seed's scenario is drawn from.
#[derive(Clone, Debug, Args)]
pub(super) struct SettingsArguments {
    /// The store to test: raft, paxos, single, or eventual, which has settings, as in eventual:siblings,r=2,w=2,sessions,handoff=off
    #[arg(long, default_value_t = Store::Raft, help_heading = "Store")]
    store: Store,
    /// How many nodes; 5 if not given, and 1 for single
    #[arg(long, value_parser = store::count, help_heading = "Store")]
    nodes: Option<u16>,
    /// A bug to plant in the store, such as stale-read
    #[arg(long, value_name = "NAME", help_heading = "Store")]
    bug: Option<String>,
    /// How reads are answered: read-index, lease or local
    #[arg(long, default_value_t = ReadMode::ReadIndex, value_name = "HOW", help_heading = "Store")]
    reads: ReadMode,
    /// What the clients do
    #[arg(long, value_enum, default_value_t = WorkloadName::Register, help_heading = "Workload")]
    workload: WorkloadName,
    /// How many clients work at the same time
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000), help_heading = "Workload")]
    concurrency: u16,
    /// Operations per second, all clients together
    #[arg(long, default_value_t = 100.0, value_parser = rate, help_heading = "Workload")]
    rate: f64,
    /// How long the clients work, in virtual time
    #[arg(long, default_value = "20s", value_parser = duration::parse, help_heading = "Workload")]
    time_limit: Duration,
    /// Kinds of fault that a seed may have: partition, kill, pause, network, disk, clock, cpu, membership, with commas; none, or all that the store can have
    ///
    /// swarm gives every seed the schedule that `rashomon test --nemesis swarm` draws from it; guided, or guided:partition,kill, breeds schedules that reach new situations (docs/guided.md)
    #[arg(long, default_value = "all", help_heading = "Faults")]
    nemesis: Nemesis,
    /// Which fault strikes when, the same in every seed, as in 'at 2s cut leader | rest; at 4s heal', or a file that says so; if not given, every seed draws its own
    #[arg(long, value_name = "STEPS", value_parser = store::schedule, help_heading = "Faults")]
    schedule: Option<Schedule>,
    /// From when on what is left to chance is drawn from another seed, as in '1.2s 77, 3s 5'; for one --seed
    #[arg(long, value_name = "CHANGES", help_heading = "Faults", requires = "seed")]
    luck: Option<Luck>,
}

/// Which kinds of fault seeds may have, and how their schedules come about.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Nemesis {
    kinds: Kinds,
    manner: Manner,
}

/// How schedules come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Each seed draws its own, in all the ways that simulated runs have.
    Drawn,
    /// As live runs draw them from mixtures.
    Swarm,
    /// They are bred.
    Guided,
}

impl FromStr for Nemesis {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let (manner, kinds) = match text.split_once(':') {
            Some(("guided", kinds)) => (Manner::Guided, kinds),
            _ if text == "guided" => (Manner::Guided, "all"),
            _ if text == "swarm" => (Manner::Swarm, "all"),
            _ => (Manner::Drawn, text),
        };
        Ok(Nemesis { kinds: kinds.parse()?, manner })
    }
}

/// The longest simulated run.
const TIME_LIMIT_MAX: Duration = Duration::from_secs(3600);

impl SettingsArguments {
    /// How schedules come about.
    pub(super) fn manner(&self) -> Manner {
        self.nemesis.manner
    }

    /// The scenario of a seed, with the changes of luck that are asked for.
    pub(super) fn scenario(&self, seed: u64, settings: &Settings) -> Scenario {
        let luck = self.luck.clone().unwrap_or_default();
        Scenario { luck, ..Scenario::generate(seed, settings) }
    }

    /// The command that runs it again.
    pub(super) fn command(&self, seed: u64, settings: &Settings) -> String {
        let luck = self.luck.as_ref().map_or(String::new(), |luck| format!(" --luck '{luck}'"));
        settings.command(seed) + &luck
    }

    /// The settings asked for.
    pub(super) fn settings(&self) -> Result<Settings, String> {
        store::check(self.store, self.bug.as_deref(), self.reads)?;
        store::workload(self.store, self.workload)?;
        if !(Duration::from_secs(1)..=TIME_LIMIT_MAX).contains(&self.time_limit) {
            return Err("--time-limit must be from a second to an hour".into());
        }
        if self.schedule.is_some() && self.nemesis.manner != Manner::Drawn {
            return Err(
                "--schedule says what strikes: swarm and guided have nothing to draw".into()
            );
        }
        let nodes = store::nodes(self.store, self.nodes)?;
        if let Some(schedule) = &self.schedule {
            store::check_schedule(schedule, nodes, self.time_limit)?;
        }
        Ok(Settings {
            store: self.store.to_string(),
            bug: self.bug.clone(),
            reads: self.reads,
            workload: self.workload,
            nemesis: self
                .nemesis
                .kinds
                .clone()
                .suiting(self.store)
                .map_err(|error| format!("--nemesis: {error}"))?,
            schedule: self.schedule.clone(),
            swarm: self.nemesis.manner == Manner::Swarm,
            nodes,
            concurrency: self.concurrency,
            rate: self.rate,
            time_limit: self.time_limit,
        })
    }
}
