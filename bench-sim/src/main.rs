//! Rashomon's simulator beside turmoil and madsim, in one run: heartbeats of five nodes.
//!
//! One node sends a heartbeat to each of the four others every 50 ms, and they answer; messages
//! take 150 to 450 µs. The others do just that. Rashomon's nodes are Raft as it is delivered, with
//! elections, disks, a client that reads and writes now and then, and all invariants checked at
//! every step, so it does more for a message, not less.
//!
//! `cd bench-sim && cargo run --release`

mod ours;
mod theirs_madsim;
mod theirs_turmoil;

use std::error::Error;
use std::time::Duration;

use clap::Parser;
use cpu_time::ProcessTime;

/// How many nodes there are.
const NODES: u16 = 5;
/// How often heartbeats are sent.
const HEARTBEAT: Duration = Duration::from_millis(50);
/// How long a message is on its way.
const LATENCY: std::ops::Range<Duration> = Duration::from_micros(150)..Duration::from_micros(450);
/// Where nodes listen.
const PORT: u16 = 7000;

/// Measure Rashomon's simulator beside others
#[derive(Debug, Parser)]
struct Arguments {
    /// How long the heartbeats go on, in seconds of virtual time
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    seconds: u64,
    /// How often each simulator is measured; the fastest counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    times: u32,
}

/// Simulates so much virtual time, and says how many messages were delivered.
type Simulator = fn(Duration) -> Result<u64, Box<dyn Error>>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let time = Duration::from_secs(arguments.seconds);
    let simulators: [(&str, Simulator); 3] = [
        ("rashomon", ours::simulate),
        ("turmoil", theirs_turmoil::simulate),
        ("madsim", theirs_madsim::simulate),
    ];
    println!("{} virtual seconds each, CPU time, best of {}\n", arguments.seconds, arguments.times);
    println!(
        "{:10} {:>10} {:>10} {:>22} {:>22} {:>18}",
        "simulator",
        "messages",
        "CPU s",
        "virtual s per second",
        "messages per second",
        "times as fast as"
    );
    let mut own = None;
    for (name, simulate) in simulators {
        let (took, messages) = measure(simulate, time, arguments.times)?;
        let own = *own.get_or_insert(took);
        println!(
            "{name:10} {messages:10} {took:10.3} {:22.0} {:22.0} {:18.1}",
            time.as_secs_f64() / took,
            messages as f64 / took,
            took / own,
        );
    }
    println!("\nThe last column: how many times as fast Rashomon is, by virtual seconds.");
    Ok(())
}

/// The least CPU time, in seconds, and the messages.
fn measure(simulate: Simulator, time: Duration, times: u32) -> Result<(f64, u64), Box<dyn Error>> {
    let (mut least, mut messages) = (f64::INFINITY, 0);
    for _ in 0..times {
        let began = ProcessTime::now();
        messages = simulate(time)?;
        least = least.min(began.elapsed().as_secs_f64());
    }
    Ok((least, messages))
}
