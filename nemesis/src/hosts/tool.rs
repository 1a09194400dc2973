//! The programs that hosts are made with, and what to do when one is not there.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::HostsError;

/// A program, and the package that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tool {
    pub(super) name: &'static str,
    /// What Debian, Ubuntu and, but for a few, all others call it.
    pub(super) package: &'static str,
}

pub(super) const IP: Tool = Tool { name: "ip", package: "iproute2" };
pub(super) const TC: Tool = Tool { name: "tc", package: "iproute2" };
pub(super) const SS: Tool = Tool { name: "ss", package: "iproute2" };
pub(super) const NFT: Tool = Tool { name: "nft", package: "nftables" };
pub(super) const IPTABLES: Tool = Tool { name: "iptables", package: "iptables" };
pub(super) const UNSHARE: Tool = Tool { name: "unshare", package: "util-linux" };

impl Tool {
    /// Where it is. The folders of an administrator's programs are looked into whether or not
    /// they are on the `PATH`, which for most users of Debian they are not.
    pub(super) fn find(self) -> Result<PathBuf, HostsError> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path)
            .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from));
        folders
            .map(|folder| folder.join(self.name))
            .find(|program| program.is_file())
            .ok_or(HostsError::Missing { program: self.name, package: self.package })
    }
}

/// One run of a program, still to be made.
#[derive(Debug)]
pub(super) struct Call {
    command: Command,
    input: String,
}

impl Call {
    /// A run of this program.
    pub(super) fn new<S: AsRef<OsStr>>(
        tool: Tool,
        args: impl IntoIterator<Item = S>,
    ) -> Result<Self, HostsError> {
        let mut command = Command::new(tool.find()?);
        command.args(args).env("LC_ALL", "C");
        Ok(Call { command, input: String::new() })
    }

    /// A run of this program inside a network namespace.
    pub(super) fn within<S: AsRef<OsStr>>(
        namespace: &str,
        tool: Tool,
        args: impl IntoIterator<Item = S>,
    ) -> Result<Self, HostsError> {
        let program = tool.find()?;
        let mut call = Call::new(IP, ["netns", "exec", namespace])?;
        call.command.arg(program).args(args);
        Ok(call)
    }

    /// With this on its standard input.
    pub(super) fn fed(mut self, input: impl Into<String>) -> Self {
        self.input = input.into();
        self
    }

    /// Runs it, and returns what it printed. Its input is small: it fits into a pipe.
    pub(super) fn run(mut self) -> Result<String, HostsError> {
        let shown = self.shown();
        let failed = |error: io::Error| HostsError::failed(&shown, error.to_string());
        let piped =
            self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that ends without reading all says why by itself.
            let _ = stdin.write_all(self.input.as_bytes());
        }
        let output = child.wait_with_output().map_err(failed)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(HostsError::failed(
            &shown,
            if said.is_empty() { output.status.to_string() } else { said },
        ))
    }

    /// Runs it where it holds nobody up.
    pub(super) async fn wait(self) -> Result<String, HostsError> {
        let shown = self.shown();
        let ran = tokio::task::spawn_blocking(|| self.run()).await;
        ran.unwrap_or_else(|error| Err(HostsError::failed(&shown, error.to_string())))
    }

    /// What a person would have typed.
    fn shown(&self) -> String {
        let words = std::iter::once(self.command.get_program()).chain(self.command.get_args());
        words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
    }
}
