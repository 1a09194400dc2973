//! Dotted version vectors: version vectors with room for single changes that stand alone.
//!
//! Preguiça, Baquero, Almeida, Fonte, Gonçalves, "Dotted Version Vectors: Logical Clocks for
//! Optimistic Replication", 2010; in the form of the causal contexts of Almeida, Shoker, Baquero,
//! "Delta State Replicated Data Types", JPDC 2018: a vector and a cloud of dots. A vector alone can
//! only say "all of this node's changes up to here". Whoever has made the fifth change of a node
//! has not thereby seen the fourth, which somebody else made; with vectors alone its next write
//! would overwrite it, or its own writes would look concurrent to each other.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::vector::{NoVector, Vector};
use crate::replica::NodeId;

/// The name of a change: the node at which it was made, and which of that node's it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Dot {
    /// The node.
    pub node: NodeId,
    /// Its number, from 1.
    pub count: u64,
}

/// A set of changes. Its text, as which it travels, is that of the vector and then the dots:
/// `n1:3,n2:5+n2:9`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Dotted {
    vector: Vector,
    /// None of these is in the vector, nor the next after one that is.
    dots: BTreeSet<Dot>,
}

impl Dotted {
    /// Whether a change is in it.
    pub fn contains(&self, dot: Dot) -> bool {
        dot.count <= self.vector.get(dot.node) || self.dots.contains(&dot)
    }

    /// Whether all changes of another are in it.
    pub fn covers(&self, other: &Dotted) -> bool {
        self.vector.covers(&other.vector) && other.dots.iter().all(|dot| self.contains(*dot))
    }

    /// Whether no change is in it.
    pub fn is_empty(&self) -> bool {
        self.vector.is_empty() && self.dots.is_empty()
    }

    /// Brings in one change.
    pub fn add(&mut self, dot: Dot) {
        if !self.contains(dot) {
            self.dots.insert(dot);
            self.tidy();
        }
    }

    /// Brings in a change and all earlier ones of its node: for the node itself, which has them all.
    pub fn learn(&mut self, dot: Dot) {
        self.vector.learn(dot.node, dot.count);
        self.tidy();
    }

    /// Brings in all changes of another.
    pub fn merge(&mut self, other: &Dotted) {
        self.vector.merge(&other.vector);
        self.dots.extend(&other.dots);
        self.tidy();
    }

    /// Gives the same changes one form: what the vector can say, it says. Dots are visited by node and
    /// number, so that one that follows on the vector lets the next one follow, too.
    fn tidy(&mut self) {
        let vector = &mut self.vector;
        self.dots.retain(|dot| {
            if dot.count == vector.get(dot.node) + 1 {
                vector.learn(dot.node, dot.count);
            }
            dot.count > vector.get(dot.node)
        });
    }
}

impl fmt::Display for Dotted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.vector)?;
        self.dots.iter().try_for_each(|dot| write!(f, "+{}:{}", dot.node, dot.count))
    }
}

impl From<Dotted> for String {
    fn from(dotted: Dotted) -> String {
        dotted.to_string()
    }
}

impl FromStr for Dotted {
    type Err = NoVector;

    fn from_str(text: &str) -> Result<Self, NoVector> {
        let mut parts = text.split('+');
        let vector = parts.next().unwrap_or_default().parse()?;
        let mut dotted = Dotted { vector, dots: BTreeSet::new() };
        for part in parts {
            let single: Vector = part.parse()?;
            let mut changes = single.iter();
            match (changes.next(), changes.next()) {
                (Some((node, count)), None) => dotted.add(Dot { node, count }),
                _ => return Err(NoVector(text.to_owned())),
            }
        }
        Ok(dotted)
    }
}

impl TryFrom<String> for Dotted {
    type Error = NoVector;

    fn try_from(text: String) -> Result<Self, NoVector> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Changes one by one, or with all before them, as a plain set of dots and as what is tested.
    fn changes() -> impl Strategy<Value = (BTreeSet<Dot>, Dotted)> {
        vec((1u16..4, 1u64..6, any::<bool>()), 0..8).prop_map(|changes| {
            let (mut plain, mut dotted) = (BTreeSet::new(), Dotted::default());
            for (node, count, alone) in changes {
                let node = NodeId(node);
                if alone {
                    dotted.add(Dot { node, count });
                    plain.insert(Dot { node, count });
                } else {
                    dotted.learn(Dot { node, count });
                    plain.extend((1..=count).map(|count| Dot { node, count }));
                }
            }
            (plain, dotted)
        })
    }

    proptest! {
        /// It is a set of changes: merging is union, covering is inclusion.
        #[test]
        fn it_is_a_set_of_changes((a, dotted_a) in changes(), (b, dotted_b) in changes()) {
            let every = || (1..4).flat_map(|n| (1..6).map(move |count| Dot { node: NodeId(n), count }));
            let mut merged = dotted_a.clone();
            merged.merge(&dotted_b);
            for dot in every() {
                prop_assert_eq!(dotted_a.contains(dot), a.contains(&dot));
                prop_assert_eq!(merged.contains(dot), a.contains(&dot) || b.contains(&dot));
            }
            prop_assert_eq!(dotted_a.covers(&dotted_b), b.is_subset(&a));
            prop_assert_eq!(dotted_a == dotted_b, a == b);
            prop_assert!(merged.covers(&dotted_a) && merged.covers(&dotted_b));
            prop_assert_eq!(dotted_a.is_empty(), a.is_empty());
            prop_assert_eq!(merged.to_string().parse(), Ok(merged.clone()));
            let mut other = dotted_b.clone();
            other.merge(&dotted_a);
            other.merge(&dotted_a);
            prop_assert_eq!(other, merged);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["n1:2+", "+n1:2,n2:3", "n1:2+n2", "n1:2 +n2:1"] {
            assert!(text.parse::<Dotted>().is_err(), "{text:?}");
        }
        assert!("+n1:2".parse::<Dotted>().is_ok());
    }
}
