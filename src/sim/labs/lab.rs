//! The bench that the tests work at: a cluster in the simulated world, what they may do to it, and
//! what they may ask of it.
//!
//! Three oracles watch all along, whatever the test: servers apply the same command at the same
//! place and in order, what they applied does not shrink while they live, and Raft's own
//! invariants hold ([`RaftWitness`]).
//!
//! Positions are counted as the tests do, in commands from 1: the empty entry with which a leader
//! opens its term has none. Disks are those of the simulator, so a crash loses what was not synced,
//! which the tests' original never does.

use std::cell::{RefCell, RefMut};
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rashomon_nemesis::{Grudge, Node, Trouble, Ways};
use rashomon_stores::kv::{Command, Op, Value};
use rashomon_stores::raft::log::{HardState, Payload, Record, Term};
use rashomon_stores::raft::{Options, Raft};
use rashomon_stores::replica::{NodeId, Reply, Request, RequestId, Role};

use super::applied::Applied;
use super::network::{LabCourier, Rules};
use super::tasks::{Ready, TaskId};
use super::{Bound, Failure, Outcome};
use crate::sim::climate::Climate;
use crate::sim::invariants::RaftWitness;
use crate::sim::witness::Witness;
use crate::sim::world::{Happening, Heard, World, stream};

/// The streams of the seed that a test draws from; the world has others.
const SCRIPT: u64 = 200;

/// The key that commands of the tests write to.
const KEY: &str = "lab";

/// A handle on the bench: a test and what it spawns each have one.
#[derive(Clone)]
pub(super) struct Lab {
    bench: Rc<RefCell<Bench>>,
    /// How the network treats messages, and what it counted.
    pub(super) network: Rc<RefCell<Rules>>,
}

/// A cluster, and who waits for what.
pub(super) struct Bench {
    /// The simulated world.
    pub(super) world: World<Raft, TaskId>,
    /// What the test itself draws from.
    pub(super) rng: ChaCha8Rng,
    /// Which servers are connected.
    pub(super) connected: Vec<bool>,
    /// On which side of a split they are.
    sides: Vec<bool>,
    /// Which tasks are ready.
    pub(super) ready: Ready,
    /// Counts and what they must not exceed.
    pub(super) bounds: Vec<Bound>,
    witness: RaftWitness,
    clerks: u64,
    /// Who waits for an answer.
    waiting: BTreeMap<RequestId, TaskId>,
    /// Answers that nobody has taken yet.
    heard: BTreeMap<RequestId, Heard>,
    applied: Applied,
    requests: u64,
}

/// Where a leader has put a command, if nothing happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Started {
    /// Its position among the commands.
    pub(super) index: u64,
    /// The leader's term.
    pub(super) term: Term,
}

impl Lab {
    /// A cluster of so many servers, all running and connected.
    pub(super) fn new(
        servers: usize,
        unreliable: bool,
        options: Options,
        seed: u64,
    ) -> Result<Self, Failure> {
        let network = Rc::new(RefCell::new(Rules::new(servers, unreliable)));
        let mut world = World::new(servers as u16, options, Climate::FAIR, seed);
        world.employ(Box::new(LabCourier(network.clone())));
        let witness = RaftWitness::default();
        world.watch_for(&witness);
        let bench = Bench {
            world,
            rng: stream(seed, SCRIPT),
            connected: vec![true; servers],
            sides: vec![false; servers],
            bounds: Vec::new(),
            witness,
            applied: Applied::new(servers),
            requests: 0,
            clerks: 0,
            waiting: BTreeMap::new(),
            heard: BTreeMap::new(),
            ready: Ready::default(),
        };
        let lab = Lab { bench: Rc::new(RefCell::new(bench)), network };
        for server in 0..servers {
            lab.start_server(server)?;
        }
        Ok(lab)
    }

    /// The bench, for as long as nobody waits.
    pub(super) fn bench(&self) -> RefMut<'_, Bench> {
        self.bench.borrow_mut()
    }

    /// Nanoseconds since the test began.
    pub(super) fn now(&self) -> u64 {
        self.bench().now()
    }

    /// How many servers there are.
    pub(super) fn servers(&self) -> usize {
        self.bench().connected.len()
    }

    /// Starts a server from its disk, after a crash if it still runs. It is connected as before.
    pub(super) fn start_server(&self, server: usize) -> Result<(), Failure> {
        let mut bench = self.bench();
        bench.crash(server);
        let started = bench.world.start(id(server));
        let Bench { world, witness, .. } = &mut *bench;
        let seen = started.and_then(|()| world.show_started(witness));
        seen.map_err(|breach| bench.failure(breach.to_string()))
    }

    /// Disconnects a server and crashes it.
    pub(super) fn crash(&self, server: usize) {
        self.disconnect(server);
        self.bench().crash(server);
    }

    /// Starts a server from its disk and connects it.
    pub(super) fn restart(&self, server: usize) -> Result<(), Failure> {
        self.start_server(server)?;
        self.connect(server);
        Ok(())
    }

    /// Connects a server to all that are connected.
    pub(super) fn connect(&self, server: usize) {
        self.bench().reconnect(server, true);
    }

    /// Disconnects a server from all others, both ways.
    pub(super) fn disconnect(&self, server: usize) {
        self.bench().reconnect(server, false);
    }

    /// Connects each of these servers.
    pub(super) fn connect_all(&self, servers: impl IntoIterator<Item = usize>) {
        servers.into_iter().for_each(|server| self.connect(server));
    }

    /// Disconnects each of these servers.
    pub(super) fn disconnect_all(&self, servers: impl IntoIterator<Item = usize>) {
        servers.into_iter().for_each(|server| self.disconnect(server));
    }

    /// Splits the network: those on one side do not hear those on the other.
    pub(super) fn split(&self, side: impl FnMut(usize) -> bool) {
        // What decides may look at the bench, too.
        let sides = (0..self.servers()).map(side).collect();
        let mut bench = self.bench();
        bench.sides = sides;
        bench.rewire();
    }

    /// Whether a server is connected.
    pub(super) fn is_connected(&self, server: usize) -> bool {
        self.bench().connected[server]
    }

    /// Whether a server runs.
    pub(super) fn is_up(&self, server: usize) -> bool {
        self.bench().world.core(id(server)).is_some()
    }

    /// Hands a command to a server, which takes it up if it leads: says at once where it will be.
    pub(super) fn start(&self, server: usize, value: impl Into<Value>) -> Option<Started> {
        self.bench().start(server, value.into())
    }

    /// How many servers have applied the command at a position, and what it writes.
    pub(super) fn committed(&self, index: u64) -> (usize, Option<Value>) {
        self.bench().applied.at(index)
    }

    /// The terms of the servers that run.
    pub(super) fn terms(&self) -> Vec<Term> {
        self.bench().world.cores().map(|(_, core)| core.hard_state().term).collect()
    }

    /// The disk of no server holds more than so many bytes beside its snapshot, as limits on
    /// messages reckon.
    pub(super) fn log_sizes_at_most(&self, bound: u64) -> Result<(), Failure> {
        let size = |record: &Record| match record {
            Record::Entry(entry) => entry.size() as u64,
            Record::Hard(_) => std::mem::size_of::<HardState>() as u64,
            Record::Snapshot(_) => 0,
        };
        let largest = {
            let bench = self.bench();
            let disks = (0..bench.connected.len()).map(|server| bench.world.stored(id(server)));
            disks.map(|disk| disk.iter().map(|(_, record)| size(record)).sum()).max()
        };
        self.expect_at_most("bytes of log", largest.unwrap_or_default(), bound)
    }

    /// The size of the largest snapshot that a server has, in bytes; 0 if none has one.
    pub(super) fn largest_snapshot(&self) -> u64 {
        let bench = self.bench();
        let texts = bench.world.cores().filter_map(|(_, core)| Some(core.snapshot()?.text()));
        texts.map(|text| text.len() as u64).max().unwrap_or_default()
    }

    /// Calls dispatched so far, at all servers.
    pub(super) fn calls(&self) -> u64 {
        self.network.borrow().calls.iter().sum()
    }

    /// Notes a count; it must not exceed its bound.
    pub(super) fn expect_at_most(
        &self,
        what: &'static str,
        count: u64,
        bound: u64,
    ) -> Result<(), Failure> {
        self.bench().bounds.push(Bound { what, count, bound });
        self.ensure(count <= bound, || format!("{what}: {count}, more than {bound}"))
    }

    /// Something must be so.
    pub(super) fn ensure(&self, so: bool, why: impl FnOnce() -> String) -> Result<(), Failure> {
        if so { Ok(()) } else { Err(self.bench().failure(why())) }
    }

    /// Something went wrong.
    pub(super) fn fail<T>(&self, why: impl Into<String>) -> Result<T, Failure> {
        Err(self.bench().failure(why.into()))
    }

    /// The number of a new clerk.
    pub(super) fn count_clerk(&self) -> u64 {
        let mut bench = self.bench();
        bench.clerks += 1;
        bench.clerks
    }

    /// Asks a server something, and waits for the answer until a time; none if there is none.
    pub(super) async fn ask(
        &self,
        server: usize,
        request: Request,
        deadline: u64,
    ) -> Option<Reply> {
        let request = self.bench().ask(server, request);
        let mut ordered = false;
        let heard = poll_fn(|_| {
            let mut bench = self.bench();
            if let Some(heard) = bench.heard.remove(&request) {
                return Poll::Ready(Some(heard));
            }
            if bench.now() >= deadline {
                bench.waiting.remove(&request);
                return Poll::Ready(None);
            }
            if !std::mem::replace(&mut ordered, true) {
                let task = bench.ready.current();
                bench.waiting.insert(request, task);
                bench.wake_at(deadline);
            }
            Poll::Pending
        });
        match heard.await? {
            Heard::Reply(reply) => Some(reply),
            Heard::NoConnection | Heard::ConnectionLost => None,
        }
    }

    /// Looks at everything once more, and sums up.
    pub(super) fn finish(&self) -> Result<Outcome, Failure> {
        let mut bench = self.bench();
        bench.glance()?;
        let rules = self.network.borrow();
        Ok(Outcome {
            virtual_time: Duration::from_nanos(bench.now()),
            calls: rules.calls.iter().sum(),
            bytes: rules.bytes,
            commands: bench.applied.commands(),
            bounds: bench.bounds.clone(),
        })
    }
}

impl Bench {
    /// Nanoseconds since the test began.
    pub(super) fn now(&self) -> u64 {
        self.world.now()
    }

    /// Wakes the current task at a time.
    pub(super) fn wake_at(&mut self, time: u64) {
        let task = self.ready.current();
        self.world.wake_at(time, task);
    }

    /// Something went wrong at this time.
    pub(super) fn failure(&self, why: String) -> Failure {
        Failure { at: Duration::from_nanos(self.now()), why }
    }

    /// Lets the next thing happen, before a time.
    ///
    /// # Errors
    /// What an oracle finds wrong, or that the time is over.
    pub(super) fn advance(&mut self, limit: u64) -> Result<(), Failure> {
        match self.world.advance(limit) {
            None => return Err(self.failure("the test takes too long".into())),
            Some(Happening::Step(id)) => self.look_at(id)?,
            Some(Happening::Broken(broken)) => return Err(self.failure(broken.to_string())),
            Some(Happening::Wake(task)) => self.ready.wake(task),
            Some(Happening::Heard(request, heard)) => {
                // Nobody waits for what becomes of a command that is looked for in the logs.
                if let Some(task) = self.waiting.remove(&request) {
                    self.heard.insert(request, heard);
                    self.ready.wake(task);
                }
            }
            // In a fair climate no node goes down by itself.
            Some(Happening::Stopped(_) | Happening::Nothing) => {}
        }
        Ok(())
    }

    fn look_at(&mut self, id: NodeId) -> Result<(), Failure> {
        let seen = self.world.show_step(id, &mut self.witness);
        let Some(core) = self.world.core(id) else { return Ok(()) };
        let applied = self.applied.advance(id, core);
        seen.map_err(|breach| breach.to_string()).and(applied).map_err(|why| self.failure(why))
    }

    fn glance(&mut self) -> Result<(), Failure> {
        let cores: Vec<(NodeId, &Raft)> = self.world.cores().collect();
        let seen = self.witness.glanced(&cores, true).map_err(|breach| breach.to_string());
        let agree = Applied::same_states(&cores);
        seen.and(agree).map_err(|why| self.failure(why))
    }

    fn crash(&mut self, server: usize) {
        if self.world.crash(id(server)) {
            self.witness.crashed(id(server));
            self.applied.forget(server);
        }
    }

    fn reconnect(&mut self, server: usize, connected: bool) {
        self.connected[server] = connected;
        self.rewire();
    }

    /// Cuts the disconnected off from everybody, and the sides of a split from each other.
    fn rewire(&mut self) {
        let servers = || 0..self.connected.len();
        let nodes = |of: &dyn Fn(usize) -> bool| -> BTreeSet<Node> {
            servers().filter(|server| of(*server)).map(|server| Node(id(server).0)).collect()
        };
        let mut grudge = Grudge::between(
            &nodes(&|server| !self.connected[server]),
            &nodes(&|_| true),
            Ways::Both,
        );
        let (left, right) =
            (nodes(&|server| self.sides[server]), nodes(&|server| !self.sides[server]));
        grudge.extend(&Grudge::between(&left, &right, Ways::Both));
        self.world.heal();
        self.world.strike(Trouble::Cut, &grudge);
    }

    fn ask(&mut self, server: usize, request: Request) -> RequestId {
        self.requests += 1;
        let request_id = RequestId(self.requests);
        self.world.take(id(server), request_id, request);
        request_id
    }

    fn start(&mut self, server: usize, value: Value) -> Option<Started> {
        let leads = |core: &&Raft| core.role() == Role::Leader;
        let before = self.world.core(id(server)).filter(leads)?.log().last_index();
        let op = Op::Put { key: KEY.into(), value };
        self.ask(server, Request::Write(Command { session: None, op }));
        let core = self.world.core(id(server)).filter(leads)?;
        let log = core.log();
        if log.last_index() == before {
            return None;
        }
        let open = (core.commit_index() + 1..=log.last_index())
            .filter(|index| {
                matches!(log.get(*index).map(|e| &e.payload), Some(Payload::Command(_)))
            })
            .count() as u64;
        let index = self.applied.commands_up_to(core.commit_index()) + open;
        Some(Started { index, term: core.hard_state().term })
    }
}

/// The name of a server; scripts count from 0.
pub(super) fn id(server: usize) -> NodeId {
    NodeId(server as u16 + 1)
}
