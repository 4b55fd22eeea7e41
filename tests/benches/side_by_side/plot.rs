//! What is plotted.

use crate::common::plot::{Plot, Row};
use crate::contender::Contender;
use crate::record::{Operation, Record};

const OPERATIONS: [Operation; 17] = [
    Operation::Version,
    Operation::AddPlain,
    Operation::CheckPlain,
    Operation::DelPlain,
    Operation::AddMasq,
    Operation::CheckMasq,
    Operation::DelMasq,
    Operation::AddDual,
    Operation::StoreAdd,
    Operation::StoreAddMany,
    Operation::StoreDelMany,
    Operation::StoreAddLast,
    Operation::Adds,
    Operation::Dels,
    Operation::MasqLast,
    Operation::ChainAdd,
    Operation::ChainDel,
];

/// The picture.
pub fn svg(record: &Record) -> String {
    let plot = Plot {
        title: "Wall time of a process, median, in ms; shorter is faster",
        label: "Times of the reference plugins, Hawser and the floor",
        series: Contender::MAIN.map(Contender::name),
        left: 330.0,
        decades: 5,
    };
    plot.svg(OPERATIONS.map(|operation| Row {
        title: operation.title().to_owned(),
        times: Contender::MAIN.map(|contender| record.median(operation, contender)),
    }))
}
