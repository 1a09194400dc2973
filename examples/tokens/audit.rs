//! Runs of the tokens, and who counts them on every snapshot.

use std::collections::BTreeSet;
use std::error::Error;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rashomon::campaign::plan::WorkloadName;
use rashomon::sim::mishap::Mishap;
use rashomon::sim::witness::{Breach, Witness};
use rashomon::sim::{Scenario, Settings, Snapshots, Subject, System, Telling};
use rashomon_stores::observe::cut::Cut;
use rashomon_stores::observe::mutants::Bug;
use rashomon_stores::replica::NodeId;

use super::core::{ENDOWMENT, Message, Tokens};

/// Whatever goes wrong with a run.
pub(crate) type AnyError = Box<dyn Error + Send + Sync>;

/// The seeds that were wrong, each with what was.
pub(crate) type Wrong = Vec<(u64, String)>;

/// How many nodes there are.
pub(crate) const NODES: u16 = 4;

/// A run of the tokens, with or without faults.
struct Bank {
    fair: bool,
}

/// Counts the tokens on every snapshot.
#[derive(Debug)]
pub(crate) struct Auditor {
    fair: bool,
    audited: u64,
    on_their_way: u64,
}

impl Auditor {
    /// What the accounts hold, and what their books say was sent and not taken in.
    fn by_the_books(cut: &Cut<Tokens, Message>) -> u64 {
        let mut total = 0;
        for (from, part) in &cut.parts {
            let account = &part.state.account;
            total += account.balance;
            for (to, open) in &account.open {
                let receiver = &cut.parts[to].state.account;
                let open = open.iter().filter(|(number, _)| !receiver.has_taken(*from, **number));
                total += open.map(|(_, amount)| amount).sum::<u64>();
            }
        }
        total
    }

    /// What the accounts hold, and what was recorded on its way; how much of it that was.
    fn by_the_channels(cut: &Cut<Tokens, Message>) -> (u64, u64) {
        let held: u64 = cut.parts.values().map(|part| part.state.account.balance).sum();
        let mut seen = BTreeSet::new();
        let mut on_their_way = 0;
        for (from, to, message) in cut.on_its_way() {
            let Message::Transfer { number, amount } = message else { continue };
            // A transfer that was sent again is there twice.
            let receiver = &cut.parts[&to].state.account;
            if !receiver.has_taken(from, *number) && seen.insert((from, to, *number)) {
                on_their_way += amount;
            }
        }
        (held + on_their_way, on_their_way)
    }
}

impl Witness<Tokens> for Auditor {
    fn noted(&mut self, _: NodeId, _: &String, _: &Tokens) -> Result<(), Breach> {
        Ok(())
    }

    fn stepped(&mut self, _: NodeId, _: &Tokens) -> Result<(), Breach> {
        Ok(())
    }

    fn crashed(&mut self, _: NodeId) {}

    fn glanced(&mut self, _: &[(NodeId, &Tokens)], _: bool) -> Result<(), Breach> {
        Ok(())
    }

    fn cut(&mut self, cut: &Cut<Tokens, Message>) -> Result<(), Breach> {
        let right = cut.parts.len() as u64 * ENDOWMENT;
        let number = cut.snapshot;
        let breach = |what: String| Err(Breach::new("conservation", what));
        let books = Auditor::by_the_books(cut);
        if books != right {
            return breach(format!(
                "snapshot {number} has {books} tokens by the books, not {right}"
            ));
        }
        let (channels, on_their_way) = Auditor::by_the_channels(cut);
        if self.fair && channels != right {
            return breach(format!(
                "snapshot {number} has {channels} tokens by the channels, not {right}"
            ));
        }
        self.audited += 1;
        self.on_their_way += u64::from(on_their_way > 0);
        Ok(())
    }

    fn sightings(&self) -> Vec<(&'static str, u64)> {
        vec![("audited", self.audited), ("audited with tokens on their way", self.on_their_way)]
    }
}

impl Subject for Bank {
    type Core = Tokens;
    type Witness = Auditor;

    fn options(&self) {}

    fn witness(&self) -> Auditor {
        Auditor { fair: self.fair, audited: 0, on_their_way: 0 }
    }
}

/// What a seed came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Audit {
    /// What was wrong, if anything was.
    pub(crate) breach: Option<String>,
    /// What was seen how often.
    pub(crate) seen: Vec<(&'static str, u64)>,
}

/// Every fourth seed is without faults.
pub(crate) fn is_fair(seed: u64) -> bool {
    seed.is_multiple_of(4)
}

/// Runs a seed.
pub(crate) fn audit(seed: u64, bug: Option<Bug>) -> Result<Audit, AnyError> {
    let fair = is_fair(seed);
    let settings = Settings {
        store: "tokens".to_owned(),
        bug: None,
        reads: Default::default(),
        workload: WorkloadName::Register,
        nemesis: if fair { "none" } else { "partition,kill,pause,network,disk,clock,cpu" }
            .parse()?,
        schedule: None,
        swarm: false,
        nodes: NODES,
        concurrency: 1,
        rate: 1.0,
        time_limit: Duration::from_secs(8),
    };
    let mut scenario = Scenario::generate(seed, &settings);
    // What is on a disk that rots is gone for good, tokens and all.
    scenario.climate.every.set(Mishap::BitRot, None);
    let snapshots = Some(Snapshots { every: Duration::from_millis(400), bug });
    let told = Telling { snapshots, ..Telling::NOTHING };
    let recorded = Bank { fair }.simulate(&scenario, told)?;
    let breach = recorded.breach.map(|breach| breach.to_string());
    Ok(Audit { breach, seen: recorded.sightings })
}

/// Runs seeds, on all processors, and adds up what was seen; stops at the first that is wrong if
/// `first` is set. The seeds that were wrong are in order.
pub(crate) fn audit_all(
    seeds: RangeInclusive<u64>,
    bug: Option<Bug>,
    first: bool,
) -> Result<(Wrong, Audit), AnyError> {
    let (next, end) = (AtomicU64::new(*seeds.start()), AtomicU64::new(*seeds.end()));
    let work = || {
        let mut audits = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > end.load(Ordering::Relaxed) {
                return Ok(audits);
            }
            let audit = audit(seed, bug)?;
            if first && audit.breach.is_some() {
                end.fetch_min(seed, Ordering::Relaxed);
            }
            audits.push((seed, audit));
        }
    };
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    let (mut wrong, mut sum) = (Vec::new(), Audit::default());
    type Done = Result<Vec<(u64, Audit)>, AnyError>;
    let done: Vec<Done> = thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().expect("a run does not panic")).collect()
    });
    for audits in done {
        for (seed, audit) in audits? {
            wrong.extend(audit.breach.map(|breach| (seed, breach)));
            for (what, count) in audit.seen {
                match sum.seen.iter_mut().find(|(known, _)| *known == what) {
                    Some((_, sum)) => *sum += count,
                    None => sum.seen.push((what, count)),
                }
            }
        }
    }
    wrong.sort();
    if first {
        wrong.truncate(1);
    }
    Ok((wrong, sum))
}
