//! Nodes, the cluster as it is when a fault strikes, and symbolic sets of nodes.
//!
//! A schedule is written before anybody knows who will lead, so it names roles (`leader`,
//! `minority`, `random 2`) and the strike resolves them; Jepsen's combined nemesis specifies
//! partitions and database faults the same way.

use std::collections::BTreeSet;
use std::fmt;

use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use crate::text::{Cursor, ParseError, text_form};

/// A node of the cluster, counted from 1; printed `n1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node(pub u16);

impl Node {
    /// The first `count` nodes: `n1`, `n2`, …
    pub fn first(count: u16) -> impl Iterator<Item = Node> {
        (1..=count).map(Node)
    }

    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        cursor.word("a node such as `n1`", Self::from_word)
    }

    fn from_word(word: &str) -> Option<Self> {
        let digits = word.strip_prefix('n')?;
        let canonical = !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
        if canonical { digits.parse().ok().map(Node) } else { None }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

text_form!(Node);

/// What is known of the cluster at the moment a fault strikes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Every node, up or down.
    pub nodes: BTreeSet<Node>,
    /// Who leads, if anybody is known to.
    pub leader: Option<Node>,
    /// Nodes that a fault killed and nothing restarted yet.
    pub down: BTreeSet<Node>,
    /// Nodes that were members and are to be none any more; their numbers are not given again.
    pub gone: BTreeSet<Node>,
}

impl Cluster {
    /// Faults remove no member when there are no more than these.
    pub const FLOOR: usize = 3;
    /// Faults add no member when there are this many.
    pub const CEILING: usize = 7;

    /// `size` nodes, all up, no leader known.
    pub fn new(size: u16) -> Self {
        let nodes = Node::first(size).collect();
        Cluster { nodes, leader: None, down: BTreeSet::new(), gone: BTreeSet::new() }
    }

    /// The first number that no node has had.
    pub fn next(&self) -> Node {
        let last = self.nodes.iter().chain(&self.gone).max();
        Node(last.map_or(1, |node| node.0.saturating_add(1)))
    }

    /// The nodes that are not down.
    pub fn up(&self) -> BTreeSet<Node> {
        self.nodes.difference(&self.down).copied().collect()
    }

    /// The least number of nodes that is more than half of them.
    pub fn majority(&self) -> usize {
        self.nodes.len() / 2 + 1
    }

    /// The greatest number of nodes that is less than half of them.
    pub fn minority(&self) -> usize {
        self.nodes.len().saturating_sub(1) / 2
    }
}

/// One member of a [`NodeSet`]: a node, a role, or nodes to be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pick {
    /// This node.
    Node(Node),
    /// Whoever leads; a node drawn in its place when nobody is known to.
    Leader,
    /// So many nodes, drawn from those nobody named; all of those if there are fewer.
    Random(u16),
    /// The largest number of nodes that is less than half of the cluster, drawn.
    Minority,
    /// The smallest number of nodes that is more than half of the cluster, drawn.
    Majority,
    /// Every node.
    Everyone,
    /// Every node that the fault does not already speak of.
    Rest,
}

impl Pick {
    /// What is named is taken first, then what is drawn is drawn from the others, and the rest is
    /// what then remains: so `rest -> leader` means the same whichever side is written first.
    fn turn(self) -> u8 {
        match self {
            Pick::Node(_) | Pick::Everyone => 0,
            Pick::Leader => 1,
            Pick::Random(_) | Pick::Minority | Pick::Majority => 2,
            Pick::Rest => 3,
        }
    }

    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        const EXPECTED: &str = "a node set: `leader`, `random 2`, `minority`, `majority`, \
                                `everyone`, `rest`, `nobody` or nodes such as `n1, n2`";
        let pick = cursor.word(EXPECTED, |word| match word {
            "leader" => Some(Pick::Leader),
            "random" => Some(Pick::Random(0)),
            "minority" => Some(Pick::Minority),
            "majority" => Some(Pick::Majority),
            "everyone" => Some(Pick::Everyone),
            "rest" => Some(Pick::Rest),
            _ => Node::from_word(word).map(Pick::Node),
        })?;
        match pick {
            Pick::Random(_) => Ok(Pick::Random(cursor.number("how many nodes, such as `1`")?)),
            pick => Ok(pick),
        }
    }
}

impl fmt::Display for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pick::Node(node) => node.fmt(f),
            Pick::Leader => f.write_str("leader"),
            Pick::Random(count) => write!(f, "random {count}"),
            Pick::Minority => f.write_str("minority"),
            Pick::Majority => f.write_str("majority"),
            Pick::Everyone => f.write_str("everyone"),
            Pick::Rest => f.write_str("rest"),
        }
    }
}

/// A symbolic set of nodes, the union of its picks: `leader, random 1` is the leader and one more.
///
/// Printed and read with commas; the empty set is `nobody`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeSet(pub Vec<Pick>);

impl NodeSet {
    /// Just these nodes.
    pub fn nodes(nodes: impl IntoIterator<Item = Node>) -> Self {
        NodeSet(nodes.into_iter().map(Pick::Node).collect())
    }

    /// The nodes it names outright.
    pub(crate) fn named(&self) -> impl Iterator<Item = Node> {
        self.0.iter().filter_map(|pick| match pick {
            Pick::Node(node) => Some(*node),
            _ => None,
        })
    }

    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        if cursor.take("nobody") {
            return Ok(NodeSet(Vec::new()));
        }
        let mut picks = vec![Pick::parse(cursor)?];
        while cursor.take(",") {
            picks.push(Pick::parse(cursor)?);
        }
        Ok(NodeSet(picks))
    }
}

impl fmt::Display for NodeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nobody");
        }
        for (index, pick) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{pick}")?;
        }
        Ok(())
    }
}

impl From<Pick> for NodeSet {
    fn from(pick: Pick) -> Self {
        NodeSet(vec![pick])
    }
}

text_form!(NodeSet);

/// Turns the symbolic sets of one fault into nodes.
#[derive(Debug)]
pub(crate) struct Resolver<'a> {
    /// The cluster the fault strikes.
    pub(crate) cluster: &'a Cluster,
    /// Where draws come from.
    pub(crate) rng: &'a mut ChaCha8Rng,
    /// The nodes the fault may touch.
    pool: BTreeSet<Node>,
    /// The node drawn in place of a leader nobody knew.
    pub(crate) stand_in: Option<Node>,
}

impl<'a> Resolver<'a> {
    /// A resolver that chooses from `pool`.
    pub(crate) fn new(cluster: &'a Cluster, pool: BTreeSet<Node>, rng: &'a mut ChaCha8Rng) -> Self {
        Resolver { cluster, rng, pool, stand_in: None }
    }

    /// The nodes of sets that are disjoint wherever their picks leave the choice.
    pub(crate) fn resolve<const N: usize>(&mut self, sets: [&NodeSet; N]) -> [BTreeSet<Node>; N] {
        let mut resolved = [const { BTreeSet::new() }; N];
        let mut spoken_of = BTreeSet::new();
        for turn in 0..=3 {
            for (set, nodes) in sets.iter().zip(&mut resolved) {
                for pick in set.0.iter().filter(|pick| pick.turn() == turn) {
                    let picked = self.pick(*pick, &spoken_of);
                    // `everyone` names nobody in particular, and leaves draws to choose from.
                    if *pick != Pick::Everyone {
                        spoken_of.extend(&picked);
                    }
                    nodes.extend(picked);
                }
            }
        }
        resolved
    }

    fn pick(&mut self, pick: Pick, spoken_of: &BTreeSet<Node>) -> Vec<Node> {
        let free = || self.pool.difference(spoken_of).copied().collect::<Vec<_>>();
        match pick {
            Pick::Node(node) => self.pool.get(&node).copied().into_iter().collect(),
            Pick::Everyone => self.pool.iter().copied().collect(),
            Pick::Rest => free(),
            Pick::Leader => self.leader(&free()).into_iter().collect(),
            Pick::Random(count) => self.draw(&free(), usize::from(count)),
            Pick::Minority => self.draw(&free(), self.cluster.minority()),
            Pick::Majority => self.draw(&free(), self.cluster.majority()),
        }
    }

    /// Whoever leads, or, for the whole fault, one node in its place.
    fn leader(&mut self, free: &[Node]) -> Option<Node> {
        let known = self.cluster.leader.filter(|leader| self.pool.contains(leader));
        if known.is_some() {
            return known;
        }
        self.stand_in = self.stand_in.or_else(|| free.choose(self.rng).copied());
        self.stand_in
    }

    fn draw(&mut self, free: &[Node], count: usize) -> Vec<Node> {
        free.sample(self.rng, count).copied().collect()
    }
}
