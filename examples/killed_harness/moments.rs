//! A run is killed outright at a random moment, healed, and looked for from outside.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use procfs::process::{FDTarget, Process, all_processes};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How one moment went.
pub(crate) struct Story {
    /// How long the run had gone on.
    pub(crate) after: Duration,
    /// What there was of it then: processes, and sockets that listened.
    pub(crate) processes: usize,
    pub(crate) sockets: usize,
    /// How many processes were still there when it was healed.
    pub(crate) left: usize,
    /// What healing said.
    pub(crate) healed: String,
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Story { after, processes, sockets, left, healed } = self;
        let (after, healed) = (after.as_secs_f64(), healed.matches("ended process").count());
        write!(
            f,
            "killed after {after:5.2} s: {processes} processes, {sockets:>2} listening; \
             {left} left, {healed} ended by healing"
        )
    }
}

/// Starts a run with all faults in `folder`, which is empty, kills its harness after a time that the
/// seed decides, heals, and looks for what is left; says what is.
pub(crate) fn kill_and_heal(
    rashomon: &Path,
    folder: &Path,
    seed: u64,
    within: Duration,
) -> Result<Story, String> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let after = within.mul_f64(rng.random_range(0.0..1.0));
    let store = ["raft", "paxos", "eventual"][rng.random_range(0..3)];
    let mut harness = Command::new(rashomon)
        .args(["test", "--store", store, "--nodes", "3", "--nemesis", "all"])
        .args(["--time-limit", "60s", "--seed", &seed.to_string()])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot run {}: {error}", rashomon.display()))?;
    thread::sleep(after);
    let processes = ours(folder);
    let sockets = listening(&processes);
    harness.kill().map_err(|error| format!("cannot kill the harness: {error}"))?;
    let ended = harness.wait().map_err(|error| format!("cannot wait for it: {error}"))?;
    if ended.code().is_some() {
        return Err(format!("it ended by itself after {after:?}: {ended}"));
    }
    let left = ours(folder).len();
    let healed = heal(rashomon, folder)?;
    let leftovers = leftovers(folder, &sockets);
    if !leftovers.is_empty() {
        return Err(format!("after {after:?} there is still\n{}", leftovers.join("\n")));
    }
    let again = heal(rashomon, folder)?;
    if !again.starts_with("nothing is left") {
        return Err(format!("healed a second time it says: {again}"));
    }
    let (processes, sockets) = (processes.len(), sockets.len());
    Ok(Story { after, processes, sockets, left, healed })
}

fn heal(rashomon: &Path, folder: &Path) -> Result<String, String> {
    let output = Command::new(rashomon).arg("heal").current_dir(folder).output();
    let Output { status, stdout, stderr } = output.map_err(|error| error.to_string())?;
    let [said, talk] = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    if status.success() { Ok(said) } else { Err(format!("healing: {status}\n{said}{talk}")) }
}

/// Everything that is still there of runs in this directory.
fn leftovers(folder: &Path, sockets: &BTreeSet<u64>) -> Vec<String> {
    let mut left: Vec<String> = ours(folder)
        .into_iter()
        .map(|process| {
            let line = process.cmdline().unwrap_or_default().join(" ");
            format!("process {}: {line}", process.pid)
        })
        .collect();
    let listening = procfs::net::tcp().unwrap_or_default().into_iter();
    let listening = listening.filter(|socket| sockets.contains(&socket.inode));
    left.extend(listening.map(|socket| format!("the port {}", socket.local_address)));
    let mounts = Process::myself().and_then(|process| process.mountinfo());
    let mounts = mounts.into_iter().flatten().filter(|mount| mount.mount_point.starts_with(folder));
    left.extend(mounts.map(|mount| format!("a mount at {}", mount.mount_point.display())));
    let devices = fs::read_dir("/sys/block").into_iter().flatten().filter_map(Result::ok);
    for device in devices {
        let file = fs::read_to_string(device.path().join("loop/backing_file")).unwrap_or_default();
        if Path::new(file.trim()).starts_with(folder) {
            left.push(format!("the device {}", device.path().display()));
        }
    }
    let runs = fs::read_dir(folder.join("runs")).into_iter().flatten().filter_map(Result::ok);
    let files = runs.map(|run| run.path().join("leases.jsonl")).filter(|file| file.exists());
    // One that was killed while it wrote the first line holds nothing.
    let files = files.filter(|file| fs::read_to_string(file).is_ok_and(|text| text.contains('\n')));
    left.extend(files.map(|file| format!("the lease file {}", file.display())));
    left
}

/// The living processes that name this directory: in what they were started with, where they
/// are, or what they have open.
fn ours(folder: &Path) -> Vec<Process> {
    let name = folder.to_str().expect("temporary directories have plain names");
    let is_ours = |process: &Process| {
        let words = process.cmdline().unwrap_or_default();
        let environment = process.environ().unwrap_or_default();
        let is_below = |path: &Path| path.starts_with(folder);
        words.iter().any(|word| word.contains(name))
            || environment.values().any(|value| value.to_string_lossy().contains(name))
            || process.cwd().is_ok_and(|path| is_below(&path))
            || process
                .fd()
                .into_iter()
                .flatten()
                .filter_map(Result::ok)
                .any(|open| matches!(open.target, FDTarget::Path(path) if is_below(&path)))
    };
    let lives = |process: &Process| process.stat().is_ok_and(|stat| !"ZX".contains(stat.state));
    let processes = all_processes().expect("there is /proc").filter_map(Result::ok);
    processes.filter(|process| lives(process) && is_ours(process)).collect()
}

/// The listening sockets of these processes, by their inodes, which no other socket has.
fn listening(processes: &[Process]) -> BTreeSet<u64> {
    let open = |process: &Process| {
        let open = process.fd().into_iter().flatten().filter_map(Result::ok);
        let sockets = open.filter_map(|open| match open.target {
            FDTarget::Socket(inode) => Some(inode),
            _ => None,
        });
        sockets.collect::<Vec<_>>()
    };
    let open: BTreeSet<u64> = processes.iter().flat_map(open).collect();
    let sockets = procfs::net::tcp().unwrap_or_default().into_iter();
    let listening = sockets.filter(|socket| socket.state == procfs::net::TcpState::Listen);
    listening.map(|socket| socket.inode).filter(|inode| open.contains(inode)).collect()
}
