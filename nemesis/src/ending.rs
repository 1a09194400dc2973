//! Endings: how a node's process ends before it is started again.

/// A way for a process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ending {
    /// It is killed without warning, as by SIGKILL.
    Kill,
    /// It is asked to end, and does so in order.
    Stop,
    /// Its power goes: what it wrote and did not sync is lost, all or a part of it.
    Unplug,
}

impl Ending {
    /// All of them.
    pub const ALL: [Ending; 3] = [Ending::Kill, Ending::Stop, Ending::Unplug];

    /// Its verb.
    pub fn name(self) -> &'static str {
        match self {
            Ending::Kill => "kill",
            Ending::Stop => "stop",
            Ending::Unplug => "unplug",
        }
    }

    /// What became of those whom it struck, for a person.
    pub(crate) fn past(self) -> &'static str {
        match self {
            Ending::Kill => "killed",
            Ending::Stop => "stopped",
            Ending::Unplug => "lost power",
        }
    }
}
