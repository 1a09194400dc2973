//! Bugs to plant in snapshots, by which their tests are tested. Each has one guarded place in
//! [`super::snapshot`] or [`super::cut`].

use std::fmt;
use std::str::FromStr;

/// What may be wrong with a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Messages overtake the marker: those that are sent in the first moment after the cut look like
    /// those from before it.
    MarkerLate,
    /// Markers leave, and the state is recorded a moment after.
    StateLate,
    /// What was on its way is not recorded.
    ChannelForgotten,
    /// Parts of different incarnations of a node are put together.
    CrashIgnored,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 4] =
        [Bug::MarkerLate, Bug::StateLate, Bug::ChannelForgotten, Bug::CrashIgnored];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Bug::MarkerLate => "marker-late",
            Bug::StateLate => "state-late",
            Bug::ChannelForgotten => "channel-forgotten",
            Bug::CrashIgnored => "crash-ignored",
        }
    }
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Bug {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Bug::ALL.into_iter().find(|bug| bug.name() == text).ok_or_else(|| {
            let known: Vec<&str> = Bug::ALL.into_iter().map(Bug::name).collect();
            format!("there is no bug {text:?} of snapshots; known: {}", known.join(", "))
        })
    }
}
