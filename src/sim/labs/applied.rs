//! The oracle of what servers have applied: all the same command at the same place, in order, and
//! those that go on from a snapshot are where the commands before it lead to.

use std::collections::BTreeMap;
use std::sync::Arc;

use rashomon_stores::kv::{Command, Op, Store, Value};
use rashomon_stores::raft::Raft;
use rashomon_stores::raft::log::{Entry, Index, Payload};
use rashomon_stores::raft::snapshot::Snapshot;
use rashomon_stores::replica::{NodeId, Replica};

/// What servers have applied, by position in the log.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// The command of each entry that any server has applied; empty entries have none.
    entries: Vec<Option<Arc<Command>>>,
    /// Where the commands are.
    commands: Vec<Index>,
    /// How far each server is.
    servers: Vec<Index>,
    /// The state after so many entries, for comparison; snapshots mostly get later.
    replayed: (usize, Store),
}

impl Applied {
    /// Nothing yet, on so many servers.
    pub(super) fn new(servers: usize) -> Self {
        Applied { servers: vec![0; servers], ..Applied::default() }
    }

    /// A server crashed: what it had applied does not count until it has applied it again.
    pub(super) fn forget(&mut self, server: usize) {
        self.servers[server] = 0;
    }

    /// How many commands some server has applied.
    pub(super) fn commands(&self) -> u64 {
        self.commands.len() as u64
    }

    /// Takes in what a server applied in its latest step.
    pub(super) fn advance(&mut self, id: NodeId, core: &Raft) -> Result<(), String> {
        let server = usize::from(id.0) - 1;
        let known = self.servers[server];
        let now = core.status().applied_index;
        if now < known {
            return Err(format!("{id} had applied entry {known}, and now only {now}"));
        }
        if core.log().base().index > known
            && let Some(snapshot) = core.snapshot()
        {
            self.check_snapshot(id, snapshot)?;
        }
        for index in known + 1..=now {
            // What a snapshot covers was compared when others applied it.
            if let Some(entry) = core.log().get(index) {
                self.apply(id, entry)?;
            }
        }
        self.servers[server] = now;
        Ok(())
    }

    /// A server applies an entry: the same as all others.
    fn apply(&mut self, id: NodeId, entry: &Entry) -> Result<(), String> {
        let index = entry.index;
        let command = match &entry.payload {
            Payload::Noop | Payload::Members(_) => None,
            Payload::Command(command) => Some(command.clone()),
        };
        match self.entries.get(index as usize - 1) {
            Some(agreed) if *agreed == command => Ok(()),
            Some(agreed) => {
                Err(format!("{id} applies {command:?} as entry {index}, another server {agreed:?}"))
            }
            None if (self.entries.len() as Index) < index - 1 => {
                Err(format!("{id} applies entry {index} and nobody the one before"))
            }
            None => {
                if command.is_some() {
                    self.commands.push(index);
                }
                self.entries.push(command);
                Ok(())
            }
        }
    }

    /// A server that goes on from a snapshot is where those were that applied every command.
    fn check_snapshot(&mut self, id: NodeId, snapshot: &Snapshot) -> Result<(), String> {
        let index = snapshot.last.index as usize;
        if index > self.entries.len() {
            return Err(format!("{id} has a snapshot up to {index}, which nobody has applied"));
        }
        let (reached, state) = &mut self.replayed;
        if *reached > index {
            (*reached, *state) = (0, Store::default());
        }
        for command in self.entries[*reached..index].iter().flatten() {
            state.apply(command);
        }
        *reached = index;
        if *state == snapshot.state {
            return Ok(());
        }
        Err(format!("{id} goes on from a snapshot up to {index} that is not the state there"))
    }

    /// How many servers have applied the command at a position, and what it writes.
    pub(super) fn at(&self, index: u64) -> (usize, Option<Value>) {
        let place = index.checked_sub(1).and_then(|before| self.commands.get(before as usize));
        let Some(place) = place else { return (0, None) };
        let servers = self.servers.iter().filter(|applied| *applied >= place).count();
        let command = self.entries[*place as usize - 1].as_deref();
        let value = command.and_then(|command| match &command.op {
            Op::Put { value, .. } => Some(value.clone()),
            _ => None,
        });
        (servers, value)
    }

    /// How many commands there are up to an entry.
    pub(super) fn commands_up_to(&self, entry: Index) -> u64 {
        self.commands.partition_point(|at| *at <= entry) as u64
    }

    /// Servers that have applied equally much are in the same state.
    pub(super) fn same_states(cores: &[(NodeId, &Raft)]) -> Result<(), String> {
        let mut states = BTreeMap::new();
        for (id, core) in cores {
            let (other, store) =
                *states.entry(core.status().applied_index).or_insert((id, core.store()));
            if store != core.store() {
                return Err(format!("{other} and {id} applied the same, to different states"));
            }
        }
        Ok(())
    }
}
