//! The violation in plain words.

use super::record::shortened;
use super::{Cause, Evidence, Explanation, OperationRecord, Role};
use crate::history::{OpId, Outcome};

/// What happened, why it is impossible, and what would have been legal.
pub(super) fn sentence(explanation: &Explanation) -> String {
    let teller = Teller { explanation };
    let key = explanation.key.as_ref().map_or(String::new(), |key| format!("key {key}: "));
    let unplaced = teller.clause(explanation.operation);
    let why = teller.why();
    format!("{key}{unplaced}, {why}.{}", teller.instead())
}

struct Teller<'a> {
    explanation: &'a Explanation,
}

impl Teller<'_> {
    /// Why the unplaced operation is impossible, to follow its clause.
    fn why(&self) -> String {
        let made = self.clauses(Role::Made);
        match self.explanation.cause {
            Cause::ValueFromNowhere => "but nobody had ever written the value it saw".to_owned(),
            Cause::ValueFromTheFuture => {
                let later = self.clauses(Role::Later);
                format!("but only after that was complete, {later}")
            }
            Cause::ReadOfFailedWrite => {
                format!(
                    "but the value it saw was never written, the attempt had failed: {}",
                    self.clauses(Role::Failed)
                )
            }
            Cause::StaleRead => self.stale(),
            Cause::LostUpdate if self.has(Role::Missed) => {
                let missed = self.clauses(Role::Missed);
                format!("but before that began, {missed}, and that is gone")
            }
            Cause::LostUpdate if self.has(Role::Newer) => {
                let newer = self.clauses(Role::Newer);
                format!("but before that began, {newer}, and some of that is gone")
            }
            Cause::LostUpdate => {
                let took = self.clauses(Role::Took);
                let made = match self.has(Role::Made) {
                    true => format!("that value was made only when {made}"),
                    false => "that value was there only at the beginning".to_owned(),
                };
                format!("but {took} and replaced the same value, and {made}")
            }
            Cause::DuplicateEffect => {
                format!("but that has something more often than it was written: {made}")
            }
            Cause::OutOfOrder if self.has(Role::Newer) => {
                format!("but the order was another when {}", self.clauses(Role::Newer))
            }
            Cause::OutOfOrder => {
                format!("but that is not the order in which {made}, one after the other")
            }
            Cause::OrderCycle => {
                let (this, other) = (self.clauses(Role::Saw), self.clauses(Role::Other));
                let this = if this.is_empty() { String::new() } else { format!("{this}, but ") };
                format!("but {this}{other}: each of the two values would have to come first")
            }
            Cause::TwoOwners => self.unpaired("released"),
            Cause::NotHeld => self.unpaired("acquired"),
            Cause::NoOrder => {
                let count = self.explanation.minimal.len();
                format!("and no order of the {count} operations around it explains that")
            }
        }
    }

    /// Two of a kind with nothing of the other kind between them, or with too little of it.
    fn unpaired(&self, other: &str) -> String {
        let (same, others) = (self.clauses(Role::Same), self.clauses(Role::Other));
        match (same.is_empty(), others.is_empty()) {
            (true, _) => format!("but nobody can have {other} it before"),
            (false, true) => format!("but {same}, and nobody can have {other} it between"),
            (false, false) => format!("but {same}, and between them there is only this: {others}"),
        }
    }

    fn stale(&self) -> String {
        let newer = match self.has(Role::Missed) {
            true => self.clauses(Role::Missed),
            false => self.clauses(Role::Newer),
        };
        let before = [Role::Made, Role::Saw].map(|role| self.clauses(role));
        let before: Vec<String> = before.into_iter().filter(|clause| !clause.is_empty()).collect();
        let last = match before.is_empty() {
            true => String::new(),
            false => format!(" (the last time was when {})", before.join(" and ")),
        };
        format!(
            "but that was stale: before it began, {newer}, \
             and nothing since can have brought the old value back{last}"
        )
    }

    /// What the object could have been instead.
    fn instead(&self) -> String {
        let explanation = self.explanation;
        let (list, what) = match explanation.legal.is_empty() {
            false => (&explanation.legal, "It could only have returned"),
            true => (&explanation.states, "The state could only have been"),
        };
        match &list[..] {
            [] => String::new(),
            [only] => format!(" {what} {only}."),
            [first @ .., last] => format!(" {what} {} or {last}.", first.join(", ")),
        }
    }

    fn has(&self, role: Role) -> bool {
        self.explanation.proof.iter().any(|evidence| evidence.role == role)
    }

    /// The clauses of all operations in a role, joined.
    fn clauses(&self, role: Role) -> String {
        let in_role = |evidence: &&Evidence| evidence.role == role;
        let evidence = self.explanation.proof.iter().filter(in_role);
        evidence.map(|evidence| self.clause(evidence.operation)).collect::<Vec<_>>().join(" and ")
    }

    /// Who did what, and where it stands.
    fn clause(&self, id: OpId) -> String {
        let record = self.explanation.operations.iter().find(|record| record.id == id);
        record.map_or(String::new(), |record| {
            let place = match record.outcome {
                Outcome::Info => format!("{}, outcome unknown", record.call),
                Outcome::Ok | Outcome::Fail => record.ret.unwrap_or(record.call).to_string(),
            };
            format!("process {} {} ({place})", record.process, deed(record))
        })
    }
}

/// What was done, in the past tense.
pub(super) fn deed(record: &OperationRecord) -> String {
    let (input, output) = (shortened(&record.input), shortened(&record.output));
    match &*record.f {
        "read" | "r" => format!("read {output}"),
        "get" => format!("got {output}"),
        "write" | "w" => format!("wrote {input}"),
        "put" => format!("put {input}"),
        "append" => format!("appended {input}"),
        "acquire" => "acquired the lock".to_owned(),
        "release" => "released the lock".to_owned(),
        "txn" if record.outcome == Outcome::Ok => format!("ran {output}"),
        "txn" => format!("ran {input}"),
        f => format!("did {f} {input}"),
    }
}
