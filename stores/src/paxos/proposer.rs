//! The proposer: how a node gets requests for a key carried out.
//!
//! Rystsov, *CASPaxos* (2018), §2.2: ask a quorum of acceptors for promises and for what they have
//! accepted (phase 1), take the state with the highest ballot, change it, and ask a quorum to accept
//! the new one (phase 2). A read is the change that changes nothing; it has to be accepted, too,
//! because the state that it found may be on a minority only, where the next proposer need not find
//! it. Keys have nothing to do with each other: each has a line of its own at every node.
//!
//! **One at a time.** A node has one proposal for a key at a time. Requests that arrive meanwhile
//! wait in line, and the next proposal carries them all out, one after the other.
//!
//! **One round trip** (§2.2.1). An accept can bring the prepare for the node's next ballot with it.
//! If a quorum for phase 1 has accepted, that one has promised the next ballot and holds exactly
//! this state: the node can leave out phase 1 next time. What it knows is worth nothing any more
//! when anybody has promised another's higher ballot, so it is dropped at the first sign of that.
//!
//! **Conflicts.** A proposal is given up when so many acceptors have promised a higher ballot that
//! there is no quorum left, or when any has and the others are silent; if the others are enough, one
//! that has does not matter. The requests go back in line, and the node rests for a random time
//! whose bound doubles each time in a row, so that one of several that get in each other's way
//! finishes first (Lamport, "The Part-Time Parliament", §2.4, leaves this to a president). Every node
//! is an acceptor, too, and sees what the others do: when one has asked it for promises, it leaves
//! that one alone for a moment, until it has asked for acceptance, and has then rested enough.
//!
//! What was proposed and given up may be chosen all the same, by the next who finds it. Therefore
//! each command carries its session, and the state says whether it has been executed; a command
//! without a session is not proposed a second time, and its client is told that nobody knows.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use super::collect::Collection;
use super::line::{Asker, Cache, Phase, Proposal, Round, Waiting, Want};
use super::membership::REGISTER;
use super::message::{Ballot, Body};
use super::mutants::Bug;
use super::{Note, Paxos};
use crate::kv::{Key, Output, Register, Value};
use crate::replica::{Effects, NodeId, Refusal, Reply, RequestId, Time};

/// A time from nothing up to this.
pub(super) fn drawn_up_to(most: Duration, rng: &mut ChaCha8Rng) -> Duration {
    let nanoseconds = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(rng.next_u64() % nanoseconds.saturating_add(1))
}

impl Paxos {
    /// Takes a client's request up.
    pub(super) fn take(&mut self, id: RequestId, key: &Key, want: Want, out: &mut Effects<Self>) {
        let refusal = if !self.is_member() {
            Some(self.not_member())
        } else if **key == *REGISTER {
            Some(Refusal::Inapplicable { why: "this key is the cluster's own".into() })
        } else {
            (self.waiting >= self.options.requests_max).then_some(Refusal::Busy)
        };
        if let Some(refusal) = refusal {
            return out.reply_at_once(id, Err(refusal));
        }
        self.waiting += 1;
        let until = self.now + self.options.patience;
        let asker = Asker::Client(id);
        self.line_up(key, Waiting { asker, want, until, proposed: false }, out);
    }

    /// Puts a request in line.
    pub(super) fn line_up(&mut self, key: &Key, waiting: Waiting, out: &mut Effects<Self>) {
        let line = self.lines.entry(key.clone()).or_default();
        line.queue.push_back(waiting);
        // Whatever it wants, the key is in use.
        if line.collection.as_ref().is_some_and(Collection::is_under_way) {
            line.collection = None;
            out.note(Note::NotCollected { key: key.clone() });
        }
        self.touched.insert(key.clone());
    }

    /// Proposes what waits in line, if nothing else is proposed for the key.
    pub(super) fn serve(&mut self, key: &Key, out: &mut Effects<Self>) {
        let promised = self.acceptor.promised(key);
        let Some(line) = self.lines.get_mut(key) else { return };
        let waits = line.rests_until.is_some() || line.yields_until.is_some();
        if line.queue.is_empty() || waits || !line.is_done() {
            return;
        }
        line.round = None;
        // What this node has promised to others is a conflict that need not be waited for.
        match line.cache.take().filter(|cache| cache.ballot >= promised) {
            Some(cache) => self.propose(key, cache.ballot, (cache.parent, cache.state), true, out),
            None => self.prepare(key, out),
        }
    }

    /// Another node has asked for promises, and this one has given its own: it can expect to be heard
    /// out.
    pub(super) fn yield_to_rival(&mut self, key: &Key) {
        let until = self.now + self.options.courtesy;
        let line = self.lines.entry(key.clone()).or_default();
        // One after the other would make it wait for ever.
        if !line.yielded && line.yields_until.is_none() {
            line.yields_until = Some(until);
        }
    }

    /// Another node's proposal has come to its end: it is the turn of whoever is quickest.
    pub(super) fn follow_rival(&mut self, key: &Key) {
        let Some(line) = self.lines.get_mut(key) else { return };
        line.yielded = false;
        let waited = line.yields_until.take().is_some() && !line.queue.is_empty();
        if waited || line.rests_until.is_some() {
            let soon = self.now + drawn_up_to(self.options.backoff_min, &mut self.rng);
            line.rests_until = Some(line.rests_until.map_or(soon, |at| at.min(soon)));
        }
    }

    /// Begins phase 1.
    pub(super) fn prepare(&mut self, key: &Key, out: &mut Effects<Self>) {
        let ballot = self.next_ballot(self.acceptor.promised(key), out);
        let resend = self.now + self.options.resend;
        let Some(line) = self.lines.get_mut(key) else { return };
        let phase = Phase::Prepare(Vec::new());
        line.round = Some(Round { ballot, conflicts: BTreeMap::new(), phase });
        line.resend = Some(resend);
        out.note(Note::Prepared { key: key.clone(), ballot });
        self.ask(key, out);
    }

    /// Asks the acceptors that have not answered yet.
    fn ask(&mut self, key: &Key, out: &mut Effects<Self>) {
        let acceptors = self.configuration.acceptors();
        // Itself last, so that what it writes to its own disk is behind what it sends.
        let (own, others): (Vec<NodeId>, Vec<NodeId>) =
            acceptors.into_iter().partition(|node| *node == self.id);
        self.ask_these(&[others, own].concat(), key, out);
    }

    /// Asks these acceptors, if they have not answered yet.
    pub(super) fn ask_these(&mut self, nodes: &[NodeId], key: &Key, out: &mut Effects<Self>) {
        let age = self.age;
        let Some(round) = self.lines.get(key).and_then(|line| line.round.as_ref()) else { return };
        let ballot = round.ballot;
        let (body, heard): (Body, BTreeSet<NodeId>) = match &round.phase {
            Phase::Prepare(promises) => {
                (Body::Prepare { ballot, age }, promises.iter().map(|(node, ..)| *node).collect())
            }
            Phase::Accept(Proposal { state, next, acks, .. }) => {
                (Body::Accept { ballot, age, state: state.clone(), next: *next }, acks.clone())
            }
        };
        for node in nodes.iter().filter(|node| !heard.contains(node)) {
            self.post(*node, key, body.clone(), out);
        }
    }

    /// An acceptor does not listen to what was said before a tombstone was collected, of another key
    /// as a rule: it is said again, at this node's present age.
    pub(super) fn on_too_young(
        &mut self,
        from: NodeId,
        key: &Key,
        ballot: Ballot,
        out: &mut Effects<Self>,
    ) {
        if self.round(key, ballot).is_some() {
            self.ask_these(&[from], key, out);
        }
    }

    /// An acceptor has promised: with enough of them, phase 2 begins.
    pub(super) fn on_promise(
        &mut self,
        from: NodeId,
        key: &Key,
        ballot: Ballot,
        (accepted, state): (Ballot, Arc<Register>),
        out: &mut Effects<Self>,
    ) {
        let takes_first = self.bug(Bug::FirstValueChosen);
        let configuration = self.configuration.clone();
        let Some(round) = self.round(key, ballot) else { return };
        let Phase::Prepare(promises) = &mut round.phase else { return };
        if promises.iter().any(|(node, ..)| *node == from) {
            return;
        }
        round.conflicts.remove(&from);
        promises.push((from, accepted, state));
        if !configuration.promised(promises.iter().map(|(node, ..)| node)) {
            return;
        }
        let highest = promises
            .drain(..)
            .reduce(|best, next| if next.1 > best.1 && !takes_first { next } else { best });
        let Some((_, parent, state)) = highest else { return };
        if self.bug(Bug::ReadNotProposed) {
            self.answer_reads(key, &state, out);
        }
        self.propose(key, ballot, (parent, state), false, out);
    }

    /// Begins phase 2: carries out what waits in line, and proposes the outcome.
    fn propose(
        &mut self,
        key: &Key,
        ballot: Ballot,
        (parent, before): (Ballot, Arc<Register>),
        at_once: bool,
        out: &mut Effects<Self>,
    ) {
        let Some(line) = self.lines.get_mut(key) else { return };
        let count = line.queue.len().min(self.options.batch_max);
        let requests: Vec<Waiting> = line.queue.drain(..count).collect();
        let mut state = before.clone();
        let batch: Vec<(Waiting, Output)> = requests
            .into_iter()
            .map(|mut waiting| {
                waiting.proposed = matches!(waiting.want, Want::Write(_));
                let output = self.carry_out(&waiting.want, &mut state);
                (waiting, output)
            })
            .collect();
        // What turns out to be no tombstone is proposed all the same, for this node's acceptor to know.
        if self.is_spreading(key) && *state.value() != Value::Null {
            self.give_up_collection(key, out);
        }
        let spreads = self.is_spreading(key);
        let next = (self.options.one_round && !spreads).then(|| self.next_ballot(ballot, out));
        out.note(Note::Proposed { key: key.clone(), ballot, parent, requests: count, at_once });
        let acks = BTreeSet::new();
        let proposal = Proposal { parent, before, state, next, acks, batch, chosen: false };
        let resend = self.now + self.options.resend;
        if let Some(line) = self.lines.get_mut(key) {
            let phase = Phase::Accept(proposal);
            line.round = Some(Round { ballot, conflicts: BTreeMap::new(), phase });
            line.resend = Some(resend);
        }
        self.ask(key, out);
    }

    /// Carries a request out on a key.
    fn carry_out(&self, want: &Want, state: &mut Arc<Register>) -> Output {
        let command = match want {
            Want::Read => return Output::Value(state.value().clone()),
            Want::Write(command) => command,
        };
        let session = command.session.as_ref();
        let buried = session.and_then(|session| self.graves.look_up(session).answer());
        buried.unwrap_or_else(|| self.apply(command, Arc::make_mut(state)))
    }

    /// Whether what is proposed for a key is a tombstone that is to be collected.
    fn is_spreading(&self, key: &Key) -> bool {
        let line = self.lines.get(key);
        line.is_some_and(|line| matches!(line.collection, Some(Collection::Spreading)))
    }

    /// An acceptor has accepted: with enough of them, the proposal is chosen.
    pub(super) fn on_accepted(
        &mut self,
        from: NodeId,
        key: &Key,
        ballot: Ballot,
        out: &mut Effects<Self>,
    ) {
        let current = self.lines.get(key).and_then(|line| line.round.as_ref());
        let ballot = match current {
            Some(round) if self.bug(Bug::OldAckCounted) => round.ballot,
            _ => ballot,
        };
        let (one, configuration) = (self.bug(Bug::OneAckIsEnough), self.configuration.clone());
        let Some(round) = self.round(key, ballot) else { return };
        let Phase::Accept(proposal) = &mut round.phase else { return };
        round.conflicts.remove(&from);
        proposal.acks.insert(from);
        if (one || configuration.accepted(&proposal.acks)) && !proposal.chosen {
            proposal.chosen = true;
            let batch = std::mem::take(&mut proposal.batch);
            self.on_chosen(key, ballot, batch, out);
        }
        self.conclude(key, ballot, out);
    }

    /// A proposal is chosen: whoever waited for it is answered.
    fn on_chosen(
        &mut self,
        key: &Key,
        ballot: Ballot,
        batch: Vec<(Waiting, Output)>,
        out: &mut Effects<Self>,
    ) {
        out.note(Note::Chosen { key: key.clone(), ballot });
        if let Some(line) = self.lines.get_mut(key) {
            line.times = 0;
            line.yielded = false;
        }
        for (waiting, output) in batch {
            match waiting.want {
                _ if !waiting.asker.is_client() => {}
                Want::Read => self.reads += 1,
                Want::Write(_) => self.writes += 1,
            }
            // A quorum has it on its disks, so nothing on the way to this one is promised.
            self.reply(waiting.asker, key, Ok(output), out);
        }
    }

    /// Ends a proposal that was chosen, when it has all the answers that it waits for.
    fn conclude(&mut self, key: &Key, ballot: Ballot, out: &mut Effects<Self>) {
        let (everybody, configuration) = (self.everybody(), self.configuration.clone());
        let spreads = self.is_spreading(key);
        let Some(line) = self.lines.get_mut(key) else { return };
        let Some(Round { phase: Phase::Accept(proposal), conflicts, .. }) = &line.round else {
            return;
        };
        if !proposal.chosen {
            return;
        }
        let Proposal { next, acks, state, .. } = proposal;
        if spreads {
            if acks.len() >= everybody {
                line.round = None;
                self.spread(key, ballot, out);
            }
            return;
        }
        match next.filter(|_| conflicts.is_empty()) {
            // The cache needs a quorum of promises, which may be more than those that accept.
            Some(_) if !configuration.promised(acks.iter()) => {}
            Some(next) => {
                let cache = Cache { ballot: next, parent: ballot, state: state.clone() };
                line.cache = Some(cache);
                line.round = None;
            }
            None => line.round = None,
        }
    }

    /// An acceptor has promised somebody else a higher ballot.
    pub(super) fn on_conflict(
        &mut self,
        from: NodeId,
        key: &Key,
        ballot: Ballot,
        promised: Ballot,
        out: &mut Effects<Self>,
    ) {
        // The answer to a late copy: what this node was promised since is no conflict.
        if promised.node == self.id {
            return;
        }
        self.counter = self.counter.max(promised.counter);
        if let Some(line) = self.lines.get_mut(key)
            && line.cache.as_ref().is_some_and(|cache| cache.ballot < promised)
        {
            line.cache = None;
        }
        let spreads = self.is_spreading(key);
        let (configuration, everybody) = (self.configuration.clone(), self.everybody());
        let Some(round) = self.round(key, ballot) else { return };
        let heard = match &round.phase {
            Phase::Prepare(promises) => promises.iter().any(|(node, ..)| *node == from),
            Phase::Accept(proposal) if proposal.chosen && !spreads => {
                // Nobody is kept waiting, but what it would leave in the cache is worth nothing.
                if let Some(line) = self.lines.get_mut(key) {
                    line.round = None;
                }
                return;
            }
            Phase::Accept(proposal) => proposal.acks.contains(&from),
        };
        if heard {
            return;
        }
        round.conflicts.insert(from, promised);
        let mut left = configuration.acceptors();
        left.retain(|node| !round.conflicts.contains_key(node));
        let is_possible = match &round.phase {
            Phase::Prepare(_) => configuration.promised(left.iter()),
            Phase::Accept(_) if spreads => left.len() >= everybody,
            Phase::Accept(_) => configuration.accepted(&left),
        };
        if !is_possible {
            self.abandon(key, out);
        }
    }

    /// Gives a proposal up; its requests go back in line, for after a rest.
    pub(super) fn abandon(&mut self, key: &Key, out: &mut Effects<Self>) {
        if self.is_spreading(key) {
            self.give_up_collection(key, out);
        }
        let Some(line) = self.lines.get_mut(key) else { return };
        let Some(round) = line.round.take() else { return };
        line.cache = None;
        line.times += 1;
        let doubled = self.options.backoff_min * (1 << (line.times - 1).min(16));
        let most = doubled.min(self.options.backoff_max);
        line.rests_until = Some(self.now + drawn_up_to(most, &mut self.rng));
        let by = round.conflicts.values().max().copied().unwrap_or_default();
        let (ballot, times) = (round.ballot, line.times);
        out.note(Note::Overtaken { key: key.clone(), ballot, by, times });
        if let Phase::Accept(Proposal { parent, before, batch, .. }) = round.phase {
            if self.bug(Bug::CacheKept) {
                let ballot = self.next_ballot(by, out);
                if let Some(line) = self.lines.get_mut(key) {
                    line.cache = Some(Cache { ballot, parent, state: before });
                }
            }
            for (waiting, _) in batch.into_iter().rev() {
                self.put_back(key, waiting, out);
            }
        }
    }

    /// Puts a request back in line, if it can be proposed a second time.
    pub(super) fn put_back(&mut self, key: &Key, waiting: Waiting, out: &mut Effects<Self>) {
        let is_repeatable = match &waiting.want {
            Want::Read => true,
            // It does the same however often it is done.
            Want::Write(_) if !waiting.asker.is_client() => true,
            Want::Write(command) => command.session.is_some() && !self.bug(Bug::CertainRefusal),
        };
        match self.lines.get_mut(key) {
            Some(line) if is_repeatable => line.queue.push_front(waiting),
            _ => self.refuse(key, &waiting, out),
        }
    }

    /// Tells a client that its request was not chosen in time.
    fn refuse(&mut self, key: &Key, waiting: &Waiting, out: &mut Effects<Self>) {
        let proposed = waiting.proposed && !self.bug(Bug::CertainRefusal);
        self.reply(waiting.asker, key, Err(Refusal::NotChosen { proposed }), out);
    }

    /// Refuses what waits in line at a node that is no member any more.
    pub(super) fn refuse_all(&mut self, key: &Key, out: &mut Effects<Self>) {
        let Some(line) = self.lines.get_mut(key) else { return };
        for waiting in std::mem::take(&mut line.queue) {
            match waiting.proposed {
                true => self.refuse(key, &waiting, out),
                false => self.reply(waiting.asker, key, Err(self.not_member()), out),
            }
        }
    }

    /// A line's time has come.
    pub(super) fn on_alarm(&mut self, key: &Key, out: &mut Effects<Self>) {
        let now = self.now;
        let is_due = |time: Time| time <= now;
        self.give_up_requests(key, out);
        let Some(line) = self.lines.get_mut(key) else { return };
        line.rests_until = line.rests_until.filter(|at| !is_due(*at));
        if line.yields_until.is_some_and(is_due) {
            line.yields_until = None;
            line.yielded = !line.queue.is_empty();
        }
        let collects = line.collection.as_ref().is_some_and(Collection::is_under_way);
        if matches!(line.collection, Some(Collection::Due(at)) if at <= now) {
            self.begin_collection(key, out);
        } else if line.resend.is_some_and(is_due) {
            line.resend = Some(now + self.options.resend);
            if collects && is_due(line.collects_until) {
                line.round = None;
                self.give_up_collection(key, out);
            } else if line.round.is_some() && line.is_done() && !collects {
                // It waits for answers that would only fill the cache.
                line.round = None;
            } else if line.round.as_ref().is_some_and(|round| !round.conflicts.is_empty()) {
                // Those who are missing may never answer, and those who refuse do not change their
                // minds.
                self.abandon(key, out);
            } else if line.round.is_some() {
                self.ask(key, out);
            } else {
                self.ask_collected(key, out);
            }
        }
    }

    /// Gives up what has waited for too long.
    fn give_up_requests(&mut self, key: &Key, out: &mut Effects<Self>) {
        let now = self.now;
        let spreads = self.is_spreading(key);
        let Some(line) = self.lines.get_mut(key) else { return };
        let mut late: Vec<Waiting> = Vec::new();
        let mut kept = VecDeque::new();
        for waiting in line.queue.drain(..) {
            if waiting.until <= now { late.push(waiting) } else { kept.push_back(waiting) }
        }
        line.queue = kept;
        if let Some(Round { phase: Phase::Accept(proposal), .. }) = &mut line.round {
            let batch = std::mem::take(&mut proposal.batch);
            let (over, rest): (Vec<_>, Vec<_>) =
                batch.into_iter().partition(|(waiting, _)| waiting.until <= now);
            proposal.batch = rest;
            late.extend(over.into_iter().map(|(waiting, _)| waiting));
        }
        let nobody_waits = line.queue.is_empty()
            && match line.round.as_ref().map(|round| &round.phase) {
                Some(Phase::Accept(proposal)) => proposal.batch.is_empty(),
                _ => true,
            };
        if nobody_waits && !spreads && !late.is_empty() {
            line.round = None;
            line.rests_until = None;
        }
        if !late.is_empty() {
            out.note(Note::GaveUp { key: key.clone(), requests: late.len() });
        }
        for waiting in late {
            self.refuse(key, &waiting, out);
        }
    }

    pub(super) fn reply(&mut self, asker: Asker, key: &Key, reply: Reply, out: &mut Effects<Self>) {
        match asker {
            Asker::Client(id) => {
                self.waiting -= 1;
                out.reply_at_once(id, reply);
            }
            Asker::Change(step) => self.own_replies.push_back((step, key.clone(), reply)),
        }
    }

    /// The round of a key, if it has this ballot.
    fn round(&mut self, key: &Key, ballot: Ballot) -> Option<&mut Round> {
        let round = self.lines.get_mut(key)?.round.as_mut()?;
        (round.ballot == ballot).then_some(round)
    }
}
