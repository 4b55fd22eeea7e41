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
#[path = "../common/mod.rs"]
mod common;
mod experiments;
mod operation;
mod plot;
mod record;
mod report;

use common::options::{self, Bench, Options};
use common::series;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    let bench = Bench {
        script: "scripts/bench-csi",
        report: "bench-csi",
        experiments: experiments::ALL.map(|experiment| experiment.name).into(),
    };
    let options = match Options::read(&words, &bench) {
        Ok(Some(options)) => options,
        Ok(None) => return ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}\n\n{}", bench.usage());
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
    let written = bench.write(&options, &text, &plot::svg(&record));
    written.unwrap_or_else(|why| panic!("{why}"));
    ExitCode::SUCCESS
}
