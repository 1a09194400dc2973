//! The lab tests of MIT's course on distributed systems, against this project's Raft, in virtual
//! time: `cargo run --release --example raft_labs -- --help`.

use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use rashomon::sim::labs::{Survey, TESTS, Test};
use rashomon_stores::raft::mutants::Bug;

/// Run the lab tests of MIT 6.824 against Raft, simulated
#[derive(Debug, Parser)]
struct Arguments {
    /// Seeds to run each test under, such as 1..1000, both included; one seed if a single number
    #[arg(long, value_parser = seeds, default_value = "1")]
    seeds: RangeInclusive<u64>,
    /// Only tests whose name has this in it, such as 2b
    #[arg(long, value_name = "NAME", default_value = "")]
    test: String,
    /// A bug to plant in Raft, such as stale-read
    #[arg(long, value_name = "NAME")]
    bug: Option<Bug>,
}

fn seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text:?}: {error}"));
    match text.split_once("..") {
        None => number(text).map(|seed| seed..=seed),
        Some((from, to)) => Ok(number(from)?..=number(to)?),
    }
    .and_then(|seeds| if seeds.is_empty() { Err("there are none".into()) } else { Ok(seeds) })
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let chosen: Vec<&Test> =
        TESTS.iter().filter(|test| test.name.contains(&arguments.test)).collect();
    if chosen.is_empty() {
        eprintln!("no test has {:?} in its name", arguments.test);
        return ExitCode::from(2);
    }
    let began = Instant::now();
    let sound = if arguments.seeds.start() == arguments.seeds.end() {
        one_seed(&chosen, *arguments.seeds.start(), arguments.bug)
    } else {
        many_seeds(&chosen, &arguments.seeds, arguments.bug)
    };
    println!("\n{} of {} tests passed, in {:.2?}", sound, chosen.len(), began.elapsed());
    if sound == chosen.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The table that the tests' original prints, and how long each took in real time.
fn one_seed(tests: &[&Test], seed: u64, bug: Option<Bug>) -> usize {
    println!(
        "{:44} {:>9} {:>7} {:>8} {:>8} {:>9} {:>8}",
        "test", "virtual s", "servers", "RPCs", "commands", "bytes", "wall ms"
    );
    let mut passed = 0;
    for test in tests {
        let began = Instant::now();
        let result = test.run(seed, bug);
        let wall = milliseconds(began.elapsed());
        let (name, servers) = (test.name, test.servers);
        match result {
            Ok(outcome) => {
                passed += 1;
                println!(
                    "{name:44} {:9.3} {servers:7} {:8} {:8} {:9} {wall:8.1}",
                    outcome.virtual_time.as_secs_f64(),
                    outcome.calls,
                    outcome.commands,
                    outcome.bytes,
                );
            }
            Err(failure) => println!("{name:44} FAILED {failure}"),
        }
    }
    passed
}

/// What each test came to under many seeds: the worst counts, and the seeds that fail.
fn many_seeds(tests: &[&Test], seeds: &RangeInclusive<u64>, bug: Option<Bug>) -> usize {
    println!(
        "{:44} {:>6} {:>6} {:>9} {:>9} {:>8} {:>8}  worst counts",
        "test", "seeds", "failed", "mean s", "longest s", "RPCs max", "wall s"
    );
    let mut passed = 0;
    for test in tests {
        let began = Instant::now();
        let survey = test.survey(seeds.clone(), bug);
        passed += usize::from(survey.failures.is_empty());
        print_survey(test, &survey, began.elapsed());
    }
    passed
}

fn print_survey(test: &Test, survey: &Survey, wall: Duration) {
    const SHOWN: usize = 3;
    let failed = survey.failures.len();
    let worst: Vec<String> = survey
        .worst
        .iter()
        .map(|bound| format!("{} {} of {}", bound.what, bound.count, bound.bound))
        .collect();
    println!(
        "{:44} {:6} {failed:6} {:9.3} {:9.3} {:8} {:8.2}  {}",
        test.name,
        survey.seeds,
        survey.seconds / (survey.seeds - failed as u64).max(1) as f64,
        survey.seconds_max,
        survey.calls_max,
        wall.as_secs_f64(),
        worst.join(", ")
    );
    for (seed, failure) in survey.failures.iter().take(SHOWN) {
        println!("    seed {seed}: {failure}");
    }
    if failed > SHOWN {
        println!("    and {} more seeds", failed - SHOWN);
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
