//! The report as Markdown.

use crate::bars::{self, Bar, Limit};
use crate::breakdown::{self, Breakdown};
use crate::contender::Contender::{self, Hawser, Reference};
use crate::machine;
use crate::options::Options;
use crate::record::{Operation, Record};
use crate::series::Series;

const INTRODUCTION: &str = "\
# Side by side

The reference plugins, Hawser's, and `floor`, a bare program that does the kernel's part of the work and nothing else \
(`tests/src/bin/floor.rs`), run in turn within each round, in changing order, each on hosts of its own. Times are wall \
times of a whole process in milliseconds: the median, and in brackets the 10th and the 90th percentile. Made by \
`scripts/bench`.

![Times of the reference, Hawser and the floor](bench.svg)
";

/// All tables.
pub fn markdown(record: &Record, options: &Options) -> String {
    let mut text = INTRODUCTION.to_owned();
    if options.quick {
        text += "\nA quick run at a small scale: it shows that everything works, and measures nothing.\n";
    }
    text += &machine_table(options);
    text += &bar_table(&bars::all(record));
    text += &time_table(record);
    let breakdowns = breakdown::all(record);
    if !breakdowns.is_empty() {
        text += BREAKDOWN_INTRODUCTION;
    }
    for breakdown in breakdowns {
        text += &breakdown_table(&breakdown);
    }
    text
}

const BREAKDOWN_INTRODUCTION: &str = "
## What separates Hawser from the floor

Each line is the median of one process less that of another which lacks this line alone, in milliseconds. The IPAM \
plugin works while the kernel makes the veth pair: what the two overlap by is in the last line, which may be below zero.
";

fn machine_table(options: &Options) -> String {
    let mut text = "\n## The machine\n\n| | |\n| --- | --- |\n".to_owned();
    for (name, value) in machine::facts() {
        text += &format!("| {name} | {value} |\n");
    }
    text + &format!("| rounds | {} |\n", options.rounds)
}

fn bar_table(bars: &[Bar]) -> String {
    let mut text =
        "\n## What must be reached\n\n| | bar | measured | |\n| --- | --- | --- | --- |\n"
            .to_owned();
    for bar in bars {
        let limit = match bar.limit {
            Limit::Faster(limit) => format!("at least {limit} times faster"),
            Limit::AtMost(limit) => format!("at most {limit} times"),
            Limit::Megabytes(limit) => format!("at most {limit} MB"),
        };
        let measured = bar
            .measured
            .map_or("-".to_owned(), |number| format!("{number:.2}"));
        let verdict = match bar.reached() {
            None => "not measured",
            Some(true) => "pass",
            Some(false) => "**miss**",
        };
        text += &format!("| {} | {limit} | {measured} | {verdict} |\n", bar.what);
    }
    text
}

fn time_table(record: &Record) -> String {
    let mut text = "\n## Times, in ms; sizes and memory at their largest, in MB\n\n| | reference | Hawser | floor | reference / Hawser | Hawser / floor |\n| --- | --- | --- | --- | --- | --- |\n".to_owned();
    for operation in record.operations() {
        let cells =
            Contender::ALL.map(|contender| cell(operation, record.series(operation, contender)));
        let faster = ratio(record, operation, Reference, Hawser);
        let above = ratio(record, operation, Hawser, Contender::Floor);
        text += &format!(
            "| {} | {} | {faster} | {above} |\n",
            operation.title(),
            cells.join(" | ")
        );
    }
    text
}

fn cell(operation: Operation, series: Option<Series>) -> String {
    let Some(series) = series else {
        return "-".to_owned();
    };
    if !operation.is_time() {
        return format!("{:.2}", series.quantile(1.0));
    }
    let [low, median, high] = [0.1, 0.5, 0.9].map(|share| series.quantile(share));
    if series.len() == 1 {
        return format!("{median:.2}");
    }
    format!("**{median:.2}** ({low:.2} .. {high:.2})")
}

fn ratio(record: &Record, operation: Operation, above: Contender, below: Contender) -> String {
    let ratio = record.ratio((operation, above), (operation, below));
    ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.1}"))
}

fn breakdown_table(breakdown: &Breakdown) -> String {
    let mut text = format!("\n| {} | ms |\n| --- | ---: |\n", breakdown.of);
    for (line, time) in &breakdown.lines {
        text += &format!("| {line} | {time:.2} |\n");
    }
    let (ours, bare) = breakdown.whole;
    text + &format!("| **Hawser, the whole process** (the floor's: {bare:.2}) | **{ours:.2}** |\n")
}
