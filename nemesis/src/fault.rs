//! Faults: what is asked to go wrong, and what that comes to when it strikes.
//!
//! A [`Fault`] is what a schedule says, with roles in place of nodes; resolving it against the
//! cluster gives an [`Action`] on concrete links and nodes, which real processes and a simulator
//! carry out alike. The kinds are Jepsen's (partitioner, `db` kill and start, membership; ailments have a
//! module of their own), the text form is our own.

use std::collections::BTreeSet;
use std::fmt;

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::action::{Action, Resolved, concrete};
use crate::ailment::{Ailment, Part};
use crate::damage::Damage;
use crate::ending::Ending;
use crate::grudge::{Grudge, Ways};
use crate::nodes::{Cluster, Node, NodeSet, Resolver};
use crate::text::{Cursor, ParseError, text_form};
use crate::trouble::Trouble;

/// Two symbolic sets of nodes that are to lose each other's messages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Split {
    /// The senders.
    pub from: NodeSet,
    /// The receivers.
    pub to: NodeSet,
    /// Whether the way back is closed too.
    pub ways: Ways,
}

/// Which links a fault is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Partition {
    /// Those of every split: `leader | rest`, `n1 -> n2 and n3 | n4, n5`.
    Splits(Vec<Split>),
    /// Those that leave every node a majority, no two the same (see [`Grudge::ring`]).
    Ring,
    /// Those between two halves, but for one node that both can reach.
    Bridge,
}

/// Something to go wrong, or right again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// This is wrong with these links until the network heals.
    Link(Trouble, Partition),
    /// Nothing is wrong with any link any more.
    Heal,
    /// These nodes' processes end so.
    End(Ending, NodeSet),
    /// Ended nodes start again with what they had on disk: these, or all there are.
    Restart(Option<NodeSet>),
    /// These nodes, which are new, become members: by their numbers, or the next that is free.
    Add(Option<BTreeSet<Node>>),
    /// These become members no longer; nobody stops their processes.
    Remove(NodeSet),
    /// These become members no longer, and once that is certain their processes end for good.
    Retire(NodeSet),
    /// Another node is to lead, without a fault.
    Transfer(NodeSet),
    /// This befalls these nodes, whose processes live on.
    Ail(Ailment, NodeSet),
    /// This part of every node is well again.
    Cure(Part),
    /// This is done to the files of these nodes, as far as they are down.
    Damage(Damage, NodeSet),
}

/// A fault names a node that the cluster does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no node {node}: the cluster has {size}, n1 to n{size}")]
pub struct UnknownNode {
    /// The node named.
    pub node: Node,
    /// How many nodes there are.
    pub size: usize,
}

impl Partition {
    /// `from | to`: both ways.
    pub fn both(from: impl Into<NodeSet>, to: impl Into<NodeSet>) -> Self {
        Self::split(from.into(), to.into(), Ways::Both)
    }

    /// `from -> to`: one way.
    pub fn one_way(from: impl Into<NodeSet>, to: impl Into<NodeSet>) -> Self {
        Self::split(from.into(), to.into(), Ways::One)
    }

    fn split(from: NodeSet, to: NodeSet, ways: Ways) -> Self {
        Partition::Splits(vec![Split { from, to, ways }])
    }

    fn sets(&self) -> Vec<&NodeSet> {
        match self {
            Partition::Splits(splits) => {
                splits.iter().flat_map(|split| [&split.from, &split.to]).collect()
            }
            Partition::Ring | Partition::Bridge => Vec::new(),
        }
    }

    fn resolve(&self, resolver: &mut Resolver<'_>) -> Grudge {
        match self {
            Partition::Splits(splits) => {
                let mut grudge = Grudge::default();
                for Split { from, to, ways } in splits {
                    let [from, to] = resolver.resolve([from, to]);
                    grudge.extend(&Grudge::between(&from, &to, *ways));
                }
                grudge
            }
            Partition::Ring => Grudge::ring(&shuffled(resolver)),
            Partition::Bridge => Grudge::bridge(&shuffled(resolver)),
        }
    }

    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        if cursor.take("ring") {
            return Ok(Partition::Ring);
        }
        if cursor.take("bridge") {
            return Ok(Partition::Bridge);
        }
        let mut splits = vec![Split::parse(cursor)?];
        while cursor.take("and") {
            splits.push(Split::parse(cursor)?);
        }
        Ok(Partition::Splits(splits))
    }
}

fn shuffled(resolver: &mut Resolver<'_>) -> Vec<Node> {
    let mut nodes: Vec<Node> = resolver.cluster.nodes.iter().copied().collect();
    nodes.shuffle(resolver.rng);
    nodes
}

impl Split {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        let from = NodeSet::parse(cursor)?;
        let ways = cursor.word("`|`, `->` or `,`", |word| match word {
            "|" => Some(Ways::Both),
            "->" => Some(Ways::One),
            _ => None,
        })?;
        Ok(Split { from, to: NodeSet::parse(cursor)?, ways })
    }
}

impl Fault {
    /// Messages on these links are lost.
    pub fn cut(links: Partition) -> Self {
        Fault::Link(Trouble::Cut, links)
    }

    /// Messages on these links wait.
    pub fn hold(links: Partition) -> Self {
        Fault::Link(Trouble::Hold, links)
    }

    /// These nodes are killed.
    pub fn kill(nodes: impl Into<NodeSet>) -> Self {
        Fault::End(Ending::Kill, nodes.into())
    }

    /// What kind of fault it is, in one word: `heal`, `restart`, `add`, `remove`, `retire`, `transfer`,
    /// or the verb of a trouble, an ending, an ailment, a cure or a damage.
    pub fn name(&self) -> &'static str {
        match self {
            Fault::Link(trouble, _) => trouble.name(),
            Fault::Heal => "heal",
            Fault::End(ending, _) => ending.name(),
            Fault::Restart(_) => "restart",
            Fault::Add(_) => "add",
            Fault::Remove(_) => "remove",
            Fault::Retire(_) => "retire",
            Fault::Transfer(_) => "transfer",
            Fault::Ail(ailment, _) => ailment.name(),
            Fault::Cure(part) => part.cure(),
            Fault::Damage(damage, _) => damage.name(),
        }
    }

    /// Whether it breaks or changes something, rather than mends it.
    pub fn is_strike(&self) -> bool {
        !matches!(self, Fault::Heal | Fault::Restart(_) | Fault::Cure(_))
    }

    /// What mends it, if anything does.
    pub fn mend(&self) -> Option<Fault> {
        match self {
            Fault::Link(..) => Some(Fault::Heal),
            Fault::End(..) => Some(Fault::Restart(None)),
            Fault::Ail(ailment, _) => Some(Fault::Cure(ailment.part())),
            _ => None,
        }
    }

    /// Whether it is an order to the cluster, about its members or about who leads.
    pub fn is_order(&self) -> bool {
        matches!(self, Fault::Add(_) | Fault::Remove(_) | Fault::Retire(_) | Fault::Transfer(_))
    }

    /// What it comes to in this cluster. The same generator state gives the same answer.
    ///
    /// # Errors
    /// When it names a node that the cluster does not have.
    pub fn resolve(
        &self,
        cluster: &Cluster,
        rng: &mut ChaCha8Rng,
    ) -> Result<Resolved, UnknownNode> {
        self.check(&cluster.nodes.union(&cluster.gone).copied().collect())?;
        // What is dead cannot be killed, nor what lives be started; links outlive their nodes.
        let pool = match self {
            Fault::End(..) | Fault::Ail(..) => cluster.up(),
            Fault::Restart(_) | Fault::Damage(..) => cluster.down.clone(),
            // Whoever is named is asked, whatever comes of it.
            Fault::Transfer(set) => {
                let free = cluster.up().into_iter().filter(|node| Some(*node) != cluster.leader);
                free.chain(set.named().filter(|node| cluster.nodes.contains(node))).collect()
            }
            // A leader that was removed may lead on, for a while or wrongly.
            Fault::Link(..) => cluster.nodes.iter().copied().chain(cluster.leader).collect(),
            _ => cluster.nodes.clone(),
        };
        let mut resolver = Resolver::new(cluster, pool, rng);
        let action = match self {
            Fault::Link(trouble, partition) => {
                Action::Link(*trouble, partition.resolve(&mut resolver))
            }
            Fault::Heal => Action::Heal,
            Fault::End(ending, set) => Action::End(*ending, only(resolver.resolve([set]))),
            Fault::Restart(Some(set)) => Action::Restart(only(resolver.resolve([set]))),
            Fault::Restart(None) => Action::Restart(cluster.down.clone()),
            Fault::Add(named) => Action::Add(newcomers(named.as_ref(), cluster)),
            Fault::Remove(set) => Action::Remove(leavers(resolver.resolve([set]), cluster)),
            Fault::Retire(set) => Action::Retire(leavers(resolver.resolve([set]), cluster)),
            Fault::Transfer(set) => {
                Action::Transfer(only(resolver.resolve([set])).into_iter().take(1).collect())
            }
            Fault::Ail(ailment, set) => Action::Ail(*ailment, only(resolver.resolve([set]))),
            Fault::Cure(part) => Action::Cure(*part),
            Fault::Damage(damage, set) => Action::Damage(*damage, only(resolver.resolve([set]))),
        };
        let stand_in = resolver.stand_in;
        Ok(Resolved { asked: self.clone(), action, leader: cluster.leader, stand_in })
    }

    /// Whether every node it names is one of these, if it is not for it to make it one.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self, nodes: &BTreeSet<Node>) -> Result<(), UnknownNode> {
        let sets = match self {
            Fault::Link(_, partition) => partition.sets(),
            Fault::End(_, set)
            | Fault::Restart(Some(set))
            | Fault::Remove(set)
            | Fault::Retire(set)
            | Fault::Transfer(set)
            | Fault::Ail(_, set)
            | Fault::Damage(_, set) => vec![set],
            Fault::Heal | Fault::Restart(None) | Fault::Add(_) | Fault::Cure(_) => Vec::new(),
        };
        match sets.iter().flat_map(|set| set.named()).find(|node| !nodes.contains(node)) {
            Some(node) => Err(UnknownNode { node, size: nodes.len() }),
            None => Ok(()),
        }
    }

    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        const EXPECTED: &str = "a fault: `cut`, `hold`, `slow`, `lose`, `limit`, `reset`, `strand`, `heal`, \
                                `kill`, `stop`, `unplug`, `restart`, `pause`, `throttle`, \
                                `squeeze`, `resume`, `leap`, `drift`, `strobe`, `steady`, \
                                `stall`, `fill`, `balk`, `clear`, \
                                `flip`, `truncate`, `save`, `rollback`, \
                                `add`, `remove`, `retire` or `transfer`";
        const WORDS: [&str; 6] = ["heal", "restart", "add", "remove", "retire", "transfer"];
        let word = cursor.peek();
        if Trouble::NAMES.contains(&word) {
            cursor.advance();
            let links = Partition::parse(cursor)?;
            return Ok(Fault::Link(Trouble::parse(word, cursor)?, links));
        }
        if Ailment::NAMES.contains(&word) {
            cursor.advance();
            let (ailment, set) = Ailment::parse(word, cursor)?;
            return Ok(Fault::Ail(ailment, set));
        }
        if let Some(ending) = Ending::ALL.into_iter().find(|ending| ending.name() == word) {
            cursor.advance();
            return Ok(Fault::End(ending, NodeSet::parse(cursor)?));
        }
        if let Some(damage) = Damage::ALL.into_iter().find(|damage| damage.name() == word) {
            cursor.advance();
            return Ok(Fault::Damage(damage, NodeSet::parse(cursor)?));
        }
        if let Some(part) = Part::ALL.into_iter().find(|part| part.cure() == word) {
            cursor.advance();
            return Ok(Fault::Cure(part));
        }
        if !WORDS.contains(&word) {
            return Err(cursor.error(EXPECTED));
        }
        cursor.advance();
        let ends = matches!(cursor.peek(), "" | "\n" | ";");
        Ok(match word {
            "restart" if ends => Fault::Restart(None),
            "restart" => Fault::Restart(Some(NodeSet::parse(cursor)?)),
            "add" if ends => Fault::Add(None),
            "add" => Fault::Add(Some(parse_newcomers(cursor)?)),
            "remove" => Fault::Remove(NodeSet::parse(cursor)?),
            "retire" => Fault::Retire(NodeSet::parse(cursor)?),
            "transfer" => {
                cursor.word("`to`", |word| (word == "to").then_some(()))?;
                Fault::Transfer(NodeSet::parse(cursor)?)
            }
            _ => Fault::Heal,
        })
    }
}

fn only<T>([one]: [T; 1]) -> T {
    one
}

fn parse_newcomers(cursor: &mut Cursor<'_>) -> Result<BTreeSet<Node>, ParseError> {
    let error = cursor.error("new nodes such as `n6`, or nothing for the next that is free");
    concrete(&NodeSet::parse(cursor)?).ok_or(error)
}

/// Of the nodes named, or the next, those that were never there and for which there is room.
fn newcomers(named: Option<&BTreeSet<Node>>, cluster: &Cluster) -> BTreeSet<Node> {
    let room = Cluster::CEILING.saturating_sub(cluster.nodes.len());
    let next = BTreeSet::from([cluster.next()]);
    let known = |node: &Node| cluster.nodes.contains(node) || cluster.gone.contains(node);
    let new = named.unwrap_or(&next).iter().copied().filter(|node| !known(node));
    new.take(room).collect()
}

/// As many of these as can go.
fn leavers([nodes]: [BTreeSet<Node>; 1], cluster: &Cluster) -> BTreeSet<Node> {
    let dispensable = cluster.nodes.len().saturating_sub(Cluster::FLOOR);
    nodes.into_iter().take(dispensable).collect()
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Partition::Ring => f.write_str("ring"),
            Partition::Bridge => f.write_str("bridge"),
            Partition::Splits(splits) if splits.is_empty() => f.write_str("nobody | nobody"),
            Partition::Splits(splits) => {
                for (index, Split { from, to, ways }) in splits.iter().enumerate() {
                    let and = if index == 0 { "" } else { " and " };
                    write!(f, "{and}{from} {} {to}", ways.sign())?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Fault::Link(trouble, partition) => {
                write!(f, " {partition}")?;
                trouble.write(f)
            }
            Fault::End(_, set)
            | Fault::Restart(Some(set))
            | Fault::Remove(set)
            | Fault::Retire(set)
            | Fault::Damage(_, set) => write!(f, " {set}"),
            Fault::Add(Some(nodes)) => write!(f, " {}", NodeSet::nodes(nodes.iter().copied())),
            Fault::Transfer(set) => write!(f, " to {set}"),
            Fault::Ail(ailment, set) => ailment.write(set, f),
            Fault::Heal | Fault::Restart(None) | Fault::Add(None) | Fault::Cure(_) => Ok(()),
        }
    }
}

text_form!(Fault);
