//! What `rashomon check` was given to check: files, directories with histories in them, and
//! standard input.
//!
//! Of a directory, everything that is a history is taken, in the order of the names, and what is
//! skipped is counted with its reason: a history must not be missed without a word. A run's or a
//! test's directory holds other files too, some of which are only known for what they are once
//! somebody tries to read them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rashomon_checker::history::{LoadError, Problem};
use serde::Serialize;

/// Stands for standard input.
const STDIN: &str = "-";

/// Where one history comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Standard input.
    Stdin,
    /// A file that is a history, or an error.
    File(PathBuf),
    /// A file of a directory that may be anything.
    Perhaps(PathBuf),
}

impl Source {
    /// What it is called in messages and results.
    pub(super) fn name(&self) -> String {
        match self {
            Source::Stdin => "<stdin>".to_owned(),
            Source::File(path) | Source::Perhaps(path) => path.display().to_string(),
        }
    }
}

/// Why a file of a directory is not checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Reason {
    /// Its name is not one that histories have.
    Name,
    /// Its name may be a history's, but its content is none's.
    Content,
    /// It is hidden.
    Hidden,
    /// It is a link to a directory, or no file at all.
    Kind,
}

impl Reason {
    /// What is wrong with several files, to follow their number.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Reason::Name => "not named like a history (.jsonl, .rash, .edn, .json, .log, .txt)",
            Reason::Content => "no history inside",
            Reason::Hidden => "hidden",
            Reason::Kind => "a link to a directory, or no file",
        }
    }
}

/// A file of a directory that is not checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Skipped {
    file: String,
    pub(super) reason: Reason,
}

impl Skipped {
    pub(super) fn new(file: &Path, reason: Reason) -> Self {
        Skipped { file: file.display().to_string(), reason }
    }
}

/// Why there is nothing to check.
#[derive(Debug, thiserror::Error)]
pub(super) enum SourceError {
    #[error("`-` stands for standard input, which can be read only once")]
    StdinTwice,
    #[error("cannot list {0}")]
    List(PathBuf, #[source] io::Error),
    #[error("there is no history in {0} ({1} files skipped)")]
    NoHistory(PathBuf, usize),
}

/// Everything there is to check, and what is not.
#[derive(Debug, Default)]
pub(super) struct Sources {
    pub(super) taken: Vec<Source>,
    pub(super) skipped: Vec<Skipped>,
}

impl Sources {
    /// Looks into directories, the order of names being that of the results.
    ///
    /// # Errors
    /// When a directory cannot be listed or holds nothing to check.
    pub(super) fn gather(paths: &[PathBuf]) -> Result<Self, SourceError> {
        let mut sources = Sources::default();
        for path in paths {
            if path.as_os_str() == STDIN {
                if sources.taken.contains(&Source::Stdin) {
                    return Err(SourceError::StdinTwice);
                }
                sources.taken.push(Source::Stdin);
            } else if path.is_dir() {
                let (taken, skipped) = (sources.taken.len(), sources.skipped.len());
                sources.walk(path)?;
                if sources.taken.len() == taken {
                    let skipped = sources.skipped.len() - skipped;
                    return Err(SourceError::NoHistory(path.clone(), skipped));
                }
            } else {
                sources.taken.push(Source::File(path.clone()));
            }
        }
        Ok(sources)
    }

    fn walk(&mut self, directory: &Path) -> Result<(), SourceError> {
        let failed = |error: io::Error| SourceError::List(directory.to_owned(), error);
        let entries = fs::read_dir(directory).map_err(failed)?;
        let mut entries = entries.collect::<io::Result<Vec<_>>>().map_err(failed)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let kind = entry.file_type().map_err(failed)?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                self.skip(&path, Reason::Hidden);
            } else if kind.is_dir() {
                self.walk(&path)?;
            } else if !path.is_file() {
                // A link may lead to what was seen already, or round in a circle.
                self.skip(&path, Reason::Kind);
            } else {
                self.take(path);
            }
        }
        Ok(())
    }

    fn take(&mut self, path: PathBuf) {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let is_history = path.file_stem().is_some_and(|stem| stem == "history");
        match extension {
            Some("jsonl" | "ndjson" | "rash") => self.taken.push(Source::File(path)),
            Some("edn" | "json" | "txt") if is_history => self.taken.push(Source::File(path)),
            Some("edn" | "json" | "log" | "txt") => self.taken.push(Source::Perhaps(path)),
            _ => self.skip(&path, Reason::Name),
        }
    }

    fn skip(&mut self, path: &Path, reason: Reason) {
        self.skipped.push(Skipped::new(path, reason));
    }
}

/// Whether nothing of a file was a history, not even its beginning: what goes wrong later goes
/// wrong in a history.
pub(super) fn is_none(error: &LoadError) -> bool {
    let LoadError::Read(error) = error else { return false };
    match error.problem {
        Problem::UnknownFormat | Problem::Binary | Problem::Empty => true,
        Problem::Syntax { .. } | Problem::Event(_) => {
            error.position.is_some_and(|position| position.line == 1)
        }
        _ => false,
    }
}
