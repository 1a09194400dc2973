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

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use std::time::Duration;

    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // The runs are of this same program.
    if matches!(arguments.first().map(String::as_str), Some("test" | "node" | "heal")) {
        return rashomon::cli::run().into();
    }
    let number = |name: &str, otherwise| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(otherwise)
    };
    let (moments, first) = (number("--moments", 50), number("--seed", 1));
    let program = std::env::current_exe().expect("this program has a file");
    let mut wrong = 0;
    for seed in first..first + moments {
        let folder = tempfile::tempdir().expect("a temporary directory");
        match moments::kill_and_heal(&program, folder.path(), seed, Duration::from_secs(12)) {
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
