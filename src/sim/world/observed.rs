//! What is observed of a world's nodes from above their cores; see [`rashomon_stores::observe`]. It
//! has no influence on a run: neither on what happens in it nor on what is drawn.

use rashomon_stores::observe::Observer;
use rashomon_stores::observe::trace::Tracer;
use rashomon_stores::replica::{NodeId, Replica, Time};

use super::{World, index};

impl<R: Replica, W> World<R, W> {
    /// Traces every node, from its first start on; see [`World::take_traces`].
    pub(in crate::sim) fn trace_nodes(&mut self) {
        self.traced = true;
        for id in self.ids() {
            self.observe_node(id);
        }
    }

    /// Lets somebody watch a node that has never run.
    pub(super) fn observe_node(&mut self, id: NodeId) {
        if self.traced {
            let observer = Observer::new(Some(Tracer::new(id)));
            self.nodes[index(id)].observer = Some(Box::new(observer));
        }
    }

    /// The traces of all nodes so far, if they are traced.
    pub(in crate::sim) fn take_traces(&mut self) -> Vec<(NodeId, Vec<u8>)> {
        let ids = self.ids();
        let observed = ids.zip(&mut self.nodes);
        observed.filter_map(|(id, node)| Some((id, node.observer.as_mut()?.take_trace()))).collect()
    }

    /// Tells whoever watches a node, if anybody does, at the time that the node's clock shows.
    pub(super) fn observe<T>(
        &mut self,
        id: NodeId,
        tell: impl FnOnce(&mut Observer, Time) -> T,
    ) -> Option<T> {
        let node = &mut self.nodes[index(id)];
        let observer = node.observer.as_mut()?;
        Some(tell(observer, node.clock.shows(self.now)))
    }
}
