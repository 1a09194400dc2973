//! Nothing stays behind: not of hosts that are dropped, nor of those whose harness is killed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rashomon_nemesis::hosts::{self, Hosts, HostsError, sandbox};
use rashomon_nemesis::{Action, Hands, Launch, Node, NodeProcess};

use crate::support::{
    INSIDE, again, arguments, as_nobody, inside, mark, marked, not_tested, reachable, refusal, run,
    told,
};

/// How long it is waited for what is to go. Reached by a failure only.
const PATIENCE: Duration = Duration::from_secs(20);
const NEEDS: &[&str] = &["ip", "nft", "iptables", "tc"];

/// Two hosts with a process each that does not care whether anybody lives, and every kind of trouble.
async fn busy(folder: &Path) -> Hands<Hosts> {
    let hosts = Hosts::open([Node(1), Node(2)]).await.expect("two hosts");
    let processes: Vec<NodeProcess> = Node::first(2)
        .map(|node| {
            let log = folder.join(format!("{node}.log"));
            let data = folder.join(format!("{node}.data"));
            let launch = Launch { program: "sleep".into(), args: vec!["600".into()], data, log };
            let launch = hosts.launch(node, launch).expect("there is such a host");
            NodeProcess::start(node, launch).expect("it starts")
        })
        .collect();
    let mut hands = Hands::new(hosts, processes);
    for line in [
        "cut n1 -> n2",
        "slow n1 | n2 by 1s",
        "hold n254 -> n1",
        "lose n2 -> n1 at 50%",
        "limit n2 -> n1 to 1kB/s",
        "reset n1 | n2",
        "strand n1 | n2",
        "pause n2",
    ] {
        let action: Action = line.parse().expect("a line");
        hands.apply(&action).await.expect(line);
    }
    hands
}

/// The links of this network namespace, and the namespaces that have names.
fn landscape() -> BTreeMap<&'static str, Vec<String>> {
    let links = Command::new("ip").args(["-o", "link"]).output().expect("there is ip");
    let name = |line: &str| line.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let links = String::from_utf8_lossy(&links.stdout).lines().map(name).collect();
    let names = fs::read_dir("/run/netns").into_iter().flatten();
    let names = names.map(|entry| entry.expect("read").file_name().to_string_lossy().into_owned());
    BTreeMap::from([("links", links), ("names", names.collect())])
}

/// Waits until a process is gone, or is one that its parent has only not asked about yet.
fn wait_for_end(pid: u32) {
    let start = Instant::now();
    let gone = || {
        let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        status.rsplit(')').next().is_none_or(|rest| rest.is_empty() || rest.starts_with(" Z"))
    };
    while !gone() {
        assert!(start.elapsed() < PATIENCE, "process {pid} lives on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// With root, where the names of namespaces are those of the whole machine. Its links are not touched:
/// the test has a network namespace of its own, and that is all.
#[test]
fn root_needs_no_sandbox_and_leaves_nothing() {
    let name = "remains::root_needs_no_sandbox_and_leaves_nothing";
    if inside(name) {
        return run(leave_nothing());
    }
    if !rustix::process::geteuid().is_root() {
        return not_tested(name, "only root needs no sandbox");
    }
    if let Some(refusal) = refusal(NEEDS) {
        return not_tested(name, &refusal);
    }
    let mut apart = Command::new("unshare");
    apart.arg("--net").arg(std::env::current_exe().expect("known"));
    let mark = mark(name);
    let ran = again(name, &mark, apart);
    assert!(ran.status.success(), "{name}, inside: {}\n{}", ran.status, told(&ran));
    assert_eq!(marked(&mark), Vec::<u32>::new(), "processes live on");
}

async fn leave_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let before = landscape();
    let ours = |name: &str| {
        let after = landscape();
        let named = |entry: &&String| entry.starts_with(name) && !before["names"].contains(entry);
        assert_eq!(after["links"], before["links"]);
        assert_eq!(after["names"].iter().find(named), None, "{name} is still there");
    };
    // Stopped in order.
    let hands = busy(folder.path()).await;
    let name = hands.hosts().name();
    let pids = Node::first(2).map(|node| hands.pid(node).expect("it runs")).collect::<Vec<u32>>();
    assert_ne!(landscape()["links"], before["links"]);
    let errors = hands.stop(Duration::from_secs(20)).await;
    assert!(errors.is_empty(), "{errors:?}");
    pids.iter().for_each(|pid| wait_for_end(*pid));
    ours(&name);
    // Dropped by a panic.
    let hands = busy(folder.path()).await;
    let name = hands.hosts().name();
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _hands = hands;
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    ours(&name);
    // Never dropped at all, and removed by name.
    let hands = busy(folder.path()).await;
    let name = hands.hosts().name();
    let pids = Node::first(2).map(|node| hands.pid(node).expect("it runs")).collect::<Vec<u32>>();
    std::mem::forget(hands);
    hosts::remove(&name).expect("removed");
    pids.iter().for_each(|pid| wait_for_end(*pid));
    ours(&name);
    hosts::remove(&name).expect("nothing is there, and that is no error");
    for foreign in ["", "rashomon", "rashomon-1", "rashomon01", "rashomon256", "eth0"] {
        let error = hosts::remove(foreign).expect_err(foreign);
        assert!(matches!(error, HostsError::NotOurs(_)), "{error}");
    }
}

#[test]
fn a_sandbox_goes_with_whoever_made_it() {
    let name = "remains::a_sandbox_goes_with_whoever_made_it";
    if inside(name) {
        return run(async {
            let _hands = busy(Path::new("/run")).await;
            println!("\nready");
            std::future::pending::<()>().await;
        });
    }
    if let Some(refusal) = refusal(NEEDS) {
        return not_tested(name, &refusal);
    }
    let (mark, folder) = (mark(name), tempfile::tempdir().expect("a folder"));
    let mut command = as_nobody(&sandbox(&reachable(folder.path())).expect("a sandbox"));
    command.args(arguments(name)).env(INSIDE, &mark).stdout(Stdio::piped());
    let mut harness = command.spawn().expect("it starts");
    let mut lines = BufReader::new(harness.stdout.take().expect("piped")).lines();
    let ready = lines.any(|line| line.is_ok_and(|line| line == "ready"));
    let before = marked(&mark).len();
    // SIGKILL, which nobody can do anything about.
    harness.kill().expect("killed");
    harness.wait().expect("ended");
    assert!(ready, "it never had hosts");
    assert!(before >= 4, "the sandbox, the harness and two processes are not {before}");
    let start = Instant::now();
    while !marked(&mark).is_empty() {
        assert!(start.elapsed() < PATIENCE, "processes live on: {:?}", marked(&mark));
        std::thread::sleep(Duration::from_millis(10));
    }
}
