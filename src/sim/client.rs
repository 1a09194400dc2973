//! Simulated clients: the decisions of the live ones ([`crate::client::pursuit`]), with requests and
//! answers that are values instead of HTTP.

use std::collections::BTreeMap;
use std::time::Duration;

use rashomon_checker::consistency::MISMATCH;
use rashomon_checker::history::Value;
use rashomon_stores::catalogue::Store;
use rashomon_stores::kv::{self, Command, Op, Output, Rejection, Session};
use rashomon_stores::replica::{Refusal, Request as StoreRequest, RequestId};

use super::scenario::NODES_MAX;
use super::world::Heard;
use crate::client::pursuit::{Attempt, Next, Pursuit};
use crate::workload::{Action, Request};

/// One client and the process it is now.
#[derive(Debug)]
pub(super) struct Client {
    /// The node that it stands beside; an index from 0.
    pub(super) site: usize,
    /// The node that the next operation is sent to first; an index from 0.
    pub(super) home: usize,
    /// The number of the process.
    pub(super) process: u64,
    nodes: usize,
    sequence: u64,
    /// Counts what the client has begun: an alarm that was set for what is over does not ring.
    pub(super) age: u64,
    /// The operation under way.
    pub(super) operation: Option<Operation>,
    /// What it has seen, by key, where the store tells it.
    contexts: BTreeMap<kv::Key, kv::Context>,
    /// Whether what it cannot be sure of may be sent again.
    repeats: bool,
    /// Whether each operation begins at another node than the one before.
    roams: bool,
}

/// An operation under way.
#[derive(Debug)]
pub(super) struct Operation {
    /// What the workload wants.
    pub(super) request: Request,
    /// The same for the store.
    pub(super) wanted: StoreRequest,
    /// When the client's patience ends, in nanoseconds since the run began.
    pub(super) deadline: u64,
    /// The request that it waits for, if any.
    pub(super) asked: Option<RequestId>,
    pursuit: Pursuit,
    /// What its client has seen by now of the key.
    told: Option<kv::Context>,
}

impl Client {
    /// A client for a process that calls at this one of so many nodes first.
    pub(super) fn new(home: usize, nodes: usize, process: u64) -> Self {
        let contexts = BTreeMap::new();
        Client {
            site: home,
            home,
            process,
            nodes,
            sequence: 0,
            age: 0,
            operation: None,
            contexts,
            repeats: true,
            roams: false,
        }
    }

    /// The same of a store by its name: whether what is sent again takes effect once.
    pub(super) fn of(self, store: &str) -> Self {
        Client { repeats: store.parse().is_ok_and(Store::executes_once), ..self }
    }

    /// The same, going from node to node or not.
    pub(super) fn roaming(self, roams: bool) -> Self {
        Client { roams, ..self }
    }

    /// Goes on as another process: the one before ended in an operation of unknown fate.
    pub(super) fn renew(&mut self, process: u64) {
        self.process = process;
        self.sequence = 0;
        self.contexts.clear();
    }

    /// Ends the operation under way.
    pub(super) fn finish(&mut self) -> Option<Operation> {
        let operation = self.operation.take()?;
        if self.roams {
            self.home = (self.home + 1) % self.nodes;
        }
        if let Some(told) = &operation.told {
            let key = operation.request.key.as_str().into();
            self.contexts.entry(key).or_default().merge(told);
        }
        Some(operation)
    }

    /// Begins an operation.
    pub(super) fn begin(&mut self, request: Request, deadline: u64) {
        self.sequence += 1;
        self.age += 1;
        let session = Session { client: self.process.to_string().into(), sequence: self.sequence };
        let pursuit = Pursuit::new(self.home, self.nodes, request.action.is_read());
        let pursuit = pursuit.reaching(usize::from(NODES_MAX)).repeating(self.repeats);
        let mut wanted = store_request(&request, session);
        if let Some(context) = self.contexts.get(request.key.as_str()) {
            wanted = StoreRequest::Causal { context: context.clone(), request: Box::new(wanted) };
        }
        let (asked, told) = (None, None);
        self.operation = Some(Operation { request, wanted, deadline, asked, pursuit, told });
    }
}

impl Operation {
    /// The node to ask; an index from 0.
    pub(super) fn node(&self) -> usize {
        self.pursuit.node
    }

    /// What to do after hearing of the request.
    pub(super) fn heard(&mut self, heard: Heard, now: u64) -> Next {
        if let Heard::Reply(Ok(Output::Causal { context, .. })) = &heard {
            self.told = Some(context.clone());
        }
        let attempt = attempt(heard, &self.request.action);
        self.after(attempt, now)
    }

    /// What to do when patience is over.
    pub(super) fn out_of_time(&mut self) -> Next {
        self.after(Attempt::Unsure("timeout".into()), self.deadline)
    }

    fn after(&mut self, attempt: Attempt, now: u64) -> Next {
        self.asked = None;
        self.pursuit.after(attempt, Duration::from_nanos(self.deadline.saturating_sub(now)))
    }
}

fn store_request(request: &Request, session: Session) -> StoreRequest {
    let key: kv::Key = request.key.as_str().into();
    let op = match request.action {
        Action::Read | Action::Get | Action::Elements | Action::Count => {
            return StoreRequest::Read(key);
        }
        Action::Delete => Op::Delete { key },
        Action::Write(value) => Op::Put { key, value: value.into() },
        Action::Cas { expected, new } => {
            Op::Cas { key, expected: expected.into(), new: new.into() }
        }
        Action::Append(value) => Op::Append { key, value: value.into() },
        Action::Add(element) => Op::Add { key, element: element.into() },
        Action::Increment(by) => Op::Increment { key, by },
    };
    StoreRequest::Write(Command { session: Some(session), op })
}

/// What was heard means what the same answer means over HTTP; see `rashomon_stores::node::server`.
fn attempt(heard: Heard, action: &Action) -> Attempt {
    let elsewhere = |leader, why: &str| Attempt::Elsewhere { leader, why: why.to_owned() };
    match heard {
        Heard::NoConnection => elsewhere(None, "no connection"),
        Heard::ConnectionLost => Attempt::Unsure("connection lost".into()),
        Heard::Reply(Ok(output)) => done(output, action),
        Heard::Reply(Err(refusal)) => match refusal {
            Refusal::NotLeader { leader } => {
                elsewhere(leader.and_then(|id| usize::from(id.0).checked_sub(1)), "not-leader")
            }
            Refusal::NotMember { member } => {
                elsewhere(member.and_then(|id| usize::from(id.0).checked_sub(1)), "not-member")
            }
            Refusal::Busy => elsewhere(None, "busy"),
            Refusal::NotChosen { proposed: true } => Attempt::Unsure("not-chosen".into()),
            Refusal::NotChosen { proposed: false } => elsewhere(None, "not-chosen"),
            // Answers to an operator's orders, which clients do not give.
            Refusal::Inapplicable { why } => Attempt::Refused(why),
            Refusal::Unfinished { why } => Attempt::Unsure(why),
            // A read changes nothing wherever it may have been answered.
            Refusal::LostLeadership { .. } if action.is_read() => {
                elsewhere(None, "lost-leadership")
            }
            Refusal::LostLeadership { .. } => Attempt::Unsure("lost-leadership".into()),
        },
    }
}

fn done(output: Output, action: &Action) -> Attempt {
    match output {
        Output::Done | Output::Cas { applied: true, .. } => Attempt::Done(action.argument()),
        Output::Value(value) => Attempt::Done(action.saw(history_value(&value))),
        // What was written without knowing of each other is seen together.
        Output::Siblings(values) => Attempt::Done(Value::list(values.iter().map(history_value))),
        Output::Causal { output, .. } => done(*output, action),
        Output::Cas { applied: false, current } => Attempt::Refused(format!("{MISMATCH}{current}")),
        Output::Rejected(rejection @ Rejection::StaleSequence { .. }) => {
            Attempt::Unsure(format!("stale-sequence: {rejection}"))
        }
        Output::Rejected(rejection) => Attempt::Refused(rejection.to_string()),
    }
}

fn history_value(value: &kv::Value) -> Value {
    match value {
        kv::Value::Null => Value::Nil,
        kv::Value::Bool(truth) => Value::Bool(*truth),
        kv::Value::Int(int) => Value::Int(*int),
        kv::Value::Text(text) => Value::Text(text.clone()),
        kv::Value::List(items) => Value::list(items.iter().map(history_value)),
    }
}

#[cfg(test)]
mod tests {
    use rashomon_stores::replica::NodeId;

    use super::*;
    use crate::workload::Outcome;

    fn write() -> Operation {
        let mut client = Client::new(0, 3, 7);
        client.begin(Request { key: "x".into(), action: Action::Write(5) }, 1_000_000_000);
        client.operation.take().expect("it has begun")
    }

    #[test]
    fn answers_mean_what_they_mean_over_http() {
        let read = |refusal| attempt(Heard::Reply(Err(refusal)), &Action::Read);
        let write = |refusal| attempt(Heard::Reply(Err(refusal)), &Action::Write(5));
        let lost = Refusal::LostLeadership { leader: None };
        assert!(matches!(read(lost.clone()), Attempt::Elsewhere { leader: None, .. }));
        assert!(matches!(write(lost), Attempt::Unsure(_)));
        let not_leader = Refusal::NotLeader { leader: Some(NodeId(3)) };
        assert!(matches!(write(not_leader), Attempt::Elsewhere { leader: Some(2), .. }));
        let mismatch = Output::Cas { applied: false, current: kv::Value::Int(4) };
        let cas = Action::Cas { expected: 3, new: 5 };
        assert!(matches!(done(mismatch, &cas), Attempt::Refused(_)));
        let stale = Output::Rejected(Rejection::StaleSequence { last: 9 });
        assert!(matches!(done(stale, &cas), Attempt::Unsure(_)));
        let list = Output::Value(kv::Value::list([kv::Value::Int(1), kv::Value::Null]));
        let expected = Value::list([Value::Int(1), Value::Nil]);
        assert_eq!(done(list, &Action::Get), Attempt::Done(expected));
    }

    #[test]
    fn a_write_that_nobody_answered_is_of_unknown_fate() {
        let Next::End(answer) = write().out_of_time() else { panic!("its time is over") };
        assert_eq!(answer.outcome, Outcome::Info("timeout".into()));
    }

    #[test]
    fn every_operation_of_a_process_has_a_number_of_its_own() {
        let mut client = Client::new(0, 3, 7);
        let mut sessions = Vec::new();
        for process in [7, 7, 17] {
            if process != client.process {
                client.renew(process);
            }
            client.begin(Request { key: "x".into(), action: Action::Append(1) }, 1);
            let operation = client.operation.take().expect("it has begun");
            let StoreRequest::Write(Command { session: Some(session), .. }) = operation.wanted
            else {
                panic!("a write has a session")
            };
            sessions.push((session.client.to_string(), session.sequence));
        }
        assert_eq!(sessions, [("7".into(), 1), ("7".into(), 2), ("17".into(), 1)]);
    }
}
