//! The built-in stores as a target: one process a node, on this machine, behind link proxies.
//!
//! A node is this same binary, run as `rashomon node --config FILE`. It listens on a port of its
//! own choosing, which it writes into the file `address` beside its configuration; so no port is
//! ever asked for that another program might have taken in the meantime.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rashomon_nemesis::{
    Action, Cluster, Fault, Grudge, Hands, HandsError, Launch, Leases, LinkError, Links, Node,
    NodeProcess, Outcome, Part, Step,
};
use rashomon_stores::catalogue::Store;
use rashomon_stores::node::server::StatusBody;
use rashomon_stores::node::{Config, QuorumSizes, Snapshots, Timing};
use rashomon_stores::replica::{NodeId, Role, Status};
use reqwest::{Client as Http, Method};

use super::operator::{Concluded, Operator, Task};
use super::{Leader, Target, TargetError};
use crate::campaign::FINAL_READERS;
use crate::campaign::plan::{Election, Plan};
use crate::campaign::run_dir::RunDir;
use crate::client::{Addresses, HttpClient};

/// How long a node may take to come up. Generous: a loaded machine is no fault of the store.
const START_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);
/// How long a node may take to tell its status; one that takes longer does not count as leading.
const STATUS_LIMIT: Duration = Duration::from_millis(500);
/// How long a node may take to end when asked to.
const GRACE: Duration = Duration::from_secs(3);

/// How long orders that were given up may take to arrive and to be carried out.
const LAST_ORDERS: Duration = Duration::from_secs(1);

/// Often enough that a run of a few seconds compacts its logs and brings followers up to date by
/// snapshots in several chunks.
const SNAPSHOTS: Snapshots = Snapshots { every: 500, chunk_bytes: 8 << 10 };

/// A running cluster of built-in nodes. Dropping it kills them.
#[derive(Debug)]
pub struct LocalCluster {
    hands: Hands,
    directory: RunDir,
    addresses: Addresses,
    sides: Option<Sides>,
    operation_timeout: Duration,
    store: Store,
    roams: bool,
    http: Http,
    operator: Operator,
    /// What new nodes are started with.
    plan: Plan,
    program: PathBuf,
}

impl LocalCluster {
    /// Starts the nodes of a plan, `program` being this binary, and waits until one of
    /// them leads, or all serve where nobody does.
    ///
    /// # Errors
    /// When a node does not come up in time; then none is left running.
    pub async fn start(
        plan: &Plan,
        directory: &RunDir,
        program: &Path,
    ) -> Result<Self, TargetError> {
        let leases = Leases::begin(&directory.leases())?;
        let links = Links::open(Node::first(plan.nodes)).await?;
        let mut processes = Vec::new();
        for node in Node::first(plan.nodes) {
            let launch = prepare(plan, directory, program, node, &links)?;
            let process =
                NodeProcess::start_under(node, launch, &leases).map_err(HandsError::from)?;
            processes.push(process);
        }
        let nowhere = vec![([127, 0, 0, 1], 0).into(); usize::from(plan.nodes)];
        let addresses = Addresses::new(&cluster_name(directory), nowhere);
        let mut cluster = LocalCluster {
            hands: Hands::new(links, processes).seeded(plan.seed),
            directory: directory.clone(),
            sides: if plan.client_links {
                Some(Sides::open(plan.nodes, &cluster_name(directory)).await?)
            } else {
                None
            },
            operator: Operator::new(addresses.clone())?,
            addresses,
            operation_timeout: Duration::from_millis(plan.operation_timeout_ms),
            store: plan.store.parse()?,
            roams: plan.roam,
            http: Http::builder().no_proxy().timeout(STATUS_LIMIT).build()?,
            plan: plan.clone(),
            program: program.to_owned(),
        };
        for node in Node::first(plan.nodes) {
            cluster.find(node).await?;
        }
        cluster.wait_until_it_serves().await?;
        Ok(cluster)
    }

    /// Waits until a node that was started has said where it listens; says whether it did, and did not
    /// end because its data was damaged.
    async fn find(&mut self, node: Node) -> Result<bool, TargetError> {
        let began = Instant::now();
        let place = self.directory.node(&node.to_string());
        loop {
            let written = fs::read_to_string(address_file(&place)).ok();
            if let Some(address) = written.and_then(|text| text.trim().parse::<SocketAddr>().ok()) {
                self.hands.links().set_upstream(node, address);
                self.addresses.set(index(node), address);
                if let Some(sides) = &self.sides {
                    sides.set(node, address);
                }
                return Ok(true);
            }
            let crashed = self.hands.crashed()?.into_iter().find(|(crashed, _)| *crashed == node);
            let reason = match crashed {
                // Its data was damaged, and it noticed.
                Some(_) if self.hands.is_spoilt(node) => return Ok(false),
                Some((_, status)) => format!("it ended with {status}"),
                None if began.elapsed() > START_LIMIT => "it does not say where it listens".into(),
                None => {
                    tokio::time::sleep(POLL).await;
                    continue;
                }
            };
            return Err(TargetError::NotUp { node, reason, log: place.join("log") });
        }
    }

    /// Starts a node that is to become a member, and tells the others where it is reached. Numbers between
    /// that nobody has had stay free.
    async fn join(&mut self, node: Node) -> Result<(), TargetError> {
        self.hands.links_mut().add(node).await?;
        if let Some(sides) = &mut self.sides {
            sides.join(node).await?;
        }
        while self.addresses.count() <= index(node) {
            self.addresses.add(([127, 0, 0, 1], 0).into());
        }
        let links = self.hands.links();
        let launch = prepare(&self.plan, &self.directory, &self.program, node, links)?;
        let addresses: Vec<(Node, SocketAddr)> = self
            .hands
            .nodes()
            .into_iter()
            .filter_map(|other| {
                let (_, proxy) = links.peers(other).find(|(to, _)| *to == node)?;
                Some((other, proxy))
            })
            .collect();
        for (other, proxy) in addresses {
            // For when it starts again.
            prepare(&self.plan, &self.directory, &self.program, other, self.hands.links())?;
            self.hands.introduce(other, node, proxy).await?;
        }
        self.hands.join(NodeProcess::start(node, launch).map_err(HandsError::from)?);
        self.find(node).await?;
        Ok(())
    }

    /// Has the operator give an order to the cluster.
    async fn order(&mut self, action: &Action) -> Result<(), TargetError> {
        for task in Task::of(action) {
            match task {
                Task::Add(node) => self.join(node).await?,
                Task::Remove(node) | Task::Retire(node) => self.hands.is_to_leave(node, true),
                Task::Transfer(_) => {}
            }
            self.operator.take(task, true);
        }
        Ok(())
    }

    /// Draws the consequences of orders that came to an end.
    fn conclude(&mut self, concluded: &[Concluded]) {
        for Concluded { task, done, .. } in concluded {
            match task {
                Task::Retire(node) if *done => {
                    self.let_leave(*node, true);
                    self.hands.retire(*node);
                    // In a long run many come and go: what led to them would pile up.
                    self.hands.links_mut().remove(*node);
                }
                Task::Remove(node) if *done => self.let_leave(*node, true),
                // It may be a member or not; it is meant to be one again.
                Task::Remove(node) | Task::Retire(node) => {
                    self.hands.is_to_leave(*node, false);
                    self.let_leave(*node, false);
                }
                _ => {}
            }
        }
    }

    /// Lets clients begin elsewhere than at a node that is a member no longer, or there again.
    fn let_leave(&self, node: Node, leaves: bool) {
        let sides = self.sides.iter().flat_map(|sides| &sides.addresses);
        for addresses in sides.chain([&self.addresses]) {
            if index(node) < addresses.count() {
                addresses.leave(index(node), leaves);
            }
        }
    }

    async fn wait_until_it_serves(&self) -> Result<(), TargetError> {
        let began = Instant::now();
        while !serves(&self.statuses().await) {
            if began.elapsed() > START_LIMIT {
                let logs = self.directory.path().join("nodes");
                return Err(TargetError::NoLeader { seconds: START_LIMIT.as_secs(), logs });
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// What every node says of itself, asked at the same time; `None` for one that does not.
    async fn statuses(&self) -> Vec<(Node, Option<Status>)> {
        // Waiting for the word of one that cannot say anything would hold up the schedule.
        let mut mute = self.hands.cluster(None).down;
        mute.extend(self.hands.paused());
        let nodes: Vec<Node> = self.hands.nodes().into_iter().collect();
        let asked: Vec<_> = nodes
            .iter()
            .map(|node| {
                let request =
                    self.addresses.request(&self.http, Method::GET, index(*node), "/status").send();
                let is_mute = mute.contains(node);
                tokio::spawn(async move {
                    if is_mute {
                        return None;
                    }
                    Some(request.await.ok()?.json::<StatusBody>().await.ok()?.status)
                })
            })
            .collect();
        let mut statuses = Vec::new();
        for (node, status) in nodes.into_iter().zip(asked) {
            statuses.push((node, status.await.ok().flatten()));
        }
        statuses
    }
}

impl Target for LocalCluster {
    type Client = HttpClient;

    fn client(&self, worker: u16, process: u64) -> Result<HttpClient, TargetError> {
        let home = usize::from(worker) % self.addresses.count();
        let addresses = match &self.sides {
            Some(sides) => sides.addresses[home].clone(),
            None => self.addresses.clone(),
        };
        let client = HttpClient::new(addresses, home, process, self.operation_timeout)?;
        // Those that read in the end stay where they are.
        let roams = self.roams && process < FINAL_READERS;
        Ok(client.repeating(self.store.executes_once()).roaming(roams))
    }

    async fn leader(&self) -> Option<Leader> {
        leader(&self.statuses().await)
    }

    async fn settled(&self) -> Result<(), String> {
        let mut statuses = self.statuses().await;
        let members = self.living_members();
        statuses.retain(|(node, _)| members.contains(node));
        agree(statuses)
    }

    fn living_members(&self) -> Vec<Node> {
        self.cluster(None).nodes.difference(&self.operator.lost).copied().collect()
    }

    fn cluster(&self, leader: Option<Node>) -> Cluster {
        self.hands.cluster(leader)
    }

    fn takes(&self, action: &Action) -> bool {
        match action {
            Action::Transfer(_) => self.store.hands_over(),
            action => !action.fault().is_order() || self.store.changes_members(),
        }
    }

    fn concluded(&mut self) -> Vec<Concluded> {
        let concluded = self.operator.concluded();
        self.conclude(&concluded);
        concluded
    }

    async fn give_up(&mut self) -> Vec<Concluded> {
        let concluded = self.operator.give_up().await;
        self.conclude(&concluded);
        concluded
    }

    fn is_idle(&self) -> bool {
        self.operator.is_idle()
    }

    async fn restore(&mut self) -> Result<bool, TargetError> {
        let changes =
            |step: &Step| matches!(step.fault, Fault::Add(_) | Fault::Remove(_) | Fault::Retire(_));
        let changed = self.plan.schedule.steps().iter().any(changes);
        if !changed || !self.store.changes_members() {
            return Ok(false);
        }
        // An order that was given up may still be on its way.
        tokio::time::sleep(LAST_ORDERS).await;
        // What lost its data is replaced: it must not come back under its old number.
        for node in self.cluster(None).nodes.intersection(&self.operator.lost.clone()) {
            self.hands.is_to_leave(*node, true);
            self.operator.take(Task::Retire(*node), false);
        }
        while self.cluster(None).nodes.len() < usize::from(self.plan.nodes) {
            self.join(self.cluster(None).next()).await?;
        }
        for node in self.cluster(None).nodes {
            self.operator.take(Task::Add(node), false);
        }
        Ok(true)
    }

    async fn apply(&mut self, action: &Action) -> Result<Outcome, TargetError> {
        if action.fault().is_order() {
            self.order(action).await?;
            return Ok(Outcome::default());
        }
        let starting: Vec<Node> = match action {
            Action::Restart(nodes) => nodes.iter().copied().collect(),
            // Those that have stopped for want of room start again.
            Action::Cure(Part::Disk) => {
                self.hands.crashed()?.into_iter().map(|(node, _)| node).collect()
            }
            _ => Vec::new(),
        };
        for node in starting {
            forget_address(&self.directory.node(&node.to_string()))?;
        }
        let mut outcome = self.hands.apply(action).await?;
        if let Some(sides) = &mut self.sides {
            sides.apply(action)?;
        }
        for node in outcome.restarted.clone() {
            if self.find(node).await? {
                self.operator.lost.remove(&node);
            } else {
                self.operator.lost.insert(node);
                outcome.restarted.retain(|restarted| *restarted != node);
                outcome.lost.push(node);
            }
        }
        Ok(outcome)
    }

    fn bites(&self, action: &Action) -> bool {
        let Action::Link(_, grudge) = action else { return false };
        let bites = self.hands.links().bites();
        bites.iter().any(|bite| bite.bit() && grudge.silences(bite.from, bite.to))
    }

    async fn stop(self) {
        // What could not be ended in order was killed.
        let _ = self.hands.stop(GRACE).await;
    }
}

/// The links between clients and nodes, where faults of links strike these too: clients stand beside
/// their home nodes, and reach the others over links of their own.
#[derive(Debug)]
struct Sides {
    links: Links,
    /// Where the clients at each node find all nodes.
    addresses: Vec<Addresses>,
    cluster: String,
}

impl Sides {
    async fn open(nodes: u16, cluster: &str) -> Result<Self, TargetError> {
        let links = Links::open(Node::first(nodes)).await?;
        let side = |home| {
            // The home node is reached directly, wherever it listens by then.
            let mut addresses = vec![([127, 0, 0, 1], 0).into(); usize::from(nodes)];
            for (node, proxy) in links.peers(home) {
                addresses[index(node)] = proxy;
            }
            Addresses::new(cluster, addresses)
        };
        let addresses = Node::first(nodes).map(side).collect();
        Ok(Sides { addresses, links, cluster: cluster.to_owned() })
    }

    /// Makes room for one more node, and for clients beside it.
    async fn join(&mut self, node: Node) -> Result<(), LinkError> {
        self.links.add(node).await?;
        let nowhere: SocketAddr = ([127, 0, 0, 1], 0).into();
        while self.addresses.len() <= index(node) {
            self.addresses.push(Addresses::new(&self.cluster, Vec::new()));
        }
        for (place, addresses) in self.addresses.iter().enumerate() {
            let home = Node(u16::try_from(place + 1).unwrap_or(u16::MAX));
            while addresses.count() <= index(node) {
                addresses.add(nowhere);
            }
            for (peer, proxy) in self.links.peers(home) {
                addresses.set(index(peer), proxy);
            }
        }
        Ok(())
    }

    /// Notes where a node listens.
    fn set(&self, node: Node, address: SocketAddr) {
        self.links.set_upstream(node, address);
        self.addresses[index(node)].set(index(node), address);
    }

    /// Closes and opens links as between nodes. An answer comes back over the link of the request, so
    /// that one is closed whichever way is.
    fn apply(&mut self, action: &Action) -> Result<(), LinkError> {
        let both = |grudge: &Grudge| {
            grudge.links().flat_map(|(from, to)| [(from, to), (to, from)]).collect::<Grudge>()
        };
        match action {
            Action::Link(trouble, grudge) => self.links.strike(*trouble, &both(grudge)),
            Action::Heal => {
                self.links.heal();
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Who leads by the nodes' own word: of two that claim to, the later.
fn leader(statuses: &[(Node, Option<Status>)]) -> Option<Leader> {
    let leads = |(node, status): &(Node, Option<Status>)| {
        let status = status.as_ref().filter(|status| status.role == Role::Leader)?;
        Some(Leader { node: *node, term: status.term })
    };
    statuses.iter().filter_map(leads).max_by_key(|leader| leader.term)
}

/// Whether somebody leads, or all are there and nobody is to.
fn serves(statuses: &[(Node, Option<Status>)]) -> bool {
    let is_peer = |status: &Status| status.role == Role::Peer;
    leader(statuses).is_some()
        || statuses.iter().all(|(_, status)| status.as_ref().is_some_and(is_peer))
}

/// Whether every node says something of itself and all tell the same, or what is still missing.
pub(crate) fn agree(
    statuses: impl IntoIterator<Item = (Node, Option<Status>)>,
) -> Result<(), String> {
    let mut first: Option<(Node, Status)> = None;
    for (node, status) in statuses {
        let Some(status) = status else { return Err(format!("{node} does not answer")) };
        if status.applied_index != status.commit_index {
            return Err(format!("{node} has not applied all that is committed"));
        }
        let Some((other, known)) = &first else {
            first = Some((node, status));
            continue;
        };
        if (status.term, status.leader) != (known.term, known.leader) {
            return Err(format!("{other} and {node} do not agree on who leads"));
        }
        if status.commit_index != known.commit_index {
            return Err(format!("{other} and {node} have not committed the same"));
        }
        if status.digest != known.digest {
            return Err(format!("{other} and {node} do not have the same"));
        }
    }
    Ok(())
}

/// Where a node with this directory writes down the address it listens on.
pub fn address_file(place: &Path) -> PathBuf {
    place.join("address")
}

fn forget_address(place: &Path) -> Result<(), TargetError> {
    match fs::remove_file(address_file(place)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(TargetError::Io {
            what: format!("cannot remove {}", address_file(place).display()),
            source: error,
        }),
        _ => Ok(()),
    }
}

/// Lays out a node's directory with its configuration, and says how to start it.
fn prepare(
    plan: &Plan,
    directory: &RunDir,
    program: &Path,
    node: Node,
    links: &Links,
) -> Result<Launch, TargetError> {
    let place = directory.node(&node.to_string());
    let io =
        |source| TargetError::Io { what: format!("cannot lay out {}", place.display()), source };
    fs::create_dir_all(&place).map_err(io)?;
    // Nodes are started in the directory they were planned in, wherever the harness was started.
    let place = fs::canonicalize(&place).map_err(io)?;
    let peers = links.peers(node).map(|(peer, proxy)| (NodeId(peer.0), format!("http://{proxy}")));
    let trace = plan.trace_nodes.then(|| std::path::absolute(directory.trace(&node.to_string())));
    let config = Config {
        id: NodeId(node.0),
        listen: ([127, 0, 0, 1], 0).into(),
        peers: peers.collect(),
        members: Some(Node::first(plan.nodes).map(|node| NodeId(node.0)).collect()),
        data_dir: place.join("data"),
        store: plan.store.parse()?,
        bug: plan.bug.clone(),
        seed: plan.seed,
        cluster: cluster_name(directory),
        timing: plan.election.map_or_else(Timing::default, Election::timing),
        reads: plan.reads,
        quorums: QuorumSizes::default(),
        snapshots: SNAPSHOTS,
        trace: trace.transpose().map_err(io)?,
    };
    let file = place.join("config.json");
    let text = serde_json::to_string_pretty(&config).map_err(io::Error::from).map_err(io)?;
    fs::write(&file, text).map_err(io)?;
    Ok(Launch {
        program: program.to_owned(),
        args: vec!["node".into(), "--config".into(), file.into()],
        data: place.join("data"),
        log: place.join("log"),
    })
}

/// What a run's cluster is called, while this process lives, by no other: ports go from hand to hand between
/// clusters on one machine.
fn cluster_name(directory: &RunDir) -> String {
    format!("{}-{}", directory.name(), std::process::id())
}

/// Nodes count from 1, addresses from 0.
pub(super) fn index(node: Node) -> usize {
    usize::from(node.0) - 1
}
