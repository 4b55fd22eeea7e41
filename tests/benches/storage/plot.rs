//! What is plotted.

use crate::common::plot::{Plot, Row};
use crate::operation::{Kind, Operation, Volumes};
use crate::record::Record;

const OPERATIONS: [Operation; 24] = [
    Operation::Create(Kind::Directory, Volumes::None),
    Operation::Create(Kind::Directory, Volumes::Some),
    Operation::Create(Kind::Directory, Volumes::Many),
    Operation::Create(Kind::Subvolume, Volumes::None),
    Operation::Create(Kind::Subvolume, Volumes::Many),
    Operation::Create(Kind::Ext4, Volumes::None),
    Operation::Create(Kind::Block, Volumes::Some),
    Operation::CreateParallel,
    Operation::StagePublish(Kind::Directory),
    Operation::StagePublish(Kind::Ext4),
    Operation::StagePublish(Kind::Block),
    Operation::UnpublishUnstage(Kind::Directory),
    Operation::UnpublishUnstage(Kind::Ext4),
    Operation::StatsMeanwhile,
    Operation::ListAll,
    Operation::Start,
    Operation::StartKilled,
    Operation::Snapshot(Kind::Reflink),
    Operation::Restore(Kind::Reflink),
    Operation::Snapshot(Kind::Subvolume),
    Operation::Snapshot(Kind::Directory),
    Operation::Restore(Kind::Directory),
    Operation::Snapshot(Kind::Block),
    Operation::Clone(Kind::Block),
];

/// The picture.
pub fn svg(record: &Record) -> String {
    let plot = Plot {
        title: "Wall time of a call, median, in ms; shorter is faster",
        label: "Times of the reference, Hawser and the machine",
        series: ["reference (earlier)", "Hawser", "the machine"],
        left: 370.0,
        decades: 6,
    };
    let measured = OPERATIONS
        .into_iter()
        .filter_map(|operation| Some((operation, record.median(operation)?)));
    plot.svg(measured.map(|(operation, ours)| Row {
        title: operation.title(),
        times: [operation.reference(), Some(ours), record.steps(operation)],
    }))
}
