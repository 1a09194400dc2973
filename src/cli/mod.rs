//! The command line: arguments in, exit code out. Data goes to stdout, talk to stderr.

mod check;
mod compare;
mod convert;
mod doctor;
mod duration;
mod heal;
mod list;
mod node;
mod progress;
mod signals;
mod sim;
mod snapshot;
mod store;
mod test;
mod trace;
mod zoo;

use std::io::{self, Write};

use clap::{Parser, Subcommand};
use serde::Serialize;

use crate::exit::Exit;

pub use sim::seeds;

/// Test replicated stores: run a cluster, break it, and decide whether one story explains what its clients saw
#[derive(Debug, Parser)]
#[command(name = "rashomon", version, propagate_version = true, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Examples:
  rashomon test                        five Raft nodes, ten clients, partitions, a verdict
  rashomon test --bug stale-read       the same with a planted bug: exit 1 and the proof
  rashomon sim --seeds 1..1000         a thousand simulated runs with all faults, each replayed by its seed
  rashomon shrink --bug stale-read     the least scenario that shows a violation, as a file
  rashomon zoo --jobs 2                hunt every planted bug; see `rashomon list bugs`
  rashomon compare raft paxos eventual single
                                       the same operations and faults for each: what it keeps, and costs
  rashomon snapshot runs/latest        what every node of a running cluster has, and what is on its way
  rashomon heal                        what a run left whose harness was killed: end it, unmount it
  rashomon trace runs/latest           which node did what before what, after `test --trace-nodes`
  rashomon check runs/latest/history.jsonl
                                       judge a recorded history
  rashomon doctor                      which faults this machine can do, and what the others need
  rashomon check --certify runs        judge every history in a directory, and verify the witnesses

Exit codes: 0 valid, 1 violation, 2 usage or unreadable input, 3 unknown, 4 infrastructure,
70 a bug in rashomon, 130 Ctrl-C, 143 SIGTERM";

#[derive(Debug, Subcommand)]
enum Command {
    Test(test::TestArguments),
    Sim(sim::SimArguments),
    Shrink(sim::shrink::ShrinkArguments),
    Check(check::CheckArguments),
    Trace(trace::TraceArguments),
    Snapshot(snapshot::SnapshotArguments),
    Heal(heal::HealArguments),
    Convert(convert::ConvertArguments),
    Zoo(zoo::ZooArguments),
    Compare(compare::CompareArguments),
    List(list::ListArguments),
    Doctor(doctor::DoctorArguments),
    #[command(hide = true)]
    Node(node::NodeArguments),
}

/// Runs the command that the process was started with.
pub fn run() -> Exit {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // A closed pipe while printing help is nobody's error.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Valid };
        }
    };
    match arguments.command {
        Command::Test(arguments) => test::run(arguments),
        Command::Sim(arguments) => sim::run(&arguments),
        Command::Shrink(arguments) => sim::shrink::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Trace(arguments) => trace::run(&arguments),
        Command::Snapshot(arguments) => snapshot::run(&arguments),
        Command::Heal(arguments) => heal::run(&arguments),
        Command::Convert(arguments) => convert::run(&arguments),
        Command::Zoo(arguments) => zoo::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::List(arguments) => list::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Node(arguments) => node::run(&arguments),
    }
}

/// Prints data. A reader that has seen enough, such as `head`, is no error.
fn print_text(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

/// Prints data as JSON, on a line of its own.
fn print_json(data: &impl Serialize) {
    let text = serde_json::to_string(data).expect("results have string keys only");
    print_text(&(text + "\n"));
}

/// Prints an error the way every command does: what failed, why, and what to do about it.
fn complain(error: &dyn std::error::Error, hint: Option<&str>) {
    let mut said = error.to_string();
    eprintln!("error: {said}");
    let mut cause = error.source();
    while let Some(error) = cause {
        // Some errors speak for their cause.
        if !said.contains(&error.to_string()) {
            said = error.to_string();
            eprintln!("  caused by: {said}");
        }
        cause = error.source();
    }
    if let Some(hint) = hint {
        eprintln!("\nhint: {hint}");
    }
}
