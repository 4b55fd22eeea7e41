//! The executable `csi-hostpath`.

use std::io::Write;
use std::process::ExitCode;

use csi_hostpath::args::{Args, Refusal};
use csi_hostpath::config::Config;
use csi_hostpath::{log, server};

fn main() -> ExitCode {
    let args = match Args::read(std::env::args_os()) {
        Ok(args) => args,
        Err(Refusal::Told(text)) => {
            let _ = write!(std::io::stdout(), "{text}");
            return ExitCode::SUCCESS;
        }
        Err(Refusal::Wrong(text)) => return refuse(&text, 2),
    };
    log::start(args.log_format, args.log_level);
    let config = match Config::new(args) {
        Ok(config) => config,
        Err(text) => return refuse(&text, 2),
    };
    match server::run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => refuse(&text, 1),
    }
}

/// The one line that says what to change (G-04).
fn refuse(text: &str, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "csi-hostpath: {text}");
    ExitCode::from(code)
}
