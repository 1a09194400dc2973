//! Tokens wander between nodes that crash, over a network that loses, repeats and overtakes, and on every
//! snapshot they are as many as in the beginning: `cargo run --release --example tokens -- --seeds 1..10000`.
//!
//! Every fourth seed is without faults. In those, what the accounts hold and what the snapshot recorded on
//! its way is all there is. In the others a transfer may have been lost and not yet sent again, so that
//! it is nowhere but in its sender's books: there the accounts, and what their books say was sent and not
//! taken in, are all.
//!
//! `--bug NAME` takes the snapshots wrongly: marker-late, state-late, channel-forgotten, crash-ignored.

mod audit;
mod core;

use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use rashomon::cli::seeds;
use rashomon_stores::observe::mutants::Bug;

use self::audit::{AnyError, NODES, audit_all};
use self::core::ENDOWMENT;

/// Audit the tokens on every snapshot
#[derive(Debug, Parser)]
struct Arguments {
    /// The seeds, both included
    #[arg(long, value_parser = seeds, default_value = "1..1000")]
    seeds: RangeInclusive<u64>,
    /// Take the snapshots wrongly: marker-late, state-late, channel-forgotten or crash-ignored
    #[arg(long)]
    bug: Option<Bug>,
}

/// Arguments in, exit code out: 0 if the tokens are always all there, 1 if not.
fn main() -> Result<ExitCode, AnyError> {
    let Arguments { seeds, bug } = Arguments::parse();
    let (began, count) = (Instant::now(), seeds.clone().count());
    let (wrong, sum) = audit_all(seeds, bug, bug.is_some())?;
    println!(
        "{count} seeds of {NODES} nodes with {ENDOWMENT} tokens each, every fourth without faults"
    );
    for (what, times) in sum.seen {
        println!("{times:>10}  {what}");
    }
    for (seed, what) in &wrong {
        println!("seed {seed}: {what}");
    }
    eprintln!("{:.1} s", began.elapsed().as_secs_f64());
    if wrong.is_empty() {
        println!("the tokens were all there on every snapshot");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}
