//! Client sessions: how a write that is sent again takes effect once.
//!
//! Ongaro, *Consensus: Bridging Theory and Practice* (2014), §6.3: each client numbers its
//! commands, and the state machine remembers for each client the last number and its output. The
//! table is part of the replicated state, so all replicas agree about what is a repetition.
//!
//! A client has one command outstanding at a time; it may skip numbers but not go back.
//!
//! The table is bounded by [`SESSIONS_MAX`]: the session unused for longest (in the order of the
//! log, so every replica forgets the same one) makes room for a new one. A repetition is therefore
//! recognised as long as fewer than that many other clients have written in between.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Output, Rejection};

/// How many sessions are remembered.
pub const SESSIONS_MAX: usize = 4096;

/// Which command of which client this is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Session {
    /// The client, by a name that it made up for itself.
    pub client: Arc<str>,
    /// The number of the command, growing with each new command and kept by a repetition.
    pub sequence: u64,
}

/// What the table knows of a command that arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// It is new: execute it and [`Sessions::remember`] its output.
    New,
    /// It was executed: this is what came out.
    Repeated(Output),
    /// A later one was executed already; the output of this one is forgotten.
    Stale {
        /// The number of that later one.
        last: u64,
    },
}

impl Lookup {
    /// What is known of a command of this number, where this is known of its client's last one.
    pub(crate) fn after(last: Option<(u64, &Output)>, sequence: u64) -> Self {
        match last {
            Some((last, output)) if last == sequence => Lookup::Repeated(output.clone()),
            Some((last, _)) if last > sequence => Lookup::Stale { last },
            _ => Lookup::New,
        }
    }

    /// What the client is told, if the command must not be executed.
    pub fn answer(self) -> Option<Output> {
        match self {
            Lookup::New => None,
            Lookup::Repeated(output) => Some(output),
            Lookup::Stale { last } => Some(Output::Rejected(Rejection::StaleSequence { last })),
        }
    }
}

/// The last command of each client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Clients")]
pub struct Sessions {
    clients: BTreeMap<Arc<str>, LastCommand>,
    /// The same clients by their last use, which is found again from what is stored and sent.
    #[serde(skip)]
    by_use: BTreeMap<u64, Arc<str>>,
    #[serde(skip)]
    uses: u64,
}

/// What of it is stored and sent.
#[derive(Deserialize)]
struct Clients {
    clients: BTreeMap<Arc<str>, LastCommand>,
}

impl From<Clients> for Sessions {
    fn from(Clients { clients }: Clients) -> Self {
        let by_use: BTreeMap<u64, Arc<str>> =
            clients.iter().map(|(client, last)| (last.used, client.clone())).collect();
        // Whoever came last has not made room for anybody.
        let uses = by_use.last_key_value().map_or(0, |(used, _)| *used);
        Sessions { clients, by_use, uses }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LastCommand {
    sequence: u64,
    output: Output,
    used: u64,
}

impl Sessions {
    /// What is known of this command.
    pub fn look_up(&self, session: &Session) -> Lookup {
        let last = self.clients.get(&session.client).map(|last| (last.sequence, &last.output));
        Lookup::after(last, session.sequence)
    }

    /// Remembers the output of a new command in place of the client's one before.
    pub fn remember(&mut self, session: &Session, output: Output) {
        self.remember_at_most(session, output, SESSIONS_MAX);
    }

    /// The same where there is room for so many sessions.
    pub fn remember_at_most(&mut self, session: &Session, output: Output, most: usize) {
        self.uses += 1;
        let last = LastCommand { sequence: session.sequence, output, used: self.uses };
        if let Some(before) = self.clients.insert(session.client.clone(), last) {
            self.by_use.remove(&before.used);
        }
        self.by_use.insert(self.uses, session.client.clone());
        if self.clients.len() > most
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.clients.remove(&oldest);
        }
    }

    /// The last command of each client and its output, the one unused for longest first.
    pub fn iter(&self) -> impl Iterator<Item = (Session, &Output)> {
        self.by_use.values().filter_map(|client| {
            let LastCommand { sequence, output, .. } = self.clients.get(client)?;
            Some((Session { client: client.clone(), sequence: *sequence }, output))
        })
    }

    /// How many sessions are remembered.
    pub fn len(&self) -> usize {
        self.clients.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(client: usize, sequence: u64) -> Session {
        Session { client: client.to_string().into(), sequence }
    }

    #[test]
    fn the_longest_unused_session_makes_room() {
        let mut sessions = Sessions::default();
        for client in 0..SESSIONS_MAX {
            sessions.remember(&session(client, 1), Output::Done);
        }
        sessions.remember(&session(0, 2), Output::Done);
        sessions.remember(&session(SESSIONS_MAX, 1), Output::Done);
        assert_eq!(sessions.len(), SESSIONS_MAX);
        assert_eq!(sessions.by_use.len(), SESSIONS_MAX);
        assert_eq!(sessions.look_up(&session(1, 1)), Lookup::New, "client 1 was unused longest");
        assert_eq!(sessions.look_up(&session(0, 2)), Lookup::Repeated(Output::Done));
        assert_eq!(sessions.look_up(&session(2, 1)), Lookup::Repeated(Output::Done));
        let json = serde_json::to_string(&sessions).expect("JSON");
        assert_eq!(serde_json::from_str::<Sessions>(&json).expect("sessions"), sessions);
    }
}
