//! The executable `csi-hostpath`.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use csi_hostpath::args::{Args, Refusal};
use csi_hostpath::config::Config;
use csi_hostpath::{log, server, termination};

fn main() -> ExitCode {
    let args = match Args::read(std::env::args_os()) {
        Ok(args) => args,
        Err(Refusal::Told(text)) => {
            let _ = write!(std::io::stdout(), "{text}");
            return ExitCode::SUCCESS;
        }
        Err(Refusal::Wrong(text)) => {
            let place = termination::place(std::env::var_os(termination::VARIABLE));
            return refuse(&place, &text, 2);
        }
    };
    log::start(args.log_format, args.log_level);
    let place = args.termination_log.clone();
    let config = match Config::new(args) {
        Ok(config) => config,
        Err(text) => return refuse(&place, &text, 2),
    };
    match server::run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => refuse(&place, &text, 1),
    }
}

/// The one line that says what to change (G-04), in the log and in the pod's status.
fn refuse(place: &Path, text: &str, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "csi-hostpath: {text}");
    termination::tell(place, text);
    ExitCode::from(code)
}
