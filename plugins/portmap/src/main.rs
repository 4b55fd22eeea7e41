//! The executable `portmap`.

use std::process::ExitCode;

fn main() -> ExitCode {
    cni_plugin::main(&cni_portmap::PLUGIN)
}
