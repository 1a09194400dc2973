//! `rashomon trace`: the traces of several nodes, put together.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use rashomon_stores::observe::trace::{Event, Kind};

use super::{complain, print_text};
use crate::exit::Exit;
use crate::trace::verify::{Verified, Wrong, verify};
use crate::trace::{Name, Order, Traces, order, shiviz};

/// Put node traces together, verify their vector clocks, and say which of two events came first
#[derive(Debug, Args)]
pub(super) struct TraceArguments {
    /// Traces of nodes, directories of them, or the directory of a run made with --trace-nodes
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Say which of two events came first; an event is named like n1:57, the 57th of node 1
    #[arg(long, num_args = 2, value_names = ["EVENT", "EVENT"])]
    order: Vec<Name>,
    /// Print all events in an order that never contradicts what happened before what
    #[arg(long)]
    merge: bool,
    /// Write the traces to this file in the form of ShiViz
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    shiviz: Option<PathBuf>,
}

pub(super) fn run(arguments: &TraceArguments) -> Exit {
    let traces = match Traces::read(&arguments.files) {
        Ok(traces) => traces,
        Err(error) => {
            complain(&error, None);
            return Exit::Usage;
        }
    };
    for file in &traces.cut_off {
        eprintln!("{}: the last line is cut off, and left out", file.display());
    }
    let verified = match verify(&traces) {
        Ok(verified) => verified,
        Err(Wrong::Trace(error)) => {
            complain(&error, None);
            return Exit::Usage;
        }
        Err(wrong) => {
            complain(&wrong, None);
            return Exit::Violation;
        }
    };
    match show(&traces, verified, arguments) {
        Ok(()) => Exit::Valid,
        Err(error) => {
            complain(&*error, None);
            Exit::Usage
        }
    }
}

fn show(
    traces: &Traces,
    verified: Verified,
    arguments: &TraceArguments,
) -> Result<(), Box<dyn std::error::Error>> {
    if let Some(out) = &arguments.shiviz {
        let written = fs::write(out, shiviz::export(traces));
        written.map_err(|error| format!("cannot write {}: {error}", out.display()))?;
    }
    if arguments.merge {
        let lines = traces.merged().into_iter().map(|event| line(event) + "\n");
        print_text(&lines.collect::<String>());
    }
    if let [one, other] = arguments.order[..] {
        let find = |name| traces.get(name).ok_or_else(|| format!("there is no event {name}"));
        let (one, other) = (find(one)?, find(other)?);
        let said = match order(one, other) {
            Order::Same => "they are the same event",
            Order::Before => "the first happened before the second",
            Order::After => "the second happened before the first",
            Order::Concurrent => "they are concurrent: neither could have influenced the other",
        };
        print_text(&format!("{}\n{}\n{said}\n", line(one), line(other)));
    } else if !arguments.merge {
        print_text(&summary(traces, verified));
    }
    Ok(())
}

fn line(event: &Event) -> String {
    format!("{:<9} {event}   [{}]", Name::of(event).to_string(), event.clock)
}

fn summary(traces: &Traces, verified: Verified) -> String {
    let mut text =
        format!("{:<5} {:>8} {:>7} {:>9} {:>9}\n", "node", "events", "starts", "sent", "received");
    for (node, events) in traces.nodes() {
        let count =
            |wanted: fn(&Kind) -> bool| events.iter().filter(|event| wanted(&event.kind)).count();
        let starts = count(|kind| matches!(kind, Kind::Start));
        let sent = count(|kind| matches!(kind, Kind::Send { .. }));
        let received = count(|kind| matches!(kind, Kind::Receive { .. }));
        text += &format!(
            "{:<5} {:>8} {starts:>7} {sent:>9} {received:>9}\n",
            node.to_string(),
            events.len()
        );
    }
    let Verified { events, sent, received, believed } = verified;
    text += &format!(
        "\nThe clocks of all {events} events are right: {received} receipts of {sent} messages.\n"
    );
    if believed > 0 {
        text += &format!("Of {believed} more receipts the sender's trace is not there.\n");
    }
    text
}
