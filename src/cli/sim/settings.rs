//! What a simulated run is made of, on the command line of every command that simulates.

use std::time::Duration;

use clap::Args;
use rashomon_nemesis::Schedule;
use rashomon_stores::catalogue::Store;
use rashomon_stores::raft::ReadMode;

use crate::campaign::plan::WorkloadName;
use crate::cli::test::rate;
use crate::cli::{duration, store};
use crate::sim::Settings;
use crate::sim::climate::Kinds;

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
    #[arg(long, default_value = "all", help_heading = "Faults")]
    nemesis: Kinds,
    /// Which fault strikes when, the same in every seed, as in 'at 2s cut leader | rest; at 4s heal', or a file that says so; if not given, every seed draws its own
    #[arg(long, value_name = "STEPS", value_parser = store::schedule, help_heading = "Faults")]
    schedule: Option<Schedule>,
}

/// The longest simulated run.
const TIME_LIMIT_MAX: Duration = Duration::from_secs(3600);

impl SettingsArguments {
    /// The settings asked for.
    pub(super) fn settings(&self) -> Result<Settings, String> {
        store::check(self.store, self.bug.as_deref(), self.reads)?;
        store::workload(self.store, self.workload)?;
        if !(Duration::from_secs(1)..=TIME_LIMIT_MAX).contains(&self.time_limit) {
            return Err("--time-limit must be from a second to an hour".into());
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
                .clone()
                .suiting(self.store)
                .map_err(|error| format!("--nemesis: {error}"))?,
            schedule: self.schedule.clone(),
            nodes,
            concurrency: self.concurrency,
            rate: self.rate,
            time_limit: self.time_limit,
        })
    }
}
