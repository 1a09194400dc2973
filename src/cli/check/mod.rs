//! `rashomon check`: a verdict on histories that somebody recorded.

mod judge;
mod show;
mod sources;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use rashomon_checker::consistency::{self, Clocks};
use rashomon_checker::history::{Format, ReadOptions};
use rashomon_checker::linearizability::{Engine, Options};
use rashomon_checker::model::Model;

use super::{complain, duration, print_json, print_text};
use crate::contract::Contract;
use crate::exit::Exit;
use judge::{CheckError, check};
use show::{Document, Entry};
use sources::{Reason, Skipped, Source, Sources};

/// Decide whether recorded histories are linearizable
#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// Histories: our JSONL and binary form, Jepsen's or Knossos's EDN, history.txt, Porcupine's logs; directories with such files; - for standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The model, such as register, cas-register(0), multi-register, kv or mutex; suggested by the operations if not given
    #[arg(long)]
    model: Option<Model>,
    /// The format; found out from the content if not given
    #[arg(long)]
    format: Option<Format>,
    /// Whether values are independent `[key value]` pairs, as of jepsen.independent; found out if not given
    #[arg(long, value_name = "BOOL")]
    keyed: Option<bool>,
    /// What to judge by instead of linearizability: linearizable, sequential, causal-memory, causal-convergence, causal, pram, coherence, regular, safe, convergence, no-lost-writes, no-resurrection, no-values-from-nowhere, read-your-writes, monotonic-reads, monotonic-writes, writes-follow-reads or no-false-concurrency, with commas; or all
    #[arg(long, value_name = "LIST", help_heading = "Promises")]
    promises: Option<Contract>,
    /// By which clocks the store arranges the writes of a key: perfect, a time by which they may be apart, hybrid, or unknown
    #[arg(long, default_value = "perfect", value_parser = clocks, requires = "promises", help_heading = "Promises")]
    clocks: Clocks,
    /// The only engine to use: zones, elements, lazy or general; the fastest that can if not given
    #[arg(long)]
    engine: Option<Engine>,
    /// Decide all keys of a history as one object, rather than each by itself
    #[arg(long)]
    no_partition: bool,
    /// Verify the witness of each valid history with the independent verifier
    #[arg(long)]
    certify: bool,
    /// Time for the verdict of each history
    #[arg(long, default_value = "60s", value_parser = duration::parse, help_heading = "Limits")]
    time_limit: Duration,
    /// Memory for the search in each history, in MiB
    #[arg(long, default_value_t = 2048, value_name = "MIB", help_heading = "Limits")]
    memory_limit: usize,
    /// Print one JSON object on standard output, as docs/checker.md describes it
    #[arg(long, help_heading = "Output")]
    json: bool,
    /// With --json, give the order that explains a valid history
    #[arg(long, requires = "json", help_heading = "Output")]
    witness: bool,
    /// Draw the minimal violation of the one history as a graph for Graphviz's dot
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    dot: Option<PathBuf>,
}

fn clocks(text: &str) -> Result<Clocks, String> {
    match text {
        "perfect" => Ok(Clocks::PERFECT),
        "hybrid" => Ok(Clocks::Hybrid),
        "unknown" => Ok(Clocks::Unknown),
        apart => duration::parse(apart)
            .map(Clocks::Within)
            .map_err(|error| format!("perfect, hybrid, unknown, or a time: {error}")),
    }
}

impl CheckArguments {
    fn read_options(&self) -> ReadOptions {
        ReadOptions { format: self.format, keyed: self.keyed }
    }

    /// How registers are to be understood by promises, given the model.
    fn consistency(&self, model: Option<&Model>) -> consistency::Options {
        let options = consistency::Options { clocks: self.clocks, ..Default::default() };
        match model {
            Some(Model::Register { initial, nil } | Model::CasRegister { initial, nil }) => {
                consistency::Options { initial: initial.clone(), nil: *nil, ..options }
            }
            _ => options,
        }
    }

    fn options(&self) -> Options {
        Options {
            time: self.time_limit,
            memory: self.memory_limit << 20,
            engine: self.engine,
            partition: !self.no_partition,
            ..Options::default()
        }
    }
}

pub(super) fn run(arguments: &CheckArguments) -> Exit {
    let began = Instant::now();
    let Sources { taken, mut skipped } = match Sources::gather(&arguments.paths) {
        Ok(sources) => sources,
        Err(error) => {
            complain(&error, None);
            return Exit::Usage;
        }
    };
    let is_one = taken.len() == 1;
    if arguments.dot.is_some() && !is_one {
        eprintln!("error: --dot draws one history, and {} were given", taken.len());
        return Exit::Usage;
    }
    let names = taken.iter().map(|source| source.name().chars().count());
    let width = names.max().unwrap_or(0).min(MAX_NAME);
    let (mut worst, mut entries) = (Exit::Valid, Vec::new());
    for source in &taken {
        let entry = match check(source, arguments) {
            Ok(checked) => {
                worst = worst.worst(checked.exit());
                Entry::Checked(Box::new(checked))
            }
            Err(error) => match not_a_history(source, &error) {
                Some(file) => {
                    skipped.push(file);
                    continue;
                }
                None => {
                    worst = worst.worst(error.exit());
                    complain(&error, None);
                    Entry::failed(source, &error)
                }
            },
        };
        match &entry {
            _ if arguments.json => {}
            Entry::Checked(checked) if is_one => print_text(&show::picture(checked)),
            Entry::Failed(_) if is_one => {}
            entry => print_text(&show::line(entry, width)),
        }
        entries.push(entry);
    }
    show::note_skipped(&skipped);
    if entries.is_empty() {
        eprintln!("error: there is no history in what was given");
        worst = Exit::Usage;
    }
    let document = Document::new(entries, skipped, began.elapsed().as_secs_f64() * 1e3);
    if arguments.json {
        print_json(&document);
    } else if !is_one {
        print_text(&document.summary());
    }
    worst
}

/// Longer names are not aligned.
const MAX_NAME: usize = 60;

/// A file of a directory that turns out to be something else.
fn not_a_history(source: &Source, error: &CheckError) -> Option<Skipped> {
    match (source, error) {
        (Source::Perhaps(path), CheckError::Load(error)) if sources::is_none(error) => {
            Some(Skipped::new(path, Reason::Content))
        }
        _ => None,
    }
}
