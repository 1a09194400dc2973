//! Requests, at the node that was asked: the coordinator of each, whichever it is.
//!
//! Dynamo, §4.5 and §5. A write is this node's own change, told to all; it is acknowledged when as
//! many disks have it as the settings say. A read hears as many nodes as they say, makes one state of
//! theirs and its own, and repairs those that knew less. The quorums are strict: only replicas
//! count, and a request that does not hear enough of them is given up, its fate unknown.
//!
//! A client of a store with sessions tells what it has seen. A node that has less asks the others,
//! until it has it, or has heard all of them: what is nowhere any more was collected (Terry et al.,
//! "Session Guarantees for Weakly Consistent Replicated Data", PDIS 1994: read your writes and
//! monotonic reads. Writes follow reads, and each other, because a context also puts the clock
//! forward by which the last writer is known).

use std::collections::BTreeMap;

use super::message::Body;
use super::mutants::Bug;
use super::object::Object;
use super::operate::Operated;
use super::{Eventual, Nodes, Note};
use crate::clock::dotted::Dotted;
use crate::kv::{Context, Key, Op, Output};
use crate::replica::{Effects, NodeId, Refusal, Request, RequestId, Time};

/// A request that waits for other nodes.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    request: RequestId,
    key: Key,
    /// When it was begun.
    since: Time,
    /// When others were asked last.
    asked: Time,
    wait: Wait,
}

#[derive(Clone, Debug)]
enum Wait {
    /// For disks that have this much of the key's changes.
    Disks { needs: Dotted, stored: Nodes, output: Output },
    /// For states, until they come to this much, each with the digest of what was heard.
    States { needs: Dotted, heard: BTreeMap<NodeId, u64> },
}

impl Eventual {
    pub(super) fn on_request(&mut self, id: RequestId, request: Request, out: &mut Effects<Self>) {
        let (context, request) = match request {
            Request::Causal { context, request } => (Some(context), *request),
            request => (None, request),
        };
        let taken = match request {
            Request::Read(key) => self.read(id, key, context.as_ref(), out),
            Request::Write(command) => self.write(id, &command.op, context.as_ref(), out),
            Request::Admin(_) | Request::Causal { .. } => {
                Err(Refusal::Inapplicable { why: "the members of this store are fixed".into() })
            }
        };
        if let Err(refusal) = taken {
            out.reply_at_once(id, Err(refusal));
        }
    }

    fn read(
        &mut self,
        request: RequestId,
        key: Key,
        context: Option<&Context>,
        out: &mut Effects<Self>,
    ) -> Result<(), Refusal> {
        self.has_room(self.options.settings.reads)?;
        let holds = self.options.settings.sessions && !self.bug(Bug::TokenIgnored);
        let needs = context.filter(|_| holds).map(|context| context.seen.clone());
        let wait = Wait::States { needs: needs.unwrap_or_default(), heard: BTreeMap::new() };
        let number = self.wait(request, key.clone(), wait);
        if !self.finish(number, out) {
            self.broadcast(&Body::Fetch { key, read: number }, out);
        }
        Ok(())
    }

    fn write(
        &mut self,
        request: RequestId,
        op: &Op,
        context: Option<&Context>,
        out: &mut Effects<Self>,
    ) -> Result<(), Refusal> {
        self.has_room(self.options.settings.writes)?;
        if let Some(context) = context.filter(|_| self.options.settings.sessions) {
            // What its client has seen is not to win over what it writes now.
            self.clock.receive(self.time(), context.latest);
        }
        let Operated { output, context: mut told, object } = self.operate(op, context, out)?;
        self.writes += 1;
        let key = op.key();
        if let Some(context) = context {
            told.merge(context);
        }
        let output = Output::Causal { context: told, output: Box::new(output) };
        let Some(object) = object else {
            out.reply(request, Ok(output));
            return Ok(());
        };
        if self.bug(Bug::AckBeforeDisk) {
            out.reply_at_once(request, Ok(output));
            self.replicate(key, &object, out);
            return Ok(());
        }
        let wait = Wait::Disks { needs: object.seen.clone(), stored: Nodes::new(), output };
        let number = self.wait(request, key.clone(), wait);
        self.finish(number, out);
        self.replicate(key, &object, out);
        Ok(())
    }

    /// Whether one more request may wait, for so many nodes.
    fn has_room(&self, nodes: u16) -> Result<(), Refusal> {
        if usize::from(nodes) > self.others.len() + 1 {
            let why = format!("it takes {nodes} nodes, and there are {}", self.others.len() + 1);
            return Err(Refusal::Inapplicable { why });
        }
        if self.pending.len() >= self.options.requests_max {
            return Err(Refusal::Busy);
        }
        Ok(())
    }

    /// Lets a request wait, and gives it a number.
    fn wait(&mut self, request: RequestId, key: Key, wait: Wait) -> u64 {
        self.next_pending = self.next_pending.wrapping_add(1);
        let pending = Pending { request, key, since: self.now, asked: self.now, wait };
        self.pending.insert(self.next_pending, pending);
        self.next_pending
    }

    /// Answers a request if it has waited for enough, and says whether it did.
    fn finish(&mut self, number: u64, out: &mut Effects<Self>) -> bool {
        let Some(pending) = self.pending.get(&number) else { return false };
        let enough = match &pending.wait {
            Wait::Disks { stored, .. } => self.is_stored(stored.len()),
            Wait::States { needs, heard } => self.is_read(&pending.key, needs, heard.len()),
        };
        if !enough {
            return false;
        }
        let Some(Pending { request, key, wait, .. }) = self.pending.remove(&number) else {
            return false;
        };
        match wait {
            Wait::Disks { output, .. } => out.reply(request, Ok(output)),
            Wait::States { heard, .. } => {
                self.reads += 1;
                let object = self.object(&key);
                let (context, output) = (object.context(), Box::new(object.value()));
                let reply = Ok(Output::Causal { context, output });
                // Other keys may still be on their way to the disk: that is not told here.
                out.reply_after(self.written_in(&key), request, reply);
                self.repair(&key, &object, heard, out);
            }
        }
        true
    }

    /// Whether a write is on enough disks that is on this many others.
    fn is_stored(&self, others: usize) -> bool {
        let writes = usize::from(self.options.settings.writes);
        others + 1 >= writes || self.bug(Bug::SentIsStored)
    }

    /// Whether a read has heard enough others.
    fn is_read(&self, key: &Key, needs: &Dotted, heard: usize) -> bool {
        let covers = self.held(key).map_or(needs.is_empty(), |own| own.seen.covers(needs));
        let reads = usize::from(self.options.settings.reads);
        heard + 1 >= reads && (covers || heard == self.others.len())
    }

    /// Tells those that knew less of a key than is known now.
    fn repair(
        &mut self,
        key: &Key,
        object: &Object,
        heard: BTreeMap<NodeId, u64>,
        out: &mut Effects<Self>,
    ) {
        let digest = self.digest(key);
        let always = self.bug(Bug::RepairsAll);
        let behind: Vec<NodeId> = match always {
            true => self.others.clone(),
            false => heard.into_iter().filter(|(_, d)| *d != digest).map(|(id, _)| id).collect(),
        };
        if behind.is_empty() {
            return;
        }
        if !always {
            out.note(Note::Repaired { key: key.clone(), nodes: behind.len() });
        }
        for to in behind {
            let (key, object) = (key.clone(), object.clone());
            self.send(to, Body::Store { key, object }, out);
        }
    }

    /// A peer has this much of a key's changes on its disk.
    pub(super) fn on_stored(
        &mut self,
        from: NodeId,
        key: &Key,
        seen: &Dotted,
        out: &mut Effects<Self>,
    ) {
        let mut told = Vec::new();
        for (number, pending) in &mut self.pending {
            if let Wait::Disks { needs, stored, .. } = &mut pending.wait
                && pending.key == *key
                && seen.covers(needs)
            {
                stored.insert(from);
                told.push(*number);
            }
        }
        for number in told {
            self.finish(number, out);
        }
    }

    /// A peer tells its state of a key.
    pub(super) fn on_fetched(
        &mut self,
        from: NodeId,
        key: &Key,
        read: u64,
        theirs: &Object,
        out: &mut Effects<Self>,
    ) {
        if !self.bug(Bug::OwnCopyRead) {
            self.take(key, theirs, out);
        }
        if let Some(pending) = self.pending.get_mut(&read)
            && let Wait::States { heard, .. } = &mut pending.wait
        {
            let digest = if *theirs == Object::default() { 0 } else { theirs.digest(key) };
            heard.insert(from, digest);
            self.finish(read, out);
        }
    }

    /// Asks again where nothing was heard, and gives up what has waited for too long.
    pub(super) fn look_at_pending(&mut self, out: &mut Effects<Self>) {
        let (now, options) = (self.now, &self.options);
        let is_over = |pending: &Pending| pending.since + options.patience <= now;
        let is_due = |pending: &Pending| pending.asked + options.resend_after <= now;
        let numbers = |is: &dyn Fn(&Pending) -> bool| -> Vec<u64> {
            self.pending.iter().filter(|(_, it)| is(it)).map(|(number, _)| *number).collect()
        };
        let over = numbers(&is_over);
        let due = numbers(&|pending| !is_over(pending) && is_due(pending));
        for number in over {
            if let Some(Pending { request, key, .. }) = self.pending.remove(&number) {
                out.note(Note::GivenUp { key });
                let why = "too few nodes have answered in time".into();
                out.reply(request, Err(Refusal::Unfinished { why }));
            }
        }
        for number in due {
            self.ask_again(number, out);
        }
    }

    fn ask_again(&mut self, number: u64, out: &mut Effects<Self>) {
        let now = self.now;
        let Some(pending) = self.pending.get_mut(&number) else { return };
        pending.asked = now;
        let key = pending.key.clone();
        let silent = |has: &dyn Fn(&NodeId) -> bool| -> Vec<NodeId> {
            self.others.iter().copied().filter(|other| !has(other)).collect()
        };
        let (silent, is_write) = match &pending.wait {
            Wait::Disks { stored, .. } => (silent(&|node| stored.contains(node)), true),
            Wait::States { heard, .. } => (silent(&|node| heard.contains_key(node)), false),
        };
        let body = match is_write {
            true => Body::Store { object: self.object(&key), key },
            false => Body::Fetch { key, read: number },
        };
        for to in silent {
            self.send(to, body.clone(), out);
        }
    }
}
