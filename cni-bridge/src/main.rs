//! The executable `bridge`.

use std::process::ExitCode;

fn main() -> ExitCode {
    cni_plugin::main(&cni_bridge::PLUGIN)
}
