//! The executable `loopback`.

use std::process::ExitCode;

fn main() -> ExitCode {
    cni_plugin::main(&cni_loopback::PLUGIN)
}
