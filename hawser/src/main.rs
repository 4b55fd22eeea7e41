//! The executable `hawser`, and under their names the plugins.

use std::process::ExitCode;

fn main() -> ExitCode {
    hawser::main()
}
