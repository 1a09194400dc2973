//! What the key-value tests have in common: clients at work while the network splits and servers
//! crash, for three rounds; and what must be there in the end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use rashomon_checker::history::{Event, EventType, History, Process, Value};
use rashomon_checker::linearizability::{self, Options, Verdict};
use rashomon_checker::model::Model;

use super::Failure;
use super::clerk::{Clerk, end_of};
use super::lab::Lab;
use super::steps::ELECTION;
use super::tasks::Spawned;
use crate::campaign::Entry;

/// What a test of the store is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trial {
    clients: usize,
    crashes: bool,
    partitions: bool,
    log_size_max: Option<u64>,
}

const ROUNDS: usize = 3;

/// How long clients work in a round, in milliseconds.
const WORK: u64 = 5_000;

impl Trial {
    /// So many clients, and nothing goes wrong.
    pub(super) const fn clients(clients: usize) -> Self {
        Trial { clients, crashes: false, partitions: false, log_size_max: None }
    }

    /// All servers crash in the end of a round.
    pub(super) const fn crashes(self) -> Self {
        Trial { crashes: true, ..self }
    }

    /// The network splits in two, another way every second.
    pub(super) const fn partitions(self) -> Self {
        Trial { partitions: true, ..self }
    }

    /// Servers compact their logs, which hold so many bytes at most.
    pub(super) const fn compacting(self, log_size_max: u64) -> Self {
        Trial { log_size_max: Some(log_size_max), ..self }
    }
}

/// Clients append to a key each, and read just what they wrote.
pub(super) async fn own_keys(lab: &Lab, trial: Trial) -> Result<(), Failure> {
    let mut clerk = Clerk::of_all(lab);
    for _ in 0..ROUNDS {
        let begin = |number, done| append_to_own_key(lab.clone(), number, done);
        let clients = round(lab, trial, begin).await?;
        for (number, client) in clients.into_iter().enumerate() {
            let appended = client.join().await?;
            let value = clerk.get(&number.to_string()).await?;
            check_items(lab, number, appended, &value)?;
        }
        check_sizes(lab, trial)?;
    }
    Ok(())
}

/// Clients use the same keys, and one order must explain what they saw.
pub(super) async fn shared_keys(lab: &Lab, trial: Trial) -> Result<(), Failure> {
    let record = Record::default();
    for _ in 0..ROUNDS {
        let begin = |number, done| {
            use_shared_keys(lab.clone(), number as u64, trial.clients as u64, done, record.clone())
        };
        for client in round(lab, trial, begin).await? {
            client.join().await?;
        }
        check_sizes(lab, trial)?;
    }
    record.check(lab)
}

/// Lets clients work for a while, and everything go wrong that is to.
async fn round<T: 'static, F: Future<Output = T> + 'static>(
    lab: &Lab,
    trial: Trial,
    begin: impl Fn(usize, Rc<Cell<bool>>) -> F,
) -> Result<Vec<Spawned<T>>, Failure> {
    let done = Rc::new(Cell::new(false));
    let clients = (0..trial.clients).map(|number| lab.spawn(begin(number, done.clone()))).collect();
    let mut splits = None;
    if trial.partitions {
        lab.sleep(1_000).await;
        splits = Some(lab.spawn(split_again_and_again(lab.clone(), done.clone())));
    }
    lab.sleep(WORK).await;
    done.set(true);
    if let Some(splits) = splits {
        splits.join().await;
        lab.split(|_| false);
        // Time for the parts to agree on who leads.
        lab.sleep(ELECTION).await;
    }
    if trial.crashes {
        (0..lab.servers()).for_each(|server| lab.crash(server));
        lab.sleep(ELECTION).await;
        (0..lab.servers()).try_for_each(|server| lab.restart(server))?;
    }
    Ok(clients)
}

async fn split_again_and_again(lab: Lab, done: Rc<Cell<bool>>) {
    while !done.get() {
        lab.split(|_| lab.chance(0.5));
        lab.sleep(ELECTION + lab.random(200)).await;
    }
}

async fn append_to_own_key(
    lab: Lab,
    number: usize,
    done: Rc<Cell<bool>>,
) -> Result<usize, Failure> {
    let (key, mut clerk) = (number.to_string(), Clerk::of_all(&lab));
    let (mut appended, mut value) = (0, String::new());
    clerk.put(&key, "").await?;
    while !done.get() {
        think(&lab).await;
        if lab.chance(0.5) {
            let item = item(number, appended);
            clerk.append(&key, &item).await?;
            value += &item;
            appended += 1;
        } else {
            clerk.check(&key, &value).await?;
        }
    }
    Ok(appended)
}

/// A client's pause between two operations: at most this, in milliseconds. The tests know none,
/// but their stores take about as long for an operation.
const THINK_MAX: u64 = 20;

async fn think(lab: &Lab) {
    lab.sleep(lab.random(THINK_MAX + 1)).await;
}

/// What a client appends.
pub(super) fn item(client: usize, nth: usize) -> String {
    format!("x {client} {nth} y")
}

/// All that a client has appended is there, once and in order.
pub(super) fn check_items(
    lab: &Lab,
    client: usize,
    appended: usize,
    value: &str,
) -> Result<(), Failure> {
    let mut end = 0;
    for nth in 0..appended {
        let item = item(client, nth);
        let Some(found) = value.find(&item) else {
            return lab.fail(format!("{item:?} was appended and is not in {}", end_of(value)));
        };
        lab.ensure(value.rfind(&item) == Some(found), || format!("{item:?} is there twice"))?;
        lab.ensure(found >= end, || format!("{item:?} is out of order in {}", end_of(value)))?;
        end = found + item.len();
    }
    Ok(())
}

fn check_sizes(lab: &Lab, trial: Trial) -> Result<(), Failure> {
    trial.log_size_max.map_or(Ok(()), |bound| lab.log_sizes_at_most(bound))
}

async fn use_shared_keys(
    lab: Lab,
    client: u64,
    clients: u64,
    done: Rc<Cell<bool>>,
    record: Record,
) -> Result<(), Failure> {
    let (mut clerk, mut nth) = (Clerk::of_all(&lab), 0);
    while !done.get() {
        think(&lab).await;
        let key = lab.random(clients).to_string();
        let item = item(client as usize, nth);
        nth += 1;
        let begin = |f, value| record.add(&lab, client, EventType::Invoke, (f, &key, value));
        let end = |f, value| record.add(&lab, client, EventType::Ok, (f, &key, value));
        match lab.random(1_000) {
            0..500 => {
                begin("append", Value::text(&item));
                clerk.append(&key, &item).await?;
                end("append", Value::text(&item));
            }
            500..550 => {
                begin("put", Value::text(&item));
                clerk.put(&key, &item).await?;
                end("put", Value::text(&item));
            }
            _ => {
                begin("get", Value::Nil);
                let value = clerk.get(&key).await?;
                end("get", Value::text(&value));
            }
        }
    }
    Ok(())
}

/// What clients did and saw.
#[derive(Clone, Default)]
struct Record(Rc<RefCell<Vec<Event>>>);

impl Record {
    fn add(&self, lab: &Lab, client: u64, kind: EventType, what: (&'static str, &str, Value)) {
        let mut events = self.0.borrow_mut();
        let (f, key, value) = what;
        let (process, key) = (Process::Client(client), Some(Value::text(key)));
        let entry = Entry { process, kind, f, key, value, node: None, error: None };
        let index = events.len() as u64;
        events.push(entry.event(index, lab.now()));
    }

    /// Whether one order explains it all.
    fn check(&self, lab: &Lab) -> Result<(), Failure> {
        let events = self.0.borrow();
        let judge = || -> Result<Verdict, Box<dyn std::error::Error>> {
            let history = History::from_events(&events)?;
            let model: Model = "kv".parse()?;
            Ok(linearizability::check(&history, &model, &Options::default())?)
        };
        match judge() {
            Ok(Verdict::Valid(_)) => Ok(()),
            Ok(Verdict::Invalid(why)) => lab.fail(why.sentence()),
            Ok(Verdict::Unknown(bound)) => lab.fail(format!("the history is undecided: {bound:?}")),
            Err(error) => lab.fail(error.to_string()),
        }
    }
}
