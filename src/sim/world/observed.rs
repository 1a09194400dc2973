//! What is observed of a world's nodes from above their cores; see [`rashomon_stores::observe`]. It
//! has no influence on a run: neither on what happens in it nor on what is drawn.

use std::time::Duration;

use rand::RngExt;
use rashomon_stores::observe::Observer;
use rashomon_stores::observe::mutants::Bug;
use rashomon_stores::observe::snapshot::{Manner, Marker, Part, View};
use rashomon_stores::observe::trace::Tracer;
use rashomon_stores::replica::{NodeId, Replica, Time};

use super::{Event, World, index};

/// How long a message may be under way that is neither lost nor stopped: the longest hold, and a bit.
const PATIENCE: Duration = Duration::from_millis(2_100);
/// After which time a marker without an answer is sent again.
const RESEND: Duration = Duration::from_millis(40);

/// How nodes are observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) struct Observed {
    /// Whether they are traced.
    pub(in crate::sim) traced: bool,
    /// What is wrong with how snapshots are taken.
    pub(in crate::sim) bug: Option<Bug>,
}

impl<R: Replica, W> World<R, W> {
    /// Observes every node from now on, if they are not observed yet.
    pub(in crate::sim) fn observe_nodes(&mut self, how: Observed) {
        if self.observed.is_none() {
            self.observed = Some(how);
            for id in self.ids() {
                self.observe_node(id);
            }
        }
    }

    /// Lets somebody watch a node, if nodes are observed; tells that it runs, if it does.
    pub(super) fn observe_node(&mut self, id: NodeId) {
        let Some(Observed { traced, bug }) = self.observed else { return };
        let manner = Manner { patience: PATIENCE, resend: RESEND, bug };
        let mut observer = Observer::new(id, traced.then(|| Tracer::new(id)), manner);
        let node = &mut self.nodes[index(id)];
        if node.running.is_some() {
            observer.started(node.clock.shows(self.now), node.incarnations);
        }
        self.nodes[index(id)].observer = Some(Box::new(observer));
        for other in self.ids() {
            self.observe(other, |observer, _| observer.meet(id));
            self.observe(id, |observer, _| observer.meet(other));
        }
    }

    /// The traces of all nodes so far, if they are traced.
    pub(in crate::sim) fn take_traces(&mut self) -> Vec<(NodeId, Vec<u8>)> {
        if !self.observed.is_some_and(|how| how.traced) {
            return Vec::new();
        }
        let observed = self.ids().zip(&mut self.nodes);
        observed.filter_map(|(id, node)| Some((id, node.observer.as_mut()?.take_trace()))).collect()
    }

    /// Lets a node begin a snapshot; says whether it could, because it runs.
    pub(in crate::sim) fn begin_snapshot(&mut self, id: NodeId, snapshot: u64) -> bool {
        self.look(id, |observer, now, view| observer.begin(now, snapshot, view)).is_some()
    }

    /// A node's part of the latest snapshot it has one of.
    pub(in crate::sim) fn part(&self, id: NodeId) -> Option<&Part<R, R::Message>> {
        self.nodes[index(id)].observer.as_ref()?.part()
    }

    /// Tells whoever watches a node, if anybody does, at the time that the node's clock shows.
    pub(super) fn observe<T>(
        &mut self,
        id: NodeId,
        tell: impl FnOnce(&mut Observer<R>, Time) -> T,
    ) -> Option<T> {
        let node = &mut self.nodes[index(id)];
        let observer = node.observer.as_mut()?;
        Some(tell(observer, node.clock.shows(self.now)))
    }

    /// The same of a node that runs, with a view of it; what the observer wants sent is sent.
    pub(super) fn look<T>(
        &mut self,
        id: NodeId,
        tell: impl FnOnce(&mut Observer<R>, Time, &dyn Fn() -> View<R, R::Message>) -> T,
    ) -> Option<T> {
        let node = &mut self.nodes[index(id)];
        let (observer, running) = (node.observer.as_mut()?, node.running.as_ref()?);
        let view = || {
            let held = running.gate.messages().map(|(to, message)| (to, message.clone()));
            View { state: running.core.clone(), held: held.collect() }
        };
        let said = tell(observer, node.clock.shows(self.now), &view);
        let markers = observer.take_markers();
        if let Some(deadline) = observer.deadline().filter(|deadline| node.tick != Some(*deadline))
        {
            node.tick = Some(deadline);
            let at = node.clock.when(deadline).max(self.now);
            self.queue.push(at, Event::Tick { node: id });
        }
        for (to, marker) in markers {
            self.send_marker(id, to, marker);
        }
        Some(said)
    }

    /// The observer's deadline is there, unless it was moved or the clock has changed.
    pub(super) fn tick(&mut self, id: NodeId) {
        self.nodes[index(id)].tick = None;
        self.look(id, |observer, now, view| observer.tick(now, view));
    }

    /// Sends a marker on its way. It fares like a message, but for held links, where it is lost: it is
    /// sent again.
    fn send_marker(&mut self, from: NodeId, to: NodeId, marker: Marker) {
        let climate = &self.climate;
        let rng = &mut self.markers;
        let copies = match rng.random() {
            bits if climate.loss.happens(bits) => 0,
            _ if climate.duplication.happens(rng.random()) => 2,
            _ => 1,
        };
        for _ in 0..copies {
            let held = climate.holding.happens(rng.random());
            let held = if held { rng.random_range(0..=climate.held_max) } else { 0 };
            let at = self.now + climate.latency.draw(rng) + held;
            self.queue.push(at, Event::Mark { from, to, marker });
        }
    }

    /// A marker arrives, if its link is open and there is a node that is awake.
    pub(super) fn mark(&mut self, from: NodeId, to: NodeId, marker: Marker) {
        if !self.network.is_open(from, to) {
            return;
        }
        let awake = self.nodes[index(to)].busy_until;
        if awake > self.now {
            self.queue.push(awake, Event::Mark { from, to, marker });
            return;
        }
        self.look(to, |observer, now, view| observer.marked(now, from, marker, view));
    }
}
