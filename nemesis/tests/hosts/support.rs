//! Runs tests inside a sandbox, as an ordinary user.

use std::fs;
use std::future::Future;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use rashomon_nemesis::hosts::sandbox;

/// In the environment of a test that runs inside: its name, and something nobody else has.
pub(crate) const INSIDE: &str = "RASHOMON_TEST_INSIDE";
/// How long a test may take inside. Far beyond what it needs: reaching it is a hang.
const DEADLINE: Duration = Duration::from_secs(120);
/// Debian's `nobody`.
const NOBODY: &str = "65534";

/// Runs this test, which is called so, inside a sandbox; or says why it cannot.
pub(crate) fn sandboxed<F: Future<Output = ()>>(
    test: &str,
    needs: &[&str],
    body: impl FnOnce() -> F,
) {
    if inside(test) {
        return run(body());
    }
    let Some(refusal) = refusal(needs) else {
        let mark = mark(test);
        let folder = tempfile::tempdir().expect("a folder");
        let program = reachable(folder.path());
        let ran = again(test, &mark, as_nobody(&sandbox(&program).expect("a sandbox")));
        assert!(ran.status.success(), "{test}, inside: {}\n{}", ran.status, told(&ran));
        assert_eq!(marked(&mark), Vec::<u32>::new(), "processes of {test} live on");
        return;
    };
    not_tested(test, &refusal);
}

/// Says what was not tested, past what captures the output of tests.
pub(crate) fn not_tested(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "NOT TESTED: {test}: {why}");
}

/// Whether this process is that of a test that was run again.
pub(crate) fn inside(test: &str) -> bool {
    std::env::var(INSIDE).is_ok_and(|mark| mark.split(' ').next() == Some(test))
}

/// What processes of a test have in their environment.
pub(crate) fn mark(test: &str) -> String {
    format!("{test} {}", std::process::id())
}

pub(crate) fn run(body: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let body = async { tokio::time::timeout(DEADLINE, body).await.expect("no hang") };
    runtime.expect("a runtime").block_on(body);
}

/// The programs of `needs` that are not there, or why there can be no sandbox.
pub(crate) fn refusal(needs: &[&str]) -> Option<String> {
    if let Some(missing) = needs.iter().find(|program| !installed(program)) {
        return Some(format!("`{missing}` is not installed"));
    }
    let tried = sandbox(Path::new("/bin/true")).map(|sandbox| as_nobody(&sandbox).output());
    match tried {
        Err(error) => Some(error.to_string()),
        Ok(Err(error)) => Some(error.to_string()),
        Ok(Ok(ran)) if !ran.status.success() => Some(format!("no sandbox: {}", told(&ran).trim())),
        Ok(Ok(_)) => None,
    }
}

/// Whether a program is where those of administrators are, or on the `PATH`.
fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).any(|file| file.is_file())
}

/// This program, where everybody may run it.
pub(crate) fn reachable(folder: &Path) -> std::path::PathBuf {
    let everybody = fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder, everybody.clone()).expect("set");
    let program = folder.join("tests");
    fs::copy(std::env::current_exe().expect("known"), &program).expect("copied");
    fs::set_permissions(&program, everybody).expect("set");
    program
}

/// The same command, run by an ordinary user: this one, or, if it is root, nobody.
pub(crate) fn as_nobody(command: &Command) -> Command {
    let root = rustix::process::geteuid().is_root();
    let mut user = if root {
        let mut user = Command::new("setpriv");
        user.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]);
        user.arg(command.get_program());
        user
    } else {
        Command::new(command.get_program())
    };
    user.args(command.get_args()).current_dir("/");
    user
}

/// What lets this program run one test.
pub(crate) fn arguments(test: &str) -> [&str; 4] {
    [test, "--exact", "--nocapture", "--test-threads=1"]
}

/// Runs this program again for one test, by a command that names it already.
pub(crate) fn again(test: &str, mark: &str, mut command: Command) -> Output {
    command.args(arguments(test)).env(INSIDE, mark).output().expect("it starts")
}

pub(crate) fn told(ran: &Output) -> String {
    let [out, err] = [&ran.stdout, &ran.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}{err}")
}

/// The processes that have this mark in their environment.
pub(crate) fn marked(mark: &str) -> Vec<u32> {
    let ours = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let mark = format!("{INSIDE}={mark}");
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    let entries = fs::read_dir("/proc").expect("there are processes");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(ours).collect()
}
