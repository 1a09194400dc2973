//! Actions: what a fault comes to when it strikes, on concrete links and nodes.
//!
//! Real processes and a simulator carry out the same actions. An action's text is that of a fault
//! which asks for exactly it, so a record of what was done can be run again as a schedule.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ailment::{Ailment, Part};
use crate::damage::Damage;
use crate::ending::Ending;
use crate::fault::{Fault, Partition, Split};
use crate::grudge::{Block, Grudge, Ways};
use crate::nodes::{Node, NodeSet, Pick};
use crate::text::{Cursor, ParseError, text_form};
use crate::trouble::Trouble;

/// What is really done: concrete links and nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// This is wrong with these links until healed.
    Link(Trouble, Grudge),
    /// Nothing is wrong with any link any more.
    Heal,
    /// These processes end so.
    End(Ending, BTreeSet<Node>),
    /// These processes are started again.
    Restart(BTreeSet<Node>),
    /// These become members.
    Add(BTreeSet<Node>),
    /// These become members no longer, and are left running.
    Remove(BTreeSet<Node>),
    /// These become members no longer, and then end for good.
    Retire(BTreeSet<Node>),
    /// This one is to lead; there is one at most.
    Transfer(BTreeSet<Node>),
    /// This befalls these nodes.
    Ail(Ailment, BTreeSet<Node>),
    /// This part of every node is well again.
    Cure(Part),
    /// This is done to the files of these nodes.
    Damage(Damage, BTreeSet<Node>),
}

/// What was asked, and what it came to when it struck.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// The fault of the schedule.
    pub asked: Fault,
    /// What it came to.
    pub action: Action,
    /// Who was known to lead.
    pub leader: Option<Node>,
    /// Who was taken for the leader, where the fault asked for it and none was known.
    pub stand_in: Option<Node>,
}

impl Action {
    /// Whether it touches nothing: a cut of no link, a kill of nobody.
    pub fn is_empty(&self) -> bool {
        match self {
            Action::Link(_, grudge) => grudge.is_empty(),
            Action::End(_, nodes)
            | Action::Restart(nodes)
            | Action::Add(nodes)
            | Action::Remove(nodes)
            | Action::Retire(nodes)
            | Action::Transfer(nodes)
            | Action::Ail(_, nodes)
            | Action::Damage(_, nodes) => nodes.is_empty(),
            Action::Heal | Action::Cure(_) => false,
        }
    }

    /// The fault that asks for exactly this, whoever leads.
    pub fn fault(&self) -> Fault {
        let nodes = |set: &BTreeSet<Node>| NodeSet::nodes(set.iter().copied());
        let splits = |grudge: &Grudge| {
            let split = |block: Block| Split {
                from: nodes(&block.from),
                to: nodes(&block.to),
                ways: block.ways,
            };
            Partition::Splits(grudge.blocks().into_iter().map(split).collect())
        };
        match self {
            Action::Link(trouble, grudge) => Fault::Link(*trouble, splits(grudge)),
            Action::Heal => Fault::Heal,
            Action::End(ending, set) => Fault::End(*ending, nodes(set)),
            Action::Restart(set) => Fault::Restart(Some(nodes(set))),
            Action::Add(set) => Fault::Add(Some(set.clone())),
            Action::Remove(set) => Fault::Remove(nodes(set)),
            Action::Retire(set) => Fault::Retire(nodes(set)),
            Action::Transfer(set) => Fault::Transfer(nodes(set)),
            Action::Ail(ailment, set) => Fault::Ail(*ailment, nodes(set)),
            Action::Cure(part) => Fault::Cure(*part),
            Action::Damage(damage, set) => Fault::Damage(*damage, nodes(set)),
        }
    }

    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        let error = cursor.error("an action, a fault that names its nodes as in `kill n1`");
        Action::from_fault(Fault::parse(cursor)?).ok_or(error)
    }

    /// The action a fault asks for, if it leaves nothing to be resolved.
    fn from_fault(fault: Fault) -> Option<Self> {
        Some(match fault {
            Fault::Link(trouble, partition) => Action::Link(trouble, concrete_links(&partition)?),
            Fault::Heal => Action::Heal,
            Fault::End(ending, set) => Action::End(ending, concrete(&set)?),
            Fault::Restart(set) => Action::Restart(concrete(&set?)?),
            Fault::Add(set) => Action::Add(set?),
            Fault::Remove(set) => Action::Remove(concrete(&set)?),
            Fault::Retire(set) => Action::Retire(concrete(&set)?),
            Fault::Transfer(set) => Action::Transfer(concrete(&set)?),
            Fault::Ail(ailment, set) => Action::Ail(ailment, concrete(&set)?),
            Fault::Cure(part) => Action::Cure(part),
            Fault::Damage(damage, set) => Action::Damage(damage, concrete(&set)?),
        })
    }
}

fn concrete_links(partition: &Partition) -> Option<Grudge> {
    let Partition::Splits(splits) = partition else { return None };
    let mut grudge = Grudge::default();
    for Split { from, to, ways } in splits {
        grudge.extend(&Grudge::between(&concrete(from)?, &concrete(to)?, *ways));
    }
    Some(grudge)
}

/// The nodes of a set that names them all.
pub(crate) fn concrete(set: &NodeSet) -> Option<BTreeSet<Node>> {
    set.0
        .iter()
        .map(|pick| match pick {
            Pick::Node(node) => Some(*node),
            _ => None,
        })
        .collect()
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault().fmt(f)
    }
}

text_form!(Action);

impl Resolved {
    /// What was done, for a person: `no messages between n3 (leader) and n1, n2, n4, n5`.
    pub fn sentence(&self) -> String {
        let mut sentence = match &self.action {
            Action::Link(trouble, grudge) => self.links(*trouble, grudge),
            Action::Heal => "all links open again".to_owned(),
            Action::End(ending, nodes) => format!("{} {}", self.names(nodes), ending.past()),
            Action::Restart(nodes) => format!("{} restarted", self.names(nodes)),
            Action::Add(nodes) => format!("{} to be added", self.names(nodes)),
            Action::Remove(nodes) => {
                format!("{} to be removed and left running", self.names(nodes))
            }
            Action::Retire(nodes) => {
                format!("{} to be removed and shut down", self.names(nodes))
            }
            Action::Transfer(nodes) => format!("{} to lead", self.names(nodes)),
            Action::Ail(ailment, nodes) => ailment.sentence(&self.names(nodes)),
            Action::Cure(part) => part.cured().to_owned(),
            Action::Damage(damage, nodes) => damage.sentence(&self.names(nodes)),
        };
        if let Some(node) = self.stand_in {
            sentence += &format!("; no leader was known, {node} was taken for it");
        }
        sentence
    }

    fn links(&self, trouble: Trouble, grudge: &Grudge) -> String {
        if grudge.is_empty() {
            return format!("{} no link", trouble.name());
        }
        let blocks = grudge.blocks();
        let parts: Vec<String> = blocks
            .iter()
            .map(|block| {
                let (from, to) = (self.names(&block.from), self.names(&block.to));
                match block.ways {
                    Ways::Both => format!("between {from} and {to}"),
                    Ways::One => format!("from {from} to {to}"),
                }
            })
            .collect();
        format!("{} {}", trouble.sentence(), parts.join("; "))
    }

    fn names(&self, nodes: &BTreeSet<Node>) -> String {
        if nodes.is_empty() {
            return "nobody".to_owned();
        }
        let name = |node: &Node| {
            let leads = if self.leader == Some(*node) { " (leader)" } else { "" };
            format!("{node}{leads}")
        };
        nodes.iter().map(name).collect::<Vec<_>>().join(", ")
    }
}
