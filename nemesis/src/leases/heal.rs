//! Healing: undoes what the leases of a harness say it had, once it is gone.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::{Head, Holding, Identity, Line, MARK, VERSION, identity};

/// Why it could not be healed.
#[derive(Debug, thiserror::Error)]
pub enum HealError {
    /// The lease file cannot be read.
    #[error("cannot read the lease file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Nothing was undone, for nobody knows what else the file should have said.
    #[error("{}:{line}: {why}; nothing of it was healed: mend the line, or look for what was left and delete the file", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// The harness has not ended, and will undo everything itself.
    #[error("the run of {} still goes on, as process {pid}: stop that first, by Ctrl-C or SIGTERM", path.display())]
    Alive {
        /// Its lease file.
        path: PathBuf,
        /// The harness.
        pid: u32,
    },
    /// Something is left.
    #[error("cannot undo what {} says: {what}", path.display())]
    Left {
        /// The file, which stays.
        path: PathBuf,
        /// What is left, and why.
        what: String,
    },
}

/// How long processes may take to end that have been killed, and file systems to be free after that.
const LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(10);

/// Undoes what a harness left that is gone, by its lease file; says what was done, a line for
/// each. The file goes; where there is none, there is nothing to do.
///
/// # Errors
/// When the file cannot be read or makes no sense, when its harness still lives, or when something
/// cannot be undone; then the rest is undone all the same, and the file stays.
pub fn heal(path: &Path) -> Result<Vec<String>, HealError> {
    let read = |source| HealError::Read { path: path.to_owned(), source };
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(read(error)),
    };
    let Some((head, holdings)) = parse(path, &text)? else { return Ok(Vec::new()) };
    // A machine that was started anew has nothing left but files.
    let mut done = Vec::new();
    if head.boot == identity::boot() {
        if head.harness.lives() {
            return Err(HealError::Alive { path: path.to_owned(), pid: head.harness.pid });
        }
        let mut left = Vec::new();
        let mark = std::path::absolute(path).map_err(read)?;
        undo(&holdings, &mark, &mut done, &mut left);
        if !left.is_empty() {
            return Err(HealError::Left { path: path.to_owned(), what: left.join("; ") });
        }
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(read(error)),
        _ => Ok(done),
    }
}

/// What the harness held when it ended, the latest first; `None` if it ended before it could hold
/// anything.
fn parse(path: &Path, text: &str) -> Result<Option<(Head, Vec<Holding>)>, HealError> {
    let malformed =
        |line: usize, why: String| HealError::Malformed { path: path.to_owned(), line, why };
    // What it was killed in the middle of writing had not been done.
    let Some(end) = text.rfind('\n') else { return Ok(None) };
    let mut lines = text[..end].split('\n').zip(1..);
    let (first, _) = lines.next().expect("there is a whole line");
    let head: Head = serde_json::from_str(first)
        .map_err(|error| malformed(1, said(&error, "the head of a lease file")))?;
    if head.leases != VERSION {
        let why = format!("version {} of lease files is not known here", head.leases);
        return Err(malformed(1, why));
    }
    let mut open = BTreeMap::new();
    for (line, number) in lines {
        let read = serde_json::from_str(line);
        match read.map_err(|error| malformed(number, said(&error, "a lease")))? {
            Line::Took { took, holding } => {
                if open.insert(took, holding).is_some() {
                    return Err(malformed(number, format!("lease {took} was taken before")));
                }
            }
            Line::GaveBack { gave_back } => {
                let held = open.remove(&gave_back);
                held.ok_or_else(|| malformed(number, format!("lease {gave_back} was not taken")))?;
            }
        }
    }
    Ok(Some((head, open.into_values().rev().collect())))
}

fn said(error: &serde_json::Error, what: &str) -> String {
    format!("this is not {what} ({error})")
}

/// Processes first: what they use can only then be taken from them. But before that a file system that
/// hangs is to go on: who waits for it does not even end.
fn undo(holdings: &[Holding], mark: &Path, done: &mut Vec<String>, left: &mut Vec<String>) {
    // Again while a process does not end: what was about to let it hang may have come to it since.
    let thaw = || {
        for holding in holdings {
            if let Holding::Mount { at, .. } = holding {
                disk::thaw(at);
            }
        }
    };
    thaw();
    for holding in holdings {
        if let Holding::Process { of, identity } = holding {
            note(end(*identity, of, thaw), done, left);
        }
    }
    // They may have started others while they were being ended.
    let began = Instant::now();
    loop {
        let marked = marked(mark);
        if marked.is_empty() {
            break;
        }
        if began.elapsed() > LIMIT {
            left.push("processes that were started by it start others without end".into());
            break;
        }
        for (identity, name) in marked {
            note(end(identity, &name, thaw), done, left);
        }
    }
    thaw();
    for holding in holdings {
        match holding {
            Holding::Mount { at, image } => note(disk::release(at, image), done, left),
            Holding::Hosts { name, switch } => note(remove_hosts(name, *switch), done, left),
            Holding::Process { .. } => {}
        }
    }
}

#[cfg(target_os = "linux")]
fn remove_hosts(name: &str, switch: u64) -> Result<Vec<String>, String> {
    if crate::hosts::switch_of(name) != Some(switch) {
        return Ok(Vec::new());
    }
    let removed = crate::hosts::remove(name);
    removed.map(|()| vec![format!("removed the hosts {name}")]).map_err(|error| error.to_string())
}

#[cfg(not(target_os = "linux"))]
fn remove_hosts(name: &str, _: u64) -> Result<Vec<String>, String> {
    Err(format!("the hosts {name} were made on another system"))
}

fn note(undone: Result<Vec<String>, String>, done: &mut Vec<String>, left: &mut Vec<String>) {
    match undone {
        Ok(what) => done.extend(what),
        Err(why) => left.push(why),
    }
}

/// Ends a process that is still there, and waits until it is gone.
fn end(identity: Identity, of: &str, thaw: impl Fn()) -> Result<Vec<String>, String> {
    let pid = identity.pid;
    if identity.began.is_none() {
        return Ok(vec![format!(
            "this system does not say whether process {pid} is still that of {of}: look for it by `ps -p {pid}`"
        )]);
    }
    let stood = if identity.stands_still() { ", which stood still" } else { "" };
    let killed = identity.kill();
    if !killed.map_err(|error| format!("process {pid} of {of} cannot be ended: {error}"))? {
        return Ok(Vec::new());
    }
    let began = Instant::now();
    while identity.lives() {
        if began.elapsed() > LIMIT {
            return Err(format!("process {pid} of {of} does not end, though it was killed"));
        }
        thread::sleep(POLL);
        thaw();
    }
    Ok(vec![format!("ended process {pid} of {of}{stood}")])
}

/// The processes that live and carry the mark of this file, or whose parents did; with their names.
#[cfg(target_os = "linux")]
fn marked(file: &Path) -> Vec<(Identity, String)> {
    let Ok(processes) = procfs::process::all_processes() else { return Vec::new() };
    let has_mark = |process: &procfs::process::Process| {
        let environment = process.environ().unwrap_or_default();
        environment.get(std::ffi::OsStr::new(MARK)).is_some_and(|path| Path::new(path) == file)
    };
    let marked = processes.filter_map(Result::ok).filter(has_mark).filter_map(|process| {
        let identity = Identity::of(u32::try_from(process.pid()).ok()?);
        let name = process.stat().map(|stat| stat.comm).ok()?;
        (identity.lives() && identity != Identity::own()).then_some((identity, name))
    });
    marked.collect()
}

#[cfg(not(target_os = "linux"))]
fn marked(_: &Path) -> Vec<(Identity, String)> {
    Vec::new()
}

#[cfg(target_os = "linux")]
use crate::disk;

/// Nothing of this kind is ever held elsewhere.
#[cfg(not(target_os = "linux"))]
mod disk {
    use std::path::Path;

    pub(super) fn thaw(_: &Path) {}

    pub(super) fn release(at: &Path, _: &Path) -> Result<Vec<String>, String> {
        Err(format!("{} was mounted on another system", at.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Leases;
    use super::*;

    const HEAD: &str = r#"{"leases":1,"boot":null,"harness":{"pid":1,"began":null}}"#;

    fn healed(text: &str) -> (Result<Vec<String>, HealError>, bool) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("leases.jsonl");
        fs::write(&path, text).expect("it can be written");
        (heal(&path), path.exists())
    }

    #[test]
    fn a_file_that_makes_no_sense_is_refused_with_its_line_and_left() {
        let took = r#"{"took":1,"mount":{"at":"/a","image":"/b"}}"#;
        for (text, line) in [
            ("{}\n".to_owned(), 1),
            (HEAD.replace("\"leases\":1", "\"leases\":2") + "\n", 1),
            (format!("{HEAD}\n{{\"took\":1}}\n"), 2),
            (format!("{HEAD}\n{took}\n\n"), 3),
            (format!("{HEAD}\n{took}\n{took}\n"), 3),
            (format!("{HEAD}\n{took}\n{{\"gave_back\":2}}\n"), 3),
        ] {
            let (healed, is_there) = healed(&text);
            let error = healed.expect_err(&text);
            let expected = format!("leases.jsonl:{line}: ");
            assert!(error.to_string().contains(&expected), "{error}");
            assert!(is_there);
        }
    }

    #[test]
    fn a_harness_that_was_killed_while_it_wrote_had_not_done_it() {
        for text in ["", &HEAD[..9], HEAD] {
            let (healed, is_there) = healed(text);
            assert!(healed.expect("there is nothing to do").is_empty() && is_there, "{text}");
        }
        let (healed, is_there) = healed(&format!("{HEAD}\n{{\"took\":1,\"mou"));
        assert!(healed.expect("there is nothing to do").is_empty() && !is_there);
    }

    #[test]
    fn a_harness_that_lives_undoes_everything_itself() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("leases.jsonl");
        let leases = Leases::begin(&path).expect("it can be written");
        // Where the system does not say who lives, there is nothing to be spared from.
        if cfg!(target_os = "linux") {
            let error = heal(&path).expect_err("we are still here");
            assert!(matches!(error, HealError::Alive { pid, .. } if pid == std::process::id()));
        }
        drop(leases);
        assert!(heal(&path).expect("there is none").is_empty());
    }

    #[test]
    fn what_was_held_before_the_machine_was_started_anew_is_gone() {
        let other = HEAD.replace("null,\"harness\"", "\"another\",\"harness\"");
        let took = r#"{"took":1,"mount":{"at":"/no/such/place","image":"/no/such/file"}}"#;
        let (healed, is_there) = healed(&format!("{other}\n{took}\n"));
        assert!(healed.expect("there is nothing to do").is_empty() && !is_there);
    }
}
