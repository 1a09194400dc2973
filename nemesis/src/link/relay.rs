//! The relay of a link: accepts the sender's connections and carries their bytes through the valve.
//!
//! One task for each link accepts, and one for each connection carries both directions; no thread
//! is added for either.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::valve::{Drag, Mode, Passage, Position, Tap, count};
use crate::ailment::Percent;

/// Bytes carried at a time, for each direction of each connection.
const BUFFER: usize = 16 * 1024;

/// How long to wait before accepting again when the system has no more descriptors.
const BREATH: Duration = Duration::from_millis(10);

/// What passes over a narrow link at a time is what it carries in so long, a byte at least: slow links
/// drip.
const DROP: Duration = Duration::from_millis(20);

/// How long a sender waits before it sends again what was lost, twice as long each time: the least that
/// Linux's TCP does (`TCP_RTO_MIN`; RFC 6298, section 5.5).
const RETRANSMISSION: Duration = Duration::from_millis(200);

/// How often it does so before it takes the connection for broken. Systems are more patient; runs are
/// shorter.
const RETRANSMISSIONS: u32 = 4;

/// How a connection ended without an error.
#[derive(Debug)]
enum End {
    /// Both sides were done.
    InOrder,
    /// It leads nowhere since the link was so.
    Stranded(Position),
}

/// What a link's connections share.
#[derive(Clone, Debug)]
pub(super) struct Relay {
    tap: Tap,
    upstream: watch::Receiver<Option<SocketAddr>>,
}

impl Relay {
    pub(super) fn new(tap: Tap, upstream: watch::Receiver<Option<SocketAddr>>) -> Self {
        Relay { tap, upstream }
    }

    /// Serves the link until its valve is gone, and then closes everything.
    pub(super) async fn serve(mut self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        let relay = self.clone();
        loop {
            tokio::select! {
                () = self.tap.gone() => break,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((sender, _)) => drop(connections.spawn(relay.clone().carry(sender))),
                    Err(_) => tokio::time::sleep(BREATH).await,
                },
            }
        }
        drop(listener);
        connections.shutdown().await;
    }

    /// Carries one connection to its end.
    async fn carry(self, mut sender: TcpStream) {
        let tap = self.tap.clone();
        let was = tap.look();
        if was.mode != Mode::Open {
            count(&tap.tally.stopped_connections, 1);
        }
        if was.mode == Mode::Cut {
            self.swallow(&mut sender, was).await;
            return reset(&sender);
        }
        let ended = match self.unless_severed(was.cuts, self.connect()).await {
            Ok(mut receiver) => {
                let pumps =
                    self.unless_stranded(was, self.pump(&mut sender, &mut receiver, was.cuts));
                let ended = self.unless_severed(was.cuts, pumps).await;
                if !matches!(ended, Ok(End::InOrder)) {
                    reset(&receiver);
                }
                ended
            }
            Err(error) => Err(error),
        };
        match ended {
            Ok(End::InOrder) => return,
            // The receiver is told that the connection is gone; the sender is not.
            Ok(End::Stranded(at)) => self.swallow(&mut sender, at).await,
            Err(_) => {}
        }
        // Cut, or broken by the other end: either way this end breaks too.
        reset(&sender);
        if tap.look().cuts != was.cuts {
            count(&tap.tally.severed, 1);
            count(&tap.tally.stopped_bytes, unread(&sender));
        }
    }

    /// Does the work until the link's connections are stranded.
    async fn unless_stranded(
        &self,
        was: Position,
        work: impl Future<Output = io::Result<()>>,
    ) -> io::Result<End> {
        let mut tap = self.tap.clone();
        tokio::select! {
            () = tap.stranded(was) => Ok(End::Stranded(tap.look())),
            done = work => done.map(|()| End::InOrder),
        }
    }

    /// Does the work until the link is cut once more than `cuts` times.
    async fn unless_severed<T>(
        &self,
        cuts: u64,
        work: impl Future<Output = io::Result<T>>,
    ) -> io::Result<T> {
        let mut tap = self.tap.clone();
        tokio::select! {
            // First, so that what has arrived by the time of the cut is counted as stopped.
            biased;
            () = tap.severed(cuts) => Err(io::ErrorKind::ConnectionAborted.into()),
            done = work => done,
        }
    }

    /// Reads whatever the sender says until the link is healed, and answers nothing.
    async fn swallow(&self, sender: &mut TcpStream, was: Position) {
        let mut tap = self.tap.clone();
        let mut buffer = vec![0; BUFFER];
        let listening = async {
            while let Ok(bytes @ 1..) = sender.read(&mut buffer).await {
                count(&self.tap.tally.stopped_bytes, bytes);
            }
        };
        tokio::select! {
            () = tap.healed(was) => {}
            () = listening => {}
        }
    }

    /// Connects to the receiver, as soon as the link is not held.
    async fn connect(&self) -> io::Result<TcpStream> {
        let mut tap = self.tap.clone();
        tap.released().await.ok_or(io::ErrorKind::ConnectionAborted)?;
        let upstream = *self.upstream.borrow();
        let receiver = TcpStream::connect(upstream.ok_or(io::ErrorKind::NotConnected)?).await?;
        count(&tap.tally.connections, 1);
        Ok(receiver)
    }

    /// Carries both directions until both have ended.
    async fn pump(
        &self,
        sender: &mut TcpStream,
        receiver: &mut TcpStream,
        cuts: u64,
    ) -> io::Result<()> {
        // Messages are small and wait for nobody.
        sender.set_nodelay(true)?;
        receiver.set_nodelay(true)?;
        let (from_sender, to_sender) = sender.split();
        let (from_receiver, to_receiver) = receiver.split();
        let tally = &self.tap.tally;
        let pump = |passed, stopped| Pump { tap: self.tap.clone(), cuts, passed, stopped };
        let there = pump(&tally.bytes, Some(&tally.stopped_bytes));
        let back = pump(&tally.answered_bytes, None);
        tokio::try_join!(there.run(from_sender, to_receiver), back.run(from_receiver, to_sender))?;
        Ok(())
    }
}

/// One direction of one connection.
#[derive(Debug)]
struct Pump<'a> {
    tap: Tap,
    /// How often the link had been cut when the connection began.
    cuts: u64,
    passed: &'a AtomicU64,
    /// Where stopped bytes are counted, in the direction in which messages go.
    stopped: Option<&'a AtomicU64>,
}

impl Pump<'_> {
    async fn run(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let bytes = from.read(&mut buffer).await?;
            if bytes == 0 {
                // The end of the stream is held back like what came before it.
                self.tap.released().await.ok_or(io::ErrorKind::ConnectionAborted)?;
                return to.shutdown().await;
            }
            self.write(&buffer[..bytes], &to).await?;
        }
    }

    /// Lets a piece pass as the link is now: late, in drops, or broken off in the middle.
    async fn write(&mut self, bytes: &[u8], to: &WriteHalf<'_>) -> io::Result<()> {
        let drag = self.tap.look().drag;
        let breaks_off = self.stopped.is_some() && self.tap.breaks_off();
        let counted = breaks_off || drag != Drag::default();
        if counted && let Some(stopped) = self.stopped {
            count(stopped, bytes.len());
        }
        if breaks_off {
            self.press(&bytes[..bytes.len() / 2], counted, to).await?;
            count(&self.tap.tally.severed, 1);
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if !drag.slow.is_zero() {
            tokio::time::sleep(drag.slow.mul_f64(rand::random_range(0.5..1.5))).await;
        }
        if let Some(chance) = drag.lose {
            lose(chance).await?;
        }
        let Some(rate) = drag.limit else { return self.press(bytes, counted, to).await };
        for drop in bytes.chunks(rate.bytes_within(DROP)) {
            tokio::time::sleep_until(self.tap.take_turn(rate.time_of(drop.len()))).await;
            self.press(drop, counted, to).await?;
        }
        Ok(())
    }

    /// Writes as soon as the valve lets it; `counted` says that the bytes are counted as stopped already.
    async fn press(
        &mut self,
        mut bytes: &[u8],
        mut counted: bool,
        to: &WriteHalf<'_>,
    ) -> io::Result<()> {
        while !bytes.is_empty() {
            let write = || {
                let written = to.try_write(bytes)?;
                // Counted before the valve can close: the counts at a cut are the counts after it.
                count(self.passed, written);
                Ok(written)
            };
            match self.tap.pass(self.cuts, write) {
                Passage::Passed(Ok(written)) => bytes = &bytes[written..],
                Passage::Passed(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    to.writable().await?;
                }
                Passage::Passed(Err(error)) => return Err(error),
                closed => {
                    if let (Some(stopped), false) = (self.stopped, counted) {
                        count(stopped, bytes.len());
                        counted = true;
                    }
                    if matches!(closed, Passage::Severed) {
                        return Err(io::ErrorKind::ConnectionAborted.into());
                    }
                    self.tap.released().await.ok_or(io::ErrorKind::ConnectionAborted)?;
                }
            }
        }
        Ok(())
    }
}

/// Waits until what may be lost has got through, as the sender's TCP would see to it.
async fn lose(chance: Percent) -> io::Result<()> {
    for attempt in 0..RETRANSMISSIONS {
        if rand::random_range(0..100) >= chance.get() {
            return Ok(());
        }
        tokio::time::sleep(RETRANSMISSION * 2_u32.pow(attempt)).await;
    }
    Err(io::ErrorKind::ConnectionReset.into())
}

/// Makes the connection end with a reset when it is dropped, as a broken one does.
fn reset(stream: &TcpStream) {
    // A socket that cannot be told so closes in order instead, which ends it as well.
    let _ = stream.set_zero_linger();
}

/// Takes what lies unread and says how much it was.
fn unread(stream: &TcpStream) -> usize {
    let mut buffer = [0; BUFFER];
    let mut total = 0;
    while let Ok(bytes @ 1..) = stream.try_read(&mut buffer) {
        total += bytes;
    }
    total
}
