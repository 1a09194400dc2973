//! The operator of a live cluster: gives the leader, or whoever serves where nobody leads, the orders that a schedule asks
//! for, over HTTP, and gives them again, for a bounded time, when nothing is heard or the cluster is busy;
//! `sim/operator.rs` in real time. Each order is pursued by a task of its own, so that faults go on meanwhile,
//! several orders meet in one leader, and one order two leaders in turn.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rashomon_nemesis::{Action, Cluster, Node};
use rashomon_stores::node::server::StatusBody;
use rashomon_stores::replica::{Role, Status};
use reqwest::{Client as Http, Method, StatusCode};
use serde_json::{Value as Json, json};
use tokio::task::JoinSet;

use super::local::index;
use crate::client::Addresses;

/// How long it waits for an answer before it asks again: a little longer than a node lets anybody wait.
const PATIENCE: Duration = Duration::from_millis(2_500);
/// How long a node may take to say how it is.
const STATUS_LIMIT: Duration = Duration::from_millis(300);
/// How long it waits after a refusal: short, so that an order may meet a leader that is new.
const RETRY: Duration = Duration::from_millis(15);
/// When it gives an order up.
const PERSISTENCE: Duration = Duration::from_secs(6);

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// It becomes a member.
    Add(Node),
    /// It becomes a member no longer.
    Remove(Node),
    /// It becomes a member no longer, and then ends.
    Retire(Node),
    /// It is to lead.
    Transfer(Node),
}

impl Task {
    /// The orders that an action consists of.
    pub fn of(action: &Action) -> Vec<Task> {
        let (nodes, task): (&BTreeSet<Node>, fn(Node) -> Task) = match action {
            Action::Add(nodes) => (nodes, Task::Add),
            Action::Remove(nodes) => (nodes, Task::Remove),
            Action::Retire(nodes) => (nodes, Task::Retire),
            Action::Transfer(nodes) => (nodes, Task::Transfer),
            _ => return Vec::new(),
        };
        nodes.iter().copied().map(task).collect()
    }
}

/// An order that came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concluded {
    /// What was to be done.
    pub task: Task,
    /// Whether it is a part of a fault, and not of the restoration after all faults.
    pub of_fault: bool,
    /// Whether the cluster has done it.
    pub done: bool,
}

/// Gives orders and hears what became of them.
#[derive(Debug)]
pub(super) struct Operator {
    http: Http,
    addresses: Addresses,
    /// Those whose data was damaged and that no longer start.
    pub(super) lost: BTreeSet<Node>,
    pursued: JoinSet<Concluded>,
    under_way: Vec<(Task, bool)>,
}

impl Operator {
    pub(super) fn new(addresses: Addresses) -> reqwest::Result<Self> {
        let http = Http::builder().no_proxy().build()?;
        let (lost, pursued, under_way) = (BTreeSet::new(), JoinSet::new(), Vec::new());
        Ok(Operator { http, addresses, lost, pursued, under_way })
    }

    /// Takes an order up; it is given at once, and given up when its time is over.
    pub(super) fn take(&mut self, task: Task, of_fault: bool) {
        let round = Round {
            http: self.http.clone(),
            addresses: self.addresses.clone(),
            lost: self.lost.clone(),
        };
        self.under_way.push((task, of_fault));
        self.pursued.spawn(async move {
            let until = Instant::now() + PERSISTENCE;
            let mut turn = 0;
            let done = loop {
                if Instant::now() >= until {
                    break false;
                }
                turn += 1;
                match round.give(task, turn).await {
                    Some(done) => break done,
                    None => tokio::time::sleep(RETRY).await,
                }
            };
            Concluded { task, of_fault, done }
        });
    }

    /// Whether no order is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// The orders that came to an end since it was asked last.
    pub(super) fn concluded(&mut self) -> Vec<Concluded> {
        let mut concluded = Vec::new();
        // One that panicked is as good as given up, and is so when everything is.
        while let Some(ended) = self.pursued.try_join_next() {
            concluded.extend(ended.ok());
        }
        for Concluded { task, of_fault, .. } in &concluded {
            let place = self.under_way.iter().position(|order| *order == (*task, *of_fault));
            if let Some(place) = place {
                self.under_way.swap_remove(place);
            }
        }
        concluded
    }

    /// Gives every order up that did not come to an end.
    pub(super) async fn give_up(&mut self) -> Vec<Concluded> {
        let mut concluded = self.concluded();
        self.pursued.shutdown().await;
        let left = std::mem::take(&mut self.under_way).into_iter();
        concluded.extend(left.map(|(task, of_fault)| Concluded { task, of_fault, done: false }));
        concluded
    }
}

/// What it takes to give an order.
struct Round {
    http: Http,
    addresses: Addresses,
    lost: BTreeSet<Node>,
}

impl Round {
    /// Gives an order once; says whether it is done or will never be, `None` if it is to be given again.
    async fn give(&self, task: Task, turn: usize) -> Option<bool> {
        let statuses = self.statuses().await;
        let status = leader(&statuses).or_else(|| peer(&statuses, turn))?;
        let node = Node(status.id.0);
        if task == Task::Transfer(node) {
            return Some(true);
        }
        if !self.is_safe(task, status) {
            return None;
        }
        let (order, body) = request(task);
        let path = format!("/admin/{order}");
        let asked = self.addresses.request(&self.http, Method::POST, index(node), &path);
        let asked = asked.timeout(PATIENCE).json(&body).send().await;
        let answer = asked.ok()?;
        let (word, definite) = (answer.status(), answer.json::<Json>().await.unwrap_or_default());
        match (word, definite["error"].as_str()) {
            (word, _) if word.is_success() => Some(true),
            (StatusCode::CONFLICT, Some("inapplicable")) => Some(false),
            // The cluster had its time for it; a member that does not catch up may yet.
            (_, Some("unfinished")) if matches!(task, Task::Transfer(_)) => Some(false),
            _ => None,
        }
    }

    /// Whether enough voters remain, and enough of them with sound data, as the node knows them that is
    /// to be asked.
    fn is_safe(&self, task: Task, at: &Status) -> bool {
        let (Task::Remove(node) | Task::Retire(node)) = task else { return true };
        let is_lost = |id: &u16| self.lost.contains(&Node(*id));
        let others = at.voters.iter().chain(&at.learners).map(|id| id.0).filter(|id| *id != node.0);
        let lost = others.filter(is_lost).count();
        let enough = at.voters.len() > Cluster::FLOOR && 2 * lost < at.voters.len() - 1;
        !at.voters.iter().any(|id| id.0 == node.0) || enough
    }

    /// What every node says of itself that says anything.
    async fn statuses(&self) -> Vec<Status> {
        let mut asked = JoinSet::new();
        for place in 0..self.addresses.count() {
            let request = self.addresses.request(&self.http, Method::GET, place, "/status");
            let request = request.timeout(STATUS_LIMIT).send();
            asked.spawn(async move {
                Some(request.await.ok()?.json::<StatusBody>().await.ok()?.status)
            });
        }
        let mut statuses: Vec<Status> = asked.join_all().await.into_iter().flatten().collect();
        statuses.sort_by_key(|status| status.id);
        statuses
    }
}

/// The path and the body of a request.
fn request(task: Task) -> (&'static str, Json) {
    match task {
        Task::Add(node) => ("add", json!({ "node": node.0 })),
        Task::Remove(node) | Task::Retire(node) => ("remove", json!({ "node": node.0 })),
        Task::Transfer(node) => ("transfer", json!({ "to": node.0 })),
    }
}

/// Who leads: of two that claim to, the later.
fn leader(statuses: &[Status]) -> Option<&Status> {
    let leaders = statuses.iter().filter(|status| status.role == Role::Leader);
    leaders.max_by_key(|status| status.term)
}

/// Where nobody leads: one of those that take themselves for members, another each time.
fn peer(statuses: &[Status], turn: usize) -> Option<&Status> {
    let is_member =
        |status: &&Status| status.role == Role::Peer && status.voters.contains(&status.id);
    let members: Vec<&Status> = statuses.iter().filter(is_member).collect();
    let place = turn.checked_rem(members.len())?;
    members.get(place).copied()
}
