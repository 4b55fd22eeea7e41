//! One executable for a node: under the name of a plugin it is that plugin, under its own the operator's command.
//!
//! [`plugins`] is the one place where the plugins are listed.

mod cli;
pub mod conflist;
pub mod install;
pub mod plugins;

use std::env;
use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

/// Serves the call that this process was started for.
pub fn main() -> ExitCode {
    let called = env::args_os().next().unwrap_or_default();
    let name = Path::new(&called).file_name().and_then(OsStr::to_str);
    // Before anything else: a runtime waits for this, and parses no command line.
    match name.and_then(plugins::named) {
        Some(plugin) => cni_plugin::main_among(plugin, &plugins::ALL),
        None => cli::main(),
    }
}
