//! Shrinking: from a scenario that shows a violation to a small one that shows the same kind.
//!
//! Delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input",
//! IEEE TSE 2002) over every part of the scenario in turn, from what removes most to what only
//! makes it easier to read, until nothing more can go. Nothing is argued about: a smaller scenario
//! is run, and kept if it fails like the one before. Equal scenarios shrink alike.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use rashomon_checker::explain::Cause;
use rashomon_nemesis::{Fault, Node, NodeSet, Partition, Pick, Schedule, Step};
use serde::Serialize;

use super::climate::{Chance, Climate};
use super::mishap::Mishap;
use super::system::System;
use super::verdict::{Seed, SeedError, run_scenario};
use super::{Scenario, Telling};
use crate::contract::LINEARIZABLE;
use crate::workload::script::{Planned, Script};

/// What kind of violation a run shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Symptom {
    /// Clients saw something that no order explains.
    Anomaly(Cause),
    /// Clients saw this promise of the store broken.
    Broken(&'static str),
    /// The store did not live again after healing.
    Stuck,
    /// An invariant was broken, and clients saw nothing of it.
    Breach(&'static str),
}

impl fmt::Display for Symptom {
    /// In a word or two: `stale-read`, `stuck`, `election safety`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Symptom::Anomaly(cause) => cause.fmt(f),
            Symptom::Broken(promise) => f.write_str(promise),
            Symptom::Stuck => f.write_str("stuck"),
            Symptom::Breach(invariant) => f.write_str(invariant),
        }
    }
}

impl Symptom {
    /// That of a run; none if it shows no violation.
    pub fn of(run: &Seed) -> Option<Self> {
        let results = &run.judged.results;
        if let Some(row) = results.broken() {
            return Some(match &results.finding {
                Some(finding) if row.promise == LINEARIZABLE => {
                    Symptom::Anomaly(finding.explanation.cause)
                }
                _ => Symptom::Broken(row.promise),
            });
        }
        if results.recovery.missing.is_some() {
            return Some(Symptom::Stuck);
        }
        run.recorded.breach.as_ref().map(|breach| Symptom::Breach(breach.invariant))
    }
}

/// How large a scenario is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Steps of the schedule that break something.
    pub faults: usize,
    /// Nodes.
    pub nodes: u16,
    /// Clients that have an operation.
    pub clients: usize,
    /// Operations.
    pub operations: usize,
    /// How long the clients work, in milliseconds.
    pub time_limit_ms: u64,
}

impl Size {
    /// That of a scenario.
    pub fn of(scenario: &Scenario) -> Self {
        let steps = scenario.schedule.steps();
        Size {
            faults: steps.iter().filter(|step| step.fault.is_strike()).count(),
            nodes: scenario.nodes,
            clients: clients(scenario).len(),
            operations: scenario.operations.operations().len(),
            time_limit_ms: scenario.time_limit.as_millis() as u64,
        }
    }
}

/// What shrinking came to.
#[derive(Debug)]
pub struct Shrunk {
    /// The run of the smallest scenario that was found.
    pub run: Seed,
    /// What it still shows.
    pub symptom: Symptom,
    /// How large the scenario was, resolved, before anything was taken away.
    pub from: Size,
    /// How many scenarios were run.
    pub tries: usize,
    /// Whether it ended because nothing more can go, and not because of the limit.
    pub is_minimal: bool,
}

/// Shrinks a scenario by running at most so many others; `None` if it shows no violation.
///
/// # Errors
/// When the scenario itself cannot be run or judged.
pub fn shrink(
    system: &dyn System,
    scenario: Scenario,
    tries_max: usize,
) -> Result<Option<Shrunk>, SeedError> {
    let run = run_scenario(system, scenario, Telling::NOTHING)?;
    let Some(symptom) = Symptom::of(&run) else { return Ok(None) };
    let mut shrinker = Shrinker { system, symptom, best: run, tries: 1, tries_max, patient: false };
    shrinker.keep_resolved();
    let from = Size::of(&shrinker.best.scenario);
    let is_minimal = shrinker.until_nothing_goes();
    let Shrinker { mut best, symptom, tries, .. } = shrinker;
    best.scenario.expect = Some(symptom.to_string());
    Ok(Some(Shrunk { run: best, symptom, from, tries, is_minimal }))
}

/// Scenarios of so many operations are tried with other seeds at once, larger ones when nothing else goes.
const SMALL: usize = 30;
/// How many.
const OTHER_SEEDS: usize = 7;

struct Shrinker<'a> {
    system: &'a dyn System,
    symptom: Symptom,
    best: Seed,
    tries: usize,
    tries_max: usize,
    /// Whether large scenarios are tried with other seeds, too.
    patient: bool,
}

impl Shrinker<'_> {
    /// Goes over all parts again and again; says whether nothing more can go.
    fn until_nothing_goes(&mut self) -> bool {
        loop {
            let before = self.best.scenario.clone();
            self.end_earlier();
            self.begin_earlier();
            self.calm();
            self.thin(steps, with_steps);
            self.drop_clients();
            self.thin(operations, with_operations);
            self.drop_nodes();
            self.merge_clients();
            self.round_times();
            if self.tries >= self.tries_max {
                return false;
            }
            if self.best.scenario == before {
                if self.patient || operations(&before).len() <= SMALL {
                    return true;
                }
                // What is left may only depend on luck.
                self.patient = true;
            }
        }
    }

    /// Runs a scenario and keeps it if it fails like the best so far. What is small and fails no
    /// longer may only have been unlucky, and is tried with other luck.
    fn attempt(&mut self, mut candidate: Scenario) -> bool {
        let again = self.patient || operations(&candidate).len() <= SMALL;
        for _ in 0..if again { 1 + OTHER_SEEDS } else { 1 } {
            if self.attempt_once(candidate.clone()) {
                return true;
            }
            candidate.seed = candidate.seed.wrapping_add(1);
        }
        false
    }

    fn attempt_once(&mut self, candidate: Scenario) -> bool {
        if candidate == self.best.scenario
            || self.tries >= self.tries_max
            || candidate.check().is_err()
        {
            return false;
        }
        self.tries += 1;
        // A scenario that cannot be judged, or takes the checker too long, is none to keep.
        let Ok(run) = run_scenario(self.system, candidate, Telling::NOTHING) else { return false };
        if Symptom::of(&run).as_ref() != Some(&self.symptom) {
            return false;
        }
        self.best = run;
        self.keep_resolved();
        true
    }

    /// Says what happened in so many words; the run is the same.
    fn keep_resolved(&mut self) {
        self.best.scenario = self.best.scenario.resolved(&self.best.recorded);
    }

    /// Lets everything end as early as it can.
    fn end_earlier(&mut self) {
        let mut less = self.best.scenario.time_limit / 2;
        while less >= Duration::from_millis(50) {
            let end = self.best.scenario.time_limit.saturating_sub(less);
            if !self.attempt(ending(&self.best.scenario, end)) {
                less /= 2;
            }
        }
    }

    /// Lets the first thing happen earlier, and all else as much.
    fn begin_earlier(&mut self) {
        let scenario = &self.best.scenario;
        let first_step = steps(scenario).first().map(|step| step.at);
        let first_operation = operations(scenario).first().map(|planned| planned.at);
        let mut earlier = first_step.into_iter().chain(first_operation).min().unwrap_or_default();
        while earlier >= Duration::from_millis(50) {
            if !self.attempt(moved(&self.best.scenario, |time| time.saturating_sub(earlier))) {
                earlier /= 2;
            } else {
                return;
            }
        }
    }

    /// Takes away what makes the world unkind all along: all of it or each.
    fn calm(&mut self) {
        const FAIR: Climate = Climate::FAIR;
        let changes: [fn(&mut Climate); 10] = [
            |climate| *climate = FAIR,
            |climate| climate.loss = Chance::NEVER,
            |climate| climate.duplication = Chance::NEVER,
            |climate| climate.holding = Chance::NEVER,
            |climate| climate.held_max = FAIR.held_max,
            |climate| climate.uneven = FAIR.uneven,
            |climate| climate.power_loss = Chance::NEVER,
            |climate| climate.drift_ppm = 0,
            |climate| climate.fsync = FAIR.fsync,
            |climate| climate.latency = FAIR.latency,
        ];
        for change in changes {
            let mut candidate = self.best.scenario.clone();
            change(&mut candidate.climate);
            self.attempt(candidate);
        }
        for mishap in Mishap::ALL {
            let mut candidate = self.best.scenario.clone();
            candidate.climate.every.set(mishap, None);
            self.attempt(candidate);
        }
    }

    /// Takes away runs of items, half of them at first and single ones in the end.
    fn thin<T: Clone>(
        &mut self,
        items: fn(&Scenario) -> &[T],
        with: fn(&Scenario, Vec<T>) -> Scenario,
    ) {
        let mut length = items(&self.best.scenario).len().div_ceil(2);
        while length > 0 {
            let mut from = 0;
            while from < items(&self.best.scenario).len() {
                let all = items(&self.best.scenario);
                let to = all.len().min(from + length);
                let rest = [&all[..from], &all[to..]].concat();
                if !self.attempt(with(&self.best.scenario, rest)) {
                    from = to;
                }
            }
            length /= 2;
        }
    }

    /// Takes away all that a client does, client by client.
    fn drop_clients(&mut self) {
        for client in clients(&self.best.scenario) {
            let others = operations(&self.best.scenario).iter();
            let others = others.filter(|planned| planned.client != client).cloned().collect();
            self.attempt(with_operations(&self.best.scenario, others));
        }
    }

    /// Takes away nodes, as many at once as can go.
    fn drop_nodes(&mut self) {
        let mut node = self.best.scenario.nodes;
        while node > 0 && self.best.scenario.nodes > 1 {
            self.attempt(without_node(&self.best.scenario, Node(node)));
            node -= 1;
        }
    }

    /// Lets one client do what another does, and numbers clients from 0.
    fn merge_clients(&mut self) {
        let all = clients(&self.best.scenario);
        for (place, client) in all.iter().enumerate().rev() {
            let merged = all[..place].iter().any(|other| self.rename_client(*client, *other));
            if !merged {
                let free = (0..*client).find(|number| !all.contains(number));
                if let Some(free) = free {
                    self.rename_client(*client, free);
                }
            }
        }
    }

    fn rename_client(&mut self, client: u16, name: u16) -> bool {
        let rename = |planned: &Planned| match planned.client == client {
            true => Planned { client: name, ..planned.clone() },
            false => planned.clone(),
        };
        let renamed = operations(&self.best.scenario).iter().map(rename).collect();
        self.attempt(with_operations(&self.best.scenario, renamed))
    }

    /// Writes times with fewer digits where nothing depends on them.
    fn round_times(&mut self) {
        for unit in [100_000, 10_000, 1_000] {
            if self.attempt(rounded(&self.best.scenario, unit)) {
                return;
            }
        }
    }
}

fn operations(scenario: &Scenario) -> &[Planned] {
    scenario.operations.operations()
}

fn with_operations(scenario: &Scenario, operations: Vec<Planned>) -> Scenario {
    Scenario { operations: Script::new(operations), ..scenario.clone() }
}

fn steps(scenario: &Scenario) -> &[Step] {
    scenario.schedule.steps()
}

fn with_steps(scenario: &Scenario, steps: Vec<Step>) -> Scenario {
    Scenario { schedule: Schedule::new(scenario.schedule.seed(), steps), ..scenario.clone() }
}

/// The clients that do something, in order.
fn clients(scenario: &Scenario) -> Vec<u16> {
    let mut clients: Vec<u16> = operations(scenario).iter().map(|op| op.client).collect();
    clients.sort_unstable();
    clients.dedup();
    clients
}

/// The scenario without what comes after this time.
fn ending(scenario: &Scenario, end: Duration) -> Scenario {
    let early = steps(scenario).iter().filter(|step| step.at <= end).cloned().collect();
    let operations = operations(scenario).iter().filter(|op| op.at <= end).cloned().collect();
    let scenario = Scenario { time_limit: end, ..with_steps(scenario, early) };
    with_operations(&scenario, operations)
}

/// The scenario with every time a multiple of so many microseconds, none of them later but the end.
fn rounded(scenario: &Scenario, unit_us: u64) -> Scenario {
    let unit = Duration::from_micros(unit_us);
    let down = |time: Duration| unit * (time.as_micros() / u128::from(unit_us)) as u32;
    let end = down(scenario.time_limit + unit - Duration::from_nanos(1));
    Scenario { time_limit: end, ..moved(scenario, down) }
}

/// The scenario with every time moved.
fn moved(scenario: &Scenario, to: impl Fn(Duration) -> Duration) -> Scenario {
    let step = |step: &Step| Step { at: to(step.at), ..step.clone() };
    let steps = steps(scenario).iter().map(step).collect();
    let operation = |op: &Planned| Planned { at: to(op.at), ..op.clone() };
    let operations = operations(scenario).iter().map(operation).collect();
    let scenario = with_operations(&with_steps(scenario, steps), operations);
    Scenario { time_limit: to(scenario.time_limit), ..scenario }
}

/// The scenario without a node; those after it move up.
fn without_node(scenario: &Scenario, gone: Node) -> Scenario {
    let step = |step: &Step| {
        let fault = fault_without(&step.fault, gone)?;
        Some(Step { fault, ..step.clone() })
    };
    let steps = steps(scenario).iter().filter_map(step).collect();
    Scenario { nodes: scenario.nodes - 1, ..with_steps(scenario, steps) }
}

/// What is left of a fault without a node, if anything is.
fn fault_without(fault: &Fault, gone: Node) -> Option<Fault> {
    let links = |partition: &Partition| match partition {
        Partition::Splits(splits) => {
            let mut left = splits.clone();
            for split in &mut left {
                split.from = set_without(&split.from, gone);
                split.to = set_without(&split.to, gone);
            }
            left.retain(|split| !split.from.0.is_empty() && !split.to.0.is_empty());
            (!left.is_empty()).then_some(Partition::Splits(left))
        }
        Partition::Ring | Partition::Bridge => Some(partition.clone()),
    };
    let nodes = |set: &NodeSet| Some(set_without(set, gone)).filter(|set| !set.0.is_empty());
    match fault {
        Fault::Link(trouble, partition) => links(partition).map(|it| Fault::Link(*trouble, it)),
        Fault::End(ending, set) => nodes(set).map(|set| Fault::End(*ending, set)),
        Fault::Restart(Some(set)) => nodes(set).map(|set| Fault::Restart(Some(set))),
        Fault::Remove(set) => nodes(set).map(Fault::Remove),
        Fault::Retire(set) => nodes(set).map(Fault::Retire),
        Fault::Transfer(set) => nodes(set).map(Fault::Transfer),
        Fault::Add(Some(new)) => {
            let moved = |node: &Node| Node(node.0 - u16::from(*node > gone));
            let left: BTreeSet<Node> =
                new.iter().filter(|node| **node != gone).map(moved).collect();
            (!left.is_empty()).then_some(Fault::Add(Some(left)))
        }
        Fault::Damage(damage, set) => nodes(set).map(|set| Fault::Damage(*damage, set)),
        Fault::Ail(ailment, set) => nodes(set).map(|set| Fault::Ail(*ailment, set)),
        Fault::Heal | Fault::Restart(None) | Fault::Add(None) | Fault::Cure(_) => {
            Some(fault.clone())
        }
    }
}

fn set_without(set: &NodeSet, gone: Node) -> NodeSet {
    let moved = |pick: &Pick| match *pick {
        Pick::Node(node) if node == gone => None,
        Pick::Node(node) if node > gone => Some(Pick::Node(Node(node.0 - 1))),
        other => Some(other),
    };
    NodeSet(set.0.iter().filter_map(moved).collect())
}
