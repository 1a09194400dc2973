//! Runs of a cluster of the eventual store under faults, each decided by a seed, and the promises
//! that are checked of them.

mod promises;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rashomon_stores::eventual::{Conflicts, Eventual, Note, Options, Settings};
use rashomon_stores::kv::{Command, Context, Key, Op, Output, Value};
use rashomon_stores::replica::{NodeId, Replica, Reply, Request, RequestId, Time};

use crate::world::{Happening, Weather, World};
use promises::Witness;

const CLIENTS: usize = 5;
const PATIENCE: Duration = Duration::from_millis(800);

/// The nemesis's tokens; clients have small ones.
const STRIKE: u64 = 1 << 63;
const RESTART: u64 = STRIKE + (1 << 32);
/// A client's patience is over.
const LATE: u64 = 1 << 40;

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Unique values are put, read and deleted.
    Registers,
    /// Unique elements are added and read.
    Sets,
    /// Ones are added and the sum is read.
    Counters,
}

/// What is to happen in a run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) options: Options,
    nodes: u16,
    work: Work,
    weather: Weather,
    crashes: bool,
    cuts: bool,
    /// Whether clients ask another node with each operation.
    wander: bool,
    duration: Duration,
}

impl Plan {
    /// Any mixture; see the Raft runs.
    pub(crate) fn swarm(settings: Settings, work: Work, seed: u64) -> Plan {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut options = Options { settings, ..Options::default() };
        options.leaves = [1, 4, 64][rng.random_range(0..3)];
        options.exchange_every = Duration::from_millis([50, 200, 500][rng.random_range(0..3)]);
        options.patience = Duration::from_millis(600);
        options.grace = Duration::from_millis([2_500, 5_000][rng.random_range(0..2)]);
        options.keys_max = [1, 512][rng.random_range(0..2)];
        Plan {
            options,
            nodes: 3,
            work,
            weather: if rng.random() { Weather::FAIR } else { Weather::FOUL },
            crashes: rng.random(),
            cuts: rng.random_bool(0.7),
            wander: rng.random_bool(0.7) || settings.sessions,
            duration: Duration::from_secs(6),
        }
    }
}

/// A promise that was broken.
#[derive(Clone, Debug)]
pub(crate) struct Broken(pub(crate) String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What happened how often: a run in which nothing went wrong has shown nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sightings(BTreeMap<&'static str, u64>);

impl Sightings {
    fn count(&mut self, what: &'static str, times: u64) {
        *self.0.entry(what).or_default() += times;
    }

    pub(crate) fn add(&mut self, more: &Sightings) {
        more.0.iter().for_each(|(what, count)| self.count(what, *count));
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(what, count)| (*what, *count))
    }
}

#[derive(Debug)]
struct Client {
    /// What it has seen, by key.
    contexts: BTreeMap<Key, Context>,
    waits: Option<(RequestId, Asked)>,
    age: u64,
}

/// An operation under way.
#[derive(Clone, Debug)]
struct Asked {
    key: Key,
    op: Option<Op>,
    begun: Time,
}

struct Run<'a> {
    plan: &'a Plan,
    world: World<Eventual>,
    rng: ChaCha8Rng,
    clients: Vec<Client>,
    witness: Witness,
    seen: Sightings,
    next_value: i64,
    working: bool,
}

/// Lives a plan to its end, and says what was seen, or which promise was broken.
pub(crate) fn run(plan: &Plan, seed: u64) -> Result<Sightings, Broken> {
    let settings = plan.options.settings;
    let client = |_| Client { contexts: BTreeMap::new(), waits: None, age: 0 };
    let mut run = Run {
        plan,
        world: World::new(plan.nodes, plan.options.clone(), plan.weather, seed),
        rng: ChaCha8Rng::seed_from_u64(seed ^ 0x5eed),
        clients: (0..CLIENTS).map(client).collect(),
        witness: Witness::new(settings, usize::from(plan.nodes), CLIENTS),
        seen: Sightings::default(),
        next_value: 1,
        working: true,
    };
    (0..CLIENTS).for_each(|client| run.rest(client));
    run.world.wake_after(Duration::from_millis(300), STRIKE);
    run.live(plan.duration)?;
    run.heal();
    run.converge()?;
    run.read_everything()?;
    let Run { mut seen, witness, world, .. } = run;
    seen.count("a batch lost in a crash", world.lost_batches);
    seen.count("an acknowledged write", witness.acknowledged());
    Ok(seen)
}

impl Run<'_> {
    fn live(&mut self, until: Time) -> Result<(), Broken> {
        while let Some(happening) = self.world.advance(until) {
            for (_, note) in self.world.notes.split_off(0) {
                let what = match note {
                    Note::Collected { .. } => "a deleted key collected",
                    Note::Differs { .. } => "a difference found by anti-entropy",
                    _ => continue,
                };
                // Only where they are to be seen at all.
                if self.plan.work == Work::Registers {
                    self.seen.count(what, 1);
                }
            }
            match happening {
                Happening::Reply(id, reply) => self.on_reply(id, reply)?,
                Happening::Wake(STRIKE) => self.strike(),
                Happening::Wake(token) if token >= RESTART => {
                    let id = NodeId((token - RESTART) as u16);
                    if self.world.core(id).is_none() {
                        self.world.start(id);
                    }
                }
                Happening::Wake(token) if token >= LATE => self.lose_patience(token - LATE),
                Happening::Wake(client) => self.begin(client as usize),
                Happening::Step(id) => self.look_at(id)?,
                Happening::Nothing => {}
            }
        }
        Ok(())
    }

    /// What is so of every state: it has seen the changes that it consists of, and keeps one value
    /// where the last writer wins.
    fn look_at(&self, id: NodeId) -> Result<(), Broken> {
        let settings = self.plan.options.settings;
        for (key, object) in self.world.core(id).into_iter().flat_map(Eventual::objects) {
            let unseen = object.versions.iter().any(|version| !object.seen.contains(version.dot));
            if unseen || !keeps_siblings(settings) && object.versions.len() > 1 {
                return Err(Broken(format!("{id} has {object:?} for {key}")));
            }
        }
        Ok(())
    }

    fn rest(&mut self, client: usize) {
        let pause = Duration::from_millis(self.rng.random_range(1..60));
        self.world.wake_after(pause, client as u64);
    }

    fn begin(&mut self, client: usize) {
        if !self.working {
            return;
        }
        let nodes = self.plan.nodes;
        let home =
            if self.plan.wander { self.rng.random_range(0..nodes) } else { client as u16 % nodes };
        let key: Key = ["a", "b", "c"][self.rng.random_range(0..3)].into();
        let op = self.draw(key.clone());
        self.ask(client, NodeId(home + 1), &key, op);
    }

    fn draw(&mut self, key: Key) -> Option<Op> {
        if self.rng.random() {
            return None;
        }
        self.next_value += 1;
        let value = Value::Int(self.next_value);
        Some(match self.plan.work {
            Work::Registers if self.rng.random_range(0..5) == 0 => Op::Delete { key },
            Work::Registers => Op::Put { key, value },
            Work::Sets => Op::Add { key, element: value },
            Work::Counters => Op::Increment { key, by: 1 },
        })
    }

    fn ask(&mut self, client: usize, node: NodeId, key: &Key, op: Option<Op>) {
        let asked = Asked { key: key.clone(), op: op.clone(), begun: self.world.now() };
        self.witness.begins(client, &asked.key, asked.op.as_ref());
        let plain = match op {
            Some(op) => Request::Write(Command { session: None, op }),
            None => Request::Read(key.clone()),
        };
        let request = match self.clients[client].contexts.get(key) {
            Some(context) => Request::Causal { context: context.clone(), request: Box::new(plain) },
            None => plain,
        };
        let id = self.world.request(node, request);
        let age = &mut self.clients[client].age;
        *age += 1;
        self.world.wake_after(PATIENCE, LATE + (*age << 8) + client as u64);
        self.clients[client].waits = Some((id, asked));
    }

    fn lose_patience(&mut self, token: u64) {
        let (client, age) = ((token & 0xff) as usize, token >> 8);
        if self.clients[client].age == age && self.clients[client].waits.take().is_some() {
            self.be_another(client);
        }
    }

    /// Goes on as another client, who has seen nothing: what became of the last operation nobody
    /// knows.
    fn be_another(&mut self, client: usize) {
        self.clients[client].contexts.clear();
        self.witness.is_another(client);
        self.rest(client);
    }

    fn on_reply(&mut self, id: RequestId, reply: Reply) -> Result<(), Broken> {
        let waits = |client: &Client| client.waits.as_ref().is_some_and(|(asked, _)| *asked == id);
        let Some(number) = self.clients.iter().position(waits) else { return Ok(()) };
        let Some((_, asked)) = self.clients[number].waits.take() else { return Ok(()) };
        match reply {
            Ok(Output::Causal { context, output }) => {
                let known = self.clients[number].contexts.entry(asked.key.clone()).or_default();
                known.merge(&context);
                let now = self.world.now();
                self.witness.hears(number, (&asked, now), &output)?;
                self.rest(number);
            }
            Ok(output) => return Err(Broken(format!("an answer without a context: {output:?}"))),
            Err(_) => self.be_another(number),
        }
        Ok(())
    }

    fn strike(&mut self) {
        if !self.working {
            return;
        }
        let ids = self.world.ids();
        let victim = ids[self.rng.random_range(0..ids.len())];
        if self.plan.crashes && self.rng.random() && self.world.core(victim).is_some() {
            self.world.crash(victim);
            let down = Duration::from_millis(self.rng.random_range(20..1_500));
            self.world.wake_after(down, RESTART + u64::from(victim.0));
        } else if self.plan.cuts {
            let one_way = self.rng.random_range(0..3) == 0;
            let others = ids.iter().filter(|id| **id != victim);
            let mut cut: BTreeSet<_> = others.clone().map(|other| (victim, *other)).collect();
            if !one_way {
                cut.extend(others.map(|other| (*other, victim)));
            }
            self.world.cut = if self.rng.random() { cut } else { BTreeSet::new() };
        }
        let pause = Duration::from_millis(self.rng.random_range(100..1_200));
        self.world.wake_after(pause, STRIKE);
    }

    fn heal(&mut self) {
        self.working = false;
        self.world.cut.clear();
        self.world.weather = Weather::FAIR;
        for id in self.world.ids() {
            if self.world.core(id).is_none() {
                self.world.start(id);
            }
        }
    }

    /// Waits until all nodes have the same.
    fn converge(&mut self) -> Result<(), Broken> {
        let deadline = self.world.now() + Duration::from_secs(15);
        loop {
            self.live(self.world.now() + Duration::from_millis(100))?;
            let cores: Vec<&Eventual> = self.world.cores().map(|(_, core)| core).collect();
            let digest = |core: &Eventual| core.status().digest;
            let alike = cores.iter().all(|core| core.objects().eq(cores[0].objects()));
            if alike != cores.iter().all(|core| digest(core) == digest(cores[0])) {
                return Err(Broken("digests are not those of the states".to_owned()));
            }
            if alike && self.clients.iter().all(|client| client.waits.is_none()) {
                return Ok(());
            }
            if self.world.now() >= deadline {
                let states = cores.iter().map(|core| core.objects().collect::<Vec<_>>());
                let states: Vec<_> = states.collect();
                return Err(Broken(format!("nodes never converge: {states:?}")));
            }
        }
    }

    /// A client of each node reads every key, and what was acknowledged has to be there.
    fn read_everything(&mut self) -> Result<(), Broken> {
        for node in self.world.ids() {
            for key in ["a", "b", "c"] {
                let client = usize::from(node.0) % CLIENTS;
                self.ask(client, node, &key.into(), None);
                self.witness.reads_last(client);
                self.live(self.world.now() + Duration::from_secs(1))?;
                if self.clients[client].waits.is_some() {
                    return Err(Broken(format!("{node} does not answer after all was healed")));
                }
            }
        }
        self.witness.concludes()
    }
}

/// Whether concurrent values are all kept.
fn keeps_siblings(settings: Settings) -> bool {
    settings.conflicts == Conflicts::Siblings
}
