//! The disk: one redb database per node, written by a thread of its own.
//!
//! A commit with its fsync takes milliseconds, and a core may have persisted many batches by then:
//! the thread takes everything that is waiting into one transaction (group commit), commits it,
//! and reports the last ticket. Redb's transactions are atomic and durable when they return; after
//! a crash, the last one committed is found again.
//!
//! A disk may also give back other bytes than it was given. Redb has checksums, but looks at them
//! only when it is told to: they are checked at every start, and a node whose disk is damaged does
//! not start, because one that forgets must not come back under its old name (Alagappan et al.,
//! "Protocol-Aware Recovery for Consensus-Based Storage", FAST 2018). For the same reason every commit
//! has two phases: with one, redb takes a damaged transaction for one that a crash tore, and goes
//! back to the one before.

use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

use redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, Table, TableDefinition,
    WriteTransaction,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc as channel;

use super::ailments::Disk;
use super::volatile::{Held, VolatileFile};
use crate::catalogue::Store;
use crate::replica::{NodeId, Slot, Ticket, Write};

const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
const ABOUT: TableDefinition<'_, &str, &str> = TableDefinition::new("about");
const FORMAT: &str = "1";
const FILE: &str = "node.redb";

/// Whose data this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) cluster: String,
    pub(super) id: NodeId,
    pub(super) store: Store,
}

/// Why the disk cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The directory cannot be made.
    #[error("cannot create the data directory {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The database cannot be opened, read or written.
    #[error("cannot {doing} {}", path.display())]
    Database {
        /// What was tried.
        doing: &'static str,
        /// The database file.
        path: PathBuf,
        /// What the database says.
        source: Box<redb::Error>,
    },
    /// The database belongs to another node, cluster, store or version of this program.
    #[error(
        "{} holds the data of another {what} ({found}, not {expected}); give each node a data \
         directory of its own",
        path.display()
    )]
    Foreign {
        /// The database file.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// What the database says.
        found: String,
        /// What this node says.
        expected: String,
    },
    /// There is no room for what is to be written.
    #[error("there is no room for {}", path.display())]
    Full {
        /// The database file.
        path: PathBuf,
    },
    /// A record is not what was written.
    #[error(
        "{} is damaged: {why}; the node must not start again under this number, also not with an \
         empty disk: remove it from the cluster and add another under a new number",
        path.display()
    )]
    Corrupt {
        /// The database file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The thread that writes could not be started.
    #[error("cannot start the storage thread")]
    Thread(#[source] std::io::Error),
}

/// What was found on the disk.
#[derive(Debug)]
pub(super) struct Found<Record> {
    /// Every record, in the order of slots.
    pub(super) records: Vec<(Slot, Record)>,
    /// How often the node has started, this time included.
    pub(super) incarnation: u64,
}

/// The open database; dropping it waits for the write under way.
#[derive(Debug)]
pub(super) struct Storage<Record> {
    batches: Option<mpsc::Sender<Batch<Record>>>,
    thread: Option<JoinHandle<()>>,
    commits: Arc<AtomicU64>,
}

type Batch<Record> = (Ticket, Vec<Write<Record>>);

/// Where the thread reports: the last durable ticket, or the failure after which nothing follows.
pub(super) type Reports = channel::UnboundedReceiver<Result<Ticket, StorageError>>;

/// Opens the database in the directory, creating both if need be.
pub(super) fn open<Record>(
    directory: &Path,
    owner: &Owner,
    disk: Arc<Disk>,
) -> Result<(Storage<Record>, Reports, Found<Record>), StorageError>
where
    Record: Serialize + DeserializeOwned + Send + 'static,
{
    std::fs::create_dir_all(directory)
        .map_err(|source| StorageError::Directory { path: directory.to_owned(), source })?;
    let file = File { path: directory.join(FILE) };
    let database = file.open(&disk)?;
    let incarnation = file.claim(&database, owner)?;
    let records = file.read(&database)?;
    let (batches, waiting) = mpsc::channel();
    let commits = Arc::new(AtomicU64::new(0));
    let committed = commits.clone();
    let (reporter, reports) = channel::unbounded_channel();
    let thread = std::thread::Builder::new()
        .name(format!("storage-{}", owner.id))
        .spawn(move || {
            let mut waiting = waiting;
            while let Some(result) = file.write_waiting(&database, &disk, &mut waiting) {
                let failed = result.is_err();
                committed.fetch_add(u64::from(!failed), Ordering::Relaxed);
                if reporter.send(result).is_err() || failed {
                    break;
                }
            }
        })
        .map_err(StorageError::Thread)?;
    let storage = Storage { batches: Some(batches), thread: Some(thread), commits };
    Ok((storage, reports, Found { records, incarnation }))
}

impl<Record> Storage<Record> {
    /// How many transactions are durable, now and later.
    pub(super) fn commits(&self) -> Arc<AtomicU64> {
        self.commits.clone()
    }

    /// Starts writing a batch. If the thread has failed, its report says so.
    pub(super) fn write(&self, ticket: Ticket, writes: Vec<Write<Record>>) {
        if let Some(batches) = &self.batches {
            // The thread ends early only after reporting a failure, which stops the node.
            let _ = batches.send((ticket, writes));
        }
    }
}

impl<Record> Drop for Storage<Record> {
    fn drop(&mut self) {
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed and has closed its reports.
            let _ = thread.join();
        }
    }
}

/// The database file, for doing things to it and saying where they failed.
#[derive(Clone, Debug)]
struct File {
    path: PathBuf,
}

impl File {
    fn error(&self, doing: &'static str, source: impl Into<redb::Error>) -> StorageError {
        StorageError::Database { doing, path: self.path.clone(), source: Box::new(source.into()) }
    }

    fn corrupt(&self, why: impl Into<String>) -> StorageError {
        StorageError::Corrupt { path: self.path.clone(), why: why.into() }
    }

    /// Opens the database and looks at every checksum in it.
    fn open(&self, disk: &Arc<Disk>) -> Result<Database, StorageError> {
        let opened = panic::catch_unwind(AssertUnwindSafe(|| {
            let file = VolatileFile::open(&self.path, disk.clone());
            let file = file.map_err(|e| self.cannot_open(e))?;
            disk.holds(&file);
            let database = Database::builder().create_with_backend(Held(file));
            let mut database = database.map_err(|e| self.cannot_open(e))?;
            match database.check_integrity().map_err(|e| self.cannot_open(e))? {
                true => Ok(database),
                false => Err(self.corrupt("its parts do not fit together")),
            }
        }));
        // Redb panics over some damage; what it says has been printed.
        opened.unwrap_or_else(|_| Err(self.corrupt("it cannot be made sense of")))
    }

    fn cannot_open(&self, error: DatabaseError) -> StorageError {
        match error {
            DatabaseError::Storage(redb::StorageError::Corrupted(why)) => self.corrupt(why),
            other => self.error("open", other),
        }
    }

    /// Begins a transaction; see the module on why its commit has two phases.
    fn begin(
        &self,
        database: &Database,
        doing: &'static str,
    ) -> Result<WriteTransaction, StorageError> {
        let mut transaction = database.begin_write().map_err(|e| self.error(doing, e))?;
        transaction.set_two_phase_commit(true);
        Ok(transaction)
    }

    /// Checks whose data this is, or makes it the owner's if it is new, and counts the start.
    fn claim(&self, database: &Database, owner: &Owner) -> Result<u64, StorageError> {
        let doing = "write the description in";
        let transaction = self.begin(database, doing)?;
        let mut about = transaction.open_table(ABOUT).map_err(|e| self.error(doing, e))?;
        let described = [
            ("format", FORMAT.to_owned()),
            ("cluster", owner.cluster.clone()),
            ("store", owner.store.to_string()),
            ("node", owner.id.to_string()),
        ];
        for (what, expected) in described {
            let found = self.swap(&mut about, what, &expected)?;
            if let Some(found) = found.filter(|found| *found != expected) {
                return Err(StorageError::Foreign {
                    path: self.path.clone(),
                    what,
                    found,
                    expected,
                });
            }
        }
        let before = self.swap(&mut about, "incarnation", "")?;
        let before: u64 = match before {
            Some(count) => count.parse().map_err(|_| self.corrupt("its count of starts is odd"))?,
            None => 0,
        };
        let incarnation = before + 1;
        self.swap(&mut about, "incarnation", &incarnation.to_string())?;
        drop(about);
        transaction.open_table(RECORDS).map_err(|e| self.error(doing, e))?;
        transaction.commit().map_err(|e| self.error(doing, e))?;
        Ok(incarnation)
    }

    fn swap(
        &self,
        about: &mut Table<'_, &str, &str>,
        what: &str,
        value: &str,
    ) -> Result<Option<String>, StorageError> {
        let before = about
            .insert(what, value)
            .map_err(|e| self.error("write the description in", e))?
            .map(|found| found.value().to_owned());
        Ok(before)
    }

    fn read<Record: DeserializeOwned>(
        &self,
        database: &Database,
    ) -> Result<Vec<(Slot, Record)>, StorageError> {
        let doing = "read the records in";
        let transaction = database.begin_read().map_err(|e| self.error(doing, e))?;
        let table = transaction.open_table(RECORDS).map_err(|e| self.error(doing, e))?;
        let mut records = Vec::new();
        for row in table.iter().map_err(|e| self.error(doing, e))? {
            let (key, value) = row.map_err(|e| self.error(doing, e))?;
            let slot = decode_slot(key.value())
                .ok_or_else(|| self.corrupt(format!("{:?} is not a slot", key.value())))?;
            let record = serde_json::from_slice(value.value())
                .map_err(|e| self.corrupt(format!("the record in {slot:?}: {e}")))?;
            records.push((slot, record));
        }
        Ok(records)
    }

    /// Waits for a batch, writes it and all that came in meanwhile, and says what is durable now;
    /// `None` when nobody will send any more.
    fn write_waiting<Record: Serialize>(
        &self,
        database: &Database,
        disk: &Disk,
        waiting: &mut mpsc::Receiver<Batch<Record>>,
    ) -> Option<Result<Ticket, StorageError>> {
        let first = waiting.recv().ok()?;
        if !disk.has_room() {
            return Some(Err(StorageError::Full { path: self.path.clone() }));
        }
        let batches = std::iter::once(first).chain(waiting.try_iter());
        Some(self.write(database, batches))
    }

    fn write<Record: Serialize>(
        &self,
        database: &Database,
        batches: impl Iterator<Item = Batch<Record>>,
    ) -> Result<Ticket, StorageError> {
        let doing = "write to";
        let transaction = self.begin(database, doing)?;
        let mut last = Ticket::NONE;
        for (ticket, writes) in batches {
            self.write_batch(&transaction, writes)?;
            last = ticket;
        }
        transaction.commit().map_err(|e| self.error(doing, e))?;
        Ok(last)
    }

    fn write_batch<Record: Serialize>(
        &self,
        transaction: &WriteTransaction,
        writes: Vec<Write<Record>>,
    ) -> Result<(), StorageError> {
        let doing = "write to";
        let mut table = transaction.open_table(RECORDS).map_err(|e| self.error(doing, e))?;
        for write in writes {
            match write {
                Write::Put(slot, record) => {
                    let bytes = serde_json::to_vec(&record)
                        .map_err(|e| self.corrupt(format!("a record has no JSON form: {e}")))?;
                    table
                        .insert(encode_slot(&slot).as_slice(), bytes.as_slice())
                        .map_err(|e| self.error(doing, e))?;
                }
                Write::Erase(from, to) => {
                    let (from, to) = (encode_slot(&from), encode_slot(&to));
                    table
                        .retain_in(from.as_slice()..=to.as_slice(), |_, _| false)
                        .map_err(|e| self.error(doing, e))?;
                }
            }
        }
        Ok(())
    }
}

/// Bytes whose order is the order of slots.
fn encode_slot(slot: &Slot) -> Vec<u8> {
    match slot {
        Slot::Numbered(area, number) => {
            let mut bytes = vec![0, *area];
            bytes.extend_from_slice(&number.to_be_bytes());
            bytes
        }
        Slot::Named(area, name) => {
            let mut bytes = vec![1, *area];
            bytes.extend_from_slice(name.as_bytes());
            bytes
        }
    }
}

fn decode_slot(bytes: &[u8]) -> Option<Slot> {
    match bytes {
        [0, area, number @ ..] => {
            Some(Slot::Numbered(*area, u64::from_be_bytes(number.try_into().ok()?)))
        }
        [1, area, name @ ..] => Some(Slot::Named(*area, std::str::from_utf8(name).ok()?.into())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::ailments::{Ailment, Ailments};
    use super::*;

    fn owner() -> Owner {
        Owner { cluster: "test".to_owned(), id: NodeId(1), store: Store::Raft }
    }

    fn slot() -> impl Strategy<Value = Slot> {
        let number = prop_oneof![0u64..10, Just(255), Just(256), Just(u64::MAX)];
        prop_oneof![
            (0u8..3, number).prop_map(|(area, number)| Slot::Numbered(area, number)),
            (0u8..3, "[a-cé]{0,3}").prop_map(|(area, name)| Slot::Named(area, name.into())),
        ]
    }

    fn write() -> impl Strategy<Value = Write<u32>> {
        prop_oneof![
            3 => (slot(), any::<u32>()).prop_map(|(slot, record)| Write::Put(slot, record)),
            1 => (slot(), slot()).prop_map(|(a, b)| Write::Erase(a.clone().min(b.clone()), a.max(b))),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]

        #[test]
        fn slots_are_ordered_on_disk_as_in_memory(a in slot(), b in slot()) {
            prop_assert_eq!(encode_slot(&a).cmp(&encode_slot(&b)), a.cmp(&b));
            prop_assert_eq!(decode_slot(&encode_slot(&a)), Some(a));
        }

        /// However the thread groups the batches, all of them are there when the last is reported,
        /// and after opening the database again.
        #[test]
        fn a_database_holds_what_was_written(lives in vec(vec(vec(write(), 1..4), 0..8), 1..3)) {
            let directory = tempfile::tempdir().expect("a directory");
            let mut expected = BTreeMap::new();
            for (life, batches) in lives.into_iter().enumerate() {
                let (storage, mut reports, found) =
                    open::<u32>(directory.path(), &owner(), Arc::default()).expect("it opens");
                prop_assert_eq!(found.incarnation, life as u64 + 1);
                let held: Vec<_> = expected.clone().into_iter().collect();
                prop_assert_eq!(found.records, held);
                let count = batches.len() as u64;
                for (number, writes) in batches.into_iter().enumerate() {
                    for write in &writes {
                        match write.clone() {
                            Write::Put(slot, record) => drop(expected.insert(slot, record)),
                            Write::Erase(from, to) => expected.retain(|at, _| *at < from || *at > to),
                        }
                    }
                    storage.write(Ticket(number as u64 + 1), writes);
                }
                let mut last = Ticket::NONE;
                while last < Ticket(count) {
                    let report = reports.blocking_recv().expect("a report").expect("no failure");
                    prop_assert!(report > last, "reports go forward");
                    last = report;
                }
            }
        }
    }

    /// Whenever the power goes, whatever of the unsynced writes is lost: the database opens, and what it
    /// had called durable is in it, whole batches of what came after at most.
    #[test]
    fn what_was_called_durable_survives_a_loss_of_power() {
        let mut lost = 0;
        for seed in 0..24 {
            let directory = tempfile::tempdir().expect("a directory");
            let ailments = Ailments::default();
            let disk = ailments.disk.clone();
            let (storage, mut reports, _) =
                open::<String>(directory.path(), &owner(), disk).expect("it opens");
            // A sync takes its time, so that there are unsynced writes most of the time.
            ailments.befall(Ailment::Stall(Duration::from_millis(2)));
            let mut durable = Ticket::NONE;
            for number in 1..=100 {
                let record = format!("record {number}: {}", "x".repeat(50 * (number % 7) as usize));
                storage.write(Ticket(number), vec![Write::Put(Slot::Numbered(2, number), record)]);
                while let Ok(Ok(report)) = reports.try_recv() {
                    durable = report;
                }
                std::thread::sleep(Duration::from_micros(seed * 7));
            }
            ailments.befall(Ailment::Unplug(seed));
            drop(storage);
            while let Some(Ok(report)) = reports.blocking_recv() {
                durable = report;
            }
            let reopened = open::<String>(directory.path(), &owner(), Arc::default());
            let (_, _, found) = reopened.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            let count = found.records.len() as u64;
            assert!(count >= durable.0, "seed {seed}: {count} of {durable:?}");
            for (place, (slot, record)) in found.records.iter().enumerate() {
                let number = place as u64 + 1;
                assert_eq!(*slot, Slot::Numbered(2, number), "seed {seed}");
                assert!(record.starts_with(&format!("record {number}:")), "seed {seed}");
            }
            lost += u32::from(count < 100);
        }
        assert!(lost > 12, "something was lost in {lost} of 24 only");
    }

    /// A database of sixty records: its file after a clean end, and as a loss of power leaves it.
    fn files(directory: &Path) -> [Vec<u8>; 2] {
        let (storage, mut reports, _) =
            open::<String>(directory, &owner(), Arc::default()).expect("it opens");
        for number in 1..=60 {
            let record = format!("record {number} of a log with something in it");
            storage.write(Ticket(number), vec![Write::Put(Slot::Numbered(2, number), record)]);
        }
        while reports.blocking_recv().expect("a report").expect("no failure") < Ticket(60) {}
        let read = || std::fs::read(directory.join(FILE)).expect("there is a file");
        let after_a_crash = read();
        drop(storage);
        [read(), after_a_crash]
    }

    /// Whatever byte of the file is another one than was written: the node does not start, or finds
    /// exactly what it was told to be durable.
    #[test]
    fn a_damaged_disk_is_noticed() {
        let directory = tempfile::tempdir().expect("a directory");
        for (sound, kind) in files(directory.path()).into_iter().zip(["closed", "crashed"]) {
            let path = directory.path().join(FILE);
            let used: Vec<usize> = (0..sound.len()).filter(|at| sound[*at] != 0).collect();
            let mut noticed = 0;
            for at in used.iter().step_by(1 + used.len() / 80) {
                let mut damaged = sound.clone();
                damaged[*at] ^= 0x11;
                std::fs::write(&path, damaged).expect("it can be written");
                match open::<String>(directory.path(), &owner(), Arc::default()) {
                    Ok((_storage, _reports, found)) => {
                        assert_eq!(found.records.len(), 60, "{kind}, byte {at}");
                        let is_sound = |(slot, record): &(Slot, String)| {
                            let Slot::Numbered(2, number) = slot else { return false };
                            *record == format!("record {number} of a log with something in it")
                        };
                        assert!(found.records.iter().all(is_sound), "{kind}, byte {at}");
                    }
                    Err(error) => {
                        assert!(error.to_string().contains(FILE), "{error}");
                        noticed += 1;
                    }
                }
            }
            assert!(noticed > 5, "{kind}: {noticed} of {} were noticed", used.len());
        }
    }

    #[test]
    fn a_record_of_another_shape_is_corruption() {
        let directory = tempfile::tempdir().expect("a directory");
        let (storage, _reports, _) =
            open::<u32>(directory.path(), &owner(), Arc::default()).expect("it opens");
        storage.write(Ticket(1), vec![Write::Put(Slot::Numbered(0, 0), 5)]);
        drop(storage);
        let error =
            open::<String>(directory.path(), &owner(), Arc::default()).expect_err("5 is no text");
        assert!(matches!(error, StorageError::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains(FILE), "{error}");
    }
}
