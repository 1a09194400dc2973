//! Node processes: started, killed without warning, started again, and never left behind.
//!
//! The child holds the read end of a pipe as its standard input and must exit at its end: this
//! life line breaks however the harness dies, which no signal handler and no destructor can
//! promise. Dropping a [`NodeProcess`] kills it at once.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Rlimit, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinSet;

use crate::ailment::Percent;
use crate::leases::{Holding, Identity, Lease, LeaseError, Leases};
use crate::nodes::Node;

/// How often a throttled process runs and stands still.
const THROTTLE_PERIOD: Duration = Duration::from_millis(100);

/// How long a stopped process may take to stop: one that waits for a hung disk does not notice, and does
/// nothing either.
const NOTICE_LIMIT: Duration = Duration::from_secs(5);

/// How a node is started, the first time and every time after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// What to run.
    pub program: PathBuf,
    /// With which arguments.
    pub args: Vec<OsString>,
    /// Where it keeps what is to survive it; nobody else writes there while it runs.
    pub data: PathBuf,
    /// Where what it writes is appended, standard output and standard error alike.
    pub log: PathBuf,
}

/// What went wrong with a node's process.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// Its log cannot be written.
    #[error("{node}: cannot open its log {}: {source}", path.display())]
    Log {
        /// The node.
        node: Node,
        /// The log.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be started.
    #[error("{node}: cannot start {}: {source}", program.display())]
    Start {
        /// The node.
        node: Node,
        /// What was to be run.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be written down that it was started; then it is killed.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// It can be neither ended nor waited for.
    #[error("{node}: cannot end its process: {source}")]
    End {
        /// The node.
        node: Node,
        /// What the system said.
        source: io::Error,
    },
}

/// A node's process: running, or ended and ready to be started again.
#[derive(Debug)]
pub struct NodeProcess {
    node: Node,
    launch: Launch,
    /// Where it is written down that it was started.
    leases: Leases,
    child: Child,
    /// Dropped behind the child, which that kills.
    lease: Lease,
    /// The life line; the child ends when it is dropped.
    life_line: Option<ChildStdin>,
    /// The task that lets it stand still again and again, if it is throttled; dropped, it ends.
    throttle: JoinSet<()>,
    /// What its memory was limited by before it was squeezed.
    squeezed: Option<Rlimit>,
}

impl NodeProcess {
    /// Starts a node. Must be called within a tokio runtime with I/O enabled.
    ///
    /// # Errors
    /// When the log cannot be opened or the program not be run.
    pub fn start(node: Node, launch: Launch) -> Result<Self, ProcessError> {
        Self::start_under(node, launch, &Leases::none())
    }

    /// Starts a node, and writes down that it was, so that it can be ended by [`heal`](crate::heal) if this
    /// process is killed.
    ///
    /// # Errors
    /// As [`NodeProcess::start`]; or when it cannot be written down.
    pub fn start_under(node: Node, launch: Launch, leases: &Leases) -> Result<Self, ProcessError> {
        let (mut child, lease) = spawn(node, &launch, leases)?;
        let leases = leases.clone();
        // Taken, because waiting for a child closes the input it still owns.
        let life_line = child.stdin.take();
        let (throttle, squeezed) = (JoinSet::new(), None);
        Ok(NodeProcess { node, launch, leases, child, lease, life_line, throttle, squeezed })
    }

    /// How it is started.
    pub fn launch(&self) -> &Launch {
        &self.launch
    }

    /// Whose process it is.
    pub fn node(&self) -> Node {
        self.node
    }

    /// The process id; `None` once it has ended and that was noticed.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>, ProcessError> {
        let exited = self.child.try_wait().map_err(|source| self.failed(source))?;
        if exited.is_some() {
            // Its number may be another's from now on.
            self.throttle.abort_all();
        }
        Ok(exited)
    }

    /// Lets it stand still, by SIGSTOP, and waits until it does: on a busy machine its threads may take
    /// a while to notice. Says whether it ran.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub async fn pause(&mut self) -> Result<bool, ProcessError> {
        let Some(pid) = self.running()? else { return Ok(false) };
        kill_process(pid, Signal::STOP).map_err(|error| self.failed(error.into()))?;
        let began = Instant::now();
        while !stands_still(pid) && self.exited()?.is_none() && began.elapsed() < NOTICE_LIMIT {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(true)
    }

    /// Lets it go on, by SIGCONT; says whether there is a process.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn resume(&mut self) -> Result<bool, ProcessError> {
        self.signal(Signal::CONT)
    }

    /// Lets it have no more than this share of the processor's time, by SIGSTOP and SIGCONT, until it is
    /// freed; says whether it runs. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the system does not say whether it runs.
    pub fn throttle(&mut self, share: Percent) -> Result<bool, ProcessError> {
        let Some(pid) = self.running()? else { return Ok(false) };
        self.throttle.abort_all();
        self.throttle.spawn(async move {
            let runs = THROTTLE_PERIOD * u32::from(share.get().min(100)) / 100;
            // An error says that it has ended.
            while kill_process(pid, Signal::CONT).is_ok() {
                tokio::time::sleep(runs).await;
                if kill_process(pid, Signal::STOP).is_err() {
                    return;
                }
                tokio::time::sleep(THROTTLE_PERIOD - runs).await;
            }
        });
        Ok(true)
    }

    /// Lets it have no more memory than it has (Linux: `RLIMIT_DATA`), until it is freed; says whether it
    /// runs.
    ///
    /// # Errors
    /// When the limit cannot be set.
    pub fn squeeze(&mut self) -> Result<bool, ProcessError> {
        let Some(pid) = self.running()? else { return Ok(false) };
        let before = limit_memory(pid, None).map_err(|source| self.failed(source))?;
        self.squeezed.get_or_insert(before);
        Ok(true)
    }

    /// Ends that it is throttled or squeezed; says whether there is a process.
    ///
    /// # Errors
    /// When the limit cannot be lifted, or the signal not be sent.
    pub async fn free(&mut self) -> Result<bool, ProcessError> {
        // Waited for, so that it does not stop the process once more.
        self.throttle.shutdown().await;
        let before = self.squeezed.take();
        if let (Some(pid), Some(before)) = (self.running()?, before) {
            limit_memory(pid, Some(before)).map_err(|source| self.failed(source))?;
        }
        self.signal(Signal::CONT)
    }

    /// Asks it to end, by SIGTERM; says whether there is a process.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn terminate(&mut self) -> Result<bool, ProcessError> {
        self.signal(Signal::TERM)
    }

    fn signal(&mut self, signal: Signal) -> Result<bool, ProcessError> {
        let Some(pid) = self.running()? else { return Ok(false) };
        kill_process(pid, signal).map_err(|error| self.failed(error.into()))?;
        Ok(true)
    }

    /// Its number, if it runs. It is not waited for meanwhile, so that nobody else can have the number.
    fn running(&mut self) -> Result<Option<Pid>, ProcessError> {
        if self.exited()?.is_some() {
            return Ok(None);
        }
        Ok(self.pid().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)))
    }

    /// Says a line to it over its life line, without waiting until it listens; says whether there is
    /// a process.
    ///
    /// # Errors
    /// When the line cannot be written, though the process lives.
    pub async fn tell(&mut self, line: &str) -> Result<bool, ProcessError> {
        if self.exited()?.is_some() {
            return Ok(false);
        }
        let Some(life_line) = &mut self.life_line else { return Ok(false) };
        match life_line.write_all(format!("{line}\n").as_bytes()).await {
            // It ended just now.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(self.failed(error)),
            Ok(()) => Ok(true),
        }
    }

    /// Waits for it to end.
    ///
    /// # Errors
    /// When the system does not say how it ended.
    pub async fn wait(&mut self) -> Result<ExitStatus, ProcessError> {
        self.throttle.shutdown().await;
        self.child.wait().await.map_err(|source| self.failed(source))
    }

    /// Sends it SIGKILL and does not wait; nothing happens if it has ended already.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn start_kill(&mut self) -> Result<(), ProcessError> {
        if self.exited()?.is_some() {
            return Ok(());
        }
        self.child.start_kill().map_err(|source| self.failed(source))
    }

    /// Ends it by SIGKILL and returns when it is gone. If it had ended before, says how.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub async fn kill(&mut self) -> Result<ExitStatus, ProcessError> {
        self.start_kill()?;
        self.wait().await
    }

    /// Breaks its life line, which asks it to end, and kills it if it has not after `grace`.
    /// Returns when it is gone.
    ///
    /// # Errors
    /// When it can be neither waited for nor killed.
    pub async fn stop(&mut self, grace: Duration) -> Result<ExitStatus, ProcessError> {
        self.start_stop().await?;
        self.wait_or_kill(grace).await
    }

    /// Breaks its life line, which asks it to end, and does not wait. Who stands still does not hear, so
    /// it goes on first.
    ///
    /// # Errors
    /// When it cannot be told to go on.
    pub async fn start_stop(&mut self) -> Result<(), ProcessError> {
        self.free().await?;
        self.life_line = None;
        Ok(())
    }

    /// Waits for it to end, and kills it if it has not after `grace`.
    ///
    /// # Errors
    /// When it can be neither waited for nor killed.
    pub async fn wait_or_kill(&mut self, grace: Duration) -> Result<ExitStatus, ProcessError> {
        match tokio::time::timeout(grace, self.wait()).await {
            Ok(ended) => ended,
            Err(_) => self.kill().await,
        }
    }

    /// Starts it again with the same command line, after killing it if it still runs.
    ///
    /// # Errors
    /// When it cannot be killed or not be started; then it is down, and may be restarted later.
    pub async fn restart(&mut self) -> Result<(), ProcessError> {
        self.kill().await?;
        self.squeezed = None;
        (self.child, self.lease) = spawn(self.node, &self.launch, &self.leases)?;
        self.life_line = self.child.stdin.take();
        Ok(())
    }

    fn failed(&self, source: io::Error) -> ProcessError {
        ProcessError::End { node: self.node, source }
    }
}

/// Whether every thread of a child has stopped; the child's status is left for whoever waits for its end.
fn stands_still(child: Pid) -> bool {
    let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::Pid(child), options), Ok(Some(_)))
}

/// Limits how much memory a process may write to: to what it has, or as given. Says how it was before.
#[cfg(target_os = "linux")]
fn limit_memory(pid: Pid, limit: Option<Rlimit>) -> io::Result<Rlimit> {
    use rustix::process::{Resource, prlimit};
    // What exceeds the limit already stays; there is just no more.
    // Not quite none: Linux takes 0 for no limit as far as mappings go (`may_expand_vm`, for Valgrind).
    let limit = limit.unwrap_or(Rlimit { current: Some(1), maximum: None });
    Ok(prlimit(Some(pid), Resource::Data, limit)?)
}

#[cfg(not(target_os = "linux"))]
fn limit_memory(_: Pid, _: Option<Rlimit>) -> io::Result<Rlimit> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "memory can be limited on Linux only"))
}

fn spawn(node: Node, launch: &Launch, leases: &Leases) -> Result<(Child, Lease), ProcessError> {
    let failed = |source| ProcessError::Log { node, path: launch.log.clone(), source };
    let log = OpenOptions::new().create(true).append(true).open(&launch.log).map_err(failed)?;
    let errors = log.try_clone().map_err(failed)?;
    let mut command = Command::new(&launch.program);
    command.args(&launch.args).stdin(Stdio::piped()).stdout(log).stderr(errors).kill_on_drop(true);
    // Before its number is known it is known by this.
    command.envs(leases.mark());
    // A group of its own, so that Ctrl-C on the terminal reaches the harness alone, which then
    // stops its nodes when it is done with them.
    #[cfg(unix)]
    command.process_group(0);
    let child = command.spawn().map_err(|source| ProcessError::Start {
        node,
        program: launch.program.clone(),
        source,
    })?;
    let identity = Identity::of(child.id().unwrap_or_default());
    let lease = leases.take(Holding::Process { of: node.to_string(), identity })?;
    Ok((child, lease))
}
