//! The weaker promises: what a store may keep where it is not linearizable.
//!
//! Linearizable or not is one bit. An eventually consistent store promises less and can still break
//! its word, so each promise is judged by itself, from the same recorded history. The sources: Terry
//! et al., "Session Guarantees for Weakly Consistent Replicated Data" (PDIS 1994); Burckhardt,
//! "Principles of Eventual Consistency" (2014), for arbitration and convergence; Bailis et al.,
//! "Highly Available Transactions" (VLDB 2014), for what stays possible under partition; DeCandia
//! et al., "Dynamo" (SOSP 2007), for values side by side.
//!
//! | module | what it is |
//! |---|---|
//! | `objects` | a history by key: what was written, read, and read in the end |
//! | `versions` | the order in which the values of a register replaced each other, as far as it is certain |
//! | `causality` | which of several values side by side had seen which |
//! | `convergence`, `provenance`, `loss`, `sessions`, `concurrency` | the promises |
//! | `ladder` | sequential, causal, PRAM, coherence, regular and safe registers |
//! | [`mod@staleness`], [`atomicity`] | how far behind reads were, and how far from atomic registers |
//!
//! Only what no store that keeps the promise could do is a violation. Every answer can be given
//! without knowing how the store works, but one thing must be told: whether it orders writes by
//! clocks, and how far these may be apart ([`Options::clocks`]).

mod causality;
mod concurrency;
mod convergence;
mod ladder;
mod loss;
mod objects;
mod provenance;
mod registers;
mod sessions;
pub mod staleness;
mod versions;

use std::cell::OnceCell;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::history::{History, OpId, Value, ValueId};
use crate::model::NilRead;
use ladder::{Ladder, Rung, regular};
use objects::Objects;

pub use ladder::atomicity::{self, Atomicity, Bounds};
pub use ladder::{Anomaly, Reason};
pub use objects::{FINAL_READS, MISMATCH};
pub use staleness::{Stale, Staleness, staleness};

/// Something that a store may promise its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Promise {
    /// One order of all operations explains what every process saw, and agrees with the order of each
    /// (Lamport 1979).
    Sequential,
    /// Each process has an order of all writes and its own reads that agrees with causality (Ahamad et
    /// al. 1995).
    CausalMemory,
    /// What is read is explained by causality and one order of the writes of each key for all
    /// (Burckhardt 2014; Bouajjani et al. 2017: CCv).
    CausalConvergence,
    /// No read misses what it causally depends on (Bouajjani et al. 2017: CC).
    Causal,
    /// Each process has an order of all writes and its own reads that agrees with the order of each
    /// process (Lipton & Sandberg 1988).
    Pram,
    /// Each key by itself is sequential (Goodman 1989).
    Coherence,
    /// A read returns a write that was not overwritten when it began, or one beside it (Lamport 1986).
    Regular,
    /// A read beside which nobody writes returns a write that was not overwritten (Lamport 1986).
    Safe,
    /// In the end all nodes answer alike (Burckhardt 2014, section 5.1: eventual visibility).
    Convergence,
    /// No acknowledged write is gone in the end, unless another one may have replaced it.
    NoLostWrites,
    /// What an acknowledged delete removed does not come back in the end.
    NoResurrection,
    /// No read returns what was never written, not yet written, or written only by writes that
    /// failed.
    NoValuesFromNowhere,
    /// A process that wrote sees its write, or what replaced it (Terry et al. 1994).
    ReadYourWrites,
    /// A process that saw a value sees it again, or what replaced it (Terry et al. 1994).
    MonotonicReads,
    /// The writes of a process replace each other in the order in which it made them (Terry et al.
    /// 1994).
    MonotonicWrites,
    /// A write comes after what its process had seen before (Terry et al. 1994).
    WritesFollowReads,
    /// A value is not shown beside another one whose writer had seen it (Dynamo, section 4.4).
    NoFalseConcurrency,
}

/// How many of the promises are rungs.
const RUNGS: usize = 8;

impl Promise {
    /// Every promise, in the order in which they are told: the rungs of the ladder, the stronger
    /// ones first, and then what a store may keep beside them.
    pub const ALL: [Promise; 17] = [
        Promise::Sequential,
        Promise::CausalMemory,
        Promise::CausalConvergence,
        Promise::Causal,
        Promise::Pram,
        Promise::Coherence,
        Promise::Regular,
        Promise::Safe,
        Promise::Convergence,
        Promise::NoLostWrites,
        Promise::NoResurrection,
        Promise::NoValuesFromNowhere,
        Promise::ReadYourWrites,
        Promise::MonotonicReads,
        Promise::MonotonicWrites,
        Promise::WritesFollowReads,
        Promise::NoFalseConcurrency,
    ];

    /// The rungs of the ladder, the stronger ones first.
    pub fn rungs() -> &'static [Promise] {
        &Self::ALL[..RUNGS]
    }

    /// What a store may keep beside the rungs.
    pub fn beside() -> &'static [Promise] {
        &Self::ALL[RUNGS..]
    }

    /// The name in reports, data and options: `convergence`, `no-lost-writes`, …
    pub fn as_str(self) -> &'static str {
        match self {
            Promise::Sequential => "sequential",
            Promise::CausalMemory => "causal-memory",
            Promise::CausalConvergence => "causal-convergence",
            Promise::Causal => "causal",
            Promise::Pram => "pram",
            Promise::Coherence => "coherence",
            Promise::Regular => "regular",
            Promise::Safe => "safe",
            Promise::Convergence => "convergence",
            Promise::NoLostWrites => "no-lost-writes",
            Promise::NoResurrection => "no-resurrection",
            Promise::NoValuesFromNowhere => "no-values-from-nowhere",
            Promise::ReadYourWrites => "read-your-writes",
            Promise::MonotonicReads => "monotonic-reads",
            Promise::MonotonicWrites => "monotonic-writes",
            Promise::WritesFollowReads => "writes-follow-reads",
            Promise::NoFalseConcurrency => "no-false-concurrency",
        }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A name that no promise has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no promise `{0}`; there are {list}", list = Promise::ALL.map(Promise::as_str).join(", "))]
pub struct UnknownPromise(String);

impl FromStr for Promise {
    type Err = UnknownPromise;

    fn from_str(name: &str) -> Result<Self, UnknownPromise> {
        let found = Promise::ALL.into_iter().find(|promise| promise.as_str() == name);
        found.ok_or_else(|| UnknownPromise(name.to_owned()))
    }
}

/// By which clocks a store arranges the writes of a key: which of two is certainly the older one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clocks {
    /// By clocks that are at most this far apart: a write is older than one that began longer than
    /// this after it had ended. Zero is for a store that arranges writes as they happen.
    Within(Duration),
    /// By hybrid logical clocks (Kulkarni et al., "Logical Physical Clocks", OPODIS 2014), however far
    /// apart the physical ones are: what a node wrote or read is older than what it writes later.
    Hybrid,
    /// Nothing is known: only a compare-and-set tells which of two values is older.
    Unknown,
}

impl Clocks {
    /// Writes are arranged as they happen.
    pub const PERFECT: Clocks = Clocks::Within(Duration::ZERO);
}

/// What must be known to judge, beside the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// By which clocks the store arranges the writes of a key.
    pub clocks: Clocks,
    /// The value of a register before its first write.
    pub initial: Value,
    /// What a read of `nil` says.
    pub nil: NilRead,
}

impl Default for Options {
    /// Perfect clocks; registers are absent at first, and so is what reads as `nil`.
    fn default() -> Self {
        Options { clocks: Clocks::PERFECT, initial: Value::Nil, nil: NilRead::Absent }
    }
}

/// What a history says of a promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Finding {
    /// Nothing speaks against it.
    Held {
        /// How often the promise was put to the test: reads, or acknowledged writes, that could
        /// have broken it.
        tested: u64,
    },
    /// It was broken.
    Violated(Violation),
    /// The history does not tell.
    Unknown {
        /// Why not.
        why: String,
    },
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// What happened, and why that breaks the promise, with the lines of the history.
    pub sentence: String,
    /// The operations that prove it, by invocation.
    pub proof: Vec<OpId>,
    /// What the literature calls it, if it has a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anomaly: Option<Anomaly>,
    /// Where operations come before each other in a circle, that circle, the shortest that was found:
    /// each edge begins where the one before ends.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cycle: Vec<Edge>,
}

/// One operation comes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Edge {
    /// The earlier one.
    pub from: OpId,
    /// The later one.
    pub to: OpId,
    /// Why.
    pub reason: Reason,
    /// The read that shows it, where that is another operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<OpId>,
}

/// A promise with what a history says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The promise.
    pub promise: Promise,
    /// What was found.
    #[serde(flatten)]
    pub finding: Finding,
}

/// Judges a history by some promises; the rows are in their order.
pub fn judge(history: &History, promises: &[Promise], options: &Options) -> Vec<Row> {
    let objects = Objects::of(history, options);
    let initial = history.values().find(&options.initial);
    let case = Case { objects: &objects, options, initial, ladder: OnceCell::new() };
    promises.iter().map(|&promise| Row { promise, finding: case.find(promise) }).collect()
}

/// A history, with what several promises need.
struct Case<'a, 'h> {
    objects: &'a Objects<'h>,
    options: &'a Options,
    /// The value of a register before its first write, if the history knows it.
    initial: Option<ValueId>,
    ladder: OnceCell<Ladder<'a, 'h>>,
}

impl Case<'_, '_> {
    fn find(&self, promise: Promise) -> Finding {
        let &Case { objects, options, initial, .. } = self;
        let climb = |rung| self.ladder.get_or_init(|| Ladder::new(objects, initial)).judge(rung);
        match promise {
            Promise::Sequential => climb(Rung::Sequential),
            Promise::CausalMemory => climb(Rung::CausalMemory),
            Promise::CausalConvergence => climb(Rung::CausalConvergence),
            Promise::Causal => climb(Rung::Causal),
            Promise::Pram => climb(Rung::Pram),
            Promise::Coherence => climb(Rung::Coherence),
            Promise::Regular => regular::judge(objects, initial, regular::Of::Regular),
            Promise::Safe => regular::judge(objects, initial, regular::Of::Safe),
            Promise::Convergence => convergence::judge(objects),
            Promise::NoLostWrites => loss::judge(objects, loss::Of::Writes, options),
            Promise::NoResurrection => loss::judge(objects, loss::Of::Deletes, options),
            Promise::NoValuesFromNowhere => provenance::judge(objects),
            Promise::ReadYourWrites => sessions::judge(objects, sessions::Guarantee::Ryw, options),
            Promise::MonotonicReads => sessions::judge(objects, sessions::Guarantee::Mr, options),
            Promise::MonotonicWrites => sessions::judge(objects, sessions::Guarantee::Mw, options),
            Promise::WritesFollowReads => {
                sessions::judge(objects, sessions::Guarantee::Wfr, options)
            }
            Promise::NoFalseConcurrency => concurrency::judge(objects),
        }
    }
}

/// Gathers what several objects say: a violation is never masked, and what cannot be judged is
/// never passed over.
#[derive(Debug, Default)]
struct Gathering {
    tested: u64,
    unknown: Option<String>,
}

impl Gathering {
    fn finish(self) -> Finding {
        match self.unknown {
            Some(why) => Finding::Unknown { why },
            None => Finding::Held { tested: self.tested },
        }
    }

    fn doubt(&mut self, why: impl FnOnce() -> String) {
        self.unknown.get_or_insert_with(why);
    }
}

impl Violation {
    /// A violation that has no name and shows no cycle.
    pub fn new(sentence: String, mut proof: Vec<OpId>) -> Self {
        proof.sort_unstable();
        proof.dedup();
        Violation { sentence, proof, anomaly: None, cycle: Vec::new() }
    }
}
