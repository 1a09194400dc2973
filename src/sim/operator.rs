//! The operator of a simulated run: gives the leader, or whoever serves where nobody leads, the orders
//! that a schedule asks for, who is to be a member and who is to lead, and gives them again, for a bounded time, when nothing is heard
//! or the cluster is busy. Each order is pursued by itself, so that several meet in one leader, and
//! one order two leaders in turn.

use rashomon_nemesis::Cluster;
use rashomon_stores::replica::{Admin, NodeId, Refusal, Replica, Request, RequestId, Role, Status};

use super::run::{CLIENT_BITS, CLIENT_MASK, Wake};
use super::world::{Heard, World};

/// The requests of the operator carry this number in place of a client's.
pub(super) const OPERATOR: u64 = CLIENT_MASK;

const MILLISECOND: u64 = 1_000_000;
/// How long it waits for an answer before it asks again.
const PATIENCE: u64 = 1_000 * MILLISECOND;
/// How long it waits after a refusal: short, so that an order may meet a leader that is new.
const RETRY: u64 = 15 * MILLISECOND;
/// When it gives an order up.
const PERSISTENCE: u64 = 6_000 * MILLISECOND;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// It becomes a member.
    Add(NodeId),
    /// It becomes a member no longer.
    Remove(NodeId),
    /// It becomes a member no longer, and then ends.
    Retire(NodeId),
    /// It is to lead.
    Transfer(NodeId),
}

impl Task {
    fn admin(self) -> Admin {
        match self {
            Task::Add(node) => Admin::AddServer { node, address: None },
            Task::Remove(node) | Task::Retire(node) => Admin::RemoveServer { node },
            Task::Transfer(to) => Admin::Transfer { to },
        }
    }
}

/// An order that came to an end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Concluded {
    pub(super) task: Task,
    /// The fault that it is a part of, if any.
    pub(super) fault: Option<u64>,
    /// Whether the cluster has done it.
    pub(super) done: bool,
    /// Whether it was about who led when it was given last.
    pub(super) of_leader: bool,
}

#[derive(Debug)]
struct Order {
    number: u64,
    task: Task,
    fault: Option<u64>,
    until: u64,
    /// Who leads, as a node said that does not.
    hint: Option<NodeId>,
    /// The request without an answer.
    asked: Option<RequestId>,
    of_leader: bool,
    /// Counts what was done about it, so that an old alarm does not ring.
    age: u64,
}

/// Gives orders and hears what became of them.
#[derive(Debug, Default)]
pub(super) struct Operator {
    orders: Vec<Order>,
    given: u64,
    requests: u64,
}

impl Operator {
    /// Takes an order up; it is given at once, and given up when its time is over.
    pub(super) fn take<R: Replica>(
        &mut self,
        task: Task,
        fault: Option<u64>,
        world: &mut World<R, Wake>,
    ) {
        self.given += 1;
        let (number, until) = (self.given, world.now() + PERSISTENCE);
        let (hint, asked, of_leader, age) = (None, None, false, 0);
        self.orders.push(Order { number, task, fault, until, hint, asked, of_leader, age });
        world.wake_at(world.now(), Wake::Operate { order: number, age });
    }

    /// Whether every order of a fault, or every one at all, came to an end.
    pub(super) fn is_done_with(&self, fault: Option<u64>) -> bool {
        !self.orders.iter().any(|order| fault.is_none() || order.fault == fault)
    }

    /// Gives every order up.
    pub(super) fn give_up(&mut self) -> Vec<Concluded> {
        self.orders.drain(..).map(|order| order.concluded(false)).collect()
    }

    /// An alarm rings for an order: it is given again, or given up.
    pub(super) fn wake<R: Replica>(
        &mut self,
        number: u64,
        age: u64,
        world: &mut World<R, Wake>,
    ) -> Option<Concluded> {
        let rings = |order: &Order| (order.number, order.age) == (number, age);
        let place = self.orders.iter().position(rings)?;
        let order = &mut self.orders[place];
        order.asked = None;
        if world.now() >= order.until {
            return Some(self.orders.remove(place).concluded(false));
        }
        let hint = order.hint.take().or_else(|| leader_of(world));
        let leader = hint.or_else(|| peer_of(world, order.number + order.age));
        if leader.is_some_and(|leader| order.task == Task::Transfer(leader)) {
            return Some(self.orders.remove(place).concluded(true));
        }
        let Some(node) = leader.filter(|leader| order.is_safe(*leader, world)) else {
            order.wait(RETRY, world);
            return None;
        };
        self.requests += 1;
        let id = RequestId((self.requests << CLIENT_BITS) | OPERATOR);
        order.asked = Some(id);
        order.of_leader = matches!(order.task, Task::Remove(it) | Task::Retire(it) if it == node);
        let admin = order.task.admin();
        world.tell(|| format!("operator asks {node}: {admin:?}"));
        world.request(node, id, Request::Admin(admin));
        order.wait(PATIENCE, world);
        None
    }

    /// An answer came.
    pub(super) fn heard<R: Replica>(
        &mut self,
        id: RequestId,
        heard: &Heard,
        world: &mut World<R, Wake>,
    ) -> Option<Concluded> {
        let place = self.orders.iter().position(|order| order.asked == Some(id))?;
        world.tell(|| format!("operator hears: {heard:?}"));
        let order = &mut self.orders[place];
        order.asked = None;
        let done = match heard {
            Heard::Reply(Ok(_)) => true,
            Heard::Reply(Err(Refusal::Inapplicable { .. })) => false,
            // The cluster had its time for it; a member that does not catch up may yet.
            Heard::Reply(Err(Refusal::Unfinished { .. }))
                if matches!(order.task, Task::Transfer(_)) =>
            {
                false
            }
            Heard::Reply(Err(Refusal::NotLeader { leader })) => {
                order.hint = *leader;
                order.wait(RETRY, world);
                return None;
            }
            _ => {
                order.wait(RETRY, world);
                return None;
            }
        };
        Some(self.orders.remove(place).concluded(done))
    }
}

impl Order {
    fn wait<R: Replica>(&mut self, long: u64, world: &mut World<R, Wake>) {
        self.age += 1;
        world.wake_at(world.now() + long, Wake::Operate { order: self.number, age: self.age });
    }

    /// Whether enough voters remain, and enough of them with a sound disk, as the node knows them
    /// that is to be asked.
    fn is_safe<R: Replica>(&self, at: NodeId, world: &World<R, Wake>) -> bool {
        let (Task::Remove(node) | Task::Retire(node)) = self.task else { return true };
        world.core(at).is_none_or(|core| {
            let Status { voters, learners, .. } = core.status();
            let others = voters.iter().chain(&learners).filter(|member| **member != node);
            let damaged = others.filter(|member| world.is_damaged(**member)).count();
            let enough = voters.len() > Cluster::FLOOR && 2 * damaged < voters.len() - 1;
            !voters.contains(&node) || enough
        })
    }

    fn concluded(self, done: bool) -> Concluded {
        Concluded { task: self.task, fault: self.fault, done, of_leader: self.of_leader }
    }
}

/// Where nobody leads: one of those that take themselves for members, another each time.
fn peer_of<R: Replica>(world: &World<R, Wake>, turn: u64) -> Option<NodeId> {
    let statuses = world.cores().map(|(_, core)| core.status());
    let is_member =
        |status: &Status| status.role == Role::Peer && status.voters.contains(&status.id);
    let members: Vec<NodeId> = statuses.filter(is_member).map(|status| status.id).collect();
    let place = turn.checked_rem(members.len() as u64)?;
    members.get(usize::try_from(place).ok()?).copied()
}

/// Who leads: of two that claim to, the later.
fn leader_of<R: Replica>(world: &World<R, Wake>) -> Option<NodeId> {
    let statuses = world.cores().map(|(_, core)| core.status());
    let leaders = statuses.filter(|status| status.role == Role::Leader);
    leaders.max_by_key(|status| status.term).map(|status| status.id)
}
