//! The hands: what carries out actions on real processes, and mends everything again.
//!
//! Mending asks nothing of what was broken: opening a link turns a valve in this process, and a
//! restart starts a new process from its command line.

mod condition;
mod outcome;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::action::Action;
use crate::ailment::{Ailment, Part};
#[cfg(target_os = "linux")]
use crate::clock::ClockError;
use crate::damage::Damage;
use crate::ending::Ending;
#[cfg(target_os = "linux")]
use crate::hosts::{Hosts, HostsError};
use crate::link::{LinkError, Links};
use crate::nodes::{Cluster, Node};
use crate::process::{NodeProcess, ProcessError};
use crate::wires::Wires;
use condition::{Condition, Cure, tell};

pub use outcome::Outcome;

/// How long a node that is asked to end may take.
const GRACE: Duration = Duration::from_secs(3);

/// Why an action could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum HandsError {
    /// On a link.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// On a host.
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Host(#[from] HostsError),
    /// On a process.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// On files.
    #[error("{node}: cannot {} its data: {source}", damage.name())]
    Files {
        /// The node.
        node: Node,
        /// What was to be done.
        damage: Damage,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no such process.
    #[error("there is no process of {0}")]
    Unknown(Node),
    /// On the clock of a program of others.
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// A program of others has no ear for it.
    #[error("`{}` cannot be done to programs on hosts, which do not listen (docs/foreign.md has what else can be done to them)", .0.name())]
    Deaf(Ailment),
    /// Nor for what it is to lose.
    #[error("`{}` cannot be done to programs on hosts: they cannot be told what they are to lose", .0.name())]
    Unheard(Ending),
    /// That is an order to the cluster, which its operator gives.
    #[error("`{0}` is for an operator to do, not for hands")]
    Order(Action),
}

/// The wires and processes of one cluster. Dropping them ends every process and closes every port.
#[derive(Debug)]
pub struct Hands<W = Links> {
    wires: W,
    processes: BTreeMap<Node, NodeProcess>,
    /// Ended by an action, and not restarted yet.
    down: BTreeSet<Node>,
    /// What befell the nodes: a new process of a node learns of it.
    conditions: BTreeMap<Node, Condition>,
    /// Those that are to be members no longer; the processes of some still run.
    gone: BTreeSet<Node>,
    /// Whose files are not what was written.
    spoilt: BTreeSet<Node>,
    /// What chance decides: which bit flips, and what of that which is not synced is lost.
    rng: ChaCha8Rng,
}

impl Hands {
    /// The links: counters, and what ran into cuts so far.
    pub fn links(&self) -> &Links {
        &self.wires
    }

    /// The same, to have more of them.
    pub fn links_mut(&mut self) -> &mut Links {
        &mut self.wires
    }
}

#[cfg(target_os = "linux")]
impl Hands<Hosts> {
    /// The hosts: addresses, counters, and what ran into cuts so far.
    pub fn hosts(&self) -> &Hosts {
        &self.wires
    }
}

impl<W: Wires> Hands<W> {
    /// Takes the wires and processes of a cluster in hand.
    pub fn new(wires: W, processes: impl IntoIterator<Item = NodeProcess>) -> Self {
        Hands {
            wires,
            processes: processes.into_iter().map(|process| (process.node(), process)).collect(),
            down: BTreeSet::new(),
            conditions: BTreeMap::new(),
            gone: BTreeSet::new(),
            spoilt: BTreeSet::new(),
            rng: ChaCha8Rng::seed_from_u64(0),
        }
    }

    /// The same, with another seed of what is left to chance: which bit flips, and what of that which
    /// is not synced is lost.
    pub fn seeded(self, seed: u64) -> Self {
        Hands { rng: ChaCha8Rng::seed_from_u64(seed), ..self }
    }

    /// Whether a node's files are not what was written, so that it may refuse to start.
    pub fn is_spoilt(&self, node: Node) -> bool {
        self.spoilt.contains(&node)
    }

    /// The cluster as a fault finds it, led by whom the caller knows to lead.
    pub fn cluster(&self, leader: Option<Node>) -> Cluster {
        Cluster {
            nodes: self.processes.keys().copied().filter(|it| !self.gone.contains(it)).collect(),
            leader,
            down: self.down.clone(),
            gone: self.gone.clone(),
        }
    }

    /// The nodes that stand still.
    pub fn paused(&self) -> impl Iterator<Item = Node> {
        let paused = self.conditions.iter().filter(|(_, condition)| condition.paused.is_some());
        paused.map(|(node, _)| *node)
    }

    /// Takes one more process in hand, of a node that is to be a member.
    pub fn join(&mut self, process: NodeProcess) {
        self.processes.insert(process.node(), process);
    }

    /// Says that a node is to be a member no longer, or is to be one again. Its process goes on.
    pub fn is_to_leave(&mut self, node: Node, leaves: bool) {
        if leaves {
            self.gone.insert(node);
        } else {
            self.gone.remove(&node);
        }
    }

    /// Ends the process of a node that is a member no longer, for good.
    pub fn retire(&mut self, node: Node) {
        if self.gone.contains(&node) {
            // Which kills it.
            self.processes.remove(&node);
            self.conditions.remove(&node);
            self.down.remove(&node);
        }
    }

    /// The nodes that have a process, up or down, members or not.
    pub fn nodes(&self) -> BTreeSet<Node> {
        self.processes.keys().copied().collect()
    }

    /// Tells a node where another one is reached that is new, if it runs.
    ///
    /// # Errors
    /// When it cannot be told, though it runs.
    pub async fn introduce(
        &mut self,
        node: Node,
        new: Node,
        address: SocketAddr,
    ) -> Result<(), HandsError> {
        if let Some(process) = self.processes.get_mut(&node) {
            process.tell(&format!("meet {} {address}", new.0)).await?;
        }
        Ok(())
    }

    /// The process id of a node, if it runs.
    pub fn pid(&self, node: Node) -> Option<u32> {
        self.processes.get(&node).and_then(NodeProcess::pid)
    }

    /// Does it, and says what really happened.
    ///
    /// # Errors
    /// When something could not be done. What was done before that stays done, and is undone by
    /// [`Hands::mend`].
    pub async fn apply(&mut self, action: &Action) -> Result<Outcome, HandsError> {
        let mut outcome = Outcome::default();
        match action {
            Action::Link(trouble, grudge) => self.wires.strike(*trouble, grudge).await?,
            Action::Heal => outcome.healed = self.wires.heal().await?,
            Action::End(ending, nodes) => outcome.ended = self.end(*ending, nodes).await?,
            Action::Restart(nodes) => {
                for node in nodes {
                    self.restart(*node).await?;
                    outcome.restarted.push(*node);
                }
            }
            Action::Ail(ailment, nodes) => outcome.ailing = self.afflict(*ailment, nodes).await?,
            Action::Cure(part) => self.cure(*part, &mut outcome).await?,
            Action::Damage(damage, nodes) => outcome.damaged = self.damage(*damage, nodes)?,
            Action::Add(_) | Action::Remove(_) | Action::Retire(_) | Action::Transfer(_) => {
                return Err(HandsError::Order(action.clone()));
            }
        }
        Ok(outcome)
    }

    /// Undoes every fault: opens all links and starts all killed nodes. Goes on past errors, and
    /// returns them beside what was mended.
    pub async fn mend(&mut self) -> (Outcome, Vec<HandsError>) {
        let mut outcome = Outcome::default();
        let mut errors = Vec::new();
        match self.wires.heal().await {
            Ok(healed) => outcome.healed = healed,
            Err(error) => errors.push(error),
        }
        for part in Part::ALL {
            errors.extend(self.cure(part, &mut outcome).await.err());
        }
        for node in self.down.clone() {
            match self.restart(node).await {
                Ok(()) => outcome.restarted.push(node),
                Err(error) => errors.push(error),
            }
        }
        (outcome, errors)
    }

    /// The nodes that ended though no action killed them, and how.
    ///
    /// # Errors
    /// When the system does not say whether one has ended.
    pub fn crashed(&mut self) -> Result<Vec<(Node, ExitStatus)>, HandsError> {
        let mut crashed = Vec::new();
        for (node, process) in &mut self.processes {
            if !self.down.contains(node) {
                crashed.extend(process.exited()?.map(|status| (*node, status)));
            }
        }
        Ok(crashed)
    }

    /// Asks every process to end, kills those that have not after `grace`, and closes every port.
    /// Returns when all are gone, with the errors of those that could not be ended in order; they
    /// are killed when dropped.
    pub async fn stop(self, grace: Duration) -> Vec<HandsError> {
        let stops = self.processes.into_values().map(|mut process| {
            tokio::spawn(async move { stop::<W>(&mut process, grace).await.err() })
        });
        let mut errors = Vec::new();
        for stop in stops.collect::<Vec<_>>() {
            errors.extend(stop.await.ok().flatten().map(HandsError::Process));
        }
        self.wires.shut().await;
        errors
    }

    /// Ends these nodes at one time, as far as they run.
    async fn end(
        &mut self,
        ending: Ending,
        nodes: &BTreeSet<Node>,
    ) -> Result<Vec<Node>, HandsError> {
        let mut ended = Vec::new();
        for node in nodes {
            let process = self.processes.get_mut(node).ok_or(HandsError::Unknown(*node))?;
            if process.exited()?.is_none() {
                match ending {
                    Ending::Kill => process.start_kill()?,
                    Ending::Stop => ask_to_end::<W>(process).await?,
                    Ending::Unplug if !W::HEARD => return Err(HandsError::Unheard(ending)),
                    Ending::Unplug => {
                        // It is told before it goes on, if it stands still.
                        process.tell(&format!("unplug {}", self.rng.random::<u64>())).await?;
                        process.free().await?;
                    }
                }
                self.conditions.entry(*node).or_default().paused = None;
                self.down.insert(*node);
                ended.push(*node);
            }
        }
        for node in &ended {
            if let Some(process) = self.processes.get_mut(node) {
                process.wait_or_kill(GRACE).await?;
            }
        }
        Ok(ended)
    }

    async fn restart(&mut self, node: Node) -> Result<(), HandsError> {
        let process = self.processes.get_mut(&node).ok_or(HandsError::Unknown(node))?;
        process.restart().await?;
        self.down.remove(&node);
        let condition = self.conditions.entry(node).or_default();
        // Another process has other memory.
        (condition.paused, condition.squeezed) = (None, false);
        condition.befall::<W>(process).await
    }

    /// Lets an ailment befall these nodes, as far as they run.
    async fn afflict(
        &mut self,
        ailment: Ailment,
        nodes: &BTreeSet<Node>,
    ) -> Result<Vec<Node>, HandsError> {
        let mut ailing = Vec::new();
        for node in nodes {
            let process = self.processes.get_mut(node).ok_or(HandsError::Unknown(*node))?;
            let condition = self.conditions.entry(*node).or_default();
            let befell = tell::<W>(process, ailment, self.rng.random()).await?;
            match ailment {
                _ if !befell => continue,
                Ailment::Pause => condition.paused = Some(Instant::now()),
                Ailment::Throttle(share) => condition.throttle = Some(share),
                Ailment::Squeeze => condition.squeezed = true,
                Ailment::Leap(by) => condition.leapt += by,
                Ailment::Drift(_) | Ailment::Strobe(_) => condition.pace = ailment,
                Ailment::Stall(by) => condition.stall = by,
                Ailment::Fill => condition.full = true,
                Ailment::Balk => condition.balks = true,
            }
            ailing.push(*node);
        }
        Ok(ailing)
    }

    /// Damages the files of these nodes, as far as they do not run.
    fn damage(
        &mut self,
        damage: Damage,
        nodes: &BTreeSet<Node>,
    ) -> Result<Vec<(Node, String)>, HandsError> {
        let mut damaged = Vec::new();
        for node in nodes {
            let process = self.processes.get_mut(node).ok_or(HandsError::Unknown(*node))?;
            if process.exited()?.is_none() {
                continue;
            }
            let directory = &process.launch().data;
            let failed = |source| HandsError::Files { node: *node, damage, source };
            let Some(done) = damage.strike(directory, &mut self.rng).map_err(failed)? else {
                continue;
            };
            match damage {
                Damage::Flip | Damage::Truncate => {
                    self.spoilt.insert(*node);
                }
                Damage::Rollback => {
                    self.spoilt.remove(node);
                }
                Damage::Save => {}
            }
            damaged.push((*node, done));
        }
        Ok(damaged)
    }

    /// Cures a part of every node. Those that ended for what they lacked start again.
    async fn cure(&mut self, part: Part, outcome: &mut Outcome) -> Result<(), HandsError> {
        for (node, condition) in &mut self.conditions {
            let Some(process) = self.processes.get_mut(node) else { continue };
            match condition.cure::<W>(part, process, self.down.contains(node)).await? {
                Cure::Nothing => {}
                Cure::Well(what) => outcome.cured.push((*node, what)),
                Cure::Started => outcome.restarted.push(*node),
            }
        }
        Ok(())
    }
}

/// Asks a process to end in order, the way its kind understands, and does not wait.
async fn ask_to_end<W: Wires>(process: &mut NodeProcess) -> Result<(), ProcessError> {
    process.start_stop().await?;
    if !W::HEARD {
        process.terminate()?;
    }
    Ok(())
}

async fn stop<W: Wires>(process: &mut NodeProcess, grace: Duration) -> Result<(), ProcessError> {
    ask_to_end::<W>(process).await?;
    process.wait_or_kill(grace).await.map(drop)
}
