//! A seed decides everything: the same bytes in every process and with any number of threads.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread;
use std::time::Duration;

use rashomon::campaign::plan::WorkloadName;
use rashomon::sim::explore::{Manner, explore_of};
use rashomon::sim::system::SimError;
use rashomon::sim::verdict::write_history;
use rashomon::sim::{Recorded, Scenario, Settings, Stores, System, Telling};

use crate::support::Bench;

const SEEDS: u64 = 100;

/// What a run leaves: its history as it is written to a file, and its story.
type Traces = BTreeMap<u64, (Vec<u8>, String)>;

/// The stores, with everything written down.
#[derive(Default)]
struct WrittenDown(Mutex<Traces>);

impl System for WrittenDown {
    fn simulate(&self, scenario: &Scenario, _told: Telling) -> Result<Recorded, SimError> {
        let recorded = Stores.simulate(scenario, Telling::STORY)?;
        let mut history = Vec::new();
        write_history(&recorded.events, &mut history).expect("memory can be written to");
        let story = recorded.story.clone().expect("it was to be told");
        self.0.lock().expect("no thread has panicked").insert(scenario.seed, (history, story));
        Ok(recorded)
    }
}

/// All seeds in this process, on so many threads.
fn here(jobs: usize) -> Traces {
    let settings = Settings {
        store: "raft".into(),
        bug: None,
        reads: Default::default(),
        workload: WorkloadName::Register,
        nemesis: "all".parse().expect("there are kinds of fault"),
        schedule: None,
        swarm: false,
        nodes: 5,
        concurrency: 4,
        rate: 40.0,
        time_limit: Duration::from_secs(3),
    };
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let manner = Manner { jobs, keep_going: true, stop: &stop, done: &done };
    let system = WrittenDown::default();
    explore_of(&system, &settings, 1..=SEEDS, manner).expect("every seed can be run");
    system.0.into_inner().expect("no thread has panicked")
}

/// A seed in a process of its own, as the command line has it.
fn elsewhere(seed: u64) -> (Vec<u8>, String) {
    let bench = Bench::new();
    let seed = seed.to_string();
    let run = bench.rashomon(&[
        "sim",
        "--seed",
        &seed,
        "--trace",
        "--out",
        "runs",
        "--concurrency",
        "4",
        "--rate",
        "40",
        "--time-limit",
        "3s",
    ]);
    assert_eq!(run.code(), Some(0), "{}", run.everything());
    (fs::read(bench.latest().join("history.jsonl")).expect("the history is kept"), run.stdout)
}

#[test]
fn a_seed_leaves_the_same_bytes_in_every_process_and_on_every_thread() {
    let (one, three) = (here(1), here(3));
    assert_eq!(one.len() as u64, SEEDS);
    assert!(one == three, "the number of threads makes a difference");
    let differs = |seed: u64| {
        let (history, story) = &one[&seed];
        let (other, told) = elsewhere(seed);
        *history != other || !told.starts_with(story)
    };
    thread::scope(|scope| {
        for part in 0..2 {
            let differs = &differs;
            scope.spawn(move || {
                for seed in (1..=SEEDS).filter(|seed| seed % 2 == part) {
                    assert!(!differs(seed), "seed {seed} is another in another process");
                }
            });
        }
    });
}
