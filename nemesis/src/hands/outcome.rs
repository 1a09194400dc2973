//! What came of an action, for histories and for people.

use std::fmt;

use serde::Serialize;

use crate::link::Bite;
use crate::nodes::Node;

/// What really happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The links that were opened again, each with what had run into it while it was closed.
    pub healed: Vec<Bite>,
    /// The nodes whose process ran, and ended.
    pub ended: Vec<Node>,
    /// The nodes that were started again.
    pub restarted: Vec<Node>,
    /// The nodes that an ailment befell.
    pub ailing: Vec<Node>,
    /// The nodes that were cured, each with what that was.
    pub cured: Vec<(Node, String)>,
    /// The nodes whose files were damaged, each with what was done.
    pub damaged: Vec<(Node, String)>,
    /// The nodes that were to start again and cannot any more, because of that.
    pub lost: Vec<Node>,
}

impl Outcome {
    /// How many of the healed links something had run into.
    pub fn bitten(&self) -> usize {
        self.healed.iter().filter(|bite| bite.bit()).count()
    }
}

impl fmt::Display for Outcome {
    /// What happened, for a person; empty if there is nothing to tell.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.healed.is_empty() {
            let links = counted(self.healed.len() as u64, "link");
            let connections = self.healed.iter().map(|bite| bite.connections).sum();
            let bytes = self.healed.iter().map(|bite| bite.bytes).sum();
            parts.push(match self.bitten() {
                0 => format!("{links} healed, nothing had run into them"),
                bitten => format!(
                    "{links} healed; {} and {} had run into {bitten} of them",
                    counted(connections, "connection"),
                    counted(bytes, "byte"),
                ),
            });
        }
        let nodes =
            [(&self.ended, "ended"), (&self.ailing, "struck"), (&self.restarted, "restarted")];
        for (nodes, what) in nodes {
            if !nodes.is_empty() {
                let names: Vec<String> = nodes.iter().map(Node::to_string).collect();
                parts.push(format!("{} {what}", names.join(", ")));
            }
        }
        parts.extend(self.damaged.iter().map(|(node, done)| format!("{node}: {done}")));
        parts.extend(self.lost.iter().map(|node| format!("{node} is damaged and does not start")));
        parts.extend(self.cured.iter().map(|(node, what)| format!("{node} {what}")));
        f.write_str(&parts.join("; "))
    }
}

fn counted(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
