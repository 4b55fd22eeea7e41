//! What must be reached, row by row, and whether it was.

use crate::operation::{Kind, Operation, Volumes};
use crate::record::Record;

/// One demand.
#[derive(Debug)]
pub struct Bar {
    /// What is looked at.
    pub what: String,
    /// What was measured.
    pub measured: Option<f64>,
    /// The number that is not to be exceeded.
    pub limit: f64,
    /// Of what: "ms", "MB", "times".
    pub unit: &'static str,
}

/// All demands, with what was measured of them.
pub fn all(record: &Record) -> Vec<Bar> {
    let mut bars = of_creation(record);
    bars.extend(of_use(record));
    bars.extend(of_copies(record));
    bars.extend(of_the_process(record));
    bars
}

fn of_creation(record: &Record) -> Vec<Bar> {
    let mut bars = Vec::new();
    for kind in [Kind::Directory, Kind::Subvolume] {
        let at = |volumes| Operation::Create(kind, volumes);
        bars.push(median(record, at(Volumes::None), 3.0));
        bars.push(Bar {
            what: format!("{}, against 0", at(Volumes::Many).title()),
            measured: ratio(record, at(Volumes::Many), at(Volumes::None)),
            limit: 1.3,
            unit: "times",
        });
    }
    bars.push(median(record, Operation::CreateParallel, 60.0));
    bars
}

fn of_use(record: &Record) -> Vec<Bar> {
    let kinds = [
        Kind::Directory,
        Kind::Subvolume,
        Kind::Ext4,
        Kind::Xfs,
        Kind::Block,
    ];
    let mut bars = Vec::new();
    for kind in kinds {
        bars.push(median(record, Operation::StagePublish(kind), 3.0));
        bars.push(median(record, Operation::UnpublishUnstage(kind), 3.0));
    }
    bars.push(median(record, Operation::StatsMeanwhile, 0.6));
    bars.push(Bar {
        what: format!("{}, 99th percentile", Operation::StatsMeanwhile.title()),
        measured: record
            .series(Operation::StatsMeanwhile)
            .map(|series| series.quantile(0.99)),
        limit: 5.0,
        unit: "ms",
    });
    bars
}

fn of_copies(record: &Record) -> Vec<Bar> {
    let shared = [Kind::Reflink, Kind::Subvolume].map(|kind| (kind, 300.0));
    let copied = [Kind::Ext4, Kind::Block, Kind::Directory].map(|kind| (kind, 3000.0));
    let rows = shared.into_iter().chain(copied);
    rows.flat_map(|(kind, limit)| {
        let operations = [
            Operation::Snapshot(kind),
            Operation::Restore(kind),
            Operation::Clone(kind),
        ];
        operations.map(|operation| median(record, operation, limit))
    })
    .collect()
}

fn of_the_process(record: &Record) -> Vec<Bar> {
    let megabytes = |operation, limit| Bar {
        unit: "MB",
        ..median(record, operation, limit)
    };
    vec![
        median(record, Operation::ListAll, 20.0),
        median(record, Operation::Start, 20.0),
        median(record, Operation::StartKilled, 20.0),
        megabytes(Operation::MemoryIdle, 6.0),
        megabytes(Operation::MemoryStarted, 14.0),
        megabytes(Operation::MemoryFilled, 14.0),
        megabytes(Operation::Size, 8.0),
    ]
}

fn median(record: &Record, operation: Operation, limit: f64) -> Bar {
    Bar {
        what: operation.title(),
        measured: record.median(operation),
        limit,
        unit: "ms",
    }
}

fn ratio(record: &Record, above: Operation, below: Operation) -> Option<f64> {
    Some(record.median(above)? / record.median(below)?)
}
