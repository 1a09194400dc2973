//! `rashomon node`: one node of a built-in store. The harness starts it; people need not.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use rashomon_stores::node::{self, Ailment, Ailments, Config};
use tokio::io::{AsyncBufReadExt, BufReader};

use super::complain;
use crate::exit::Exit;
use crate::target::address_file;

/// Run one node of a built-in store until standard input ends
#[derive(Debug, Args)]
pub(super) struct NodeArguments {
    /// The node's configuration, as JSON
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run(arguments: &NodeArguments) -> Exit {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("RASHOMON_LOG")
                .unwrap_or_else(|_| "info".into()),
        )
        .with_writer(io::stderr)
        .with_ansi(false)
        .init();
    end_with_the_harness();
    match serve(&arguments.config) {
        Ok(()) => Exit::Valid,
        Err(error) => {
            complain(&*error, None);
            Exit::Infrastructure
        }
    }
}

/// A node that stands still notices nothing, not even that the harness is gone: Linux then ends it.
/// Elsewhere a stopped node outlives a harness that is killed.
#[cfg(target_os = "linux")]
fn end_with_the_harness() {
    use rustix::process::{Signal, set_parent_process_death_signal};
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        tracing::warn!("a node that is paused will outlive a harness that is killed: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn end_with_the_harness() {}

fn serve(file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let config: Config = serde_json::from_slice(&fs::read(file)?)?;
    let place = file.parent().unwrap_or(Path::new(".")).to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ready = move |address| {
        if let Err(error) = announce(&place, address) {
            tracing::error!("cannot write down the address: {error}");
        }
    };
    let ended = runtime.block_on(node::run(config, ready, follow_input));
    // A node that ends by itself must not wait for the thread that reads standard input.
    runtime.shutdown_background();
    Ok(ended?)
}

/// The harness holds the other end of standard input: when it ends, in whatever way, so do we. Until
/// then it says what is to befall the node.
async fn follow_input(ailments: Ailments) {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match line.parse() {
            Ok(ailment) => {
                tracing::info!("told to {line}");
                ailments.befall(ailment);
                if let Ailment::Unplug(_) = ailment {
                    // Whose power is gone does nothing in order.
                    std::process::exit(i32::from(Exit::Infrastructure.code()));
                }
            }
            Err(error) => tracing::error!("{error}"),
        }
    }
}

/// Writes down where the node listens; by a rename, so that nobody reads half an address.
fn announce(place: &Path, address: SocketAddr) -> io::Result<()> {
    let fresh = place.join("address.new");
    fs::write(&fresh, address.to_string())?;
    fs::rename(fresh, address_file(place))
}
