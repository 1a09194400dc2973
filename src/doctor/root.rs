//! Disks of programs of others: file systems of their own, and system calls that go wrong. Most of it
//! is root's.

use std::path::Path;
use std::process::{Command, Output};

use super::{Area, Finding, Trial, wrong};

pub(super) async fn findings() -> Vec<Finding> {
    let tried = tokio::task::spawn_blocking(|| {
        [
            ("power cut, hang, full, read-only", volume as fn() -> Trial),
            ("fsync late, failing or lying", fsyncs),
        ]
        .map(|(faults, trial)| Finding::of(Area::Disks, faults, trial()))
    });
    tried.await.map(Vec::from).unwrap_or_default()
}

/// A file system in a file, mounted where nobody else sees it.
fn volume() -> Trial {
    if !rustix::process::geteuid().is_root() {
        return wrong("needs root, to mount a file system of its own");
    }
    for (program, package) in [("mkfs.ext4", "e2fsprogs"), ("fsfreeze", "util-linux")] {
        needed(program, package)?;
    }
    let folder = tempfile::tempdir()?;
    let script = "truncate -s 16M image && mkfs.ext4 -q -F image && mkdir at && \
                  mount -o loop image at && fsfreeze -f at && fsfreeze -u at && \
                  mount -o remount,ro at && umount at";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script]);
    let output = with_path(&mut command).current_dir(folder.path()).output()?;
    match refused(&output) {
        None => Ok("an ext4 in a file was mounted, frozen, thawed and made read-only".to_owned()),
        Some(said) => wrong(format!(
            "{said}; needs loop devices and ext4 (BLK_DEV_LOOP, EXT4_FS), and leave to mount"
        )),
    }
}

/// A process that is traced, one call of which fails.
fn fsyncs() -> Trial {
    needed("strace", "strace")?;
    let mut command = Command::new("strace");
    command.args(["-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync"]);
    command.args(["-e", "inject=fsync,fdatasync:error=EIO", "sync", "-d", "/dev/null"]);
    // It is to fail, as it was told; not for want of leave.
    let output = with_path(&mut command).output()?;
    let said = refused(&output).unwrap_or_default();
    if said.contains("Input/output error") {
        return Ok("a process that was traced had its fdatasync fail".to_owned());
    }
    wrong(format!("{said}; needs leave to trace processes (ptrace), and strace 4.26 or later"))
}

fn needed(program: &str, package: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let path = path();
    if std::env::split_paths(&path).any(|folder| Path::new(&folder).join(program).is_file()) {
        return Ok(());
    }
    wrong(format!("`{program}` is not installed: it is in the package {package}"))
}

/// The `PATH`, and where the programs of administrators are.
fn path() -> std::ffi::OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    path
}

fn with_path(command: &mut Command) -> &mut Command {
    command.env("PATH", path()).env("LC_ALL", "C")
}

/// What a program said, or how it ended, unless it ended well.
fn refused(output: &Output) -> Option<String> {
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    let silent = || format!("it ended with {}", output.status);
    (!output.status.success()).then(|| if said.is_empty() { silent() } else { said })
}
