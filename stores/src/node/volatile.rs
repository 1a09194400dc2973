//! The database file as its disk sees it: what was written and not synced can be lost.
//!
//! A file system keeps what is written in memory until it is synced, and a process that is killed loses
//! nothing of it; a machine that loses its power does. To show that without one, the file
//! remembers what stood where it was written over since the last sync. When the power goes, or a sync
//! fails, it puts that back, all of it or what chance decides, write by write, because a disk takes
//! writes in any order; and nothing can be done with the file any more, so that nobody is told of
//! anything that relied on what was lost. The idea is that of ALICE (Pillai et al., "All File Systems
//! Are Not Created Equal", OSDI 2014), and for syncs that fail Rebello et al., "Can Applications
//! Recover from fsync Failures?" (ATC 2020).
//!
//! Lengths of files are taken care of by file systems themselves, and stay.

use std::fs;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use redb::backends::FileBackend;
use redb::{BackendError, DatabaseError, StorageBackend};

use super::ailments::Disk;

/// How often a commit of two phases syncs the file.
const SYNCS: u32 = 2;

/// A file of which what is not synced can be lost.
#[derive(Debug)]
pub(super) struct VolatileFile {
    file: FileBackend,
    unsynced: Mutex<Unsynced>,
    /// What is wrong with it.
    disk: Arc<Disk>,
}

/// What would be lost.
#[derive(Debug, Default)]
struct Unsynced {
    /// Where something was written since the last sync, and what stood there; oldest first.
    before: Vec<(u64, Vec<u8>)>,
    /// Nothing can be done with the file any more.
    is_off: bool,
}

/// What a file lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Loss {
    /// How many writes were not synced.
    pub(super) unsynced: usize,
    /// How many of them are lost.
    pub(super) lost: usize,
}

impl VolatileFile {
    /// Opens the file, which is created if there is none.
    pub(super) fn open(path: &Path, disk: Arc<Disk>) -> Result<Arc<Self>, DatabaseError> {
        let mut options = fs::OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path);
        let file = FileBackend::new(file.map_err(redb::StorageError::from)?)?;
        Ok(Arc::new(VolatileFile { file, unsynced: Mutex::default(), disk }))
    }

    /// Loses power: what is not synced is lost, or as much of it as the seed decides, and the file is
    /// of no use any more.
    ///
    /// # Errors
    /// When what stood there before cannot be put back.
    pub(super) fn lose_power(&self, seed: u64) -> io::Result<Loss> {
        let mut unsynced = self.lock()?;
        self.lose(&mut unsynced, seed)
    }

    fn lose(&self, unsynced: &mut Unsynced, seed: u64) -> io::Result<Loss> {
        unsynced.is_off = true;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // In a third of all cases nothing had reached the disk.
        let chance = if rng.random_range(0..3) == 0 { 0.0 } else { rng.random_range(0.0..1.0) };
        let before = std::mem::take(&mut unsynced.before);
        let mut loss = Loss { unsynced: before.len(), lost: before.len() };
        // Taken back one by one, the last first, each leaves what stands there without it.
        let mut kept = Vec::new();
        for (offset, old) in before.into_iter().rev() {
            if rng.random_bool(chance) {
                let mut new = vec![0; old.len()];
                self.file.read(offset, &mut new)?;
                kept.push((offset, new));
            }
            self.file.write(offset, &old)?;
        }
        loss.lost -= kept.len();
        for (offset, new) in kept.into_iter().rev() {
            self.file.write(offset, &new)?;
        }
        Ok(loss)
    }

    /// The file, if it can still be used.
    fn lock(&self) -> io::Result<MutexGuard<'_, Unsynced>> {
        let unsynced = self.unsynced.lock().map_err(|_| failed())?;
        if unsynced.is_off { Err(failed()) } else { Ok(unsynced) }
    }
}

/// What a system says of a disk that does not work.
fn failed() -> io::Error {
    io::Error::from_raw_os_error(EIO)
}

/// The number of the error is the same on all systems of the family.
const EIO: i32 = 5;

/// The same file, as a database holds it.
#[derive(Debug)]
pub(super) struct Held(pub(super) Arc<VolatileFile>);

impl StorageBackend for Held {
    fn len(&self) -> io::Result<u64> {
        self.0.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut unsynced = self.0.lock()?;
        // What is cut off cannot be written back; redb cuts off nothing that is in use.
        unsynced.before.retain(|(offset, old)| offset + old.len() as u64 <= len);
        self.0.file.set_len(len)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut unsynced = self.0.lock()?;
        let mut old = vec![0; data.len()];
        self.0.file.read(offset, &mut old)?;
        unsynced.before.push((offset, old));
        self.0.file.write(offset, data)
    }

    fn sync_data(&self) -> io::Result<()> {
        // Not while the file is locked: the power may go meanwhile.
        self.0.disk.linger(SYNCS);
        let mut unsynced = self.0.lock()?;
        if let Some(seed) = self.0.disk.balks() {
            self.0.lose(&mut unsynced, seed)?;
            return Err(failed());
        }
        self.0.file.sync_data()?;
        unsynced.before.clear();
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.0.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.0.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn file(directory: &tempfile::TempDir) -> (Arc<VolatileFile>, Arc<Disk>) {
        let disk = Arc::<Disk>::default();
        let file = VolatileFile::open(&directory.path().join("file"), disk.clone());
        (file.expect("it opens"), disk)
    }

    fn contents(directory: &tempfile::TempDir) -> Vec<u8> {
        std::fs::read(directory.path().join("file")).expect("it is there")
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// What is left is what was synced, and on top of it some of the writes since, in their order.
        #[test]
        fn what_is_synced_stays_and_any_part_of_the_rest(
            synced in vec((0u64..200, vec(any::<u8>(), 1..40)), 0..6),
            since in vec((0u64..200, vec(any::<u8>(), 1..40)), 0..6),
            seed: u64,
        ) {
            let directory = tempfile::tempdir().expect("a directory");
            let (file, _) = file(&directory);
            let held = Held(file.clone());
            held.set_len(256).expect("it grows");
            let mut expected = vec![0; 256];
            let put = |expected: &mut [u8], (at, data): &(u64, Vec<u8>)| {
                expected[*at as usize..][..data.len()].copy_from_slice(data);
            };
            for write in &synced {
                held.write(write.0, &write.1).expect("it is written");
                put(&mut expected, write);
            }
            held.sync_data().expect("it is synced");
            for (at, data) in &since {
                held.write(*at, data).expect("it is written");
            }
            let loss = file.lose_power(seed).expect("it was not off");
            prop_assert_eq!(loss.unsynced, since.len());
            let possible = (0..1_u32 << since.len()).any(|kept| {
                let mut left = expected.clone();
                let kept_writes = since.iter().enumerate().filter(|(at, _)| kept >> at & 1 == 1);
                kept_writes.for_each(|(_, write)| put(&mut left, write));
                kept.count_ones() as usize == since.len() - loss.lost && left == contents(&directory)
            });
            prop_assert!(possible, "{:?}", loss);
            prop_assert!(held.write(0, b"x").is_err() && held.sync_data().is_err());
            prop_assert!(file.lose_power(seed).is_err(), "it is off already");
        }
    }

    #[test]
    fn a_sync_that_fails_loses_what_it_was_for() {
        let directory = tempfile::tempdir().expect("a directory");
        let (file, disk) = file(&directory);
        let held = Held(file);
        held.set_len(8).expect("it grows");
        held.write(0, b"synced!!").expect("it is written");
        held.sync_data().expect("it is synced");
        disk.balk(Some(1));
        disk.balk(None);
        held.sync_data().expect("that was taken back");
        // Some seed keeps nothing, and some keeps what was written.
        let mut seen = BTreeSet::new();
        for seed in 0..20 {
            let (file, disk) = self::file(&directory);
            let held = Held(file);
            held.write(0, b"synced!!").expect("it is written");
            held.sync_data().expect("it is synced");
            held.write(2, b"new").expect("it is written");
            disk.balk(Some(seed));
            assert_eq!(held.sync_data().expect_err("it balks").raw_os_error(), Some(EIO));
            assert!(held.sync_data().is_err(), "and never works again");
            seen.insert(contents(&directory));
        }
        assert_eq!(seen, [b"synced!!".to_vec(), b"synewd!!".to_vec()].into());
    }
}
