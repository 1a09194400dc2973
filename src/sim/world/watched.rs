//! What a witness is shown of a world.

use rashomon_stores::replica::{NodeId, Replica};

use super::{World, index};
use crate::sim::witness::{Breach, Witness};

impl<R: Replica, W> World<R, W> {
    /// Keeps what this kind of witness wants to be told of promises, from now on.
    pub(in crate::sim) fn watch_for<T: Witness<R>>(&mut self, _witness: &T) {
        self.is_promise = T::is_promise;
    }

    /// Whether nodes have started that no witness has been shown.
    pub(in crate::sim) fn has_started_nodes(&self) -> bool {
        !self.started.is_empty()
    }

    /// Lets the scout see those, if there is one.
    pub(in crate::sim) fn scout_started(&mut self) {
        if let Some(scout) = &mut self.scout {
            self.started.iter().for_each(|id| scout.started(*id, self.now));
        }
    }

    /// Shows a witness the nodes that have started.
    ///
    /// # Errors
    /// The first breach that this shows.
    pub(in crate::sim) fn show_started(
        &mut self,
        witness: &mut impl Witness<R>,
    ) -> Result<(), Breach> {
        let mut seen = Ok(());
        for id in std::mem::take(&mut self.started) {
            if let Some(core) = self.core(id) {
                seen = seen.and_then(|()| witness.recovered(id, core));
            }
        }
        seen
    }

    /// Shows a witness what came of a node's step: what was noted, the node itself, and what has been
    /// promised since the last time.
    ///
    /// # Errors
    /// The first breach that this shows.
    pub(in crate::sim) fn show_step(
        &mut self,
        id: NodeId,
        witness: &mut impl Witness<R>,
    ) -> Result<(), Breach> {
        let mut seen = Ok(());
        for (noter, note) in &self.notes {
            if let Some(core) = self.core(*noter) {
                seen = seen.and_then(|()| witness.noted(*noter, note, core));
            }
        }
        if let Some(core) = self.core(id) {
            seen = seen.and_then(|()| witness.stepped(id, core));
        }
        for promise in &self.promises {
            if let Some(core) = self.core(promise.from) {
                let disk = self.nodes[index(promise.from)].disk.synced();
                seen = seen.and_then(|()| witness.promised(promise, core, disk));
            }
        }
        self.notes.clear();
        self.promises.clear();
        seen
    }
}
