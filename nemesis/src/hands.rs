//! The hands: what carries out actions on real processes, and mends everything again.
//!
//! Mending asks nothing of what was broken: opening a link turns a valve in this process, and a
//! restart starts a new process from its command line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::process::ExitStatus;
use std::time::Duration;

use serde::Serialize;

use crate::action::Action;
use crate::link::{Bite, LinkError, Links};
use crate::nodes::{Cluster, Node};
use crate::process::{NodeProcess, ProcessError};

/// Why an action could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum HandsError {
    /// On a link.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// On a process.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// There is no such process.
    #[error("there is no process of {0}")]
    Unknown(Node),
    /// Nobody gives orders to a live cluster yet.
    #[error("`{0}` cannot be done to a live cluster: members change only in simulated runs so far")]
    Membership(Action),
}

/// What really happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The links that were opened again, each with what had run into it while it was closed.
    pub healed: Vec<Bite>,
    /// The nodes whose process ran, and was killed.
    pub killed: Vec<Node>,
    /// The nodes that were started again.
    pub restarted: Vec<Node>,
}

impl Outcome {
    /// How many of the healed links something had run into.
    pub fn bitten(&self) -> usize {
        self.healed.iter().filter(|bite| bite.bit()).count()
    }
}

/// The links and processes of one cluster. Dropping them ends every process and closes every port.
#[derive(Debug)]
pub struct Hands {
    links: Links,
    processes: BTreeMap<Node, NodeProcess>,
    /// Killed by an action, and not restarted yet.
    down: BTreeSet<Node>,
}

impl Hands {
    /// Takes the links and processes of a cluster in hand.
    pub fn new(links: Links, processes: impl IntoIterator<Item = NodeProcess>) -> Self {
        let processes = processes.into_iter().map(|process| (process.node(), process)).collect();
        Hands { links, processes, down: BTreeSet::new() }
    }

    /// The cluster as a fault finds it, led by whom the caller knows to lead.
    pub fn cluster(&self, leader: Option<Node>) -> Cluster {
        Cluster {
            nodes: self.processes.keys().copied().collect(),
            leader,
            down: self.down.clone(),
            gone: BTreeSet::new(),
        }
    }

    /// The links: counters, and what ran into cuts so far.
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// Does it, and says what really happened.
    ///
    /// # Errors
    /// When something could not be done. What was done before that stays done, and is undone by
    /// [`Hands::mend`].
    pub async fn apply(&mut self, action: &Action) -> Result<Outcome, HandsError> {
        let mut outcome = Outcome::default();
        match action {
            Action::Cut(grudge) => self.links.cut(grudge)?,
            Action::Hold(grudge) => self.links.hold(grudge)?,
            Action::Heal => outcome.healed = self.links.heal(),
            Action::Kill(nodes) => outcome.killed = self.kill(nodes).await?,
            Action::Restart(nodes) => {
                for node in nodes {
                    self.restart(*node).await?;
                    outcome.restarted.push(*node);
                }
            }
            Action::Add(_) | Action::Remove(_) | Action::Retire(_) | Action::Transfer(_) => {
                return Err(HandsError::Membership(action.clone()));
            }
        }
        Ok(outcome)
    }

    /// Undoes every fault: opens all links and starts all killed nodes. Goes on past errors, and
    /// returns them beside what was mended.
    pub async fn mend(&mut self) -> (Outcome, Vec<HandsError>) {
        let mut outcome = Outcome { healed: self.links.heal(), ..Outcome::default() };
        let mut errors = Vec::new();
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
        let stops = self
            .processes
            .into_values()
            .map(|mut process| tokio::spawn(async move { process.stop(grace).await.err() }));
        let mut errors = Vec::new();
        for stop in stops.collect::<Vec<_>>() {
            errors.extend(stop.await.ok().flatten().map(HandsError::Process));
        }
        self.links.shut().await;
        errors
    }

    /// Kills these nodes at one time, as far as they run.
    async fn kill(&mut self, nodes: &BTreeSet<Node>) -> Result<Vec<Node>, HandsError> {
        let mut killed = Vec::new();
        for node in nodes {
            let process = self.processes.get_mut(node).ok_or(HandsError::Unknown(*node))?;
            if process.exited()?.is_none() {
                process.start_kill()?;
                self.down.insert(*node);
                killed.push(*node);
            }
        }
        for node in &killed {
            if let Some(process) = self.processes.get_mut(node) {
                process.wait().await?;
            }
        }
        Ok(killed)
    }

    async fn restart(&mut self, node: Node) -> Result<(), HandsError> {
        let process = self.processes.get_mut(&node).ok_or(HandsError::Unknown(node))?;
        process.restart().await?;
        self.down.remove(&node);
        Ok(())
    }
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
        for (nodes, what) in [(&self.killed, "killed"), (&self.restarted, "restarted")] {
            if !nodes.is_empty() {
                let names: Vec<String> = nodes.iter().map(Node::to_string).collect();
                parts.push(format!("{} {what}", names.join(", ")));
            }
        }
        f.write_str(&parts.join("; "))
    }
}

fn counted(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
