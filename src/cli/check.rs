//! `rashomon check`: a verdict on histories that somebody recorded.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use rashomon_checker::history::{Format, History, ReadOptions, read_file_with};
use rashomon_checker::linearizability::{self, Options, Verdict};
use rashomon_checker::model::{Model, NilRead};
use serde::Serialize;

use super::{complain, duration, print_json, print_text};
use crate::exit::Exit;
use crate::report::{Finding, VerdictWord, proof};

/// Decide whether recorded histories are linearizable
#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// Histories: our JSONL, Jepsen's or Knossos's EDN, history.txt, Porcupine's logs
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The model, such as register, cas-register(0), multi-register, kv or mutex; suggested by the operations if not given
    #[arg(long)]
    model: Option<Model>,
    /// The format; found out from the content if not given
    #[arg(long)]
    format: Option<Format>,
    /// Whether values are independent `[key value]` pairs, as of jepsen.independent; found out if not given
    #[arg(long, value_name = "BOOL")]
    keyed: Option<bool>,
    /// Time for the verdict of each history
    #[arg(long, default_value = "60s", value_parser = duration::parse, help_heading = "Limits")]
    time_limit: Duration,
    /// Memory for the search, in MiB
    #[arg(long, default_value_t = 2048, value_name = "MIB", help_heading = "Limits")]
    memory_limit: usize,
    /// Print one JSON object a line on standard output
    #[arg(long, help_heading = "Output")]
    json: bool,
}

/// What came out for one file.
#[derive(Debug, Serialize)]
struct Checked {
    schema: u32,
    file: PathBuf,
    format: String,
    model: String,
    operations: usize,
    verdict: VerdictWord,
    why: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    finding: Option<Finding>,
    milliseconds: f64,
}

pub(super) fn run(arguments: &CheckArguments) -> Exit {
    let mut worst = Exit::Valid;
    for file in &arguments.files {
        let exit = match check(file, arguments) {
            Ok(checked) => {
                show(&checked, arguments.json);
                match checked.verdict {
                    VerdictWord::Valid => Exit::Valid,
                    VerdictWord::Violation => Exit::Violation,
                    VerdictWord::Unknown => Exit::Unknown,
                }
            }
            Err(error) => {
                complain(&*error, None);
                Exit::Usage
            }
        };
        worst = worst.worst(exit);
    }
    worst
}

fn check(file: &Path, arguments: &CheckArguments) -> Result<Checked, Box<dyn std::error::Error>> {
    let began = Instant::now();
    let options = ReadOptions { format: arguments.format, keyed: arguments.keyed };
    let recording = read_file_with(file, options)?;
    for warning in &recording.warnings {
        eprintln!("warning: {}: {warning}", file.display());
    }
    let name = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let history = History::from_events(&recording.events).map_err(|error| name(&error))?;
    let model = match &arguments.model {
        Some(model) => model.clone(),
        None => suggest(&history, recording.format)
            .ok_or_else(|| name(&"no model fits the operations; choose one with --model"))?,
    };
    let options = Options {
        time: arguments.time_limit,
        memory: arguments.memory_limit << 20,
        ..Options::default()
    };
    let verdict =
        linearizability::check(&history, &model, &options).map_err(|error| name(&error))?;
    let (word, why, finding) = match &verdict {
        Verdict::Valid(_) => (VerdictWord::Valid, "linearizable".to_owned(), None),
        Verdict::Invalid(explanation) => {
            let finding = Finding::of(&history, explanation);
            (VerdictWord::Violation, explanation.sentence().to_owned(), Some(finding))
        }
        Verdict::Unknown(bound) => (VerdictWord::Unknown, bound.to_string(), None),
    };
    Ok(Checked {
        schema: 1,
        file: file.to_owned(),
        format: recording.format.to_string(),
        model: model.to_string(),
        operations: history.len(),
        verdict: word,
        why,
        finding,
        milliseconds: began.elapsed().as_secs_f64() * 1e3,
    })
}

/// The model that the operations ask for. In Jepsen's and Knossos's recordings a read of `nil` says
/// nothing; in all others it says that there was no value.
fn suggest(history: &History, format: Format) -> Option<Model> {
    let mut model = Model::suggest(history)?;
    if let Format::Edn | Format::JepsenLog = format
        && let Model::Register { nil, .. }
        | Model::CasRegister { nil, .. }
        | Model::MultiRegister { nil, .. } = &mut model
    {
        *nil = NilRead::Unknown;
    }
    Some(model)
}

fn show(checked: &Checked, json: bool) {
    if json {
        return print_json(checked);
    }
    let mut text = format!(
        "{:10} {}  {} operations, {}, {:.1} ms\n",
        checked.verdict.as_str(),
        checked.file.display(),
        checked.operations,
        checked.model,
        checked.milliseconds,
    );
    if checked.verdict != VerdictWord::Valid {
        text += &format!("           {}\n", checked.why);
    }
    if let Some(finding) = &checked.finding {
        for line in proof(finding).lines() {
            text += &format!("           {line}\n");
        }
    }
    print_text(&text);
}
