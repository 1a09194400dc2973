//! Snapshots of a simulated cluster, taken while it runs: who begins one and when, and the gathering of
//! its parts.
//!
//! Whoever gathers does what the command for live clusters does: lets a node begin, takes each node's
//! part as soon as it is complete, and sees whether they fit. It disturbs nobody: what it draws comes
//! from a stream of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rashomon_stores::observe::cut::Cut;
use rashomon_stores::observe::mutants::Bug;
use rashomon_stores::observe::snapshot::Part;
use rashomon_stores::replica::{NodeId, Replica};

use super::world::{World, stream};

/// The stream of the seed that decides who begins a snapshot when.
const SNAPSHOTS: u64 = 103;

/// How often the parts are asked for, in nanoseconds.
pub(super) const GATHER: u64 = 20_000_000;

/// After which time a snapshot that is not complete is given up, in nanoseconds: a node is down.
const GIVE_UP: u64 = 5_000_000_000;

/// How often snapshots are to be taken, and how wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshots {
    /// The time from one to the next, on average.
    pub every: Duration,
    /// A planted bug, if they are to be taken wrongly.
    pub bug: Option<Bug>,
}

/// What became of a snapshot.
pub(super) enum Taken<R: Replica> {
    /// It is complete.
    Cut(Cut<R, R::Message>),
    /// Its parts do not fit, because a node crashed meanwhile.
    Void,
    /// It was not complete in time.
    GivenUp,
}

/// A snapshot whose parts are being gathered.
#[derive(Debug)]
struct Gathering<R: Replica> {
    snapshot: u64,
    nodes: Vec<NodeId>,
    since: u64,
    parts: BTreeMap<NodeId, Part<R, R::Message>>,
}

/// Takes snapshots.
#[derive(Debug)]
pub(super) struct Cuts<R: Replica> {
    rng: ChaCha8Rng,
    bug: Option<Bug>,
    every: Option<u64>,
    next: u64,
    last: u64,
    gathering: Option<Gathering<R>>,
    complete: u64,
    with_messages: u64,
    void: u64,
    given_up: u64,
}

impl<R: Replica> Cuts<R> {
    /// Of a run with this seed.
    pub(super) fn new(seed: u64, snapshots: Option<Snapshots>) -> Self {
        let every = snapshots.map(|snapshots| snapshots.every.as_nanos() as u64);
        Cuts {
            rng: stream(seed, SNAPSHOTS),
            bug: snapshots.and_then(|snapshots| snapshots.bug),
            every,
            next: every.unwrap_or(u64::MAX),
            last: 0,
            gathering: None,
            complete: 0,
            with_messages: 0,
            void: 0,
            given_up: 0,
        }
    }

    /// Whether snapshots are taken all the time.
    pub(super) fn takes_them_often(&self) -> bool {
        self.every.is_some()
    }

    /// Whether one is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.gathering.is_some()
    }

    /// Begins a snapshot when its time has come and none is under way; gathers what there is of one
    /// that is.
    pub(super) fn see_to<W>(
        &mut self,
        nodes: &[NodeId],
        world: &mut World<R, W>,
    ) -> Option<Taken<R>> {
        if self.gathering.is_none() {
            if let Some(every) = self.every
                && world.now() >= self.next
            {
                self.next = world.now() + self.rng.random_range(every / 2..=every * 3 / 2);
                self.begin(nodes, world);
            }
            return None;
        }
        self.gather(world)
    }

    /// Begins a snapshot of these nodes at one of them, if that runs.
    pub(super) fn begin<W>(&mut self, nodes: &[NodeId], world: &mut World<R, W>) {
        if nodes.is_empty() {
            return;
        }
        let initiator = nodes[self.rng.random_range(0..nodes.len())];
        self.last += 1;
        if world.begin_snapshot(initiator, self.last) {
            let (snapshot, nodes, since) = (self.last, nodes.to_vec(), world.now());
            world.tell(|| format!("{initiator} begins snapshot {snapshot}"));
            self.gathering = Some(Gathering { snapshot, nodes, since, parts: BTreeMap::new() });
        }
    }

    fn gather<W>(&mut self, world: &mut World<R, W>) -> Option<Taken<R>> {
        let gathering = self.gathering.as_mut()?;
        let Gathering { snapshot, nodes, parts, .. } = gathering;
        for node in &*nodes {
            let part = world.part(*node).filter(|part| part.snapshot == *snapshot);
            if let Some(part) = part.filter(|part| part.is_complete(nodes)) {
                parts.entry(*node).or_insert_with(|| part.clone());
            }
        }
        if parts.len() < nodes.len() {
            let late = world.now() >= gathering.since + GIVE_UP;
            return late.then(|| {
                self.gathering = None;
                self.given_up += 1;
                Taken::GivenUp
            });
        }
        let Gathering { snapshot, nodes, parts, .. } = self.gathering.take()?;
        let put_together =
            if self.bug == Some(Bug::CrashIgnored) { Cut::unverified } else { Cut::of };
        match put_together(snapshot, &nodes, parts) {
            Ok(cut) => {
                self.complete += 1;
                self.with_messages += u64::from(cut.on_its_way().next().is_some());
                world.tell(|| format!("snapshot {snapshot} is complete"));
                Some(Taken::Cut(cut))
            }
            Err(why) => {
                self.void += 1;
                world.tell(|| format!("snapshot {snapshot} is void: {why}"));
                Some(Taken::Void)
            }
        }
    }

    /// What was seen how often, if snapshots were taken.
    pub(super) fn sightings(&self) -> Vec<(&'static str, u64)> {
        if self.last == 0 {
            return Vec::new();
        }
        vec![
            ("snapshots taken", self.complete),
            ("snapshots with messages on their way", self.with_messages),
            ("snapshots void by a crash", self.void),
            ("snapshots given up", self.given_up),
        ]
    }
}
