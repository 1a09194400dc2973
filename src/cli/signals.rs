//! Ctrl-C and SIGTERM: the first asks a run to stop, heal and report; the second ends it at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use tokio::sync::watch;

use crate::exit::Exit;

/// Listens for signals as long as the runtime lives.
#[derive(Clone, Debug)]
pub(super) struct Signals(Arc<AtomicU8>);

const INTERRUPTED: u8 = 1;
const TERMINATED: u8 = 2;

impl Signals {
    /// Begins to listen; the receiver turns true at the first signal.
    pub(super) fn listen() -> (Self, watch::Receiver<bool>) {
        let signals = Signals(Arc::default());
        let (stop, stopped) = watch::channel(false);
        let own = signals.clone();
        tokio::spawn(async move {
            own.0.store(next_signal().await, Ordering::Relaxed);
            eprintln!(
                "stopping: faults are healed and what was recorded is judged; once more ends at once"
            );
            stop.send_replace(true);
            next_signal().await;
            // The nodes hold the other end of a pipe to this process and end with it.
            std::process::exit(own.exit().map_or(Exit::Interrupted, |exit| exit).code().into());
        });
        (signals, stopped)
    }

    /// Listens without a runtime of the caller's; turns `stop` true at the first signal.
    ///
    /// # Errors
    /// When no thread or runtime can be had.
    pub(super) fn listen_beside(stop: Arc<AtomicBool>) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let signals = Signals(Arc::default());
        let own = signals.clone();
        let listen = async move {
            own.0.store(next_signal().await, Ordering::Relaxed);
            eprintln!("stopping: what was found so far is told; once more ends at once");
            stop.store(true, Ordering::Relaxed);
            next_signal().await;
            std::process::exit(own.exit().map_or(Exit::Interrupted, |exit| exit).code().into());
        };
        std::thread::Builder::new().spawn(move || runtime.block_on(listen))?;
        Ok(signals)
    }

    /// The name of the signal received, if any.
    pub(super) fn received(&self) -> Option<&'static str> {
        match self.0.load(Ordering::Relaxed) {
            INTERRUPTED => Some("SIGINT"),
            TERMINATED => Some("SIGTERM"),
            _ => None,
        }
    }

    /// The exit code of the signal received, if any.
    pub(super) fn exit(&self) -> Option<Exit> {
        match self.0.load(Ordering::Relaxed) {
            INTERRUPTED => Some(Exit::Interrupted),
            TERMINATED => Some(Exit::Terminated),
            _ => None,
        }
    }
}

#[cfg(unix)]
async fn next_signal() -> u8 {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return interrupted().await };
    tokio::select! {
        kind = interrupted() => kind,
        _ = terminate.recv() => TERMINATED,
    }
}

#[cfg(not(unix))]
async fn next_signal() -> u8 {
    interrupted().await
}

async fn interrupted() -> u8 {
    if tokio::signal::ctrl_c().await.is_err() {
        // No signal can be received; then none ever is.
        std::future::pending::<()>().await;
    }
    INTERRUPTED
}
