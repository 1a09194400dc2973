//! `rashomon list`: what there is to choose from.

use clap::{Args, ValueEnum};
use rashomon_checker::model::Model;
use rashomon_stores::catalogue::Store;
use rashomon_stores::raft::ReadMode;

use super::{print_json, print_text};
use crate::campaign::plan::WorkloadName;
use crate::exit::Exit;
use crate::sim::climate::Kind;
use crate::zoo::table;

/// List what there is to choose from: bugs to plant, stores, workloads, kinds of fault, ways of reading
#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// What to list
    #[arg(value_enum)]
    what: What,
    /// Print as JSON on standard output
    #[arg(long)]
    json: bool,
    /// Print bugs as a Markdown table, as in docs/zoo.md
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
}

/// What can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Bugs that can be planted in a store with --bug, and controls
    Bugs,
    /// Stores, for --store
    Stores,
    /// Models that histories are judged by, for `rashomon check --model`
    Models,
    /// What clients can do, for --workload
    Workloads,
    /// Kinds of fault of simulated runs, for --nemesis
    Faults,
    /// How reads can be answered, for --reads
    Reads,
}

pub(super) fn run(arguments: &ListArguments) -> Exit {
    match arguments.what {
        What::Bugs => bugs(arguments),
        what => names(&known(what), arguments.json),
    }
    Exit::Valid
}

fn bugs(arguments: &ListArguments) {
    let entries = || Store::ALL.iter().flat_map(|store| store.mutants());
    if arguments.json {
        print_json(&entries().collect::<Vec<_>>());
    } else if arguments.markdown {
        print_text(&table::markdown(entries()));
    } else {
        print_text(&table::catalogue(entries()));
    }
}

fn known(what: What) -> Vec<String> {
    fn words<T: ToString>(known: &[T]) -> Vec<String> {
        known.iter().map(T::to_string).collect()
    }
    match what {
        What::Bugs => Store::ALL.iter().flat_map(|s| s.mutants()).map(|m| m.name.into()).collect(),
        What::Stores => words(Store::ALL),
        What::Models => words(&Model::NAMES),
        What::Workloads => words(WorkloadName::value_variants()),
        What::Faults => words(&Kind::ALL.map(Kind::name)),
        What::Reads => words(&ReadMode::ALL),
    }
}

fn names(names: &[String], json: bool) {
    if json {
        print_json(&names);
    } else {
        print_text(&names.iter().map(|name| format!("{name}\n")).collect::<String>());
    }
}
