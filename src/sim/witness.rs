//! Witnesses: look at the cores while a run goes on, and say when something is wrong that no client
//! may ever notice.

use std::collections::BTreeMap;
use std::fmt;

use rashomon_stores::observe::cut::Cut;
use rashomon_stores::replica::{NodeId, Replica, Slot};
use serde::Serialize;

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Breach {
    /// The invariant's name.
    pub invariant: &'static str,
    /// What was seen.
    pub what: String,
}

impl Breach {
    /// A breach of this invariant.
    pub fn new(invariant: &'static str, what: impl Into<String>) -> Self {
        Breach { invariant, what: what.into() }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

/// Sees nothing: for cores of which nothing is known but what clients see.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWitness;

impl<R: Replica> Witness<R> for NoWitness {
    fn noted(&mut self, _: NodeId, _: &R::Note, _: &R) -> Result<(), Breach> {
        Ok(())
    }

    fn stepped(&mut self, _: NodeId, _: &R) -> Result<(), Breach> {
        Ok(())
    }

    fn crashed(&mut self, _: NodeId) {}

    fn glanced(&mut self, _: &[(NodeId, &R)], _: bool) -> Result<(), Breach> {
        Ok(())
    }

    fn sightings(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}

/// A message that has left its sender and cannot be taken back.
#[derive(Clone, Debug)]
pub struct Promise<M> {
    /// The sender.
    pub from: NodeId,
    /// Whom it is for.
    pub to: NodeId,
    /// What it says.
    pub message: M,
}

/// What a node's disk holds for sure.
pub type Records<R> = BTreeMap<Slot, <R as Replica>::Record>;

/// Somebody who looks at the cores while a run goes on. A witness has no influence on the run.
pub trait Witness<R: Replica> {
    /// A node said something in its latest step.
    ///
    /// # Errors
    /// A breach that this shows.
    fn noted(&mut self, node: NodeId, note: &R::Note, core: &R) -> Result<(), Breach>;

    /// A node took a step.
    ///
    /// # Errors
    /// A breach that this shows.
    fn stepped(&mut self, node: NodeId, core: &R) -> Result<(), Breach>;

    /// Whether a message promises what must survive a crash of its sender: those are told to
    /// [`Witness::promised`]. None does unless a witness says so.
    fn is_promise(_message: &R::Message) -> bool {
        false
    }

    /// A node has made a promise, and then taken a step; its disk holds these records for sure.
    ///
    /// # Errors
    /// A breach that this shows.
    fn promised(
        &mut self,
        _promise: &Promise<R::Message>,
        _core: &R,
        _disk: &Records<R>,
    ) -> Result<(), Breach> {
        Ok(())
    }

    /// A node has begun, perhaps anew, with what its disk holds.
    ///
    /// # Errors
    /// A breach that this shows.
    fn recovered(&mut self, _node: NodeId, _core: &R) -> Result<(), Breach> {
        Ok(())
    }

    /// A node crashed, and will begin anew with what its disk holds.
    fn crashed(&mut self, node: NodeId);

    /// All cores that run, now and then; `whole` asks to look at all they hold, at the end.
    ///
    /// # Errors
    /// A breach that these show together.
    fn glanced(&mut self, cores: &[(NodeId, &R)], whole: bool) -> Result<(), Breach>;

    /// A snapshot of the whole is complete, if any is taken.
    ///
    /// # Errors
    /// A breach that this shows.
    fn cut(&mut self, _cut: &Cut<R, R::Message>) -> Result<(), Breach> {
        Ok(())
    }

    /// What was looked out for, and how often it was seen: what a run should reach *sometimes*.
    fn sightings(&self) -> Vec<(&'static str, u64)>;
}
