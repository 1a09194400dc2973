//! Programs of the system's, run to their end.

use std::io;
use std::process::{Command, Stdio};

use super::DiskError;

/// Which of Debian's packages has a program.
pub(super) fn package(program: &str) -> &'static str {
    match program {
        "mkfs.ext4" => "e2fsprogs",
        "strace" => "strace",
        "mount" | "umount" | "losetup" => "mount",
        _ => "util-linux",
    }
}

/// Runs a program and says what it printed.
pub(super) fn run(command: &mut Command) -> Result<String, DiskError> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| failed(command, &error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let said = if said.is_empty() { output.status.to_string() } else { said };
    Err(DiskError::Tool { command: line(command), said })
}

/// A program could not be run.
pub(super) fn failed(command: &Command, error: &io::Error) -> DiskError {
    let program = command.get_program().to_string_lossy().into_owned();
    match error.kind() {
        io::ErrorKind::NotFound => DiskError::Missing { package: package(&program), program },
        _ => DiskError::Tool { command: line(command), said: error.to_string() },
    }
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
