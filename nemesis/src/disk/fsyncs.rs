//! The fsyncs of a running process: late, failing or lying.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{DiskError, tool};
use crate::leases::{Holding, Identity, Lease, Leases};

/// How long it may take to take hold of a process, or to let go of it.
const LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);

/// What becomes of `fsync` and `fdatasync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// They take so much longer.
    Late(Duration),
    /// They fail with EIO.
    Failing,
    /// They do nothing and say that they did.
    Lying,
}

impl Mishap {
    /// What `strace` is told to put in their place.
    fn injection(self) -> String {
        let what = match self {
            Mishap::Late(by) => format!("delay_enter={}", by.as_micros()),
            Mishap::Failing => "error=EIO".into(),
            Mishap::Lying => "retval=0".into(),
        };
        format!("inject=fsync,fdatasync:{what}")
    }
}

/// A hold on a running process, by which its fsyncs go wrong. Dropping this lets go of it.
#[derive(Debug)]
pub struct Fsyncs {
    pid: u32,
    tracer: Child,
    /// Dropped behind the tracer's end.
    lease: Option<Lease>,
}

impl Fsyncs {
    /// Takes hold of a process and all its threads, and of what they start. Syncing by other means
    /// (`sync_file_range`, `msync`, files opened with `O_SYNC`) goes on as it did.
    ///
    /// # Errors
    /// When there is no `strace`, or the process may not be traced or is traced by somebody else.
    pub fn seize(pid: u32, mishap: Mishap, leases: &Leases) -> Result<Self, DiskError> {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e"]);
        command.arg(mishap.injection()).args(["-p", &pid.to_string()]).envs(leases.mark());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let tracer = command.spawn().map_err(|error| tool::failed(&command, &error))?;
        let identity = Identity::of(tracer.id());
        let mut fsyncs = Fsyncs { pid, tracer, lease: None };
        let of = format!("strace of process {pid}");
        fsyncs.lease = Some(leases.take(Holding::Process { of, identity })?);
        fsyncs.wait_until_held()?;
        Ok(fsyncs)
    }

    /// Lets go of it: fsyncs are as they were. One that is late is then in time.
    ///
    /// # Errors
    /// When the tracer cannot be ended.
    pub fn release(mut self) -> Result<(), DiskError> {
        self.let_go()
    }

    fn wait_until_held(&mut self) -> Result<(), DiskError> {
        let began = Instant::now();
        loop {
            let untraced = |why| Err(DiskError::Untraced { pid: self.pid, why });
            if let Ok(Some(status)) = self.tracer.try_wait() {
                let said = self.tracer.stderr.take().map(std::io::read_to_string);
                let said = said.and_then(Result::ok).unwrap_or_default();
                return untraced(format!("strace ended with {status}: {}", said.trim()));
            }
            match tracers(self.pid) {
                Some(tracers) if tracers.iter().all(|tracer| *tracer == self.tracer.id()) => {
                    return Ok(());
                }
                None => return untraced("it has ended".into()),
                Some(_) if began.elapsed() > LIMIT => return untraced("strace hangs".into()),
                Some(_) => thread::sleep(POLL),
            }
        }
    }

    /// Asks the tracer to end, which lets the process go on from wherever it is.
    fn let_go(&mut self) -> Result<(), DiskError> {
        let failed = |source| DiskError::Io { path: "strace".into(), source };
        let began = Instant::now();
        let pid = i32::try_from(self.tracer.id()).ok().and_then(Pid::from_raw);
        while self.tracer.try_wait().map_err(failed)?.is_none() {
            match pid {
                Some(pid) if began.elapsed() < LIMIT => {
                    // It is not waited for meanwhile, so that nobody else can have its number.
                    let _ = kill_process(pid, Signal::TERM);
                }
                _ => self.tracer.kill().map_err(failed)?,
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Fsyncs {
    fn drop(&mut self) {
        if self.let_go().is_err() {
            let _ = self.tracer.kill();
            let _ = self.tracer.wait();
        }
    }
}

/// Who traces each thread of a process, 0 for nobody; `None` when it has ended.
fn tracers(pid: u32) -> Option<Vec<u32>> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let tracers = threads.filter_map(|thread| {
        let status = fs::read_to_string(thread.ok()?.path().join("status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?.trim().parse().ok()
    });
    Some(tracers.collect())
}
