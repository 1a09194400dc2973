//! `rashomon sim --nemesis guided`: schedules bred to reach new situations.

use std::fs;
use std::hash::Hasher;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Instant;

use rustc_hash::FxHasher;

use super::progress::Progress;
use super::summary::{self, Guided, Summary};
use super::{Outcome, SimArguments, processors, save, say_speed};
use crate::cli::signals::Signals;
use crate::cli::{print_json, print_text};
use crate::exit::Exit;
use crate::sim::guided::{self, Bounds, Case, Corpus};
use crate::sim::{Settings, Stores};

/// Searches, and says what came of it.
pub(super) fn run(settings: &Settings, arguments: &SimArguments) -> Outcome {
    let known = arguments.corpus.as_deref().map_or(Ok(Vec::new()), read)?;
    let began = Instant::now();
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let signals = Signals::listen_beside(stop.clone())?;
    let jobs = arguments.jobs.map_or_else(processors, usize::from);
    let bounds = Bounds { jobs, ..Bounds::of(&arguments.seeds, &stop, &done) };
    let progress = Progress::begin(&arguments.seeds, done.clone());
    let explored = guided::explore(&Stores, settings, bounds, known, arguments.keep_going);
    progress.end();
    let mut explored = explored?;
    let took = began.elapsed();
    if let Some(directory) = &arguments.corpus {
        write(&explored.corpus, settings, directory)
            .map_err(|error| format!("cannot write {}: {error}", directory.display()))?;
    }
    if let Some(first) = &mut explored.exploration.first {
        save(first, arguments)?;
    }
    let guided = Guided {
        master: bounds.master,
        bred: explored.bred,
        situations: explored.corpus.known(),
        corpus: explored.corpus.entries().count(),
    };
    let mut summary = Summary::of(&explored.exploration);
    summary.guided = Some(guided);
    if arguments.json {
        print_json(&summary);
    } else {
        print_text(&summary::text(&summary, &explored.exploration));
    }
    let coverage = &explored.exploration.coverage;
    say_speed(coverage.virtual_ns, coverage.events, took);
    let verdict = Exit::from(summary.verdict);
    Ok(signals.exit().map_or(verdict, |signal| signal.worst(verdict)))
}

/// The cases in a directory, in the order of their names; none, if there is no such directory yet.
fn read(directory: &Path) -> Result<Vec<Case>, Box<dyn std::error::Error>> {
    let listed = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => {
            listed.map_err(|error| format!("cannot read {}: {error}", directory.display()))?
        }
    };
    let mut paths = listed.map(|file| Ok(file?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let mut cases = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let case = toml::from_str(&text)
            .map_err(|error| format!("{} is no schedule of a corpus: {error}", path.display()))?;
        cases.push(case);
    }
    Ok(cases)
}

/// Writes every case into a file of its own, named by what it says.
fn write(corpus: &Corpus, settings: &Settings, directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for entry in corpus.entries() {
        let text = toml::to_string_pretty(&entry.case).map_err(io::Error::other)?;
        let mut name = FxHasher::default();
        name.write(text.as_bytes());
        let path = directory.join(format!("{:016x}.toml", name.finish()));
        fs::write(path, format!("# {}\n\n{text}", entry.case.command(settings)))?;
    }
    Ok(())
}
