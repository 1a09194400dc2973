//! End to end, over the real binary; one test program, so that it is linked once.

mod browser;
mod check;
mod compare;
mod convert;
mod determinism;
mod disks;
mod doctor;
mod elections;
mod heal;
mod labs;
mod members;
mod primary_backup;
mod report;
mod runs;
mod sim;
mod snapshot;
mod support;
mod tokens;
mod trace;
mod zoo;
