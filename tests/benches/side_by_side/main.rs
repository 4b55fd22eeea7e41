//! The side-by-side bench: the reference plugins, Hawser's, and the bare program under both, in turn in one run.
//!
//! Each contender works on hosts of its own (namespaces that vanish with this process), and within a round they come
//! one after the other in changing order, so that whatever the machine does meanwhile happens to all of them alike.
//! Times are wall times of a whole process, from the call that starts it to the moment it has been waited for. A run
//! that is too slow is a row that says so, never a failure of the bench; a plugin that does not do its work is one.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

mod bars;
mod breakdown;
#[path = "../common/mod.rs"]
mod common;
mod contender;
mod experiments;
mod lane;
mod machine;
mod plot;
mod process;
mod record;
mod report;
mod rounds;

use common::options::{self, Bench, Options};
use common::series;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    if let [flag, program, rest @ ..] = words.as_slice()
        && flag == process::PEAK
    {
        return process::tell_peak(program, rest);
    }
    let bench = Bench {
        script: "scripts/bench",
        report: "bench",
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
    match run(&bench, &options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the chosen experiments; false when one of them could not be finished.
fn run(bench: &Bench, options: &Options) -> Result<bool, process::Failed> {
    let mut record = record::Record::default();
    let mut complete = true;
    for experiment in experiments::ALL {
        if !options.wants(experiment.name) {
            continue;
        }
        eprintln!("{}: {}", experiment.name, experiment.about);
        if let Err(why) = (experiment.run)(options, &mut record) {
            eprintln!("{}: not finished: {why}", experiment.name);
            complete = false;
        }
    }
    let text = report::markdown(&record, options);
    println!("{text}");
    let written = bench.write(options, &text, &plot::svg(&record));
    written.map_err(process::Failed)?;
    Ok(complete)
}
