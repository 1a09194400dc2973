//! What can be simulated: the project's own stores by name, and any core that somebody brings.

use rashomon_stores::catalogue::{Store, UnknownName};
use rashomon_stores::eventual::{self, Eventual};
use rashomon_stores::paxos::{self, Paxos};
use rashomon_stores::raft::{self, Raft};
use rashomon_stores::replica::Replica;
use rashomon_stores::single::{self, Single};

use super::Scenario;
use super::invariants::{EventualWitness, PaxosWitness, RaftWitness};
use super::mishap::Mishap;
use super::run::{Recorded, Run, Telling};
use super::witness::{NoWitness, Witness};
use super::{churn, tuning, world};

/// Whatever scenarios are run against.
pub trait System: Sync {
    /// Runs a scenario, and tells of it what is asked for.
    ///
    /// # Errors
    /// When the scenario asks for a store or a bug that there is none of.
    fn simulate(&self, scenario: &Scenario, told: Telling) -> Result<Recorded, SimError>;
}

/// A core to be simulated: how its nodes are set up, and who watches them. Every subject is a
/// [`System`].
pub trait Subject: Sync {
    /// The core.
    type Core: Replica;
    /// Who watches; [`NoWitness`] if the verdict on what clients saw
    /// is enough.
    type Witness: Witness<Self::Core>;

    /// The settings of every node.
    fn options(&self) -> <Self::Core as Replica>::Options;

    /// The witness of one run.
    fn witness(&self) -> Self::Witness;
}

impl<S: Subject> System for S {
    fn simulate(&self, scenario: &Scenario, told: Telling) -> Result<Recorded, SimError> {
        Ok(Run::new(scenario, self.options(), self.witness(), told).complete())
    }
}

/// The stores of the catalogue, by their names and the names of their bugs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stores;

impl System for Stores {
    fn simulate(&self, scenario: &Scenario, told: Telling) -> Result<Recorded, SimError> {
        match scenario.store.parse()? {
            Store::Raft => RaftSubject::of(scenario)?.simulate(scenario, told),
            Store::Paxos(settings) => {
                PaxosSubject::of(scenario, settings)?.simulate(scenario, told)
            }
            Store::Single => SingleSubject::of(scenario)?.simulate(scenario, told),
            Store::Eventual(settings) => {
                EventualSubject::of(scenario, settings)?.simulate(scenario, told)
            }
        }
    }
}

/// The same stores with nobody who watches from inside: for the verdict on what clients saw alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl System for Unwatched {
    fn simulate(&self, scenario: &Scenario, told: Telling) -> Result<Recorded, SimError> {
        match scenario.store.parse()? {
            Store::Raft => Ok(unwatched(&RaftSubject::of(scenario)?, scenario, told)),
            Store::Paxos(settings) => {
                Ok(unwatched(&PaxosSubject::of(scenario, settings)?, scenario, told))
            }
            Store::Single => Ok(unwatched(&SingleSubject::of(scenario)?, scenario, told)),
            Store::Eventual(settings) => {
                Ok(unwatched(&EventualSubject::of(scenario, settings)?, scenario, told))
            }
        }
    }
}

fn unwatched<S: Subject>(subject: &S, scenario: &Scenario, told: Telling) -> Recorded {
    Run::<S::Core, _>::new(scenario, subject.options(), NoWitness, told).complete()
}

/// The stream of the seed that the nodes' settings are drawn from.
const TUNING: u64 = 102;

/// Raft as a scenario asks for it.
#[derive(Clone, Debug)]
struct RaftSubject(raft::Options);

impl RaftSubject {
    fn of(scenario: &Scenario) -> Result<Self, UnknownName> {
        let bug = scenario.bug.as_deref().map(str::parse).transpose()?;
        Ok(RaftSubject(tuning::raft(
            bug,
            scenario.reads,
            churn::changes_members(&scenario.schedule),
            scenario.climate.drift_ppm,
            &mut world::stream(scenario.seed, TUNING),
        )))
    }
}

impl Subject for RaftSubject {
    type Core = Raft;
    type Witness = RaftWitness;

    fn options(&self) -> raft::Options {
        self.0.clone()
    }

    fn witness(&self) -> RaftWitness {
        RaftWitness::default()
    }
}

/// CASPaxos as a scenario asks for it.
#[derive(Clone, Debug)]
struct PaxosSubject(paxos::Options);

impl PaxosSubject {
    fn of(scenario: &Scenario, settings: paxos::Settings) -> Result<Self, SimError> {
        let nodes = usize::from(scenario.nodes);
        settings.quorums(nodes)?;
        let bug = scenario.bug.as_deref().map(str::parse).transpose()?;
        // A quorum must be left when a minority has lost its disks for good.
        let majorities = scenario.climate.every.every(Mishap::BitRot).is_some();
        let rng = &mut world::stream(scenario.seed, TUNING);
        let mut options = tuning::paxos(bug, nodes, majorities, rng);
        if settings != paxos::Settings::DEFAULT {
            options.prepare_quorum = settings.prepare.map(usize::from);
            options.accept_quorum = settings.accept.map(usize::from);
        }
        Ok(PaxosSubject(options))
    }
}

impl Subject for PaxosSubject {
    type Core = Paxos;
    type Witness = PaxosWitness;

    fn options(&self) -> paxos::Options {
        self.0.clone()
    }

    fn witness(&self) -> PaxosWitness {
        PaxosWitness::default()
    }
}

/// A single node as a scenario asks for it.
#[derive(Clone, Debug)]
struct SingleSubject(single::Options);

impl SingleSubject {
    fn of(scenario: &Scenario) -> Result<Self, SimError> {
        Store::Single.check_bug(scenario.bug.as_deref())?;
        if scenario.nodes != 1 {
            return Err(SimError::NotAlone(Store::Single, scenario.nodes));
        }
        Ok(SingleSubject(tuning::single(&mut world::stream(scenario.seed, TUNING))))
    }
}

impl Subject for SingleSubject {
    type Core = Single;
    /// Nobody has promised this node's peers anything: what clients see is all there is.
    type Witness = NoWitness;

    fn options(&self) -> single::Options {
        self.0.clone()
    }

    fn witness(&self) -> NoWitness {
        NoWitness
    }
}

/// An eventual store as a scenario asks for it.
#[derive(Clone, Debug)]
struct EventualSubject(eventual::Options);

impl EventualSubject {
    fn of(scenario: &Scenario, settings: eventual::Settings) -> Result<Self, SimError> {
        settings.check(usize::from(scenario.nodes))?;
        let bug = scenario.bug.as_deref().map(str::parse).transpose()?;
        let rng = &mut world::stream(scenario.seed, TUNING);
        Ok(EventualSubject(tuning::eventual(settings, bug, scenario.operation_timeout, rng)))
    }
}

impl Subject for EventualSubject {
    type Core = Eventual;
    type Witness = EventualWitness;

    fn options(&self) -> eventual::Options {
        self.0.clone()
    }

    fn witness(&self) -> EventualWitness {
        EventualWitness::new(self.0.settings)
    }
}

/// Why a run could not be simulated to its end.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// There is no such store, or it has no such bug.
    #[error(transparent)]
    Unknown(#[from] UnknownName),
    /// The store has one node.
    #[error("the store {0} has one node, not {1}")]
    NotAlone(Store, u16),
    /// The store's settings ask for more nodes than there are.
    #[error(transparent)]
    TooMany(#[from] eventual::settings::TooMany),
    /// The store's quorums need not meet, or cannot be reached.
    #[error(transparent)]
    Quorums(#[from] paxos::QuorumError),
}
