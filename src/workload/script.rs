//! The operations of a run, drawn up before it begins, one a line:
//!
//! ```text
//! at 0.731s client 2 write x0 5
//! at 0.742s client 0 read x0
//! ```
//!
//! An operation whose client is still busy when it is due is left out.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rashomon_nemesis::{Moment, ParseError};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Action, Request, RequestError};

/// An operation and its time.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// When its client begins it, since the run began.
    pub at: Duration,
    /// Which client, counted from 0.
    pub client: u16,
    /// What the client asks for.
    pub request: Request,
}

/// Operations in order of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Script(Vec<Planned>);

/// A text that is no script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("operation {line}: {wrong}")]
pub struct ScriptError {
    /// The line of the script, from 1.
    line: usize,
    wrong: Wrong,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Wrong {
    #[error("{0:?} is no operation; write it as `at 1.5s client 0 read x0`")]
    Form(String),
    #[error("{0:?} is no time; write it as `1.5s` or `350ms`")]
    Time(String, ParseError),
    #[error(transparent)]
    Request(RequestError),
}

impl Script {
    /// A script of these operations, put in order of time; those at one time keep their order.
    pub fn new(mut operations: Vec<Planned>) -> Self {
        operations.sort_by_key(|planned| planned.at);
        Script(operations)
    }

    /// The operations, in order of time.
    pub fn operations(&self) -> &[Planned] {
        &self.0
    }

    /// The operations of one client, in order of time.
    pub fn of(&self, client: u16) -> impl Iterator<Item = &Planned> {
        self.0.iter().filter(move |planned| planned.client == client)
    }

    /// One more than the greatest number of a client.
    pub fn clients(&self) -> u16 {
        self.0.iter().map(|planned| planned.client + 1).max().unwrap_or(0)
    }

    /// A read of every key that occurs, in the order of the keys.
    pub fn reads(&self) -> Vec<Request> {
        let mut actions: BTreeMap<&str, Action> = BTreeMap::new();
        for Planned { request, .. } in &self.0 {
            actions.entry(&request.key).or_insert_with(|| request.action.reader());
        }
        let read = |(key, action): (&str, Action)| Request { key: key.to_owned(), action };
        actions.into_iter().map(read).collect()
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {} client {} {}", Moment(self.at), self.client, self.request)
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|planned| writeln!(f, "{planned}"))
    }
}

impl FromStr for Script {
    type Err = ScriptError;

    /// Reads one operation a line; `#` begins a comment.
    fn from_str(text: &str) -> Result<Self, ScriptError> {
        let mut operations = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.split('#').next().unwrap_or_default().trim();
            if !text.is_empty() {
                operations.push(planned(text).map_err(|wrong| ScriptError { line, wrong })?);
            }
        }
        Ok(Script::new(operations))
    }
}

fn planned(text: &str) -> Result<Planned, Wrong> {
    let form = || Wrong::Form(text.to_owned());
    let words: Vec<&str> = text.split_whitespace().collect();
    let ["at", time, "client", client, request @ ..] = words.as_slice() else {
        return Err(form());
    };
    let moment: Moment = time.parse().map_err(|error| Wrong::Time((*time).to_owned(), error))?;
    let client = client.parse().ok().filter(|client| *client < CLIENTS_MAX).ok_or_else(form)?;
    let request = request.join(" ").parse().map_err(Wrong::Request)?;
    Ok(Planned { at: moment.0, client, request })
}

/// More clients than these cannot be simulated.
pub(crate) const CLIENTS_MAX: u16 = 10_000;

impl Serialize for Script {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Script {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "at 0.731s client 2 write x0 5\nat 1s client 0 read x0\n";

    #[test]
    fn a_script_is_written_and_read() {
        let script: Script = TEXT.parse().expect("it is well-formed");
        assert_eq!(script.to_string(), TEXT);
        assert_eq!(script.clients(), 3);
        assert_eq!(script.reads().len(), 1);
        let commented =
            "# first\n\n  at 1000ms client 0 read x0 # why\nat 731ms client 2 write x0 5";
        assert_eq!(commented.parse(), Ok(script), "in any order, with comments");
    }

    #[test]
    fn mistakes_are_pointed_at() {
        for (text, words) in [
            ("at 1s client 0 read x0\nat 2s client read x0", "operation 2: "),
            ("at 1 client 0 read x0", "`1.5s`"),
            ("at 1s client 0 drop x0", "`write KEY INT`"),
            ("at 1s client 99999 read x0", "`at 1.5s client 0 read x0`"),
        ] {
            let error = text.parse::<Script>().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
