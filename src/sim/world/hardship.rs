//! What the nodes of a world went through, counted.

use serde::Serialize;

/// What nodes went through, over a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Hardship {
    /// Crashes.
    pub crashes: u64,
    /// Crashes that lost something written and not synced.
    pub crashes_with_loss: u64,
    /// The batches lost.
    pub lost_batches: u64,
    /// Pauses.
    pub pauses: u64,
    /// Clocks that leapt ahead.
    pub clock_jumps: u64,
    /// Deadlines that they leapt over.
    pub deadlines_jumped: u64,
    /// Times that a clock changed its rate.
    pub rate_changes: u64,
    /// Times that a node had a slow processor.
    pub slow_cpus: u64,
    /// Times that an fsync failed or there was no room for a write, and the node stopped.
    pub disk_failures: u64,
    /// Those in which the disk was full.
    pub writes_without_room: u64,
    /// Nodes that stayed down for good because a record on their disk was damaged.
    pub lost_nodes: u64,
    /// Mishaps that befell a leader.
    pub of_leaders: u64,
    /// Fsyncs.
    pub syncs: u64,
}

impl Hardship {
    /// Adds what the nodes of another run went through.
    pub(in crate::sim) fn add(&mut self, other: Hardship) {
        self.crashes += other.crashes;
        self.crashes_with_loss += other.crashes_with_loss;
        self.lost_batches += other.lost_batches;
        self.pauses += other.pauses;
        self.clock_jumps += other.clock_jumps;
        self.deadlines_jumped += other.deadlines_jumped;
        self.rate_changes += other.rate_changes;
        self.slow_cpus += other.slow_cpus;
        self.disk_failures += other.disk_failures;
        self.writes_without_room += other.writes_without_room;
        self.lost_nodes += other.lost_nodes;
        self.of_leaders += other.of_leaders;
        self.syncs += other.syncs;
    }

    /// What a run should reach sometimes, whatever the core.
    pub(in crate::sim) fn sightings(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("crashes that lost unsynced data", self.crashes_with_loss),
            ("pauses", self.pauses),
            ("clocks leapt ahead", self.clock_jumps),
            ("deadlines leapt over", self.deadlines_jumped),
            ("clocks changed their rate", self.rate_changes),
            ("processors were slow", self.slow_cpus),
            ("disks failed", self.disk_failures),
            ("writes found a full disk", self.writes_without_room),
            ("nodes lost to bit rot", self.lost_nodes),
            ("mishaps of leaders", self.of_leaders),
        ]
    }
}
