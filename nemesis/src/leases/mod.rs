//! Leases: what a harness has made of the machine that would outlive it, written down before it is
//! made, so that somebody else can undo it when the harness cannot.
//!
//! Destructors undo on success, error and panic; nothing of a process runs when it is killed. So every
//! holding is first a line in the run's lease file, as a database logs what it is about to do
//! (Mohan et al., "ARIES", 1992), and [`heal`] reads the file after a crash and undoes what it says, as often
//! as one likes. Leases are given back when what they stand for is undone; with the last the
//! file goes, so that one that is there always means something. Its format:
//!
//! ```text
//! {"leases":1,"boot":"5a7c…","harness":{"pid":4711,"began":123456}}
//! {"took":1,"process":{"of":"n1","pid":4720,"began":123460}}
//! {"took":2,"mount":{"at":"/…/n1/disk","image":"/…/n1/disk.img"}}
//! {"gave_back":1}
//! ```
//!
//! `began` is when a process began, in the kernel's clock ticks since the machine did (proc_pid_stat(5)); with
//! `boot`, it tells it from every other that has its number. Processes also carry the file's path in
//! their environment, as `RASHOMON_LEASES`, and what they start inherits it: so a process is found that was
//! started in the very moment when the harness was killed, and so are the children of servers that
//! start some. What is lost with the machine's memory is not flushed to its disk.

mod heal;
mod identity;

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

pub use heal::{HealError, heal};
pub use identity::Identity;

/// The environment variable of every process that a harness starts: its lease file.
pub const MARK: &str = "RASHOMON_LEASES";

/// Something that outlives the harness unless it is undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holding {
    /// A process, whether it runs or stands still.
    Process {
        /// Whose it is, for a person: `n1`.
        of: String,
        /// Which it is.
        #[serde(flatten)]
        identity: Identity,
    },
    /// A file system in a file, mounted by way of a loop device.
    Mount {
        /// Where it is mounted, an absolute path.
        at: PathBuf,
        /// The file that it is in, an absolute path.
        image: PathBuf,
    },
    /// Hosts, with their namespaces, bridge, cables and rules.
    Hosts {
        /// By which [`hosts::remove`](crate::hosts::remove) finds them.
        name: String,
        /// The inode of their switch's namespace: names come again.
        switch: u64,
    },
}

/// A line of a lease file, behind the first.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Took {
        took: u64,
        #[serde(flatten)]
        holding: Holding,
    },
    GaveBack {
        gave_back: u64,
    },
}

/// The first line of a lease file.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    /// The version of the format.
    leases: u32,
    /// The machine's own name for the time since it was last started.
    boot: Option<String>,
    harness: Identity,
}

const VERSION: u32 = 1;

/// A lease file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the lease file {}, without which nothing may be left to heal: {source}", path.display())]
pub struct LeaseError {
    path: PathBuf,
    source: io::Error,
}

/// The leases of one harness. Cheap to clone: all clones write the same file.
#[derive(Clone, Debug)]
pub struct Leases(Option<Arc<Ledger>>);

#[derive(Debug)]
struct Ledger {
    path: PathBuf,
    book: Mutex<Book>,
}

#[derive(Debug)]
struct Book {
    file: File,
    latest: u64,
    /// Taken, and not given back.
    open: BTreeSet<u64>,
}

impl Leases {
    /// Begins a lease file, which must not be there yet.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(path: &Path) -> Result<Self, LeaseError> {
        let failed = |source| LeaseError { path: path.to_owned(), source };
        // Whoever heals may stand elsewhere.
        let path = &std::path::absolute(path).map_err(failed)?;
        let file = OpenOptions::new().create_new(true).append(true).open(path).map_err(failed)?;
        let mut book = Book { file, latest: 0, open: BTreeSet::new() };
        let harness = Identity::own();
        let head = Head { leases: VERSION, boot: identity::boot(), harness };
        book.write(&head).map_err(failed)?;
        Ok(Leases(Some(Arc::new(Ledger { path: path.clone(), book: Mutex::new(book) }))))
    }

    /// Nothing is written down: whoever uses these answers for what is left.
    pub fn none() -> Self {
        Leases(None)
    }

    /// Writes down what is about to be made, and takes a lease of it, to be dropped when it is undone.
    ///
    /// # Errors
    /// When it cannot be written; then it is not to be made.
    pub fn take(&self, holding: Holding) -> Result<Lease, LeaseError> {
        let Some(ledger) = &self.0 else { return Ok(Lease { number: 0, leases: self.clone() }) };
        let mut book = ledger.book();
        let number = book.latest + 1;
        let written = book.write(&Line::Took { took: number, holding });
        written.map_err(|source| LeaseError { path: ledger.path.clone(), source })?;
        book.latest = number;
        book.open.insert(number);
        Ok(Lease { number, leases: self.clone() })
    }

    /// What every process that is started gets in its environment.
    pub fn mark(&self) -> Option<(&'static str, &Path)> {
        self.0.as_ref().map(|ledger| (MARK, ledger.path.as_path()))
    }
}

impl Ledger {
    fn book(&self) -> MutexGuard<'_, Book> {
        // Nothing is ever half done to it.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if self.book().open.is_empty() {
            // One that stays says the same: that nothing is left.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Book {
    /// In one piece: a line is there or it is not, whenever the harness is killed.
    fn write(&mut self, line: &impl Serialize) -> io::Result<()> {
        let line = serde_json::to_string(line)? + "\n";
        self.file.write_all(line.as_bytes())
    }
}

/// A holding that is written down. Dropping this says that it is undone.
#[derive(Debug)]
#[must_use = "dropping a lease says that what it stands for is undone"]
pub struct Lease {
    number: u64,
    leases: Leases,
}

impl Lease {
    /// Leaves it to be healed later: it could not be undone.
    pub fn keep(mut self) {
        self.leases = Leases::none();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(ledger) = &self.leases.0 else { return };
        let mut book = ledger.book();
        // If it cannot be written, it will be found to be undone.
        let _ = book.write(&Line::GaveBack { gave_back: self.number });
        book.open.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(at: &str) -> Holding {
        Holding::Mount { at: at.into(), image: format!("{at}.img").into() }
    }

    #[test]
    fn a_lease_is_in_the_file_before_it_is_had_and_the_file_goes_with_the_last() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("leases.jsonl");
        let leases = Leases::begin(&path).expect("it can be written");
        assert_eq!(leases.mark(), Some((MARK, path.as_path())));
        let text = || std::fs::read_to_string(&path).expect("it is there");
        let first = leases.take(mount("/a")).expect("it can be written");
        let kept = leases.take(mount("/b")).expect("it can be written");
        drop(first);
        let lines: Vec<String> = text().lines().skip(1).map(str::to_owned).collect();
        assert_eq!(
            lines,
            [
                r#"{"took":1,"mount":{"at":"/a","image":"/a.img"}}"#,
                r#"{"took":2,"mount":{"at":"/b","image":"/b.img"}}"#,
                r#"{"gave_back":1}"#,
            ]
        );
        assert!(Leases::begin(&path).is_err(), "another harness has it");
        kept.keep();
        drop(leases);
        assert!(path.exists(), "something is left");

        let path = folder.path().join("other.jsonl");
        let leases = Leases::begin(&path).expect("it can be written");
        let lease = leases.take(mount("/a")).expect("it can be written");
        drop(leases);
        assert!(path.exists());
        drop(lease);
        assert!(!path.exists(), "nothing is left");
    }

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let identity = Identity { pid: 7, began: Some(9) };
        let holding = Holding::Process { of: "n1".into(), identity };
        let line = serde_json::to_string(&Line::Took { took: 3, holding: holding.clone() });
        let line = line.expect("it has string keys only");
        assert_eq!(line, r#"{"took":3,"process":{"of":"n1","pid":7,"began":9}}"#);
        let read: Line = serde_json::from_str(&line).expect("it is a line");
        assert!(matches!(read, Line::Took { took: 3, holding: read } if read == holding));
    }
}
