//! `rashomon convert`: a history in another format, and what the format could not hold.

use std::ffi::OsString;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use rashomon_checker::history::{
    Event, Format, ReadError, ReadOptions, Visited, Writer, visit_file,
};

use super::{complain, print_text};
use crate::exit::Exit;

/// Write a history in another format, and read it back to see that nothing was lost
#[derive(Debug, Args)]
pub(super) struct ConvertArguments {
    /// The history, in any format that `rashomon check` reads
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// Where to write it; its name tells the format (.jsonl, .json, .edn, .rash)
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// The format of OUT: jsonl, json, edn or rash; what its name tells if not given
    #[arg(long)]
    format: Option<Format>,
    /// The format of IN; found out from the content if not given
    #[arg(long)]
    from: Option<Format>,
    /// Whether values of IN are independent `[key value]` pairs, as of jepsen.independent; found out if not given
    #[arg(long, value_name = "BOOL")]
    keyed: Option<bool>,
}

/// Why a history was not converted.
#[derive(Debug, thiserror::Error)]
enum ConvertError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the name of {0} tells no format; give one with --format")]
    Format(PathBuf),
    #[error("{0} would be overwritten with itself; choose another name")]
    SameFile(PathBuf),
    #[error("cannot write {0}")]
    Write(PathBuf, #[source] io::Error),
}

pub(super) fn run(arguments: &ConvertArguments) -> Exit {
    match convert(arguments) {
        Ok(text) => {
            print_text(&text);
            Exit::Valid
        }
        Err(error) => {
            complain(&error, None);
            Exit::Usage
        }
    }
}

fn convert(arguments: &ConvertArguments) -> Result<String, ConvertError> {
    let ConvertArguments { input, output, .. } = arguments;
    let format = arguments.format.or_else(|| Format::of_path(output));
    let format = format.ok_or_else(|| ConvertError::Format(output.clone()))?;
    if fs::canonicalize(output)
        .ok()
        .is_some_and(|output| fs::canonicalize(input).ok() == Some(output))
    {
        return Err(ConvertError::SameFile(output.clone()));
    }
    // Whoever looks at OUT finds all of it or nothing.
    let partial = Partial::beside(output);
    let options = ReadOptions { format: arguments.from, keyed: arguments.keyed };
    let (marks, visited) = write(input, options, &partial.path, format)?;
    for warning in &visited.warnings {
        eprintln!("warning: {}: {warning}", input.display());
    }
    if let Some(loss) = loss(input, options, &partial.path, format, &marks)? {
        eprintln!("warning: {}: {loss}", output.display());
    }
    let size = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    let text = format!(
        "{} ({}, {} bytes) -> {} ({format}, {} bytes): {} events\n",
        input.display(),
        visited.format,
        size(input),
        output.display(),
        size(&partial.path),
        marks.len(),
    );
    fs::rename(&partial.path, output)
        .map_err(|error| ConvertError::Write(output.clone(), error))?;
    Ok(text)
}

/// A file that is being written, gone unless it was renamed.
struct Partial {
    path: PathBuf,
}

impl Partial {
    fn beside(output: &Path) -> Self {
        let mut name = OsString::from(output);
        name.push(".partial");
        Partial { path: name.into() }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // It is not there any more if all went well.
        let _ = fs::remove_file(&self.path);
    }
}

/// Writes a history, and remembers a mark of each event.
fn write(
    input: &Path,
    options: ReadOptions,
    output: &Path,
    format: Format,
) -> Result<(Vec<u64>, Visited), ConvertError> {
    let failed = |error: io::Error| ConvertError::Write(output.to_owned(), error);
    let mut writer: Option<Writer<BufWriter<File>>> = None;
    let mut marks = Vec::new();
    let visited = visit_file(input, options, |events| {
        // A history that cannot be read leaves no file.
        if writer.is_none() {
            let out = BufWriter::new(File::create(output).map_err(failed)?);
            writer = Some(Writer::new(out, format).map_err(failed)?);
        }
        for event in events {
            writer.as_mut().map_or(Ok(()), |writer| writer.write_event(event)).map_err(failed)?;
            marks.push(mark(event));
        }
        Ok::<_, ConvertError>(())
    })?;
    if let Some(writer) = writer {
        writer.finish().and_then(|mut out| out.flush()).map_err(failed)?;
    }
    Ok((marks, visited))
}

/// A number for everything that an event says.
fn mark(event: &Event) -> u64 {
    let mut hasher = DefaultHasher::new();
    (event.index, event.time, &event.process, event.kind).hash(&mut hasher);
    (&event.f, &event.key, &event.value, &event.node, &event.error).hash(&mut hasher);
    hasher.finish()
}

/// Reads back what was written, and says what became of events that are not the same any more.
fn loss(
    input: &Path,
    options: ReadOptions,
    output: &Path,
    format: Format,
    marks: &[u64],
) -> Result<Option<String>, ConvertError> {
    let told = ReadOptions { format: Some(format), keyed: None };
    let (mut position, mut others, mut first) = (0, 0u64, None);
    visit_file(output, told, |events| {
        for event in events {
            if marks.get(position) != Some(&mark(event)) {
                others += 1;
                first.get_or_insert_with(|| (position, event.clone()));
            }
            position += 1;
        }
        Ok::<_, ConvertError>(())
    })?;
    let Some((position, now)) = first else { return Ok(None) };
    let mut before = None;
    let mut passed = 0;
    visit_file(input, options, |events| {
        before = before.take().or_else(|| events.get(position - passed).cloned());
        passed += events.len().min(position - passed);
        Ok::<_, ConvertError>(())
    })?;
    let json = |event| serde_json::to_string(event).expect("events have string keys only");
    let all = marks.len();
    Ok(Some(format!(
        "{others} of {all} events are not read back as they were; the first was\n  {}\nand is now\n  {}",
        before.as_ref().map(json).unwrap_or_default(),
        json(&now),
    )))
}
