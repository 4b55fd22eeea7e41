//! The report as Markdown.

use crate::bars::{self, Bar};
use crate::common::machine::{self, shell};
use crate::common::options::Options;
use crate::common::table::{self, QUICK, cell, optional, table, verdict};
use crate::operation::Operation;
use crate::record::Record;

const INTRODUCTION: &str = "\
# The storage driver, measured

Calls of `csi-hostpath` over its socket, as kubelet and the sidecars make them: wall times in milliseconds, client and gRPC \
included; the median, and in brackets the 10th and the 90th percentile. Made by `scripts/bench-csi`.

*The reference* is hostpathplugin of csi-driver-host-path. It is no Debian package that could run in turn: its figures were \
measured earlier on such a machine, and say in which league a number plays, not more. *The machine* is the medians of the \
kernel's own steps beneath a call, measured in this run without a driver and added up.

![Times of the reference, Hawser and the machine](bench-csi.svg)
";

/// All tables.
pub fn markdown(record: &Record, options: &Options) -> String {
    let mut text = INTRODUCTION.to_owned();
    if options.quick {
        text += QUICK;
    }
    text += &table::machine(facts(), options);
    text += &bar_table(&bars::all(record));
    text += &call_table(record);
    text += &step_table(record);
    text
}

/// What the machine's own disk is, beside the rest.
fn facts() -> Vec<(&'static str, String)> {
    let mut facts = machine::facts();
    let disk = shell("findmnt -n -o FSTYPE,OPTIONS -T /tmp");
    facts.push(("filesystem of the machine", disk));
    facts
}

fn bar_table(bars: &[Bar]) -> String {
    let rows = bars.iter().map(|bar| {
        vec![
            bar.what.clone(),
            format!("{} {}", bar.limit, bar.unit),
            optional(bar.measured),
            verdict(bar.measured.map(|measured| measured <= bar.limit)),
        ]
    });
    "\n## What must be reached\n".to_owned() + &table(&["", "at most", "measured", ""], rows)
}

const COLUMNS: [&str; 5] = [
    "",
    "reference",
    "Hawser",
    "the machine",
    "reference / Hawser",
];

fn call_table(record: &Record) -> String {
    let calls = record
        .operations()
        .filter(|operation| !matches!(operation, Operation::Machine(_)));
    let rows = calls.filter_map(|operation| {
        let series = record.series(operation)?;
        let reference = operation.reference();
        let ratio = reference.map(|reference| reference / series.quantile(0.5));
        Some(vec![
            operation.title(),
            optional(reference),
            cell(&series),
            optional(record.steps(operation)),
            optional(ratio),
        ])
    });
    "\n## Calls, in ms; sizes and memory in MB\n".to_owned() + &table(&COLUMNS, rows)
}

fn step_table(record: &Record) -> String {
    let steps = record
        .operations()
        .filter(|operation| matches!(operation, Operation::Machine(_)));
    let rows = steps.filter_map(|step| Some(vec![step.title(), cell(&record.series(step)?)]));
    "\n## The machine's own steps, in ms\n".to_owned() + &table(&["", ""], rows)
}
