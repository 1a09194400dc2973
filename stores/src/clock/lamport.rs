//! Lamport's clock: a counter that is never behind any message it has heard.
//!
//! Leslie Lamport, "Time, Clocks, and the Ordering of Events in a Distributed System", CACM 21(7),
//! 1978. What happened before has the smaller stamp; the converse does not hold: a smaller stamp
//! may as well be that of an event nobody there has heard of. Nodes break ties (the paper's total
//! order ⇒), so no two events have the same stamp.

use serde::{Deserialize, Serialize};

use crate::replica::NodeId;

/// The time of an event. Stamps are ordered by counter, then by node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp {
    /// Longer than the longest chain of events that led here.
    pub counter: u64,
    /// Where it happened.
    pub node: NodeId,
}

/// The clock of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    last: Stamp,
}

impl Clock {
    /// The clock of a node on which nothing has happened yet.
    pub fn new(node: NodeId) -> Self {
        Clock { last: Stamp { counter: 0, node } }
    }

    /// The stamp of an event of this node's own, such as the sending of a message (rule IR1).
    pub fn tick(&mut self) -> Stamp {
        self.last.counter += 1;
        self.last
    }

    /// The stamp of the receipt of a message that was sent at `sent` (rule IR2).
    pub fn receive(&mut self, sent: Stamp) -> Stamp {
        self.last.counter = self.last.counter.max(sent.counter);
        self.tick()
    }
}
