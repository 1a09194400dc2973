//! One operation from node to node until it ends: what a client does after each answer.
//!
//! No clock and no network, so live and simulated clients decide alike. A client begins at its
//! home node, also when that node is cut off from the others, and follows a node's word about who
//! leads. An attempt whose fate is unknown is repeated under the same session and sequence number,
//! so that the store can make it take effect once (Ongaro's dissertation, §6.3); from then on the
//! operation can end well or unknown, but not for want of a node that takes it.

use std::time::Duration;

use rashomon_checker::history::Value;

use super::Answer;
use crate::workload::Outcome;

/// Wait before asking another node, so that an election is not drowned in questions.
pub(crate) const PAUSE: Duration = Duration::from_millis(50);

/// What one attempt at one node came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Attempt {
    /// Happened, with this result.
    Done(Value),
    /// Certainly did not happen and will not, wherever it is asked.
    Refused(String),
    /// Certainly did not happen at this node; another may do it.
    Elsewhere {
        /// The node that does, as far as this one knows; an index from 0.
        leader: Option<usize>,
        /// What it said.
        why: String,
    },
    /// Nobody knows.
    Unsure(String),
}

/// What to do after an attempt.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Next {
    /// Ask the pursuit's node at once.
    Ask,
    /// Ask the pursuit's node after a [`PAUSE`].
    AskLater,
    /// The operation is over.
    End(Answer),
}

/// An operation under way.
#[derive(Clone, Debug)]
pub(crate) struct Pursuit {
    /// The node to ask; an index from 0.
    pub(crate) node: usize,
    nodes: usize,
    /// How many nodes can be reached, those included that a client only hears of.
    reachable: usize,
    is_read: bool,
    /// Whether what is sent again takes effect once.
    repeats: bool,
    /// Why nobody knows, once an attempt ended like that.
    unsure: Option<String>,
}

impl Pursuit {
    /// Begins an operation at the home node of its client, one of so many nodes.
    pub(crate) fn new(home: usize, nodes: usize, is_read: bool) -> Self {
        Pursuit { node: home, nodes, reachable: nodes, is_read, repeats: true, unsure: None }
    }

    /// Follows the word of a node also to nodes that were not there at first, up to this number.
    pub(crate) fn reaching(self, reachable: usize) -> Self {
        Pursuit { reachable, ..self }
    }

    /// Sends a write again of which nobody knows, or not: a store that does not know it again would
    /// carry it out twice.
    pub(crate) fn repeating(self, repeats: bool) -> Self {
        Pursuit { repeats, ..self }
    }

    /// What to do after this attempt, with so much of the client's patience left.
    pub(crate) fn after(&mut self, attempt: Attempt, left: Duration) -> Next {
        let reason = match attempt {
            Attempt::Done(value) => return self.end(Outcome::Ok(value)),
            Attempt::Refused(why) => return self.end(Outcome::Fail(why)),
            Attempt::Elsewhere { leader: Some(leader), .. }
                if leader != self.node && leader < self.reachable =>
            {
                self.node = leader;
                if !left.is_zero() {
                    return Next::Ask;
                }
                "no leader found in time".to_owned()
            }
            Attempt::Elsewhere { why, .. } => why,
            Attempt::Unsure(why) if !self.repeats && !self.is_read => {
                return self.end(Outcome::Info(why));
            }
            Attempt::Unsure(why) => self.unsure.insert(why).clone(),
        };
        if left <= PAUSE {
            let outcome = match self.unsure.take() {
                Some(why) if !self.is_read => Outcome::Info(why),
                _ => Outcome::Fail(reason),
            };
            return self.end(outcome);
        }
        self.node = (self.node + 1) % self.nodes;
        Next::AskLater
    }

    fn end(&self, outcome: Outcome) -> Next {
        Next::End(Answer { outcome, node: self.node })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLENTY: Duration = Duration::from_secs(1);

    fn elsewhere(leader: Option<usize>) -> Attempt {
        Attempt::Elsewhere { leader, why: "not-leader".into() }
    }

    fn ended(next: Next) -> Outcome {
        let Next::End(answer) = next else { panic!("{next:?} is no end") };
        answer.outcome
    }

    #[test]
    fn a_leader_is_asked_at_once_and_a_stranger_after_a_pause() {
        let mut pursuit = Pursuit::new(1, 3, false);
        assert_eq!(pursuit.after(elsewhere(Some(0)), PLENTY), Next::Ask);
        assert_eq!(pursuit.node, 0);
        assert_eq!(pursuit.after(elsewhere(Some(0)), PLENTY), Next::AskLater, "it leads itself?");
        assert_eq!(pursuit.node, 1);
        assert_eq!(pursuit.after(elsewhere(Some(7)), PLENTY), Next::AskLater, "there is no n8");
        assert_eq!(pursuit.after(elsewhere(None), PLENTY), Next::AskLater);
        assert_eq!(pursuit.node, 0);
    }

    #[test]
    fn a_node_that_is_new_is_found_by_another_s_word() {
        let mut pursuit = Pursuit::new(1, 3, false).reaching(9);
        assert_eq!(pursuit.after(elsewhere(Some(7)), PLENTY), Next::Ask);
        assert_eq!(pursuit.node, 7);
        assert_eq!(pursuit.after(elsewhere(None), PLENTY), Next::AskLater);
        assert!(pursuit.node < 3, "then those that it knows");
    }

    #[test]
    fn what_was_unsure_once_never_fails_for_want_of_a_node() {
        let mut write = Pursuit::new(0, 3, false);
        assert_eq!(write.after(Attempt::Unsure("timeout".into()), PLENTY), Next::AskLater);
        let end = ended(write.after(elsewhere(Some(2)), Duration::ZERO));
        assert_eq!(end, Outcome::Info("timeout".into()));

        let mut sure = Pursuit::new(0, 3, false);
        let end = ended(sure.after(elsewhere(None), PAUSE));
        assert_eq!(end, Outcome::Fail("not-leader".into()));
    }

    #[test]
    fn what_would_take_effect_twice_is_sent_once() {
        let mut write = Pursuit::new(0, 3, false).repeating(false);
        assert_eq!(write.after(elsewhere(None), PLENTY), Next::AskLater, "it was not taken");
        let end = ended(write.after(Attempt::Unsure("timeout".into()), PLENTY));
        assert_eq!(end, Outcome::Info("timeout".into()));
        let mut read = Pursuit::new(0, 3, true).repeating(false);
        assert_eq!(read.after(Attempt::Unsure("timeout".into()), PLENTY), Next::AskLater);
    }

    #[test]
    fn a_read_that_nobody_answered_has_failed() {
        let mut read = Pursuit::new(0, 3, true);
        let end = ended(read.after(Attempt::Unsure("timeout".into()), PAUSE));
        assert_eq!(end, Outcome::Fail("timeout".into()));
    }
}
