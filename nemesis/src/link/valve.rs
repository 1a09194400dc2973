//! The valve of a link: whether bytes may pass, and how many did or did not.
//!
//! A `tokio::sync::watch` channel is both the lock and the bell: a relay writes its bytes while it
//! holds the channel's read lock, so that once the valve is closed not one more byte passes, and
//! whoever waits on the channel learns of the change.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::ailment::Percent;
use crate::trouble::{Rate, Trouble};

/// What a link does with what comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// Passes it on.
    #[default]
    Open,
    /// Loses it.
    Cut,
    /// Keeps it waiting.
    Hold,
}

/// The valve's position.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Position {
    pub(super) mode: Mode,
    /// How often the link was cut: a connection does not survive a cut, however short.
    pub(super) cuts: u64,
    /// How often the link's connections were stranded: those of before lead nowhere.
    strands: u64,
    /// How often the link was healed.
    heals: u64,
    /// Whether anything was wrong since it was healed.
    troubled: bool,
    pub(super) drag: Drag,
}

/// What slows down that which passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Drag {
    /// How much longer each piece takes.
    pub(super) slow: Duration,
    /// With which chance each piece is lost and has to be sent again.
    pub(super) lose: Option<Percent>,
    /// How many bytes pass in a second.
    pub(super) limit: Option<Rate>,
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
    /// Connections reset by a cut, or in the middle of a message.
    pub severed: u64,
    /// Connections attempted while the link was cut or held.
    pub stopped_connections: u64,
    /// Bytes from the sender that a cut lost, that a slow, lossy or narrow link delayed, or a hold after
    /// they were read: while a link is held most stay with the sender, unread and uncounted.
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
    /// Whether the next message is to break off in the middle.
    break_off: AtomicBool,
    /// Until when the link is taken by what passes over it at its limited rate.
    taken: Mutex<Option<Instant>>,
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
        Valve { position: watch::Sender::default(), tally: Arc::default() }
    }

    pub(super) fn tap(&self) -> Tap {
        Tap { position: self.position.subscribe(), tally: Arc::clone(&self.tally) }
    }

    /// Whether nothing was wrong since it was healed.
    pub(super) fn is_well(&self) -> bool {
        !self.position.borrow().troubled
    }

    /// Lets this be wrong from now on. A cut link that is to be held stays cut.
    pub(super) fn strike(&self, trouble: Trouble) {
        self.position.send_modify(|position| {
            position.troubled = true;
            match trouble {
                Trouble::Cut if position.mode != Mode::Cut => {
                    position.mode = Mode::Cut;
                    position.cuts += 1;
                }
                Trouble::Hold if position.mode != Mode::Cut => position.mode = Mode::Hold,
                Trouble::Cut | Trouble::Hold => {}
                Trouble::Slow(by) => position.drag.slow = by,
                Trouble::Lose(chance) => position.drag.lose = Some(chance),
                Trouble::Limit(rate) => position.drag.limit = Some(rate),
                Trouble::Reset => self.tally.break_off.store(true, Relaxed),
                Trouble::Strand => position.strands += 1,
            }
        });
    }

    /// Lets everything pass again as it comes.
    pub(super) fn open(&self) {
        self.position.send_modify(|position| {
            self.tally.break_off.store(false, Relaxed);
            position.mode = Mode::Open;
            position.drag = Drag::default();
            position.troubled = false;
            position.heals += 1;
        });
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
    /// How the link is now.
    pub(super) fn look(&self) -> Position {
        *self.position.borrow()
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

    /// Whether this is the message that is to break off in the middle; there is one at most.
    pub(super) fn breaks_off(&self) -> bool {
        self.tally.break_off.load(Relaxed) && self.tally.break_off.swap(false, Relaxed)
    }

    /// When so much that takes the link for itself will have passed: after what came before it.
    pub(super) fn take_turn(&self, long: Duration) -> Instant {
        let mut taken = self.tally.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let end = taken.map_or(now, |until| until.max(now)) + long;
        *taken = Some(end);
        end
    }

    /// Returns when the link is not held; `None` when the valve is gone.
    pub(super) async fn released(&mut self) -> Option<()> {
        self.position.wait_for(|position| position.mode != Mode::Hold).await.ok().map(drop)
    }

    /// Returns when the link is healed once more than it was, or the valve is gone.
    pub(super) async fn healed(&mut self, was: Position) {
        let _ = self.position.wait_for(|position| position.heals != was.heals).await;
    }

    /// Returns when the link's connections are stranded once more than they were, or the valve is gone.
    pub(super) async fn stranded(&mut self, was: Position) {
        let _ = self.position.wait_for(|position| position.strands != was.strands).await;
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
        valve.strike(Trouble::Hold);
        assert!(matches!(tap.pass(0, || Ok(1)), Passage::Held));
        valve.strike(Trouble::Cut);
        assert!(matches!(tap.pass(0, || Ok(1)), Passage::Severed));
        assert!(matches!(tap.pass(1, || Ok(1)), Passage::Severed));
        valve.strike(Trouble::Hold);
        assert_eq!((tap.look().mode, tap.look().cuts), (Mode::Cut, 1));
        // Healed at once: what began before the cut is severed all the same.
        valve.open();
        assert!(matches!(tap.pass(0, || Ok(1)), Passage::Severed));
        assert!(passes(1));
        valve.open();
        assert_eq!((tap.look().mode, tap.look().cuts), (Mode::Open, 1));
        assert!(valve.is_well());
    }
}
