//! A run's directory: `runs/<time>-<name>/`, and the `latest` link beside it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::trace::DIRECTORY;

/// The directory of one run.
#[derive(Clone, Debug)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Creates a fresh directory below `parent` and points `parent/latest` at it. Runs that begin
    /// within the same second get a number behind their name.
    ///
    /// # Errors
    /// When the directory cannot be created; a link that cannot be made is no error, because some
    /// file systems have none.
    pub fn create(parent: &Path, name: &str, now: Timestamp) -> io::Result<Self> {
        fs::create_dir_all(parent)?;
        // Sorts by name as by time, and is legal on every file system.
        let stamp = now.strftime("%Y%m%dT%H%M%SZ");
        for attempt in 1_u32.. {
            let suffix = if attempt == 1 { String::new() } else { format!("-{attempt}") };
            let directory = format!("{stamp}-{name}{suffix}");
            match fs::create_dir(parent.join(&directory)) {
                Ok(()) => {
                    point_latest(parent, &directory);
                    return Ok(RunDir { path: parent.join(directory) });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        unreachable!("4 billion runs in one second")
    }

    /// Opens the directory of an earlier run.
    pub fn open(path: impl Into<PathBuf>) -> Self {
        RunDir { path: path.into() }
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its last part, which names the run.
    pub fn name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The resolved plan.
    pub fn plan(&self) -> PathBuf {
        self.path.join("plan.toml")
    }

    /// Every event, as recorded.
    pub fn history(&self) -> PathBuf {
        self.path.join("history.jsonl")
    }

    /// The outcome, machine-readable.
    pub fn results(&self) -> PathBuf {
        self.path.join("results.json")
    }

    /// The page for people.
    pub fn report(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// What the run has of the machine, while it has it (`rashomon_nemesis::Leases`).
    pub fn leases(&self) -> PathBuf {
        self.path.join("leases.jsonl")
    }

    /// The trace of one node, if the nodes leave any.
    pub fn trace(&self, name: &str) -> PathBuf {
        self.path.join(DIRECTORY).join(format!("{name}.jsonl"))
    }

    /// The directory of one node: its configuration, data and log.
    pub fn node(&self, name: &str) -> PathBuf {
        self.path.join("nodes").join(name)
    }
}

/// The runs below `parent` that may have left something, in the order of their names.
pub fn left_below(parent: &Path) -> Vec<RunDir> {
    // A comparison is a directory of runs.
    let both =
        directories(parent).into_iter().flat_map(|run| [vec![run.clone()], directories(&run)]);
    let runs = both.flatten().map(RunDir::open);
    runs.filter(|directory| directory.leases().exists()).collect()
}

/// Those in a directory, sorted; without links such as `latest`.
fn directories(parent: &Path) -> Vec<PathBuf> {
    let is_directory = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let entries = fs::read_dir(parent).into_iter().flatten().filter_map(Result::ok);
    let mut paths: Vec<PathBuf> = entries.filter(is_directory).map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// `latest` is replaced by a rename, so that it never points nowhere.
fn point_latest(parent: &Path, directory: &str) {
    #[cfg(unix)]
    {
        let fresh = parent.join(format!(".latest-{}", std::process::id()));
        let _ = fs::remove_file(&fresh);
        if std::os::unix::fs::symlink(directory, &fresh).is_ok()
            && fs::rename(&fresh, parent.join("latest")).is_err()
        {
            let _ = fs::remove_file(&fresh);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_one_second_have_directories_of_their_own() {
        let parent = tempfile::tempdir().unwrap();
        let first = RunDir::create(parent.path(), "raft", Timestamp::UNIX_EPOCH).unwrap();
        let second = RunDir::create(parent.path(), "raft", Timestamp::UNIX_EPOCH).unwrap();
        assert!(first.path().ends_with("19700101T000000Z-raft"));
        assert_ne!(first.path(), second.path());
        let latest = fs::canonicalize(parent.path().join("latest")).unwrap();
        assert_eq!(latest, fs::canonicalize(second.path()).unwrap());
    }
}
