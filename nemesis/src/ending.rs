//! Endings: how a node's process ends before it is started again.

/// A way for a process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ending {
    /// It is killed without warning, as by SIGKILL.
    Kill,
    /// It is asked to end, and does so in order.
    Stop,
}

impl Ending {
    /// All of them.
    pub const ALL: [Ending; 2] = [Ending::Kill, Ending::Stop];

    /// Its verb.
    pub fn name(self) -> &'static str {
        match self {
            Ending::Kill => "kill",
            Ending::Stop => "stop",
        }
    }

    /// What became of those whom it struck, for a person.
    pub(crate) fn past(self) -> &'static str {
        match self {
            Ending::Kill => "killed",
            Ending::Stop => "stopped",
        }
    }
}
