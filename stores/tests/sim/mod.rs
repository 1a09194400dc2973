//! Runs of a simulated Raft cluster under faults, each decided by a seed.

pub(crate) mod clients;
pub(crate) mod history;
pub(crate) mod invariants;
pub(crate) mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rashomon_stores::kv::Value;
use rashomon_stores::raft::{Note, Options, Raft, ReadMode};
use rashomon_stores::replica::{Admin, NodeId, Request, RequestId, Role, Time};

use clients::Clients;
use history::Outcome;
use invariants::Invariants;
use world::{Happening, Weather, World};

const CLIENTS: usize = 4;

/// The nemesis's tokens; clients have small ones.
const STRIKE: u64 = 1 << 63;
const CRASH: u64 = STRIKE + (1 << 32);
const RESTART: u64 = CRASH + (1 << 32);

/// What is to happen in a run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) nodes: u16,
    pub(crate) options: Options,
    pub(crate) weather: Weather,
    /// Whether nodes crash, losing what is not synced.
    pub(crate) crashes: bool,
    /// Whether links are cut.
    pub(crate) partitions: bool,
    /// Whether members come and go, and leadership is handed over.
    pub(crate) churn: bool,
    /// The chance in a thousand that a node crashes right after something decisive: a vote, an
    /// election, a truncation. What is not synced then hurts most.
    pub(crate) untimely_crashes: u32,
    /// The longest pause between faults.
    pub(crate) pause_max: Duration,
    /// How long faults go on before everything heals.
    pub(crate) duration: Duration,
}

impl Plan {
    /// Fair weather and no faults, on five nodes.
    pub(crate) fn calm() -> Plan {
        Plan {
            nodes: 5,
            options: Options::default(),
            weather: Weather::FAIR,
            crashes: false,
            partitions: false,
            churn: false,
            untimely_crashes: 0,
            pause_max: Duration::from_millis(900),
            duration: Duration::from_secs(8),
        }
    }

    /// Any mixture: each seed turns some kinds of trouble off and others up (Groce et al., *Swarm
    /// Testing*, 2012), because together they hide what each alone would bring out.
    pub(crate) fn swarm(seed: u64) -> Plan {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut plan = Plan::calm();
        plan.nodes = rng.random_range(3..=5);
        plan.weather = if rng.random() { Weather::FAIR } else { Weather::FOUL };
        plan.weather.sync_max = Duration::from_millis([5, 40, 200][rng.random_range(0..3)]);
        if rng.random() {
            // Too short for such a network: elections all the time.
            plan.options.heartbeat = Duration::from_millis(20);
            plan.options.election_min = Duration::from_millis(50);
            plan.options.election_max = Duration::from_millis(150);
        }
        plan.options.append_bytes_max = [1, 256 << 10][rng.random_range(0..2)];
        plan.options.append_window = [1, 3, 1024][rng.random_range(0..3)];
        plan.options.snapshot_every = [5, 40, 10_000][rng.random_range(0..3)];
        plan.options.snapshot_chunk_bytes = [20, 300, 64 << 10][rng.random_range(0..3)];
        plan.options.pre_vote = rng.random();
        plan.options.check_quorum = rng.random();
        plan.options.reads = [ReadMode::ReadIndex, ReadMode::Lease][rng.random_range(0..2)];
        plan.crashes = rng.random();
        plan.partitions = rng.random();
        plan.churn = rng.random();
        // Without these, who was removed and does not know it stands for election for ever.
        plan.options.pre_vote |= plan.churn;
        plan.options.check_quorum |= plan.churn;
        plan.untimely_crashes = [0, 100, 400][rng.random_range(0..3)];
        plan.pause_max = Duration::from_millis([150, 900][rng.random_range(0..2)]);
        plan
    }
}

/// What a run that found nothing wrong has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Coverage {
    pub(crate) elections: usize,
    pub(crate) committed: usize,
    pub(crate) crashes: usize,
    pub(crate) cuts: usize,
    pub(crate) lost_batches: u64,
    pub(crate) reads: usize,
    pub(crate) appends: usize,
    pub(crate) unknown: usize,
    /// Snapshots that followers have taken over.
    pub(crate) installed: usize,
    /// Orders to change the members or to hand over leadership that were carried out.
    pub(crate) orders_done: usize,
}

impl std::ops::AddAssign for Coverage {
    fn add_assign(&mut self, other: Coverage) {
        self.elections += other.elections;
        self.committed += other.committed;
        self.crashes += other.crashes;
        self.cuts += other.cuts;
        self.lost_batches += other.lost_batches;
        self.reads += other.reads;
        self.appends += other.appends;
        self.unknown += other.unknown;
        self.installed += other.installed;
        self.orders_done += other.orders_done;
    }
}

/// A run under way.
pub(crate) struct Run {
    pub(crate) world: World<Raft>,
    pub(crate) clients: Clients,
    invariants: Invariants,
    plan: Plan,
    rng: ChaCha8Rng,
    /// Requests of the operator without an answer.
    operator: BTreeSet<RequestId>,
    orders: Vec<(Duration, u64)>,
    coverage: Coverage,
}

impl Run {
    pub(crate) fn new(plan: Plan, seed: u64) -> Run {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut world = World::new(plan.nodes, plan.options.clone(), plan.weather, rng.random());
        let clients = Clients::new(CLIENTS, rng.random(), &mut world);
        world.wake_after(Duration::from_millis(700), STRIKE);
        let (invariants, coverage) = (Invariants::default(), Coverage::default());
        let (operator, orders) = (BTreeSet::new(), Vec::new());
        Run { world, clients, invariants, plan, rng, operator, orders, coverage }
    }

    /// Runs with faults, then without, and checks safety all along and liveness in the end.
    pub(crate) fn complete(mut self) -> Result<Coverage, String> {
        self.until(self.plan.duration)?;
        self.heal();
        self.world.weather = Weather::FAIR;
        // Long enough for messages held before, for an election or two, and for clients to finish.
        self.until(self.world.now() + Duration::from_secs(4))?;
        self.clients.resting = true;
        self.until(self.world.now() + Duration::from_secs(4))?;
        self.check_liveness()?;
        let finally = self.final_lists()?;
        self.clients.history.check(&finally)?;
        Ok(self.coverage())
    }

    /// Lets the world go on until a time, checking invariants.
    pub(crate) fn until(&mut self, until: Time) -> Result<(), String> {
        let mut next_look = self.world.now();
        while let Some(happening) = self.world.advance(until) {
            match happening {
                Happening::Step(id) => {
                    self.order_untimely_crashes();
                    self.invariants.after_step(id, &mut self.world)?;
                }
                Happening::Reply(id, reply) if self.operator.remove(&id) => {
                    self.coverage.orders_done += usize::from(reply.is_ok());
                }
                Happening::Reply(id, reply) => self.clients.on_reply(id, reply, &mut self.world),
                Happening::Wake(STRIKE) => self.strike(),
                Happening::Wake(token) if token >= RESTART => self.restart(token - RESTART),
                Happening::Wake(token) if token >= CRASH => self.crash_for_a_while(token - CRASH),
                Happening::Wake(token) => self.clients.on_wake(token, &mut self.world),
                Happening::Nothing => {}
            }
            if self.world.now() >= next_look {
                Invariants::log_matching(&self.world)?;
                next_look = self.world.now() + Duration::from_millis(250);
            }
        }
        Ok(())
    }

    /// The leader of the highest term among those that think they lead.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        let leaders = self.world.cores().filter(|(_, core)| core.role() == Role::Leader);
        leaders.max_by_key(|(_, core)| core.hard_state().term).map(|(id, _)| id)
    }

    /// Cuts a node off from all others, both ways.
    pub(crate) fn isolate(&mut self, id: NodeId) {
        for other in self.world.ids() {
            self.world.cut.insert((id, other));
            self.world.cut.insert((other, id));
        }
    }

    /// Undoes every fault.
    pub(crate) fn heal(&mut self) {
        self.plan.crashes = false;
        self.plan.partitions = false;
        self.plan.churn = false;
        self.plan.untimely_crashes = 0;
        self.world.cut.clear();
        for id in self.world.ids() {
            if self.world.core(id).is_none() {
                self.world.start(id);
            }
        }
    }

    /// One fault, or the end of one; and the next in a while.
    fn strike(&mut self) {
        let ids = self.world.ids();
        let victim = ids[self.rng.random_range(0..ids.len())];
        let leader = self.leader().unwrap_or(victim);
        let down = ids.iter().copied().find(|id| self.world.core(*id).is_none());
        if self.plan.churn {
            self.order(leader, victim);
        }
        match self.rng.random_range(0..10) {
            0..=1 => self.world.cut.clear(),
            2..=3 => drop(down.map(|id| self.world.start(id))),
            4 if self.plan.crashes => self.crash(leader),
            5 if self.plan.crashes => self.power_cut(),
            6 if self.plan.partitions => self.cut_off(leader),
            7 if self.plan.partitions => self.cut_off(victim),
            8 if self.plan.partitions => self.cut_halves(),
            9 if self.plan.partitions => self.cut_one_way(leader),
            _ => {}
        }
        let pause = self.rng.random_range(Duration::from_millis(20)..=self.plan.pause_max);
        if self.plan.crashes || self.plan.partitions || self.plan.churn {
            self.world.wake_after(pause, STRIKE);
        }
    }

    /// The operator orders something to do with a node.
    fn order(&mut self, leader: NodeId, node: NodeId) {
        let order = match self.rng.random_range(0..3) {
            0 => Admin::Transfer { to: node },
            1 => Admin::RemoveServer { node },
            _ => Admin::AddServer { node, address: None },
        };
        let request = self.world.request(leader, Request::Admin(order));
        self.operator.insert(request);
    }

    fn order_untimely_crashes(&mut self) {
        for (id, note) in &self.world.notes {
            let decisive = matches!(
                note,
                Note::VoteGranted { .. }
                    | Note::ElectionStarted { .. }
                    | Note::BecameLeader { .. }
                    | Note::Truncated { .. }
                    | Note::Compacted { .. }
                    | Note::SnapshotInstalled { .. }
            );
            if decisive && self.rng.random_range(0..1000) < self.plan.untimely_crashes {
                let delay = Duration::from_micros(self.rng.random_range(0..20_000));
                self.orders.push((delay, CRASH + u64::from(id.0)));
            }
        }
        for (delay, token) in self.orders.drain(..) {
            self.world.wake_after(delay, token);
        }
    }

    fn crash_for_a_while(&mut self, id: u64) {
        if self.plan.untimely_crashes > 0 {
            self.crash(NodeId(id as u16));
            let delay = Duration::from_millis(self.rng.random_range(1..400));
            self.world.wake_after(delay, RESTART + id);
        }
    }

    fn restart(&mut self, id: u64) {
        let id = NodeId(id as u16);
        if self.world.core(id).is_none() {
            self.world.start(id);
        }
    }

    fn crash(&mut self, id: NodeId) {
        if self.world.core(id).is_some() {
            self.coverage.crashes += 1;
            self.world.crash(id);
            self.invariants.after_crash(id);
        }
    }

    /// Most nodes crash at once and start again soon, each in its own time.
    fn power_cut(&mut self) {
        for id in self.world.ids() {
            if self.rng.random_range(0..4) > 0 {
                self.crash(id);
                let delay = Duration::from_millis(self.rng.random_range(1..400));
                self.world.wake_after(delay, RESTART + u64::from(id.0));
            }
        }
    }

    fn cut_off(&mut self, id: NodeId) {
        self.coverage.cuts += 1;
        self.isolate(id);
    }

    fn cut_halves(&mut self) {
        self.coverage.cuts += 1;
        let ids = self.world.ids();
        let side: BTreeMap<NodeId, bool> = ids.iter().map(|id| (*id, self.rng.random())).collect();
        for a in &ids {
            for b in ids.iter().filter(|b| side[a] != side[*b]) {
                self.world.cut.insert((*a, *b));
            }
        }
    }

    fn cut_one_way(&mut self, id: NodeId) {
        self.coverage.cuts += 1;
        let inbound: bool = self.rng.random();
        for other in self.world.ids() {
            self.world.cut.insert(if inbound { (other, id) } else { (id, other) });
        }
    }

    /// One leader, everybody in its term with its log, everything applied.
    fn check_liveness(&self) -> Result<(), String> {
        let leader = self.leader().ok_or("no leader after everything has healed")?;
        let lead = self.world.core(leader).ok_or("the leader runs")?;
        let members = |id: &NodeId| lead.members().is_voter(*id);
        for (id, core) in self.world.cores().filter(|(id, _)| members(id)) {
            if core.hard_state().term != lead.hard_state().term {
                return Err(format!("{id} is not in the term of the leader {leader}"));
            }
            if core.commit_index() != lead.log().last_index() {
                let (has, wants) = (core.commit_index(), lead.log().last_index());
                return Err(format!("{id} has committed up to {has}, not {wants}, long after"));
            }
            if core.store() != lead.store() {
                return Err(format!("{id} and {leader} have applied the same to different states"));
            }
        }
        Ok(())
    }

    fn final_lists(&self) -> Result<BTreeMap<rashomon_stores::kv::Key, Vec<i64>>, String> {
        let leader = self.leader().ok_or("nobody leads")?;
        let core = self.world.core(leader).ok_or("the leader runs")?;
        let number = |item: &Value| match item {
            Value::Int(number) => Ok(*number),
            other => Err(format!("{other} was never appended")),
        };
        clients::keys()
            .map(|key| match core.store().get(&key) {
                Value::Null => Ok((key, Vec::new())),
                Value::List(items) => {
                    Ok((key, items.iter().map(number).collect::<Result<_, _>>()?))
                }
                other => Err(format!("{key} is {other}")),
            })
            .collect()
    }

    fn coverage(&self) -> Coverage {
        let mut coverage = self.coverage;
        coverage.elections = self.invariants.elections();
        coverage.committed = self.invariants.committed();
        coverage.installed = self.invariants.installed;
        coverage.lost_batches = self.world.lost_batches;
        for operation in self.clients.history.operations() {
            match operation.outcome {
                Outcome::Read(_) => coverage.reads += 1,
                Outcome::Appended => coverage.appends += 1,
                Outcome::Unknown => coverage.unknown += 1,
                Outcome::Failed => {}
            }
        }
        coverage
    }
}
