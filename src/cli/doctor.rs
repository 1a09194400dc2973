//! `rashomon doctor`: which faults this machine can do.

use std::fmt::Write;

use clap::{Args, ValueEnum};

use super::{complain, print_json, print_text};
use crate::doctor::{Diagnosis, examine};
use crate::exit::Exit;

/// Try every fault on this machine, and say which it can do and what the others need
#[derive(Debug, Args)]
pub(super) struct DoctorArguments {
    /// Print the findings as JSON on standard output
    #[arg(long)]
    json: bool,
    /// Try what can be tried only inside, where this is run by itself
    #[arg(long, hide = true, value_enum)]
    inside: Option<Inside>,
}

/// Where the command runs itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Inside {
    /// In a sandbox.
    Hosts,
    /// As root, in a network namespace.
    HostsAsRoot,
}

pub(super) fn run(arguments: &DoctorArguments) -> Exit {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&error, None);
            return Exit::Infrastructure;
        }
    };
    match arguments.inside {
        #[cfg(target_os = "linux")]
        Some(inside) => {
            use crate::doctor::Area;
            let area = match inside {
                Inside::Hosts => Area::Hosts,
                Inside::HostsAsRoot => Area::HostsAsRoot,
            };
            print_json(&runtime.block_on(crate::doctor::examine_inside(area)));
        }
        #[cfg(not(target_os = "linux"))]
        Some(_) => return Exit::Usage,
        None => {
            let diagnosis = runtime.block_on(examine());
            if arguments.json {
                print_json(&diagnosis);
            } else {
                print_text(&text(&diagnosis));
            }
        }
    }
    Exit::Valid
}

fn text(diagnosis: &Diagnosis) -> String {
    let Diagnosis { system, architecture, kernel, root, findings, .. } = diagnosis;
    let kernel = kernel.as_ref().map(|kernel| format!(" {kernel}")).unwrap_or_default();
    let who = if *root { "root" } else { "an ordinary user" };
    let mut text = format!("{system}{kernel} on {architecture}, as {who}; everything was tried\n");
    let widest = findings.iter().map(|finding| finding.faults.chars().count()).max().unwrap_or(0);
    let mut area = None;
    for finding in findings {
        if area.replace(finding.area) != Some(finding.area) {
            let _ = write!(text, "\n{}\n", finding.area.title());
        }
        let can = if finding.can { "yes" } else { "no " };
        let _ = writeln!(text, "  {can}  {:widest$}  {}", finding.faults, finding.said);
    }
    let cannot = findings.iter().filter(|finding| !finding.can).count();
    let _ = match cannot {
        0 => writeln!(text, "\nAll of it can be done here."),
        1 => writeln!(text, "\nOne thing cannot be done here; what it needs is said beside it."),
        _ => writeln!(
            text,
            "\n{cannot} things cannot be done here; what they need is said beside them."
        ),
    };
    text
}
