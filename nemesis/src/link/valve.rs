//! The valve of a link: whether bytes may pass, and how many did or did not.
//!
//! A `tokio::sync::watch` channel is both the lock and the bell: a relay writes its bytes while it
//! holds the channel's read lock, so that once the valve is closed not one more byte passes, and
//! whoever waits on the channel learns of the change.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;

/// What a link does with what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Passes it on.
    Open,
    /// Loses it.
    Cut,
    /// Keeps it waiting.
    Hold,
}

/// The valve's position.
#[derive(Clone, Copy, Debug)]
struct Position {
    mode: Mode,
    /// How often the link was cut: a connection does not survive a cut, however short.
    cuts: u64,
    /// How much longer what passes takes.
    slow: Duration,
}

/// What has passed over a link, and what was stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Connections carried through to the receiver.
    pub connections: u64,
    /// Bytes carried from the sender to the receiver.
    pub bytes: u64,
    /// Bytes carried back on the same connections: acknowledgements.
    pub answered_bytes: u64,
    /// Connections reset by a cut.
    pub severed: u64,
    /// Connections attempted while the link was cut or held.
    pub stopped_connections: u64,
    /// Bytes from the sender that a cut lost, that a slow link delayed, or a hold after they were
    /// read: while a link is held most stay with the sender, unread and uncounted.
    pub stopped_bytes: u64,
}

/// The counters while they are counted.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) connections: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) answered_bytes: AtomicU64,
    pub(super) severed: AtomicU64,
    pub(super) stopped_connections: AtomicU64,
    pub(super) stopped_bytes: AtomicU64,
}

/// The side that opens and closes.
#[derive(Debug)]
pub(super) struct Valve {
    position: watch::Sender<Position>,
    tally: Arc<Tally>,
}

/// The side that the bytes pass through.
#[derive(Clone, Debug)]
pub(super) struct Tap {
    position: watch::Receiver<Position>,
    pub(super) tally: Arc<Tally>,
}

/// What became of an attempt to pass bytes.
#[derive(Debug)]
pub(super) enum Passage {
    /// The valve was open, and this is how the write went.
    Passed(io::Result<usize>),
    /// The link is held; try again when it is not.
    Held,
    /// The link was cut since the connection began.
    Severed,
}

impl Valve {
    pub(super) fn new() -> Self {
        let position =
            watch::Sender::new(Position { mode: Mode::Open, cuts: 0, slow: Duration::ZERO });
        Valve { position, tally: Arc::default() }
    }

    pub(super) fn tap(&self) -> Tap {
        Tap { position: self.position.subscribe(), tally: Arc::clone(&self.tally) }
    }

    pub(super) fn mode(&self) -> Mode {
        self.position.borrow().mode
    }

    /// Cuts or holds; a cut link that is to be held stays cut.
    pub(super) fn close(&self, mode: Mode) {
        self.position.send_modify(|position| {
            if position.mode != Mode::Cut {
                position.mode = mode;
                position.cuts += u64::from(mode == Mode::Cut);
            }
        });
    }

    pub(super) fn open(&self) {
        self.position.send_modify(|position| {
            position.mode = Mode::Open;
            position.slow = Duration::ZERO;
        });
    }

    pub(super) fn slow(&self, by: Duration) {
        self.position.send_modify(|position| position.slow = by);
    }

    pub(super) fn is_slow(&self) -> bool {
        !self.position.borrow().slow.is_zero()
    }

    pub(super) fn counters(&self) -> Counters {
        let tally = &*self.tally;
        Counters {
            connections: tally.connections.load(Relaxed),
            bytes: tally.bytes.load(Relaxed),
            answered_bytes: tally.answered_bytes.load(Relaxed),
            severed: tally.severed.load(Relaxed),
            stopped_connections: tally.stopped_connections.load(Relaxed),
            stopped_bytes: tally.stopped_bytes.load(Relaxed),
        }
    }
}

impl Tap {
    /// How the link is now, and how often it was cut so far.
    pub(super) fn look(&self) -> (Mode, u64) {
        let position = self.position.borrow();
        (position.mode, position.cuts)
    }

    /// Writes through the valve if the link is open and was not cut since it had been cut `cuts`
    /// times. `write` must not block: whoever closes the valve waits for it.
    pub(super) fn pass(&self, cuts: u64, write: impl FnOnce() -> io::Result<usize>) -> Passage {
        let position = self.position.borrow();
        match position.mode {
            _ if position.cuts != cuts => Passage::Severed,
            Mode::Cut => Passage::Severed,
            Mode::Hold => Passage::Held,
            Mode::Open => Passage::Passed(write()),
        }
    }

    /// How much longer what passes takes.
    pub(super) fn slow(&self) -> Duration {
        self.position.borrow().slow
    }

    /// Returns when the link is not held; `None` when the valve is gone.
    pub(super) async fn released(&mut self) -> Option<()> {
        self.position.wait_for(|position| position.mode != Mode::Hold).await.ok().map(drop)
    }

    /// Returns when the link is not cut; `None` when the valve is gone.
    pub(super) async fn healed(&mut self) -> Option<()> {
        self.position.wait_for(|position| position.mode != Mode::Cut).await.ok().map(drop)
    }

    /// Returns when the link is cut once more than `cuts` times, or the valve is gone.
    pub(super) async fn severed(&mut self, cuts: u64) {
        // An error says that the valve is gone, which ends the connection just so.
        let _ = self.position.wait_for(|position| position.cuts != cuts).await;
    }

    /// Returns when the valve is gone.
    pub(super) async fn gone(&mut self) {
        while self.position.changed().await.is_ok() {}
    }
}

/// Adds to one of the counts.
pub(super) fn count(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_open_valve_passes_and_only_what_lived_through_no_cut() {
        let valve = Valve::new();
        let tap = valve.tap();
        let passes = |cuts| matches!(tap.pass(cuts, || Ok(1)), Passage::Passed(Ok(1)));
        assert!(passes(0));
        valve.close(Mode::Hold);
        assert!(matches!(tap.pass(0, || Ok(1)), Passage::Held));
        valve.close(Mode::Cut);
        assert!(matches!(tap.pass(0, || Ok(1)), Passage::Severed));
        assert!(matches!(tap.pass(1, || Ok(1)), Passage::Severed));
        valve.close(Mode::Hold);
        assert_eq!(tap.look(), (Mode::Cut, 1));
        // Healed at once: what began before the cut is severed all the same.
        valve.open();
        assert!(matches!(tap.pass(0, || Ok(1)), Passage::Severed));
        assert!(passes(1));
        valve.open();
        assert_eq!(tap.look(), (Mode::Open, 1));
    }
}
