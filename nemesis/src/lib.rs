//! Faults as data, when they strike, and the hands that carry them out.
//!
//! The data first: a [`Schedule`] says when which [`Fault`] strikes, in words that name roles
//! rather than nodes. At strike time the fault is resolved against the [`Cluster`] as it then is,
//! and the [`Resolved`] record says what was done: an [`Action`] on concrete links and nodes. The
//! same data drives real processes and a simulator.
//!
//! Then the hands, for real processes: [`Links`] carries every message between nodes over proxies
//! that can lose or hold it, and `hosts` (Linux) gives nodes whose peers are out of our hands a network each;
//! [`NodeProcess`] starts and kills, and [`Hands`] applies an action to either and mends everything
//! again.

mod action;
mod ailment;
#[cfg(target_os = "linux")]
mod clock;
mod damage;
#[cfg(target_os = "linux")]
mod disk;
mod ending;
mod fault;
mod foreign;
mod generate;
mod grudge;
mod hands;
#[cfg(target_os = "linux")]
pub mod hosts;
mod leases;
mod link;
mod mutate;
mod nodes;
mod process;
mod schedule;
mod swarm;
mod text;
mod trouble;
mod wires;

pub use action::{Action, Resolved};
pub use ailment::{Ailment, Part, Percent};
#[cfg(target_os = "linux")]
pub use clock::{ClockError, ForeignClock};
pub use damage::Damage;
#[cfg(target_os = "linux")]
pub use disk::{DiskError, Fsyncs, Mishap, Volume};
pub use ending::Ending;
pub use fault::{Fault, Partition, Split, UnknownNode};
pub use generate::{Package, Packages};
pub use grudge::{Block, Grudge, Ways};
pub use hands::{Hands, HandsError, Outcome};
pub use leases::{HealError, Holding, Identity, Lease, LeaseError, Leases, MARK, heal};
pub use link::{Bite, Counters, LinkError, Links};
pub use mutate::Breeder;
pub use nodes::{Cluster, Node, NodeSet, Pick};
pub use process::{Launch, NodeProcess, ProcessError};
pub use schedule::{Schedule, Step, Trigger};
pub use swarm::Mixture;
pub use text::{Moment, ParseError};
pub use trouble::{Rate, Trouble};
pub use wires::Wires;
