//! A small deterministic world around protocol cores: virtual time, an unreliable network, disks
//! that forget what was not synced. One seed decides everything that happens in it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rashomon_stores::replica::{
    Effect, Effects, Gate, Input, NodeId, Replica, Reply, Request, RequestId, Setup, Slot, Ticket,
    Time, Write,
};

/// How the network and the disks behave; chances in a thousand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// The chance that a message is lost.
    pub(crate) loss: u32,
    /// The chance that it arrives twice.
    pub(crate) duplication: u32,
    /// The chance that it is held for up to two seconds.
    pub(crate) holding: u32,
    /// The longest usual delay of a message.
    pub(crate) delay_max: Duration,
    /// The longest fsync.
    pub(crate) sync_max: Duration,
}

impl Weather {
    pub(crate) const FAIR: Weather = Weather {
        loss: 0,
        duplication: 0,
        holding: 0,
        delay_max: Duration::from_millis(5),
        sync_max: Duration::from_millis(5),
    };

    pub(crate) const FOUL: Weather = Weather {
        loss: 50,
        duplication: 50,
        holding: 20,
        delay_max: Duration::from_millis(25),
        sync_max: Duration::from_millis(40),
    };
}

/// What the driver of a run may have to react to.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A core took a step.
    Step(NodeId),
    /// A client hears the answer to a request.
    Reply(RequestId, Reply),
    /// A wake-up call that the driver ordered.
    Wake(u64),
    /// Something that concerns nobody.
    Nothing,
}

#[derive(Debug)]
enum Event<R: Replica> {
    Deliver { from: NodeId, to: NodeId, message: R::Message },
    Timer { node: NodeId, incarnation: u64, timer: R::Timer, at: Time },
    Synced { node: NodeId, incarnation: u64, last: Ticket },
    Request { node: NodeId, id: RequestId, request: Request },
    Reply(RequestId, Reply),
    Wake(u64),
}

struct Node<R: Replica> {
    disk: Disk<R::Record>,
    incarnations: u64,
    running: Option<Running<R>>,
}

struct Running<R: Replica> {
    core: R,
    effects: Effects<R>,
    gate: Gate<R>,
    timers: BTreeMap<R::Timer, Time>,
    incarnation: u64,
    /// What the node's own clock shows beyond the world's time.
    clock_offset: Duration,
}

/// A disk with batches that are written but not synced.
struct Disk<Record> {
    durable: BTreeMap<Slot, Record>,
    unsynced: VecDeque<(Ticket, Vec<Write<Record>>)>,
    syncing: bool,
}

impl<Record> Disk<Record> {
    /// Makes the first batches durable, up to and including a ticket.
    fn sync(&mut self, last: Ticket) {
        while self.unsynced.front().is_some_and(|(ticket, _)| *ticket <= last) {
            self.sync_one();
        }
        self.syncing = false;
    }

    fn sync_one(&mut self) {
        for write in self.unsynced.pop_front().into_iter().flat_map(|(_, writes)| writes) {
            match write {
                Write::Put(slot, record) => {
                    self.durable.insert(slot, record);
                }
                Write::Erase(from, to) => self.durable.retain(|at, _| *at < from || *at > to),
            }
        }
    }
}

/// The world.
pub(crate) struct World<R: Replica> {
    pub(crate) weather: Weather,
    /// Directed links on which nothing arrives.
    pub(crate) cut: BTreeSet<(NodeId, NodeId)>,
    /// What cores said to whoever watches, since the driver last took it.
    pub(crate) notes: Vec<(NodeId, R::Note)>,
    /// Batches that crashes have lost so far.
    pub(crate) lost_batches: u64,
    now: Time,
    rng: ChaCha8Rng,
    options: R::Options,
    events: BTreeMap<(Time, u64), Event<R>>,
    event_count: u64,
    request_count: u64,
    nodes: BTreeMap<NodeId, Node<R>>,
}

impl<R: Replica> World<R> {
    /// A world with nodes 1 to `size`, all starting at once.
    pub(crate) fn new(size: u16, options: R::Options, weather: Weather, seed: u64) -> Self {
        let node = || Node {
            disk: Disk { durable: BTreeMap::new(), unsynced: VecDeque::new(), syncing: false },
            incarnations: 0,
            running: None,
        };
        let mut world = World {
            weather,
            cut: BTreeSet::new(),
            notes: Vec::new(),
            lost_batches: 0,
            now: Duration::ZERO,
            rng: ChaCha8Rng::seed_from_u64(seed),
            options,
            events: BTreeMap::new(),
            event_count: 0,
            request_count: 0,
            nodes: (1..=size).map(|id| (NodeId(id), node())).collect(),
        };
        for id in world.ids() {
            world.start(id);
        }
        world
    }

    pub(crate) fn now(&self) -> Time {
        self.now
    }

    pub(crate) fn ids(&self) -> Vec<NodeId> {
        self.nodes.keys().copied().collect()
    }

    /// The core of a node, if it runs.
    pub(crate) fn core(&self, id: NodeId) -> Option<&R> {
        self.nodes[&id].running.as_ref().map(|running| &running.core)
    }

    /// The cores that run.
    pub(crate) fn cores(&self) -> impl Iterator<Item = (NodeId, &R)> {
        self.nodes.iter().filter_map(|(id, node)| Some((*id, &node.running.as_ref()?.core)))
    }

    /// Starts a node that does not run from what its disk holds.
    pub(crate) fn start(&mut self, id: NodeId) {
        let members = self.ids();
        let seed = self.rng.random();
        let clock_offset = Duration::from_millis(self.rng.random_range(0..1_000_000));
        let node = self.nodes.get_mut(&id).expect("a node of this world");
        assert!(node.running.is_none(), "{id} runs already");
        node.incarnations += 1;
        let disk = node.disk.durable.iter().map(|(slot, record)| (slot.clone(), record.clone()));
        let mut effects = Effects::default();
        let core = R::recover(
            Setup { id, members, seed },
            self.options.clone(),
            disk.collect(),
            self.now + clock_offset,
            &mut effects,
        );
        node.running = Some(Running {
            core: core.expect("a disk that only this protocol wrote"),
            effects,
            gate: Gate::default(),
            timers: BTreeMap::new(),
            incarnation: node.incarnations,
            clock_offset,
        });
        self.carry_out(id);
    }

    /// Crashes a node: of what was not synced, the disk keeps any number of batches from the first.
    pub(crate) fn crash(&mut self, id: NodeId) {
        let node = self.nodes.get_mut(&id).expect("a node of this world");
        node.running = None;
        let kept = self.rng.random_range(0..=node.disk.unsynced.len());
        for _ in 0..kept {
            node.disk.sync_one();
        }
        self.lost_batches += node.disk.unsynced.len() as u64;
        node.disk.unsynced.clear();
        node.disk.syncing = false;
    }

    /// Sends a request to a node; the answer, if any, comes as [`Happening::Reply`].
    pub(crate) fn request(&mut self, node: NodeId, request: Request) -> RequestId {
        self.request_count += 1;
        let id = RequestId(self.request_count);
        let delay = self.delay();
        self.schedule(delay, Event::Request { node, id, request });
        id
    }

    /// Orders a [`Happening::Wake`].
    pub(crate) fn wake_after(&mut self, delay: Duration, token: u64) {
        self.schedule(delay, Event::Wake(token));
    }

    /// Lets the next thing happen, if it does before a time; otherwise it becomes that time.
    pub(crate) fn advance(&mut self, until: Time) -> Option<Happening> {
        match self.events.first_key_value() {
            Some(((at, _), _)) if *at < until => {}
            _ => {
                self.now = until;
                return None;
            }
        }
        let ((at, _), event) = self.events.pop_first()?;
        self.now = at;
        Some(match event {
            Event::Deliver { from, to, .. } if self.cut.contains(&(from, to)) => Happening::Nothing,
            Event::Deliver { from, to, message } => self.step(to, Input::Message { from, message }),
            Event::Request { node, id, request } => self.step(node, Input::Request { id, request }),
            Event::Timer { node, incarnation, timer, at } => {
                self.fire(node, incarnation, timer, at)
            }
            Event::Synced { node, incarnation, last } => self.synced(node, incarnation, last),
            Event::Reply(id, reply) => Happening::Reply(id, reply),
            Event::Wake(token) => Happening::Wake(token),
        })
    }

    fn schedule(&mut self, delay: Duration, event: Event<R>) {
        self.event_count += 1;
        self.events.insert((self.now + delay, self.event_count), event);
    }

    fn chance(&mut self, per_mille: u32) -> bool {
        self.rng.random_range(0..1000) < per_mille
    }

    fn delay(&mut self) -> Duration {
        let usual = Duration::from_micros(200)..=self.weather.delay_max;
        if self.chance(self.weather.holding) {
            Duration::from_millis(self.rng.random_range(50..2000))
        } else {
            self.rng.random_range(usual)
        }
    }

    fn fire(&mut self, id: NodeId, incarnation: u64, timer: R::Timer, at: Time) -> Happening {
        let running = self.nodes.get_mut(&id).and_then(|node| node.running.as_mut());
        let Some(running) = running else { return Happening::Nothing };
        // Moved since, or of a life before.
        if running.incarnation != incarnation || running.timers.get(&timer) != Some(&at) {
            return Happening::Nothing;
        }
        running.timers.remove(&timer);
        self.step(id, Input::Timer(timer))
    }

    fn synced(&mut self, id: NodeId, incarnation: u64, last: Ticket) -> Happening {
        let node = self.nodes.get_mut(&id).expect("a node of this world");
        let Some(running) = &mut node.running else { return Happening::Nothing };
        if running.incarnation != incarnation {
            return Happening::Nothing;
        }
        node.disk.sync(last);
        let released = running.gate.stored(last);
        for effect in released {
            self.carry_out_one(id, effect);
        }
        self.start_sync(id);
        self.step(id, Input::Stored(last))
    }

    /// Syncs everything written so far, unless a sync is under way.
    fn start_sync(&mut self, id: NodeId) {
        let duration = self.rng.random_range(Duration::from_micros(500)..=self.weather.sync_max);
        let node = self.nodes.get_mut(&id).expect("a node of this world");
        let (Some(running), Some((last, _))) = (&node.running, node.disk.unsynced.back()) else {
            return;
        };
        if !node.disk.syncing {
            node.disk.syncing = true;
            let (incarnation, last) = (running.incarnation, *last);
            self.schedule(duration, Event::Synced { node: id, incarnation, last });
        }
    }

    fn step(&mut self, id: NodeId, input: Input<R>) -> Happening {
        let running = self.nodes.get_mut(&id).and_then(|node| node.running.as_mut());
        let Some(running) = running else { return Happening::Nothing };
        running.core.step(self.now + running.clock_offset, input, &mut running.effects);
        self.carry_out(id);
        Happening::Step(id)
    }

    fn carry_out(&mut self, id: NodeId) {
        let running = self.nodes.get_mut(&id).and_then(|node| node.running.as_mut());
        let Some(running) = running else { return };
        let effects: Vec<Effect<R>> = running.effects.drain().collect();
        let admitted: Vec<Effect<R>> =
            effects.into_iter().filter_map(|effect| running.gate.admit(effect)).collect();
        for effect in admitted {
            self.carry_out_one(id, effect);
        }
    }

    fn carry_out_one(&mut self, id: NodeId, effect: Effect<R>) {
        match effect {
            Effect::Persist { ticket, writes } => {
                let node = self.nodes.get_mut(&id).expect("a node of this world");
                node.disk.unsynced.push_back((ticket, writes));
                self.start_sync(id);
            }
            Effect::Send { to, message, .. } => self.send(id, to, &message),
            Effect::Reply { to, reply, .. } => {
                let delay = self.delay();
                self.schedule(delay, Event::Reply(to, reply));
            }
            Effect::SetTimer { timer, at } => {
                let node = self.nodes.get_mut(&id).expect("a node of this world");
                let Some(running) = &mut node.running else { return };
                running.timers.insert(timer, at);
                let incarnation = running.incarnation;
                let delay = at.saturating_sub(self.now + running.clock_offset);
                self.schedule(delay, Event::Timer { node: id, incarnation, timer, at });
            }
            Effect::Note(note) => self.notes.push((id, note)),
        }
    }

    fn send(&mut self, from: NodeId, to: NodeId, message: &R::Message) {
        if self.chance(self.weather.loss) {
            return;
        }
        let copies = if self.chance(self.weather.duplication) { 2 } else { 1 };
        for _ in 0..copies {
            let delay = self.delay();
            self.schedule(delay, Event::Deliver { from, to, message: message.clone() });
        }
    }
}
