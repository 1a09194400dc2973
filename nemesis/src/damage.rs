//! Damage: what befalls the files of a node while it is down.
//!
//! The kinds are Jepsen's (`bitflip`, `truncate-file`, `snapshot-file-chunks`), done to the whole of what a node
//! keeps. What is damaged stays so: nothing mends it, but putting back what was saved.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Something done to the files of a node that is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Damage {
    /// One bit of its largest file is another one than was written.
    Flip,
    /// Its largest file loses its end.
    Truncate,
    /// A copy is made of all that it keeps; the node itself notices nothing.
    Save,
    /// It is given back what was saved last, and has nothing newer.
    Rollback,
}

impl Damage {
    /// All of them.
    pub const ALL: [Damage; 4] = [Damage::Flip, Damage::Truncate, Damage::Save, Damage::Rollback];

    /// Its verb.
    pub fn name(self) -> &'static str {
        match self {
            Damage::Flip => "flip",
            Damage::Truncate => "truncate",
            Damage::Save => "save",
            Damage::Rollback => "rollback",
        }
    }

    /// Whether files are no longer what was written: a node may refuse to start with them.
    pub fn spoils(self) -> bool {
        matches!(self, Damage::Flip | Damage::Truncate)
    }

    /// What became of those whom it struck, for a person.
    pub(crate) fn sentence(self, names: &str) -> String {
        match self {
            Damage::Flip => format!("a bit of {names} flipped"),
            Damage::Truncate => format!("data of {names} cut short"),
            Damage::Save => format!("data of {names} saved"),
            Damage::Rollback => format!("{names} back to what was saved"),
        }
    }

    /// Does it to the files of a directory, and says what was done; `None` if there was nothing to do it
    /// to.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub(crate) fn strike(
        self,
        directory: &Path,
        rng: &mut ChaCha8Rng,
    ) -> io::Result<Option<String>> {
        let saved = saved(directory);
        match self {
            Damage::Flip => match largest(directory)? {
                Some(file) => flip(&file, rng),
                None => Ok(None),
            },
            Damage::Truncate => match largest(directory)? {
                Some(file) => truncate(&file, rng),
                None => Ok(None),
            },
            Damage::Save if directory.is_dir() => {
                let files = copy(directory, &saved)?;
                Ok(Some(format!("{files} files saved")))
            }
            Damage::Rollback if saved.is_dir() => {
                let files = copy(&saved, directory)?;
                Ok(Some(format!("{files} files put back")))
            }
            Damage::Save | Damage::Rollback => Ok(None),
        }
    }
}

/// Where a copy of a directory is kept: beside it.
fn saved(directory: &Path) -> PathBuf {
    directory.with_extension("saved")
}

/// The files of a directory, in the order of their names.
fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

fn largest(directory: &Path) -> io::Result<Option<PathBuf>> {
    if !directory.is_dir() {
        return Ok(None);
    }
    let mut largest: Option<(u64, PathBuf)> = None;
    for file in files(directory)? {
        let length = fs::metadata(&file)?.len();
        if length > largest.as_ref().map_or(0, |(length, _)| *length) {
            largest = Some((length, file));
        }
    }
    Ok(largest.map(|(_, file)| file))
}

/// Flips a bit of a byte that is not zero, if there is one: most of what is zero was never written.
fn flip(path: &Path, rng: &mut ChaCha8Rng) -> io::Result<Option<String>> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    if used.is_empty() {
        return Ok(None);
    }
    let offset = used[rng.random_range(0..used.len())];
    let bit = rng.random_range(0..8_u32);
    file.seek(SeekFrom::Start(offset as u64))?;
    file.write_all(&[bytes[offset] ^ (1 << bit)])?;
    Ok(Some(format!("bit {bit} of byte {offset} of {}", name(path))))
}

/// Cuts a file down to a part of its length that is neither nothing nor all.
fn truncate(path: &Path, rng: &mut ChaCha8Rng) -> io::Result<Option<String>> {
    let file = OpenOptions::new().write(true).open(path)?;
    let before = file.metadata()?.len();
    if before < 2 {
        return Ok(None);
    }
    let after = rng.random_range(1..before);
    file.set_len(after)?;
    Ok(Some(format!("{after} of {before} bytes of {} left", name(path))))
}

/// Makes a directory have the files of another one and nothing else; says how many these are.
fn copy(from: &Path, to: &Path) -> io::Result<usize> {
    if to.is_dir() {
        fs::remove_dir_all(to)?;
    }
    fs::create_dir_all(to)?;
    let files = files(from)?;
    for file in &files {
        let copied = to.join(file.file_name().unwrap_or_default());
        fs::copy(file, &copied)?;
        File::open(&copied)?.sync_all()?;
    }
    Ok(files.len())
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    /// A directory for data, with a large file and a small one.
    fn data() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        fs::create_dir(&data).expect("made");
        fs::write(data.join("small"), "abc").expect("written");
        let large: Vec<u8> = (0..1000_u32).map(|at| (at % 3) as u8).collect();
        fs::write(data.join("large"), large).expect("written");
        (folder, data)
    }

    fn read(data: &Path) -> [Vec<u8>; 2] {
        ["large", "small"].map(|name| fs::read(data.join(name)).expect("it is there"))
    }

    #[test]
    fn one_bit_flips_of_what_was_written() {
        for seed in 0..50 {
            let (_folder, data) = data();
            let [large, small] = read(&data);
            let said = Damage::Flip.strike(&data, &mut ChaCha8Rng::seed_from_u64(seed));
            assert!(said.expect("done").is_some_and(|said| said.ends_with(" of large")));
            let [flipped, same] = read(&data);
            let changed: Vec<usize> = (0..1000).filter(|at| flipped[*at] != large[*at]).collect();
            let [at] = changed[..] else { panic!("{} bytes changed", changed.len()) };
            assert_eq!((flipped[at] ^ large[at]).count_ones(), 1);
            assert_ne!(large[at], 0);
            assert_eq!(same, small);
        }
    }

    #[test]
    fn what_is_cut_short_keeps_its_beginning() {
        for seed in 0..20 {
            let (_folder, data) = data();
            let [large, _] = read(&data);
            let said = Damage::Truncate.strike(&data, &mut ChaCha8Rng::seed_from_u64(seed));
            assert!(said.expect("done").is_some());
            let [short, _] = read(&data);
            assert!(!short.is_empty() && short.len() < large.len() && large.starts_with(&short));
        }
    }

    #[test]
    fn what_was_saved_is_put_back_and_nothing_newer_is_left() {
        let (_folder, data) = data();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut strike = |damage: Damage| damage.strike(&data, &mut rng).expect("done");
        assert_eq!(strike(Damage::Rollback), None, "nothing was saved");
        let before = read(&data);
        assert!(strike(Damage::Save).is_some());
        fs::write(data.join("small"), "newer").expect("written");
        fs::write(data.join("new"), "newer").expect("written");
        assert!(strike(Damage::Rollback).is_some());
        assert_eq!(read(&data), before);
        assert!(!data.join("new").exists());
        fs::write(data.join("small"), "newer").expect("written");
        assert!(strike(Damage::Rollback).is_some(), "what was saved can be put back again");
        assert_eq!(read(&data), before);
    }
}
