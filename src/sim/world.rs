//! The simulated world: nodes around cores, virtual time, network, disks and clocks.
//!
//! It carries out what [`rashomon_stores::replica`] demands of a host, for any core, and takes every
//! liberty that contract leaves. All that happens is an event in one queue; each part of the world
//! draws from a stream of its own of the run's one seed (ChaCha's streams), so that one part's
//! draws never shift another's. The design is that of FoundationDB's simulation (Zhou et al.,
//! SIGMOD 2021) and of discrete-event simulation at large.

mod ailments;
mod hardship;
mod mishaps;
mod observed;
mod watched;

use std::collections::VecDeque;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rashomon_nemesis::{Grudge, Part, Trouble};
use rashomon_stores::observe::Observer;
use rashomon_stores::observe::snapshot::Marker;
use rashomon_stores::replica::{
    Effect, Effects, Gate, Input, NodeId, Replica, Reply, Request, RequestId, Setup, Slot, Ticket,
    Time,
};

use super::climate::{Chance, Climate};
use super::clock::Clock;
use super::disk::Disk;
use super::guard::guarded;
use super::mishap::Mishap;
use super::network::{Courier, Fate, Letter, Network, Traffic};
use super::queue::Queue;
use super::situations::{Scout, Standing};
use super::story::Story;
use super::witness::{Breach, Promise};
use ailments::Condition;
pub use hardship::Hardship;
use mishaps::wrong_rate;
pub(super) use mishaps::{Incident, Turn};
pub(super) use observed::Observed;

/// What a client hears of a request.
#[derive(Clone, Debug)]
pub(super) enum Heard {
    /// The node's answer.
    Reply(Reply),
    /// There is no node to connect to: the request never arrived.
    NoConnection,
    /// The node went down with the request.
    ConnectionLost,
}

/// What the driver of a run may have to react to.
#[derive(Debug)]
pub(super) enum Happening<W> {
    /// A core took a step; [`World::show_step`] shows it to a witness.
    Step(NodeId),
    /// A client hears of a request.
    Heard(RequestId, Heard),
    /// A wake-up call that the driver ordered.
    Wake(W),
    /// A core panicked: the run cannot go on.
    Broken(Breach),
    /// A node went down by itself.
    Stopped(NodeId),
    /// Something that concerns nobody else.
    Nothing,
}

#[derive(Debug)]
enum Event<R: Replica, W> {
    Deliver { from: NodeId, to: NodeId, letter: Letter<R::Message> },
    Timer { node: NodeId, incarnation: u64, timer: R::Timer },
    Synced { node: NodeId, incarnation: u64, last: Ticket },
    Request { node: NodeId, id: RequestId, request: Request },
    Heard { id: RequestId, heard: Heard },
    // The node takes the next of its inputs that waited.
    Resume { node: NodeId },
    Befall { node: NodeId, mishap: Mishap },
    Pass { node: NodeId, mishap: Mishap },
    Strobe { node: NodeId },
    // The next turn of what happens by turns, unless how the node is has changed since.
    Turn { node: NodeId, changes: u64, slow: bool },
    // A supervisor starts the node again.
    Restart { node: NodeId },
    PowerLoss { node: NodeId, incarnation: u64 },
    Mark { from: NodeId, to: NodeId, marker: Marker },
    // The observer of a node has something to do.
    Tick { node: NodeId },
    Wake(W),
}

impl<R: Replica, W> Event<R, W> {
    /// The node that has to be awake for it.
    fn node(&self) -> Option<NodeId> {
        match self {
            Event::Deliver { to: node, .. }
            | Event::Timer { node, .. }
            | Event::Synced { node, .. }
            | Event::Request { node, .. } => Some(*node),
            Event::Heard { .. }
            | Event::Resume { .. }
            | Event::Befall { .. }
            | Event::Pass { .. }
            | Event::Strobe { .. }
            | Event::Turn { .. }
            | Event::Restart { .. }
            | Event::PowerLoss { .. }
            | Event::Mark { .. }
            | Event::Tick { .. }
            | Event::Wake(_) => None,
        }
    }
}

#[derive(Debug)]
struct Node<R: Replica, W> {
    disk: Disk<R::Record>,
    clock: Clock,
    incarnations: u64,
    /// Until when the node takes no input.
    busy_until: u64,
    /// Inputs that wait until then, and for those before them, in the order of their arrival.
    backlog: VecDeque<Event<R, W>>,
    /// How many ever had to.
    waited: u64,
    /// Which mishaps are under way, each with what it is measured against in the end.
    under_way: [Option<u64>; Mishap::ALL.len()],
    /// How long each of its steps takes; no time, as a rule.
    step_ns: u64,
    /// Whether its next fsync fails.
    fsync_fails: bool,
    /// How it is, by the schedule.
    condition: Condition,
    /// When its supervisor starts it again.
    restart_at: Option<u64>,
    rot: Rot,
    /// Who watches it, if anybody does.
    observer: Option<Box<Observer<R>>>,
    /// For which deadline of that one there is an event in the queue.
    tick: Option<Time>,
    running: Option<Running<R>>,
}

/// Whether a record on a disk is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rot {
    /// None is.
    Sound,
    /// One is, and nobody knows yet.
    Damaged,
    /// Its host has found it: the node stays down for good.
    Found,
}

impl<R: Replica, W> Node<R, W> {
    /// A node that has never run.
    fn new(climate: &Climate, seeds: &mut ChaCha8Rng) -> Self {
        let drift = i64::from(climate.drift_ppm);
        let offset = seeds.random_range(0..CLOCK_OFFSET_MAX);
        let rate = wrong_rate(drift, seeds);
        Node {
            disk: Disk::new(),
            clock: Clock::new(offset, rate),
            incarnations: 0,
            busy_until: 0,
            backlog: VecDeque::new(),
            waited: 0,
            under_way: [None; Mishap::ALL.len()],
            step_ns: 0,
            fsync_fails: false,
            condition: Condition::default(),
            restart_at: None,
            rot: Rot::Sound,
            observer: None,
            tick: None,
            running: None,
        }
    }

    /// Whether an input has to wait: the node stands still, or others wait before it.
    fn is_busy(&self, now: u64) -> bool {
        self.condition.stopped || self.busy_until > now || !self.backlog.is_empty()
    }
}

#[derive(Debug)]
struct Running<R: Replica> {
    core: R,
    effects: Effects<R>,
    gate: Gate<R>,
    timers: Vec<(R::Timer, Alarm)>,
    /// Requests without an answer: their clients hear of it when the node goes down.
    requests: Vec<RequestId>,
}

/// A timer that is set.
#[derive(Clone, Copy, Debug)]
struct Alarm {
    /// When it is to fire, on the node's clock; none once it has.
    deadline: Option<Time>,
    /// The time of its earliest event in the queue: a deadline that moves away, as most do, waits
    /// for that one and needs none of its own.
    queued: Option<u64>,
}

/// The streams of the seed.
const WORLD: u64 = 1;
const NETWORK: u64 = 2;
const DISKS: u64 = 3;
const MISHAPS: u64 = 4;
const MARKERS: u64 = 5;

/// A stream of a run's seed.
pub(super) fn stream(seed: u64, number: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number);
    rng
}

/// The longest that a clock is ahead of another: they need not agree on when time began.
const CLOCK_OFFSET_MAX: u64 = 1_000_000_000_000;

/// The world; `W` names the wake-up calls of its driver.
#[derive(Debug)]
pub(super) struct World<R: Replica, W> {
    /// How unkind it is at the moment.
    pub(super) climate: Climate,
    /// What cores said since the driver last took it.
    pub(super) notes: Vec<(NodeId, R::Note)>,
    /// Mishaps that began or ended since the driver last took them.
    pub(super) incidents: Vec<Incident>,
    /// Messages with a promise that left their nodes since the driver last took them.
    promises: Vec<Promise<R::Message>>,
    /// Nodes that started since the driver last took them.
    started: Vec<NodeId>,
    pub(super) hardship: Hardship,
    /// Events so far.
    pub(super) events: u64,
    /// What is told of the run, if it is.
    pub(super) story: Option<Story>,
    /// Who watches for situations, if anybody does.
    pub(super) scout: Option<Box<Scout>>,
    /// Whether and how nodes are observed.
    observed: Option<Observed>,
    /// Decides what becomes of markers, so that they disturb nobody.
    markers: ChaCha8Rng,
    now: u64,
    queue: Queue<Event<R, W>>,
    network: Network<R::Message>,
    nodes: Vec<Node<R, W>>,
    /// How many nodes there were at first.
    founders: u16,
    options: R::Options,
    seeds: ChaCha8Rng,
    disks: ChaCha8Rng,
    mishaps: ChaCha8Rng,
    scratch: Vec<Effect<R>>,
    /// Which messages are promises.
    is_promise: fn(&R::Message) -> bool,
}

impl<R: Replica, W> World<R, W> {
    /// A world of nodes `n1` to `n<size>`, none of them running.
    pub(super) fn new(size: u16, options: R::Options, climate: Climate, seed: u64) -> Self {
        let mut seeds = stream(seed, WORLD);
        let nodes = (0..size).map(|_| Node::new(&climate, &mut seeds)).collect();
        let mut world = World {
            climate,
            notes: Vec::new(),
            incidents: Vec::new(),
            promises: Vec::new(),
            started: Vec::new(),
            hardship: Hardship::default(),
            events: 0,
            story: None,
            scout: None,
            observed: None,
            markers: stream(seed, MARKERS),
            now: 0,
            queue: Queue::new(),
            network: Network::new(stream(seed, NETWORK)),
            nodes,
            founders: size,
            options,
            seeds,
            disks: stream(seed, DISKS),
            mishaps: stream(seed, MISHAPS),
            scratch: Vec::new(),
            is_promise: |_| false,
        };
        for id in world.ids() {
            world.plan_mishaps(id);
        }
        world
    }

    /// Makes room for a node that is new, and for those before it.
    pub(super) fn join(&mut self, id: NodeId) {
        while self.nodes.len() <= index(id) {
            self.nodes.push(Node::new(&self.climate, &mut self.seeds));
            let new = NodeId(self.nodes.len() as u16);
            self.plan_mishaps(new);
            self.observe_node(new);
        }
    }

    /// Nanoseconds since the run began.
    pub(super) fn now(&self) -> u64 {
        self.now
    }

    /// Draws from another seed from now on what is left to chance.
    pub(super) fn change_luck(&mut self, seed: u64) {
        self.seeds = stream(seed, WORLD);
        self.disks = stream(seed, DISKS);
        self.mishaps = stream(seed, MISHAPS);
        self.network.change_luck(stream(seed, NETWORK));
    }

    /// Every node, up or down.
    pub(super) fn ids(&self) -> impl Iterator<Item = NodeId> + use<R, W> {
        (1..=self.nodes.len() as u16).map(NodeId)
    }

    /// What the network did so far.
    pub(super) fn traffic(&self) -> Traffic {
        self.network.traffic
    }

    /// The core of a node, if it runs.
    pub(super) fn core(&self, id: NodeId) -> Option<&R> {
        self.nodes.get(index(id))?.running.as_ref().map(|running| &running.core)
    }

    /// The cores that run.
    pub(super) fn cores(&self) -> impl Iterator<Item = (NodeId, &R)> {
        self.ids().filter_map(|id| Some((id, self.core(id)?)))
    }

    /// What a node's disk holds for sure, in the order of slots.
    pub(super) fn stored(&self, id: NodeId) -> Vec<(Slot, R::Record)> {
        self.nodes[index(id)].disk.read()
    }

    /// Starts a node from what its disk holds, unless it runs already or its disk is damaged.
    ///
    /// # Errors
    /// When the core cannot make sense of its own disk, or panics over it.
    pub(super) fn start(&mut self, id: NodeId) -> Result<(), Breach> {
        if self.nodes[index(id)].running.is_some() || self.finds_damage(id) {
            return Ok(());
        }
        let members = (1..=self.founders).map(NodeId).collect();
        let setup = Setup { id, members, seed: self.seeds.random() };
        let node = &mut self.nodes[index(id)];
        node.restart_at = None;
        node.incarnations += 1;
        let mut effects = Effects::default();
        let now = node.clock.shows(self.now);
        let (options, disk) = (self.options.clone(), node.disk.read());
        let recovered = guarded(|| R::recover(setup, options, disk, now, &mut effects));
        let core = match recovered {
            Ok(Ok(core)) => core,
            Ok(Err(error)) => return Err(Breach::new("recovery", format!("{id}: {error}"))),
            Err(said) => return Err(panicked(id, &said)),
        };
        let (gate, timers, requests) = (Gate::default(), Vec::new(), Vec::new());
        node.running = Some(Running { core, effects, gate, timers, requests });
        self.tell(|| format!("{id} starts"));
        let incarnation = self.nodes[index(id)].incarnations;
        self.observe(id, |observer, now| observer.started(now, incarnation));
        self.pass(id, Mishap::FsyncFailure);
        self.started.push(id);
        self.carry_out(id);
        Ok(())
    }

    /// Crashes a node, which stays down until it is started; says whether it ran.
    pub(super) fn crash(&mut self, id: NodeId) -> bool {
        self.nodes[index(id)].restart_at = None;
        self.go_down(id)
    }

    /// Asks a node to end, which it does in order: all that it has written is durable. Says whether it
    /// ran.
    pub(super) fn stop(&mut self, id: NodeId) -> bool {
        let node = &mut self.nodes[index(id)];
        if node.running.is_some() {
            node.disk.flush();
        }
        self.crash(id)
    }

    fn go_down(&mut self, id: NodeId) -> bool {
        let node = &mut self.nodes[index(id)];
        let Some(running) = node.running.take() else { return false };
        node.busy_until = 0;
        node.condition.stopped = false;
        let waiting = std::mem::take(&mut node.backlog);
        let lost = node.disk.crash(&mut self.disks) as u64;
        self.observe(id, Observer::crashed);
        self.hardship.crashes += 1;
        self.hardship.crashes_with_loss += u64::from(lost > 0);
        self.hardship.lost_batches += lost;
        self.tell(|| format!("{id} crashes and loses {lost} batches that were not synced"));
        self.pass(id, Mishap::Pause);
        let waiting = waiting.into_iter().filter_map(|event| match event {
            Event::Request { id, .. } => Some(id),
            _ => None,
        });
        for request in running.requests.into_iter().chain(waiting) {
            self.answer(request, Heard::ConnectionLost);
        }
        true
    }

    /// Lets this be wrong with these links from now on.
    pub(super) fn strike(&mut self, trouble: Trouble, grudge: &Grudge) {
        self.network.strike(trouble, grudge, self.now);
    }

    /// Whether a link between two nodes is closed, either way.
    pub(super) fn is_parted(&self, one: NodeId, other: NodeId) -> bool {
        self.network.is_parted(one, other)
    }

    /// Hands all messages between nodes to a courier, in place of the climate.
    pub(super) fn employ(&mut self, courier: Box<dyn Courier<R::Message>>) {
        self.network.employ(courier);
    }

    /// Opens every link; what waited sets out now.
    pub(super) fn heal(&mut self) {
        for (from, to, letter) in self.network.heal() {
            self.send(from, to, letter);
        }
    }

    /// Sends a client's request to a node; the client hears of it under this id, or never.
    pub(super) fn request(&mut self, node: NodeId, id: RequestId, request: Request) {
        if let Some(delay) = self.network.send_to_client(&self.climate) {
            self.queue.push(self.now + delay, Event::Request { node, id, request });
        }
    }

    /// Orders a [`Happening::Wake`] for a time that is not past.
    pub(super) fn wake_at(&mut self, time: u64, wake: W) {
        self.queue.push(time.max(self.now), Event::Wake(wake));
    }

    /// Adds to the story, if one is told.
    pub(super) fn tell(&mut self, line: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.tell(self.now, &line());
        }
    }

    /// Lets the next thing happen, if it does before a time; otherwise it becomes that time.
    pub(super) fn advance(&mut self, until: u64) -> Option<Happening<W>> {
        let Some((at, event)) = self.queue.pop_before(until) else {
            self.now = self.now.max(until);
            return None;
        };
        self.now = at;
        if let Some(id) = event.node()
            && self.nodes.get(index(id)).is_some_and(|node| node.is_busy(at))
        {
            self.put_off(id, event);
            return Some(Happening::Nothing);
        }
        Some(self.happen(event))
    }

    /// Keeps an input until its node is awake, in the order in which inputs come.
    fn put_off(&mut self, id: NodeId, event: Event<R, W>) {
        let node = &mut self.nodes[index(id)];
        if node.backlog.is_empty() && !node.condition.stopped {
            self.queue.push(node.busy_until, Event::Resume { node: id });
        }
        node.waited += 1;
        node.backlog.push_back(event);
    }

    /// Lets a node take the first of its inputs that waited, if it is awake.
    fn resume(&mut self, id: NodeId) -> Happening<W> {
        let node = &mut self.nodes[index(id)];
        if node.condition.stopped {
            return Happening::Nothing;
        }
        let first = (node.busy_until <= self.now).then(|| node.backlog.pop_front()).flatten();
        let happening = first.map_or(Happening::Nothing, |event| self.happen(event));
        let node = &self.nodes[index(id)];
        if !node.backlog.is_empty() {
            self.queue.push(node.busy_until.max(self.now), Event::Resume { node: id });
        }
        happening
    }

    fn happen(&mut self, event: Event<R, W>) -> Happening<W> {
        self.events += 1;
        match event {
            Event::Deliver { from, to, letter } => self.deliver(from, to, letter),
            Event::Timer { node, incarnation, timer } => self.fire(node, incarnation, timer),
            Event::Synced { node, incarnation, last } => self.synced(node, incarnation, last),
            Event::Request { node, id, request } => self.take(node, id, request),
            Event::Heard { id, heard } => Happening::Heard(id, heard),
            Event::PowerLoss { node, incarnation } => self.lose_power(node, incarnation),
            Event::Wake(wake) => Happening::Wake(wake),
            Event::Mark { from, to, marker } => {
                self.mark(from, to, marker);
                Happening::Nothing
            }
            Event::Tick { node } => {
                self.tick(node);
                Happening::Nothing
            }
            Event::Resume { node } => self.resume(node),
            Event::Befall { node, mishap } => {
                self.befall(node, mishap);
                Happening::Nothing
            }
            Event::Pass { node, mishap } => {
                self.pass(node, mishap);
                Happening::Nothing
            }
            Event::Strobe { node } => {
                self.strobe(node);
                Happening::Nothing
            }
            Event::Turn { node, changes, slow } => {
                self.turn(node, changes, slow);
                Happening::Nothing
            }
            Event::Restart { node } => self.restart(node),
        }
    }

    fn deliver(&mut self, from: NodeId, to: NodeId, letter: Letter<R::Message>) -> Happening<W> {
        let message = &letter.message;
        if !self.network.lets_in(from, to) {
            self.tell(|| format!("{from} -> {to}  lost in the cut: {message:?}"));
            return Happening::Nothing;
        }
        if self.network.holds(from, to) {
            self.tell(|| format!("{from} -> {to}  held: {message:?}"));
            self.network.keep(from, to, letter);
            return Happening::Nothing;
        }
        if self.core(to).is_none() {
            return Happening::Nothing;
        }
        self.network.delivered(to, message);
        self.tell(|| format!("{from} -> {to}  {message:?}"));
        if let Some((then, scout)) = letter.sending.as_deref().zip(self.scout.as_deref_mut()) {
            let now = standing(&self.nodes, from, to);
            scout.arrived(R::kind(message), then, &now, self.now);
        }
        let Letter { message, envelope, .. } = letter;
        self.look(to, |observer, now, view| {
            observer.received(now, from, envelope.as_deref(), &message, view);
        });
        self.step(to, Input::Message { from, message })
    }

    /// Lets a client's request arrive at a node now; the client hears of it under this id.
    pub(super) fn take(&mut self, node: NodeId, id: RequestId, request: Request) -> Happening<W> {
        let there = self.nodes.get_mut(index(node));
        let Some(running) = there.and_then(|node| node.running.as_mut()) else {
            self.answer(id, Heard::NoConnection);
            return Happening::Nothing;
        };
        running.requests.push(id);
        self.observe(node, |observer, now| observer.asked(now, id, &request));
        self.step(node, Input::Request { id, request })
    }

    fn answer(&mut self, id: RequestId, heard: Heard) {
        if let Some(delay) = self.network.send_to_client(&self.climate) {
            self.queue.push(self.now + delay, Event::Heard { id, heard });
        }
    }

    fn fire(&mut self, id: NodeId, incarnation: u64, timer: R::Timer) -> Happening<W> {
        let node = &mut self.nodes[index(id)];
        let Some(running) = node.running.as_mut().filter(|_| node.incarnations == incarnation)
        else {
            return Happening::Nothing;
        };
        let alarm = running.timers.iter_mut().find(|(name, _)| *name == timer);
        let Some((_, alarm)) = alarm else { return Happening::Nothing };
        if alarm.queued.is_none_or(|queued| queued > self.now) {
            return Happening::Nothing;
        }
        alarm.queued = None;
        let Some(deadline) = alarm.deadline else { return Happening::Nothing };
        if node.clock.shows(self.now) < deadline {
            // It was moved away.
            let at = node.clock.when(deadline);
            alarm.queued = Some(at);
            self.queue.push(at, Event::Timer { node: id, incarnation, timer });
            return Happening::Nothing;
        }
        alarm.deadline = None;
        self.step(id, Input::Timer(timer))
    }

    fn set_timer(&mut self, id: NodeId, timer: R::Timer, deadline: Time) {
        let node = &mut self.nodes[index(id)];
        let Some(running) = &mut node.running else { return };
        let position = running.timers.iter().position(|(name, _)| *name == timer);
        let position = position.unwrap_or_else(|| {
            running.timers.push((timer, Alarm { deadline: None, queued: None }));
            running.timers.len() - 1
        });
        let alarm = &mut running.timers[position].1;
        alarm.deadline = Some(deadline);
        let at = node.clock.when(deadline).max(self.now);
        if alarm.queued.is_none_or(|queued| queued > at) {
            alarm.queued = Some(at);
            let incarnation = node.incarnations;
            self.queue.push(at, Event::Timer { node: id, incarnation, timer });
        }
    }

    fn synced(&mut self, id: NodeId, incarnation: u64, last: Ticket) -> Happening<W> {
        let node = &mut self.nodes[index(id)];
        if node.running.is_none() || node.incarnations != incarnation {
            return Happening::Nothing;
        }
        if node.condition.full || node.condition.balks {
            return self.starve(id, Part::Disk);
        }
        if node.fsync_fails || node.under_way[Mishap::FullDisk as usize].is_some() {
            return self.fail_to_sync(id);
        }
        self.hardship.syncs += 1;
        node.disk.end_sync(last);
        self.observe(id, |observer, now| observer.persisted(now, last));
        let Some(running) = &mut self.nodes[index(id)].running else { return Happening::Nothing };
        for effect in running.gate.stored(last) {
            self.carry_out_one(id, effect);
        }
        self.start_sync(id);
        self.step(id, Input::Stored(last))
    }

    /// Syncs everything written so far, unless that is under way.
    fn start_sync(&mut self, id: NodeId) {
        let node = &mut self.nodes[index(id)];
        if let Some(last) = node.disk.begin_sync() {
            let incarnation = node.incarnations;
            let takes = self.climate.fsync.draw(&mut self.disks) + node.condition.stall;
            self.queue.push(self.now + takes, Event::Synced { node: id, incarnation, last });
            if self.climate.power_loss != Chance::NEVER
                && self.climate.power_loss.happens(self.disks.random())
            {
                // As likely before its end as after it, when what it stored has been promised.
                let at = self.now + self.disks.random_range(0..=2 * takes);
                self.queue.push(at, Event::PowerLoss { node: id, incarnation });
            }
        }
    }

    fn step(&mut self, id: NodeId, input: Input<R>) -> Happening<W> {
        let node = &mut self.nodes[index(id)];
        let Some(running) = &mut node.running else { return Happening::Nothing };
        if node.condition.squeezed {
            return self.starve(id, Part::Process);
        }
        let (core, effects) = (&mut running.core, &mut running.effects);
        let now = node.clock.shows(self.now);
        if let Err(said) = guarded(|| core.step(now, input, effects)) {
            node.running = None;
            self.observe(id, Observer::crashed);
            self.tell(|| format!("{id} panics: {said}"));
            return Happening::Broken(panicked(id, &said));
        }
        let long = node.step_ns;
        if long > 0 {
            node.busy_until = self.now + long;
        }
        self.carry_out(id);
        Happening::Step(id)
    }

    fn carry_out(&mut self, id: NodeId) {
        let mut effects = std::mem::take(&mut self.scratch);
        if let Some(running) = &mut self.nodes[index(id)].running {
            let gate = &mut running.gate;
            effects.extend(running.effects.drain().filter_map(|effect| gate.admit(effect)));
        }
        for effect in effects.drain(..) {
            self.carry_out_one(id, effect);
        }
        self.scratch = effects;
    }

    fn carry_out_one(&mut self, id: NodeId, effect: Effect<R>) {
        match effect {
            Effect::Persist { ticket, writes } => {
                self.nodes[index(id)].disk.write(ticket, writes);
                self.start_sync(id);
            }
            Effect::Send { to, message, .. } => {
                if (self.is_promise)(&message) {
                    let message = message.clone();
                    self.promises.push(Promise { from: id, to, message });
                }
                let envelope = self.observe(id, |observer, now| observer.sent(now, to, &message));
                let envelope = envelope.map(Box::new);
                let sending = self.scout.is_some().then(|| Box::new(standing(&self.nodes, id, to)));
                self.send(id, to, Letter { message, envelope, sending });
            }
            Effect::Reply { to, reply, .. } => {
                self.observe(id, |observer, now| observer.answered(now, to, &reply));
                if let Some(running) = &mut self.nodes[index(id)].running
                    && let Some(place) = running.requests.iter().position(|known| *known == to)
                {
                    running.requests.swap_remove(place);
                }
                if let Some(scout) = &mut self.scout
                    && let Some(running) = &self.nodes[index(id)].running
                {
                    scout.answered(id, running.core.outline(), &reply, self.now);
                }
                self.answer(to, Heard::Reply(reply));
            }
            Effect::SetTimer { timer, at } => self.set_timer(id, timer, at),
            Effect::Note(note) => {
                self.tell(|| format!("{id} {note}"));
                self.observe(id, |observer, now| observer.noted(now, &note));
                self.notes.push((id, note));
            }
        }
    }

    fn send(&mut self, from: NodeId, to: NodeId, letter: Letter<R::Message>) {
        let message = &letter.message;
        match self.network.send((from, to), message, self.now, &self.climate) {
            Fate::Lost => self.tell(|| format!("{from} -> {to}  lost: {message:?}")),
            Fate::Waits => self.network.keep(from, to, letter),
            Fate::Arrives(delay, copy) => {
                if let Some(later) = copy {
                    let letter = letter.clone();
                    self.queue.push(self.now + later, Event::Deliver { from, to, letter });
                }
                self.queue.push(self.now + delay, Event::Deliver { from, to, letter });
            }
        }
    }
}

/// How two nodes stand, of which one sends the other something.
fn standing<R: Replica, W>(nodes: &[Node<R, W>], from: NodeId, to: NodeId) -> Standing {
    let of = |id: NodeId| {
        let node = nodes.get(index(id))?;
        Some((node.running.as_ref()?.core.outline(), node.incarnations))
    };
    Standing { sender: of(from), receiver: of(to) }
}

fn panicked(id: NodeId, said: &str) -> Breach {
    Breach::new("no panic", format!("{id}: {said}"))
}

fn index(id: NodeId) -> usize {
    usize::from(id.0) - 1
}
