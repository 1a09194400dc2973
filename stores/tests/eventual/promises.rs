//! What the store promises, checked of what clients did and heard alone.
//!
//! The judge keeps its own account of who knew of what: a client knows what it has written and read,
//! and what those writes knew. The store's contexts and clocks are no evidence here.

use std::collections::{BTreeMap, BTreeSet};

use rashomon_stores::eventual::Settings;
use rashomon_stores::kv::{Key, Op, Output, Value};
use rashomon_stores::replica::Time;

use super::{Asked, Broken, keeps_siblings};

/// A write that was begun, by its place.
type Id = usize;

#[derive(Debug)]
struct Written {
    key: Key,
    op: Op,
    /// The writes that its client knew of.
    knew: BTreeSet<Id>,
    /// When it was acknowledged, if it was.
    acknowledged: Option<Time>,
}

/// What a client has seen of a key.
#[derive(Debug, Default)]
struct Known {
    /// The writes that it knows of.
    writes: BTreeSet<Id>,
    /// The values that its reads returned, each once for as long as it was the same.
    values: Vec<Value>,
    /// The most that a read of a counter returned, or its own increments, whatever is more.
    sum: i64,
}

/// Who looks on.
#[derive(Debug)]
pub(super) struct Witness {
    settings: Settings,
    nodes: usize,
    writes: Vec<Written>,
    clients: Vec<BTreeMap<Key, Known>>,
    /// The write that each client is at.
    at: Vec<Option<Id>>,
    /// Whether the next read of a client is one of the last.
    last: Vec<bool>,
    finals: Vec<(Key, Output)>,
}

impl Witness {
    pub(super) fn new(settings: Settings, nodes: usize, clients: usize) -> Self {
        Witness {
            settings,
            nodes,
            writes: Vec::new(),
            clients: (0..clients).map(|_| BTreeMap::new()).collect(),
            at: vec![None; clients],
            last: vec![false; clients],
            finals: Vec::new(),
        }
    }

    pub(super) fn acknowledged(&self) -> u64 {
        self.writes.iter().filter(|write| write.acknowledged.is_some()).count() as u64
    }

    pub(super) fn begins(&mut self, client: usize, key: &Key, op: Option<&Op>) {
        self.at[client] = op.map(|op| {
            // It knows what it tells: without sessions, and where the last writer wins, nothing.
            let tells = self.settings.sessions || keeps_siblings(self.settings);
            let known = self.clients[client].get(key).filter(|_| tells);
            let knew = known.map(|known| known.writes.clone()).unwrap_or_default();
            let (key, op) = (key.clone(), op.clone());
            self.writes.push(Written { key, op, knew, acknowledged: None });
            self.writes.len() - 1
        });
    }

    pub(super) fn is_another(&mut self, client: usize) {
        self.clients[client].clear();
        self.at[client] = None;
    }

    pub(super) fn reads_last(&mut self, client: usize) {
        self.last[client] = true;
    }

    pub(super) fn hears(
        &mut self,
        client: usize,
        (asked, now): (&Asked, Time),
        output: &Output,
    ) -> Result<(), Broken> {
        if let Some(id) = self.at[client].take() {
            self.writes[id].acknowledged = Some(now);
            let known = self.clients[client].entry(asked.key.clone()).or_default();
            known.writes.insert(id);
            known.writes.extend(&self.writes[id].knew);
            known.sum += i64::from(matches!(self.writes[id].op, Op::Increment { .. }));
            return Ok(());
        }
        if std::mem::take(&mut self.last[client]) {
            self.finals.push((asked.key.clone(), output.clone()));
        }
        let (key, begun) = (&asked.key, asked.begun);
        match output {
            Output::Value(Value::List(elements)) => self.reads_set(client, key, elements, begun),
            Output::Value(Value::Int(sum)) if self.counts(key) => self.reads_sum(client, key, *sum),
            Output::Value(Value::Null) if self.grows(key) => {
                self.reads_set(client, key, &[], begun)
            }
            Output::Value(value) => {
                let values =
                    if *value == Value::Null { &[][..] } else { std::slice::from_ref(value) };
                self.reads_values(client, key, values, begun)
            }
            Output::Siblings(values) => self.reads_values(client, key, values, begun),
            other => Err(Broken(format!("a read of {key} returned {other:?}"))),
        }
    }

    fn of<'a>(&'a self, key: &'a Key) -> impl Iterator<Item = (Id, &'a Written)> {
        self.writes.iter().enumerate().filter(move |(_, write)| write.key == *key)
    }

    fn counts(&self, key: &Key) -> bool {
        self.of(key).any(|(_, write)| matches!(write.op, Op::Increment { .. }))
    }

    fn grows(&self, key: &Key) -> bool {
        self.of(key).any(|(_, write)| matches!(write.op, Op::Add { .. } | Op::Increment { .. }))
    }

    fn overlaps(&self) -> bool {
        usize::from(self.settings.reads + self.settings.writes) > self.nodes
    }

    /// What a client may count on when it begins to read: what sessions promise it, and what
    /// overlapping quorums do.
    fn counts_on(&self, client: usize, key: &Key, begun: Time) -> BTreeSet<Id> {
        let known = self.clients[client].get(key).filter(|_| self.settings.sessions);
        let mut all = known.map(|known| known.writes.clone()).unwrap_or_default();
        if self.overlaps() {
            let done = |write: &Written| write.acknowledged.is_some_and(|at| at <= begun);
            all.extend(self.of(key).filter(|(_, write)| done(write)).map(|(id, _)| id));
        }
        all
    }

    fn reads_set(
        &mut self,
        client: usize,
        key: &Key,
        elements: &[Value],
        begun: Time,
    ) -> Result<(), Broken> {
        let element = |op: &Op| match op {
            Op::Add { element, .. } => Some(element.clone()),
            _ => None,
        };
        for id in self.counts_on(client, key, begun) {
            if let Some(missing) = element(&self.writes[id].op)
                && !elements.contains(&missing)
            {
                return Err(Broken(format!(
                    "a read of {key} misses {missing}, which it has to see"
                )));
            }
        }
        let ids = self
            .of(key)
            .filter(|(_, write)| element(&write.op).is_some_and(|e| elements.contains(&e)));
        let ids: Vec<Id> = ids.map(|(id, _)| id).collect();
        if ids.len() != elements.len() {
            return Err(Broken(format!("{elements:?} of {key} were not all added, or not once")));
        }
        self.clients[client].entry(key.clone()).or_default().writes.extend(ids);
        Ok(())
    }

    fn reads_sum(&mut self, client: usize, key: &Key, sum: i64) -> Result<(), Broken> {
        let begun = self.of(key).count() as i64;
        if sum > begun {
            return Err(Broken(format!("{key} is {sum} after {begun} increments")));
        }
        let sessions = self.settings.sessions;
        let known = self.clients[client].entry(key.clone()).or_default();
        if sessions && sum < known.sum {
            return Err(Broken(format!("{key} is {sum}, and was {} for this client", known.sum)));
        }
        known.sum = known.sum.max(sum);
        Ok(())
    }

    fn reads_values(
        &mut self,
        client: usize,
        key: &Key,
        values: &[Value],
        begun: Time,
    ) -> Result<(), Broken> {
        let mut read = BTreeSet::new();
        for value in values {
            let is_it = |op: &Op| matches!(op, Op::Put { value: put, .. } if put == value);
            let Some((id, _)) = self.of(key).find(|(_, write)| is_it(&write.op)) else {
                return Err(Broken(format!("{value} was read of {key} and never written")));
            };
            read.insert(id);
        }
        if let Some((old, new)) = read
            .iter()
            .flat_map(|new| self.writes[*new].knew.iter().map(move |old| (*old, *new)))
            .find(|(old, _)| read.contains(old))
        {
            let (old, new) = (self.shown(old), self.shown(new));
            return Err(Broken(format!("{old} is read of {key} beside {new}, which knew of it")));
        }
        for id in self.counts_on(client, key, begun) {
            self.is_in(key, id, &read)?;
        }
        self.is_never_back(client, key, values)?;
        let knew: Vec<Id> = read.iter().flat_map(|id| self.writes[*id].knew.clone()).collect();
        let known = self.clients[client].entry(key.clone()).or_default();
        known.writes.extend(read.into_iter().chain(knew));
        Ok(())
    }

    /// Whether a write can be behind what was read of its key.
    fn is_in(&self, key: &Key, id: Id, read: &BTreeSet<Id>) -> Result<(), Broken> {
        let what = self.shown(id);
        if let Some(old) = self.writes[id].knew.iter().find(|old| read.contains(old)) {
            let old = self.shown(*old);
            return Err(Broken(format!("{old} is read of {key} after {what}, which knew of it")));
        }
        let is_tombstone = matches!(self.writes[id].op, Op::Delete { .. });
        if read.contains(&id) || is_tombstone {
            return Ok(());
        }
        // Somebody else may have overwritten it: who knew of it, or, where the last writer wins,
        // anybody that it did not know of. What is read says who, unless it was deleted.
        let may_hide = |other: Id, write: &Written| match keeps_siblings(self.settings) {
            true => write.knew.contains(&id),
            false => {
                let is_read = read.contains(&other)
                    || read.is_empty() && matches!(write.op, Op::Delete { .. });
                is_read && !self.writes[id].knew.contains(&other)
            }
        };
        if self.of(key).any(|(other, write)| other != id && may_hide(other, write)) {
            return Ok(());
        }
        Err(Broken(format!("{what} is lost: a read of {key} has to see it and does not")))
    }

    /// A session does not see a value again after another: where the last writer wins.
    fn is_never_back(&mut self, client: usize, key: &Key, values: &[Value]) -> Result<(), Broken> {
        if !self.settings.sessions || keeps_siblings(self.settings) {
            return Ok(());
        }
        let [value] = values else { return Ok(()) };
        let known = self.clients[client].entry(key.clone()).or_default();
        if known.values.last() != Some(value) {
            if known.values.contains(value) {
                return Err(Broken(format!("{value} of {key} is back: {:?}", known.values)));
            }
            known.values.push(value.clone());
        }
        Ok(())
    }

    /// When all is healed, and has converged: what was acknowledged is there.
    pub(super) fn concludes(&self) -> Result<(), Broken> {
        for (key, output) in &self.finals {
            let acknowledged = || self.of(key).filter(|(_, write)| write.acknowledged.is_some());
            let read: BTreeSet<Value> = match output {
                Output::Value(Value::Null) => BTreeSet::new(),
                Output::Value(Value::Int(sum)) if self.counts(key) => {
                    if *sum < acknowledged().count() as i64 {
                        return Err(Broken(format!(
                            "{key} is {sum} in the end: increments are lost"
                        )));
                    }
                    continue;
                }
                Output::Value(Value::List(elements)) => elements.iter().cloned().collect(),
                Output::Siblings(values) => values.iter().cloned().collect(),
                Output::Value(value) => [value.clone()].into(),
                other => return Err(Broken(format!("a last read of {key} returned {other:?}"))),
            };
            let value = |op: &Op| match op {
                Op::Put { value, .. } | Op::Add { element: value, .. } => Some(value.clone()),
                _ => None,
            };
            let is_read = |write: &Written| value(&write.op).is_some_and(|v| read.contains(&v));
            let ids: BTreeSet<Id> =
                self.of(key).filter(|(_, write)| is_read(write)).map(|(id, _)| id).collect();
            for (id, write) in acknowledged() {
                match write.op {
                    Op::Add { .. } if !ids.contains(&id) => {
                        return Err(Broken(format!("{} is lost from {key}", self.shown(id))));
                    }
                    Op::Add { .. } | Op::Increment { .. } => {}
                    _ => self.is_in(key, id, &ids)?,
                }
            }
        }
        Ok(())
    }

    fn shown(&self, id: Id) -> String {
        match &self.writes[id].op {
            Op::Put { value, .. } | Op::Add { element: value, .. } => value.to_string(),
            Op::Delete { .. } => "a deletion".to_owned(),
            other => format!("{other:?}"),
        }
    }
}
