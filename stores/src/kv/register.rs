//! One key by itself: the state machine of a store that replicates every key on its own.

use serde::{Deserialize, Serialize};

use super::{Command, Op, Output, Sessions, Value, change};

/// How many sessions a key remembers. Fewer than a whole store ([`super::SESSIONS_MAX`]), because
/// they travel with every change of the key.
pub const KEY_SESSIONS_MAX: usize = 256;

/// The value of a key, and which commands it is the outcome of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    value: Value,
    sessions: Sessions,
}

impl Register {
    /// The value; null if there is none.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The last command of each client, as far as they are remembered.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Executes a command on this key, once per session and sequence number.
    pub fn apply(&mut self, command: &Command) -> Output {
        let Some(session) = &command.session else { return self.execute(&command.op) };
        if let Some(answer) = self.sessions.look_up(session).answer() {
            return answer;
        }
        let output = self.execute(&command.op);
        self.sessions.remember_at_most(session, output.clone(), KEY_SESSIONS_MAX);
        output
    }

    fn execute(&mut self, op: &Op) -> Output {
        let (changed, output) = change(&self.value, op);
        if let Some(value) = changed {
            self.value = value;
        }
        output
    }
}
