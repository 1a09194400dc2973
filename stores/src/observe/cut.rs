//! A snapshot of the whole: the parts of all nodes, if they fit together.

use std::collections::BTreeMap;

use super::snapshot::{InChannel, Part};
use crate::replica::{Effects, Input, NodeId, Replica, Time};

/// A consistent global state: what each node had, and what was on its way between them.
#[derive(Clone, Debug)]
pub struct Cut<S, M> {
    /// The number of the snapshot.
    pub snapshot: u64,
    /// The part of every node.
    pub parts: BTreeMap<NodeId, Part<S, M>>,
}

/// Why parts are no snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Void {
    /// A part is missing.
    #[error("{0} has no part in it")]
    Missing(NodeId),
    /// A part is still being recorded.
    #[error("{0} still records what is on its way to it")]
    Open(NodeId),
    /// A node crashed meanwhile: of its incarnations, one recorded its state and another was heard.
    #[error(
        "{node} crashed meanwhile: {other} has heard another incarnation than the one that recorded its state"
    )]
    Crashed {
        /// Who crashed.
        node: NodeId,
        /// Who noticed.
        other: NodeId,
    },
}

impl<S, M> Cut<S, M> {
    /// Puts the parts of these nodes together, all of one snapshot.
    ///
    /// # Errors
    /// Why they do not fit.
    pub fn of(
        snapshot: u64,
        nodes: &[NodeId],
        parts: BTreeMap<NodeId, Part<S, M>>,
    ) -> Result<Self, Void> {
        let cut = Cut::unverified(snapshot, nodes, parts)?;
        for (other, part) in &cut.parts {
            for (node, whole) in &cut.parts {
                let Some(channel) = part.channels.get(node) else { continue };
                let others = channel.recorded_by.iter().any(|by| *by != whole.incarnation);
                if others || channel.heard > whole.incarnation {
                    return Err(Void::Crashed { node: *node, other: *other });
                }
            }
        }
        Ok(cut)
    }

    /// The bug of not looking at incarnations ([`super::mutants::Bug::CrashIgnored`]): complete parts,
    /// whether they fit or not.
    ///
    /// # Errors
    /// When one is missing or not complete.
    pub fn unverified(
        snapshot: u64,
        nodes: &[NodeId],
        mut parts: BTreeMap<NodeId, Part<S, M>>,
    ) -> Result<Self, Void> {
        parts.retain(|node, part| nodes.contains(node) && part.snapshot == snapshot);
        for node in nodes {
            let part = parts.get(node).ok_or(Void::Missing(*node))?;
            if !part.is_complete(nodes) {
                return Err(Void::Open(*node));
            }
        }
        Ok(Cut { snapshot, parts })
    }

    /// What was on its way from one node to another: what the first's host held back, and what arrived
    /// at the second after its cut.
    pub fn channel(&self, from: NodeId, to: NodeId) -> impl Iterator<Item = &M> {
        let held = self.parts.get(&from).into_iter().flat_map(|part| &part.held);
        let held = held.filter(move |(whom, _)| *whom == to).map(|(_, message)| message);
        let channel = self.parts.get(&to).and_then(|part| part.channels.get(&from));
        let arrived = channel.into_iter().flat_map(|channel| &channel.messages);
        held.chain(arrived.map(|InChannel { message, .. }| message))
    }

    /// All that was on its way, with who sent it to whom.
    pub fn on_its_way(&self) -> impl Iterator<Item = (NodeId, NodeId, &M)> {
        let nodes = || self.parts.keys().copied();
        let links = nodes().flat_map(move |from| nodes().map(move |to| (from, to)));
        links.flat_map(|(from, to)| self.channel(from, to).map(move |message| (from, to, message)))
    }

    /// How many messages that were sent before the cut have not been seen: lost, or very late.
    pub fn missing(&self) -> u64 {
        let channels = self.parts.values().flat_map(|part| part.channels.values());
        channels.map(|channel| channel.missing).sum()
    }
}

/// Whether a message would change what a node has, by its digest, if it took it in now. Tries it out on
/// a copy.
pub fn would_change<R: Replica>(core: &R, now: Time, from: NodeId, message: &R::Message) -> bool {
    let (mut copy, mut effects) = (core.clone(), Effects::default());
    copy.step(now, Input::Message { from, message: message.clone() }, &mut effects);
    copy.status().digest != core.status().digest
}

impl<R: Replica> Cut<R, R::Message> {
    /// Whether all nodes have the same and will keep it: nothing on its way would change what any has.
    /// What is lost cannot.
    ///
    /// # Errors
    /// Which nodes differ, or which message would change something.
    pub fn converged(&self) -> Result<(), String> {
        let mut digests = self.parts.iter().map(|(node, part)| (node, part.state.status().digest));
        if let Some((first, known)) = digests.next()
            && let Some((other, _)) = digests.find(|(_, digest)| *digest != known)
        {
            return Err(format!("{first} and {other} do not have the same"));
        }
        for (from, to, message) in self.on_its_way() {
            let part = &self.parts[&to];
            if would_change(&part.state, part.at, from, message) {
                return Err(format!(
                    "what is on its way from {from} would change {to}: {message:?}"
                ));
            }
        }
        Ok(())
    }
}
