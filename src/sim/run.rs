//! One simulated run, from the first operation to the last read after healing: the life of
//! [`crate::campaign::run`] in virtual time.
//!
//! Safety, then heal, then liveness, as there; every decision a client makes and every line of the
//! history is made by the same code.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use rashomon_checker::history::{Event, EventType, Process, Value};
use rashomon_nemesis::{Node, Step};
use rashomon_stores::replica::{NodeId, Replica, RequestId};

use super::Scenario;
use super::client::Client;
use super::conductor::Conductor;
use super::cuts::{Cuts, GATHER, Snapshots, Taken};
use super::guard::guarded;
use super::network::Traffic;
use super::operator::OPERATOR;
use super::scenario::NODES_MAX;
use super::situations::{Situation, Surroundings};
use super::story::Story;
use super::witness::{Breach, Witness};
use super::world::{Happening, Hardship, Heard, Observed, World};
use crate::campaign::chronicle;
use crate::campaign::finals::FinalReads;
use crate::campaign::{Entry, FINAL_READERS, RECOVERY_LIMIT, RECOVERY_POLL, Recovery};
use crate::client::Answer;
use crate::client::pursuit::{Next, PAUSE};
use crate::target::agree;
use crate::workload::script::Script;
use crate::workload::{Outcome, Request};

/// What is told of a run beside its history. Nothing of it has any influence on the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Telling {
    /// Its story, for people.
    pub story: bool,
    /// What every node did, with vector clocks.
    pub node_traces: bool,
    /// Consistent snapshots of the whole, to the run's witness.
    pub snapshots: Option<Snapshots>,
    /// The situations that it gets into.
    pub situations: bool,
}

impl Telling {
    /// Nothing.
    pub const NOTHING: Telling =
        Telling { story: false, node_traces: false, snapshots: None, situations: false };
    /// The story.
    pub const STORY: Telling = Telling { story: true, ..Telling::NOTHING };
    /// The traces of its nodes.
    pub const NODE_TRACES: Telling = Telling { node_traces: true, ..Telling::NOTHING };
    /// The situations that it gets into.
    pub const SITUATIONS: Telling = Telling { situations: true, ..Telling::NOTHING };
}

/// What a run left.
#[derive(Debug)]
pub struct Recorded {
    /// The history.
    pub events: Vec<Event>,
    /// What became of the store after healing.
    pub recovery: Recovery,
    /// The first invariant that was seen broken, if any was.
    pub breach: Option<Breach>,
    /// What the network did.
    pub traffic: Traffic,
    /// What the nodes went through.
    pub hardship: Hardship,
    /// What the witness and the world saw how often; also what they look for and did not see.
    pub sightings: Vec<(&'static str, u64)>,
    /// How long the run took in the world's time, in nanoseconds.
    pub virtual_ns: u64,
    /// How many things happened.
    pub simulated: u64,
    /// The story, if it was to be told.
    pub story: Option<String>,
    /// The traces of its nodes (see [`rashomon_stores::observe::trace`]), if they were traced.
    pub traces: Vec<(NodeId, Vec<u8>)>,
    /// The faults as they struck, on the nodes that they struck.
    pub struck: Vec<Step>,
    /// Which of the scenario's operations were begun, by their place.
    pub begun: Vec<usize>,
    /// The situations that it got into, in order of time, if they were to be told.
    pub situations: Vec<Situation>,
}

/// Wake-up calls of a run.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wake {
    /// The next operation is due.
    Due,
    /// A client's pause is over.
    Ask { client: usize, age: u64 },
    /// A client's patience is over.
    Deadline { client: usize, age: u64 },
    /// A step of the schedule is due.
    Strike(usize),
    /// What a step of the schedule waited for has happened.
    Sprung(usize),
    /// Time to look who leads.
    Watch,
    /// Time to see to snapshots.
    Gather,
    /// What is left to chance is drawn from this seed from now on.
    Luck(u64),
    /// Time for the operator to see to an order.
    Operate { order: u64, age: u64 },
}

/// The history as it grows.
#[derive(Debug, Default)]
pub(super) struct Tape {
    events: Vec<Event>,
}

impl Tape {
    /// Records what happens at a time.
    pub(super) fn record(&mut self, now: u64, entry: Entry) {
        let mut event = entry.event(self.events.len() as u64, now);
        // The line it has when the history is written to a file.
        event.line = self.events.len() as u32 + 1;
        self.events.push(event);
    }
}

/// A run under way.
pub(super) struct Run<'a, R: Replica, W> {
    scenario: &'a Scenario,
    world: World<R, Wake>,
    clients: Vec<Client>,
    conductor: Conductor<'a>,
    witness: W,
    breach: Option<Breach>,
    tape: Tape,
    /// The number of the operation that is due next, and which were begun.
    due: usize,
    begun: Vec<usize>,
    /// The names of the nodes, made once.
    names: Vec<Arc<str>>,
    requests: u64,
    next_look: u64,
    /// Whether clients still begin operations.
    working: bool,
    /// How many of them are in the middle of one.
    busy: usize,
    /// How many operations have ended.
    ended: u64,
    last_outcome: Option<Outcome>,
    cuts: Cuts<R>,
    /// What became of the latest snapshot.
    last_cut: Option<Taken<R>>,
    /// The situations that it got into, once its clients have ended.
    situations: Vec<Situation>,
}

/// How often all cores together are looked at, in nanoseconds.
const LOOK_INTERVAL: u64 = 250_000_000;
/// How long the last orders of the operator may take to arrive and to be carried out, in nanoseconds.
const LAST_ORDERS: u64 = 1_000_000_000;
/// The least time between two operations of the last reads, in nanoseconds: the second comes after.
const BREATH: u64 = 1_000;

impl<'a, R: Replica, W: Witness<R>> Run<'a, R, W> {
    /// A run that has not begun.
    pub(super) fn new(
        scenario: &'a Scenario,
        options: R::Options,
        witness: W,
        told: Telling,
    ) -> Self {
        let mut world = World::new(scenario.nodes, options, scenario.climate, scenario.seed);
        world.story = told.story.then(Story::default);
        world.scout = told.situations.then(Box::default);
        if told.node_traces || told.snapshots.is_some() {
            let bug = told.snapshots.and_then(|snapshots| snapshots.bug);
            world.observe_nodes(Observed { traced: told.node_traces, bug });
        }
        world.watch_for(&witness);
        let nodes = usize::from(scenario.nodes);
        let clients = (0..usize::from(scenario.operations.clients()))
            .map(|number| Client::new(number % nodes, nodes, number as u64).of(&scenario.store))
            .map(|client| client.roaming(scenario.roam))
            .collect();
        let names = Node::first(NODES_MAX).map(|node| Arc::from(node.to_string())).collect();
        Run {
            scenario,
            world,
            clients,
            conductor: Conductor::new(&scenario.schedule, scenario.nodes),
            witness,
            breach: None,
            tape: Tape::default(),
            due: 0,
            begun: Vec::new(),
            names,
            requests: 0,
            next_look: 0,
            working: true,
            busy: 0,
            ended: 0,
            last_outcome: None,
            cuts: Cuts::new(scenario.seed, told.snapshots),
            last_cut: None,
            situations: Vec::new(),
        }
    }

    /// Lives it to its end, which comes early if a core breaks: panics, or cannot start again.
    pub(super) fn complete(mut self) -> Recorded {
        let recovery = self.live().unwrap_or_else(|broken| {
            self.report(Err(broken));
            Recovery { took_ms: None, missing: None }
        });
        self.end_scouting();
        let mut sightings = self.witness.sightings();
        sightings.extend(self.world.hardship.sightings());
        sightings.extend(self.conductor.sightings());
        sightings.extend(self.cuts.sightings());
        Recorded {
            recovery,
            breach: self.breach,
            traffic: self.world.traffic(),
            hardship: self.world.hardship,
            sightings,
            virtual_ns: self.world.now(),
            simulated: self.world.events,
            traces: self.world.take_traces(),
            story: self.world.story.map(Story::into_text),
            events: self.tape.events,
            struck: self.conductor.done,
            begun: self.begun,
            situations: self.situations,
        }
    }

    /// Works, heals and recovers.
    ///
    /// # Errors
    /// What is broken, when a core is.
    fn live(&mut self) -> Result<Recovery, Breach> {
        for id in self.world.ids() {
            self.world.start(id)?;
        }
        let end = nanoseconds(self.scenario.time_limit);
        for (number, step) in self.scenario.schedule.steps().iter().enumerate() {
            self.world.wake_at(nanoseconds(step.at), Wake::Strike(number));
        }
        for (from, seed) in &self.scenario.luck.0 {
            self.world.wake_at(nanoseconds(*from), Wake::Luck(*seed));
        }
        self.world.wake_at(0, Wake::Watch);
        if self.cuts.takes_them_often() {
            self.world.wake_at(0, Wake::Gather);
        }
        self.plan_operation();
        self.pump(end, |_| false)?;
        self.working = false;
        self.end_scouting();
        self.conductor.undo_everything(&mut self.world, &mut self.tape)?;
        let started = self.world.become_fair();
        self.chronicle();
        started?;
        self.pump(u64::MAX, |run| run.busy == 0)?;
        let recovery = self.recover()?;
        self.world.conclude();
        self.chronicle();
        let seen = self.glance(true);
        self.report(seen);
        Ok(recovery)
    }

    /// Lets the world go on until a time or until something is so; says whether it is.
    fn pump(&mut self, until: u64, done: impl Fn(&Self) -> bool) -> Result<bool, Breach> {
        loop {
            if !self.world.incidents.is_empty() {
                self.chronicle();
            }
            if self.world.has_started_nodes() {
                self.world.scout_started();
                let seen = self.world.show_started(&mut self.witness);
                self.report(seen);
            }
            if done(self) {
                return Ok(true);
            }
            let Some(happening) = self.world.advance(until) else { return Ok(false) };
            match happening {
                Happening::Step(id) => self.look_at(id),
                Happening::Heard(id, heard) if id.0 & CLIENT_MASK == OPERATOR => {
                    let Run { conductor, world, tape, .. } = self;
                    let shut_down = conductor.heard(id, &heard, world, tape);
                    shut_down.into_iter().for_each(|id| self.crashed(id));
                }
                Happening::Heard(id, heard) => {
                    let client = (id.0 & CLIENT_MASK) as usize;
                    if !self.is_parted(client) {
                        self.hear(client, id, heard);
                    }
                }
                Happening::Wake(wake) => self.wake(wake)?,
                Happening::Stopped(id) => self.crashed(id),
                Happening::Broken(broken) => return Err(broken),
                Happening::Nothing => {}
            }
        }
    }

    /// Writes down which mishaps began and ended.
    fn chronicle(&mut self) {
        let now = self.world.now();
        for incident in self.world.incidents.drain(..) {
            self.conductor.chronicle(incident, now, &mut self.tape);
        }
    }

    /// Lets the witness look at a node after its step, and now and then at all of them.
    fn look_at(&mut self, id: NodeId) {
        self.scout_at(id);
        let mut seen = self.world.show_step(id, &mut self.witness);
        if self.conductor.awaits_leader() {
            self.conductor.watch(&mut self.world, &mut self.tape);
        }
        if self.world.now() >= self.next_look {
            self.next_look = self.world.now() + LOOK_INTERVAL;
            seen = seen.and_then(|()| self.glance(false));
        }
        self.report(seen);
    }

    /// A node went down.
    fn crashed(&mut self, id: NodeId) {
        self.witness.crashed(id);
        let now = self.world.now();
        if let Some(scout) = &mut self.world.scout {
            scout.crashed(id, now);
        }
    }

    /// Lets the scout see a node after its step, if there is one.
    fn scout_at(&mut self, id: NodeId) {
        let Run { world, conductor, busy, .. } = self;
        let Some(mut scout) = world.scout.take() else { return };
        let around = Surroundings { now: world.now(), faults: conductor.standing(), busy: *busy };
        for (noter, note) in &world.notes {
            scout.noted::<R>(*noter, note, around);
        }
        if let Some(core) = world.core(id) {
            scout.stepped(id, core.outline(), around);
        }
        world.scout = Some(scout);
    }

    /// What comes after the clients' work is alike in all runs.
    fn end_scouting(&mut self) {
        if let Some(scout) = self.world.scout.take() {
            self.situations = scout.found();
        }
    }

    fn glance(&mut self, whole: bool) -> Result<(), Breach> {
        let cores: Vec<(NodeId, &R)> = self.world.cores().collect();
        self.witness.glanced(&cores, whole)
    }

    /// Keeps the first breach; the run goes on, because clients may yet see something of it.
    fn report(&mut self, seen: Result<(), Breach>) {
        if let Err(breach) = seen {
            self.world.tell(|| format!("broken: {breach}"));
            self.breach.get_or_insert(breach);
        }
    }

    fn wake(&mut self, wake: Wake) -> Result<(), Breach> {
        let now = self.world.now();
        match wake {
            Wake::Due if self.working => self.begin_planned(),
            Wake::Ask { client, age } if self.clients[client].age == age => self.ask(client),
            Wake::Deadline { client, age } if self.clients[client].age == age => {
                if let Some(operation) = &mut self.clients[client].operation {
                    let next = operation.out_of_time();
                    self.go_on(client, next);
                }
            }
            Wake::Strike(number) if self.working && self.conductor.arm(number, self.ended) => {}
            Wake::Strike(number) | Wake::Sprung(number) if self.working => {
                let Run { conductor, world, tape, .. } = self;
                let crashed = conductor.strike(number, world, tape)?;
                crashed.into_iter().for_each(|id| self.crashed(id));
            }
            Wake::Operate { order, age } => {
                let Run { conductor, world, tape, .. } = self;
                let shut_down = conductor.operate((order, age), world, tape);
                shut_down.into_iter().for_each(|id| self.crashed(id));
            }
            Wake::Luck(seed) if self.working => self.world.change_luck(seed),
            Wake::Gather => self.gather(now),
            Wake::Watch => {
                self.conductor.watch(&mut self.world, &mut self.tape);
                self.world.wake_at(now + super::conductor::WATCH, Wake::Watch);
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes a snapshot a step further, and shows the witness one that is complete.
    fn gather(&mut self, now: u64) {
        let nodes = self.living_members();
        let taken = self.cuts.see_to(&nodes, &mut self.world);
        if let Some(Taken::Cut(cut)) = &taken {
            let seen = self.witness.cut(cut);
            self.report(seen);
        }
        self.last_cut = taken.or(self.last_cut.take());
        if self.cuts.takes_them_often() || self.cuts.is_busy() {
            self.world.wake_at(now + GATHER, Wake::Gather);
        }
    }

    /// Waits for the next operation, if there is one.
    fn plan_operation(&mut self) {
        if let Some(planned) = self.scenario.operations.operations().get(self.due) {
            self.world.wake_at(nanoseconds(planned.at), Wake::Due);
        }
    }

    /// Begins the operation that is due, unless its client is busy.
    fn begin_planned(&mut self) {
        let planned = &self.scenario.operations.operations()[self.due];
        let client = usize::from(planned.client);
        if self.clients[client].operation.is_none() {
            self.begun.push(self.due);
            self.begin(client, planned.request.clone());
        } else {
            self.world.tell(|| format!("left out, the client is busy: {planned}"));
        }
        self.due += 1;
        self.plan_operation();
    }

    fn begin(&mut self, client: usize, request: Request) {
        let now = self.world.now();
        let deadline = now + nanoseconds(self.scenario.operation_timeout);
        let home = self.clients[client].home;
        self.record(client, EventType::Invoke, &request, request.action.argument(), home, None);
        self.clients[client].begin(request, deadline);
        self.busy += 1;
        let age = self.clients[client].age;
        self.world.wake_at(deadline, Wake::Deadline { client, age });
        self.ask(client);
    }

    /// A client hears of a request.
    fn hear(&mut self, client: usize, id: RequestId, heard: Heard) {
        let now = self.world.now();
        let waits = self.clients[client].operation.as_mut();
        if let Some(operation) = waits.filter(|operation| operation.asked == Some(id)) {
            let next = operation.heard(heard, now);
            self.go_on(client, next);
        }
    }

    /// Whether a closed link is between a client and the node that it asks.
    fn is_parted(&self, client: usize) -> bool {
        let Client { site, operation, .. } = &self.clients[client];
        let id = |index: usize| NodeId(index as u16 + 1);
        self.scenario.client_links
            && operation.as_ref().is_some_and(|it| self.world.is_parted(id(*site), id(it.node())))
    }

    fn ask(&mut self, client: usize) {
        self.requests += 1;
        let id = RequestId((self.requests << CLIENT_BITS) | client as u64);
        let parted = self.is_parted(client);
        if let Some(operation) = &mut self.clients[client].operation {
            operation.asked = Some(id);
            let node = NodeId(operation.node() as u16 + 1);
            // What sets out towards a closed link is never heard of.
            if !parted {
                self.world.request(node, id, operation.wanted.clone());
            }
        }
    }

    fn go_on(&mut self, client: usize, next: Next) {
        let now = self.world.now();
        match next {
            Next::Ask => self.ask(client),
            Next::AskLater => {
                let age = self.clients[client].age;
                self.world.wake_at(now + nanoseconds(PAUSE), Wake::Ask { client, age });
            }
            Next::End(answer) => self.end(client, answer),
        }
    }

    fn end(&mut self, number: usize, answer: Answer) {
        let client = &mut self.clients[number];
        client.age += 1;
        let Some(operation) = client.finish() else { return };
        let request = operation.request;
        let argument = || request.action.argument();
        let (kind, value, error) = match &answer.outcome {
            Outcome::Ok(value) => (EventType::Ok, value.clone(), None),
            Outcome::Fail(why) => (EventType::Fail, argument(), Some(Value::text(why))),
            Outcome::Info(why) => (EventType::Info, argument(), Some(Value::text(why))),
        };
        self.record(number, kind, &request, value, answer.node, error);
        if matches!(answer.outcome, Outcome::Info(_)) {
            let stride = u64::from(self.scenario.operations.clients());
            let process = self.clients[number].process + stride;
            self.clients[number].renew(process);
        }
        self.busy -= 1;
        self.ended += 1;
        self.conductor.count(self.ended, &mut self.world);
        self.last_outcome = Some(answer.outcome);
    }

    fn record(
        &mut self,
        client: usize,
        kind: EventType,
        request: &Request,
        value: Value,
        node: usize,
        error: Option<Value>,
    ) {
        let (process, name) = (self.clients[client].process, self.names[node].clone());
        let f = request.action.f();
        self.world.tell(|| {
            let (kind, key) = (kind.as_str(), &request.key);
            let why = error.as_ref().map_or(String::new(), |why| format!(", {why}"));
            format!("process {process} at {name}: {kind} {f} {key} {value}{why}")
        });
        let entry = Entry {
            process: Process::Client(process),
            kind,
            f,
            key: Some(Value::text(&request.key)),
            value,
            node: Some(name),
            error,
        };
        self.tape.record(self.world.now(), entry);
    }

    /// Reads every key by way of every node until all reads succeed and the nodes agree. Where nodes
    /// take turns in leading, each leads while it is asked: replicas that differ look alike as long
    /// as the same one answers.
    fn recover(&mut self) -> Result<Recovery, Breach> {
        let healed = self.world.now();
        let limit = healed + nanoseconds(RECOVERY_LIMIT);
        // Of what was begun: of the rest nobody knows anything.
        let operations = self.scenario.operations.operations();
        let begun = self.begun.iter().map(|place| operations[*place].clone());
        let reads = Script::new(begun.collect()).reads();
        let mut missing = self.restore_in_time(limit)?;
        let contract = self.scenario.contract();
        if missing.is_none() && !contract.linearizable {
            // Reads may be alike by chance long before the nodes are.
            missing = self.settle_in_time(limit)?;
        }
        let readers = self.readers();
        self.tape.record(self.world.now(), chronicle::final_reads());
        let mut finals = FinalReads::new(reads, &contract);
        loop {
            let failed = self.read_all(readers.clone(), &mut finals, limit)?;
            missing = missing.or(failed);
            let Some(why) = finals.disagreement() else { break };
            if self.world.now() >= limit {
                missing = missing.or(Some(why));
            }
            if missing.is_some() {
                break;
            }
            self.rest(nanoseconds(RECOVERY_POLL))?;
        }
        if missing.is_none() {
            missing = self.settle_in_time(limit)?;
        }
        if missing.is_none() && !contract.linearizable {
            missing = self.converge_in_time(limit)?;
        }
        let took_ms = missing.is_none().then(|| (self.world.now() - healed) / 1_000_000);
        Ok(Recovery { took_ms, missing })
    }

    /// A client at every living member.
    fn readers(&mut self) -> Range<usize> {
        let (first, nodes) = (self.clients.len(), usize::from(self.scenario.nodes));
        for id in self.living_members() {
            let node = usize::from(id.0) - 1;
            let client = Client::new(node, nodes, FINAL_READERS + node as u64);
            self.clients.push(client.of(&self.scenario.store));
        }
        first..self.clients.len()
    }

    /// One round of the final reads; says which one fails.
    fn read_all(
        &mut self,
        readers: Range<usize>,
        finals: &mut FinalReads,
        limit: u64,
    ) -> Result<Option<String>, Breach> {
        let requests = finals.requests();
        let mut missing = None;
        for reader in readers {
            self.let_lead(NodeId(self.clients[reader].home as u16 + 1), limit)?;
            for (place, request) in requests.iter().enumerate() {
                match self.read_in_time(reader, request, limit)? {
                    Ok(value) => finals.answered(place, value),
                    Err(why) => {
                        missing.get_or_insert(why);
                        break;
                    }
                }
            }
        }
        Ok(missing)
    }

    /// Lets the operator bring the cluster back to its size; says why, if it is not in time.
    fn restore_in_time(&mut self, limit: u64) -> Result<Option<String>, Breach> {
        if self.conductor.has_churn::<R>() {
            // An order that was given up may still be on its way.
            self.rest(LAST_ORDERS)?;
        }
        while self.world.now() < limit {
            self.conductor.restore(self.scenario.nodes, &mut self.world)?;
            self.pump(limit, |run| run.conductor.is_idle())?;
            if self.conductor.is_whole() {
                return Ok(None);
            }
        }
        Ok(Some("not everybody is a member who is to be one".into()))
    }

    /// Lets a node lead, if it can be had: that it takes over is nobody's promise.
    fn let_lead(&mut self, id: NodeId, limit: u64) -> Result<(), Breach> {
        if R::hands_over() {
            self.conductor.let_lead(id, &mut self.world);
            self.pump(limit, |run| run.conductor.is_idle())?;
        }
        Ok(())
    }

    /// Lets a client read until that succeeds; says why, if it does not in time.
    fn read_in_time(
        &mut self,
        reader: usize,
        request: &Request,
        limit: u64,
    ) -> Result<Result<Value, String>, Breach> {
        loop {
            self.begin(reader, request.clone());
            self.pump(u64::MAX, |run| run.busy == 0)?;
            let why = match self.last_outcome.take() {
                Some(Outcome::Ok(value)) => {
                    self.rest(BREATH)?;
                    return Ok(Ok(value));
                }
                Some(Outcome::Fail(why) | Outcome::Info(why)) => why,
                None => "no answer".to_owned(),
            };
            if self.world.now() >= limit {
                let (f, key) = (request.action.f(), &request.key);
                return Ok(Err(format!("{f} of {key} fails: {why}")));
            }
            self.rest(nanoseconds(RECOVERY_POLL))?;
        }
    }

    /// Whether all nodes have the same on a consistent cut, and nothing that is on its way would change
    /// that: having the same at one moment may be chance.
    fn converge_in_time(&mut self, limit: u64) -> Result<Option<String>, Breach> {
        self.world.observe_nodes(Observed { traced: false, bug: None });
        loop {
            let nodes = self.living_members();
            if !self.cuts.is_busy() {
                self.cuts.begin(&nodes, &mut self.world);
                self.world.wake_at(self.world.now(), Wake::Gather);
            }
            self.pump(u64::MAX, |run| !run.cuts.is_busy())?;
            let converged = match self.last_cut.take() {
                Some(Taken::Cut(cut)) => guarded(|| cut.converged()).and_then(|seen| seen),
                Some(Taken::Void) => Err("a node crashed during the snapshot".into()),
                Some(Taken::GivenUp) | None => Err("no snapshot is complete in time".into()),
            };
            match converged {
                Ok(()) => return Ok(None),
                Err(why) if self.world.now() >= limit => return Ok(Some(why)),
                Err(_) => self.rest(nanoseconds(RECOVERY_POLL))?,
            }
        }
    }

    fn settle_in_time(&mut self, limit: u64) -> Result<Option<String>, Breach> {
        loop {
            match self.settled() {
                Ok(()) => return Ok(None),
                Err(why) if self.world.now() >= limit => return Ok(Some(why)),
                Err(_) => self.rest(nanoseconds(RECOVERY_POLL))?,
            }
        }
    }

    /// The members, but those whose disk is damaged.
    fn living_members(&self) -> Vec<NodeId> {
        let mut members = self.conductor.members();
        members.retain(|id| !self.world.is_lost(*id));
        members
    }

    /// Whether every living member is up and all tell the same, or what is still missing.
    fn settled(&self) -> Result<(), String> {
        let status = |id| self.world.core(id).map(Replica::status);
        agree(self.living_members().into_iter().map(|id| (Node(id.0), status(id))))
    }

    fn rest(&mut self, long: u64) -> Result<(), Breach> {
        let until = self.world.now() + long;
        self.pump(until, |_| false)?;
        Ok(())
    }
}

/// Request ids carry the number of the client that waits, in their last bits.
pub(super) const CLIENT_BITS: u32 = 16;
pub(super) const CLIENT_MASK: u64 = (1 << CLIENT_BITS) - 1;

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).expect("runs end within 584 years")
}
