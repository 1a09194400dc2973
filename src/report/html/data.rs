//! What the page's script is told beside the operations.

use std::collections::BTreeMap;

use serde::Serialize;

use super::bands::pattern;
use super::clock::Clock;
use super::encode::tick;
use super::markup::plain;
use super::shown::Shown;
use crate::campaign::FINAL_READERS;
use crate::report::Results;

/// The data block `#report`; times in ticks of the operations' columns.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Data {
    /// Whether ticks are microseconds; they are ranks otherwise.
    timed: bool,
    /// How far apart the processes of one client are numbered.
    stride: u16,
    /// From here on processes are those of a run's last reads.
    final_readers: u64,
    /// The operation that cannot be placed.
    culprit: Option<u32>,
    /// The operations shown with the violation, and each one's part in it.
    shown: BTreeMap<u32, &'static str>,
    faults: Vec<FaultData>,
    leaders: Vec<LeaderData>,
}

#[derive(Debug, Serialize)]
struct FaultData {
    id: u64,
    kind: String,
    pattern: usize,
    words: String,
    done: String,
    bit: bool,
    from: i64,
    to: Option<i64>,
}

#[derive(Debug, Serialize)]
struct LeaderData {
    at: i64,
    node: String,
    term: u64,
}

impl Data {
    pub(super) fn new(results: &Results, shown: &[Shown<'_>], clock: Clock) -> Self {
        let coverage = &results.coverage;
        let fault = |fault: &crate::campaign::chronicle::FaultSpan| FaultData {
            id: fault.id,
            kind: plain(&fault.kind),
            pattern: pattern(&fault.kind),
            words: plain(&fault.sentence),
            done: plain(&fault.done),
            bit: fault.bit,
            from: tick(Clock::Time, fault.from_ns),
            to: fault.to_ns.map(|to| tick(Clock::Time, to)),
        };
        let leader = |leader: &crate::campaign::chronicle::LeaderChange| LeaderData {
            at: tick(Clock::Time, leader.time_ns),
            node: plain(&leader.node),
            term: leader.term,
        };
        let timed = clock == Clock::Time;
        Data {
            timed,
            stride: results.plan.concurrency.max(1),
            final_readers: FINAL_READERS,
            culprit: results.finding.as_ref().map(|finding| finding.explanation.operation.0),
            shown: shown.iter().map(|shown| (shown.line.id.0, shown.caption())).collect(),
            // Ranks and times do not go on one axis.
            faults: coverage.faults.iter().filter(|_| timed).map(fault).collect(),
            leaders: coverage.leaders.iter().filter(|_| timed).map(leader).collect(),
        }
    }
}
