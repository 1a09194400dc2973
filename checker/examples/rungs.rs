//! Every rung of the ladder against its definition, for as many random small histories as one likes:
//! `cargo run --release -p rashomon-checker --example rungs -- 1000000`.
//!
//! The histories are those of the tests. What is said of each is compared with a search through all
//! orders, the proof of a violation must be one by itself, and no rung may hold without those that it
//! has in it; k and Δ, how far from atomic a history is, are compared as well. A disagreement is a panic that names the seed, and the exit code is 101. The optional
//! second argument is the first seed.

#[path = "../tests/consistency/rungs/mod.rs"]
mod rungs;
#[path = "../tests/consistency/scribe.rs"]
mod scribe;

use std::time::Instant;

use clap::Parser;
use rungs::{Tally, compare_all};

/// Compare every rung of the ladder with its definition
#[derive(Debug, Parser)]
struct Arguments {
    /// How many histories
    #[arg(default_value_t = 100_000)]
    histories: u64,
    /// The seed of the first one
    #[arg(default_value_t = 0)]
    first_seed: u64,
}

fn main() {
    let Arguments { histories: count, first_seed: first } = Arguments::parse();
    let began = Instant::now();
    let tally: Tally = compare_all(first..first + count, 8);
    println!("{:20} {:>10} {:>10} {:>10}", "rung", "held", "violated", "unknown");
    for (rung, [held, violated, unknown]) in &tally {
        println!("{rung:20} {held:>10} {violated:>10} {unknown:>10}");
    }
    let [known, stale, none, open] = rungs::atomicity::compare_all(first..first + count);
    println!(
        "k-atomic: {known} exactly, {open} within bounds; k > 1 {stale} times, {none} times no k"
    );
    println!("{count} histories, no disagreement, {:.1} s", began.elapsed().as_secs_f64());
}
