//! Logical clocks: time as what could have influenced what, which no physical clock can tell.
//!
//! | module | what it orders | where it is from |
//! |---|---|---|
//! | [`lamport`] | everything, in one line that never contradicts causes and effects | Lamport 1978 |
//! | [`vector`] | exactly what happened before what, and nothing else | Fidge 1988, Mattern 1989 |
//! | [`dotted`] | changes of data, each by itself where need be | Preguiça et al. 2010 |
//! | [`hybrid`] | like Lamport's, in numbers that stay close to physical time | Kulkarni et al. 2014 |
//!
//! *Happened before* is Lamport's relation: an event comes before another on the same node that is
//! later, the sending of a message comes before its receipt, and so on along every chain of these.

pub mod dotted;
pub mod hybrid;
pub mod lamport;
#[cfg(test)]
mod tests;
pub mod vector;
