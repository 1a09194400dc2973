//! The final reads: every key at every node, when every fault is undone and all clients are done.
//!
//! They are operations like all others, after an event that says what they are, so that the history
//! alone tells whether the nodes agree in the end. Nodes of a store that is linearizable do at once;
//! those of any other are asked again about the keys on which they differ, until they agree or time
//! is up. The last answers count.

use rashomon_checker::history::Value;

use crate::contract::Contract;
use crate::workload::{Action, Request};

/// What is still to be read, and what was answered in this round.
#[derive(Debug)]
pub(crate) struct FinalReads {
    open: Vec<Request>,
    /// Of each of them, the answers of the nodes.
    answers: Vec<Vec<Value>>,
    /// Whether what differs is to be read again.
    patient: bool,
}

impl FinalReads {
    /// Reads for a store with this contract.
    pub(crate) fn new(reads: Vec<Request>, contract: &Contract) -> Self {
        let answers = vec![Vec::new(); reads.len()];
        FinalReads { open: reads, answers, patient: !contract.linearizable }
    }

    /// What every node is to be asked in this round.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.open.clone()
    }

    /// A node's answer to a request, by its place.
    pub(crate) fn answered(&mut self, place: usize, value: Value) {
        // Values side by side and elements of sets have no order.
        let value = match (&self.open[place].action, value.as_list()) {
            (Action::Read | Action::Elements, Some(items)) => {
                let mut items = items.to_vec();
                items.sort();
                Value::list(items)
            }
            _ => value,
        };
        self.answers[place].push(value);
    }

    /// Ends a round: forgets what all nodes agree on, and says what they do not agree on, if that is
    /// to be read again.
    pub(crate) fn disagreement(&mut self) -> Option<String> {
        let answers = std::mem::take(&mut self.answers);
        if !self.patient {
            self.open.clear();
            return None;
        }
        let differ = |answers: &[Value]| answers.windows(2).any(|pair| pair[0] != pair[1]);
        let (open, answers): (Vec<Request>, Vec<Vec<Value>>) = std::mem::take(&mut self.open)
            .into_iter()
            .zip(answers)
            .filter(|(_, answers)| differ(answers))
            .unzip();
        self.answers = vec![Vec::new(); open.len()];
        self.open = open;
        let (first, answers) = (self.open.first()?, answers.first()?);
        let told: Vec<String> = answers.iter().map(ToString::to_string).collect();
        Some(format!("the nodes do not agree on {}: {}", first.key, told.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads() -> Vec<Request> {
        let read = |key: &str| Request { key: key.into(), action: Action::Read };
        vec![read("x"), read("y")]
    }

    #[test]
    fn what_nodes_differ_on_is_read_again() {
        let weak: Contract = "convergence".parse().expect("a promise");
        let mut finals = FinalReads::new(reads(), &weak);
        let pair = |one, other| Value::list([Value::Int(one), Value::Int(other)]);
        finals.answered(0, Value::Int(1));
        finals.answered(0, Value::Int(2));
        finals.answered(1, pair(1, 2));
        finals.answered(1, pair(2, 1));
        let why = finals.disagreement().expect("they differ");
        assert_eq!(why, "the nodes do not agree on x: 1, 2");
        assert_eq!(finals.requests(), reads()[..1]);
        finals.answered(0, Value::Int(2));
        finals.answered(0, Value::Int(2));
        assert_eq!((finals.disagreement(), finals.requests()), (None, vec![]));
    }

    #[test]
    fn a_linearizable_store_is_asked_once() {
        let mut finals = FinalReads::new(reads(), &Contract::strong());
        finals.answered(0, Value::Int(1));
        finals.answered(0, Value::Int(2));
        assert_eq!(finals.disagreement(), None);
    }
}
