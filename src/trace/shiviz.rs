//! The form in which ShiViz takes traces, a program that draws them as space-time diagrams (Beschastnikh
//! et al., "Visualizing Distributed System Executions", TOSEM 2020).
//!
//! The first line of its input is a regular expression with the groups `event`, `host` and `clock`,
//! by which it takes the rest apart; the second may separate several executions, and is empty for
//! one. Clocks are JSON objects. Every event of a host has to be there, and count by one from 1: the
//! numbers of our events do.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::Traces;

/// How the lines are to be taken apart: two for each event.
pub const PATTERN: &str = r"(?<event>.*)\n(?<host>\S*) (?<clock>{.*})";

/// Writes traces down for ShiViz.
pub fn export(traces: &Traces) -> String {
    let mut text = format!("{PATTERN}\n\n");
    for event in traces.merged() {
        let entry = |(node, count): (_, u64)| (format!("{node}"), Value::from(count));
        let clock: Map<String, Value> = event.clock.iter().map(entry).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{event}\n{} {}", event.node, Value::Object(clock));
    }
    text
}
