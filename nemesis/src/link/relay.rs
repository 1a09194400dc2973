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

use super::valve::{Mode, Passage, Tap, count};

/// Bytes carried at a time, for each direction of each connection.
const BUFFER: usize = 16 * 1024;

/// How long to wait before accepting again when the system has no more descriptors.
const BREATH: Duration = Duration::from_millis(10);

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
        let (mode, cuts) = tap.look();
        if mode != Mode::Open {
            count(&tap.tally.stopped_connections, 1);
        }
        if mode == Mode::Cut {
            self.swallow(&mut sender).await;
            return reset(&sender);
        }
        let ended = match self.unless_severed(cuts, self.connect()).await {
            Ok(mut receiver) => {
                let pumps = self.pump(&mut sender, &mut receiver, cuts);
                let ended = self.unless_severed(cuts, pumps).await;
                if ended.is_err() {
                    reset(&receiver);
                }
                ended
            }
            Err(error) => Err(error),
        };
        if ended.is_ok() {
            return;
        }
        // Cut, or broken by the other end: either way this end breaks too.
        reset(&sender);
        if tap.look().1 != cuts {
            count(&tap.tally.severed, 1);
            count(&tap.tally.stopped_bytes, unread(&sender));
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

    /// Reads whatever the sender says while the link is cut, and answers nothing.
    async fn swallow(&self, sender: &mut TcpStream) {
        let mut tap = self.tap.clone();
        let mut buffer = vec![0; BUFFER];
        let listening = async {
            while let Ok(bytes @ 1..) = sender.read(&mut buffer).await {
                count(&self.tap.tally.stopped_bytes, bytes);
            }
        };
        tokio::select! {
            _ = tap.healed() => {}
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

    /// Waits as long as the link is slow by; says whether it is, and these bytes were counted.
    async fn dawdle(&self, bytes: usize) -> bool {
        let slow = self.tap.slow();
        if slow.is_zero() {
            return false;
        }
        if let Some(stopped) = self.stopped {
            count(stopped, bytes);
        }
        tokio::time::sleep(slow.mul_f64(rand::random_range(0.5..1.5))).await;
        true
    }

    async fn write(&mut self, mut bytes: &[u8], to: &WriteHalf<'_>) -> io::Result<()> {
        let mut counted = self.dawdle(bytes.len()).await;
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
