//! One run, from the first operation to the last read after healing.
//!
//! Safety, then heal, then liveness: clients work while the schedule strikes; then every fault is
//! undone, and the store must serve and agree again (TigerBeetle's VOPR ends its simulations the
//! same way).

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use rashomon_checker::history::Value;
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::chronicle;
use super::conductor::Conductor;
use super::desk::Desk;
use super::finals::FinalReads;
use super::plan::Plan;
use super::recorder::Recorder;
use super::run_dir::RunDir;
use super::worker::{Shop, Worker};
use crate::target::{LocalCluster, Target, TargetError};
use crate::workload::{Outcome, Request};

/// How long a healed cluster may take until it serves and agrees again. Generous: a slow machine
/// must not turn a sound store into a violation.
pub(crate) const RECOVERY_LIMIT: Duration = Duration::from_secs(30);
pub(crate) const RECOVERY_POLL: Duration = Duration::from_millis(100);

/// The processes of a run's last reads are numbered from here; all others are the workers'.
pub const FINAL_READERS: u64 = 1_000_000_000;

/// Why a run could not be carried through.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The system under test, or a fault on it, failed us.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The history or another file of the run could not be written.
    #[error("cannot write {what} of the run")]
    Write {
        /// Which file.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A client crashed: a bug in Rashomon.
    #[error("a client crashed")]
    Client(#[from] tokio::task::JoinError),
}

/// Counts of completed operations, as they grow.
#[derive(Debug, Default)]
pub struct Tally {
    /// When the run began, once it has.
    pub began: OnceLock<Instant>,
    /// Happened.
    pub ok: AtomicU64,
    /// Certainly did not happen.
    pub fail: AtomicU64,
    /// Nobody knows.
    pub info: AtomicU64,
}

impl Tally {
    /// How many operations have ended.
    pub fn ended(&self) -> u64 {
        [&self.ok, &self.fail, &self.info].iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }
}

/// Somebody who wants to hear how a run goes.
pub trait Watcher: Send + Sync {
    /// Something happened, so long after the run began.
    fn say(&self, at: Duration, what: &str);
}

/// What became of the store after every fault was undone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recovery {
    /// How long it took until every node served and all agreed, in milliseconds from when the work
    /// had ended and every fault was undone; `None` if it never did.
    pub took_ms: Option<u64>,
    /// What was still missing when it was given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// Starts the nodes of a plan as processes of this same program, runs the plan, and stops them
/// whatever happened. `None` if it was to stop before they were up.
///
/// # Errors
/// As [`run`]; or when the nodes do not come up.
pub async fn run_live(
    plan: &Plan,
    directory: &RunDir,
    watcher: &dyn Watcher,
    tally: Arc<Tally>,
    mut stop: watch::Receiver<bool>,
) -> Result<Option<Recovery>, RunError> {
    let program = std::env::current_exe().map_err(|source| TargetError::Io {
        what: "cannot find this program's own file".into(),
        source,
    })?;
    let started = tokio::select! {
        started = LocalCluster::start(plan, directory, &program) => started?,
        // Dropping what has been started of the cluster kills it.
        _ = stop.wait_for(|stopped| *stopped) => return Ok(None),
    };
    let mut target = started;
    let outcome = run(plan, directory, &mut target, watcher, tally, stop).await;
    target.stop().await;
    outcome.map(Some)
}

/// Runs the plan against a started target and leaves the history in the run's directory. When
/// `stop` turns true, work ends early; healing and the last reads still happen.
///
/// # Errors
/// When the target or a file fails; whatever was struck is undone all the same.
pub async fn run<T: Target>(
    plan: &Plan,
    directory: &RunDir,
    target: &mut T,
    watcher: &dyn Watcher,
    tally: Arc<Tally>,
    stop: watch::Receiver<bool>,
) -> Result<Recovery, RunError> {
    let write = |what| move |source| RunError::Write { what, source };
    let recorder = Arc::new(Recorder::create(&directory.history()).map_err(write("the history"))?);
    tally.began.get_or_init(|| recorder.began());
    let shop = Arc::new(Shop {
        recorder: recorder.clone(),
        tally: tally.clone(),
        desk: Mutex::new(Desk::new(plan)),
    });
    let end = recorder.began() + Duration::from_secs_f64(plan.time_limit_s);

    let mut workers = JoinSet::new();
    for number in 0..plan.concurrency {
        let worker = worker(plan, target, &shop, number, u64::from(number))?;
        match &plan.operations {
            Some(script) => {
                workers.spawn(worker.follow(script.of(number).cloned().collect(), stop.clone()))
            }
            None => workers.spawn(worker.work(end, stop.clone())),
        };
    }
    let mut conductor = Conductor::new(target, recorder.clone(), watcher, tally);
    let conducted = conductor.conduct(&plan.schedule, end, stop).await;
    let undone = conductor.undo_everything().await;
    conducted.and(undone)?;
    while let Some(ended) = workers.join_next().await {
        ended?;
    }
    let recovery = recover(plan, &mut conductor, &shop).await?;
    recorder.finish().map_err(write("the history"))?;
    Ok(recovery)
}

fn worker<T: Target>(
    plan: &Plan,
    target: &T,
    shop: &Arc<Shop>,
    number: u16,
    process: u64,
) -> Result<Worker<T::Client>, TargetError> {
    let client = target.client(number, process)?;
    Ok(Worker { client, process, stride: u64::from(plan.concurrency), shop: shop.clone() })
}

/// Reads every key by way of every node until all reads succeed and the nodes agree.
async fn recover<T: Target>(
    plan: &Plan,
    conductor: &mut Conductor<'_, T>,
    shop: &Arc<Shop>,
) -> Result<Recovery, RunError> {
    let healed = Instant::now();
    let deadline = healed + RECOVERY_LIMIT;
    let mut missing = restore_in_time(conductor, deadline).await?;
    let mut readers = Vec::new();
    for node in conductor.target.living_members() {
        let number = node.0 - 1;
        let process = FINAL_READERS + u64::from(number);
        readers.push(worker(plan, conductor.target, shop, number, process)?);
    }
    let contract = plan.contract();
    if missing.is_none() && !contract.linearizable {
        // Reads may be alike by chance long before the nodes are.
        missing = settle_in_time(conductor, deadline).await.err();
    }
    shop.recorder.record(chronicle::final_reads());
    let reads = match &plan.operations {
        Some(script) => script.reads(),
        None => shop.desk().workload.final_reads(),
    };
    let mut finals = FinalReads::new(reads, &contract);
    loop {
        let failed = read_all(conductor, &mut readers, &mut finals, deadline).await.err();
        missing = missing.or(failed);
        let Some(why) = finals.disagreement() else { break };
        if Instant::now() >= deadline {
            missing = missing.or(Some(why));
        }
        if missing.is_some() {
            break;
        }
        tokio::time::sleep(RECOVERY_POLL).await;
    }
    if missing.is_none() {
        missing = settle_in_time(conductor, deadline).await.err();
    }
    let took = u64::try_from(healed.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Recovery { took_ms: missing.is_none().then_some(took), missing })
}

/// Lets the cluster be brought back to its size; says why, if it is not in time.
async fn restore_in_time<T: Target>(
    conductor: &mut Conductor<'_, T>,
    deadline: Instant,
) -> Result<Option<String>, TargetError> {
    while conductor.restore().await? {
        let mut is_whole = true;
        while !conductor.target.is_idle() {
            tokio::time::sleep(RECOVERY_POLL).await;
            is_whole &= conductor.hear_of_orders();
        }
        if is_whole {
            break;
        }
        if Instant::now() >= deadline {
            return Ok(Some("not everybody is a member who is to be one".into()));
        }
    }
    Ok(None)
}

/// One round of the final reads; says which one fails.
async fn read_all<T: Target>(
    conductor: &mut Conductor<'_, T>,
    readers: &mut [Worker<T::Client>],
    finals: &mut FinalReads,
    deadline: Instant,
) -> Result<(), String> {
    let requests = finals.requests();
    let mut missing = None;
    for reader in readers {
        conductor.watch().await;
        for (place, request) in requests.iter().enumerate() {
            match read_in_time(reader, request, deadline).await {
                Ok(value) => finals.answered(place, value),
                Err(why) => {
                    missing.get_or_insert(why);
                    break;
                }
            }
        }
    }
    missing.map_or(Ok(()), Err)
}

async fn read_in_time<C: crate::client::Client>(
    reader: &mut Worker<C>,
    request: &Request,
    deadline: Instant,
) -> Result<Value, String> {
    loop {
        let why = match reader.perform(request).await {
            Outcome::Ok(value) => return Ok(value),
            Outcome::Fail(why) | Outcome::Info(why) => why,
        };
        if Instant::now() >= deadline {
            return Err(format!("{} of {} fails: {why}", request.action.f(), request.key));
        }
        tokio::time::sleep(RECOVERY_POLL).await;
    }
}

async fn settle_in_time<T: Target>(
    conductor: &mut Conductor<'_, T>,
    deadline: Instant,
) -> Result<(), String> {
    loop {
        conductor.watch().await;
        match conductor.target.settled().await {
            Err(_) if Instant::now() < deadline => tokio::time::sleep(RECOVERY_POLL).await,
            settled => return settled,
        }
    }
}
