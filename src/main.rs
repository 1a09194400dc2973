//! The `rashomon` command.

use std::panic;
use std::process::ExitCode;

use rashomon::exit::Exit;

fn main() -> ExitCode {
    // A panic has printed its message; what is left is to say it by the exit code.
    panic::catch_unwind(rashomon::cli::run).unwrap_or(Exit::Bug).into()
}
