//! The sizes of quorums as they are said with the store's name: `paxos:prepare=4,accept=2`.

use std::fmt;
use std::str::FromStr;

use super::{QuorumError, Quorums};
use crate::catalogue::UnknownName;

/// How many acceptors promise and how many accept, as far as that is said; see [`Quorums::of`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Settings {
    /// How many promise.
    pub prepare: Option<u16>,
    /// How many accept.
    pub accept: Option<u16>,
}

impl Settings {
    /// Majorities.
    pub const DEFAULT: Settings = Settings { prepare: None, accept: None };

    /// The quorums of so many nodes.
    ///
    /// # Errors
    /// When they need not meet, or cannot be reached.
    pub fn quorums(self, nodes: usize) -> Result<Quorums, QuorumError> {
        Quorums::of(nodes, self.prepare.map(usize::from), self.accept.map(usize::from))
    }

    /// These settings, with others where they say nothing.
    pub fn or(self, other: Settings) -> Settings {
        Settings { prepare: self.prepare.or(other.prepare), accept: self.accept.or(other.accept) }
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |name: &str, size: Option<u16>| size.map(|size| format!("{name}={size}"));
        let words = [said("prepare", self.prepare), said("accept", self.accept)];
        f.write_str(&words.into_iter().flatten().collect::<Vec<_>>().join(","))
    }
}

impl FromStr for Settings {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let mut settings = Settings::DEFAULT;
        for word in text.split(',') {
            let unknown = || {
                let known = ["prepare=2", "accept=4 and so on, each once"];
                UnknownName::new("setting of the store paxos", word, known.into_iter())
            };
            let (name, size) = word.split_once('=').ok_or_else(unknown)?;
            let size = size.parse().ok().filter(|size| *size > 0).ok_or_else(unknown)?;
            let said = match name {
                "prepare" => &mut settings.prepare,
                "accept" => &mut settings.accept,
                _ => return Err(unknown()),
            };
            if said.replace(size).is_some() {
                return Err(unknown());
            }
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_said_and_have_to_meet() {
        for text in ["prepare=4,accept=2", "prepare=2", "accept=5"] {
            let settings: Settings = text.parse().expect(text);
            assert_eq!(settings.to_string(), text);
        }
        let uneven: Settings = "accept=2,prepare=4".parse().expect("in any order");
        assert_eq!(uneven.quorums(5), Ok(Quorums { prepare: 4, accept: 2 }));
        assert!(uneven.quorums(6).is_err() && uneven.quorums(3).is_err());
        for text in ["", "prepare", "prepare=0", "accept=x", "prepare=2,prepare=3", "r=1"] {
            let error = text.parse::<Settings>().expect_err(text).to_string();
            assert!(error.contains("prepare") && error.contains("accept"), "{text}: {error}");
        }
    }
}
