//! The executable `hawser-node`.

use std::process::ExitCode;

fn main() -> ExitCode {
    hawser_node::main()
}
