//! Kills the harness of runs with all faults at random moments, heals, and looks from outside for
//! processes, ports, mounts, devices and leases that are left:
//!
//! ```console
//! $ cargo run --example killed_harness -- --moments 50 --seed 1
//! ```
//!
//! Linux only: it looks into `/proc`.

#[cfg(target_os = "linux")]
mod moments;

#[cfg(target_os = "linux")]
use std::ffi::OsString;
use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use clap::Parser;

    let Arguments { moments, seed, rashomon } = Arguments::parse();
    if rashomon.is_empty() {
        kill_and_heal(seed, moments)
    } else {
        // The runs are of this same program.
        ::rashomon::cli::run().into()
    }
}

/// Kill the harness of runs with all faults at random moments, heal, and look for what is left
#[cfg(target_os = "linux")]
#[derive(Debug, clap::Parser)]
struct Arguments {
    /// How many moments
    #[arg(long, default_value_t = 50)]
    moments: u64,
    /// The seed of the first one; each has its own
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Any command of `rashomon`, with its arguments
    #[arg(trailing_var_arg = true, value_name = "RASHOMON")]
    rashomon: Vec<OsString>,
}

#[cfg(target_os = "linux")]
fn kill_and_heal(first: u64, moments: u64) -> ExitCode {
    let program = std::env::current_exe().expect("this program has a file");
    let mut wrong = 0;
    for seed in (first..).take(moments as usize) {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let within = std::time::Duration::from_secs(12);
        match moments::kill_and_heal(&program, folder.path(), seed, within) {
            Ok(story) => println!("seed {seed:>3} {story}"),
            Err(why) => {
                wrong += 1;
                println!("seed {seed:>3} {why}");
            }
        }
    }
    println!("{moments} moments, something wrong after {wrong}");
    if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("this looks into /proc, which only Linux has");
    ExitCode::from(2)
}
