//! The sandbox: one user, network, mount and process namespace around everything.
//!
//! Inside, an ordinary user may make namespaces, bridges and rules as root may outside, and sees
//! nothing of the machine's own. It ends with its first process, however that ends, and takes
//! every process, link and rule in it along: nothing is there to be cleaned up, and parallel runs
//! do not meet. This is what containers without root are made of (`user_namespaces(7)`).

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use super::HostsError;
use super::tool::{IP, UNSHARE};

/// What the first process does before it becomes the program: `ip netns` keeps its names in a
/// folder of root's.
const FURNISH: &str =
    r#"mount -t tmpfs tmpfs /run && mkdir /run/netns && "$0" link set lo up && exec "$@""#;

/// A command that runs a program as the first process of a new sandbox, in which
/// [`Hosts`](super::Hosts) can be opened, without root. Its end, whoever brings it about, is that
/// of all that was started inside; and it ends with the command.
///
/// Nothing of the network outside is to be seen inside, files are the same but for an empty
/// `/run`. The program finds itself to be root: files that it makes are those of the caller.
///
/// # Errors
/// When a program that it takes is not installed.
pub fn sandbox(program: &Path) -> Result<Command, HostsError> {
    let mut command = Command::new(UNSHARE.find()?);
    command
        .args(["--user", "--map-root-user", "--net", "--mount", "--pid", "--fork"])
        .args(["--mount-proc", "--propagation", "private", "--kill-child"])
        .args([OsStr::new("sh"), OsStr::new("-c"), OsStr::new(FURNISH)])
        .arg(IP.find()?)
        .arg(program);
    Ok(command)
}
