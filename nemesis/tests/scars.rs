//! What is left of a harness that is killed, and of one that ends in any other way.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rashomon_nemesis::hosts::{Hosts, HostsError};
use rashomon_nemesis::{Fsyncs, Launch, Leases, MARK, Mishap, Node, NodeProcess, Volume, heal};

/// The environment variable that makes this program a harness that is to be killed: its directory.
const HARNESS: &str = "RASHOMON_TEST_HARNESS_IN";

/// A server that does not care for its life line, nor that its parent is gone, and has a child.
const STUBBORN: &str = "trap '' HUP; sleep 600 & echo started; exec sleep 600";
/// One that writes for ever.
const WRITER: &str = "while :; do echo line >> \"$0\"; done";

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Everything that a harness can hold at one time.
struct Held {
    nodes: Vec<NodeProcess>,
    fsyncs: Option<Fsyncs>,
    volume: Option<Volume>,
    hosts: Option<Hosts>,
}

async fn hold(folder: &Path) -> Held {
    let leases = Leases::begin(&folder.join("leases.jsonl")).expect("it can be written");
    let launch = |node: Node, script: &str, word: &Path| Launch {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into(), word.into()],
        data: folder.to_owned(),
        log: folder.join(format!("{node}.log")),
    };
    let start = |number: u16, script: &str, word: &Path| {
        let node = Node(number);
        NodeProcess::start_under(node, launch(node, script, word), &leases).expect("a shell")
    };
    let mut nodes = vec![start(1, STUBBORN, folder), start(2, STUBBORN, folder)];
    for node in &nodes {
        let log = folder.join(format!("{}.log", node.node()));
        until(|| fs::read_to_string(&log).is_ok_and(|log| log.contains("started")));
    }
    if !is_root() {
        return Held { nodes, fsyncs: None, volume: None, hosts: None };
    }
    let (at, image) = (folder.join("disk"), folder.join("disk.img"));
    let mut volume = Volume::create(&at, &image, 32 << 20, &leases).expect("root may");
    nodes.push(start(3, WRITER, &at.join("file")));
    until(|| at.join("file").exists());
    let pid = nodes[0].pid().expect("it runs");
    let late = Mishap::Late(Duration::from_secs(1));
    let fsyncs = Some(Fsyncs::seize(pid, late, &leases).expect("strace is there"));
    volume.freeze().expect("root may");
    let hosts = match Hosts::open_under(Node::first(2), &leases).await {
        Err(HostsError::Missing { program, .. }) => {
            eprintln!("there is no {program}: that hosts are healed is not tested");
            None
        }
        hosts => Some(hosts.expect("root may")),
    };
    Held { nodes, fsyncs, volume: Some(volume), hosts }
}

fn until(holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not begin");
        thread::sleep(Duration::from_millis(10));
    }
}

/// What there is that names this directory: processes by their words and environment, mounts, loop
/// devices.
fn left(folder: &Path) -> Vec<String> {
    let name = folder.to_str().expect("a plain name");
    let mut left = Vec::new();
    for process in procfs::process::all_processes().expect("there is /proc").flatten() {
        let words = process.cmdline().unwrap_or_default().join(" ");
        let environment = process.environ().unwrap_or_default();
        let marked = environment.get(std::ffi::OsStr::new(MARK));
        let marked = marked.is_some_and(|path| path.to_string_lossy().contains(name));
        let lives = process.stat().is_ok_and(|stat| !"ZX".contains(stat.state));
        if lives && (words.contains(name) || marked) {
            left.push(format!("{} {words}", process.pid));
        }
    }
    let mounts = procfs::process::Process::myself().and_then(|this| this.mountinfo());
    let mounts = mounts.into_iter().flatten().filter(|mount| mount.mount_point.starts_with(folder));
    left.extend(mounts.map(|mount| mount.mount_point.display().to_string()));
    for device in fs::read_dir("/sys/block").into_iter().flatten().flatten() {
        let file = fs::read_to_string(device.path().join("loop/backing_file")).unwrap_or_default();
        if file.contains(name) {
            left.push(file);
        }
    }
    left
}

/// As a harness it holds all that it can and waits to be killed; else it shows that all of it is undone
/// when it goes in order.
#[tokio::test]
async fn what_is_held_is_undone_when_it_goes() {
    if let Some(folder) = std::env::var_os(HARNESS) {
        let held = hold(Path::new(&folder)).await;
        let hosts = held.hosts.as_ref().map_or("none".into(), Hosts::name);
        println!("holds hosts {hosts} end");
        std::future::pending::<()>().await;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let place = fs::canonicalize(folder.path()).expect("it is there");
    let Held { nodes, fsyncs, mut volume, hosts } = hold(&place).await;
    drop(hosts);
    assert!(left(&place).len() >= nodes.len(), "{:?}", left(&place));
    drop(fsyncs);
    if let Some(volume) = &mut volume {
        volume.thaw().expect("root may");
    }
    for mut node in nodes {
        node.kill().await.expect("it is ours");
    }
    drop(volume);
    // A child of a server is nobody's; it is found by its mark.
    let orphans = left(&place);
    assert!(orphans.iter().all(|what| what.ends_with("sleep 600")), "{orphans:?}");
    assert!(!place.join("leases.jsonl").exists(), "everything was given back");
    for orphan in orphans {
        let pid = orphan.split(' ').next().expect("a number");
        assert!(Command::new("kill").args(["-9", pid]).status().expect("kill").success());
    }
}

/// The child that is a harness, killed when it is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Heals when it is dropped, also of what a failed test leaves.
struct Healed<'a>(&'a Path);

impl Drop for Healed<'_> {
    fn drop(&mut self) {
        let _ = heal(self.0);
    }
}

/// A harness of its own, which holds all that it can below `place`.
fn start_harness(place: &Path) -> Killed {
    let program = std::env::current_exe().expect("this program");
    let this = ["--exact", "what_is_held_is_undone_when_it_goes", "--nocapture"];
    let mut command = Command::new(program);
    command.args(this).env(HARNESS, place).stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(Stdio::null());
    Killed(command.spawn().expect("it starts"))
}

/// It may be about to make something, or have made it just now.
#[test]
fn nothing_is_left_whenever_a_harness_is_killed() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut written = 0;
    for _ in 0..8 {
        let folder = tempfile::tempdir().expect("a folder");
        let place = fs::canonicalize(folder.path()).expect("it is there");
        let file = place.join("leases.jsonl");
        let _healed = Healed(&file);
        let harness = start_harness(&place);
        // So many lines on, and a little more.
        let lines = rng.random_range(0..=if is_root() { 6 } else { 3 });
        let text = || fs::read_to_string(&file).unwrap_or_default();
        until(|| text().lines().count() >= lines);
        let after = Duration::from_millis(rng.random_range(0..60));
        thread::sleep(after);
        drop(harness);
        let leases = text();
        written += leases.matches("took").count();
        let done = heal(&file).expect("it can be healed");
        // A loop device is detached once the last who looks at it closes it.
        let began = std::time::Instant::now();
        while !left(&place).is_empty() && began.elapsed() < Duration::from_secs(5) {
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(left(&place), [""; 0], "{after:?} {done:#?}\n{leases}");
    }
    assert!(written > 4, "hardly anything was held: {written}");
}

#[test]
fn a_killed_harness_is_healed_of_everything_it_held() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = fs::canonicalize(folder.path()).expect("it is there");
    let mut harness = start_harness(&place);
    let said = BufReader::new(harness.0.stdout.take().expect("it is piped")).lines();
    let holds = said.map_while(Result::ok).find(|line| line.contains("holds "));
    let file = place.join("leases.jsonl");
    // The directory cannot be removed while the disk in it hangs.
    let _healed = Healed(&file);
    let leases = fs::read_to_string(&file).unwrap_or_default();
    drop(harness);
    let holds = holds.unwrap_or_else(|| panic!("it held nothing: {leases}"));
    let hosts = holds.split_once("hosts ").and_then(|(_, rest)| rest.split(' ').next());
    let hosts = hosts.filter(|hosts| *hosts != "none");
    let switch = hosts.map(|hosts| PathBuf::from(format!("/run/netns/{hosts}-switch")));
    assert!(switch.iter().all(|switch| switch.exists()), "{switch:?}");
    // Four processes that sleep, of which one stands still; and, for root, one that waits for a disk that hangs, one that traces, the disk and its device.
    let before = left(&place);
    assert!(before.len() >= if is_root() { 8 } else { 4 }, "{before:#?}");

    // Paused children are woken by the system when nobody is left to wake them; not so one that somebody
    // else let stand still.
    let paused = leases
        .lines()
        .find(|line| line.contains("\"n2\""))
        .and_then(|line| line.split("\"pid\":").nth(1)?.split(',').next());
    let paused = paused.expect("it is written down");
    let stop = Command::new("kill").args(["-STOP", paused]).status();
    assert!(stop.expect("there is kill").success());
    let stat = || fs::read_to_string(format!("/proc/{paused}/stat")).unwrap_or_default();
    until(|| stat().contains(") T "));
    let done = heal(&file).expect("it can be healed");
    assert_eq!(left(&place), [""; 0], "{done:#?}\n{leases}");
    assert!(done.iter().any(|what| what.contains("n2, which stood still")), "{done:#?}");
    assert!(done.iter().filter(|what| what.starts_with("ended process")).count() >= 4, "{done:#?}");
    assert_eq!(done.iter().any(|what| what.starts_with("unmounted ")), is_root(), "{done:#?}");
    assert!(switch.iter().all(|switch| !switch.exists()), "{done:#?}");
    assert_eq!(done.iter().any(|what| what.starts_with("removed the hosts ")), switch.is_some());
    assert!(!file.exists());
    assert_eq!(heal(&file).expect("there is nothing to do"), [""; 0]);
    if !is_root() {
        eprintln!("this is not root: that mounts are healed is not tested");
    }
}
