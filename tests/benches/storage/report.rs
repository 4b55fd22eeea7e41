//! The report as Markdown.

use crate::bars::{self, Bar};
use crate::machine;
use crate::operation::Operation;
use crate::options::Options;
use crate::record::Record;
use crate::series::Series;

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
        text += "\nA quick run at a small scale: it shows that everything works, and measures nothing.\n";
    }
    text += &machine_table(options);
    text += &bar_table(&bars::all(record));
    text += &call_table(record);
    text += &step_table(record);
    text
}

fn machine_table(options: &Options) -> String {
    let mut text = "\n## The machine\n\n| | |\n| --- | --- |\n".to_owned();
    for (name, value) in machine::facts() {
        text += &format!("| {name} | {value} |\n");
    }
    text + &format!("| rounds | {} |\n", options.rounds)
}

fn bar_table(bars: &[Bar]) -> String {
    let mut text =
        "\n## What must be reached\n\n| | at most | measured | |\n| --- | ---: | ---: | --- |\n"
            .to_owned();
    for bar in bars {
        let (measured, verdict) = match bar.measured {
            None => ("-".to_owned(), "not measured"),
            Some(measured) if measured <= bar.limit => (number(measured), "pass"),
            Some(measured) => (number(measured), "**miss**"),
        };
        let (what, limit, unit) = (&bar.what, bar.limit, bar.unit);
        text += &format!("| {what} | {limit} {unit} | {measured} | {verdict} |\n");
    }
    text
}

fn call_table(record: &Record) -> String {
    let mut text = "\n## Calls, in ms; sizes and memory in MB\n\n| | reference | Hawser | the machine | reference / Hawser |\n| --- | ---: | ---: | ---: | ---: |\n".to_owned();
    for operation in record.operations() {
        let Some(series) = record.series(operation) else {
            continue;
        };
        if matches!(operation, Operation::Machine(_)) {
            continue;
        }
        let reference = operation.reference();
        let ratio = reference.map(|reference| reference / series.quantile(0.5));
        text += &format!(
            "| {} | {} | {} | {} | {} |\n",
            operation.title(),
            optional(reference),
            cell(&series),
            optional(record.steps(operation)),
            optional(ratio)
        );
    }
    text
}

fn step_table(record: &Record) -> String {
    let mut text = "\n## The machine's own steps, in ms\n\n| | |\n| --- | ---: |\n".to_owned();
    for operation in record.operations() {
        if let (Operation::Machine(_), Some(series)) = (operation, record.series(operation)) {
            text += &format!("| {} | {} |\n", operation.title(), cell(&series));
        }
    }
    text
}

fn cell(series: &Series) -> String {
    let [low, median, high] = [0.1, 0.5, 0.9].map(|share| number(series.quantile(share)));
    if series.len() == 1 {
        return format!("**{median}**");
    }
    format!("**{median}** ({low} .. {high})")
}

fn optional(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), number)
}

/// With the digits that mean something.
fn number(value: f64) -> String {
    match value {
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}
