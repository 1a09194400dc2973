//! What kind of eventual store it is: the settings that stand behind its name, as in
//! `eventual:siblings,r=2,w=2`.

use std::fmt;
use std::str::FromStr;

use crate::catalogue::UnknownName;

/// What becomes of values that were written without knowing of each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Conflicts {
    /// The last writer wins, by the hybrid logical clock and then by the node: one of them is lost,
    /// the same one everywhere.
    #[default]
    LastWriter,
    /// All are kept and read together, until a write takes their place that knows of them.
    Siblings,
}

/// The settings of an eventual store; its text is what follows `eventual:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Settings {
    /// What becomes of concurrent values.
    pub conflicts: Conflicts,
    /// How many nodes a read hears, the one asked included (Dynamo's R).
    pub reads: u16,
    /// On how many disks a write is before it is acknowledged, the asked node's included (W).
    pub writes: u16,
    /// Whether a client that tells what it has seen never sees less, whichever node it asks.
    pub sessions: bool,
    /// Whether a node keeps in mind what its peers have not confirmed, and sends it again.
    pub handoff: bool,
}

impl Settings {
    /// As eventual as can be: one node reads, one writes, the last writer wins, no sessions; hinted
    /// handoff is on.
    pub const DEFAULT: Settings = Settings {
        conflicts: Conflicts::LastWriter,
        reads: 1,
        writes: 1,
        sessions: false,
        handoff: true,
    };

    /// Checks that so many nodes can read and write like this.
    ///
    /// # Errors
    /// When more nodes are asked for than there are.
    pub fn check(&self, nodes: usize) -> Result<(), TooMany> {
        let asked = usize::from(self.reads.max(self.writes));
        if asked <= nodes { Ok(()) } else { Err(TooMany { settings: *self, nodes }) }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings::DEFAULT
    }
}

/// A read or a write that would need more nodes than there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("eventual:{settings} needs more nodes than there are, which is {nodes}")]
pub struct TooMany {
    settings: Settings,
    nodes: usize,
}

const KNOWN: [&str; 8] = [
    "lww",
    "siblings",
    "r=1",
    "w=1 and so on",
    "sessions",
    "sessions=off",
    "handoff=off",
    "handoff",
];

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        if self.conflicts == Conflicts::Siblings {
            words.push("siblings".to_owned());
        }
        if self.reads != 1 {
            words.push(format!("r={}", self.reads));
        }
        if self.writes != 1 {
            words.push(format!("w={}", self.writes));
        }
        if self.sessions {
            words.push("sessions".to_owned());
        }
        if !self.handoff {
            words.push("handoff=off".to_owned());
        }
        f.write_str(&words.join(","))
    }
}

impl FromStr for Settings {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let mut settings = Settings::DEFAULT;
        let mut said: Vec<&str> = Vec::new();
        for word in text.split(',') {
            let unknown =
                || UnknownName::new("setting of the store eventual", word, KNOWN.into_iter());
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            let topic = if name == "lww" { "siblings" } else { name };
            if said.contains(&topic) {
                return Err(UnknownName::new(
                    "second word on it among the settings",
                    word,
                    KNOWN.into_iter(),
                ));
            }
            said.push(topic);
            let count = || value.parse().ok().filter(|count| *count > 0).ok_or_else(unknown);
            let switch = || match value {
                "" | "on" => Ok(true),
                "off" => Ok(false),
                _ => Err(unknown()),
            };
            match name {
                "lww" if value.is_empty() => settings.conflicts = Conflicts::LastWriter,
                "siblings" if value.is_empty() => settings.conflicts = Conflicts::Siblings,
                "r" => settings.reads = count()?,
                "w" => settings.writes = count()?,
                "sessions" => settings.sessions = switch()?,
                "handoff" => settings.handoff = switch()?,
                _ => return Err(unknown()),
            }
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_said_in_one_order() {
        let same = |text: &str| text.parse::<Settings>().map(|settings| settings.to_string());
        for text in ["siblings", "r=2,w=2", "sessions", "handoff=off", "siblings,r=3,sessions"] {
            assert_eq!(same(text).as_deref(), Ok(text));
        }
        assert_eq!(same("w=2,siblings,r=2").as_deref(), Ok("siblings,r=2,w=2"));
        assert_eq!("lww,r=1,w=1,handoff=on".parse(), Ok(Settings::DEFAULT));
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for text in
            ["", "fast", "r=0", "r", "w=x", "lww,siblings", "r=1,r=2", "handoff=so", "lww=1"]
        {
            let error = text.parse::<Settings>().unwrap_err().to_string();
            assert!(error.contains("siblings") && error.contains("handoff"), "{text:?}: {error}");
        }
        let both: Settings = "r=2,w=4".parse().expect("it is right");
        assert!(both.check(4).is_ok());
        assert!(both.check(3).unwrap_err().to_string().contains("r=2,w=4"));
    }
}
