//! The hands: what carries out actions on real processes, and mends everything again.
//!
//! Mending asks nothing of what was broken: opening a link turns a valve in this process, and a
//! restart starts a new process from its command line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::action::Action;
use crate::ailment::{Ailment, Part, Percent};
#[cfg(target_os = "linux")]
use crate::clock::ClockError;
use crate::damage::Damage;
use crate::ending::Ending;
use crate::foreign;
#[cfg(target_os = "linux")]
use crate::hosts::{Hosts, HostsError};
use crate::link::{Bite, LinkError, Links};
use crate::nodes::{Cluster, Node};
use crate::process::{NodeProcess, ProcessError};
use crate::wires::Wires;

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

/// What really happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The links that were opened again, each with what had run into it while it was closed.
    pub healed: Vec<Bite>,
    /// The nodes whose process ran, and ended.
    pub ended: Vec<Node>,
    /// The nodes that were started again.
    pub restarted: Vec<Node>,
    /// The nodes that an ailment befell.
    pub ailing: Vec<Node>,
    /// The nodes that were cured, each with what that was.
    pub cured: Vec<(Node, String)>,
    /// The nodes whose files were damaged, each with what was done.
    pub damaged: Vec<(Node, String)>,
    /// The nodes that were to start again and cannot any more, because of that.
    pub lost: Vec<Node>,
}

impl Outcome {
    /// How many of the healed links something had run into.
    pub fn bitten(&self) -> usize {
        self.healed.iter().filter(|bite| bite.bit()).count()
    }
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

/// How a node is.
#[derive(Clone, Copy, Debug)]
struct Condition {
    /// Since when it stands still.
    paused: Option<Instant>,
    throttle: Option<Percent>,
    squeezed: bool,
    /// How far its clock has leapt in all.
    leapt: Duration,
    /// How its clock goes: it drifts or strobes.
    pace: Ailment,
    stall: Duration,
    full: bool,
    /// Its next sync fails, or one did and it stopped.
    balks: bool,
}

impl Default for Condition {
    fn default() -> Self {
        let (leapt, stall) = (Duration::ZERO, Duration::ZERO);
        let (paused, throttle, squeezed) = (None, None, false);
        let (full, balks) = (false, false);
        let pace = Ailment::Drift(Percent::WHOLE);
        Condition { paused, throttle, squeezed, leapt, pace, stall, full, balks }
    }
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

    /// Cures a part of every node. Those that stopped for want of room start again.
    async fn cure(&mut self, part: Part, outcome: &mut Outcome) -> Result<(), HandsError> {
        for (node, condition) in &mut self.conditions {
            let Some(process) = self.processes.get_mut(node) else { continue };
            let well = Condition::default();
            match part {
                Part::Process => {
                    let since = condition.paused.take();
                    let throttled = condition.throttle.take().is_some();
                    let squeezed = std::mem::take(&mut condition.squeezed);
                    if since.is_none() && !throttled && !squeezed {
                        continue;
                    }
                    if process.free().await? {
                        let what = match since {
                            Some(since) => {
                                format!("stood still for {:.1} s", since.elapsed().as_secs_f64())
                            }
                            None => "has time and memory again".to_owned(),
                        };
                        outcome.cured.push((*node, what));
                    } else if squeezed && !self.down.contains(node) {
                        process.restart().await?;
                        condition.befall::<W>(process).await?;
                        outcome.restarted.push(*node);
                    }
                }
                Part::Clock => {
                    if condition.pace != well.pace {
                        condition.pace = well.pace;
                        tell::<W>(process, well.pace, 0).await?;
                        outcome.cured.push((*node, "runs true again".into()));
                    }
                }
                Part::Disk => {
                    let stall = condition.stall != well.stall;
                    let failed = condition.full || condition.balks;
                    (condition.stall, condition.full) = (well.stall, well.full);
                    condition.balks = well.balks;
                    if failed && process.exited()?.is_some() && !self.down.contains(node) {
                        process.restart().await?;
                        condition.befall::<W>(process).await?;
                        outcome.restarted.push(*node);
                    } else if stall || failed {
                        tell::<W>(process, Ailment::Stall(well.stall), 0).await?;
                        process.tell("room").await?;
                        outcome.cured.push((*node, "writes as usual".into()));
                    }
                }
            }
        }
        Ok(())
    }
}

impl Condition {
    /// Lets what lasts befall a new process of the node.
    async fn befall<W: Wires>(&self, process: &mut NodeProcess) -> Result<(), HandsError> {
        let well = Condition::default();
        let ailments = [
            (self.leapt != well.leapt, Ailment::Leap(self.leapt)),
            (self.pace != well.pace, self.pace),
            (self.stall != well.stall, Ailment::Stall(self.stall)),
            (self.full, Ailment::Fill),
        ];
        let throttle = self.throttle.map(Ailment::Throttle);
        let ailments = ailments.into_iter().filter(|(befell, _)| *befell).map(|(_, it)| it);
        for ailment in ailments.chain(throttle) {
            tell::<W>(process, ailment, 0).await?;
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

/// Lets an ailment befall a process; says whether there is one. The seed decides what the ailment
/// leaves to chance.
async fn tell<W: Wires>(
    process: &mut NodeProcess,
    ailment: Ailment,
    seed: u64,
) -> Result<bool, HandsError> {
    if !W::HEARD && ailment.part() != Part::Process {
        return foreign::befall(process, ailment).await;
    }
    // What a node is told over its life line: times in nanoseconds, rates in per cent. Nobody who stands
    // still needs to be told so.
    let line = match ailment {
        Ailment::Pause => return Ok(process.pause()?),
        Ailment::Throttle(share) => return Ok(process.throttle(share)?),
        Ailment::Squeeze => return Ok(process.squeeze()?),
        Ailment::Leap(by) => format!("leap {}", by.as_nanos()),
        Ailment::Drift(rate) => format!("rate {}", rate.get()),
        Ailment::Strobe(turn) => format!("strobe {}", turn.as_nanos()),
        Ailment::Stall(by) => format!("stall {}", by.as_nanos()),
        Ailment::Fill => "fill".to_owned(),
        Ailment::Balk => format!("balk {seed}"),
    };
    Ok(process.tell(&line).await?)
}

impl fmt::Display for Outcome {
    /// What happened, for a person; empty if there is nothing to tell.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.healed.is_empty() {
            let links = counted(self.healed.len() as u64, "link");
            let connections = self.healed.iter().map(|bite| bite.connections).sum();
            let bytes = self.healed.iter().map(|bite| bite.bytes).sum();
            parts.push(match self.bitten() {
                0 => format!("{links} healed, nothing had run into them"),
                bitten => format!(
                    "{links} healed; {} and {} had run into {bitten} of them",
                    counted(connections, "connection"),
                    counted(bytes, "byte"),
                ),
            });
        }
        let nodes =
            [(&self.ended, "ended"), (&self.ailing, "struck"), (&self.restarted, "restarted")];
        for (nodes, what) in nodes {
            if !nodes.is_empty() {
                let names: Vec<String> = nodes.iter().map(Node::to_string).collect();
                parts.push(format!("{} {what}", names.join(", ")));
            }
        }
        parts.extend(self.damaged.iter().map(|(node, done)| format!("{node}: {done}")));
        parts.extend(self.lost.iter().map(|node| format!("{node} is damaged and does not start")));
        parts.extend(self.cured.iter().map(|(node, what)| format!("{node} {what}")));
        f.write_str(&parts.join("; "))
    }
}

fn counted(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
