//! How fast the stores are: `cargo bench --bench stores`.
//!
//! Clusters of real processes on this machine, each node with a disk that is synced, behind the same
//! link proxies as in a test. Clients work in a closed loop: each asks again when it has its answer.
//! Half of the operations read a register and half write one, drawn from a few keys, for which
//! clients meet, or from many. Clients of a store with a leader ask it; others spread over the nodes.
//!
//! For each store, number of keys and number of clients: operations a second, their latencies, and
//! what an operation takes: processor time of the nodes, and of the clients with the proxies; messages
//! between nodes; transactions on disks. Answers that are no success are counted, and fail the run if
//! they are more than one in a hundred.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Parser;
use jiff::Timestamp;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rashomon::campaign::plan::{Plan, WorkloadName};
use rashomon::campaign::run_dir::RunDir;
use rashomon::client::{Client, HttpClient};
use rashomon::target::{LocalCluster, Target, address_file};
use rashomon::workload::{Action, Outcome, Request};
use rashomon_stores::catalogue::Store;
use rashomon_stores::node::server::StatusBody;
use tokio::runtime::Runtime;

/// Measures the stores beside each other.
#[derive(Parser)]
struct Arguments {
    /// The stores, with their settings after a colon.
    #[arg(long, num_args = 1.., default_values = ["raft", "paxos", "eventual", "eventual:r=3,w=3", "single"])]
    stores: Vec<Store>,
    /// Numbers of keys.
    #[arg(long, value_delimiter = ',', default_value = "4,1000")]
    keys: Vec<u32>,
    /// Numbers of clients.
    #[arg(long, value_delimiter = ',', default_value = "1,10,50")]
    clients: Vec<u16>,
    /// The nodes of each store but `single`.
    #[arg(long, default_value_t = 5)]
    nodes: u16,
    /// How long is measured, after a fifth of that to warm up.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Writes the tables into this page, in place of what is between its lines `<!-- measured -->`.
    #[arg(long)]
    docs: Option<PathBuf>,
    /// Given by `cargo bench`. Without it (`cargo test --benches`) everything is tried for a moment.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Where the tables stand in a page.
const MARK: &str = "<!-- measured -->";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = Arguments::parse();
    if !arguments.bench {
        (arguments.seconds, arguments.clients, arguments.keys) = (0.2, vec![2], vec![4]);
    }
    let runtime = Runtime::new()?;
    let mut tables = String::new();
    for keys in &arguments.keys {
        writeln!(tables, "\n### {keys} keys\n\n{HEAD}")?;
        for store in &arguments.stores {
            for clients in &arguments.clients {
                let setting = Setting { store: *store, keys: *keys, clients: *clients };
                eprintln!("{store}, {keys} keys, {clients} clients");
                let row = setting.measure(&arguments, &runtime)?;
                writeln!(tables, "{row}")?;
            }
        }
    }
    println!("{tables}");
    if let Some(page) = &arguments.docs {
        let text = fs::read_to_string(page)?;
        let parts: Vec<&str> = text.split(MARK).collect();
        let [before, _, after] = parts[..] else {
            return Err(format!("{} needs two lines {MARK}", page.display()).into());
        };
        fs::write(page, format!("{before}{MARK}\n{tables}\n{MARK}{after}"))?;
    }
    Ok(())
}

const HEAD: &str = "\
| store | clients | op/s | p50 | p99 | max | nodes' CPU | clients' CPU | messages | commits |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|";

/// What is measured by itself.
#[derive(Clone, Copy)]
struct Setting {
    store: Store,
    keys: u32,
    clients: u16,
}

/// What a client, or all of them, have seen.
#[derive(Default)]
struct Seen {
    latencies: Vec<Duration>,
    failures: Vec<String>,
}

/// What nodes count.
#[derive(Clone, Copy, Default)]
struct Counted {
    messages: u64,
    commits: u64,
}

impl Setting {
    /// Starts a cluster, measures, stops it, and writes a row of the table.
    fn measure(self, arguments: &Arguments, runtime: &Runtime) -> Result<String, Box<dyn Error>> {
        let Setting { store, clients, .. } = self;
        let nodes = if store.is_alone() { 1 } else { arguments.nodes };
        // Beside what was compiled: directories for temporary files are often in memory.
        let parent = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench");
        let directory = RunDir::create(&parent, store.name(), Timestamp::now())?;
        let before = processor_time();
        let measured = runtime.block_on(async {
            let plan = self.plan(nodes);
            let program = Path::new(env!("CARGO_BIN_EXE_rashomon"));
            let cluster = LocalCluster::start(&plan, &directory, program).await?;
            let measured = self.work(&cluster, nodes, &directory, arguments.seconds).await;
            cluster.stop().await;
            measured
        });
        fs::remove_dir_all(directory.path())?;
        let (mut seen, counted, all) = measured?;
        let ok = seen.latencies.len();
        if let Some(why) = seen.failures.first().filter(|_| seen.failures.len() * 100 > ok) {
            let count = seen.failures.len();
            return Err(format!("{store}: {count} failures and {ok} successes: {why}").into());
        }
        seen.latencies.sort_unstable();
        let at = |share: f64| seen.latencies[((ok - 1) as f64 * share).ceil() as usize];
        // What the nodes used is known when they have ended, so the warm-up is in it.
        let cpu = |of: fn((Duration, Duration)) -> Duration| match (before, processor_time()) {
            (Some(before), Some(after)) => micros((of(after) - of(before)) / all.max(1)),
            _ => "–".to_owned(),
        };
        let each = |count: u64| format!("{:.1}", count as f64 / f64::from(all.max(1)));
        Ok(format!(
            "| {store} | {clients} | {:.0} | {} | {} | {} | {} | {} | {} | {} |",
            ok as f64 / arguments.seconds,
            micros(at(0.5)),
            micros(at(0.99)),
            micros(at(1.0)),
            cpu(|(_, nodes)| nodes),
            cpu(|(own, _)| own),
            each(counted.messages),
            each(counted.commits),
        ))
    }

    fn plan(self, nodes: u16) -> Plan {
        Plan {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            seed: 1,
            store: self.store.to_string(),
            bug: None,
            reads: Default::default(),
            election: None,
            nodes,
            concurrency: self.clients,
            rate: 1.0,
            time_limit_s: 1.0,
            operation_timeout_ms: 5_000,
            workload: WorkloadName::Register,
            trace_nodes: false,
            mixture: None,
            nemesis: Default::default(),
            schedule: Default::default(),
            client_links: false,
            roam: false,
            contract: None,
            operations: None,
        }
    }

    /// Lets the clients work; says what they saw while it was measured, what the nodes counted, and
    /// how many operations there were with those of the warm-up.
    async fn work(
        self,
        cluster: &LocalCluster,
        nodes: u16,
        directory: &RunDir,
        seconds: f64,
    ) -> Result<(Seen, Counted, u32), Box<dyn Error>> {
        let leader = cluster.leader().await;
        let begin = Instant::now() + Duration::from_secs_f64(seconds / 5.0);
        let end = begin + Duration::from_secs_f64(seconds);
        let before = counted(nodes, directory).await?;
        let mut clients = Vec::new();
        for number in 0..self.clients {
            let home = leader.map_or(number, |leader| leader.node.0 - 1);
            let client = cluster.client(home, u64::from(number) + 1)?;
            clients.push(tokio::spawn(self.client(number, client, begin, end)));
        }
        let (mut all, mut total) = (Seen::default(), 0);
        for client in clients {
            let (seen, count) = client.await?;
            all.latencies.extend(seen.latencies);
            all.failures.extend(seen.failures);
            total += count;
        }
        let after = counted(nodes, directory).await?;
        let counted = Counted {
            messages: after.messages - before.messages,
            commits: after.commits - before.commits,
        };
        if all.latencies.is_empty() {
            return Err(
                format!("{}: no operation succeeded: {:?}", self.store, all.failures).into()
            );
        }
        Ok((all, counted, total))
    }

    /// One client's work: what it saw while it was measured, and how many operations it did in all.
    async fn client(
        self,
        number: u16,
        mut client: HttpClient,
        begin: Instant,
        end: Instant,
    ) -> (Seen, u32) {
        let mut rng = ChaCha8Rng::seed_from_u64(u64::from(number));
        let (mut seen, mut count) = (Seen::default(), 0);
        loop {
            let key = format!("x{}", rng.random_range(0..self.keys));
            let action = match rng.random() {
                true => Action::Read,
                false => Action::Write((i64::from(number) << 32) | i64::from(count)),
            };
            let asked = Instant::now();
            let answer = client.perform(&Request { key, action }).await;
            let now = Instant::now();
            if now >= end {
                return (seen, count);
            }
            count += 1;
            match answer.outcome {
                _ if now < begin => {}
                Outcome::Ok(_) => seen.latencies.push(now - asked),
                Outcome::Fail(why) | Outcome::Info(why) => seen.failures.push(why),
            }
        }
    }
}

/// What all nodes have counted so far.
async fn counted(nodes: u16, directory: &RunDir) -> Result<Counted, Box<dyn Error>> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let mut sum = Counted::default();
    for node in 1..=nodes {
        let address = fs::read_to_string(address_file(&directory.node(&format!("n{node}"))))?;
        let url = format!("http://{}/status", address.trim());
        let status: StatusBody = http.get(url).send().await?.json().await?;
        sum.messages += status.messages_sent;
        sum.commits += status.disk_commits;
    }
    Ok(sum)
}

/// The processor time of this process, and of its children that have ended, where `/proc` says it: in
/// hundredths of a second.
fn processor_time() -> Option<(Duration, Duration)> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program may have anything in it, but ends with the last bracket.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let sum = |user: usize| -> Option<Duration> {
        let ticks =
            fields.get(user)?.parse::<u64>().ok()? + fields.get(user + 1)?.parse::<u64>().ok()?;
        Some(Duration::from_millis(ticks * 10))
    };
    Some((sum(11)?, sum(13)?))
}

/// A duration for people.
fn micros(duration: Duration) -> String {
    let micros = duration.as_secs_f64() * 1e6;
    if micros < 1e3 { format!("{micros:.0} µs") } else { format!("{:.1} ms", micros / 1e3) }
}
