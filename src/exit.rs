//! Exit codes, in one place, so that scripts can rely on them.
//!
//! | code | meaning |
//! |-----:|---------|
//! | 0 | everything was checked and nothing was violated |
//! | 1 | at least one violation; nothing masks it |
//! | 2 | usage, configuration, or a history that cannot be read |
//! | 3 | unknown: a bound was hit, or nothing was really tested |
//! | 4 | infrastructure: a node would not start, a fault could not be applied |
//! | 70 | a bug in Rashomon itself |
//! | 130, 143 | stopped by Ctrl-C, by SIGTERM |

use crate::report::VerdictWord;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything was checked and nothing was violated.
    Valid,
    /// At least one violation.
    Violation,
    /// Wrong arguments, configuration or input.
    Usage,
    /// A bound was hit, or nothing was really tested.
    Unknown,
    /// The cluster or the faults could not be set up.
    Infrastructure,
    /// A bug in Rashomon itself.
    Bug,
    /// Stopped by Ctrl-C.
    Interrupted,
    /// Stopped by SIGTERM.
    Terminated,
}

impl From<VerdictWord> for Exit {
    fn from(verdict: VerdictWord) -> Self {
        match verdict {
            VerdictWord::Valid => Exit::Valid,
            VerdictWord::Violation => Exit::Violation,
            VerdictWord::Unknown => Exit::Unknown,
        }
    }
}

impl Exit {
    /// The number given to the operating system.
    pub fn code(self) -> u8 {
        match self {
            Exit::Valid => 0,
            Exit::Violation => 1,
            Exit::Usage => 2,
            Exit::Unknown => 3,
            Exit::Infrastructure => 4,
            Exit::Bug => 70,
            Exit::Interrupted => 130,
            Exit::Terminated => 143,
        }
    }

    /// The more important of two outcomes of the same command: a violation is never masked, and
    /// what went wrong in the tool or its surroundings comes before what is merely not known.
    pub fn worst(self, other: Exit) -> Exit {
        if self.rank() >= other.rank() { self } else { other }
    }

    fn rank(self) -> u8 {
        match self {
            Exit::Valid => 0,
            Exit::Unknown => 1,
            Exit::Interrupted | Exit::Terminated => 2,
            Exit::Usage => 3,
            Exit::Infrastructure => 4,
            Exit::Bug => 5,
            Exit::Violation => 6,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    const ALL: [Exit; 8] = [
        Exit::Valid,
        Exit::Violation,
        Exit::Usage,
        Exit::Unknown,
        Exit::Infrastructure,
        Exit::Bug,
        Exit::Interrupted,
        Exit::Terminated,
    ];

    #[test]
    fn codes_are_those_documented() {
        assert_eq!(ALL.map(Exit::code), [0, 1, 2, 3, 4, 70, 130, 143]);
    }

    #[test]
    fn nothing_masks_a_violation() {
        for other in ALL {
            assert_eq!(Exit::Violation.worst(other), Exit::Violation);
            assert_eq!(other.worst(Exit::Violation), Exit::Violation);
            assert_eq!(other.worst(Exit::Valid), other);
        }
    }
}
