//! Disks of processes that are not ours, broken as root and seen from outside.
#![cfg(target_os = "linux")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rashomon_nemesis::{DiskError, Fsyncs, Leases, Mishap, Volume};
use tempfile::TempDir;

/// Longer than anything here takes, on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A volume in a directory of its own.
struct Disk {
    volume: Volume,
    folder: TempDir,
}

impl Disk {
    /// `None` if this is not root, which it says.
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let (at, image) = (folder.path().join("data"), folder.path().join("image"));
        match Volume::create(&at, &image, 32 << 20, &Leases::none()) {
            Ok(volume) => Some(Disk { volume, folder }),
            Err(DiskError::Root { .. }) => {
                eprintln!("this is not root: volumes are not tested");
                None
            }
            Err(error @ DiskError::Tool { .. }) if !has_loop_devices() => {
                eprintln!("this machine has no loop devices ({error}): volumes are not tested");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.volume.path().join(name)
    }
}

/// Root of a container may have none.
fn has_loop_devices() -> bool {
    Path::new("/dev/loop-control").exists()
}

/// What becomes of a write, and of its fsync.
fn write(path: &Path, what: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(what)?;
    file.sync_all()
}

#[test]
fn a_power_cut_keeps_what_was_synced_and_loses_what_was_not() {
    let Some(mut disk) = Disk::new() else { return };
    let (synced, unsynced) = (disk.file("synced"), disk.file("unsynced"));
    write(&synced, &[7; 4096]).expect("there is power");
    // Durable, too, is that there is such a file.
    File::open(disk.volume.path()).and_then(|folder| folder.sync_all()).expect("there is power");
    fs::write(&unsynced, [8; 4096]).expect("there is power");
    disk.volume.cut_power().expect("root may");
    assert!(write(&synced, b"more").is_err() && File::create(disk.file("new")).is_err());
    disk.volume.restore_power().expect("nobody uses it");
    assert_eq!(fs::read(&synced).expect("it was synced"), [7; 4096]);
    assert_ne!(fs::read(&unsynced).unwrap_or_default(), [8; 4096]);
    write(&synced, b"more").expect("there is power again");
}

#[test]
fn a_disk_is_full_or_read_only_until_it_is_mended() {
    let Some(mut disk) = Disk::new() else { return };
    let path = disk.file("file");
    write(&path, &[1; 100_000]).expect("there is room");
    disk.volume.fill().expect("root may");
    let error = write(&path, &[1; 100_000]).expect_err("there is none");
    assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{error}");
    disk.volume.clear().expect("root may");
    write(&path, &[1; 100_000]).expect("there is room again");

    disk.volume.make_read_only().expect("nobody writes");
    let error = write(&path, b"more").expect_err("it is read-only");
    assert_eq!(error.kind(), io::ErrorKind::ReadOnlyFilesystem, "{error}");
    assert!(fs::read(&path).expect("reads go on").len() >= 200_000);
    disk.volume.make_writable().expect("root may");
    write(&path, b"more").expect("it is writable again");
}

#[test]
fn who_writes_to_a_disk_that_hangs_waits_and_goes_on() {
    let Some(mut disk) = Disk::new() else { return };
    let path = disk.file("file");
    write(&path, b"before").expect("it goes");
    disk.volume.freeze().expect("root may");
    let (done, written) = mpsc::channel();
    let file = path.clone();
    let writer = thread::spawn(move || {
        let written = write(&file, b"after");
        done.send(()).expect("somebody waits");
        written
    });
    let waits = written.recv_timeout(Duration::from_millis(300));
    assert_eq!(waits, Err(mpsc::RecvTimeoutError::Timeout), "it was written while the disk hung");
    assert_eq!(fs::read(&path).expect("reads go on"), b"before");
    disk.volume.thaw().expect("it hangs");
    written.recv_timeout(PATIENCE).expect("it goes on");
    writer.join().expect("no panic").expect("it is written");
    assert_eq!(fs::read(&path).expect("it is there"), b"beforeafter");
}

#[test]
fn nothing_is_left_of_a_volume_that_is_dropped_whatever_befell_it() {
    for befall in [Volume::freeze, Volume::cut_power, Volume::fill, Volume::make_read_only] {
        let Some(mut disk) = Disk::new() else { return };
        befall(&mut disk.volume).expect("root may");
        let at = disk.volume.path().to_owned();
        let mounted = || fs::read_to_string("/proc/self/mountinfo").expect("there is /proc");
        assert!(mounted().contains(at.to_str().expect("a plain name")));
        drop(disk.volume);
        assert!(!mounted().contains(at.to_str().expect("a plain name")));
        let devices = fs::read_dir("/sys/block").expect("there is /sys").flatten();
        let image = disk.folder.path().to_str().expect("a plain name").to_owned();
        for device in devices {
            let file = device.path().join("loop/backing_file");
            assert!(!fs::read_to_string(file).unwrap_or_default().contains(&image));
        }
    }
}

/// Redis, if the machine has it; ended when it is dropped.
struct Redis {
    child: Child,
    stream: BufReader<TcpStream>,
}

impl Redis {
    fn start(data: &Path, fsync: &str) -> Option<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        drop(listener);
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", fsync]).arg("--dir").arg(data);
        command.stdin(Stdio::null()).stdout(Stdio::null()).current_dir("/");
        let child = match command.spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                eprintln!("redis-server is not installed: its disk is not tested");
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        let began = Instant::now();
        loop {
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
                let mut redis = Redis { child, stream: BufReader::new(stream) };
                while redis.ask("PING").starts_with("-LOADING") {
                    assert!(began.elapsed() < PATIENCE, "Redis does not come up");
                    thread::sleep(Duration::from_millis(20));
                }
                return Some(redis);
            }
            assert!(began.elapsed() < PATIENCE, "Redis does not come up");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it answers, without what strings begin with; `-1` if there is nothing.
    fn ask(&mut self, command: &str) -> String {
        self.stream.get_mut().write_all(format!("{command}\r\n").as_bytes()).expect("it listens");
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("it answers");
        let Some(length) = line.strip_prefix('$') else { return line.trim_end().to_owned() };
        let Ok(length) = length.trim_end().parse::<usize>() else { return "-1".into() };
        let mut text = vec![0; length + 2];
        self.stream.read_exact(&mut text).expect("it answers");
        String::from_utf8_lossy(&text[..length]).into_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server that syncs like this has of an acknowledged write after a power cut.
fn after_a_power_cut(fsync: &str, disk: &mut Disk) -> Option<String> {
    let mut redis = Redis::start(disk.volume.path(), fsync)?;
    // What lies on the disk before is durable for all of them.
    let stat = Command::new("sync").arg("-f").arg(disk.volume.path()).status();
    assert!(stat.expect("there is sync").success());
    assert_eq!(redis.ask("SET key kept"), "+OK");
    disk.volume.cut_power().expect("root may");
    drop(redis);
    disk.volume.restore_power().expect("nobody uses it");
    let mut redis = Redis::start(disk.volume.path(), fsync)?;
    Some(redis.ask("GET key"))
}

#[test]
fn redis_keeps_over_a_power_cut_what_it_synced_and_loses_what_it_did_not() {
    for (fsync, kept) in [("always", "kept"), ("no", "-1")] {
        let Some(mut disk) = Disk::new() else { return };
        let Some(found) = after_a_power_cut(fsync, &mut disk) else { return };
        assert_eq!(found, kept, "appendfsync {fsync}");
    }
}

#[test]
fn fsyncs_are_late_fail_or_lie_while_a_process_is_held_and_only_then() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(mut redis) = Redis::start(folder.path(), "always") else { return };
    let pid = redis.child.id();
    let mut set = || {
        let began = Instant::now();
        let answer = redis.ask("SET key value");
        (answer, began.elapsed())
    };
    assert_eq!(set().0, "+OK");
    let late = Duration::from_millis(400);
    let held = match Fsyncs::seize(pid, Mishap::Late(late), &Leases::none()) {
        Err(DiskError::Missing { program, package }) => {
            eprintln!("there is no {program} (package {package}): fsyncs are not tested");
            return;
        }
        held => held.expect("it is our child"),
    };
    let error = Fsyncs::seize(pid, Mishap::Lying, &Leases::none()).expect_err("it is held");
    assert!(matches!(error, DiskError::Untraced { .. }), "{error}");
    let (answer, took) = set();
    assert!(answer == "+OK" && took >= late, "{answer} after {took:?}");
    held.release().expect("strace ends");
    // In time again: of a few, for any one may be late by itself.
    assert!((0..20).map(|_| set().1).any(|took| took < late));

    let held = Fsyncs::seize(pid, Mishap::Lying, &Leases::none()).expect("it is our child");
    assert_eq!(set().0, "+OK");
    drop(held);
    assert_eq!(set().0, "+OK", "it lives on");

    // A store must not go on as if nothing had been, and this one ends.
    let _held = Fsyncs::seize(pid, Mishap::Failing, &Leases::none()).expect("it is our child");
    redis.stream.get_mut().write_all(b"SET key value\r\n").expect("it listens");
    let began = Instant::now();
    while redis.child.try_wait().expect("it is ours").is_none() {
        assert!(began.elapsed() < PATIENCE, "it goes on after a failed fsync");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_lie_is_found_out_by_a_power_cut() {
    let Some(mut disk) = Disk::new() else { return };
    let Some(mut redis) = Redis::start(disk.volume.path(), "always") else { return };
    assert_eq!(redis.ask("SET before kept"), "+OK");
    let pid = redis.child.id();
    let held = match Fsyncs::seize(pid, Mishap::Lying, &Leases::none()) {
        Err(DiskError::Missing { program, .. }) => return eprintln!("there is no {program}"),
        held => held.expect("it is our child"),
    };
    assert_eq!(redis.ask("SET key kept"), "+OK");
    disk.volume.cut_power().expect("root may");
    drop((held, redis));
    disk.volume.restore_power().expect("nobody uses it");
    let mut redis = Redis::start(disk.volume.path(), "always").expect("it was there before");
    assert_eq!(redis.ask("GET before"), "kept");
    assert_eq!(redis.ask("GET key"), "-1", "it was told that this was durable");
}
