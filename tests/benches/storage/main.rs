//! The storage bench: the driver's calls over its socket, as kubelet and the sidecars make them, beside the kernel's
//! primitives beneath them in the same run, and beside what the reference took on such a machine.
//!
//! Times are wall times of a call, client and gRPC included. A call that is too slow is a row that says so, never a failure
//! of the bench; a call that fails is one.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a bench whose calls fail measures nothing"
)]

mod bars;
mod bed;
mod experiments;
mod machine;
mod operation;
mod options;
mod plot;
mod record;
mod report;
#[path = "../side_by_side/series.rs"]
mod series;

use options::Options;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let options = match Options::read(&words) {
        Ok(Some(options)) => options,
        Ok(None) => return ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}\n\n{}", options::USAGE);
            return ExitCode::FAILURE;
        }
    };
    let mut record = record::Record::default();
    for experiment in experiments::ALL {
        if options.wants(experiment.name) {
            eprintln!("{}: {}", experiment.name, experiment.about);
            (experiment.run)(&options, &mut record);
        }
    }
    let text = report::markdown(&record, &options);
    println!("{text}");
    if let Some(dir) = &options.out {
        write(&dir.join("bench-csi.md"), &text);
        write(&dir.join("bench-csi.svg"), &plot::svg(&record));
    }
    ExitCode::SUCCESS
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|e| panic!("write {}: {e}", path.display()));
}
