//! Hosts: what is done to a link is what sockets on both sides of it see, and only that; a store that
//! is not ours is broken and mended by it; and nothing stays behind.
//!
//! Every test runs itself again as the first process of a sandbox, as an ordinary user: when the tests
//! are run by root, as one that may do nothing. What a machine cannot do is said, not passed over.
#![cfg(target_os = "linux")]

mod etcd;
mod links;
mod remains;
mod support;
