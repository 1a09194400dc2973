//! Rashomon tests replicated stores: it runs a cluster, lets clients work while a nemesis breaks
//! things, records what every client saw, and decides whether one order explains all of it.
//!
//! | module | what it is for |
//! |---|---|
//! | [`campaign`] | a run from plan to verdict |
//! | [`workload`] | what clients are asked to do |
//! | [`client`] | how they do it, and what they may conclude |
//! | [`sim`] | simulated runs: virtual time, one seed, thousands of runs |
//! | [`compare`] | stores side by side: what they keep, and what it costs |
//! | [`doctor`] | which faults this machine can do |
//! | [`zoo`] | every planted bug, hunted in the simulator |
//! | [`snapshot`] | consistent snapshots of live clusters |
//! | [`target`] | systems under test |
//! | [`report`] | results for terminals, programs and browsers |
//! | [`trace`] | node traces put together: which event came first |
//! | [`contract`] | what stores promise, and so by what they are judged |
//! | [`cli`] | the command line |

pub mod campaign;
pub mod cli;
pub mod client;
pub mod compare;
pub mod contract;
pub mod doctor;
pub mod exit;
pub mod report;
pub mod sim;
pub mod snapshot;
pub mod target;
pub mod trace;
pub mod workload;
pub mod zoo;
