//! Which process it is, beyond its number: numbers come again, and what is healed must be ours.

use std::io;

use serde::{Deserialize, Serialize};

/// A process, for as long as the machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its number.
    pub pid: u32,
    /// When it began, in clock ticks since the machine did; `None` where the system does not say.
    pub began: Option<u64>,
}

impl Identity {
    /// This process.
    pub fn own() -> Self {
        Self::of(std::process::id())
    }

    /// Who has this number now.
    pub fn of(pid: u32) -> Self {
        Identity { pid, began: system::stat(pid).map(|(began, _)| began) }
    }

    /// Whether it is there and has not ended; never of another that got its number, and never where the
    /// system does not say who it is.
    pub fn lives(self) -> bool {
        self.state().is_some_and(|state| !matches!(state, 'Z' | 'X'))
    }

    /// Whether it was told to stand still.
    pub(super) fn stands_still(self) -> bool {
        self.state() == Some('T')
    }

    fn state(self) -> Option<char> {
        let (began, state) = system::stat(self.pid)?;
        (self.began == Some(began)).then_some(state)
    }

    /// Ends it by SIGKILL, if it lives; says whether it did.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn kill(self) -> io::Result<bool> {
        system::kill(self)
    }
}

/// The machine's own name for the time since it was started.
pub(super) fn boot() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(name.trim().to_owned())
}

#[cfg(target_os = "linux")]
mod system {
    use std::io;

    use procfs::process::Process;
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

    use super::Identity;

    /// When the process with this number began, and its state.
    pub(super) fn stat(pid: u32) -> Option<(u64, char)> {
        let stat = Process::new(i32::try_from(pid).ok()?).ok()?.stat().ok()?;
        Some((stat.starttime, stat.state))
    }

    pub(super) fn kill(identity: Identity) -> io::Result<bool> {
        let number = i32::try_from(identity.pid).ok().and_then(Pid::from_raw);
        let Some(number) = number else { return Ok(false) };
        // By a handle: between a look at who it is and the signal the number might pass to another.
        let handle = match pidfd_open(number, PidfdFlags::empty()) {
            Ok(handle) => handle,
            Err(rustix::io::Errno::SRCH) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        if !identity.lives() {
            return Ok(false);
        }
        match pidfd_send_signal(&handle, Signal::KILL) {
            Err(rustix::io::Errno::SRCH) => Ok(false),
            sent => Ok(sent.map(|()| true)?),
        }
    }
}

/// Elsewhere nothing tells a process from the next with its number, so none is ever touched.
#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;

    use super::Identity;

    pub(super) fn stat(_: u32) -> Option<(u64, char)> {
        None
    }

    pub(super) fn kill(_: Identity) -> io::Result<bool> {
        Ok(false)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn one_that_has_ended_or_has_anothers_number_is_not_touched() {
        let mut child = Command::new("sleep").arg("600").spawn().expect("there is sleep");
        let identity = Identity::of(child.id());
        let other = Identity { began: identity.began.map(|began| began + 1), ..identity };
        let unknown = Identity { began: None, ..identity };
        for stranger in [other, unknown] {
            assert!(!stranger.lives() && !stranger.kill().expect("nothing to do"));
        }
        assert!(identity.lives(), "it is still there");
        assert!(identity.kill().expect("it is ours"));
        child.wait().expect("it ends");
        assert!(!identity.lives() && !identity.kill().expect("nothing to do"));
        assert!(Identity::own().lives());
    }
}
