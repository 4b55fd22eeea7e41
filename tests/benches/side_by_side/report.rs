//! The report as Markdown.

use crate::bars::{self, Bar, Limit};
use crate::breakdown::{self, Breakdown};
use crate::common::options::Options;
use crate::common::series::Series;
use crate::common::table::{self, QUICK, cell, number, optional, table, verdict};
use crate::contender::Contender::{self, Hawser, Reference};
use crate::machine;
use crate::record::{Operation, Record};

const INTRODUCTION: &str = "\
# Side by side

The reference plugins, Hawser as a node has it (one executable under the names of all plugins), Hawser apart (an executable \
for each plugin), and `floor`, a bare program that does the kernel's part of the work and nothing else \
(`tests/src/bin/floor.rs`), run in turn within each round, in changing order, each on hosts of its own. Times are wall \
times of a whole process in milliseconds: the median, and in brackets the 10th and the 90th percentile. Made by \
`scripts/bench`.

![Times of the reference, Hawser and the floor](bench.svg)
";

/// All tables.
pub fn markdown(record: &Record, options: &Options) -> String {
    let mut text = INTRODUCTION.to_owned();
    if options.quick {
        text += QUICK;
    }
    text += &table::machine(machine::facts(), options);
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

fn bar_table(bars: &[Bar]) -> String {
    let rows = bars.iter().map(|bar| {
        let limit = match bar.limit {
            Limit::Faster(limit) => format!("at least {limit} times faster"),
            Limit::AtMost(limit) => format!("at most {limit} times"),
            Limit::Megabytes(limit) => format!("at most {limit} MB"),
        };
        vec![
            bar.what.to_owned(),
            limit,
            optional(bar.measured),
            verdict(bar.reached()),
        ]
    });
    "\n## What must be reached\n".to_owned() + &table(&["", "bar", "measured", ""], rows)
}

const COLUMNS: [&str; 7] = [
    "",
    "reference",
    "Hawser, apart",
    "Hawser",
    "floor",
    "reference / Hawser",
    "Hawser / floor",
];

fn time_table(record: &Record) -> String {
    let rows = record.operations().into_iter().map(|operation| {
        let mut row = vec![operation.title().to_owned()];
        let cells =
            Contender::ALL.map(|contender| of(operation, record.series(operation, contender)));
        row.extend(cells);
        row.push(ratio(record, operation, Reference, Hawser));
        row.push(ratio(record, operation, Hawser, Contender::Floor));
        row
    });
    "\n## Times, in ms; sizes and memory at their largest, in MB\n".to_owned()
        + &table(&COLUMNS, rows)
}

fn of(operation: Operation, series: Option<Series>) -> String {
    match series {
        None => "-".to_owned(),
        Some(series) if operation.is_time() => cell(&series),
        Some(series) => number(series.quantile(1.0)),
    }
}

fn ratio(record: &Record, operation: Operation, above: Contender, below: Contender) -> String {
    let ratio = record.ratio((operation, above), (operation, below));
    ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.1}"))
}

fn breakdown_table(breakdown: &Breakdown) -> String {
    let (ours, bare) = breakdown.whole;
    let lines = breakdown.lines.iter();
    let lines = lines.map(|(line, time)| vec![(*line).to_owned(), format!("{time:.2}")]);
    let whole = format!("**Hawser, the whole process** (the floor's: {bare:.2})");
    let rows = lines.chain([vec![whole, format!("**{ours:.2}**")]]);
    table(&[breakdown.of, "ms"], rows)
}
