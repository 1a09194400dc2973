//! The conductor of a simulated run: watches who leads, strikes when the schedule says so, and
//! undoes everything; [`crate::campaign::conductor`] in virtual time.

use rashomon_nemesis::{Action, Cluster, Node, Resolved, Schedule, Step};
use rashomon_stores::replica::{NodeId, Replica, Role};

use super::mishap::Mishap;
use super::run::{Tape, Wake};
use super::witness::Breach;
use super::world::{Incident, Turn, World};
use crate::campaign::chronicle;
use crate::campaign::conductor::{WATCH_INTERVAL, undone_by};
use crate::target::Leader;

/// How often it is looked who leads, in nanoseconds.
pub(super) const WATCH: u64 = WATCH_INTERVAL.as_nanos() as u64;

/// Drives the faults of one run.
#[derive(Debug)]
pub(super) struct Conductor<'a> {
    schedule: &'a Schedule,
    cluster: Cluster,
    /// The latest leader that was recorded.
    recorded: Option<Leader>,
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
    /// For a cut: how many messages cuts had stopped before. For a kill: how many nodes ran.
    before: u64,
}

impl<'a> Conductor<'a> {
    pub(super) fn new(schedule: &'a Schedule, nodes: u16) -> Self {
        Conductor {
            schedule,
            cluster: Cluster::new(nodes),
            recorded: None,
            open: Vec::new(),
            under_way: Vec::new(),
            struck: 0,
            done: Vec::new(),
        }
    }

    /// Notices who leads, and records it when it changes.
    pub(super) fn watch<R: Replica>(&mut self, world: &mut World<R, Wake>, tape: &mut Tape) {
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
            tape.record(world.now(), chronicle::leads(&leader.node.to_string(), leader.term));
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
        let Step { at, fault } = &self.schedule.steps()[number];
        let resolved = fault.resolve(&self.cluster, &mut self.schedule.rng(number));
        let resolved = resolved.expect("schedules are checked before a run");
        if resolved.action.is_empty() {
            return Ok(Vec::new());
        }
        self.done.push(Step { at: *at, fault: resolved.action.fault() });
        world.tell(|| format!("nemesis: {}", resolved.sentence()));
        if !resolved.asked.is_strike() {
            self.undo(&resolved.action, world, tape)?;
            return Ok(Vec::new());
        }
        Ok(self.apply(&resolved, world, tape))
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
        self.undo(&Action::Restart(down), world, tape)
    }

    fn apply<R: Replica>(
        &mut self,
        resolved: &Resolved,
        world: &mut World<R, Wake>,
        tape: &mut Tape,
    ) -> Vec<NodeId> {
        let mut crashed = Vec::new();
        let mut before = run_into(world);
        match &resolved.action {
            Action::Cut(grudge) => world.cut(grudge),
            Action::Hold(grudge) => world.hold(grudge),
            Action::Kill(nodes) => {
                crashed.extend(nodes.iter().map(|node| NodeId(node.0)));
                crashed.retain(|id| world.crash(*id));
                self.cluster.down.extend(nodes);
                before = crashed.len() as u64;
            }
            Action::Heal | Action::Restart(_) => {}
        }
        self.struck += 1;
        tape.record(world.now(), chronicle::struck(self.struck, resolved));
        let action = resolved.action.clone();
        self.open.push(OpenFault { id: self.struck, action, before });
        crashed
    }

    fn undo<R: Replica>(
        &mut self,
        action: &Action,
        world: &mut World<R, Wake>,
        tape: &mut Tape,
    ) -> Result<(), Breach> {
        let after = run_into(world);
        match action {
            Action::Heal => world.heal(),
            Action::Restart(nodes) => {
                for node in nodes {
                    self.cluster.down.remove(node);
                    world.start(NodeId(node.0))?;
                }
            }
            Action::Cut(_) | Action::Hold(_) | Action::Kill(_) => {}
        }
        let open = std::mem::take(&mut self.open);
        for fault in open {
            if !undone_by(&fault.action, action) {
                self.open.push(fault);
                continue;
            }
            let (count, what) = match action {
                Action::Heal => (after - fault.before, "messages ran into closed links"),
                _ => (fault.before, "nodes were killed"),
            };
            let observed = format!("{count} {what}");
            tape.record(world.now(), chronicle::healed(fault.id, count > 0, &observed));
        }
        Ok(())
    }
}

/// How many messages have run into closed links so far.
fn run_into<R: Replica>(world: &World<R, Wake>) -> u64 {
    world.traffic().stopped + world.traffic().waited
}
