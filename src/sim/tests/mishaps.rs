//! Tests of what befalls single nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rashomon_stores::kv::Output;
use rashomon_stores::replica::{
    Effects, Input, NodeId, RecoverError, Replica, Request, RequestId, Setup, Slot, Status, Time,
};

use super::{Idle, history, settings};
use crate::campaign::plan::WorkloadName;
use crate::report::VerdictWord;
use crate::sim::climate::{Climate, Latency};
use crate::sim::mishap::{Mishap, Mishaps};
use crate::sim::scenario::Nonsense;
use crate::sim::verdict::{Seed, run_scenario};
use crate::sim::world::{Happening, World};
use crate::sim::{Scenario, Stores, Telling};

/// A run in which these mishaps befall every node so often, in milliseconds, beside kills.
fn run(seed: u64, mishaps: &[(Mishap, u64)]) -> Seed {
    let settings = settings(WorkloadName::Register, "kill", None);
    let mut scenario = Scenario::generate(seed, &settings);
    for (mishap, every_ms) in mishaps {
        scenario.climate.every.set(*mishap, Some(every_ms * 1_000_000));
    }
    run_scenario(&Stores, scenario, Telling::STORY).expect("it runs")
}

/// Whatever befalls a node stands in the history with a beginning and an end, and the coverage of
/// the run counts it like any other fault.
#[test]
fn mishaps_stand_in_the_history() {
    let mut kinds = BTreeSet::new();
    for seed in 1..=6 {
        let run = run(seed, &Mishap::ALL.map(|mishap| (mishap, 3_000)));
        let coverage = &run.judged.results.coverage;
        for fault in &coverage.faults {
            kinds.insert(fault.kind.clone());
            let to = fault.to_ns.expect("every fault is over in the end");
            assert!(to >= fault.from_ns, "seed {seed}: {fault:?}");
            assert!(to <= 8_000_000_000 || fault.kind == "bit-rot", "seed {seed}: {fault:?}");
            assert!(!fault.bit || !fault.observed.starts_with("0 "), "seed {seed}: {fault:?}");
        }
        assert!(coverage.faults.is_empty() || coverage.overlapping > 0, "seed {seed}");
    }
    for mishap in Mishap::ALL {
        assert!(kinds.contains(mishap.name()), "no {} in {kinds:?}", mishap.name());
    }
}

/// Between the failure of its disk and its next start a node takes nothing and says nothing, and
/// acknowledged writes survive whatever prefix of the rest does.
#[test]
fn a_node_whose_disk_fails_is_down_until_it_is_started_again() {
    let (mut failures, mut again) = (0, 0);
    for seed in 1..=12 {
        let run = run(seed, &[(Mishap::FsyncFailure, 900), (Mishap::FullDisk, 2_500)]);
        assert_eq!(run.judged.results.verdict, VerdictWord::Valid, "seed {seed}");
        let story = run.recorded.story.as_deref().expect("it was told");
        let mut down: BTreeSet<String> = BTreeSet::new();
        for line in story.lines() {
            let words: Vec<&str> = line.split_whitespace().skip(1).collect();
            match words[..] {
                ["an", "fsync", "of", id, ..] | [id, "finds", "no", "room", ..] => {
                    assert!(down.insert(id.to_owned()), "seed {seed}: {line}");
                    failures += 1;
                }
                [id, "starts"] => drop(down.remove(id)),
                [_, "->", to, what, ..] => {
                    assert!(what.starts_with("lost") || !down.contains(to), "seed {seed}: {line}");
                }
                [id, "crashes", ..] | [id, ..] if line.contains("crashes") => {
                    assert!(id.starts_with('n'), "seed {seed}: {line}");
                }
                [id, ..] => assert!(!down.contains(id), "seed {seed}: {line}"),
                [] => {}
            }
        }
        let full = run.judged.results.coverage.faults.iter();
        let full = full.filter(|fault| fault.kind == "full-disk").count() as u64;
        again += u64::from(run.recorded.hardship.writes_without_room > full);
    }
    assert!(failures > 50, "{failures} failures");
    assert!(again > 0, "a node that starts while its disk is still full fails again");
}

/// At most a minority is lost, nobody who is lost ever starts again, and the rest lives on.
#[test]
fn bit_rot_takes_a_minority_for_good_and_the_others_live_on() {
    let mut losses: BTreeMap<u64, u64> = BTreeMap::new();
    for seed in 1..=16 {
        let run = run(seed, &[(Mishap::BitRot, 1_000), (Mishap::FsyncFailure, 2_000)]);
        let results = &run.judged.results;
        assert_eq!(results.verdict, VerdictWord::Valid, "seed {seed}: {}", results.why);
        let story = run.recorded.story.as_deref().expect("it was told");
        let mut lost = BTreeSet::new();
        for line in story.lines() {
            if let Some((_, rest)) = line.split_once("the record of ") {
                lost.insert(rest.split(' ').next().expect("a node"));
            }
            let starts = lost.iter().any(|id| line.ends_with(&format!(" {id} starts")));
            assert!(!starts, "seed {seed}: {line}");
        }
        assert_eq!(run.recorded.hardship.lost_nodes, lost.len() as u64);
        *losses.entry(lost.len() as u64).or_default() += 1;
        let again = run_scenario(&Stores, run.scenario.clone(), Telling::NOTHING);
        assert_eq!(history(&run), history(&again.expect("it runs")), "seed {seed}");
    }
    assert!(losses.contains_key(&2) && losses.keys().all(|lost| *lost <= 2), "{losses:?}");
}

#[test]
fn a_clock_that_might_go_back_is_refused() {
    let settings = settings(WorkloadName::Register, "clock", None);
    let mut scenario = Scenario::generate(1, &settings);
    scenario.climate.drift_ppm = Climate::DRIFT_PPM_MAX;
    assert_eq!(scenario.check(), Ok(()));
    scenario.climate.drift_ppm += 1;
    assert_eq!(scenario.check(), Err(Nonsense::Drift));
}

/// A core that notes every request.
#[derive(Clone, Debug)]
struct Diary(Idle);

impl Replica for Diary {
    type Message = ();
    type Record = ();
    type Timer = ();
    type Note = String;
    type Options = ();

    fn recover(
        setup: Setup,
        (): (),
        _: Vec<(Slot, ())>,
        _: Time,
        _: &mut Effects<Self>,
    ) -> Result<Self, RecoverError> {
        Ok(Diary(Idle(setup.id)))
    }

    fn step(&mut self, _: Time, input: Input<Self>, out: &mut Effects<Self>) {
        if let Input::Request { id, .. } = input {
            out.note(id.0.to_string());
            out.reply(id, Ok(Output::Done));
        }
    }

    fn status(&self) -> Status {
        self.0.status()
    }
}

/// A node that stands still or is slow takes all its inputs late, one after another, in the order in
/// which they came.
#[test]
fn inputs_queue_up_at_a_slow_node_and_keep_their_order() {
    for (mishap, waits) in
        [(None, false), (Some(Mishap::SlowCpu), true), (Some(Mishap::Pause), true)]
    {
        let mut every = Mishaps::NONE;
        mishap.into_iter().for_each(|mishap| every.set(mishap, Some(50_000_000)));
        let latency = Latency { least: 100_000, spread: 0 };
        let climate = Climate { latency, every, ..Climate::FAIR };
        let mut world: World<Diary, u64> = World::new(1, (), climate, 7);
        world.start(NodeId(1)).expect("it starts");
        let count = 2_000;
        for number in 0..count {
            world.wake_at(number * 1_000_000, number);
        }
        let mut late = 0;
        while let Some(happening) = world.advance(Duration::from_secs(60).as_nanos() as u64) {
            match happening {
                Happening::Wake(number) => {
                    let key = "x".into();
                    world.request(NodeId(1), RequestId(number), Request::Read(key));
                }
                Happening::Step(_) => {
                    let (_, number) = world.notes.last().expect("it noted the request");
                    let number: u64 = number.parse().expect("a number");
                    late += u64::from(world.now() > number * 1_000_000 + 100_000);
                }
                _ => {}
            }
        }
        let taken: Vec<u64> = world.notes.iter().filter_map(|(_, id)| id.parse().ok()).collect();
        assert_eq!(taken, (0..count).collect::<Vec<_>>(), "{mishap:?}");
        assert_eq!(late > 100, waits, "{mishap:?}: {late} were late");
        let took = world.incidents.len();
        assert_eq!(took > 0, waits, "{mishap:?}");
    }
}
