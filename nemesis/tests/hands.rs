//! Processes and hands: what is killed is gone, what is mended is back, and nothing stays behind.
#![cfg(unix)]

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rashomon_nemesis::{
    Action, Damage, Ending, Fault, Grudge, Hands, HandsError, Launch, Links, Node, NodeProcess,
    Outcome, ProcessError, Resolved, Schedule, Trouble,
};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

const DEADLINE: Duration = Duration::from_secs(20);
/// How long a stop may wait for a child that does end by itself: never reached.
const GRACE: Duration = Duration::from_secs(20);

/// A child that says that it started and then ends with its life line.
const FAITHFUL: &str = "echo started; exec cat";
/// A child that does not care for its life line.
const STUBBORN: &str = "echo started; exec sleep 600";

fn launch(folder: &TempDir, node: Node, script: &str) -> Launch {
    Launch {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        data: folder.path().join(format!("{node}.data")),
        log: folder.path().join(format!("{node}.log")),
    }
}

fn start(folder: &TempDir, node: Node, script: &str) -> NodeProcess {
    NodeProcess::start(node, launch(folder, node, script)).expect("a shell")
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("no {what}"));
}

/// How often a node's log says that it started.
fn starts(folder: &Path, node: Node) -> usize {
    let log = std::fs::read_to_string(folder.join(format!("{node}.log"))).unwrap_or_default();
    log.matches("started").count()
}

fn lives(pid: u32) -> bool {
    let mut asked = Command::new("/bin/sh");
    asked.args(["-c", &format!("kill -0 {pid}")]).stderr(Stdio::null());
    asked.status().expect("a shell").success()
}

#[tokio::test]
async fn a_killed_process_is_gone_and_comes_back() {
    let folder = TempDir::new().expect("a folder");
    let mut process = start(&folder, Node(1), FAITHFUL);
    let pid = process.pid().expect("it runs");
    until("start", || starts(folder.path(), Node(1)) == 1).await;
    assert_eq!(process.exited().expect("known"), None);

    let status = process.kill().await.expect("killed");
    assert_eq!(status.signal(), Some(9));
    assert!(!lives(pid), "a killed process was not reaped");
    assert_eq!(process.pid(), None);
    // To kill the dead changes nothing.
    assert_eq!(process.kill().await.expect("already dead"), status);
    assert_eq!(process.exited().expect("known"), Some(status));

    process.restart().await.expect("restarted");
    until("second start in the same log", || starts(folder.path(), Node(1)) == 2).await;
    assert_ne!(process.pid().expect("it runs"), pid);
    // Restarting what runs kills it first.
    let second = process.pid().expect("it runs");
    process.restart().await.expect("restarted");
    assert!(!lives(second));
    assert!(process.stop(GRACE).await.expect("stopped").success());
}

#[tokio::test]
async fn a_stop_asks_first_and_kills_the_stubborn() {
    let folder = TempDir::new().expect("a folder");
    let mut faithful = start(&folder, Node(1), FAITHFUL);
    assert!(faithful.stop(GRACE).await.expect("stopped").success());
    let mut stubborn = start(&folder, Node(2), STUBBORN);
    let pid = stubborn.pid().expect("it runs");
    let status = stubborn.stop(Duration::from_millis(50)).await.expect("stopped");
    assert_eq!(status.signal(), Some(9));
    assert!(!lives(pid));
}

#[tokio::test]
async fn waiting_leaves_the_life_line_whole() {
    let folder = TempDir::new().expect("a folder");
    let mut process = start(&folder, Node(1), FAITHFUL);
    let waited = tokio::time::timeout(Duration::from_millis(200), process.wait()).await;
    assert!(waited.is_err(), "waiting for a process ended it");
    assert!(process.stop(GRACE).await.expect("stopped").success());
}

#[tokio::test]
async fn nothing_is_left_of_what_is_dropped() {
    let folder = TempDir::new().expect("a folder");
    let processes = [(Node(1), FAITHFUL), (Node(2), STUBBORN)].map(|(n, s)| start(&folder, n, s));
    let pids = processes.each_ref().map(|process| process.pid().expect("it runs"));
    let links = Links::open([Node(1), Node(2)]).await.expect("ports");
    drop(Hands::new(links, processes));
    until("end of dropped processes", || !pids.iter().any(|pid| lives(*pid))).await;
}

#[tokio::test]
async fn errors_name_the_node_and_the_file() {
    let folder = TempDir::new().expect("a folder");
    let program = folder.path().join("no-such-program");
    let missing = Launch { program, ..launch(&folder, Node(1), "") };
    let error = NodeProcess::start(Node(1), missing).expect_err("nothing to run");
    assert!(matches!(error, ProcessError::Start { .. }));
    let text = error.to_string();
    assert!(text.starts_with("n1: cannot start ") && text.contains("no-such-program"), "{text}");

    let log = folder.path().join("no-such-folder/log");
    let unlogged = Launch { log, ..launch(&folder, Node(2), FAITHFUL) };
    let error = NodeProcess::start(Node(2), unlogged).expect_err("nowhere to log");
    let text = error.to_string();
    assert!(text.starts_with("n2: cannot open its log ") && text.contains("no-such-folder"));
}

async fn hands(folder: &TempDir, size: u16) -> Hands {
    let links = Links::open(Node::first(size)).await.expect("ports");
    let processes: Vec<_> = Node::first(size).map(|node| start(folder, node, FAITHFUL)).collect();
    Hands::new(links, processes)
}

fn resolve(hands: &Hands, fault: &str, leader: Option<Node>) -> Resolved {
    let fault: Fault = fault.parse().expect("a fault");
    let mut rng = Schedule::default().rng(0);
    fault.resolve(&hands.cluster(leader), &mut rng).expect("every node exists")
}

/// Lets a fault strike that names its nodes.
async fn apply(hands: &mut Hands, fault: &str) -> Outcome {
    let resolved = resolve(hands, fault, None);
    hands.apply(&resolved.action).await.unwrap_or_else(|error| panic!("{fault}: {error}"))
}

#[tokio::test]
async fn kills_and_restarts_follow_the_faults() {
    let folder = TempDir::new().expect("a folder");
    let mut hands = hands(&folder, 3).await;
    until("starts", || Node::first(3).all(|node| starts(folder.path(), node) == 1)).await;

    let kill = resolve(&hands, "kill leader", Some(Node(2)));
    let outcome = hands.apply(&kill.action).await.expect("killed");
    assert_eq!(outcome.to_string(), "n2 ended");
    assert_eq!(hands.cluster(None).down, BTreeSet::from([Node(2)]));
    assert_eq!(hands.crashed().expect("known"), []);

    // What was killed in one strike is restarted by another, and both by one restart.
    let kill = resolve(&hands, "kill n1, n2", None);
    assert_eq!(kill.action, Action::End(Ending::Kill, BTreeSet::from([Node(1)])));
    assert_eq!(hands.apply(&kill.action).await.expect("killed").ended, [Node(1)]);
    let restart = resolve(&hands, "restart", None);
    let outcome = hands.apply(&restart.action).await.expect("restarted");
    assert_eq!(outcome.restarted, [Node(1), Node(2)]);
    until("restarts", || Node::first(2).all(|node| starts(folder.path(), node) == 2)).await;
    assert_eq!(starts(folder.path(), Node(3)), 1);
    assert_eq!(hands.cluster(None).down, BTreeSet::new());

    let error = hands.apply(&Action::End(Ending::Kill, [Node(9)].into())).await.expect_err("no n9");
    assert!(matches!(error, HandsError::Unknown(Node(9))));
    assert!(hands.stop(GRACE).await.is_empty());
}

#[tokio::test]
async fn a_crash_is_told_apart_from_a_kill() {
    let folder = TempDir::new().expect("a folder");
    let links = Links::open([Node(1), Node(2)]).await.expect("ports");
    let crashing = start(&folder, Node(1), "exit 3");
    let mut hands = Hands::new(links, [crashing, start(&folder, Node(2), FAITHFUL)]);
    until("crash", || !hands.crashed().expect("known").is_empty()).await;
    let killed =
        hands.apply(&Action::End(Ending::Kill, [Node(1), Node(2)].into())).await.expect("killed");
    assert_eq!(killed.ended, [Node(2)], "what had crashed was not killed");
    let crashed = hands.crashed().expect("known");
    assert_eq!(crashed.len(), 1);
    assert_eq!((crashed[0].0, crashed[0].1.code()), (Node(1), Some(3)));
    let (mended, errors) = hands.mend().await;
    assert!(errors.is_empty());
    assert_eq!(mended.restarted, [Node(2)], "a crash is no fault to be mended");
}

#[tokio::test]
async fn mending_undoes_everything_and_says_what_bit() {
    let folder = TempDir::new().expect("a folder");
    let mut hands = hands(&folder, 3).await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    hands.links().set_upstream(Node(2), listener.local_addr().expect("an address"));
    let cut = resolve(&hands, "cut leader -> rest", Some(Node(1)));
    assert_eq!(hands.apply(&cut.action).await.expect("cut"), Outcome::default());
    let hold = Action::Link(Trouble::Hold, Grudge::from_iter([(Node(3), Node(1))]));
    hands.apply(&hold).await.expect("held");
    hands.apply(&resolve(&hands, "kill everyone", None).action).await.expect("killed");

    let (_, address) = hands.links().peers(Node(1)).next().expect("n1 -> n2");
    let mut lost = TcpStream::connect(address).await.expect("accepted");
    lost.write_all(b"lost").await.expect("swallowed");
    until("loss", || hands.links().bites().iter().any(|bite| bite.bytes == 4)).await;

    let (mended, errors) = hands.mend().await;
    assert!(errors.is_empty());
    assert_eq!(mended.healed.len(), 3);
    assert_eq!(mended.bitten(), 1);
    assert_eq!(mended.restarted, [Node(1), Node(2), Node(3)]);
    let told = "3 links healed; 1 connection and 4 bytes had run into 1 of them; \
                n1, n2, n3 restarted";
    assert_eq!(mended.to_string(), told);
    assert_eq!(hands.cluster(None).down, BTreeSet::new());
    TcpStream::connect(address).await.expect("open");
    tokio::time::timeout(DEADLINE, listener.accept()).await.expect("in time").expect("healed");
    assert_eq!(hands.mend().await.0, Outcome::default(), "mended twice");
    assert!(hands.stop(GRACE).await.is_empty());
}

/// The state of a process, a letter: `S` waits, `T` is stopped.
fn state(pid: u32) -> String {
    let asked = Command::new("ps").args(["-o", "state=", "-p", &pid.to_string()]).output();
    String::from_utf8_lossy(&asked.expect("there is a ps").stdout).trim().chars().take(1).collect()
}

#[tokio::test]
async fn what_is_paused_stands_still_and_goes_on() {
    let folder = TempDir::new().expect("a folder");
    let mut hands = hands(&folder, 2).await;
    let pids: Vec<u32> = Node::first(2).map(|node| hands.pid(node).expect("it runs")).collect();
    let outcome = apply(&mut hands, "pause n2").await;
    assert_eq!(outcome.ailing, [Node(2)]);
    assert_eq!(state(pids[1]), "T", "it stands still when that is said");
    assert_ne!(state(pids[0]), "T", "it was not asked to");
    let outcome = apply(&mut hands, "resume").await;
    assert_eq!(outcome.cured.len(), 1, "{outcome}");
    until("going on", || state(pids[1]) != "T").await;
    // Twice is once, and a process that is paused can be killed and started again.
    assert!(apply(&mut hands, "resume").await.cured.is_empty());
    apply(&mut hands, "pause n2").await;
    assert_eq!(apply(&mut hands, "kill n2").await.ended, [Node(2)]);
    apply(&mut hands, "restart").await;
    let pid = hands.pid(Node(2)).expect("it runs");
    assert_ne!(state(pid), "T");
    assert!(hands.stop(GRACE).await.is_empty());
}

/// What the process of the next test is: many threads that are always busy, so that one after the other
/// notices that it is to stop.
#[cfg(target_os = "linux")]
fn be_busy() {
    for _ in 0..64 {
        std::thread::spawn(|| {
            loop {
                std::hint::spin_loop();
            }
        });
    }
    println!("started");
    // Until the life line ends.
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_process_is_said_to_be_paused_when_all_its_threads_stand_still() {
    if std::env::var_os("BUSY").is_some() {
        return be_busy();
    }
    let name = "a_process_is_said_to_be_paused_when_all_its_threads_stand_still";
    let program = std::env::current_exe().expect("this test has a file");
    let script = format!("BUSY=1 exec {} --exact {name} --nocapture", program.display());
    let folder = TempDir::new().expect("a folder");
    let mut process = start(&folder, Node(1), &script);
    until("start", || starts(folder.path(), Node(1)) > 0).await;
    let pid = i32::try_from(process.pid().expect("it runs")).expect("a number of a process");
    for _ in 0..10 {
        assert!(process.pause().await.expect("a signal can be sent"));
        let threads = procfs::process::Process::new(pid).and_then(|it| it.tasks());
        let threads: Vec<char> = threads
            .expect("it is there")
            .map(|task| task.and_then(|task| task.stat()).expect("it is there").state)
            .collect();
        assert!(threads.len() > 64 && threads.iter().all(|state| *state == 'T'), "{threads:?}");
        assert!(process.resume().expect("a signal can be sent"));
    }
    process.kill().await.expect("it can be killed");
}

/// How much of a processor's time a process has had, in hundredths of a second.
#[cfg(target_os = "linux")]
fn cpu_time(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let after_name = stat.rsplit(')').next().expect("there is a name");
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    fields[11].parse::<u64>().expect("user time") + fields[12].parse::<u64>().expect("system time")
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_throttled_node_gets_less_time_than_another_and_then_as_much() {
    let folder = TempDir::new().expect("a folder");
    let links = Links::open(Node::first(2)).await.expect("links");
    let busy = "echo started; while :; do :; done";
    let nodes = Node::first(2).map(|node| start(&folder, node, busy));
    let mut hands = Hands::new(links, nodes);
    until("starts", || Node::first(2).all(|node| starts(folder.path(), node) == 1)).await;
    let pids = [1, 2].map(|node| hands.pid(Node(node)).expect("it runs"));
    assert_eq!(apply(&mut hands, "throttle n2 at 10%").await.ailing, [Node(2)]);
    let before = pids.map(cpu_time);
    // However busy the machine is, until the one has had a second.
    until("a second's work", || cpu_time(pids[0]) >= before[0] + 100).await;
    let had = cpu_time(pids[1]) - before[1];
    assert!(had < 50, "it had {had} hundredths of a second while the other had a hundred");
    // A new process is throttled, too.
    apply(&mut hands, "kill n2").await;
    apply(&mut hands, "restart").await;
    let pid = hands.pid(Node(2)).expect("it runs");
    until("a halt", || state(pid) == "T").await;
    assert_eq!(apply(&mut hands, "resume").await.cured.len(), 1);
    let before = cpu_time(pid);
    until("work", || cpu_time(pid) >= before + 30).await;
    assert_ne!(state(pid), "T");
    assert!(hands.stop(Duration::from_millis(100)).await.is_empty());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_squeezed_node_ends_when_it_needs_memory_and_starts_again_when_there_is_some() {
    let folder = TempDir::new().expect("a folder");
    let links = Links::open(Node::first(2)).await.expect("links");
    // It grows by itself: a child that asked for memory in its place would end in its place.
    let more = "x".repeat(9999);
    let hungry = format!("echo started; while :; do x=${{x}}{more}; sleep .01; done");
    let mut hands = Hands::new(links, Node::first(2).map(|node| start(&folder, node, &hungry)));
    until("starts", || Node::first(2).all(|node| starts(folder.path(), node) == 1)).await;
    assert_eq!(apply(&mut hands, "squeeze n2").await.ailing, [Node(2)]);
    let mut crashed = Vec::new();
    until("its end", || {
        crashed = hands.crashed().expect("known");
        !crashed.is_empty()
    })
    .await;
    assert_eq!(crashed[0].0, Node(2));
    assert_eq!(apply(&mut hands, "resume").await.restarted, [Node(2)]);
    until("second start", || starts(folder.path(), Node(2)) == 2).await;
    assert!(hands.crashed().expect("known").is_empty(), "both live");
    assert_eq!(starts(folder.path(), Node(1)), 1);
    assert!(hands.stop(Duration::from_millis(100)).await.is_empty());
}

#[tokio::test]
async fn nodes_are_told_what_befalls_them_and_new_processes_again() {
    let folder = TempDir::new().expect("a folder");
    let mut hands = hands(&folder, 2).await;
    let told = |node: u16| {
        let log = std::fs::read_to_string(folder.path().join(format!("n{node}.log")));
        log.unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    for fault in ["leap n1 by 3s", "leap n1 by 2s", "drift n1 at 150%", "stall n1 by 20ms"] {
        assert_eq!(apply(&mut hands, fault).await.ailing, [Node(1)], "{fault}");
    }
    let all = ["started", "leap 3000000000", "leap 2000000000", "rate 150", "stall 20000000"];
    until("word of all", || told(1) == all).await;
    apply(&mut hands, "kill n1").await;
    assert!(apply(&mut hands, "drift n1 at 50%").await.ailing.is_empty(), "it is down");
    apply(&mut hands, "restart").await;
    let again = ["started", "leap 5000000000", "rate 150", "stall 20000000"];
    until("word of what lasts", || told(1).get(5..).is_some_and(|rest| rest == again)).await;
    let (outcome, errors) = hands.mend().await;
    assert!(errors.is_empty() && outcome.cured.len() == 2, "{outcome} {errors:?}");
    let cure = ["rate 100", "stall 0", "room"];
    until("word of the cure", || told(1).get(9..).is_some_and(|rest| rest == cure)).await;
    assert_eq!(told(2), ["started"], "nothing befell it");
    assert!(hands.stop(GRACE).await.is_empty());
}

#[tokio::test]
async fn what_stopped_for_want_of_room_starts_again_when_there_is_some() {
    let folder = TempDir::new().expect("a folder");
    let links = Links::open(Node::first(1)).await.expect("links");
    // It ends when it hears of it.
    let script = "echo started; while read line; do [ \"$line\" = fill ] && exit 1; done";
    let mut hands = Hands::new(links, [start(&folder, Node(1), script)]);
    until("start", || starts(folder.path(), Node(1)) == 1).await;
    apply(&mut hands, "fill n1").await;
    let mut ended = false;
    for _ in 0..2_000 {
        ended = !hands.crashed().expect("known").is_empty();
        if ended {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(ended, "it never ended");
    assert_eq!(apply(&mut hands, "clear").await.restarted, [Node(1)]);
    until("second start", || starts(folder.path(), Node(1)) == 2).await;
    assert!(hands.stop(GRACE).await.is_empty());
}

#[tokio::test]
async fn whose_power_goes_is_told_so_and_ends() {
    let folder = TempDir::new().expect("a folder");
    let links = Links::open(Node::first(2)).await.expect("links");
    // It ends when it hears of it, and n2 does not care.
    let script = "echo started; while read line; do echo \"$line\"; \
                  case \"$line\" in unplug*) exit 4;; esac; done";
    let processes = [start(&folder, Node(1), script), start(&folder, Node(2), STUBBORN)];
    let mut hands = Hands::new(links, processes);
    until("start", || Node::first(2).all(|node| starts(folder.path(), node) == 1)).await;
    apply(&mut hands, "pause n1").await;
    let outcome = apply(&mut hands, "unplug n1, n2").await;
    assert_eq!(outcome.ended, [Node(1), Node(2)]);
    let log = std::fs::read_to_string(folder.path().join("n1.log")).expect("a log");
    assert!(log.lines().any(|line| line.starts_with("unplug ")), "{log}");
    assert_eq!(hands.cluster(None).down, [Node(1), Node(2)].into());
    assert_eq!(apply(&mut hands, "restart").await.restarted, [Node(1), Node(2)]);
    assert!(hands.stop(Duration::from_millis(100)).await.is_empty());
}

#[tokio::test]
async fn only_the_data_of_those_that_are_down_is_damaged() {
    let folder = TempDir::new().expect("a folder");
    let mut hands = hands(&folder, 2).await;
    for node in ["n1", "n2"] {
        let data = folder.path().join(format!("{node}.data"));
        std::fs::create_dir(&data).expect("made");
        std::fs::write(data.join("file"), "something").expect("written");
    }
    let read = |node: &str| {
        std::fs::read_to_string(folder.path().join(format!("{node}.data/file"))).expect("a file")
    };
    apply(&mut hands, "kill n2").await;
    let both: BTreeSet<Node> = [Node(1), Node(2)].into();
    for damage in [Damage::Save, Damage::Truncate] {
        let outcome = hands.apply(&Action::Damage(damage, both.clone())).await.expect("done");
        assert_eq!(outcome.damaged.len(), 1, "{outcome}");
        assert_eq!(outcome.damaged[0].0, Node(2));
    }
    assert_eq!(read("n1"), "something");
    assert!("something".starts_with(&read("n2")) && read("n2") != "something");
    assert!(hands.is_spoilt(Node(2)) && !hands.is_spoilt(Node(1)));
    apply(&mut hands, "rollback n2").await;
    assert_eq!(read("n2"), "something");
    assert!(!hands.is_spoilt(Node(2)));
    assert!(hands.stop(GRACE).await.is_empty());
}
