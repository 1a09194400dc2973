//! Tests of the core by itself: a few nodes whose messages a test can see and stop.

mod membership;

use std::collections::BTreeSet;

use super::acceptor::{promise_slot, state_slot};
use super::*;
use crate::kv::{self, Command, Op, Output, Session, Value};
use crate::replica::{Effect, Gate, Reply, RequestId};

/// Nodes with disks that sync at once, and a network without delay.
struct Cluster {
    options: Options,
    /// How many nodes were members at first.
    members: u16,
    nodes: Vec<Node>,
    /// On its way: from, to, what.
    network: VecDeque<(NodeId, NodeId, Message)>,
    /// Every message that has arrived.
    heard: Vec<(NodeId, NodeId, Message)>,
    /// Nodes that hear nothing and say nothing.
    cut_off: BTreeSet<NodeId>,
    replies: BTreeMap<RequestId, Reply>,
    requests: u64,
    now: Time,
}

struct Node {
    core: Paxos,
    effects: Effects<Paxos>,
    gate: Gate<Paxos>,
    disk: BTreeMap<Slot, Record>,
    wake: Option<Time>,
}

fn start(id: NodeId, count: u16, disk: BTreeMap<Slot, Record>, options: &Options) -> Node {
    let setup = Setup { id, members: (1..=count).map(NodeId).collect(), seed: u64::from(id.0) };
    let mut effects = Effects::default();
    let records = disk.iter().map(|(slot, record)| (slot.clone(), record.clone())).collect();
    let core = Paxos::recover(setup, options.clone(), records, Time::ZERO, &mut effects);
    let core = core.expect("a sound disk");
    Node { core, effects, gate: Gate::default(), disk, wake: None }
}

fn key() -> Key {
    "x".into()
}

fn put(value: i64) -> Op {
    Op::Put { key: key(), value: value.into() }
}

fn cas(expected: i64, new: i64) -> Op {
    Op::Cas { key: key(), expected: expected.into(), new: new.into() }
}

fn of_client(client: &str, sequence: u64, op: Op) -> Request {
    let session = Some(Session { client: client.into(), sequence });
    Request::Write(Command { session, op })
}

fn plain(op: Op) -> Request {
    Request::Write(Command { session: None, op })
}

impl Cluster {
    fn new(count: u16, options: Options) -> Self {
        Cluster::with_others(count, 0, options)
    }

    /// The same with nodes that are no members yet.
    fn with_others(members: u16, others: u16, options: Options) -> Self {
        let start = |id| start(NodeId(id), members, BTreeMap::new(), &options);
        Cluster {
            nodes: (1..=members + others).map(start).collect(),
            members,
            options,
            network: VecDeque::new(),
            heard: Vec::new(),
            cut_off: BTreeSet::new(),
            replies: BTreeMap::new(),
            requests: 0,
            now: Time::ZERO,
        }
    }

    fn node(&mut self, id: u16) -> &mut Node {
        &mut self.nodes[usize::from(id) - 1]
    }

    /// Sends a request to a node.
    fn ask(&mut self, id: u16, request: Request) -> RequestId {
        self.requests += 1;
        let number = RequestId(self.requests);
        self.step(id, Input::Request { id: number, request });
        number
    }

    /// Sends a request to a node and lets everything happen that follows, for a second at most.
    fn get(&mut self, id: u16, request: Request) -> Reply {
        let number = self.ask(id, request);
        for _ in 0..1000 {
            self.run();
            if let Some(reply) = self.replies.remove(&number) {
                return reply;
            }
            self.pass(Duration::from_millis(1));
        }
        panic!("no answer")
    }

    fn step(&mut self, id: u16, input: Input<Paxos>) {
        let now = self.now;
        let node = self.node(id);
        node.core.step(now, input, &mut node.effects);
        self.carry_out(id);
    }

    fn carry_out(&mut self, id: u16) {
        let node = self.node(id);
        let effects: Vec<_> = node.effects.drain().collect();
        let mut stored = None;
        let mut out = Vec::new();
        for effect in effects {
            match effect {
                Effect::Persist { ticket, writes } => {
                    stored = Some(ticket);
                    for write in writes {
                        match write {
                            Write::Put(slot, record) => drop(node.disk.insert(slot, record)),
                            Write::Erase(from, to) => {
                                node.disk.retain(|slot, _| *slot < from || *slot > to);
                            }
                        }
                    }
                }
                Effect::SetTimer { at, .. } => node.wake = Some(at),
                Effect::Note(_) => {}
                effect => out.extend(node.gate.admit(effect)),
            }
        }
        if let Some(ticket) = stored {
            out.extend(node.gate.stored(ticket));
        }
        for effect in out {
            match effect {
                Effect::Send { to, message, .. } => {
                    self.network.push_back((NodeId(id), to, message));
                }
                Effect::Reply { to, reply, .. } => drop(self.replies.insert(to, reply)),
                _ => {}
            }
        }
        if let Some(ticket) = stored {
            self.step(id, Input::Stored(ticket));
        }
    }

    /// Delivers every message, and every one that follows from that.
    fn run(&mut self) {
        while let Some((from, to, message)) = self.network.pop_front() {
            if !self.cut_off.contains(&from) && !self.cut_off.contains(&to) {
                self.heard.push((from, to, message.clone()));
                self.step(to.0, Input::Message { from, message });
            }
        }
    }

    /// Lets time pass, and everything happen that does meanwhile.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_millis(1);
            for id in 1..=self.nodes.len() as u16 {
                if self.node(id).wake.is_some_and(|at| at <= self.now) {
                    self.node(id).wake = None;
                    self.step(id, Input::Timer(Wake));
                }
            }
            self.run();
        }
    }

    /// Crashes a node and starts it again from its disk.
    fn restart(&mut self, id: u16) {
        let (count, options) = (self.members, self.options.clone());
        let disk = std::mem::take(&mut self.node(id).disk);
        *self.node(id) = start(NodeId(id), count, disk, &options);
        self.carry_out(id);
    }

    fn prepares(&self) -> usize {
        let prepares = |(_, _, it): &&(_, _, Message)| matches!(it.body, Body::Prepare { .. });
        self.heard.iter().filter(prepares).count()
    }
}

fn quiet() -> Options {
    // Nothing is collected while a test looks at something else.
    Options { collect_after: Duration::from_secs(3600), ..Options::default() }
}

fn value(value: i64) -> Reply {
    Ok(Output::Value(Value::Int(value)))
}

fn applied(current: i64) -> Reply {
    Ok(Output::Cas { applied: true, current: current.into() })
}

#[test]
fn quorums_meet_and_can_be_reached() {
    let of = |nodes, prepare, accept| {
        Quorums::of(nodes, prepare, accept).map(|it| (it.prepare, it.accept)).ok()
    };
    assert_eq!(of(5, None, None), Some((3, 3)));
    assert_eq!(of(4, None, None), Some((3, 3)));
    assert_eq!(of(1, None, None), Some((1, 1)));
    assert_eq!(of(5, None, Some(2)), Some((4, 2)));
    assert_eq!(of(5, Some(5), None), Some((5, 1)));
    assert_eq!(of(5, Some(4), Some(3)), Some((4, 3)));
    for (prepare, accept) in [(2, 3), (0, 5), (5, 0), (6, 1), (1, 6)] {
        assert_eq!(of(5, Some(prepare), Some(accept)), None, "{prepare} {accept}");
    }
    assert_eq!(of(3, None, Some(9)), None);
}

#[test]
fn any_node_takes_any_request() {
    let mut cluster = Cluster::new(5, quiet());
    assert_eq!(cluster.get(1, Request::Read(key())), Ok(Output::Value(Value::Null)));
    assert_eq!(cluster.get(2, plain(put(1))), Ok(Output::Done));
    assert_eq!(cluster.get(3, plain(cas(1, 2))), applied(1));
    let found = Output::Cas { applied: false, current: 2.into() };
    assert_eq!(cluster.get(4, plain(cas(1, 3))), Ok(found));
    assert_eq!(cluster.get(5, Request::Read(key())), value(2));
    let order = crate::replica::Admin::Transfer { to: NodeId(1) };
    assert!(matches!(cluster.get(1, Request::Admin(order)), Err(Refusal::Inapplicable { .. })));
}

#[test]
fn who_was_alone_with_a_key_needs_one_round_trip() {
    let mut cluster = Cluster::new(3, quiet());
    assert_eq!(cluster.get(1, plain(put(1))), Ok(Output::Done));
    let before = cluster.prepares();
    assert!(before > 0);
    for number in 1..20 {
        assert_eq!(cluster.get(1, plain(cas(number, number + 1))), applied(number));
    }
    assert_eq!(cluster.prepares(), before);
    cluster.restart(1);
    assert_eq!(cluster.get(1, Request::Read(key())), value(20));
    assert!(cluster.prepares() > before, "what it had cached is gone");
}

#[test]
fn what_is_cached_is_worth_nothing_after_another_s_write() {
    let mut cluster = Cluster::new(3, quiet());
    assert_eq!(cluster.get(1, plain(put(1))), Ok(Output::Done));
    // The node itself hears nothing of the other's write, so it believes in its cache.
    cluster.cut_off.insert(NodeId(1));
    assert_eq!(cluster.get(2, plain(put(2))), Ok(Output::Done));
    cluster.cut_off.clear();
    let found = Output::Cas { applied: false, current: 2.into() };
    assert_eq!(cluster.get(1, of_client("a", 1, cas(1, 3))), Ok(found));
    assert_eq!(cluster.get(3, Request::Read(key())), value(2));
}

#[test]
fn requests_that_meet_are_carried_out_together() {
    let mut cluster = Cluster::new(3, quiet());
    let first = cluster.ask(1, plain(put(0)));
    let rest: Vec<_> = (0..9).map(|old| cluster.ask(1, plain(cas(old, old + 1)))).collect();
    cluster.run();
    assert_eq!(cluster.replies.remove(&first), Some(Ok(Output::Done)));
    for (old, id) in (0..).zip(rest) {
        assert_eq!(cluster.replies.remove(&id), Some(applied(old)));
    }
    let accepts = |(_, _, it): &&(_, _, Message)| matches!(it.body, Body::Accept { .. });
    assert_eq!(cluster.heard.iter().filter(accepts).count(), 2, "one to each other node");
}

/// Found by seed 5 of the simulator: two have promised more, two are not enough, and the fifth is
/// gone for good.
#[test]
fn a_proposal_between_refusals_and_silence_is_given_up_in_time() {
    let mut cluster = Cluster::new(5, quiet());
    cluster.cut_off.extend([NodeId(1), NodeId(2)]);
    assert_eq!(cluster.get(3, plain(put(1))), Ok(Output::Done));
    for _ in 0..3 {
        assert_eq!(cluster.get(3, plain(put(2))), Ok(Output::Done));
    }
    cluster.cut_off = [NodeId(5)].into();
    assert_eq!(cluster.get(1, Request::Read(key())), value(2));
}

#[test]
fn proposers_that_get_in_each_other_s_way_all_finish() {
    let mut cluster = Cluster::new(5, quiet());
    for round in 0..20 {
        let asked: Vec<_> = (1..=5)
            .map(|node| {
                let append = Op::Append { key: key(), value: Value::Int(i64::from(node)) };
                cluster.ask(node, of_client(&node.to_string(), round, append))
            })
            .collect();
        cluster.pass(Duration::from_millis(500));
        assert!(asked.iter().all(|id| cluster.replies.remove(id) == Some(Ok(Output::Done))));
    }
    let Ok(Output::Value(Value::List(items))) = cluster.get(1, Request::Read(key())) else {
        panic!("a list was written")
    };
    assert_eq!(items.len(), 100, "each once");
}

#[test]
fn a_command_that_nobody_may_propose_again_is_of_unknown_fate() {
    let mut cluster = Cluster::new(3, Options { patience: Duration::from_secs(1), ..quiet() });
    assert_eq!(cluster.get(1, plain(put(1))), Ok(Output::Done));
    cluster.cut_off.insert(NodeId(1));
    let written = cluster.ask(1, of_client("a", 1, put(2)));
    let read = cluster.ask(1, Request::Read(key()));
    cluster.pass(Duration::from_secs(2));
    let unsure = Err(Refusal::NotChosen { proposed: true });
    assert_eq!(
        cluster.replies.remove(&written),
        Some(unsure.clone()),
        "it was in the cache's round"
    );
    assert_eq!(cluster.replies.remove(&read), Some(Err(Refusal::NotChosen { proposed: false })));
    // Without a session it is told at once when the proposal is overtaken.
    cluster.cut_off.clear();
    assert_eq!(cluster.get(1, plain(put(3))), Ok(Output::Done));
    cluster.cut_off.insert(NodeId(1));
    assert_eq!(cluster.get(2, plain(put(4))), Ok(Output::Done));
    cluster.cut_off.clear();
    assert_eq!(cluster.get(1, plain(put(5))), unsure);
}

#[test]
fn a_crash_never_lets_a_ballot_be_used_again() {
    let mut cluster = Cluster::new(3, quiet());
    let mut used = BTreeSet::new();
    for round in 0..5 {
        cluster.cut_off = [NodeId(1)].into();
        cluster.ask(1, plain(put(round)));
        let ballots = cluster.network.iter().filter_map(|(_, _, message)| match message.body {
            Body::Prepare { ballot, .. } => Some(ballot),
            _ => None,
        });
        let ballot = ballots.max().expect("it asks for promises");
        assert!(used.insert(ballot), "{ballot} is used twice");
        cluster.run();
        cluster.restart(1);
    }
}

/// Found by a seed of the simulator: a node that counts on from a tombstone's ballot reserves
/// counters, too, and must not propose before that is on its disk.
#[test]
fn a_ballot_leaves_when_it_is_reserved() {
    let tombstone = Ballot { epoch: 0, counter: 5000, node: NodeId(2) };
    let accepted = Record::Accepted(tombstone, std::sync::Arc::default());
    let disk =
        [(promise_slot(&key()), Record::Promised(tombstone)), (state_slot(&key()), accepted)];
    let mut node = start(NodeId(1), 3, disk.into(), &quiet());
    let message = Message { key: key(), body: Body::Retire { tombstone } };
    let input = Input::Message { from: NodeId(2), message };
    node.core.step(Time::ZERO, input, &mut node.effects);
    let reserved = node.effects.last_ticket();
    assert!(reserved > Ticket::NONE);
    let request = Request::Read("y".into());
    let input = Input::Request { id: RequestId(1), request };
    node.core.step(Time::ZERO, input, &mut node.effects);
    let mut prepares = 0;
    for effect in node.effects.drain() {
        if let Effect::Send { after, message, .. } = effect
            && let Body::Prepare { ballot, .. } = message.body
        {
            assert!(ballot > tombstone && after >= reserved, "{ballot} leaves after {after:?}");
            prepares += 1;
        }
    }
    assert_eq!(prepares, 2);
}

/// Found by a seed of the simulator: somebody who asks for promises again and again, and never for
/// acceptance, is waited for once.
#[test]
fn nobody_waits_for_ever_for_a_rival() {
    let mut cluster = Cluster::new(3, quiet());
    let read = cluster.ask(1, Request::Read(key()));
    cluster.network.clear();
    for counter in 1..200 {
        let ballot = Ballot { epoch: 0, counter: counter * 10, node: NodeId(3) };
        let message = Message { key: key(), body: Body::Prepare { ballot, age: 0 } };
        cluster.step(1, Input::Message { from: NodeId(3), message });
        cluster.pass(Duration::from_millis(10));
    }
    cluster.pass(Duration::from_millis(10));
    assert_eq!(cluster.replies.remove(&read), Some(Ok(Output::Value(Value::Null))));
}

#[test]
fn what_an_acceptor_has_promised_survives() {
    let mut cluster = Cluster::new(3, quiet());
    assert_eq!(cluster.get(1, of_client("a", 1, put(1))), Ok(Output::Done));
    for id in 1..=3 {
        let before = cluster.node(id).core.acceptor().cell(&key()).cloned();
        cluster.restart(id);
        assert_eq!(cluster.node(id).core.acceptor().cell(&key()), before.as_ref());
        assert!(before.is_some_and(|cell| cell.promised > cell.accepted));
    }
    assert_eq!(cluster.get(2, of_client("a", 1, put(1))), Ok(Output::Done), "a repetition");
    assert_eq!(cluster.get(3, of_client("b", 1, cas(1, 2))), applied(1));
    assert_eq!(cluster.get(2, of_client("b", 1, cas(1, 2))), applied(1), "a repetition");
    assert_eq!(cluster.get(2, Request::Read(key())), value(2));
}

#[test]
fn a_tombstone_goes_without_a_trace_and_what_was_done_is_not_done_again() {
    let options = Options { collect_after: Duration::from_millis(200), ..Options::default() };
    let mut cluster = Cluster::new(3, options);
    assert_eq!(cluster.get(1, of_client("a", 7, put(1))), Ok(Output::Done));
    cluster.cut_off.insert(NodeId(3));
    assert_eq!(cluster.get(2, plain(Op::Delete { key: key() })), Ok(Output::Done));
    cluster.pass(Duration::from_secs(3));
    let holds = |node: &Node| {
        let slots = [promise_slot(&key()), state_slot(&key())];
        slots.iter().any(|slot| node.disk.contains_key(slot))
    };
    assert!(cluster.nodes.iter().all(holds), "one of them still has the value");
    cluster.cut_off.clear();
    cluster.pass(Duration::from_secs(20));
    assert!(!cluster.nodes.iter().any(holds));
    assert!(cluster.nodes.iter().all(|node| node.core.acceptor().cell(&key()).is_none()));
    assert!(cluster.nodes.iter().all(|node| node.core.lines.is_empty()));

    // Everybody still knows what client a has done, also after a crash.
    for id in 1..=3 {
        cluster.restart(id);
        assert_eq!(cluster.get(id, of_client("a", 7, put(1))), Ok(Output::Done));
        let stale = Output::Rejected(kv::Rejection::StaleSequence { last: 7 });
        assert_eq!(cluster.get(id, of_client("a", 6, put(6))), Ok(stale));
    }
    assert_eq!(cluster.get(3, Request::Read(key())), Ok(Output::Value(Value::Null)));
    assert_eq!(cluster.get(3, of_client("a", 8, put(8))), Ok(Output::Done));
    assert_eq!(cluster.get(1, Request::Read(key())), value(8));
}

/// The paper's reason for ages: what was proposed before a tombstone was collected, and arrives
/// after it, finds acceptors that have forgotten what they had promised.
#[test]
fn what_was_proposed_before_a_collection_is_not_listened_to_after_it() {
    let options = Options { collect_after: Duration::from_millis(200), ..Options::default() };
    let mut cluster = Cluster::new(3, options);
    assert_eq!(cluster.get(1, of_client("a", 1, put(1))), Ok(Output::Done));
    cluster.ask(1, of_client("a", 2, put(2)));
    let late: Vec<_> = cluster.network.drain(..).collect();
    assert!(late.iter().all(|(_, _, it)| matches!(it.body, Body::Accept { .. })), "{late:?}");
    cluster.restart(1);
    assert_eq!(cluster.get(2, plain(Op::Delete { key: key() })), Ok(Output::Done));
    cluster.pass(Duration::from_secs(20));
    assert!(cluster.nodes.iter().all(|node| node.core.acceptor().cell(&key()).is_none()));
    cluster.network.extend(late);
    cluster.run();
    assert!(cluster.nodes.iter().all(|node| node.core.acceptor().cell(&key()).is_none()));
    assert_eq!(cluster.get(3, Request::Read(key())), Ok(Output::Value(Value::Null)));
}

#[test]
fn nonsense_is_not_listened_to() {
    let mut cluster = Cluster::new(3, quiet());
    let far = Ballot { epoch: 0, counter: u64::MAX, node: NodeId(2) };
    let low = Ballot { epoch: 0, counter: 1, node: NodeId(2) };
    let state = std::sync::Arc::default;
    for body in [
        Body::Prepare { ballot: far, age: 0 },
        Body::Accept { ballot: low, age: 0, state: state(), next: Some(low) },
        Body::Promise { ballot: Ballot::NONE, accepted: low, state: state() },
    ] {
        assert!(body.nonsense().is_some(), "{body:?}");
        let message = Message { key: key(), body };
        cluster.step(1, Input::Message { from: NodeId(2), message });
    }
    let message = Message { key: key(), body: Body::Prepare { ballot: low, age: 0 } };
    cluster.step(1, Input::Message { from: NodeId(9), message });
    assert_eq!(cluster.node(1).core.acceptor().cells().count(), 0);
}
