//! Contexts: what a client has seen of a key, told back to it with every answer of a store that has
//! no single order of its writes, and by it with the next request for that key.
//!
//! The idea is Dynamo's (DeCandia et al., SOSP 2007, §4.4): a context is opaque to clients, and with
//! it a write says which versions it takes the place of. The same context serves as a session's
//! token (Terry et al., "Session Guarantees for Weakly Consistent Replicated Data", PDIS 1994).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::clock::dotted::Dotted;
use crate::clock::hybrid::{NoStamp, Stamp};
use crate::clock::vector::NoVector;

/// What a client has seen of a key. Its text, as which it travels: `n1:3,n2:5@1500000000.0`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Context {
    /// The changes that are behind what it has seen.
    pub seen: Dotted,
    /// The time of the latest of them.
    pub latest: Stamp,
}

impl Context {
    /// Sees what another has seen, too.
    pub fn merge(&mut self, other: &Context) {
        self.seen.merge(&other.seen);
        self.latest = self.latest.max(other.latest);
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.seen, self.latest)
    }
}

impl From<Context> for String {
    fn from(context: Context) -> String {
        context.to_string()
    }
}

/// A text that is no context.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoContext {
    /// It has no two parts.
    #[error("a context is like n1:3,n2:5@1500000000.0, not {0:?}")]
    Form(String),
    /// Its first part is none.
    #[error(transparent)]
    Seen(#[from] NoVector),
    /// Its second part is none.
    #[error(transparent)]
    Latest(#[from] NoStamp),
}

impl FromStr for Context {
    type Err = NoContext;

    fn from_str(text: &str) -> Result<Self, NoContext> {
        let parts = text.split_once('@');
        let (seen, latest) = parts.ok_or_else(|| NoContext::Form(text.to_owned()))?;
        Ok(Context { seen: seen.parse()?, latest: latest.parse()? })
    }
}

impl TryFrom<String> for Context {
    type Error = NoContext;

    fn try_from(text: String) -> Result<Self, NoContext> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::dotted::Dot;
    use crate::replica::NodeId;

    #[test]
    fn a_context_is_read_back_and_nonsense_is_none() {
        let mut context = Context::default();
        assert_eq!(context.to_string().parse(), Ok(context.clone()));
        context.seen.learn(Dot { node: NodeId(2), count: 7 });
        context.latest = Stamp { physical: 5, logical: 1 };
        assert_eq!(context.to_string(), "n2:7@5.1");
        assert_eq!("n2:7@5.1".parse(), Ok(context));
        for text in ["", "n2:7", "n2@1.0", "n2:7+@1.0", "n2:7@1", "@"] {
            assert!(text.parse::<Context>().is_err(), "{text:?}");
        }
    }
}
