//! The systems under test: replicated key-value stores, real enough to break.
//!
//! | module | what it is |
//! |---|---|
//! | [`replica`] | the seam: a protocol core is a state machine, inputs to effects, without I/O |
//! | [`kv`] | what is replicated: a key-value map with client sessions |
//! | [`raft`] | the Raft consensus protocol as a core |
//! | [`clock`] | logical clocks: Lamport, vector, hybrid |
//! | [`paxos`] | CASPaxos, a replicated register for every key, as a core |
//! | [`eventual`] | a leaderless store that converges |
//! | [`single`] | one node without anybody to agree with: the baseline |
//! | [`catalogue`] | the stores and their planted bugs, by name |
//! | [`observe`] | what hosts see from above the cores: traces with vector clocks |
//! | [`node`] | the live host of a core: HTTP for clients and peers, a disk that is fsynced |
//!
//! The stores do not know that they are being tested. The one exception are the *mutants*: bugs
//! planted on purpose, off unless chosen by name, one file per store, by which the tester is
//! itself tested.

pub mod catalogue;
pub mod clock;
pub mod eventual;
pub mod kv;
pub mod node;
pub mod observe;
pub mod paxos;
pub mod raft;
pub mod replica;
pub mod single;
