//! Clocks of foreign processes, seen from outside: by what they say of themselves.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rashomon_nemesis::{ClockError, ForeignClock, Percent};

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3_600 * SECOND;
/// How far a clock may be from what it ought to show: as long as a question and its answer may take
/// on a machine that has much else to do. Every jump is far longer.
const NEAR: i64 = 20 * SECOND;

/// The environment variable that makes this program a helper of its own tests.
const HELPER: &str = "RASHOMON_TEST_TELLS_ITS_CLOCKS";

/// A process that says what its clocks show whenever it is asked.
struct Teller {
    child: Child,
    asks: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Teller {
    fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let asks = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        Teller { child, asks, answers }
    }

    /// This program as helper: it asks `clock_gettime` by way of Rust's standard library.
    fn own() -> Self {
        let program = std::env::current_exe().expect("this program");
        let this = ["--exact", "a_helper_tells_its_clocks", "--nocapture"];
        Self::start(Command::new(program).args(this).env(HELPER, "1"))
    }

    /// A shell: it asks `gettimeofday` for one variable and `time` for the other.
    fn shell() -> Self {
        let script = "while read -r what; do case $what in \
             fork) (echo clocks \"${EPOCHREALTIME/[.,]/}000\" \"${EPOCHSECONDS}000000000\") ;; \
             *) echo clocks \"${EPOCHREALTIME/[.,]/}000\" \"${EPOCHSECONDS}000000000\" ;; \
             esac; done";
        Self::start(Command::new("bash").args(["-c", script]))
    }

    fn ask(&mut self, what: &str) -> [i64; 2] {
        writeln!(self.asks, "{what}").expect("it listens");
        loop {
            let line = self.answers.next().expect("it lives").expect("it answers in text");
            // The test harness of the helper says something, too.
            let Some((_, clocks)) = line.split_once("clocks ") else { continue };
            let mut clocks = clocks.split(' ').map(|clock| clock.parse().expect("nanoseconds"));
            return [(); 2].map(|()| clocks.next().expect("two clocks"));
        }
    }

    fn clock(&self) -> ForeignClock {
        ForeignClock::of(self.child.id()).expect("it is ours")
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    i64::try_from(since.as_nanos()).expect("and before 2262")
}

/// How far a clock is ahead of ours; both tick while it is asked.
#[track_caller]
fn assert_ahead(shown: i64, by: i64) {
    let ahead = shown - now();
    assert!((ahead - by).abs() < NEAR, "{ahead} ns ahead, {by} expected");
}

/// Wall clock and monotonic clock, in nanoseconds. As a helper it says so for each line it is given,
/// while other threads ask without a pause and end the program if a clock makes no sense.
#[test]
fn a_helper_tells_its_clocks() {
    let monotonic = Instant::now();
    let line = || format!("clocks {} {}", now(), monotonic.elapsed().as_nanos());
    if std::env::var_os(HELPER).is_none() {
        let (earlier, later) = (line(), line());
        assert!(earlier.starts_with("clocks 1") && earlier <= later, "{earlier} {later}");
        return;
    }
    for _ in 0..2 {
        thread::spawn(watch);
    }
    for asked in std::io::stdin().lines() {
        asked.expect("text");
        println!("{}", line());
    }
    std::process::exit(0);
}

/// Asks both clocks for ever.
fn watch() {
    let mut before = Instant::now();
    loop {
        let after = Instant::now();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        if after < before || !wall.is_ok_and(|wall| wall.as_secs() > 100_000_000) {
            eprintln!("clocks make no sense");
            std::process::abort();
        }
        before = after;
        thread::sleep(Duration::from_micros(20));
    }
}

#[test]
fn a_wall_clock_jumps_to_and_fro_and_the_monotonic_one_does_not() {
    let (mut skewed, mut other) = (Teller::own(), Teller::own());
    let (began, [_, monotonic]) = (Instant::now(), skewed.ask("clocks"));
    let mut clock = skewed.clock();
    for (by, ahead) in [(HOUR, HOUR), (24 * HOUR, 25 * HOUR), (-30 * HOUR, -5 * HOUR)] {
        clock.jump(by).expect("it may");
        assert_eq!(clock.ahead_ns().expect("it lives"), ahead);
        assert_ahead(skewed.ask("clocks")[0], ahead);
        assert_ahead(other.ask("clocks")[0], 0);
        let passed = skewed.ask("clocks")[1] - monotonic;
        let limit = i64::try_from(began.elapsed().as_nanos()).expect("not that long");
        assert!((0..=limit).contains(&passed), "{passed} of {limit}");
    }
    clock.reset().expect("it may");
    assert_eq!(clock.ahead_ns().expect("it lives"), 0);
    assert_ahead(skewed.ask("clocks")[0], 0);
}

#[test]
fn every_byte_is_as_it_was_after_a_reset_and_nothing_is_lost_by_a_hundred_changes() {
    let mut teller = Teller::own();
    // Once it answers, it surely is the program that it was started to be.
    teller.ask("clocks");
    let before = vdso(teller.child.id());
    let mut clock = teller.clock();
    clock.reset().expect("nothing to do");
    for round in 0..100 {
        clock.jump(if round % 2 == 0 { HOUR } else { -HOUR }).expect("it may");
        assert_ne!(vdso(teller.child.id()), before);
        if round % 10 == 0 {
            assert_ahead(teller.ask("clocks")[0], HOUR);
            clock.reset().expect("it may");
            assert_eq!(vdso(teller.child.id()), before);
            clock.jump(HOUR).expect("it may");
        }
    }
    clock.reset().expect("it may");
    assert_eq!(vdso(teller.child.id()), before);
    assert_ahead(teller.ask("clocks")[0], 0);
}

/// The bytes of a process's vDSO.
fn vdso(pid: u32) -> Vec<u8> {
    use std::os::unix::fs::FileExt;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("it lives");
    let line = maps.lines().find(|line| line.ends_with("[vdso]")).expect("it has one");
    let (start, rest) = line.split_once('-').expect("a range");
    let number = |text: &str| u64::from_str_radix(text, 16).expect("an address");
    let (start, end) = (number(start), number(rest.split(' ').next().expect("an end")));
    let mut bytes = vec![0; usize::try_from(end - start).expect("some pages")];
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).expect("it is ours");
    memory.read_exact_at(&mut bytes, start).expect("it is mapped");
    bytes
}

#[test]
fn functions_of_c_are_skewed_alike_and_a_forked_child_inherits_it() {
    let mut shell = Teller::shell();
    assert_ahead(shell.ask("clocks")[0], 0);
    let mut clock = shell.clock();
    clock.jump(-HOUR).expect("it may");
    for what in ["clocks", "fork"] {
        let [day, seconds] = shell.ask(what);
        assert_ahead(day, -HOUR);
        assert_ahead(seconds, -HOUR);
    }
    clock.reset().expect("it may");
    for what in ["clocks", "fork"] {
        let [day, seconds] = shell.ask(what);
        assert_ahead(day, 0);
        assert_ahead(seconds, 0);
    }
}

#[test]
fn a_clock_drifts_from_what_it_shows() {
    let mut teller = Teller::own();
    let mut clock = teller.clock();
    clock.jump(HOUR).expect("it may");
    clock.drift(Percent::new(1000).expect("ten times as fast")).expect("it may");
    let [wall, monotonic] = teller.ask("clocks");
    thread::sleep(Duration::from_millis(500));
    let [later, after] = teller.ask("clocks");
    // Measured by its own monotonic clock, which is read a moment after the other.
    let (shown, passed) = (later - wall, after - monotonic);
    assert!(shown > passed * 3 && shown < passed * 30, "{shown} shown in {passed}");
    assert!(wall - now() > HOUR - NEAR, "it began from where it was");

    clock.drift(Percent::new(1).expect("hardly at all")).expect("it may");
    let [wall, _] = teller.ask("clocks");
    thread::sleep(Duration::from_millis(300));
    let [later, _] = teller.ask("clocks");
    assert!((0..200_000_000).contains(&(later - wall)), "{}", later - wall);
}

#[tokio::test]
async fn a_strobing_clock_is_seen_in_both_places_and_comes_back() {
    let mut teller = Teller::own();
    let mut clock = teller.clock();
    let done = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut seen = [false; 2];
            while !done.load(Ordering::Relaxed) {
                seen[usize::from(teller.ask("clocks")[0] - now() > HOUR / 2)] = true;
                thread::sleep(Duration::from_millis(1));
            }
            seen
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let strobe = clock.strobe(HOUR, Duration::from_millis(20), Duration::from_millis(1_500));
        // On a thread of its own: this one has a runtime already.
        let strobed = scope.spawn(move || runtime.block_on(strobe)).join().expect("no panic");
        done.store(true, Ordering::Relaxed);
        strobed.expect("it may");
        asking.join().expect("no panic")
    });
    assert_eq!(seen, [true; 2]);
    assert_ahead(teller.ask("clocks")[0], 0);
}

#[test]
fn a_stopped_process_is_skewed_and_stays_stopped() {
    let mut teller = Teller::own();
    let signal = |name: &str| {
        let kill = Command::new("kill").args([name, &teller.child.id().to_string()]).status();
        assert!(kill.expect("there is kill").success());
    };
    let state = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
        stat.rsplit(") ").next().and_then(|rest| rest.chars().next())
    };
    signal("-STOP");
    let began = Instant::now();
    while state(teller.child.id()) != Some('T') {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not stop");
        thread::sleep(Duration::from_millis(5));
    }
    // It may have stopped where it must not be rewritten; then it says so, and is left as it is.
    let jumped = teller.clock().jump(HOUR);
    assert!(matches!(jumped, Ok(()) | Err(ClockError::Restless { .. })), "{jumped:?}");
    assert_eq!(state(teller.child.id()), Some('T'));
    signal("-CONT");
    assert_ahead(teller.ask("clocks")[0], if jumped.is_ok() { HOUR } else { 0 });
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let mut teller = Teller::own();
    let mut clock = teller.clock();
    for by in [-100 * 365 * 24 * HOUR, 250 * 365 * 24 * HOUR, i64::MAX, i64::MIN] {
        let error = clock.jump(by).expect_err("there is no such year");
        assert!(matches!(error, ClockError::Range { .. }), "{error}");
    }
    assert_ahead(teller.ask("clocks")[0], 0);
    let pid = teller.child.id();
    drop(teller);
    let error = clock.jump(HOUR).expect_err("it has ended");
    assert!(matches!(error, ClockError::Gone { .. }), "{error}");
    assert!(matches!(ForeignClock::of(pid), Err(ClockError::Gone { .. })));
    assert!(matches!(ForeignClock::of(u32::MAX), Err(ClockError::Gone { .. })));
}

/// A server of the machine's, if it has it: its process, and where it listens.
fn serve(
    program: &str,
    arguments: impl Fn(u16) -> Vec<String>,
    log: &Path,
) -> Option<(Child, u16)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    drop(listener);
    let log = std::fs::File::create(log).expect("a log");
    let errors = log.try_clone().expect("one more");
    let mut command = Command::new(program);
    command.args(arguments(port)).stdin(Stdio::null()).stdout(log).stderr(errors);
    match command.spawn() {
        Ok(child) => Some((child, port)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("{program} is not installed: its clock is not tested");
            None
        }
        Err(error) => panic!("{program}: {error}"),
    }
}

/// Ends a server when it is dropped.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn connect(port: u16) -> TcpStream {
    let began = Instant::now();
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => return stream,
            Err(error) => assert!(began.elapsed() < Duration::from_secs(60), "{error}"),
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn redis_tells_the_time_it_is_made_to_believe() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().display().to_string();
    let arguments = |port: u16| {
        let port = port.to_string();
        ["--port", &port, "--bind", "127.0.0.1", "--dir", &place, "--save", ""]
            .map(str::to_owned)
            .to_vec()
    };
    let log = folder.path().join("log");
    let Some((child, port)) = serve("redis-server", arguments, &log) else { return };
    let server = Ended(child);
    let mut stream = connect(port);
    let mut ask = |command: &str| {
        stream.write_all(format!("{command}\r\n").as_bytes()).expect("it listens");
        let mut answer = [0; 256];
        let length = stream.read(&mut answer).expect("it answers");
        String::from_utf8_lossy(&answer[..length]).into_owned()
    };
    // `*2 $10 SECONDS $6 MICROSECONDS`
    let seconds = |answer: &str| {
        let seconds: i64 =
            answer.lines().nth(2).and_then(|line| line.parse().ok()).expect("a time");
        seconds * SECOND
    };
    assert_eq!(ask("SET key value EX 1800"), "+OK\r\n");
    let mut clock = ForeignClock::of(server.0.id()).expect("it is ours");
    clock.jump(HOUR).expect("it may");
    assert_ahead(seconds(&ask("TIME")), HOUR);
    assert_eq!(ask("GET key"), "$-1\r\n", "half an hour is over");
    clock.reset().expect("it may");
    assert_ahead(seconds(&ask("TIME")), 0);
}

/// Etcd is written in Go, which finds the vDSO by itself and asks it on a stack of its own.
#[test]
fn etcd_logs_the_time_it_is_made_to_believe() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("data").display().to_string();
    let arguments = |port: u16| {
        let (clients, peers) = (format!("http://127.0.0.1:{port}"), "http://127.0.0.1:0");
        ["--data-dir", &place, "--listen-client-urls", &clients]
            .into_iter()
            .chain(["--advertise-client-urls", &clients, "--listen-peer-urls", peers])
            .chain(["--logger", "zap", "--log-outputs", "stderr"])
            .map(str::to_owned)
            .collect()
    };
    let log = folder.path().join("log");
    let Some((child, _)) = serve("etcd", arguments, &log) else { return };
    let mut server = Ended(child);
    let began = Instant::now();
    let said = || std::fs::read_to_string(&log).expect("a log");
    while !said().contains("serving client traffic") {
        assert!(began.elapsed() < Duration::from_secs(60), "{}", said());
        thread::sleep(Duration::from_millis(20));
    }
    let mut clock = ForeignClock::of(server.0.id()).expect("it is ours");
    clock.jump(24 * HOUR).expect("it may");
    // Asked to end, it says so, and when.
    let kill = Command::new("kill").args(["-TERM", &server.0.id().to_string()]).status();
    assert!(kill.expect("there is kill").success());
    server.0.wait().expect("it ends");
    let said = said();
    let day = |ahead: i64| date((now() + ahead) / SECOND);
    let last = said.lines().rfind(|line| line.contains("closed etcd server")).expect(&said);
    // It may be midnight by now.
    let days = [day(24 * HOUR), day(24 * HOUR - NEAR)];
    assert!(days.iter().any(|day| last.contains(day)), "{last}");
    assert!(!said.lines().next().expect("a first line").contains(&day(24 * HOUR)), "{said}");
}

/// The day of a time since 1970, in UTC, as `date` says it.
fn date(seconds: i64) -> String {
    let date = Command::new("date").args(["-u", "-d", &format!("@{seconds}"), "+%F"]).output();
    String::from_utf8_lossy(&date.expect("there is date").stdout).trim().to_owned()
}
