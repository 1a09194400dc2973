//! `rashomon heal`: undoes what a run left on the machine whose harness was killed.

use std::path::{Path, PathBuf};

use clap::Args;
use rashomon_nemesis::{HealError, heal};

use super::{complain, print_text};
use crate::campaign::run_dir::{RunDir, left_below};
use crate::exit::Exit;

/// Undo what runs have left on this machine whose harness was killed
#[derive(Debug, Args)]
pub(super) struct HealArguments {
    /// The directory of such a run; all below --out if not given
    #[arg(value_name = "RUN")]
    run: Option<PathBuf>,
    /// Directory for runs
    #[arg(long, default_value = "runs", value_name = "DIR", conflicts_with = "run")]
    out: PathBuf,
}

pub(super) fn run(arguments: &HealArguments) -> Exit {
    let Some(run) = &arguments.run else {
        let (exit, any) = heal_all(&arguments.out, print_text);
        if !any && exit == Exit::Valid {
            print_text(&format!("nothing is left of the runs in {}\n", arguments.out.display()));
        }
        return exit;
    };
    if !run.is_dir() {
        complain(&NoRun(run.clone()), None);
        return Exit::Usage;
    }
    let directory = RunDir::open(run);
    match heal(&directory.leases()) {
        Ok(done) if done.is_empty() => print_text(&format!("{}: nothing is left\n", run.display())),
        Ok(done) => print_text(&account(&directory, &done)),
        Err(error) => {
            complain(&error, None);
            return exit(&error);
        }
    }
    Exit::Valid
}

#[derive(Debug, thiserror::Error)]
#[error("there is no run {}: it is a directory, such as runs/latest", .0.display())]
struct NoRun(PathBuf);

/// Heals what is left of the runs in a directory, but for those that still go on, and tells it; says how
/// that ended, and whether there was anything.
fn heal_all(parent: &Path, tell: impl Fn(&str)) -> (Exit, bool) {
    let (mut worst, mut any) = (Exit::Valid, false);
    for directory in left_below(parent) {
        match heal(&directory.leases()) {
            Ok(done) if done.is_empty() => {}
            Ok(done) => {
                any = true;
                tell(&account(&directory, &done));
            }
            Err(HealError::Alive { .. }) => {}
            Err(error) => {
                complain(&error, None);
                worst = worst.worst(exit(&error));
            }
        }
    }
    (worst, any)
}

/// Heals what is left of earlier runs before another begins. What cannot be healed is told, and is no
/// reason not to begin.
pub(super) fn before_a_run(parent: &Path) {
    heal_all(parent, |account| eprint!("left by an earlier run: {account}"));
}

fn account(directory: &RunDir, done: &[String]) -> String {
    done.iter().map(|what| format!("{}: {what}\n", directory.path().display())).collect()
}

fn exit(error: &HealError) -> Exit {
    match error {
        HealError::Left { .. } => Exit::Infrastructure,
        _ => Exit::Usage,
    }
}
