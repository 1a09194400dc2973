//! The conductor of a simulated run: watches who leads, strikes when the schedule says so, and
//! undoes everything; [`crate::campaign::conductor`] in virtual time.

use std::collections::BTreeSet;
use std::time::Duration;

use rashomon_nemesis::{
    Action, Cluster, Damage, Ending, Fault, Node, Part, Resolved, Schedule, Step, Trigger, Trouble,
};
use rashomon_stores::replica::{NodeId, Replica, RequestId, Role};

use super::churn;
use super::mishap::Mishap;
use super::operator::{Concluded, Operator, Task};
use super::run::{Tape, Wake};
use super::witness::Breach;
use super::world::{Heard, Incident, Turn, World};
use crate::campaign::chronicle;
use crate::campaign::conductor::{WATCH_INTERVAL, undone_by};
use crate::target::Leader;

/// How often it is looked who leads, in nanoseconds.
pub(super) const WATCH: u64 = WATCH_INTERVAL.as_nanos() as u64;

/// Drives the faults of one run.
#[derive(Debug)]
pub(super) struct Conductor<'a> {
    schedule: &'a Schedule,
    /// As it is meant to be; `restore` sees to it that it is.
    cluster: Cluster,
    operator: Operator,
    churn: Churn,
    /// Whether an order of the last restoration was given up.
    unrestored: bool,
    /// The latest leader that was recorded.
    recorded: Option<Leader>,
    /// Steps that wait for the next one, and how long after it they strike.
    armed: Vec<(usize, Duration)>,
    /// Steps that wait until so many operations have ended.
    counting: Vec<(usize, u64)>,
    open: Vec<OpenFault>,
    /// The mishaps that are under way, with their numbers in the history.
    under_way: Vec<(NodeId, Mishap, u64)>,
    struck: u64,
    /// The steps that came to something, as what they came to.
    pub(super) done: Vec<Step>,
}

/// A fault that has struck and is not undone yet.
#[derive(Debug)]
struct OpenFault {
    id: u64,
    action: Action,
    /// For a cut: how many messages cuts had stopped before. For a kill: how many nodes ran. For a
    /// change of members: how many orders were carried out.
    before: u64,
    /// Whether it was recorded that it bit.
    bit: bool,
}

/// What became of the operator's orders.
#[derive(Debug, Default)]
struct Churn {
    added: u64,
    removed: u64,
    leaders_removed: u64,
    left_running: u64,
    given_up: u64,
    handed_over: u64,
    not_handed_over: u64,
}

impl<'a> Conductor<'a> {
    pub(super) fn new(schedule: &'a Schedule, nodes: u16) -> Self {
        Conductor {
            schedule,
            cluster: Cluster::new(nodes),
            operator: Operator::default(),
            churn: Churn::default(),
            unrestored: false,
            recorded: None,
            armed: Vec::new(),
            counting: Vec::new(),
            open: Vec::new(),
            under_way: Vec::new(),
            struck: 0,
            done: Vec::new(),
        }
    }

    /// Notices who leads, and records it when it changes.
    pub(super) fn watch<R: Replica>(&mut self, world: &mut World<R, Wake>, tape: &mut Tape) {
        self.watch_for_bites(world, tape);
        let leads = |(id, core): (NodeId, &R)| {
            let status = core.status();
            (status.role == Role::Leader).then_some(Leader { node: Node(id.0), term: status.term })
        };
        let leader = world.cores().filter_map(leads).max_by_key(|leader| leader.term);
        self.cluster.leader = leader.map(|leader| leader.node);
        // Of two that claim to lead the later counts, so the term never goes back.
        if let Some(leader) = leader
            && self.recorded.is_none_or(|known| leader.term > known.term)
        {
            self.recorded = Some(leader);
            for (number, delay) in self.armed.drain(..) {
                let delay = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
                world.wake_at(world.now().saturating_add(delay), Wake::Sprung(number));
            }
            tape.record(world.now(), chronicle::leads(&leader.node.to_string(), leader.term));
        }
    }

    /// Notices which faults of links have begun to bite.
    fn watch_for_bites<R: Replica>(&mut self, world: &World<R, Wake>, tape: &mut Tape) {
        let now = run_into(world);
        for fault in self.open.iter_mut().filter(|fault| !fault.bit) {
            fault.bit = matches!(fault.action, Action::Link(..)) && now > fault.before;
            if fault.bit {
                tape.record(world.now(), chronicle::bit(fault.id));
            }
        }
    }

    /// Carries out a step of the schedule and says which nodes crashed.
    pub(super) fn strike<R: Replica>(
        &mut self,
        number: usize,
        world: &mut World<R, Wake>,
        tape: &mut Tape,
    ) -> Result<Vec<NodeId>, Breach> {
        self.watch(world, tape);
        let fault = &self.schedule.steps()[number].fault;
        let resolved = fault.resolve(&self.cluster, &mut self.schedule.rng(number));
        // A node that was to be added, and was not for want of room, cannot be struck.
        let Ok(resolved) = resolved else { return Ok(Vec::new()) };
        let fixed = match fault {
            Fault::Transfer(_) => !R::hands_over(),
            fault => fault.is_order() && !R::changes_members(),
        };
        if resolved.action.is_empty() || fixed {
            return Ok(Vec::new());
        }
        let at = Duration::from_nanos(world.now());
        self.done.push(Step::at(at, resolved.action.fault()));
        world.tell(|| format!("nemesis: {}", resolved.sentence()));
        if !resolved.asked.is_strike() {
            self.undo(&resolved.action, world, tape)?;
            return Ok(Vec::new());
        }
        self.apply(&resolved, world, tape)
    }

    /// Whether a step whose time has come still waits for something: then it strikes after that.
    pub(super) fn arm(&mut self, number: usize, ended: u64) -> bool {
        match self.schedule.steps()[number].trigger {
            None => return false,
            Some(Trigger::LeaderChange(delay)) => self.armed.push((number, delay)),
            Some(Trigger::Operations(count)) if count <= ended => return false,
            Some(Trigger::Operations(count)) => self.counting.push((number, count)),
        }
        true
    }

    /// So many operations have ended by now.
    pub(super) fn count<R: Replica>(&mut self, ended: u64, world: &mut World<R, Wake>) {
        let now = world.now();
        for (number, _) in self.counting.extract_if(.., |(_, count)| *count <= ended) {
            world.wake_at(now, Wake::Sprung(number));
        }
    }

    /// Whether a step waits for a change of leader.
    pub(super) fn awaits_leader(&self) -> bool {
        !self.armed.is_empty()
    }

    /// Which kinds of fault stand, a bit each.
    pub(super) fn standing(&self) -> u32 {
        let of_open = self.open.iter().map(|open| match &open.action {
            Action::Link(Trouble::Cut, _) => 0,
            Action::Link(Trouble::Hold, _) => 1,
            Action::Link(..) => 2,
            Action::End(..) => 3,
            Action::Ail(ailment, _) => 4 + ailment.part() as u32,
            _ => 7,
        });
        let of_mishaps = self.under_way.iter().map(|(_, mishap, _)| 8 + mishap.kind() as u32);
        of_open.chain(of_mishaps).fold(0, |bits, bit| bits | 1 << bit)
    }

    /// Writes down that a mishap began or ended.
    pub(super) fn chronicle(&mut self, incident: Incident, now: u64, tape: &mut Tape) {
        let Incident { node, mishap, turn } = incident;
        match turn {
            Turn::Begins(sentence) => {
                self.struck += 1;
                self.under_way.push((node, mishap, self.struck));
                let name = mishap.name();
                tape.record(now, chronicle::befell(self.struck, name, node, &sentence));
            }
            Turn::Ends(bit, observed) => {
                let is_it =
                    |(one, what, _): &(NodeId, Mishap, u64)| (*one, *what) == (node, mishap);
                let Some(place) = self.under_way.iter().position(is_it) else { return };
                let (_, _, id) = self.under_way.swap_remove(place);
                tape.record(now, chronicle::healed(id, bit, &observed));
            }
        }
    }

    /// Heals every link and restarts every node that is down.
    pub(super) fn undo_everything<R: Replica>(
        &mut self,
        world: &mut World<R, Wake>,
        tape: &mut Tape,
    ) -> Result<(), Breach> {
        self.undo(&Action::Heal, world, tape)?;
        let down = self.cluster.down.clone();
        self.undo(&Action::Restart(down), world, tape)?;
        for part in Part::ALL {
            self.undo(&Action::Cure(part), world, tape)?;
        }
        for given_up in self.operator.give_up() {
            self.conclude(given_up, world, tape);
        }
        Ok(())
    }

    /// Begins to make everybody a member who is meant to be one, as many as at first at least.
    pub(super) fn restore<R: Replica>(
        &mut self,
        size: u16,
        world: &mut World<R, Wake>,
    ) -> Result<(), Breach> {
        if !self.has_churn::<R>() {
            return Ok(());
        }
        // What lost its disk is replaced: it must not come back under its old number.
        let lost = |node: &Node| world.is_lost(NodeId(node.0));
        for node in self.cluster.nodes.clone().into_iter().filter(lost).collect::<Vec<_>>() {
            self.cluster.nodes.remove(&node);
            self.cluster.gone.insert(node);
            self.operator.take(Task::Retire(NodeId(node.0)), None, world);
        }
        while self.cluster.nodes.len() < usize::from(size) {
            self.join(self.cluster.next(), world)?;
        }
        self.unrestored = false;
        for id in self.members() {
            self.operator.take(Task::Add(id), None, world);
        }
        Ok(())
    }

    /// Begins to hand leadership over to a node.
    pub(super) fn let_lead<R: Replica>(&mut self, id: NodeId, world: &mut World<R, Wake>) {
        self.operator.take(Task::Transfer(id), None, world);
    }

    /// Whether members may have come or gone.
    pub(super) fn has_churn<R: Replica>(&self) -> bool {
        R::changes_members() && churn::changes_members(self.schedule)
    }

    /// Whether the operator has nothing left to do.
    pub(super) fn is_idle(&self) -> bool {
        self.operator.is_done_with(None)
    }

    /// Whether all that the last restoration asked for was done.
    pub(super) fn is_whole(&self) -> bool {
        self.is_idle() && !self.unrestored
    }

    /// Those who are meant to be members.
    pub(super) fn members(&self) -> Vec<NodeId> {
        self.cluster.nodes.iter().map(|node| NodeId(node.0)).collect()
    }

    /// An alarm of the operator rings; says who is shut down.
    pub(super) fn operate<R: Replica>(
        &mut self,
        (order, age): (u64, u64),
        world: &mut World<R, Wake>,
        tape: &mut Tape,
    ) -> Option<NodeId> {
        let concluded = self.operator.wake(order, age, world)?;
        self.conclude(concluded, world, tape)
    }

    /// The operator hears of an order; says who is shut down.
    pub(super) fn heard<R: Replica>(
        &mut self,
        id: RequestId,
        heard: &Heard,
        world: &mut World<R, Wake>,
        tape: &mut Tape,
    ) -> Option<NodeId> {
        let concluded = self.operator.heard(id, heard, world)?;
        self.conclude(concluded, world, tape)
    }

    /// What the operator did how often, if it was asked for anything.
    pub(super) fn sightings(&self) -> Vec<(&'static str, u64)> {
        if !self.schedule.steps().iter().any(|step| step.fault.is_order()) {
            return Vec::new();
        }
        let Churn { added, removed, leaders_removed, left_running, .. } = self.churn;
        let Churn { given_up, handed_over, not_handed_over, .. } = self.churn;
        vec![
            ("servers added", added),
            ("servers removed", removed),
            ("leaders removed", leaders_removed),
            ("servers removed and left running", left_running),
            ("changes of membership given up", given_up),
            ("leaderships handed over", handed_over),
            ("leaderships not handed over", not_handed_over),
        ]
    }

    fn apply<R: Replica>(
        &mut self,
        resolved: &Resolved,
        world: &mut World<R, Wake>,
        tape: &mut Tape,
    ) -> Result<Vec<NodeId>, Breach> {
        let mut crashed = Vec::new();
        let mut before = run_into(world);
        match &resolved.action {
            Action::Link(trouble, grudge) => world.strike(*trouble, grudge),
            Action::End(ending, nodes) => {
                crashed.extend(nodes.iter().map(|node| NodeId(node.0)));
                crashed.retain(|id| match ending {
                    // Every crash loses what is not synced.
                    Ending::Kill | Ending::Unplug => world.crash(*id),
                    Ending::Stop => world.stop(*id),
                });
                self.cluster.down.extend(nodes);
                before = crashed.len() as u64;
            }
            Action::Ail(ailment, nodes) => {
                let befell = |node: &&Node| world.ail(NodeId(node.0), *ailment);
                before = nodes.iter().filter(befell).count() as u64;
            }
            Action::Damage(damage, nodes) => {
                let befell = |node: &&Node| world.damage_data(NodeId(node.0), *damage);
                before = nodes.iter().filter(befell).count() as u64;
            }
            action => {
                self.change(action, self.struck + 1, world)?;
                before = 0;
            }
        }
        self.struck += 1;
        tape.record(world.now(), chronicle::struck(self.struck, resolved));
        if let Action::Damage(damage, _) = &resolved.action {
            // It is done and over, and nothing undoes it.
            let bit = *damage != Damage::Save && before > 0;
            let observed = format!("{before} nodes were struck");
            tape.record(world.now(), chronicle::healed(self.struck, bit, &observed));
            return Ok(crashed);
        }
        let action = resolved.action.clone();
        // What befalls a process does so at once, unless it waits for the process to need something.
        let waits = matches!(&action, Action::Ail(ailment, _) if ailment.starves());
        let bit = matches!(action, Action::End(..) | Action::Ail(..)) && before > 0 && !waits;
        if bit {
            tape.record(world.now(), chronicle::bit(self.struck));
        }
        self.open.push(OpenFault { id: self.struck, action, before, bit });
        Ok(crashed)
    }

    /// Orders a change of who belongs to the cluster, or who leads it.
    fn change<R: Replica>(
        &mut self,
        action: &Action,
        fault: u64,
        world: &mut World<R, Wake>,
    ) -> Result<(), Breach> {
        let (nodes, task): (&BTreeSet<Node>, fn(NodeId) -> Task) = match action {
            Action::Add(nodes) => (nodes, Task::Add),
            Action::Remove(nodes) => (nodes, Task::Remove),
            Action::Retire(nodes) => (nodes, Task::Retire),
            Action::Transfer(nodes) => (nodes, Task::Transfer),
            _ => return Ok(()),
        };
        for node in nodes {
            let task = task(NodeId(node.0));
            match task {
                Task::Add(_) => self.join(*node, world)?,
                Task::Remove(_) | Task::Retire(_) => {
                    self.cluster.nodes.remove(node);
                    self.cluster.gone.insert(*node);
                }
                Task::Transfer(_) => {}
            }
            self.operator.take(task, Some(fault), world);
        }
        Ok(())
    }

    /// Starts a node that is to become a member.
    fn join<R: Replica>(&mut self, node: Node, world: &mut World<R, Wake>) -> Result<(), Breach> {
        self.cluster.nodes.insert(node);
        world.join(NodeId(node.0));
        world.start(NodeId(node.0))
    }

    /// Draws the consequences of an order's end; says who is shut down.
    fn conclude<R: Replica>(
        &mut self,
        concluded: Concluded,
        world: &mut World<R, Wake>,
        tape: &mut Tape,
    ) -> Option<NodeId> {
        let Concluded { task, fault, done, of_leader } = concluded;
        let end = if done { "is done" } else { "is given up" };
        world.tell(|| format!("operator: {task:?} {end}"));
        match fault {
            Some(_) => self.churn.count(task, done, of_leader),
            None => self.unrestored |= !done,
        }
        let mut shut_down = None;
        match task {
            Task::Retire(id) if done => {
                self.cluster.down.remove(&Node(id.0));
                shut_down = world.crash(id).then_some(id);
            }
            Task::Remove(id) | Task::Retire(id) if !done => {
                // It may be a member or not; it is meant to be one again.
                self.cluster.gone.remove(&Node(id.0));
                self.cluster.nodes.insert(Node(id.0));
            }
            _ => {}
        }
        if let Some(place) = self.open.iter().position(|open| Some(open.id) == fault) {
            self.open[place].before += u64::from(done);
            if self.operator.is_done_with(fault) {
                let OpenFault { id, before, .. } = self.open.remove(place);
                let observed = format!("{before} orders were carried out");
                tape.record(world.now(), chronicle::healed(id, before > 0, &observed));
            }
        }
        shut_down
    }

    fn undo<R: Replica>(
        &mut self,
        action: &Action,
        world: &mut World<R, Wake>,
        tape: &mut Tape,
    ) -> Result<(), Breach> {
        let after = run_into(world);
        let mut starved = 0;
        match action {
            Action::Heal => world.heal(),
            Action::Restart(nodes) => {
                for node in nodes {
                    self.cluster.down.remove(node);
                    world.start(NodeId(node.0))?;
                }
            }
            Action::Cure(part) => starved = world.cure(*part)?,
            _ => {}
        }
        let open = std::mem::take(&mut self.open);
        for fault in open {
            if !undone_by(&fault.action, action) {
                self.open.push(fault);
                continue;
            }
            let starves = matches!(&fault.action, Action::Ail(ailment, _) if ailment.starves());
            let (count, what) = match action {
                Action::Cure(_) if starves => (starved, "nodes ended for want of it"),
                Action::Heal => (after - fault.before, "messages ran into closed or slow links"),
                Action::Cure(_) => (fault.before, "nodes were struck"),
                _ => (fault.before, "nodes were killed"),
            };
            let observed = format!("{count} {what}");
            tape.record(world.now(), chronicle::healed(fault.id, count > 0, &observed));
        }
        Ok(())
    }
}

impl Churn {
    fn count(&mut self, task: Task, done: bool, of_leader: bool) {
        let count = match (task, done) {
            (Task::Transfer(_), true) => &mut self.handed_over,
            (Task::Transfer(_), false) => &mut self.not_handed_over,
            (_, false) => &mut self.given_up,
            (Task::Add(_), true) => &mut self.added,
            (Task::Remove(_) | Task::Retire(_), true) => {
                self.leaders_removed += u64::from(of_leader);
                self.left_running += u64::from(matches!(task, Task::Remove(_)));
                &mut self.removed
            }
        };
        *count += 1;
    }
}

/// How many messages have run into closed or slow links so far.
fn run_into<R: Replica>(world: &World<R, Wake>) -> u64 {
    world.traffic().stopped + world.traffic().waited + world.traffic().slowed
}
