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
//! - *sequences*: two things that happened one soon after the other, at one node or at two, and how soon;
//! - *arrivals*: what has become of sender and receiver while a message was on its way: protocols are
//!   wrong about what is late;
//! - *answers*: how a node that answers a client stands to the others.
//!
//! Numbers are put into buckets, a power of two each. Which node is which makes no difference. Like a
//! fuzzer's map of edges (Zalewski, AFL, technical whitepaper) this one has a fixed size, and two
//! situations may fall together; nothing is allocated at a step, but to keep one that is new.

use std::hash::{Hash, Hasher};
use std::mem;

use rashomon_stores::kv;
use rashomon_stores::replica::{NodeId, Outline, Replica, Reply};
use rustc_hash::FxHasher;

use super::scenario::NODES_MAX;

/// How many situations can be told from each other.
pub const SITUATIONS: usize = KINDS << KIND_BITS;

/// How many kinds of situation there are; in this order: of a node alone, of two, of all together,
/// sequences, arrivals, answers.
pub const KINDS: usize = 6;

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

/// How two nodes stand, of which one sends the other a message: none that is down, the others with
/// how often they were started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) sender: Option<(Outline, u64)>,
    pub(super) receiver: Option<(Outline, u64)>,
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
pub(super) const ARRIVAL: usize = 4;
const ANSWER: usize = 5;

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
                let compared = compared(&outline, &other);
                let (brief, trust) = (other.brief(), other.trust());
                let pair = (outline.state, brief, trust, compared, around.faults);
                self.find(PAIR, pair, around.now);
            }
        }
        self.look_at_all(around);
    }

    /// A message of some kind arrives that set out when its sender and receiver stood like `then`.
    pub(super) fn arrived(&mut self, kind: impl Hash, then: &Standing, now: &Standing, at: u64) {
        let sender = change(then.sender, now.sender);
        let receiver = change(then.receiver, now.receiver);
        let met =
            then.sender.zip(now.receiver).map(|((one, _), (other, _))| compared(&one, &other));
        let brief = now.receiver.map(|(outline, _)| outline.brief());
        self.find(ARRIVAL, (hash(kind), sender, receiver, met, brief), at);
    }

    /// A node that stands so answers a client.
    pub(super) fn answered(&mut self, node: NodeId, own: Outline, reply: &Reply, at: u64) {
        let kind = match reply {
            Ok(kv::Output::Value(_)) => 0u8,
            Ok(_) => 1,
            Err(_) => 2,
        };
        let place = usize::from(node.0) - 1;
        let mut ahead = [i8::MIN; RANKS];
        let mut alike = 0u8;
        for (_, other) in self.nodes.iter().enumerate().filter(|(other, _)| *other != place) {
            let Some(other) = other else { continue };
            let compared = compared(other, &own);
            alike += u8::from(other.state[0] == own.state[0] && compared[0] > 0);
            for (ahead, by) in ahead.iter_mut().zip(compared) {
                *ahead = by.max(*ahead);
            }
        }
        self.find(ANSWER, (kind, own.brief(), own.trust(), ahead, alike.min(2)), at);
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

/// How many numbers of two nodes are compared.
const RANKS: usize = 5;

fn compared(one: &Outline, other: &Outline) -> [i8; RANKS] {
    std::array::from_fn(|rank| difference(one.ranks[rank], other.ranks[rank]))
}

/// What became of a node: whether it was and is up, whether it is another incarnation, its roles, how
/// its numbers changed.
fn change(then: Option<(Outline, u64)>, now: Option<(Outline, u64)>) -> impl Hash {
    let up = (then.is_some(), now.is_some());
    let both = then.zip(now).map(|((then, life), (now, other_life))| {
        (life == other_life, then.state[0], now.state[0], compared(&now, &then))
    });
    (up, both)
}

/// The same on every machine and in every build.
fn hash(what: impl Hash) -> u64 {
    let mut hasher = FxHasher::default();
    what.hash(&mut hasher);
    // The hasher's last step leaves low bits poor.
    hasher.finish().wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node of this role and term.
    fn outline(role: u8, term: u64) -> Outline {
        let mut outline = Outline::default();
        (outline.state[0], outline.ranks[0]) = (role, term);
        outline
    }

    fn standing(sender: Outline, receiver: Outline, life: u64) -> Standing {
        Standing { sender: Some((sender, 1)), receiver: Some((receiver, life)) }
    }

    /// How many situations these arrivals are.
    fn arrivals(those: &[(u8, Standing, Standing)]) -> usize {
        let mut scout = Scout::default();
        those.iter().for_each(|(kind, then, now)| scout.arrived(kind, then, now, 5));
        scout.found().len()
    }

    #[test]
    fn a_message_that_is_late_is_another_situation_and_terms_themselves_are_none() {
        let at = |term| standing(outline(3, term), outline(0, term), 1);
        let later = |term| standing(outline(3, term), outline(0, term + 1), 1);
        assert_eq!(arrivals(&[(1, at(4), at(4)), (1, at(9), at(9))]), 1);
        assert_eq!(arrivals(&[(1, at(4), at(4)), (1, at(4), later(4))]), 2);
        assert_eq!(arrivals(&[(1, at(4), later(4)), (1, at(7), later(7))]), 1);
        assert_eq!(arrivals(&[(1, at(4), at(4)), (2, at(4), at(4))]), 2, "kinds");
        let again = standing(outline(3, 4), outline(0, 4), 2);
        assert_eq!(arrivals(&[(1, at(4), at(4)), (1, at(4), again)]), 2, "receivers that restart");
        let deposed = standing(outline(0, 4), outline(0, 4), 1);
        assert_eq!(arrivals(&[(1, at(4), at(4)), (1, at(4), deposed)]), 2, "senders that changed");
    }

    #[test]
    fn an_answer_beside_a_later_leader_is_another_situation() {
        let around = Surroundings { now: 1, faults: 0, busy: 1 };
        let read = Ok(kv::Output::Value(kv::Value::Null));
        let answered = |other: Outline, replies: &[Reply]| {
            let mut scout = Scout::default();
            scout.stepped(NodeId(2), other, around);
            let before = scout.found.len();
            replies.iter().for_each(|reply| scout.answered(NodeId(1), outline(3, 4), reply, 2));
            scout.found()[before..].to_vec()
        };
        let numbers =
            |those: Vec<Situation>| -> Vec<u32> { those.iter().map(|it| it.number).collect() };
        let alone = numbers(answered(outline(0, 4), std::slice::from_ref(&read)));
        let deposed = numbers(answered(outline(3, 5), std::slice::from_ref(&read)));
        assert_eq!((alone.len(), deposed.len()), (1, 1));
        assert_ne!(alone, deposed);
        let both = answered(outline(0, 4), &[read, Ok(kv::Output::Done)]);
        assert_eq!(both.len(), 2, "what is answered makes a difference");
        assert!(both.iter().all(|it| it.kind() == ANSWER));
    }
}
