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
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};

use crate::nodes::Node;

/// How a node is started, the first time and every time after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// What to run.
    pub program: PathBuf,
    /// With which arguments.
    pub args: Vec<OsString>,
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
    child: Child,
    /// The life line; the child ends when it is dropped.
    life_line: Option<ChildStdin>,
}

impl NodeProcess {
    /// Starts a node. Must be called within a tokio runtime with I/O enabled.
    ///
    /// # Errors
    /// When the log cannot be opened or the program not be run.
    pub fn start(node: Node, launch: Launch) -> Result<Self, ProcessError> {
        let mut child = spawn(node, &launch)?;
        // Taken, because waiting for a child closes the input it still owns.
        let life_line = child.stdin.take();
        Ok(NodeProcess { node, launch, child, life_line })
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
        self.child.try_wait().map_err(|source| self.failed(source))
    }

    /// Lets it stand still, by SIGSTOP; says whether it ran.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn pause(&mut self) -> Result<bool, ProcessError> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on, by SIGCONT; says whether there is a process.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn resume(&mut self) -> Result<bool, ProcessError> {
        self.signal(Signal::CONT)
    }

    fn signal(&mut self, signal: Signal) -> Result<bool, ProcessError> {
        if self.exited()?.is_some() {
            return Ok(false);
        }
        // It is not waited for meanwhile, so that nobody else can have its number.
        let pid = self.pid().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let Some(pid) = pid else { return Ok(false) };
        kill_process(pid, signal).map_err(|error| self.failed(error.into()))?;
        Ok(true)
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
        self.start_stop();
        self.wait_or_kill(grace).await
    }

    /// Breaks its life line, which asks it to end, and does not wait.
    pub fn start_stop(&mut self) {
        self.life_line = None;
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
        self.child = spawn(self.node, &self.launch)?;
        self.life_line = self.child.stdin.take();
        Ok(())
    }

    fn failed(&self, source: io::Error) -> ProcessError {
        ProcessError::End { node: self.node, source }
    }
}

fn spawn(node: Node, launch: &Launch) -> Result<Child, ProcessError> {
    let failed = |source| ProcessError::Log { node, path: launch.log.clone(), source };
    let log = OpenOptions::new().create(true).append(true).open(&launch.log).map_err(failed)?;
    let errors = log.try_clone().map_err(failed)?;
    let mut command = Command::new(&launch.program);
    command.args(&launch.args).stdin(Stdio::piped()).stdout(log).stderr(errors).kill_on_drop(true);
    // A group of its own, so that Ctrl-C on the terminal reaches the harness alone, which then
    // stops its nodes when it is done with them.
    #[cfg(unix)]
    command.process_group(0);
    command.spawn().map_err(|source| ProcessError::Start {
        node,
        program: launch.program.clone(),
        source,
    })
}
