//! Operations and cycles in words.

use super::super::Edge;
use super::super::objects::{Object, Objects};
use super::{Anomaly, Reason};
use crate::history::{OpId, Operation};

/// How many steps of a cycle are told.
const MOST: usize = 8;

/// Tells of operations, with their keys where there are several.
pub(super) struct Teller<'a, 'h> {
    objects: &'a Objects<'h>,
    has_keys: bool,
}

impl<'a, 'h> Teller<'a, 'h> {
    pub(super) fn new(objects: &'a Objects<'h>) -> Self {
        Teller { objects, has_keys: objects.all.len() > 1 }
    }

    fn operation(&self, id: OpId) -> Operation<'h> {
        self.objects.history.operation(id)
    }

    /// `process 3 wrote 5 to x (line 12)`.
    pub(super) fn tell(&self, id: OpId) -> String {
        format!("process {} {}", self.operation(id).process(), self.deed(id))
    }

    /// The same without who did it.
    fn deed(&self, id: OpId) -> String {
        let operation = self.operation(id);
        let (input, output) = (operation.input(), operation.output());
        let key = |word: &str| match operation.key().filter(|_| self.has_keys) {
            Some(key) => format!(" {word} {}", key.name()),
            None => String::new(),
        };
        let done = match operation.f() {
            "read" | "get" | "r" if output.is_nil() => format!("read nothing{}", key("of")),
            "read" | "get" | "r" => format!("read {output}{}", key("of")),
            "cas" => match input.as_list() {
                Some([expected, new]) => format!("replaced {expected}{} by {new}", key("of")),
                _ => format!("replaced {input}{}", key("of")),
            },
            "delete" => {
                format!("deleted {}", operation.key().map_or("it".to_owned(), |it| it.name()))
            }
            _ => format!("wrote {input}{}", key("to")),
        };
        let place = operation.return_place().unwrap_or(operation.call_place());
        format!("{done} ({place})")
    }

    /// What a write brought: `5`, or `5 of x`.
    fn brought(&self, id: OpId) -> String {
        let operation = self.operation(id);
        let input = operation.input();
        let value = match (operation.f(), input.as_list()) {
            ("cas", Some([_, new])) => new.to_string(),
            ("delete", _) => "the delete".to_owned(),
            _ => input.to_string(),
        };
        match operation.key().filter(|_| self.has_keys) {
            Some(key) => format!("{value} of {}", key.name()),
            None => value,
        }
    }

    pub(super) fn thin_air(&self, read: OpId) -> String {
        format!("{}, which nobody wrote", self.tell(read))
    }

    /// A read that knew better.
    pub(super) fn missed(
        &self,
        read: OpId,
        newer: OpId,
        path: &[Edge],
        older: Option<OpId>,
    ) -> String {
        let how = match older {
            None => "which was there at first",
            Some(_) => "which was overwritten",
        };
        let (what, newer) = (self.tell(read), self.brought(newer));
        format!("{what}, {how}, although {newer} came before: {}", self.steps(path))
    }

    /// A cycle.
    pub(super) fn cycle(&self, cycle: &[Edge]) -> String {
        format!(
            "each of these came before the next, and the last before the first: {}",
            self.steps(cycle)
        )
    }

    fn steps(&self, steps: &[Edge]) -> String {
        let mut told: Vec<String> = steps.iter().take(MOST).map(|edge| self.step(edge)).collect();
        if steps.len() > MOST {
            told.push(format!("and {} more steps", steps.len() - MOST));
        }
        told.join("; ")
    }

    fn step(&self, edge: &Edge) -> String {
        let Edge { from, to, reason, by } = *edge;
        match (reason, by) {
            (Reason::SessionOrder, _) => format!("{} and then {}", self.tell(from), self.deed(to)),
            (Reason::ReadFrom, _) => {
                let reader = self.operation(to);
                let place = reader.return_place().unwrap_or(reader.call_place());
                format!("{}, seen by process {} ({place})", self.tell(from), reader.process())
            }
            (Reason::RealTime, _) => format!("{} before {}", self.tell(from), self.tell(to)),
            (Reason::OverwrittenBy, Some(by)) if by != from => format!(
                "{} came before {}, for {} after the former",
                self.brought(from),
                self.brought(to),
                self.tell(by),
            ),
            (Reason::OverwrittenBy, _) => {
                format!("{} before {} came", self.tell(from), self.brought(to))
            }
        }
    }
}

impl Object<'_> {
    /// Why nothing that is said of registers can be said of this.
    pub(super) fn no_register(&self, objects: &Objects<'_>) -> String {
        use super::super::objects::Kind;
        let prefix = objects.prefix(self);
        match &self.kind {
            Kind::Register => prefix,
            Kind::Siblings => format!("{prefix}values side by side are no register"),
            Kind::Collection { .. } => format!("{prefix}a collection is no register"),
            Kind::Counter => format!("{prefix}a counter is no register"),
            Kind::Other(why) => format!("{prefix}{why}"),
        }
    }
}

impl Anomaly {
    /// The name that the literature has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Anomaly::CyclicCO => "CyclicCO",
            Anomaly::WriteCOInitRead => "WriteCOInitRead",
            Anomaly::WriteCORead => "WriteCORead",
            Anomaly::ThinAirRead => "ThinAirRead",
            Anomaly::CyclicCF => "CyclicCF",
            Anomaly::WriteHBInitRead => "WriteHBInitRead",
            Anomaly::CyclicHB => "CyclicHB",
        }
    }
}

impl Reason {
    /// In words, as between the two operations: *read from*, ….
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::ReadFrom => "read from",
            Reason::SessionOrder => "session order",
            Reason::OverwrittenBy => "overwritten by",
            Reason::RealTime => "real time",
        }
    }
}
