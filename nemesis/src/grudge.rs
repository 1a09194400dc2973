//! Grudges: who refuses whose messages, as a set of directed pairs.
//!
//! The word and the idea are Jepsen's (`jepsen.nemesis/partitioner`): every partition, however
//! intricate, is the set of links it silences, so one pair of hands can carry out all of them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;

use crate::nodes::{Node, NodeSet};

/// Whether a split silences one direction or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ways {
    /// Nothing passes either way; written `|`.
    Both,
    /// Nothing passes from the left to the right; written `->`.
    One,
}

impl Ways {
    /// The sign in the text form.
    pub fn sign(self) -> &'static str {
        match self {
            Ways::Both => "|",
            Ways::One => "->",
        }
    }
}

/// A set of directed links, each (from, to), whose messages do not arrive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Grudge(BTreeSet<(Node, Node)>);

/// A part of a grudge that is all the links from some nodes to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The senders.
    pub from: BTreeSet<Node>,
    /// The receivers.
    pub to: BTreeSet<Node>,
    /// Whether the links back are silent too.
    pub ways: Ways,
}

impl Grudge {
    /// Silences every link from `from` to `to`, and back if both ways; no node is cut off from
    /// itself.
    pub fn between(from: &BTreeSet<Node>, to: &BTreeSet<Node>, ways: Ways) -> Self {
        let mut grudge = Grudge::default();
        for &a in from {
            for &b in to {
                grudge.insert(a, b);
                if ways == Ways::Both {
                    grudge.insert(b, a);
                }
            }
        }
        grudge
    }

    /// One node against all others, both ways.
    pub fn isolate(node: Node, nodes: &BTreeSet<Node>) -> Self {
        Grudge::between(&BTreeSet::from([node]), nodes, Ways::Both)
    }

    /// The first half of the nodes in this order against the second, both ways; the first is the
    /// smaller one, so it is a minority when the number is odd.
    pub fn halves(order: &[Node]) -> Self {
        let (first, second) = order.split_at(order.len() / 2);
        Grudge::between(&set(first), &set(second), Ways::Both)
    }

    /// Two halves that only the node in the middle of this order reaches both of.
    pub fn bridge(order: &[Node]) -> Self {
        let middle = order.len() / 2;
        let after = order.get(middle + 1..).unwrap_or_default();
        Grudge::between(&set(&order[..middle]), &set(after), Ways::Both)
    }

    /// Every node still hears a majority, no two the same: the nodes stand in a ring in this order
    /// and reach only their nearest. Up to three nodes there is nothing to cut.
    pub fn ring(order: &[Node]) -> Self {
        let size = order.len();
        let majority = size / 2 + 1;
        // A node, and as many neighbours to each side as make a majority.
        let reach = majority / 2;
        let mut grudge = Grudge::default();
        for (i, &a) in order.iter().enumerate() {
            for (j, &b) in order.iter().enumerate() {
                let apart = i.abs_diff(j).min(size - i.abs_diff(j));
                if apart > reach {
                    grudge.insert(a, b);
                }
            }
        }
        grudge
    }

    fn insert(&mut self, from: Node, to: Node) {
        if from != to {
            self.0.insert((from, to));
        }
    }

    /// Silences what the other silences, too.
    pub fn extend(&mut self, other: &Grudge) {
        self.0.extend(&other.0);
    }

    /// The silent links, (from, to), in order.
    pub fn links(&self) -> impl Iterator<Item = (Node, Node)> {
        self.0.iter().copied()
    }

    /// Whether messages from one to the other do not arrive.
    pub fn silences(&self, from: Node, to: Node) -> bool {
        self.0.contains(&(from, to))
    }

    /// How many links are silent.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether every link is open.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The grudge in few blocks: senders with the same receivers together, and a block and its
    /// reverse as one both ways. Together the blocks are exactly the grudge.
    pub fn blocks(&self) -> Vec<Block> {
        let mut receivers: BTreeMap<Node, BTreeSet<Node>> = BTreeMap::new();
        for (from, to) in self.links() {
            receivers.entry(from).or_default().insert(to);
        }
        let mut senders: BTreeMap<BTreeSet<Node>, BTreeSet<Node>> = BTreeMap::new();
        for (from, to) in receivers {
            senders.entry(to).or_default().insert(from);
        }
        let mut one_way: Vec<_> = senders.into_iter().map(|(to, from)| (from, to)).collect();
        // The fewer first: a node cut off from many reads better than many from one.
        one_way.sort_by(|a, b| (a.0.len(), a).cmp(&(b.0.len(), b)));
        let mut blocks: Vec<Block> = Vec::new();
        for (from, to) in one_way {
            match blocks.iter_mut().find(|block| block.from == to && block.to == from) {
                Some(reverse) => reverse.ways = Ways::Both,
                None => blocks.push(Block { from, to, ways: Ways::One }),
            }
        }
        blocks
    }
}

fn set(nodes: &[Node]) -> BTreeSet<Node> {
    nodes.iter().copied().collect()
}

impl FromIterator<(Node, Node)> for Grudge {
    /// Just these links; those of a node to itself are left out.
    fn from_iter<I: IntoIterator<Item = (Node, Node)>>(links: I) -> Self {
        let mut grudge = Grudge::default();
        for (from, to) in links {
            grudge.insert(from, to);
        }
        grudge
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = |nodes: &BTreeSet<Node>| NodeSet::nodes(nodes.iter().copied());
        write!(f, "{} {} {}", nodes(&self.from), self.ways.sign(), nodes(&self.to))
    }
}

impl fmt::Display for Grudge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nobody | nobody");
        }
        for (index, block) in self.blocks().iter().enumerate() {
            let and = if index == 0 { "" } else { " and " };
            write!(f, "{and}{block}")?;
        }
        Ok(())
    }
}
