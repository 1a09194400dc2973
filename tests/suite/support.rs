//! Runs the real binary in a directory of its own, with a deadline, and looks for what it leaves.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long any one command may take. Far beyond what it needs: reaching it is a hang.
const DEADLINE: Duration = Duration::from_secs(150);

/// A directory that lives as long as the test.
pub(crate) struct Bench {
    directory: tempfile::TempDir,
}

/// A finished command.
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Everything it said, for the message of a failed assertion.
    pub(crate) fn everything(&self) -> String {
        format!("{}\n--- stdout\n{}\n--- stderr\n{}", self.status, self.stdout, self.stderr)
    }
}

/// A running command, killed when it is dropped.
pub(crate) struct Running {
    child: Child,
    readers: [thread::JoinHandle<String>; 2],
}

impl Bench {
    pub(crate) fn new() -> Self {
        Bench { directory: tempfile::tempdir().expect("a temporary directory") }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The directory of the latest run below `runs`.
    pub(crate) fn latest(&self) -> PathBuf {
        fs::canonicalize(self.path().join("runs/latest")).expect("a run has been made")
    }

    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, contents).expect("the bench is writable");
        path
    }

    /// Runs `rashomon` to its end.
    pub(crate) fn rashomon<A: AsRef<std::ffi::OsStr>>(&self, arguments: &[A]) -> Finished {
        self.start(arguments).finish()
    }

    pub(crate) fn start<A: AsRef<std::ffi::OsStr>>(&self, arguments: &[A]) -> Running {
        self.start_with(arguments, Stdio::null())
    }

    /// Starts `rashomon` with something on its standard input.
    pub(crate) fn start_with<A: AsRef<std::ffi::OsStr>>(
        &self,
        arguments: &[A],
        stdin: impl Into<Stdio>,
    ) -> Running {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rashomon"))
            .args(arguments)
            .current_dir(self.path())
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let stdout = child.stdout.take().expect("it is piped");
        let stderr = child.stderr.take().expect("it is piped");
        Running { child, readers: [read_all(stdout), read_all(stderr)] }
    }

    /// Processes whose command line names this bench: the nodes of its runs.
    pub(crate) fn processes(&self) -> Vec<String> {
        let bench = self.path().to_str().expect("temporary directories have plain names");
        command_lines().into_iter().filter(|line| line.contains(bench)).collect()
    }

    /// Waits until no process of this bench is left; says which are, if any.
    pub(crate) fn processes_after(&self, patience: Duration) -> Vec<String> {
        let began = Instant::now();
        loop {
            let left = self.processes();
            if left.is_empty() || began.elapsed() > patience {
                return left;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name: `INT`, `TERM`, `KILL`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &id]).status();
        assert!(sent.expect("there is a kill command").success(), "cannot signal {id}");
    }

    pub(crate) fn finish(mut self) -> Finished {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                break status;
            }
            if began.elapsed() > DEADLINE {
                let _ = self.child.kill();
                let _ = self.child.wait();
                let [stdout, stderr] = self.readers.map(|reader| reader.join().unwrap());
                panic!("no end after {DEADLINE:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}");
            }
            thread::sleep(Duration::from_millis(20));
        };
        let [stdout, stderr] = self.readers.map(|reader| reader.join().expect("a reader"));
        Finished { status, stdout, stderr }
    }
}

fn read_all(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).expect("a pipe can be read");
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The command lines of all processes: from `/proc` where there is one, else from `ps`.
fn command_lines() -> Vec<String> {
    let Ok(processes) = fs::read_dir("/proc") else {
        let listed = Command::new("ps").args(["ax", "-o", "command"]).output().expect("ps");
        return String::from_utf8_lossy(&listed.stdout).lines().map(str::to_owned).collect();
    };
    let lines = processes.filter_map(|entry| {
        let bytes = fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&bytes).replace('\0', " ");
        (!line.is_empty()).then_some(line)
    });
    lines.collect()
}
