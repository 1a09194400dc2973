//! `rashomon snapshot`: what every node of a live cluster has, and what is on its way between them.

use std::time::Duration;

use clap::Args;
use rashomon_stores::node::{PartBody, Told};
use rashomon_stores::observe::cut::Cut;
use rashomon_stores::replica::{Role, Status};
use serde::Serialize;

use super::{complain, duration, print_json, print_text};
use crate::exit::Exit;
use crate::snapshot::{Snapshot, SnapshotError, addresses, converged, take};

/// Take a consistent snapshot of a running cluster: what every node has, and what is on its way
#[derive(Debug, Args)]
pub(super) struct SnapshotArguments {
    /// The directory of a run that is going on, such as runs/latest; or the base URLs of nodes
    #[arg(required = true, value_name = "RUN|URL")]
    cluster: Vec<String>,
    /// How long to wait for one to be complete
    #[arg(long, default_value = "10s", value_parser = duration::parse)]
    patience: Duration,
    /// Print the snapshot as JSON on standard output
    #[arg(long, help_heading = "Output")]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    snapshot: u64,
    /// Whether all nodes have the same and will keep it; null where somebody leads.
    converged: Option<bool>,
    on_its_way: usize,
    missing: u64,
    left_out: &'a [String],
    nodes: Vec<&'a PartBody>,
}

pub(super) fn run(arguments: &SnapshotArguments) -> Exit {
    let taken = addresses(&arguments.cluster).and_then(|urls| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(SnapshotError::Runtime)?;
        runtime.block_on(take(&urls, arguments.patience))
    });
    let taken = match taken {
        Ok(taken) => taken,
        Err(error) => {
            complain(&error, None);
            return match error {
                SnapshotError::NoRun(_) | SnapshotError::Twice(_) => Exit::Usage,
                SnapshotError::Incomplete { .. } => Exit::Unknown,
                _ => Exit::Infrastructure,
            };
        }
    };
    let Snapshot { cut, left_out } = &taken;
    for url in left_out {
        eprintln!("{url} does not answer, and is left out");
    }
    if arguments.json {
        print_json(&Report {
            schema: 1,
            snapshot: cut.snapshot,
            converged: converged(cut),
            on_its_way: cut.on_its_way().count(),
            missing: cut.missing(),
            left_out,
            nodes: cut.parts.values().collect(),
        });
    } else {
        print_text(&text(cut));
    }
    Exit::Valid
}

fn text(cut: &Cut<Status, Told>) -> String {
    let mut text = format!("snapshot {} of {} nodes\n\n", cut.snapshot, cut.parts.len());
    text += "node   starts  role       term  committed  applied  digest\n";
    for (node, part) in &cut.parts {
        let Status { role, term, commit_index, applied_index, digest, .. } = part.state;
        let role = match role {
            Role::Leader => "leader",
            Role::Follower => "follower",
            Role::Candidate => "candidate",
            Role::Peer => "peer",
        };
        text += &format!(
            "{:<5}  {:>6}  {role:<9}  {term:>4}  {commit_index:>9}  {applied_index:>7}  {digest:016x}\n",
            node.to_string(),
            part.incarnation,
        );
    }
    text += &format!("\non its way: {} messages", cut.on_its_way().count());
    text += &match cut.missing() {
        0 => "\n".to_owned(),
        missing => format!(", and {missing} that are lost or late\n"),
    };
    for (from, to, told) in cut.on_its_way() {
        let changes = if told.changes == Some(true) { "  (would change it)" } else { "" };
        text += &format!("  {from} -> {to}  {}{changes}\n", told.text);
    }
    text += match converged(cut) {
        None => "",
        Some(true) => "\nAll nodes have the same, and nothing on its way would change that.\n",
        Some(false) => "\nThe nodes have not converged.\n",
    };
    text
}
