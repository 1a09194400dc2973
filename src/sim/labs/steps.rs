//! The steps that tests are made of: who leads, what is committed, and one command from beginning
//! to end. What each allows and how long it waits is part of the tests' definition.

use rand::RngExt;
use rashomon_stores::kv::Value;
use rashomon_stores::raft::log::Term;
use rashomon_stores::replica::{Role, Status};

use super::lab::{Lab, id};
use super::{Failure, MILLISECOND};

/// What the tests take for the time that an election takes at most, in milliseconds.
pub(super) const ELECTION: u64 = 1_000;

/// Whether a command is tried again when its leader does not commit it in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    /// It is; it may then be committed twice.
    Yes,
    /// It is not: the first leader asked has to commit it.
    No,
}

impl Lab {
    /// A number below another.
    pub(super) fn random(&self, below: u64) -> u64 {
        self.bench().rng.random_range(0..below)
    }

    /// Whether something with this chance happens.
    pub(super) fn chance(&self, chance: f64) -> bool {
        self.bench().rng.random_bool(chance)
    }

    /// A command that is most likely like no other.
    pub(super) fn random_command(&self) -> Value {
        Value::Int(self.random(1 << 62) as i64)
    }

    fn status(&self, server: usize) -> Option<Status> {
        use rashomon_stores::replica::Replica;
        self.bench().world.core(id(server)).map(Replica::status)
    }

    /// Every connected server: number and status.
    fn connected(&self) -> Vec<(usize, Status)> {
        (0..self.servers())
            .filter(|server| self.is_connected(*server))
            .filter_map(|server| Some((server, self.status(server)?)))
            .collect()
    }

    /// The one server that leads the latest term among the connected ones, within 5 s.
    pub(super) async fn one_leader(&self) -> Result<usize, Failure> {
        for _ in 0..10 {
            self.sleep(450 + self.random(100)).await;
            let mut leaders: Vec<(Term, usize)> = self
                .connected()
                .into_iter()
                .filter(|(_, status)| status.role == Role::Leader)
                .map(|(server, status)| (status.term, server))
                .collect();
            leaders.sort_unstable();
            if let Some(pair) = leaders.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                return self.fail(format!("two servers lead the same term: {pair:?}"));
            }
            if let Some((_, server)) = leaders.last() {
                return Ok(*server);
            }
        }
        self.fail("no connected server leads")
    }

    /// No connected server leads.
    pub(super) fn no_leader(&self) -> Result<(), Failure> {
        for (server, status) in self.connected() {
            let why = || format!("{} leads without a majority", id(server));
            self.ensure(status.role != Role::Leader, why)?;
        }
        Ok(())
    }

    /// The term that all connected servers are in.
    pub(super) fn one_term(&self) -> Result<Term, Failure> {
        let terms: Vec<Term> = self.connected().iter().map(|(_, status)| status.term).collect();
        let term = terms.first().copied().unwrap_or_default();
        self.ensure(terms.iter().all(|other| *other == term), || {
            format!("servers do not agree about the term: {terms:?}")
        })?;
        Ok(term)
    }

    /// Commits a command on at least so many servers within 10 s, and says at which position.
    pub(super) async fn one(
        &self,
        command: impl Into<Value>,
        servers: usize,
        retry: Retry,
    ) -> Result<u64, Failure> {
        let command = command.into();
        let begin = self.now();
        let mut next = 0;
        while self.now() < begin + 10_000 * MILLISECOND {
            let Some(index) = self.start_somewhere(&mut next, &command) else {
                self.sleep(50).await;
                continue;
            };
            if self.applied_in_time(index, &command, servers).await {
                return Ok(index);
            }
            if retry == Retry::No {
                break;
            }
        }
        self.fail(format!("{command} was not committed on {servers} servers"))
    }

    /// Hands a command to the first connected server that takes it, from a server on.
    fn start_somewhere(&self, next: &mut usize, command: &Value) -> Option<u64> {
        for _ in 0..self.servers() {
            *next = (*next + 1) % self.servers();
            if self.is_connected(*next)
                && let Some(started) = self.start(*next, command.clone())
            {
                return Some(started.index);
            }
        }
        None
    }

    async fn applied_in_time(&self, index: u64, command: &Value, servers: usize) -> bool {
        let begin = self.now();
        while self.now() < begin + 2_000 * MILLISECOND {
            let (applied, value) = self.committed(index);
            if applied >= servers && value.as_ref() == Some(command) {
                return true;
            }
            self.sleep(20).await;
        }
        false
    }

    /// Waits for a position to be applied on so many servers, and says what is there; nothing if a
    /// server has moved on beyond a term.
    pub(super) async fn wait(
        &self,
        index: u64,
        servers: usize,
        term: Option<Term>,
    ) -> Result<Option<Value>, Failure> {
        let mut pause = 10;
        for _ in 0..30 {
            if self.committed(index).0 >= servers {
                break;
            }
            self.sleep(pause).await;
            if pause < 1_000 {
                pause *= 2;
            }
            if let Some(term) = term
                && self.terms().iter().any(|now| *now > term)
            {
                return Ok(None);
            }
        }
        let (applied, value) = self.committed(index);
        self.ensure(applied >= servers, || {
            format!("command {index} was applied by {applied} servers and not by {servers}")
        })?;
        Ok(value)
    }
}
