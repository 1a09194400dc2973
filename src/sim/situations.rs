//! Situations: what a run gets into, in a form that can be counted.
//!
//! Coverage of code says little of a distributed system: every line of an election runs in the first
//! second. What differs between runs is how the nodes stand to each other, and what happened close
//! together. So the coverage here is of behaviour, as in Mallory (Meng et al., "Greybox Fuzzing of
//! Distributed Systems", CCS 2023), which counts pairs of events on a timeline, and in model-guided
//! fuzzing (Gulcan et al., "Model-guided Fuzzing of Distributed Systems", 2024), which counts abstract
//! states. A situation is one of these, hashed to a number:
//!
//! - *alone*: a node's own state, with how many operations are under way;
//! - *pairs*: the states of two nodes, and how their terms and logs compare, with the faults that stand;
//! - *all together*: how many lead, stand for election, are down, how many terms and ends of logs there are;
//! - *sequences*: two things that happened one soon after the other, at one node or at two, and how soon.
//!
//! Numbers are put into buckets, a power of two each. Which node is which makes no difference. Like a
//! fuzzer's map of edges (Zalewski, AFL, technical whitepaper) this one has a fixed size, and two
//! situations may fall together; nothing is allocated at a step, but to keep one that is new.

use std::hash::{Hash, Hasher};
use std::mem;

use rashomon_stores::replica::{NodeId, Outline, Replica};
use rustc_hash::FxHasher;

use super::scenario::NODES_MAX;

/// How many situations can be told from each other.
pub const SITUATIONS: usize = KINDS << KIND_BITS;

/// How many kinds of situation there are; in this order: of a node alone, of two, of all together,
/// sequences.
pub const KINDS: usize = 4;

/// How many situations of a kind can be told from each other, as a power of two.
const KIND_BITS: u32 = 16;

/// A situation, and when a run got into it first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Situation {
    /// Its number, less than [`SITUATIONS`].
    pub number: u32,
    /// In nanoseconds since the run began.
    pub at: u64,
}

impl Situation {
    /// Its kind, less than [`KINDS`].
    pub fn kind(self) -> usize {
        self.number as usize >> KIND_BITS
    }
}

/// What is so around a node at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings {
    /// In nanoseconds since the run began.
    pub(super) now: u64,
    /// Which kinds of fault stand, a bit each.
    pub(super) faults: u32,
    /// How many operations are under way.
    pub(super) busy: usize,
}

/// Something that happened at a node.
#[derive(Clone, Copy, Debug)]
struct Moment {
    what: u64,
    node: NodeId,
    at: u64,
}

/// How many of the things that happened last are compared with what happens next.
const REMEMBERED: usize = 4;

/// Watches a run for situations.
#[derive(Debug)]
pub(super) struct Scout {
    /// How each node was after its last step; none if it is down.
    nodes: [Option<Outline>; NODES_MAX as usize],
    /// What happened last, in no order.
    moments: [Option<Moment>; REMEMBERED],
    /// Which of them is forgotten next.
    oldest: usize,
    /// The kinds of fault that stood last.
    faults: u32,
    known: Box<[u64; SITUATIONS / 64]>,
    found: Vec<Situation>,
}

impl Default for Scout {
    fn default() -> Self {
        Scout {
            nodes: [None; NODES_MAX as usize],
            moments: [None; REMEMBERED],
            oldest: 0,
            faults: 0,
            known: Box::new([0; SITUATIONS / 64]),
            found: Vec::new(),
        }
    }
}

/// The kinds.
const ALONE: usize = 0;
const PAIR: usize = 1;
const TOGETHER: usize = 2;
const SEQUENCE: usize = 3;

/// What is no note of a node.
const CRASH: u64 = 1 << 32;
const START: u64 = 2 << 32;
const FAULTS: u64 = 3 << 32;

/// Nobody in particular.
const NOBODY: NodeId = NodeId(0);

impl Scout {
    /// What was found.
    pub(super) fn found(self) -> Vec<Situation> {
        self.found
    }

    /// A node said something in its latest step.
    pub(super) fn noted<R: Replica>(&mut self, node: NodeId, note: &R::Note, around: Surroundings) {
        self.happened(hash(mem::discriminant(note)) & 0xffff_ffff, node, around.now);
    }

    /// A node went down.
    pub(super) fn crashed(&mut self, node: NodeId, now: u64) {
        self.nodes[usize::from(node.0) - 1] = None;
        self.happened(CRASH, node, now);
    }

    /// A node started.
    pub(super) fn started(&mut self, node: NodeId, now: u64) {
        self.happened(START, node, now);
    }

    /// A node took a step and is like this now.
    pub(super) fn stepped(&mut self, node: NodeId, outline: Outline, around: Surroundings) {
        if around.faults != self.faults {
            let changed = u64::from(around.faults ^ self.faults);
            self.faults = around.faults;
            self.happened(FAULTS | changed, NOBODY, around.now);
        }
        let place = usize::from(node.0) - 1;
        if self.nodes[place] == Some(outline) {
            return;
        }
        self.nodes[place] = Some(outline);
        self.find(ALONE, (outline.state, bucket(around.busy as u64)), around.now);
        for other in (0..self.nodes.len()).filter(|other| *other != place) {
            if let Some(other) = self.nodes[other] {
                let compared: [i8; 4] =
                    std::array::from_fn(|rank| difference(outline.ranks[rank], other.ranks[rank]));
                let pair = (outline.state, other.brief(), compared, around.faults);
                self.find(PAIR, pair, around.now);
            }
        }
        self.look_at_all(around);
    }

    fn look_at_all(&mut self, around: Surroundings) {
        let mut modes = [0u8; 8];
        let (mut firsts, mut tails) = (Distinct::default(), Distinct::default());
        let mut uncertain = 0u8;
        for outline in self.nodes.iter().flatten() {
            let mode = &mut modes[usize::from(outline.state[0] & 7)];
            *mode = mode.saturating_add(1).min(3);
            firsts.add(outline.ranks[0]);
            tails.add(hash((outline.ranks[1], outline.ranks[2])));
            uncertain = uncertain.saturating_add(u8::from(outline.state[3] > 0));
        }
        let together = (modes, firsts.count, tails.count, uncertain, around.faults);
        self.find(TOGETHER, together, around.now);
    }

    fn happened(&mut self, what: u64, node: NodeId, now: u64) {
        for moment in self.moments.into_iter().flatten() {
            // In steps of four, from a microsecond on.
            let gap = (now - moment.at) / 1_000;
            let soon = bucket(gap) / 2;
            let same = moment.node == node;
            self.find(SEQUENCE, (moment.what, what, same, soon), now);
        }
        self.moments[self.oldest] = Some(Moment { what, node, at: now });
        self.oldest = (self.oldest + 1) % REMEMBERED;
    }

    fn find(&mut self, kind: usize, what: impl Hash, at: u64) {
        let number = kind << KIND_BITS | (hash(what) >> (u64::BITS - KIND_BITS)) as usize;
        let (word, bit) = (number / 64, 1 << (number % 64));
        if self.known[word] & bit == 0 {
            self.known[word] |= bit;
            self.found.push(Situation { number: number as u32, at });
        }
    }
}

/// Counts up to four different numbers.
#[derive(Default)]
struct Distinct {
    seen: [u64; 4],
    count: usize,
}

impl Distinct {
    fn add(&mut self, number: u64) {
        if self.count < self.seen.len() && !self.seen[..self.count].contains(&number) {
            self.seen[self.count] = number;
            self.count += 1;
        }
    }
}

/// 0, 1, 2 to 3, 4 to 7 and so on: how many bits it has.
fn bucket(number: u64) -> u8 {
    (u64::BITS - number.leading_zeros()) as u8
}

/// Less by more than one, by one, equal, and so on.
fn difference(one: u64, other: u64) -> i8 {
    let by = one.abs_diff(other).min(2) as i8;
    if one < other { -by } else { by }
}

/// The same on every machine and in every build.
fn hash(what: impl Hash) -> u64 {
    let mut hasher = FxHasher::default();
    what.hash(&mut hasher);
    // The hasher's last step leaves low bits poor.
    hasher.finish().wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
