//! How fast the simulator is: `cargo bench -p rashomon --bench sim`.
//!
//! Five nodes, ten clients, 100 operations a second and all faults, on one thread, the judging of
//! histories included: virtual seconds and simulated events in a second of the processor's time as
//! far as the system tells it, of the wall's otherwise.

use std::fs;
use std::time::{Duration, Instant};

use rashomon::campaign::plan::WorkloadName;
use rashomon::sim::verdict::run_seed;
use rashomon::sim::{Scenario, Settings, Stores, System, Telling};

const SEEDS: std::ops::RangeInclusive<u64> = 1..=200;

fn main() {
    let settings = Settings {
        store: "raft".into(),
        bug: None,
        reads: Default::default(),
        workload: WorkloadName::Register,
        nemesis: "all".parse().expect("there are kinds of fault"),
        schedule: None,
        swarm: false,
        nodes: 5,
        concurrency: 10,
        rate: 100.0,
        time_limit: Duration::from_secs(20),
    };
    measure("simulated", || {
        let sum = |(seconds, events): (f64, u64), seed| {
            let scenario = Scenario::generate(seed, &settings);
            let recorded =
                Stores.simulate(&scenario, Telling::NOTHING).expect("there is such a store");
            (seconds + recorded.virtual_ns as f64 / 1e9, events + recorded.simulated)
        };
        SEEDS.fold((0.0, 0), sum)
    });
    measure("simulated and judged", || {
        let sum = |(seconds, events): (f64, u64), seed| {
            let recorded =
                run_seed(&settings, seed, Telling::NOTHING).expect("it can be judged").recorded;
            (seconds + recorded.virtual_ns as f64 / 1e9, events + recorded.simulated)
        };
        SEEDS.fold((0.0, 0), sum)
    });
}

fn measure(what: &str, run: impl Fn() -> (f64, u64)) {
    let (wall, processor) = (Instant::now(), processor_time());
    let (seconds, events) = run();
    let took = match (processor, processor_time()) {
        (Some(before), Some(after)) => after - before,
        _ => wall.elapsed(),
    };
    let took = took.as_secs_f64();
    println!(
        "{what:22} {:6.0} virtual seconds/s  {:9.0} events/s   ({seconds:.0} s, {events} events in {took:.2} s)",
        seconds / took,
        events as f64 / took
    );
}

/// The time that this process has used, where `/proc` says it: in hundredths of a second.
fn processor_time() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program may have anything in it, but ends with the last bracket.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let user: u64 = fields.get(11)?.parse().ok()?;
    let system: u64 = fields.get(12)?.parse().ok()?;
    Some(Duration::from_millis((user + system) * 10))
}
