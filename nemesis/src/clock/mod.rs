//! Clocks of foreign processes: any program that asks its vDSO for the time, whatever it is written in,
//! sees a wall clock of its own. It need not be restarted, linked with anything or run by root.
//!
//! Linux maps into every process a small library of the kernel's, the vDSO (vdso(7)), by which C, Go, Java,
//! Python and Rust read clocks without a system call. The pages are private: what is written into
//! them through `/proc/PID/mem`, as a debugger writes a breakpoint, is seen by this process and by
//! children that it forks from then on, and by nobody else. So three functions of it are led to
//! [a few instructions of ours](stub), which lie where the library ends and its page does not.
//!
//! Only the wall clock moves (`CLOCK_REALTIME`, its coarse sibling, `gettimeofday`, `time`), as with Jepsen's
//! clock nemesis; clocks that measure how long something takes stay true. What is not seen: system
//! calls that go round the vDSO, and the kernel's own waits for a time of day. A program that
//! executes another starts it with a true clock.

mod standstill;
mod stub;
mod vdso;

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use procfs::ProcError;
use procfs::process::Process;

use crate::ailment::Percent;
use standstill::Standstill;
use vdso::{Image, Place};

/// Why a process's clock could not be moved, or not be read.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// There is no such process any more.
    #[error("process {pid} has ended")]
    Gone {
        /// Its number.
        pid: u32,
    },
    /// The system forbids it.
    #[error(
        "process {pid}: its memory may not be written ({source}). What is needed: to be its user or root; \
         for /proc/sys/kernel/yama/ptrace_scope, where there is one, to be 0, or 1 and the process \
         a descendant of this one; and a kernel without proc_mem.force_override=ptrace or never"
    )]
    Denied {
        /// Its number.
        pid: u32,
        /// What the system said.
        source: io::Error,
    },
    /// The vDSO is not one that can be rewritten.
    #[error("process {pid}: {why}")]
    Vdso {
        /// Its number.
        pid: u32,
        /// What is wrong with it.
        why: String,
    },
    /// There is machine code for x86-64 only.
    #[error(
        "clocks of foreign processes can be moved on x86-64 only, and this vDSO is for ELF machine {machine}"
    )]
    Processor {
        /// The number of the processor in ELF files.
        machine: u16,
    },
    /// It does not come to a standstill that it could be rewritten in.
    #[error("process {pid} does not stand still within {} s of being told to", limit.as_secs())]
    Restless {
        /// Its number.
        pid: u32,
        /// How long it was waited for.
        limit: Duration,
    },
    /// No clock shows such a time.
    #[error("process {pid}: its clock cannot be moved there: it shows times from 1970 to 2200")]
    Range {
        /// Its number.
        pid: u32,
    },
    /// Something else about it cannot be read or written.
    #[error("process {pid}: {source}")]
    Io {
        /// Its number.
        pid: u32,
        /// What the system said.
        source: io::Error,
    },
}

/// How a wall clock goes: it shows `target` when it is `base`, and from then on goes at `rate`. Times
/// in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Skew {
    base: i64,
    target: i64,
    /// With 32 binary places: [`Skew::TRUE_RATE`] is once a second.
    rate: i64,
}

impl Skew {
    const TRUE_RATE: i64 = 1 << 32;

    /// What it shows at that time.
    fn shown(self, now: i64) -> Option<i64> {
        let passed = i128::from(now.checked_sub(self.base)?) * i128::from(self.rate);
        self.target.checked_add(i64::try_from(passed >> 32).ok()?)
    }

    fn true_from(now: i64) -> Self {
        Skew { base: now, target: now, rate: Self::TRUE_RATE }
    }
}

/// The wall clock of one process. What was done to it stays, also when this is dropped, until
/// [`ForeignClock::reset`] or until the process ends.
#[derive(Debug)]
pub struct ForeignClock {
    pid: u32,
    /// A handle, not a number: it never comes to mean another process.
    process: Process,
    image: Image,
}

/// The last time that a clock is moved to: 2200.
const LATEST_NS: i64 = 7_258_118_400_000_000_000;

/// How long what was interrupted in our instructions may take to leave them, once nobody enters any
/// more.
const LEAVE: Duration = Duration::from_millis(10);

impl ForeignClock {
    /// Takes hold of a process's clock; nothing is changed yet.
    ///
    /// # Errors
    /// When there is no such process, or it is of another kind than this one (32 bits, say), or its
    /// vDSO was rewritten by somebody else, or has no room.
    pub fn of(pid: u32) -> Result<Self, ClockError> {
        let number = i32::try_from(pid).map_err(|_| ClockError::Gone { pid })?;
        let process = Process::new(number).map_err(|error| failed(pid, error))?;
        let image = Image::own().map_err(|error| error.of(pid))?;
        let clock = ForeignClock { pid, process, image };
        clock.place()?;
        Ok(clock)
    }

    /// Whose clock it is.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Moves it by so many nanoseconds, back if they are negative; then it goes on as before.
    ///
    /// # Errors
    /// When the process ended, may not be written to or does not stand still for it; or when the
    /// clock would leave the years 1970 to 2200.
    pub fn jump(&mut self, by_ns: i64) -> Result<(), ClockError> {
        self.change(|skew, _| Some(Skew { target: skew.target.checked_add(by_ns)?, ..skew }))
    }

    /// Lets it go at that rate from what it now shows.
    ///
    /// # Errors
    /// As [`ForeignClock::jump`].
    pub fn drift(&mut self, rate: Percent) -> Result<(), ClockError> {
        let rate = i64::from(rate.get()) * Skew::TRUE_RATE / i64::from(Percent::WHOLE.get());
        self.change(|skew, now| Some(Skew { base: now, target: skew.shown(now)?, rate }))
    }

    /// Lets it jump by so many nanoseconds and back again, one or the other in every `period`, for so
    /// long; in the end it is where it was. If this is not awaited to its end, it may stay displaced.
    ///
    /// # Errors
    /// As [`ForeignClock::jump`].
    pub async fn strobe(
        &mut self,
        by_ns: i64,
        period: Duration,
        lasting: Duration,
    ) -> Result<(), ClockError> {
        let began = tokio::time::Instant::now();
        while began.elapsed() < lasting {
            self.jump(by_ns)?;
            tokio::time::sleep(period).await;
            self.jump(-by_ns)?;
            tokio::time::sleep(period).await;
        }
        Ok(())
    }

    /// Makes it true again: every byte of the process's vDSO is then as the kernel made it.
    ///
    /// # Errors
    /// As [`ForeignClock::jump`].
    pub fn reset(&mut self) -> Result<(), ClockError> {
        let place = self.place()?;
        if place.skew.is_none() {
            return Ok(());
        }
        // First nobody enters our instructions any more; what was in them when a signal came leaves
        // them meanwhile; then they go.
        let standstill = self.stop(&place)?;
        self.wrote(place.restore_entries(&self.image))?;
        drop(standstill);
        std::thread::sleep(LEAVE);
        let _standstill = self.stop(&place)?;
        self.wrote(place.restore_room(&self.image))
    }

    /// By how many nanoseconds it is ahead of the true time now; negative if it is behind.
    ///
    /// # Errors
    /// When the process ended or its memory may not be read.
    pub fn ahead_ns(&self) -> Result<i64, ClockError> {
        let Some(skew) = self.place()?.skew else { return Ok(0) };
        let now = now_ns();
        skew.shown(now).map(|shown| shown - now).ok_or(ClockError::Range { pid: self.pid })
    }

    fn change(&self, change: impl Fn(Skew, i64) -> Option<Skew>) -> Result<(), ClockError> {
        let place = self.place()?;
        let _standstill = self.stop(&place)?;
        let now = now_ns();
        let skew = change(place.skew.unwrap_or(Skew::true_from(now)), now);
        let fits = |skew: &Skew| skew.shown(now).is_some_and(|at| (0..=LATEST_NS).contains(&at));
        let skew = skew.filter(fits).ok_or(ClockError::Range { pid: self.pid })?;
        self.wrote(place.lead_to(&self.image, skew))
    }

    /// Where its vDSO is, and what was done to it: read anew every time, for it moves when the process
    /// executes another program.
    fn place(&self) -> Result<Place, ClockError> {
        Place::find(&self.process, &self.image).map_err(|error| error.of(self.pid))
    }

    /// Until this is dropped none of the process's threads runs, nor has stopped where it would notice
    /// that we write.
    fn stop(&self, place: &Place) -> Result<Standstill, ClockError> {
        Standstill::of(self.pid, &self.process, &place.sensitive(&self.image))
    }

    fn wrote(&self, written: io::Result<()>) -> Result<(), ClockError> {
        written.map_err(|error| denied(self.pid, error))
    }
}

/// Now, by the true clock.
fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

fn denied(pid: u32, source: io::Error) -> ClockError {
    use io::ErrorKind::{NotFound, PermissionDenied};
    match (source.kind(), source.raw_os_error()) {
        (NotFound, _) | (_, Some(ESRCH)) => ClockError::Gone { pid },
        // A kernel that lets only debuggers write to pages that the process itself cannot.
        (PermissionDenied, _) | (_, Some(EIO)) => ClockError::Denied { pid, source },
        _ => ClockError::Io { pid, source },
    }
}

const ESRCH: i32 = rustix::io::Errno::SRCH.raw_os_error();
const EIO: i32 = rustix::io::Errno::IO.raw_os_error();

fn failed(pid: u32, error: ProcError) -> ClockError {
    match error {
        ProcError::NotFound(_) => ClockError::Gone { pid },
        ProcError::PermissionDenied(_) => denied(pid, io::ErrorKind::PermissionDenied.into()),
        ProcError::Io(error, _) => denied(pid, error),
        other => ClockError::Io { pid, source: io::Error::other(other) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skewed_clock_shows_what_the_words_of_its_skew_say() {
        let second = 1_000_000_000;
        let skew = Skew { base: 100 * second, target: 500 * second, rate: Skew::TRUE_RATE / 4 };
        assert_eq!(skew.shown(100 * second), Some(500 * second));
        assert_eq!(skew.shown(108 * second), Some(502 * second));
        // Before its base, too: a thread may have read the time before it was set.
        assert_eq!(skew.shown(96 * second), Some(499 * second));
        assert_eq!(skew.shown(i64::MIN), None);
        let truth = Skew::true_from(7);
        assert_eq!(truth.shown(i64::MAX), Some(i64::MAX));
    }
}
