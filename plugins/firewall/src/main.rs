//! The executable `firewall`.

use std::process::ExitCode;

fn main() -> ExitCode {
    cni_plugin::main(&cni_firewall::PLUGIN)
}
